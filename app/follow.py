"""Following a run of a server from afar: its jobs until they have ended, and their logs as they grow."""

import sys
import time
from collections.abc import Iterator

import httpx
from httpx_sse import EventSource, SSEError
from pydantic import TypeAdapter
from rich.console import Console

from .client import Client, answer_of, path_of, unreachable
from .client_output import LogPrinter
from .errors import EngineError, Unavailable, error_of
from .hints import hints_of_ready
from .run_screen import cause, print_summary, screen_for
from .run_view import ENDED, RUN, Run, RunView
from .transport import LogChunk, Wire, read_answer

LOOK_SECS = 0.5
TICK_SECS = 0.1
RETRY_SECS = 1.0
HINT_SECS = 3.0  # between two looks whether jobs wait for a worker that is not there
SILENCE_SECS = 60.0  # a stream says something every 15


class StoredChunk(LogChunk):
    """A piece of output, and the attempt that it is of."""

    attempt: int = 0


class LogPage(Wire):
    """The next_cursor is where to read on, now or later."""

    items: list[StoredChunk]
    next_cursor: str


LOG_PAGE = TypeAdapter(LogPage)
CHUNK = TypeAdapter(StoredChunk)


def get_run(client: Client, run_id: str) -> Run:
    return read_answer(RUN, client.call("GET", path_of("runs", run_id)))


class Patience:
    """A server may be away for a while, as when it is restarted. One line says so."""

    def __init__(self) -> None:
        self._told = False

    def wait(self, error: Unavailable) -> None:
        if not self._told:
            print(f"{error}; trying again", file=sys.stderr, flush=True)
            self._told = True
        time.sleep(max(RETRY_SECS, error.retry_after_secs))

    def over(self) -> None:
        self._told = False


def follow_run(client: Client, run_id: str, console: Console) -> str:
    """Show a run until it has ended; its state."""
    began_at = time.monotonic()
    view = RunView(get_run(client, run_id))
    screen = screen_for(view, console)
    patience = Patience()
    hint_at = began_at + HINT_SECS
    try:
        while True:
            try:
                view.mirror(get_run(client, run_id))
                patience.over()
            except Unavailable as error:
                patience.wait(error)
            if view.state in ENDED:
                break
            if time.monotonic() >= hint_at:
                waits = any(job.state == "queued" for job in view.jobs.values())
                screen.hint(" ".join(hints_of_ready(client, run_id)) if waits else "")
                hint_at = time.monotonic() + HINT_SECS
            look_at = time.monotonic() + LOOK_SECS
            while time.monotonic() < look_at:
                screen.tick()
                time.sleep(TICK_SECS)
    finally:
        screen.end()
    for job in view.jobs.values():
        if job.error and cause(job.error) != job.error:
            lines = job.error.splitlines()
            if cause(job.error) == lines[-1]:  # a traceback
                job.tail.extend(lines[:-1])
            else:
                job.tail.extend(job.error.partition(": ")[2].splitlines())
    print_summary(view, console, time.monotonic() - began_at)
    return view.state


# --- logs ---


def read_log(client: Client, run_id: str, job_id: str, cursor: str | None = None) -> Iterator[LogPage]:
    """What there is of a log from a cursor on, page by page."""
    while True:
        text = client.call("GET", path_of("runs", run_id, "jobs", job_id, "logs"), params={"cursor": cursor})
        page = read_answer(LOG_PAGE, text)
        if not page.items:
            return
        yield page
        cursor = page.next_cursor


def print_log(client: Client, run_id: str, job_id: str, printer: LogPrinter) -> None:
    """What there is of a job's log."""
    for page in read_log(client, run_id, job_id):
        for chunk in page.items:
            printer.write(job_id, chunk.attempt, chunk.stream, chunk.data)


def follow_log(client: Client, run_id: str, job_id: str, printer: LogPrinter) -> None:
    """A job's log as it grows, until the job has ended. The server streams it; connections may break."""
    patience = Patience()
    last_id = ""
    while True:
        try:
            for chunk, event_id in stream_log(client, run_id, job_id, last_id):
                printer.write(job_id, chunk.attempt, chunk.stream, chunk.data)
                last_id = event_id
                patience.over()
            return None
        except Unavailable as error:
            patience.wait(error)
        except EngineError as error:
            if error.message != "not_found":
                raise
            return follow_logs(client, run_id, printer, only=job_id)  # a server without streams


def stream_log(client: Client, run_id: str, job_id: str, last_id: str) -> Iterator[tuple[StoredChunk, str]]:
    """Chunks after that of last_id, each with its own. Unavailable when the stream broke before its end."""
    path = path_of("runs", run_id, "jobs", job_id, "logs", "stream")
    headers = {"accept": "text/event-stream", "cache-control": "no-store"}
    if last_id:
        headers["last-event-id"] = last_id
    try:
        with client.http.stream(
            "GET", path, headers=headers, timeout=httpx.Timeout(SILENCE_SECS, connect=5.0)
        ) as response:
            if not response.is_success:
                response.read()
                answer_of(response)
            for event in EventSource(response).iter_sse():
                if event.event == "end":
                    return
                if event.event == "log":
                    chunk = read_answer(CHUNK, event.data)
                    attempt = event.id.split(".")[1:2]  # of run.attempt.sequence
                    if attempt and attempt[0].isdecimal():
                        chunk = chunk.model_copy(update={"attempt": int(attempt[0])})
                    yield chunk, event.id
    except (httpx.HTTPError, SSEError) as error:
        raise unreachable(client.url, error) from error
    raise error_of(503, "server_unreachable", f"{client.url}: the stream broke")


def follow_logs(client: Client, run_id: str, printer: LogPrinter, only: str | None = None) -> None:
    """The logs of all jobs of a run as they grow, until it has ended; or of one job."""
    cursors: dict[str, str | None] = {}
    drained: set[str] = set()
    patience = Patience()
    while True:
        try:
            run = get_run(client, run_id)
            jobs = [job for job in run.jobs if only in (None, job.job_id)]
            for job in jobs:
                if job.job_id in drained:
                    continue
                for page in read_log(client, run_id, job.job_id, cursors.get(job.job_id)):
                    cursors[job.job_id] = page.next_cursor
                    for chunk in page.items:
                        printer.write(job.job_id, chunk.attempt, chunk.stream, chunk.data)
                if job.state in ENDED:
                    drained.add(job.job_id)
            patience.over()
        except Unavailable as error:
            patience.wait(error)
            continue
        if drained.issuperset(job.job_id for job in jobs):
            return
        time.sleep(LOOK_SECS)
