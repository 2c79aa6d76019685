"""`wfg top`: a live screen of what waits, who works, and what runs."""

import os
import select
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

import click
from pydantic import TypeAdapter

from .client import Client, path_of, server_option
from .client_answers import JOB_PAGE, QUEUE, RUN_PAGE, WORKERS
from .client_commands import refused, talking_to
from .client_output import console_of, shown
from .errors import EngineError, Unavailable
from .run_screen import is_plain
from .top_screen import Look, TopScreen, print_once
from .transport import read_answer

FRAME_SECS = 0.25
MOST = 200  # running jobs: more than any screen shows

Pressed = Callable[[float], str]
Answer = TypeVar("Answer")


def look(client: Client) -> Look:
    """All that the screen shows, as it is now."""

    def get(route: str, kind: TypeAdapter[Answer], **params: str | int | bool | None) -> Answer:
        return read_answer(kind, client.call("GET", path_of(route), params=params))

    queue, workers = get("queue", QUEUE), get("workers", WORKERS)
    running, runs = get("jobs", JOB_PAGE, state="running", limit=MOST), get("runs", RUN_PAGE, limit=50)
    return Look(time.monotonic(), client.now_ms(), queue, workers, running, runs.items)


class Looker(threading.Thread):
    """Looks again and again. A server may be away for a while."""

    def __init__(self, client: Client, first: Look, every_secs: float) -> None:
        super().__init__(daemon=True)
        self.latest = first
        self.away: str | None = None  # since the last look failed: why
        self.refused: EngineError | None = None
        self._client = client
        self._every_secs = every_secs
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(self._every_secs):
            try:
                self.latest = look(self._client)
                self.away = None
            except Unavailable as error:
                self.away = shown(str(error).partition("\n")[0])
            except EngineError as error:
                self.refused = error
                return
            except RuntimeError:
                if not self._done.is_set():
                    raise
                return  # the client is closed: somebody pressed q meanwhile

    def stop(self) -> None:
        self._done.set()


@contextmanager
def keyboard() -> Generator[Pressed]:
    """Keys as they are pressed; pressed(secs) waits for one. Without a terminal there are none."""

    def pressed(secs: float) -> str:
        if not select.select([sys.stdin], [], [], secs)[0]:
            return ""
        return os.read(sys.stdin.fileno(), 1).decode(errors="replace") or "q"  # the terminal is gone

    def sleep(secs: float) -> str:
        time.sleep(secs)
        return ""

    if sys.platform == "win32" or not sys.stdin.isatty():
        yield sleep
        return

    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield pressed
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


@click.command()
@click.option("--every", type=click.FloatRange(0.2, 3600), default=2.0, show_default=True, help="Seconds.")
@click.option("--once", is_flag=True, help="Print it once, as without a terminal.")
@server_option
def top(every: float, once: bool, server: str) -> None:
    """Watch queue, workers, jobs and runs, live.

    What waits for which labels, who works, what runs for how long, and the newest runs. q quits.
    """
    console = console_of()
    with talking_to(server) as client:
        first = look(client)
        if once or is_plain(console):
            print_once(first, console)
            return
        looker = Looker(client, first, every)
        looker.start()
        screen = TopScreen(server, console)
        try:
            with keyboard() as pressed:
                while looker.refused is None:
                    screen.show(looker.latest, looker.away)
                    if pressed(FRAME_SECS) in ("q", "Q"):
                        break
        except KeyboardInterrupt:
            pass
        finally:
            looker.stop()
            screen.end()
        if looker.refused is not None:
            raise refused(looker.refused)
