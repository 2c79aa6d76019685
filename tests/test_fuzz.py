"""Whatever is sent, to whatever function: an answer or a documented error, soon, and nothing half done."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from tests.arrange import chain, fan, join, only
from tests.conftest import Databases
from tests.engine import Engine, lease_id
from tests.fuzz import NASTY, Target, calls, sample

# So many hostile values of each function every day; all of them at night.
DAILY = 80


@pytest.fixture(scope="module")
def target(databases: Databases, template: str) -> Iterator[Target]:
    dsn = databases.make(template)
    target = Target(dsn)
    before = target.checksum()
    yield target
    after = target.checksum()
    target.engine.close()
    databases.discard(dsn)
    assert after == before, "something was left half done"


def test_every_function_has_values_of_its_arguments(target: Target) -> None:
    """One that is new, or has a new argument, must be attacked too: here it asks for values."""
    assert len(target.functions) >= 35
    for function in target.functions.values():
        assert set(function.arguments.values()) <= set(NASTY), f"{function.name}: a type without values"
        assert target.call(function, target.right(function)) is None


def one_thing_wrong(target: Target, count: int | None) -> list[str]:
    objections = []
    for function in target.functions.values():
        right = target.right(function)
        before = target.checksum()
        for name, title, make in sample(list(target.one_wrong(function)), function.name, count):
            objection = target.call(function, {**right, name: make()}, wrong=name)
            if objection:
                objections.append(f"{function.name}, {name} {title}: {objection}")
        assert target.checksum() == before, function.name
    return objections


def test_one_hostile_argument_is_answered_or_refused_by_its_name(target: Target) -> None:
    objections = one_thing_wrong(target, DAILY)
    assert not objections, "\n".join(objections)


@pytest.mark.nightly
def test_every_hostile_argument_is_answered_or_refused_by_its_name(target: Target) -> None:
    objections = one_thing_wrong(target, None)
    assert not objections, "\n".join(objections)


@hypothesis.given(st.data())
def test_anything_is_answered_or_refused(target: Target, data: st.DataObject) -> None:
    function, arguments = data.draw(calls(target))
    assert target.call(function, arguments) is None


# --- big graphs ---

# Seconds for each call: about five times what it took on two cores that a dozen busy processes shared.
LIMITS = {
    "wfg_put_workflow": 60,
    "wfg_get_workflow": 8,
    "wfg_start_run": 3,
    "wfg_get_run": 12,
    "wfg_get_status": 6,
    "wfg_cancel_run": 15,
    "wfg_claim_jobs": 20,
    "wfg_report_jobs": 8,
    "wfg_fail_job": 8,
    "wfg_check": 25,
}

BIG: dict[str, Callable[[], dict[str, Any]]] = {
    "fan": lambda: fan(9_999),
    "join": lambda: join(9_999),
    "chain": lambda: chain(5_000),
    "flat": lambda: only(*(f"j{number}" for number in range(10_000))),
}


class Timed:
    """Calls that must be answered within their limits."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __call__(self, function: str, **params: Any) -> Any:
        start = time.perf_counter()
        answer = self.engine.call(function, **params)
        seconds = time.perf_counter() - start
        assert seconds < LIMITS[function], f"{function} took {seconds:.1f} s"
        return answer

    def claims(self) -> list[dict[str, Any]]:
        return self("wfg_claim_jobs", p_worker_id="w1", p_labels=[], p_limit=1000)

    def states(self, run_id: str) -> dict[str, int]:
        """How many jobs in which state, and that of the run."""
        run = self("wfg_get_run", p_run_id=run_id)
        states = [job["state"] for job in run["jobs"]]
        return {"run is " + run["state"]: 1, **{state: states.count(state) for state in set(states)}}

    def drive(self, steps: int) -> int:
        """Claim and complete, so many times or until there is nothing; how many jobs."""
        done = 0
        for _ in range(steps):
            claims = self.claims()
            if not claims:
                break
            reports = [{"lease_id": lease_id(claim), "outcome": "success"} for claim in claims]
            answers = self("wfg_report_jobs", p_reports=reports, p_strict=True)
            done += len(answers)
        return done


@pytest.mark.parametrize(
    ("shape", "steps"),
    [
        pytest.param("fan", 20, marks=pytest.mark.nightly),
        ("chain", 100),
        pytest.param("join", 20, marks=pytest.mark.nightly),
        pytest.param("flat", 20, marks=pytest.mark.nightly),
        pytest.param("chain", 5_001, marks=pytest.mark.nightly),
    ],
)
def test_big_graph_runs_fails_and_is_cancelled_within_its_time(
    engine: Engine, shape: str, steps: int
) -> None:
    """Each call on 10,000 jobs, or 5,000 in a row, has its limit."""
    call = Timed(engine)
    jobs = BIG[shape]()
    put = call("wfg_put_workflow", p_workflow_id="big", p_definition={"jobs": jobs})
    assert put["version"] == 1
    assert call("wfg_put_workflow", p_workflow_id="big", p_definition={"jobs": jobs})["changed"] is False
    assert len(call("wfg_get_workflow", p_workflow_id="big")["jobs"]) == len(jobs)

    # To the end, or some way.
    run_id = call("wfg_start_run", p_workflow_id="big")["run_id"]
    done = call.drive(steps)
    if done < len(jobs):
        assert done == steps
        assert call("wfg_cancel_run", p_run_id=run_id)["run"] == "cancelled"
        assert call.states(run_id) == {"run is cancelled": 1, "success": done, "cancelled": len(jobs) - done}
    else:
        assert call.states(run_id) == {"run is success": 1, "success": len(jobs)}

    # The first job fails: all that depends on it is skipped in that call.
    run_id = call("wfg_start_run", p_workflow_id="big")["run_id"]
    root = engine.claim()
    call("wfg_fail_job", p_lease_id=lease_id(root), p_error="boom")
    states = call.states(run_id)
    assert states["failure"] == 1
    if shape in ("fan", "chain"):
        assert states == {"run is failure": 1, "failure": 1, "skipped": len(jobs) - 1}
    assert call("wfg_cancel_run", p_run_id=run_id)["run"] in ("failure", "cancelled")

    # All of it cancelled.
    run_id = call("wfg_start_run", p_workflow_id="big")["run_id"]
    assert call("wfg_cancel_run", p_run_id=run_id)["run"] == "cancelled"
    assert call.states(run_id) == {"run is cancelled": 1, "cancelled": len(jobs)}
    assert len(call("wfg_get_status", p_workflow_id=run_id)["jobs"]) == len(jobs)
    assert call("wfg_check", p_all=True) == []
