"""A network that can be broken: a port of this machine that leads elsewhere, until it is told not to."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

Target = Path | int  # a unix socket, or a port of this machine


class Proxy:
    """Forwards to its targets in turn, to the next when one takes no connection. For `with`."""

    def __init__(self, *targets: Target) -> None:
        self.targets = list(targets)
        self.refused = 0  # connections that came while it was cut, or found no target
        self._turn = 0
        self._cut = False
        self._ready = threading.Event()
        self._open: set[Connection] = set()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="proxy", daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    # --- what may happen to a network ---

    def cut(self) -> None:
        """Every connection is reset, and new ones are."""
        self._do(self._cut_now)

    def stall(self) -> None:
        """Nothing gets through, and nothing is lost: it arrives after mend()."""
        self._do(self._flowing.clear)

    def forget(self) -> None:
        """What is sent on the connections of now vanishes, and neither end is told. New ones are well."""
        self._do(lambda: [setattr(each, "forgotten", True) for each in self._open])

    def mend(self) -> None:
        self._do(self._mend_now)

    # --- inside ---

    def _do(self, what: Callable[[], object]) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (what(), done.set()))
        assert done.wait(10)

    def _cut_now(self) -> None:
        self._cut = True
        for each in [*self._open]:
            each.reset()

    def _mend_now(self) -> None:
        self._cut = False
        self._flowing.set()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop, self._flowing = asyncio.Event(), asyncio.Event()
        self._flowing.set()
        server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        self._cut_now()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found = None if self._cut else await self._connect()
        if found is None:
            self.refused += 1
            writer.transport.abort()
            return
        connection = Connection(writer, found[1])
        self._open.add(connection)
        try:
            await asyncio.gather(
                self._pump(connection, reader, found[1]), self._pump(connection, found[0], writer)
            )
        except asyncio.CancelledError:
            pass  # the end of the proxy
        finally:
            self._open.discard(connection)
            connection.reset()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        self._turn += 1
        for n in range(len(self.targets)):
            target = self.targets[(self._turn + n) % len(self.targets)]
            with contextlib.suppress(OSError):
                if isinstance(target, Path):
                    return await asyncio.open_unix_connection(target)
                return await asyncio.open_connection("127.0.0.1", target)
        return None

    async def _pump(
        self, connection: "Connection", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """From one end to the other, until one hangs up: then the other hears of it."""
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._flowing.wait()
                if not connection.forgotten:
                    writer.write(data)
                    await writer.drain()
        if not connection.forgotten:
            await self._flowing.wait()
            with contextlib.suppress(OSError):
                writer.close()


class Connection:
    def __init__(self, *ends: asyncio.StreamWriter) -> None:
        self.ends = ends
        self.forgotten = False

    def reset(self) -> None:
        for each in self.ends:
            each.transport.abort()
