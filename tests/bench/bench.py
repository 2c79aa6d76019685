"""Runs the rows, round by round: the floor, then each measure of the row, and again."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from statistics import median
from typing import Any

from tests.bench.cluster import Cluster
from tests.bench.floor import Floor
from tests.bench.row import Figure, Goal, Line, Options, Row

Round = Mapping[str, Figure | None]


def run_rows(
    cluster: Cluster, kinds: Sequence[type[Row]], options: Options, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Measure the rows, one after the other."""
    floor = Floor(cluster, options)
    floor.prepare()
    try:
        return [run_row(cluster, kind(cluster, options), floor, say) for kind in kinds]
    finally:
        floor.clean_up()


def run_row(cluster: Cluster, row: Row, floor: Floor, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure a row, interleaved with the floor. Figures are medians, ratios those of the rounds' ratios."""
    rounds: list[Round] = []
    try:
        row.prepare()
        measures = {**(floor.measures() if row.has_floor else {}), **row.measures()}
        for n in range(row.rounds):
            say(f"{row.name}: round {n + 1} of {row.rounds}")
            rounds.append({name: measured(cluster, measure) for name, measure in measures.items()})
    finally:
        row.clean_up()

    return {
        "name": row.name,
        "lines": [summary(line, rounds) for line in row.lines()],
        "rounds": [{name: figure and asdict(figure) for name, figure in each.items()} for each in rounds],
        "notes": row.notes,
    }


def measured(cluster: Cluster, measure: Callable[[], Figure | None]) -> Figure | None:
    cluster.fsync_ms()
    figure = measure()
    return figure and replace(figure, fsync_ms=cluster.fsync_ms())


def summary(line: Line, rounds: list[Round]) -> dict[str, Any]:
    """A line of the table."""
    result = {
        "name": line.name,
        "what": line.what,
        "against_what": line.against_what,
        "unit": line.unit,
        "figure": middle(rounds, line.figure),
        "against": middle(rounds, line.against),
        "floor": middle(rounds, "floor"),
        "ratio": ratio(rounds, line.figure, line.against),
        "floor_ratio": ratio(rounds, line.figure, "floor"),
    }
    return {**result, "goals": [judged(goal, result) for goal in line.goals]}


def middle(rounds: list[Round], name: str) -> dict[str, float | None] | None:
    """The medians of what was measured; None when it was not."""
    figures = [figure for each in rounds if (figure := each.get(name))]
    if not figures:
        return None

    known = {
        field.name: [value for figure in figures if (value := getattr(figure, field.name)) is not None]
        for field in fields(Figure)
    }
    return {name: median(values) if values else None for name, values in known.items()}


def ratio(rounds: list[Round], name: str, to: str) -> float | None:
    """The median of the rounds' ratios of one measure to another."""
    ratios = [a.value / b.value for each in rounds if (a := each.get(name)) and (b := each.get(to))]
    return median(ratios) if ratios else None


def judged(goal: Goal, line: Mapping[str, Any]) -> dict[str, Any]:
    """A goal, how far the line went towards it (from 1 on it is met), and whether it got there."""
    sources = {
        "": line["figure"] and line["figure"]["value"],
        "against": line["ratio"],
        "floor": line["floor_ratio"],
    }
    value = sources[goal.to]
    if value is None:
        share = None
    elif goal.at_most:
        share = goal.bound / value if value else float("inf")
    else:
        share = value / goal.bound
    met = None if share is None else share >= 1
    return {"goal": goal_text(goal), "share": share if share != float("inf") else None, "met": met}


def goal_text(goal: Goal) -> str:
    bound = f"{goal.bound:,.0f}" if goal.bound >= 100 else f"{goal.bound:g}"
    to = {"": "", "against": " of it", "floor": " of floor"}[goal.to]
    return f"{'≤' if goal.at_most else '≥'} {bound}{to}"


# --- the table ---

HEAD = (
    *("row", "figure", "", "", "against", "", "ratio", "floor", "of floor", "goal", "reached", ""),
    *("CPU µs", "against", "floor", "ms/fsync", "floor"),
)
TEXT = {0, 1, 3, 4, 9, 11}  # columns that begin at the left


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """All lines; one with two goals goes on in the next."""
    lines = [HEAD, *(line for row in rows for each in row["lines"] for line in cells(each))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if n in TEXT else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def cells(line: Mapping[str, Any]) -> list[tuple[str, ...]]:
    figure, against, floor = (line[what] or {} for what in ("figure", "against", "floor"))
    goals = [goal_cells(goal) for goal in line["goals"]] or [("", "", "")]
    first = (
        line["name"],
        line["what"],
        number(figure.get("value")) or "none",
        line["unit"],
        line["against_what"],
        number(against.get("value")),
        number(line["ratio"], 2),
        number(floor.get("value")),
        number(line["floor_ratio"], 2),
        *goals[0],
        number(figure.get("cpu_us")),
        number(against.get("cpu_us")),
        number(floor.get("cpu_us")),
        number(figure.get("fsync_ms"), 2),
        number(floor.get("fsync_ms"), 2),
    )
    blank = ("",) * 9, ("",) * 5
    return [first, *((*blank[0], *goal, *blank[1]) for goal in goals[1:])]


def goal_cells(goal: Mapping[str, Any]) -> tuple[str, str, str]:
    """The goal, the share of it that was reached, and a word."""
    word = {None: "not measured", True: "", False: "MISSED"}[goal["met"]]
    return goal["goal"], number(goal["share"], 2), word


def number(value: float | None, digits: int | None = None) -> str:
    """With three digits or so, unless it says how many come after the point."""
    if value is None:
        return ""
    if digits is None:
        digits = 0 if value >= 100 or value == 0 else 2
    return f"{value:,.{digits}f}"
