"""Bars that do not flap: what a call of each function touches, calls, writes and logs; times only as ratios.

Refresh the tables after a change that is meant to cost more or less: `python -m tests.measure` prints them
anew (half a minute, servers of its own); look at what became dearer before you paste it.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields

import pytest

from tests import measure
from tests.engine import Engine
from tests.measure import Cost

Bar = tuple[int, int]  # (measured, no more than)

# One call each, in a session whose plans were made when nothing was queued, without the making of plans.
# pages: shared buffers touched, in a database of a few rows.
# pages_full: the same with 100,000 finished jobs, 50,000 ready for other workers, 20,000 delayed.
# functions: calls of ours. writes: nested statements that write or lock. statements: all nested ones.
# wal: bytes, without the commit.
# RATIOS: processor time of the first, for as many jobs, to that of what is after the comma.
# fmt: off
# 2026-11-21, Postgres 15 and 18: the worse of each, and its bar.
COSTS: dict[str, tuple[Bar, ...]] = {
    #                               pages    pages_full   functions      writes  statements             wal
    "start, 1 job":         (    (29, 35),     (30, 36),   (13, 13),     (4, 4),   (10, 10),    (919, 1075)),
    "start, 8 jobs":        (    (50, 59),     (44, 52),   (13, 13),     (4, 4),   (10, 10),   (2177, 2459)),
    "start, by key":        (    (35, 42),     (36, 43),   (15, 15),     (4, 4),   (10, 10),   (1032, 1200)),
    "start many, 100":      ((2134, 2351), (2234, 2461), (213, 223), (103, 108), (113, 118), (88386, 97289)),
    "start many, by key":   ((2067, 2277), (2072, 2283), (363, 381),   (53, 55),   (63, 66), (52860, 58211)),
    "claim":                (    (24, 30),     (25, 31),   (17, 17),     (1, 1),     (4, 4),     (314, 410)),
    "claim, 8 lanes":       (    (53, 62),     (70, 80),   (19, 19),     (1, 1),     (9, 9),     (314, 410)),
    "claim, nothing":       (    (10, 14),     (14, 19),   (18, 18),     (2, 2),     (4, 4),        (0, 64)),
    "claim 100":            ((1597, 1760), (1789, 1966), (217, 227),     (1, 1),     (4, 4), (34128, 37605)),
    "renew":                (    (16, 21),     (17, 22),     (8, 8),     (2, 2),     (4, 4),     (279, 370)),
    "append logs":          (    (25, 31),     (27, 33),   (12, 12),     (4, 4),   (12, 12),     (384, 487)),
    "complete, run ends":   (    (31, 38),     (36, 43),   (10, 10),     (4, 4),     (8, 8),     (382, 485)),
    "complete, 1 child":    (    (46, 54),     (52, 61),   (11, 11),     (6, 6),   (11, 11),     (799, 943)),
    "complete, 6 children": (  (131, 148),   (147, 165),   (11, 11),     (6, 6),   (11, 11),   (3061, 3432)),
    "complete, last of 2":  (    (31, 38),     (36, 43),   (10, 10),     (4, 4),     (8, 8),     (382, 485)),
    "complete, run of 20":  (    (25, 31),     (29, 35),     (7, 7),     (4, 4),     (5, 5),     (391, 495)),
    "report 100":           ((4435, 4882), (5137, 5653),   (20, 21),     (5, 5),   (29, 30), (45040, 49609)),
    "release":              (    (76, 87),    (93, 106),   (20, 21),     (6, 6),   (23, 24),     (360, 461)),
    "fail, retried":        (    (43, 51),     (49, 57),   (18, 18),     (6, 6),   (19, 19),     (666, 797)),
    "fail, 7 skipped":      (  (173, 194),   (194, 217),   (28, 29),     (6, 6),   (30, 31),   (1576, 1798)),
    "cancel run":           (  (190, 211),   (222, 247),   (12, 12),   (12, 12),   (22, 23),   (1725, 1962)),
    "reap, nothing due":    (      (1, 5),       (1, 5),     (6, 6),     (0, 0),     (3, 3),        (0, 64)),
    "get run":              (   (88, 100),   (108, 122),   (16, 16),     (0, 0),   (13, 13),        (0, 64)),
}
RATIOS: dict[str, tuple[float, float]] = {
    "bare update, claim": (0.135, 0.081),
    "bare update, complete": (0.0917, 0.055),
    "claim when empty, when full": (0.995, 0.6),
    "complete when empty, when full": (0.806, 0.48),
    "claim by ones, by 100": (13.7, 8.2),
    "complete by ones, by 100": (6.52, 3.9),
}
# fmt: on


@pytest.fixture(scope="module")
def databases_measured(new_database: Callable[..., str], template: str) -> Iterator[tuple[Engine, Engine]]:
    engines = measure.prepare(new_database(template)), measure.prepare(new_database(template))
    yield engines
    for engine in engines:
        engine.close()


@pytest.fixture(scope="module")
def costs(databases_measured: tuple[Engine, Engine]) -> dict[str, Cost]:
    return measure.costs(*databases_measured)


def test_every_call_has_bars() -> None:
    assert list(COSTS) == list(measure.CALLS)


@pytest.mark.parametrize("column", [field.name for field in fields(Cost)])
def test_no_call_costs_more(costs: dict[str, Cost], column: str) -> None:
    if column == "statements" and costs["claim"].statements is None:
        pytest.skip("no auto_explain here: it comes with Debian's Postgres")

    number = [field.name for field in fields(Cost)].index(column)
    found = {name: (getattr(cost, column), COSTS[name][number][1]) for name, cost in costs.items()}
    over = {name: f"{figure}, no more than {bar}" for name, (figure, bar) in found.items() if figure > bar}
    assert not over


def test_no_call_grows_with_what_does_not_concern_it(costs: dict[str, Cost]) -> None:
    """Whatever the table says: trees may be a level deeper, no more."""
    grown = {
        name: f"{cost.pages_full} pages, {cost.pages} in an empty database"
        for name, cost in costs.items()
        if cost.pages_full > 1.3 * cost.pages + 10
    }
    assert not grown


def test_times_keep_their_ratios(databases_measured: tuple[Engine, Engine], costs: dict[str, Cost]) -> None:
    """Each the median of five interleaved rounds; no less than 0.6 of what was recorded."""
    ratios = measure.ratios(*databases_measured)

    assert list(ratios) == list(RATIOS)
    under = {name: (ratio, RATIOS[name]) for name, ratio in ratios.items() if ratio < RATIOS[name][1]}
    assert not under
