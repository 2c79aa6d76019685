"""One shell script in a process group of its own: started, read to the end of both streams, stopped whole.

Nothing of the script shows in a process list: sh reads it from a private file, and its variables travel in
the environment.
"""

import asyncio
import glob
import os
import shutil
import signal
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from .lines import LineSplitter

Stream: TypeAlias = Literal["stdout", "stderr"]
OnLines: TypeAlias = Callable[[Stream, list[str]], Awaitable[None]]

SHELL = "/bin/sh"
READ_BYTES = 64 * 1024
# How long children in the background may keep the output open after the shell has ended, in seconds.
LINGER_SECS = 2.0
# When nobody of the group is left to write, what still holds a stream open has left the group. How long it is
# listened to in silence, and how long at most, in seconds.
SILENCE_SECS = 0.5
FAREWELL_SECS = 10.0
# For the end of what was killed.
GONE_SECS = 0.5


@dataclass(frozen=True)
class Exit:
    """How a script ended. code: negative means killed by that signal. lingered: its children outlived it."""

    code: int
    lingered: bool = False

    def describe(self) -> str:
        """`exit code 3`, or `killed by signal KILL`."""
        if self.code >= 0:
            return f"exit code {self.code}"
        try:
            name = signal.Signals(-self.code).name.removeprefix("SIG")
        except ValueError:
            name = str(-self.code)
        return f"killed by signal {name}"


class ShellProcess:
    """A running script. Await wait() once; stop() and kill() may come from elsewhere meanwhile."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        directory: Path,
        pipes: "Sequence[_Pipe]",
        on_lines: OnLines,
        grace_secs: float,
    ) -> None:
        self._process = process
        self._directory = directory
        self._on_lines = on_lines
        self._grace_secs = grace_secs
        self._delivering = 0
        self._heard_at = 0.0
        self._pumps = [asyncio.create_task(self._pump(pipe)) for pipe in pipes]

    @classmethod
    async def start(
        cls, script: str, env: Mapping[str, str], on_lines: OnLines, *, grace_secs: float = 5.0
    ) -> "ShellProcess":
        """Start it with exactly this environment. OSError or ValueError when that is impossible.

        on_lines: is awaited with the lines of a stream as they come; reading goes on when it returns.
        grace_secs: between TERM and KILL.
        """
        directory = Path(tempfile.mkdtemp(prefix="wfg-job-"))  # only we may read it
        pipes: list[_Pipe] = []
        try:
            path = directory / "script"
            path.write_text(script, encoding="utf-8")
            pipes.append(await _Pipe.open("stdout"))
            pipes.append(await _Pipe.open("stderr"))
            process = await asyncio.create_subprocess_exec(
                SHELL,
                str(path),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=pipes[0].write_fd,
                stderr=pipes[1].write_fd,
                env=dict(env),
                start_new_session=True,
            )
        except BaseException:
            for pipe in pipes:
                pipe.transport.close()
            shutil.rmtree(directory, ignore_errors=True)
            raise
        finally:
            for pipe in pipes:
                os.close(pipe.write_fd)
        return cls(process, directory, pipes, on_lines, grace_secs)

    @property
    def pid(self) -> int:
        """Of the shell; also the id of its process group and session."""
        return self._process.pid

    async def wait(self) -> Exit:
        """Until the shell has ended, its output is read, and its group is gone."""
        try:
            code = await self._process.wait()
            _, open_pumps = await asyncio.wait(self._pumps, timeout=LINGER_SECS)
            lingered = bool(open_pumps) and self._group_lives()
            await self._end_group(self._grace_secs)
            await self._read_the_rest()
            return Exit(code, lingered)
        finally:
            self.kill()
            for pump in self._pumps:
                pump.cancel()
            await asyncio.gather(*self._pumps, return_exceptions=True)
            with suppress(TimeoutError):  # else a loop that ends now leaves it behind
                async with asyncio.timeout(GONE_SECS):
                    await self._process.wait()
            shutil.rmtree(self._directory, ignore_errors=True)

    async def stop(self, grace_secs: float | None = None) -> None:
        """TERM to the whole group, KILL to what is left of it after the grace."""
        await self._end_group(self._grace_secs if grace_secs is None else grace_secs)

    def kill(self) -> None:
        """KILL to the whole group, at once."""
        self._signal(signal.SIGKILL)

    async def _end_group(self, grace_secs: float) -> None:
        deadline = asyncio.get_running_loop().time() + grace_secs
        pause = 0.01
        self._signal(signal.SIGTERM)
        while self._group_lives():
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                self.kill()
                return
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, 0.2)

    def _group_lives(self) -> bool:
        if self._process.returncode is None:
            return True
        self._reap_orphans()
        return self._signal(0) and not only_zombies(self._process.pid)

    def _reap_orphans(self) -> None:
        """The first process of a container inherits the group's orphans; as zombies they would live on."""
        try:
            while os.waitpid(-self._process.pid, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass  # none is ours, as usual

    def _signal(self, number: int) -> bool:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return False
        except PermissionError:
            return self._process.returncode is None  # what is left belongs to somebody else
        return True

    async def _pump(self, pipe: "_Pipe") -> None:
        """Read one stream to its end, whatever comes."""
        splitter = LineSplitter()
        try:
            while data := await pipe.reader.read(READ_BYTES):
                await self._deliver(pipe.stream, splitter.feed(data))
            await self._deliver(pipe.stream, splitter.end())
        finally:
            pipe.transport.close()

    async def _deliver(self, stream: Stream, lines: list[str]) -> None:
        self._delivering += 1
        try:
            if lines:
                await self._on_lines(stream, lines)
        finally:
            self._delivering -= 1
            self._heard_at = asyncio.get_running_loop().time()

    async def _read_the_rest(self) -> None:
        """Until both streams end, or are held open only by processes outside the group."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + FAREWELL_SECS
        while True:
            _, open_pumps = await asyncio.wait(self._pumps, timeout=SILENCE_SECS)
            silent = not self._delivering and loop.time() - self._heard_at >= SILENCE_SECS
            if not open_pumps or silent or loop.time() >= give_up_at:
                return


def only_zombies(group: int) -> bool:
    """Whether nobody of a process group runs any more. Where there is no /proc, nobody knows: False.

    A zombie counts for kill() until init has reaped it, and some take seconds for that.
    """
    states: set[str] = set()
    for path in glob.iglob("/proc/[0-9]*/stat"):
        try:
            state, _, its_group = Path(path).read_bytes().rpartition(b")")[2].split()[:3]
        except (OSError, ValueError):
            continue  # it ended meanwhile
        if int(its_group) == group:
            states.add(state.decode())
    return bool(states) and states <= {"Z", "X"}


@dataclass(frozen=True)
class _Pipe:
    """Our end of a stream, and the end that the script writes to. Both are to be closed."""

    stream: Stream
    reader: asyncio.StreamReader
    transport: asyncio.ReadTransport
    write_fd: int

    @classmethod
    async def open(cls, stream: Stream) -> "_Pipe":
        read_fd, write_fd = os.pipe()
        reader = asyncio.StreamReader(limit=READ_BYTES)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_fd, "rb", buffering=0)
        )
        return cls(stream, reader, transport, write_fd)
