"""Edge functions for tests: the real ones, in the real Deno, hosted as by Supabase, before our RPC door."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.deno import FUNCTIONS, deno, environment
from tests.workers import until_sync

HERE = Path(__file__).parent / "deno"

# What a project's service key is to PostgREST, WFG_API_TOKEN is to our door.
SERVICE_KEY = "sb_secret_of_the_project_only"

needs_deno = pytest.mark.skipif(deno() is None, reason="Deno is not installed: make setup")


class Functions(httpx.Client):
    """A client of edge functions that run in a process of their own."""

    def __init__(self, folder: Path, names: list[str], env: dict[str, str]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        program = deno()
        assert program is not None
        with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
            self.process = subprocess.Popen(
                [
                    *(program, "run", "--quiet", "--cached-only", "--allow-net", "--allow-env"),
                    *(
                        f"--allow-read={FUNCTIONS},{HERE}",
                        f"--config={HERE / 'deno.json'}",
                        HERE / "serve.ts",
                        *names,
                    ),
                ],
                env={**environment(), **env},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        try:
            until_sync(lambda: "port " in self.said() or self.process.poll() is not None)
            port = re.search(r"port (\d+)", self.said())
            assert port, self.said()
            # A connection each: one that is kept may be closed by Deno in the moment when it is used again.
            limits = httpx.Limits(max_keepalive_connections=0)
            super().__init__(base_url=f"http://127.0.0.1:{port[1]}", timeout=60, limits=limits)
        except BaseException:
            self.kill()
            raise

    def said(self) -> str:
        """All that is in the functions' log."""
        return "".join((self.folder / name).read_text(errors="replace") for name in ("stdout", "stderr"))

    def kill(self) -> None:
        """As the platform does, when the wall clock is over."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def functions(folder: Path, *names: str, url: object, **env: str) -> Iterator[Functions]:
    """Functions by name, for the block. url: of the door that stands for PostgREST."""
    known = {"SUPABASE_URL": str(url).rstrip("/"), "SUPABASE_SERVICE_ROLE_KEY": SERVICE_KEY}
    served = Functions(folder, list(names), {**known, **env})
    try:
        yield served
    finally:
        served.kill()
        served.close()
        assert SERVICE_KEY not in served.said()
        assert SERVICE_KEY.encode().hex() not in served.said()
