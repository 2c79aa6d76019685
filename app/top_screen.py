"""What `wfg top` shows: four tables that share the height of the terminal, or one after the other."""

import io
import os
import time
from collections import Counter, deque
from collections.abc import Container, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .client_answers import JobPage, KnownRun, KnownWorker, ListedJob, Queue
from .client_commands import FREE_WORKER_COLUMNS, SPARE_WORKER_COLUMNS, WORKER_COLUMNS, worker_row
from .client_output import print_table, shown, table_of
from .find_commands import (
    FREE_RUN_COLUMNS,
    LANE_COLUMNS,
    RUN_COLUMNS,
    SPARE_LANE_COLUMNS,
    SPARE_RUN_COLUMNS,
    lane_row,
    run_row,
)
from .live_lines import LiveLines
from .run_screen import duration

RATE_SECS = 30.0
STATUS_ORDER = {"busy": 0, "idle": 1, "offline": 2}

Row = Sequence[str | Text]


@dataclass(frozen=True)
class Look:
    """What was seen at a moment."""

    at: float  # in monotonic seconds
    now_ms: float  # the server's clock then
    queue: Queue
    workers: list[KnownWorker]
    running: JobPage
    runs: list[KnownRun]


@dataclass(frozen=True)
class Section:
    """A table: its heading is its first column."""

    columns: Sequence[str]
    rows: Sequence[Row]
    free: Container[str]  # columns that give way
    spare: Sequence[str]  # those that are left out then
    more: bool = False  # there are more rows than these


def sections_of(look: Look, console: Console) -> list[Section]:
    since_secs = time.monotonic() - look.at
    return [
        Section(
            ("QUEUE", *LANE_COLUMNS[1:]),
            [lane_row(lane) for lane in look.queue.items],
            ("QUEUE",),
            SPARE_LANE_COLUMNS,
        ),
        Section(
            ("WORKERS", *WORKER_COLUMNS[1:]),
            [worker_row(worker, console) for worker in by_status(look.workers)],
            ("WORKERS", *FREE_WORKER_COLUMNS[1:]),
            SPARE_WORKER_COLUMNS,
        ),
        Section(
            ("RUNNING", "FOR", "ATTEMPT", "WORKFLOW", "RUN", "WORKER"),
            [job_row(job, since_secs) for job in longest_first(look.running.items)],
            ("RUNNING", "WORKFLOW", "WORKER"),
            ("WORKER", "ATTEMPT", "RUN"),
            more=look.running.next_cursor is not None,
        ),
        Section(
            ("RUNS", *RUN_COLUMNS[1:]),
            [run_row(run, console, look.now_ms + since_secs * 1000) for run in look.runs],
            FREE_RUN_COLUMNS,
            SPARE_RUN_COLUMNS,
        ),
    ]


def by_status(workers: Sequence[KnownWorker]) -> list[KnownWorker]:
    return sorted(workers, key=lambda worker: (STATUS_ORDER.get(worker.status, 9), worker.worker_id))


def longest_first(jobs: Sequence[ListedJob]) -> list[ListedJob]:
    return sorted(jobs, key=lambda job: -(job.run_ms or 0))


def job_row(job: ListedJob, since_secs: float) -> Row:
    """since_secs: how old its times are."""
    return (
        shown(job.job_id),
        duration((job.run_ms or 0) / 1000 + since_secs),
        str(job.attempts),
        shown(job.workflow_id),
        shown(job.run_id),
        shown(job.worker_id),
    )


def counts_of(look: Look) -> str:
    """`3 ready · 2 running · workers: 1 busy, 1 idle`"""
    lanes = look.queue.items
    plus = "+" if any(lane.at_least for lane in lanes) else ""
    parts = [f"{sum(lane.ready for lane in lanes)}{plus} ready"]
    later = sum(lane.delayed + lane.held for lane in lanes)
    parts += [f"{later}{plus} delayed"] if later else []
    parts.append(f"{sum(lane.running for lane in lanes)} running")
    workers = Counter(worker.status for worker in look.workers)
    known = ", ".join(f"{workers[status]} {status}" for status in STATUS_ORDER if workers[status])
    parts.append(f"workers: {known or 'none'}")
    return " · ".join(parts)


