"""The HTTP server of a process: where it listens, and uvicorn around the application."""

import asyncio
import errno
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import uvicorn
from litestar.types import ASGIApp

MORE_PORTS = 100
BACKLOG = 2048
KEEP_ALIVE_SECS = 75  # longer than load balancers keep theirs, which then never meet a connection we closed
FINISH_SECS = 8  # for requests, after the first signal; what stops containers waits for 10


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
) -> None:
    """Answer until stopping is set; then finish what runs. Cancelled, it does not finish it.

    started: called when it answers.

    No other place knows which server this is.
    """
    config = uvicorn.Config(
        cast("Any", app),
        http="httptools",
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
    server = Uvicorn(config, started)

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


class Uvicorn(uvicorn.Server):
    """It says when it answers, and leaves signals to the command."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._when_started = started

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
