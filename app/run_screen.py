"""The progress of `wfg run`: a table on a terminal, plain lines elsewhere; and the summary at the end."""

import os
import re
import sys
import time

from rich.console import Console
from rich.text import Text

from .live_lines import LiveLines
from .run_view import JobView, RunView, Screen, printable

MAX_NAME = 32
MAX_FAILURES = 10  # shown with their log
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

# state -> symbol, symbol in ASCII, style
LOOKS = {
    "queued": ("○", ".", "dim"),
    "running": ("●", ">", "yellow"),
    "success": ("✔", "+", "green"),
    "failure": ("✖", "x", "bold red"),
    "skipped": ("⊘", "-", "dim"),
    "cancelled": ("■", "!", "magenta"),
}
CAUSE = re.compile(r"exit code \d+|killed by signal \w+|timed out after \d+ s")
# What is shown first when not all jobs fit on the screen.
URGENCY = {"running": 0, "failure": 1, "cancelled": 2, "queued": 3, "skipped": 4, "success": 5}


class PlainScreen:
    """Lines for files and pipes: `job: state`, `job | output`."""

    def __init__(self, view: RunView, console: Console) -> None:
        self._view = view
        self._console = console
        self._hint = ""

    def changed(self, job: JobView, before: str) -> None:
        match job.state:
            case "running":
                text = f"started, attempt {job.attempt + 1}" if job.attempt else "started"
            case "queued":
                text = f"to be tried again after {duration(job.elapsed_secs)}"
            case "skipped":
                text = "skipped"
            case "success" if job.kept:
                text = "kept"
            case state:
                text = f"{state} after {duration(job.elapsed_secs)}" if before == "running" else state
        self._print(f"{job.job_id}: {text}")

    def output(self, job: JobView, line: str) -> None:
        self._print(f"{job.job_id} | {line}")

    def tick(self) -> None:
        pass

    def hint(self, text: str) -> None:
        """On stderr, when it is another than before."""
        if text and text != self._hint:
            print(text, file=sys.stderr, flush=True)
        self._hint = text or self._hint

    def end(self) -> None:
        pass

    def _print(self, line: str) -> None:
        try:
            self._console.file.write(line + "\n")
            self._console.file.flush()
        except BrokenPipeError:
            pass  # nobody reads on; the run goes on


class TerminalScreen:
    """A row per job, kept up to date in place. When there are too many, the most interesting ones."""

    def __init__(self, view: RunView, console: Console) -> None:
        self._view = view
        self._console = console
        self._lines = LiveLines(console.file)
        self._ascii = not (console.encoding or "").lower().startswith("utf")
        self._began_at = time.monotonic()
        self._hint: str | None = None
        width = max((len(job.name) for job in view.jobs.values()), default=0)
        self._name_width = min(width, MAX_NAME)

    def changed(self, job: JobView, before: str) -> None:
        pass  # the next tick shows it

    def output(self, job: JobView, line: str) -> None:
        pass

    def tick(self) -> None:
        width, height = size = self._size()
        rows = self._chosen(max(1, height - 4))
        hidden = len(self._view.jobs) - len(rows)
        texts = [self._header(), *(self._row(job) for job in rows)]
        if hidden:
            texts.append(Text(f"  … and {hidden} more", style="dim"))
        texts.append(self._footer())
        if self._hint is not None:
            texts.append(Text(self._hint, style="yellow"))
        self._lines.show([self._render(text, width - 1) for text in texts], size)

    def hint(self, text: str) -> None:
        """A line below, once there was one."""
        self._hint = text if text or self._hint is not None else None

    def end(self) -> None:
        self.hint("")
        self.tick()
        self._lines.end()

    def _size(self) -> os.terminal_size:
        """Of the terminal itself: $LINES may be an old story, and a block that does not fit is a mess."""
        try:
            return os.get_terminal_size(self._console.file.fileno())
        except OSError:
            return os.terminal_size(self._console.size)

    def _chosen(self, room: int) -> list[JobView]:
        jobs = list(self._view.jobs.values())
        if len(jobs) <= room:
            return jobs
        chosen = {job.job_id for job in sorted(jobs, key=lambda job: URGENCY.get(job.state, 0))[:room]}
        return [job for job in jobs if job.job_id in chosen]

    def _header(self) -> Text:
        text = Text(self._view.name, style="bold")
        text.append(f"  {duration(time.monotonic() - self._began_at)}", style="not bold dim")
        return text

    def _row(self, job: JobView) -> Text:
        _, _, style = LOOKS.get(job.state, LOOKS["queued"])
        name = Text(job.name)
        name.truncate(self._name_width, overflow="ellipsis", pad=True)
        row = Text.assemble((self._symbol(job.state), style), " ", name, "  ")
        row.append(f"{'kept' if job.kept else job.state:<9}", style=style)
        row.append(f"{duration(job.seconds()):>8}  ")
        if job.attempt and job.state not in ("success", "skipped"):
            row.append(f"attempt {job.attempt + 1}  ", style="yellow")
        row.append(job.tail[-1] if job.tail else "", style="dim")
        return row

    def _symbol(self, state: str) -> str:
        symbol, in_ascii, _ = LOOKS.get(state, LOOKS["queued"])
        if self._ascii:
            return in_ascii
        if state == "running":
            return SPINNER[int(time.monotonic() * 10) % len(SPINNER)]
        return symbol

    def _footer(self) -> Text:
        return counts_text(self._view)

    def _render(self, text: Text, width: int) -> str:
        text.truncate(max(width, 1), overflow="ellipsis")
        with self._console.capture() as capture:
            self._console.print(text, end="", soft_wrap=True, highlight=False)
        return capture.get()


