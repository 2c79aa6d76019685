"""The crash matrix in short, and that what it counts would be noticed. In full: `make chaos`."""

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.arrange import only
from tests.chaos import ARRANGE, FAULTS, Row, Told, lost_and_twice, suffer_all, told_by, world_of
from tests.engine import Engine, lease_id
from tests.postgres import program

SHORT = ("kill-worker", "kill-api", "kill-backend", "kill-postgres")
# What needs more time, or rights that not everybody has.
LONG = tuple(fault.name for fault in FAULTS if fault.name not in SHORT)


@pytest.mark.nightly
@pytest.mark.parametrize("names", [SHORT, LONG], ids=["short", "long"])
def test_what_breaks_loses_nothing_and_does_nothing_twice(server: str, names: tuple[str, ...]) -> None:
    """Everything goes on by itself, and every worker that was not killed does."""
    with world_of(str(Path(program("postgres", server)).parent), small=True) as world:
        rows = list(suffer_all(world, names, 0))
    for row in rows:
        assert not isinstance(row, Row) or row.good, row
    if skipped := [row for row in rows if isinstance(row, str)]:
        pytest.skip("; ".join(skipped))


# --- would it notice? ---


@pytest.fixture
def told(engine: Engine) -> Told:
    """A run of two jobs that is over, as its worker was told; each job has its effect."""
    engine.query(ARRANGE)
    engine.put(jobs=only("a", "b"))
    engine.start()
    told = Told(defaultdict(set), 0)
    for claim in engine.claim_many(2, worker="effects-1"):
        engine.query("insert into chaos.effects values (%s)", lease_id(claim))
        engine.complete(claim)
        told.accepted[claim["job"]["run_id"], claim["job"]["job_id"]].add("effects-1 0")
    return told


def counts(engine: Engine, told: Told, *started: str) -> tuple[list[str], list[str]]:
    return lost_and_twice(engine.connection, told, {*started})


def test_nothing_is_counted_where_nothing_is_amiss(engine: Engine, told: Told) -> None:
    (run, _) = next(iter(told.accepted))
    assert len(told.accepted) == 2
    assert counts(engine, told, run) == ([], [])


Break = Callable[[Engine, Told], object]
LOST: dict[str, Break] = {
    "an effect without its success": lambda engine, _: engine.query(
        "update chaos.effects set lease_id = regexp_replace(lease_id, '[^.]+$', repeat('0', 32))"
    ),
    "a success without its effect": lambda engine, _: engine.query("truncate chaos.effects"),
    "a job that is queued": lambda engine, _: engine.start(),
    "a run that is active": lambda engine, _: engine.start(),
    "was answered success": lambda _, told: told.accepted["no run", "a"].add("w 0"),
}
TWICE: dict[str, Break] = {
    "two effects": lambda engine, _: engine.query(
        "insert into chaos.effects select lease_id from chaos.effects limit 1"
    ),
    "two successes": lambda engine, _: engine.query(
        "insert into chaos.ends select run_id, job_no, worker_id from chaos.ends limit 1"
    ),
    "two attempts were answered success": lambda _, told: next(iter(told.accepted.values())).add("w 1"),
}


@pytest.mark.parametrize("what", LOST)
def test_what_is_lost_is_counted(engine: Engine, told: Told, what: str) -> None:
    LOST[what](engine, told)
    assert any(line.startswith(what) for line in counts(engine, told)[0])


@pytest.mark.parametrize("what", TWICE)
def test_what_is_done_twice_is_counted(engine: Engine, told: Told, what: str) -> None:
    TWICE[what](engine, told)
    assert any(line.startswith(what) for line in counts(engine, told)[1])


def test_a_start_that_was_answered_and_is_not_there_is_lost(engine: Engine, told: Told) -> None:
    assert counts(engine, told, "no run")[0] == ["was answered started: no run"]


def test_ledgers_and_logs_of_workers_say_what_they_were_told(tmp_path: Path) -> None:
    ledger, log = tmp_path / "effects-1", tmp_path / "http-2"
    ledger.write_text("accepted r a 0\nfenced r b 0\naccepted r b 1\n")
    ended = {"run_id": "r", "attempt": 0, "message": "ended"}
    lines = [
        {"message": "claiming"},
        {**ended, "job_id": "c", "outcome": "success"},
        {**ended, "job_id": "d", "outcome": "lease lost, report refused"},
    ]
    log.write_text("\n".join(map(json.dumps, lines)) + '\n{"outcome": "succ')

    told = told_by([ledger], [log])
    assert told.accepted == {
        ("r", "a"): {"effects-1 0"},
        ("r", "b"): {"effects-1 1"},
        ("r", "c"): {"http-2 0"},
    }
    assert told.fenced == 2
