"""A simulated run as bars: a row for each job, the width of the screen for all of the time."""

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

from rich.console import Console
from rich.text import Text

from .client_output import shown
from .simulate_run import JobTrace, RunTrace
from .simulate_spans import show_ms

MAX_NAME = 32
PLAIN_WIDTH = 100  # where there is no terminal
MIN_BAR = 10

# kind -> mark, mark in ASCII, style
MARKS = {
    "running": ("█", "#", "green"),
    "failed": ("▒", "x", "red"),
    "backoff": ("·", ".", "dim"),
    "waiting": ("░", "-", "yellow"),
    "skipped": ("⊘", "o", "dim"),
}
MEANINGS = {
    "running": "runs",
    "failed": "runs in vain",
    "backoff": "waits to be tried again",
    "waiting": "waits for a worker",
    "skipped": "skipped",
}


def timeline(
    run: RunTrace, ordered: Sequence[JobTrace], critical: Collection[str], console: Console
) -> Iterator[Text]:
    """The lines: a row for each job, a scale, and what the marks mean. `*` is on the critical path."""
    in_ascii = not (console.encoding or "").lower().startswith("utf")
    width = (console.width if console.is_terminal else PLAIN_WIDTH) - 1
    name_width = min(max((Text(shown(job.name)).cell_len for job in ordered), default=0), MAX_NAME)
    room = max(width - name_width - 3, MIN_BAR)
    used = set[str]()
    for job in ordered:
        name = Text(shown(job.name), style="bold" if job.job_id in critical else "")
        name.truncate(name_width, overflow="ellipsis", pad=True)
        row = Text("* " if job.job_id in critical else "  ").append_text(name).append(" ")
        for kind, cells in groupby(bar(job, run.ended_ms, room)):
            used.add(kind)
            mark, ascii_mark, style = MARKS.get(kind, (" ", " ", ""))
            row.append((ascii_mark if in_ascii else mark) * len(list(cells)), style=style)
        row.rstrip()
        yield row
    yield scale(name_width + 3, room, run.ended_ms)
    meanings = [f"{MARKS[kind][in_ascii]} {meaning}" for kind, meaning in MEANINGS.items() if kind in used]
    yield Text("   ".join(["* critical path", *meanings]), style="dim")


def bar(job: JobTrace, total_ms: int, room: int) -> list[str]:
    """What it does, cell by cell: "" is nothing. Whatever takes time has a cell, and work covers waiting."""
    cells = [""] * room

    def paint(kind: str, from_ms: int, to_ms: int) -> None:
        first = min(from_ms * room // max(total_ms, 1), room - 1)
        end = -(-to_ms * room // max(total_ms, 1))
        for cell in range(first, max(min(end, room), first + 1)):
            cells[cell] = kind

    for attempt in job.attempts:
        if attempt.started_ms > attempt.ready_ms:
            paint("waiting", attempt.ready_ms, attempt.started_ms)
        due_ms, ended_ms = attempt.next_due_ms, attempt.ended_ms
        if due_ms is not None and ended_ms is not None and due_ms > ended_ms:
            paint("backoff", ended_ms, min(due_ms, total_ms))
    for attempt in job.attempts:
        kind = "running" if attempt.outcome == "success" else "failed"
        paint(kind, attempt.started_ms, total_ms if attempt.ended_ms is None else attempt.ended_ms)
    if job.state == "skipped" and job.ended_ms is not None:
        paint("skipped", job.ended_ms, job.ended_ms)
    return cells


def scale(indent: int, room: int, total_ms: int) -> Text:
    """`0s` at the left end, the length of the run at the right."""
    end = show_ms(total_ms)
    return Text(" " * indent + "0s" + end.rjust(max(room - 2, len(end) + 1)), style="dim")
