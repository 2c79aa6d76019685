"""`wfg serve`, `wfg reaper` and `wfg dev` as processes of their own."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.workers import TIMEOUT, until_sync

OURS = ("API_ONLY", "CORS_ORIGINS", "DATABASE_URL", "HOST", "PORT", "WFG_API_TOKEN", "WFG_INSECURE")


class Process:
    """A command of ours in a folder, for the block. env: what it finds there, besides what we found."""

    def __init__(self, folder: Path, *arguments: str, **env: str) -> None:
        self.folder = folder
        with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "wfg", *arguments],
                env={**{name: os.environ[name] for name in os.environ if name not in OURS}, **env},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=folder,
                start_new_session=True,
            )

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def stdout(self) -> str:
        return (self.folder / "stdout").read_text()

    def stderr(self) -> str:
        return (self.folder / "stderr").read_text()

    def says(self, text: str) -> None:
        """Wait until it has said that on stderr."""
        until_sync(lambda: text in self.stderr() or self.process.poll() is not None)
        assert text in self.stderr()

    def url(self) -> str:
        """Wait until it listens."""
        until_sync(lambda: self.stdout().endswith("\n") or self.process.poll() is not None)
        assert self.stdout().startswith("listening on http://"), self.stderr()
        return self.stdout().splitlines()[0].removeprefix("listening on ")

    def client(self) -> httpx.Client:
        """For `with`."""
        return httpx.Client(base_url=self.url(), timeout=TIMEOUT)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Until it ends by itself; the exit code."""
        return self.process.wait(TIMEOUT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def server_process(dsn: str, folder: Path, port: int = 0, **env: str) -> Iterator[Process]:
    """`wfg serve` of the API alone, once it answers."""
    settings = {"DATABASE_URL": dsn, "API_ONLY": "1", "PORT": str(port)}
    with Process(folder, "serve", **settings, **env) as server:
        server.url()
        yield server


def port_of(server: Process) -> int:
    """To start another one there."""
    return int(server.url().rpartition(":")[2])


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