def print_once(look: Look, console: Console) -> None:
    """All of it, one after the other."""
    console.print(counts_of(look), soft_wrap=True)
    for section in sections_of(look, console):
        console.print()
        print_table(console, section.columns, section.rows, section.free, section.spare)


class Rates:
    """How fast totals grow, over the last half minute."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int, int]] = deque()

    def add(self, look: Look) -> None:
        seen = (look.at, look.queue.totals.jobs_ended, look.queue.totals.runs_started)
        if self._seen and (seen[0] == self._seen[-1][0]):
            return
        if self._seen and (seen[1] < self._seen[-1][1] or seen[2] < self._seen[-1][2]):
            self._seen.clear()  # they were reset
        self._seen.append(seen)
        while self._seen[0][0] < look.at - RATE_SECS and len(self._seen) > 2:
            self._seen.popleft()

    def text(self) -> str:
        """`3.1 jobs/s · 0.5 runs/s`; nothing before the second look."""
        if len(self._seen) < 2:
            return ""
        first, last = self._seen[0], self._seen[-1]
        jobs, runs = ((last[n] - first[n]) / (last[0] - first[0]) for n in (1, 2))
        return f"{jobs:.1f} jobs/s · {runs:.1f} runs/s"


class TopScreen:
    """A block as high as the terminal, kept up to date in place."""

    def __init__(self, server: str, console: Console) -> None:
        self._server = server
        self._console = console
        self._lines = LiveLines(console.file)
        self._rates = Rates()

    def show(self, look: Look, away: str | None) -> None:
        """The next frame. away: why there is no newer look."""
        self._rates.add(look)
        size = self._size()
        width, height = max(size.columns - 1, 1), max(size.lines - 1, 1)
        lines = [*self._head(look, away, width), *self._tables(look, width, height - 3)][:height]
        self._lines.show(lines + [""] * (height - len(lines)), size)

    def end(self) -> None:
        self._lines.end()

    def _size(self) -> os.terminal_size:
        try:
            return os.get_terminal_size(self._console.file.fileno())
        except OSError:
            return os.terminal_size(self._console.size)

    def _head(self, look: Look, away: str | None, width: int) -> list[str]:
        first = Text.assemble(("wfg top", "bold"), f"  {self._server}  ", (self._rates.text(), "bold"))
        first.append("  q quits", style="dim")
        second = Text(counts_of(look))
        if away is not None:
            second = Text(f"no answer for {duration(time.monotonic() - look.at)}: {away}", style="bold red")
        for text in (first, second):
            text.truncate(width, overflow="ellipsis")
        return self._render(first, second, width=width)

    def _tables(self, look: Look, width: int, height: int) -> list[str]:
        """Each has a heading and a blank line above; what is left of the height, they share."""
        sections = sections_of(look, self._console)
        rooms = share([len(section.rows) + section.more for section in sections], height - 2 * len(sections))
        lines: list[str] = []
        for section, room in zip(sections, rooms, strict=True):
            fits = len(section.rows) <= room and not section.more
            rows = section.rows if fits else section.rows[: max(room - 1, 0)]
            table = table_of(section.columns, rows, section.free, section.spare, width)
            lines += ["", *self._render(table, width=width)]
            if not fits and room:
                hidden = f"{len(section.rows) - len(rows)}{'+' if section.more else ''}"
                lines += self._render(Text(f"… and {hidden} more", style="dim"), width=width)
        return lines

    def _render(self, *parts: Text | Table, width: int) -> list[str]:
        paper = Console(
            file=io.StringIO(),
            width=width,
            force_terminal=True,
            color_system="256" if self._console.color_system else None,
            no_color=self._console.no_color,
            highlight=False,
        )
        with paper.capture() as capture:
            paper.print(*parts, sep="\n")
        return capture.get().splitlines()


def share(wants: Sequence[int], room: int) -> list[int]:
    """Divide rows: nobody gets more than it wants, and what one leaves the others get."""
    given = [0] * len(wants)
    while room > 0 and (hungry := [n for n, want in enumerate(wants) if given[n] < want]):
        for n in hungry[:room]:
            given[n] += 1
        room -= len(hungry[:room])
    return given