def is_plain(console: Console) -> bool:
    """Whether there is no terminal that can move its cursor."""
    return not console.is_terminal or console.is_dumb_terminal


def screen_for(view: RunView, console: Console) -> Screen:
    """A table on a terminal that can move its cursor, plain lines elsewhere."""
    screen: Screen = PlainScreen(view, console) if is_plain(console) else TerminalScreen(view, console)
    view.screen = screen
    return screen


def counts_text(view: RunView) -> Text:
    """`3 success · 1 running`"""
    counts = view.counts()
    parts = [Text(f"{counts[state]} {state}", style=LOOKS[state][2]) for state in LOOKS if counts[state]]
    return Text(" · ").join(parts)


def print_summary(view: RunView, console: Console, elapsed_secs: float) -> None:
    """The outcome, and what went wrong in each failed job."""
    failed = [job for job in view.jobs.values() if job.state == "failure"]
    for job in failed[:MAX_FAILURES]:
        console.print()
        console.print(Text.assemble((f"{job.name} failed", "bold red"), f" ({job.job_id})"))
        if job.tail:
            for line in job.tail:
                console.print(Text(f"  | {line}"), soft_wrap=True, highlight=False)
        console.print(Text(f"  {cause(job.error)}", style="red"), soft_wrap=True, highlight=False)
    if len(failed) > MAX_FAILURES:
        console.print(f"\n… and {len(failed) - MAX_FAILURES} more failed.")

    style = LOOKS.get(view.state, LOOKS["queued"])[2]
    outcome = Text.assemble((f"{view.name}: {view.state}", style), f" in {duration(elapsed_secs)}  (")
    console.print()
    console.print(outcome.append_text(counts_text(view)).append(")"), soft_wrap=True, highlight=False)


def cause(error: str | None) -> str:
    """An error without the end of the log, which is shown already."""
    if error is None:
        return "no reason given"
    found = CAUSE.match(error)
    return found.group() if found else printable(headline(error))


def headline(error: str) -> str:
    """The line of an error that says most: of a Python traceback the last, else the first."""
    lines = error.splitlines() or [""]
    return lines[-1 if lines[0].startswith("Traceback ") else 0]


def duration(secs: float | None) -> str:
    """`3.2s`, `1m 05s`, `2h 03m`; nothing for None."""
    if secs is None:
        return ""
    if secs < 60:
        return f"{secs:.1f}s"
    minutes, seconds = divmod(int(secs), 60)
    if minutes < 60:
        return f"{minutes}m {seconds:02}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m"
