"""The server as a process of its own, for what kills it."""

import os
import socket
import subprocess
import sys

import httpx

from tests.workers import until_sync

SERVER = """
import sys, uvicorn
from wfg.main import create_app
from wfg.settings import Settings
settings = Settings.read(database_url=sys.argv[1], api_only=True)
uvicorn.run(create_app(settings), port=int(sys.argv[2]), log_level="warning")
"""


class ServerProcess:
    """The server as a process, always on the same port."""

    def __init__(self, dsn: str, **env: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.dsn = dsn
        self.env = {**os.environ, **env}
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "ServerProcess":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        command = [sys.executable, "-c", SERVER, self.dsn, str(self.port)]
        self.process = subprocess.Popen(command, env=self.env)
        until_sync(self.answers, 60)

    def answers(self) -> bool:
        assert self.process.poll() is None
        try:
            return httpx.get(f"{self.url}/health").is_success
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
