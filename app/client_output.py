"""How answers of a server look: tables and colour for people at a terminal, plain text for everything else.

Names, errors and logs are anybody's text: nothing of it may move the cursor, hide, or turn the line around.
"""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .run_screen import LOOKS
from .run_view import printable

# Marks that change the direction of text, and separators of lines.
INVISIBLE = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x2028, 0x2029))
COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
NEWLINE = re.compile("(?<=\n)")
NO_COLOUR = "\x1b[0m"
GAP = 2  # between columns
LEGIBLE = 8  # what is left of a column that gives way


def console_of() -> Console:
    """Stdout."""
    return Console(highlight=False)


def shown(text: str | None) -> str:
    """One line of anybody's text, harmless."""
    return printable(text or "").translate(INVISIBLE)


def in_state(state: str) -> Text:
    """A state in its colour."""
    return Text(shown(state), style=LOOKS[state][2] if state in LOOKS else "")


def instant(epoch_ms: int | None, console: Console) -> str:
    """Local time for people, ISO 8601 for programs."""
    if epoch_ms is None:
        return ""
    at = datetime.fromtimestamp(epoch_ms / 1000, UTC)
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}" if console.is_terminal else f"{at:%Y-%m-%dT%H:%M:%SZ}"


def print_table(
    console: Console,
    columns: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    free: Container[str],
    spare: Sequence[str] = (),
    *,
    heading: bool = True,
) -> None:
    """Aligned at a terminal, as table_of; elsewhere with tabs, and all of it."""
    if not console.is_terminal:
        for row in [columns, *rows] if heading else rows:
            console.file.write("\t".join(map(str, row)) + "\n")
        return
    console.print(table_of(columns, rows, free, spare, console.width, heading=heading))


def table_of(
    columns: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    free: Container[str],
    spare: Sequence[str],
    width: int,
    *,
    heading: bool = True,
) -> Table:
    """Aligned, a line for each row. Where it is too wide, columns that are free give way, but stay legible;
    then those that are spare are left out, the first of them first.
    """
    cells = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    widths = {
        column: max([cell_len(column) if heading else 0, *(row[n].cell_len for row in cells)])
        for n, column in enumerate(columns)
    }
    kept = fitted(widths, free, spare, width)
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=heading)
    for column, chosen in kept.items():
        table.add_column(column, width=chosen, no_wrap=True, overflow="ellipsis")
    for row in cells:
        table.add_row(*(cell for column, cell in zip(columns, row, strict=True) if column in kept))
    return table


def fitted(
    widths: Mapping[str, int], free: Container[str], spare: Sequence[str], width: int
) -> dict[str, int]:
    """The columns that are shown, and how wide."""
    kept = dict(widths)

    def surplus(widths: Iterable[int]) -> int:
        return sum(widths) + GAP * (len(kept) - 1) - width

    for column in spare:
        if surplus(min(wide, LEGIBLE) if name in free else wide for name, wide in kept.items()) <= 0:
            break
        kept.pop(column, None)
    for _ in range(surplus(kept.values())):
        widest = max((name for name in kept if name in free), key=kept.__getitem__, default=None)
        if widest is None or kept[widest] <= LEGIBLE:
            break
        kept[widest] -= 1
    return kept


class LogPrinter:
    """Writes pieces of logs. Colours pass to a terminal only."""

    def __init__(self, console: Console, *, with_job: bool) -> None:
        self._console = console
        self._coloured = console.color_system is not None and not console.no_color
        self._with_job = with_job
        self._open: tuple[str, str] | None = None  # job and stream of a line that has not ended
        self._attempts: dict[str, int] = {}

    def write(self, job_id: str, attempt: int, stream: str, data: str) -> None:
        """A chunk: some lines, or a piece of a long one."""
        if attempt > self._attempts.setdefault(job_id, attempt):
            self.end()
            self._say(f"{self._prefix(job_id)}--- attempt {attempt + 1} ---\n")
        self._attempts[job_id] = attempt
        for line in filter(None, NEWLINE.split(data)):
            if self._open not in (None, (job_id, stream)):
                self.end()
            start = "" if self._open else self._prefix(job_id)
            ended = line.endswith("\n")
            self._say(f"{start}{self._line(line)}{chr(10) if ended else ''}")
            self._open = None if ended else (job_id, stream)
        self._console.file.flush()

    def end(self) -> None:
        """End a line that has not ended."""
        if self._open:
            self._say("\n")
            self._open = None

    def _prefix(self, job_id: str) -> str:
        return f"{shown(job_id)} | " if self._with_job else ""

    def _line(self, line: str) -> str:
        if not self._coloured or "\x1b" not in line:
            return shown(line)
        line = line.rstrip("\r\n").rpartition("\r")[2]
        parts = [shown(part) for part in COLOUR.split(line)]
        colours = COLOUR.findall(line)
        return "".join(part for pair in zip(parts, [*colours, NO_COLOUR], strict=True) for part in pair)

    def _say(self, text: str) -> None:
        self._console.file.write(text)
