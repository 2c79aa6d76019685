"""The HTTP server of a process: where it listens, and uvicorn around the application."""

import asyncio
import errno
import ipaddress
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import uvicorn
from litestar.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MORE_PORTS = 100
BACKLOG = 2048
KEEP_ALIVE_SECS = 75  # longer than load balancers keep theirs, which then never meet a connection we closed
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
FINISH_SECS = 8  # for requests, after the first signal; what stops containers waits for 10
# Of who is slow: for a head, for a body and what it may have in a second, for taking a part of an answer.
HEAD_SECS = 20.0
BODY_SECS, BODY_BYTES_PER_SEC = 30.0, 32 * 1024
TAKING_SECS = 60.0
MAX_HEAD_BYTES = 64 * 1024
TICKS = 10  # of uvicorn, in about a second


def resolve(host: str) -> tuple[socket.AddressFamily, str]:
    """The address that a name stands for, by preference of IPv4. OSError when there is none."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, str(address[0])


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def listen(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    """On port, else on one of the next hundred, else on any that is free. OSError if that is not possible."""
    for candidate in [*range(port, min(port + MORE_PORTS, 65535) + 1), 0] if port else [0]:
        try:
            return socket.create_server(
                (address, candidate),
                family=family,
                backlog=BACKLOG,
                dualstack_ipv6=family == socket.AF_INET6,
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE or candidate == 0:
                raise
    raise AssertionError("a free port was asked for")


def url_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve_http(
    app: ASGIApp,
    listening: socket.socket,
    *,
    stopping: asyncio.Event,
    started: Callable[[], Awaitable[None]],
    max_body_bytes: int,
) -> None:
    """Answer until stopping is set; then finish what runs. Cancelled, it does not finish it.

    started: called when it answers. max_body_bytes: of a request, whose time it determines.

    No other place knows which server this is.
    """
    config = uvicorn.Config(
        cast("Any", app),
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECS,
        timeout_graceful_shutdown=FINISH_SECS,
    )
    log_as_ours("uvicorn")
    server = Uvicorn(config, started, Patience(BODY_SECS + max_body_bytes / BODY_BYTES_PER_SEC))

    async def stop() -> None:
        await stopping.wait()
        server.should_exit = True

    stopper = asyncio.create_task(stop())
    try:
        await server.serve([listening])
    except BaseException:
        for task in server.server_state.tasks:
            task.cancel()
        await server.lifespan.shutdown()
        raise
    finally:
        stopper.cancel()


class Protocol(HttpToolsProtocol):
    """A connection. The parser keeps a head until it is whole, however long it is."""

    head_bytes = 0

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not in_head(self):
            self.head_bytes = 0
            return
        self.head_bytes += len(data)
        if self.head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
            self.transport.close()


def in_head(connection: Any) -> bool:
    """Whether a request has begun to come, but not all of its head is there."""
    scope, cycle = connection.scope, connection.cycle
    return scope is not None and (cycle is None or cycle.scope is not scope)


class Patience:
    """How long connections may do the same. Each is looked at now and then: that costs a request nothing."""

    def __init__(self, body_secs: float) -> None:
        self._body_secs = body_secs
        # By connection: what it does, in which request, since when.
        self._doing: dict[Any, tuple[object, object, float]] = {}

    def cut_off(self, connections: Iterable[Any], now: float) -> None:
        """Those that have been doing the same for too long. now: seconds of any clock that goes on."""
        doing: dict[Any, tuple[object, object, float]] = {}
        for connection in connections:
            what, secs = self._of(connection)
            if what is None:
                continue
            before, request, since = self._doing.get(connection, (None, None, now))
            goes_on = before == what and request is connection.scope
            doing[connection] = (what, connection.scope, since if goes_on else now)
            if goes_on and now - since >= secs:
                connection.transport.abort()
        self._doing = doing

    def _of(self, connection: Any) -> tuple[object, float]:
        """What it does, equal as long as it does not get on, and for how many seconds. None: all is well."""
        cycle = connection.cycle
        if connection.flow.write_paused:
            return ("takes", connection.transport.get_write_buffer_size()), TAKING_SECS
        if in_head(connection):
            return "sends a head", HEAD_SECS
        if cycle is None or cycle.response_complete:
            # Uvicorn has a timer for that, but not for a new one, nor when something came after the request.
            return (None if connection.timeout_keep_alive_task else "is idle"), KEEP_ALIVE_SECS
        return ("sends a body" if cycle.more_body else None), self._body_secs


class Uvicorn(uvicorn.Server):
    """It says when it answers, leaves signals to the command, and does not wait for who is slow."""

    def __init__(
        self, config: uvicorn.Config, started: Callable[[], Awaitable[None]], patience: Patience
    ) -> None:
        super().__init__(config)
        self._when_started = started
        self._patience = patience

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS == 0:
            self._patience.cut_off(self.server_state.connections, time.monotonic())
        return await super().on_tick(counter)

    def capture_signals(self) -> AbstractContextManager[None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        await self._when_started()


def log_as_ours(name: str) -> None:
    """Warnings go where our log goes."""
    logger = logging.getLogger(name)
    logger.handlers = logging.getLogger("wfg").handlers
    logger.propagate = False
    logger.setLevel(logging.WARNING)
