"""Runs the rows, round by round: floor, figure, what it stands against, and again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from statistics import median
from typing import Any

from tests.bench.cluster import Cluster
from tests.bench.rows import Floor, Options, Rate, Row


def run_row(
    cluster: Cluster, kind: type[Row], options: Options, say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure a row, interleaved with its floor. Figures are medians, ratios those of the rounds' ratios."""
    row, floor = kind(cluster, options), Floor(cluster, options)
    rounds: list[dict[str, Rate | None]] = []
    try:
        row.prepare()
        floor.prepare()
        for n in range(row.rounds):
            say(f"{row.name}: round {n + 1} of {row.rounds}")
            measures = {"floor": floor.figure, "figure": row.figure, "against": row.against}
            rounds.append({what: measured(cluster, measure) for what, measure in measures.items()})
    finally:
        row.clean_up()
        floor.clean_up()

    return {
        "name": row.name,
        "what": row.what.format(**asdict(options)),
        "against_what": row.against_what,
        "unit": row.unit,
        **{what: middle(rounds, what) for what in ("figure", "against", "floor")},
        "ratio": ratio(rounds, "against"),
        "floor_ratio": ratio(rounds, "floor"),
        "goal": row.goal,
        "rounds": [{what: rate and asdict(rate) for what, rate in each.items()} for each in rounds],
        "notes": row.notes,
    }


def measured(cluster: Cluster, measure: Callable[[], Rate | None]) -> Rate | None:
    cluster.fsync_ms()
    rate = measure()
    return rate and replace(rate, fsync_ms=cluster.fsync_ms())


def middle(rounds: Sequence[Mapping[str, Rate | None]], what: str) -> dict[str, float | None] | None:
    """The medians of what was measured; None when it was not."""
    rates = [rate for each in rounds if (rate := each[what])]
    if not rates:
        return None

    known = {
        field.name: [value for rate in rates if (value := getattr(rate, field.name)) is not None]
        for field in fields(Rate)
    }
    return {name: median(values) if values else None for name, values in known.items()}


def ratio(rounds: Sequence[Mapping[str, Rate | None]], to: str) -> float | None:
    """The median of the rounds' ratios of the figure to something else."""
    ratios = [a.per_sec / b.per_sec for each in rounds if (a := each["figure"]) and (b := each[to])]
    return median(ratios) if ratios else None


# --- the table ---

HEAD = (
    *("row", "figure", "per s", "against", "per s", "ratio", "floor", "of floor", "goal"),
    *("CPU µs", "against", "floor", "ms/fsync", "floor"),
)
TEXT = {0, 1, 3}  # columns that begin at the left


def table(results: list[dict[str, Any]]) -> str:
    lines = [HEAD, *(cells(result) for result in results)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if n in TEXT else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def cells(result: dict[str, Any]) -> tuple[str, ...]:
    goal = number(result["goal"], 2)
    figure, against, floor = result["figure"], result["against"], result["floor"]
    return (
        result["name"],
        result["what"],
        number(figure["per_sec"]),
        result["against_what"],
        number(against and against["per_sec"]),
        number(result["ratio"], 2),
        number(floor["per_sec"]),
        number(result["floor_ratio"], 2),
        goal if result["against_what"] or not goal else f"{goal} of floor",
        number(figure["cpu_us"]),
        number(against and against["cpu_us"]),
        number(floor["cpu_us"]),
        number(figure["fsync_ms"], 2),
        number(floor["fsync_ms"], 2),
    )


def number(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
