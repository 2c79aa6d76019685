"""The HTTP server as a process of its own, which can be killed."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.workers import TIMEOUT, until_sync

# What `wfg serve --api-only` does, but for its options.
SERVE = """
import socket, sys, uvicorn
from wfg.main import create_app
from wfg.settings import Settings
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening on http://127.0.0.1:%d" % listening.getsockname()[1], flush=True)
uvicorn.run(create_app(Settings.read()), fd=listening.fileno(), log_level="warning")
"""


class ServerProcess:
    """A server on a port that is free, or on the given one; it answers once this is made.

    env: settings, by the names of their variables.
    """

    def __init__(self, dsn: str, log_path: Path, *, port: int = 0, **env: str) -> None:
        self.log_path = log_path
        with log_path.open("ab") as log:
            begin = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVE, str(port)],
                env={**os.environ, "DATABASE_URL": dsn, **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=log_path.parent,
            )

        def said() -> re.Match[str] | None:
            assert self.process.poll() is None, self.log()
            return re.search(r"listening on http://127.0.0.1:(\d+)\n", self.log()[begin:])

        self.port = int(until_sync(said)[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "ServerProcess":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """As kill -9 does."""
        self.process.kill()
        self.process.wait()

    def log(self) -> str:
        return self.log_path.read_text()
