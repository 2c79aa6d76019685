"""Who sends or takes too slowly is cut off; who is only idle, or waits, is not. The clock goes on by hand."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
import uvloop
from wfg.http_server import (
    BODY_SECS,
    HEAD_SECS,
    KEEP_ALIVE_SECS,
    MAX_HEAD_BYTES,
    TAKING_SECS,
    Patience,
    Protocol,
)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class World:
    """A server whose patience is asked when a test says so."""

    def __init__(self, server: uvicorn.Server) -> None:
        self.server = server
        self.now = 0.0
        self.patience = Patience(BODY_SECS)
        self.port: int = server.servers[0].sockets[0].getsockname()[1]
        self.clients: list[asyncio.StreamWriter] = []

    async def open(self, sent: bytes, *, limit: int = 2**16) -> Streams:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=limit)
        self.clients.append(writer)
        writer.write(sent)
        await self.until(lambda: len(self.server.server_state.connections) == len(self.clients))
        await asyncio.sleep(0.02)  # what was sent has come, as this is one process
        return reader, writer

    async def goes_on(self, secs: float) -> int:
        """How many connections are left after so many seconds."""
        self.patience.cut_off(self.server.server_state.connections, self.now)
        self.now += secs
        self.patience.cut_off(self.server.server_state.connections, self.now)
        await asyncio.sleep(0.02)
        return len(self.server.server_state.connections)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """/echo takes a body; /wait never answers; /much answers for ever; all else answers at once."""
    start = {"type": "http.response.start", "status": 200, "headers": []}
    if scope["path"] == "/echo":
        while (await receive()).get("more_body"):
            pass
    if scope["path"] == "/wait":
        await receive()
        await receive()
        return
    await send(start)
    while scope["path"] == "/much":
        await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    config = uvicorn.Config(app, port=0, http=Protocol, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    made = World(server)
    try:
        yield made
    finally:
        server.should_exit = server.force_exit = True
        for client in made.clients:
            client.close()
        for connection in [*server.server_state.connections]:
            connection.transport.abort()
        await serving


def run(body: Callable[[World], Awaitable[None]]) -> None:
    async def within() -> None:
        async with world() as made:
            await body(made)

    limited: Coroutine[Any, Any, None] = asyncio.wait_for(within(), 20)
    asyncio.Runner(loop_factory=uvloop.new_event_loop).run(limited)


GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "more", "secs"),
    [
        (b"", b"", KEEP_ALIVE_SECS),
        (b"G", b"E", HEAD_SECS),
        (b"GET / HTTP/1.1\r\n", b"host: x\r\n", HEAD_SECS),
        (GET + b"GET / HT", b"T", HEAD_SECS),
        (POST, b"x", BODY_SECS),
        (POST + b"x" * 50, b"x" * 49, BODY_SECS),
    ],
)
def test_who_sends_too_slowly_is_cut_off(sent: bytes, more: bytes, secs: float):
    async def body(world: World) -> None:
        _, writer = await world.open(sent)
        assert await world.goes_on(secs - 1) == 1
        writer.write(more)  # it is no better for it
        await asyncio.sleep(0.02)
        assert await world.goes_on(2) == 0

    run(body)


def test_what_is_no_request_keeps_no_connection():
    """For its sake uvicorn gives up the timer that it has for idle ones."""

    async def body(world: World) -> None:
        _, writer = await world.open(GET)
        writer.write(b"\r\n")
        await asyncio.sleep(0.02)
        assert await world.goes_on(KEEP_ALIVE_SECS - 1) == 1
        assert await world.goes_on(2) == 0

    run(body)


@pytest.mark.parametrize("sent", [GET, b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n", POST + b"x" * 100])
def test_who_is_idle_or_waits_for_an_answer_is_left_alone(sent: bytes):
    async def body(world: World) -> None:
        await world.open(sent)
        assert await world.goes_on(3600) == 1

    run(body)


def test_slow_requests_one_after_the_other_are_none_that_lasts():
    async def body(world: World) -> None:
        _, writer = await world.open(POST)
        for _ in range(4):
            assert await world.goes_on(BODY_SECS - 1) == 1
            writer.write(b"x" * 100 + POST)
            await asyncio.sleep(0.02)

    run(body)


def test_who_takes_nothing_of_an_answer_is_cut_off_and_who_takes_a_little_is_not():
    async def body(world: World) -> None:
        reader, _ = await world.open(b"GET /much HTTP/1.1\r\nhost: x\r\n\r\n", limit=1000)
        (connection,) = world.server.server_state.connections
        await world.until(lambda: connection.flow.write_paused)
        assert await world.goes_on(TAKING_SECS - 1) == 1
        before = connection.transport.get_write_buffer_size()
        while connection.transport.get_write_buffer_size() == before:
            await reader.read(100_000)
        await world.until(lambda: connection.flow.write_paused)
        assert await world.goes_on(2) == 1
        assert await world.goes_on(TAKING_SECS) == 0

    run(body)


def test_a_head_without_an_end_is_not_kept():
    async def body(world: World) -> None:
        _, writer = await world.open(b"GET / HTTP/1.1\r\n")
        for _ in range(MAX_HEAD_BYTES // 10_000 + 1):
            writer.write(b"a: " + b"x" * 10_000 + b"\r\n")
        await world.until(lambda: not world.server.server_state.connections)
        world.clients.pop().close()

        _, writer = await world.open(b"")
        writer.write(b"GET / HTTP/1.1\r\na: " + b"x" * (MAX_HEAD_BYTES // 2) + b"\r\n\r\n")
        assert await world.goes_on(1) == 1

    run(body)
