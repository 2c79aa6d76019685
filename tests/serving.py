"""The HTTP door for tests: the real server, on a free port, in a thread of this process."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from wfg.main import create_app
from wfg.settings import Settings


class Server(uvicorn.Server):
    def __init__(self, stopping: asyncio.Event, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopping = stopping

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        self.stopping.set()
        await super().shutdown(sockets)


@contextmanager
def serving(dsn: str, **settings: Any) -> Iterator[httpx.Client]:
    """A client of a server that is there for the block. settings: fields of Settings."""
    given = {"api_only": True, "port": 0, **settings}
    stopping = asyncio.Event()
    app = create_app(Settings.read({}, database_url=dsn, **given), stopping=stopping)
    server = Server(
        stopping, uvicorn.Config(app, port=0, log_level="warning", loop="uvloop", http="httptools")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
