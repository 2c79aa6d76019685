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

# One call each, in a session whose plans were made when nothing was queued.
# pages: shared buffers touched, in a database of a few rows.
# pages_full: the same with 100,000 finished jobs, 50,000 ready for other workers, 20,000 delayed.
# functions: calls of ours. writes: nested statements that write or lock. statements: all nested ones.
# wal: bytes, without the commit.
# RATIOS: processor time of the first, for as many jobs, to that of what is after the comma.
# fmt: off
# 2026-11-21, Postgres 15 and 18: the worse of each, and its bar.
COSTS: dict[str, tuple[Bar, ...]] = {
    #                               pages      pages_full   functions    writes  statements             wal
    "start, 1 job":         (    (39, 46),       (40, 47),   (18, 18),   (4, 4),   (17, 17),    (919, 1075)),
    "start, 8 jobs":        (    (60, 69),       (54, 63),   (18, 18),   (4, 4),   (17, 17),   (2177, 2459)),
    "start, by key":        (    (42, 50),       (43, 51),   (19, 19),   (4, 4),   (17, 17),   (1032, 1200)),
    "start many, 100":      ((2520, 2775),   (2528, 2784), (213, 223), (103, 108), (113, 118), (88362, 97263)),
    "start many, by key":   ((2468, 2718),   (2471, 2722), (463, 486), (53, 55), (163, 171), (52948, 58307)),
    "claim":                (    (27, 33),       (28, 34),   (26, 27),   (1, 1),   (10, 10),     (314, 410)),
    "claim, 8 lanes":       (    (57, 66),       (66, 76),   (26, 27),   (1, 1),   (14, 14),     (314, 410)),
    "claim, nothing":       (    (10, 14),       (11, 16),   (20, 21),   (1, 1),   (10, 10),        (0, 64)),
    "claim 100":            ((1546, 1704),   (1744, 1922), (620, 651),   (1, 1),   (10, 10), (34490, 38003)),
    "renew":                (    (16, 21),       (17, 22),     (8, 8),   (2, 2),     (4, 4),     (278, 370)),
    "append logs":          (    (25, 31),       (27, 33),   (12, 12),   (4, 4),   (12, 12),     (384, 487)),
    "complete, run ends":   (    (45, 53),       (52, 61),   (22, 23),   (4, 4),   (21, 22),     (436, 544)),
    "complete, 1 child":    (    (61, 71),       (69, 79),   (26, 27),   (6, 6),   (26, 27),    (853, 1003)),
    "complete, 6 children": (  (161, 181),     (179, 200),   (36, 37),   (6, 6),   (26, 27),   (3115, 3491)),
    "complete, last of 2":  (    (45, 53),       (52, 61),   (22, 23),   (4, 4),   (21, 22),     (436, 544)),
    "complete, run of 20":  (    (40, 47),       (46, 54),   (19, 19),   (5, 5),   (19, 19),     (542, 661)),
    "report 100":           ((5372, 5913),   (6266, 6896), (418, 438),   (5, 5), (327, 343), (73598, 81022)),
    "release":              (    (76, 87),      (93, 106),   (20, 21),   (6, 6),   (23, 24),     (360, 461)),
    "fail, retried":        (    (43, 51),       (49, 57),   (18, 18),   (6, 6),   (19, 19),     (666, 797)),
    "fail, 7 skipped":      (  (175, 196),     (196, 219),   (28, 29),   (6, 6),   (29, 30),   (1576, 1798)),
    "cancel run":           (  (201, 225),     (230, 256),   (13, 13), (12, 12),   (22, 23),   (1640, 1869)),
    "reap, nothing due":    (      (2, 6),         (1, 5),     (6, 6),   (0, 0),     (3, 3),        (0, 64)),
    "get run":              (   (95, 108),     (115, 130),   (16, 16),   (0, 0),   (13, 13),        (0, 64)),
}
RATIOS: dict[str, tuple[float, float]] = {
    "bare update, claim": (0.115, 0.069),
    "bare update, complete": (0.0473, 0.028),
    "claim when empty, when full": (1.04, 0.62),
    "complete when empty, when full": (0.884, 0.53),
    "claim by ones, by 100": (16.3, 9.8),
    "complete by ones, by 100": (10.3, 6.2),
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
