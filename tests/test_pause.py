"""Pausing a workflow, labels, everything: nothing of it is handed out, nothing is forgotten."""

import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests import bulk
from tests.arrange import START, after, cancel, drain, incompressible, ms, only, run_workflow
from tests.engine import Engine, lease_id
from tests.sessions import in_background, race, sessions, wait_until_blocked


def pause(engine: Engine, workflow_id: str = "wf", **params: Any) -> dict[str, Any]:
    return engine.call("wfg_pause_workflow", p_workflow_id=workflow_id, **params)


def resume(engine: Engine, workflow_id: str = "wf") -> bool:
    return engine.call("wfg_resume_workflow", p_workflow_id=workflow_id)["resumed"]


def pause_labels(engine: Engine, *labels: str) -> dict[str, Any]:
    return engine.call("wfg_pause_labels", p_labels=list(labels))


def resume_labels(engine: Engine, *labels: str) -> bool:
    return engine.call("wfg_resume_labels", p_labels=list(labels))["resumed"]


def claimed(engine: Engine, *labels: str) -> str | None:
    claim = engine.claim(labels=labels)
    return claim and f"{claim['job']['workflow_id']}/{claim['job']['job_id']}"


def aside(engine: Engine) -> int:
    return engine.query("select count(*) from wfg.queue where lane_id < 0")[0]["count"]


@pytest.fixture
def two(engine: Engine) -> Engine:
    """Two workflows that share a lane, each with a run of the workflow door; `wf` is first in the queue."""
    engine.set_now(START)
    for name in ("wf", "other"):
        engine.put(name, jobs={**only("a", retries=1), **only("b", needs=["a"])})
        run_workflow(engine, name)
        engine.advance(1)
    return engine


# --- a workflow ---


def test_jobs_of_a_paused_workflow_wait_and_others_go_on(two: Engine):
    pause(two)
    assert [claimed(two), claimed(two)] == ["other/a", None]
    assert two.jobs("wf") == {"a": "queued", "b": "queued"}
    assert resume(two)
    assert [claimed(two), claimed(two)] == ["wf/a", None]


def test_what_runs_may_end_and_what_follows_waits(two: Engine):
    claim = two.claim()
    pause(two)
    assert two.complete(claim, {"x": "1"}) == {"job": "success", "run": "running"}
    assert [claimed(two), claimed(two)] == ["other/a", None]
    resume(two)
    assert claimed(two) == "wf/b"


@pytest.mark.parametrize("end", ["fail", "release", "lost"])
def test_what_is_queued_again_waits(two: Engine, end: str):
    claim = two.claim()
    pause(two)
    if end == "fail":
        two.fail(claim, retryable=True)
    elif end == "release":
        two.call("wfg_release_job", p_lease_id=lease_id(claim))
    else:
        two.advance(31)
        assert two.call("wfg_reap")["retried"] == 1
    assert [claimed(two), claimed(two)] == ["other/a", None]
    resume(two)
    assert claimed(two) == "wf/a"


def test_runs_of_a_paused_workflow_are_started_and_wait(two: Engine):
    pause(two)
    drain(two)
    run = two.start()
    two.call("wfg_start_runs", p_workflow_id="wf", p_runs=[{}] * 20)
    assert claimed(two) is None
    assert two.state(run) == "queued"
    resume(two)
    assert len(drain(two)) == 22 * 2


def test_a_pause_holds_for_versions_that_come_later(two: Engine):
    pause(two)
    two.put("wf", jobs=only("new"))
    two.start()
    assert [claimed(two), claimed(two)] == ["other/a", None]


def test_a_delayed_job_waits_when_its_time_comes(two: Engine):
    drain(two)
    two.start(start_at=after(100))
    pause(two)
    two.set_now(after(101))
    assert claimed(two) is None
    resume(two)
    assert claimed(two) is not None


def test_jobs_put_aside_come_back_in_their_old_places(two: Engine):
    drain(two)
    first = two.start()
    two.advance(1)
    run_workflow(two, "other")
    pause(two)
    assert aside(two) == 1
    two.advance(100)
    assert claimed(two) == "other/a"  # which sets the mark of the lane
    run_workflow(two, "wf")
    two.advance(1)
    resume(two)
    (again,) = two.claim_many(1)
    assert again["lease"]["run_id"] == first
    assert again["job"]["enqueued_at_ms"] == ms(after(2))
    assert aside(two) == 0


def test_jobs_put_aside_can_be_cancelled(two: Engine):
    pause(two)
    assert aside(two) == 1
    assert cancel(two, "wf")["run"] == "cancelled"
    resume(two)
    assert len(drain(two)) == 2


def test_a_held_job_is_let_go_though_it_was_put_aside(two: Engine):
    two.claim()
    cancel(two, "wf")
    run_workflow(two, "wf")  # its `a` is held for 30 s by the cancelled lease
    drain(two)
    pause(two)
    two.advance(20)
    assert aside(two) == 0
    two.advance(11)
    assert claimed(two) is None
    assert aside(two) == 1
    resume(two)
    assert claimed(two) == "wf/a"


def test_many_jobs_queued_after_the_pause_are_passed_by_one_claim(two: Engine):
    drain(two)
    pause(two)
    two.call("wfg_start_runs", p_workflow_id="wf", p_runs=[{}] * 1500)
    two.advance(1)
    run_workflow(two, "other")
    assert claimed(two) == "other/a"
    assert aside(two) >= 1500
    resume(two)
    assert len(drain(two)) == 3000


@pytest.mark.parametrize("count", [1, 3, 30])
def test_claims_of_many_lanes_and_many_jobs_pass_paused_ones(engine: Engine, count: int):
    engine.set_now(START)
    names = [f"l{n}" for n in range(20)]
    for name in ("wf", "other"):
        engine.put(name, jobs={n: {"run": "true", "labels": [n]} for n in names})
        engine.start(name)
        engine.advance(1)
    pause(engine)
    engine.start("wf")
    labels = names[: max(2, count)]
    claims = engine.claim_many(count, labels=labels)
    assert len(claims) == min(count, 20)
    other = {row["id"] for row in engine.query("select id::text from wfg.runs where workflow_id = 'other'")}
    assert {claim["lease"]["run_id"] for claim in claims} == other
    while engine.claim_many(count, labels=labels):
        pass
    resume(engine)
    assert len(drain(engine, labels=names)) == 2 * 20 + 20 - len(labels)


def test_a_higher_priority_lane_is_not_passed_over_for_its_paused_head(engine: Engine):
    engine.set_now(START)
    engine.put("wf", jobs={"a": {"run": "true", "priority": 5}})
    engine.put("other", jobs={"a": {"run": "true", "priority": 5}, "b": {"run": "true"}})
    pause(engine)
    run_workflow(engine, "wf")
    engine.advance(1)
    run_workflow(engine, "other")
    assert [claimed(engine) for _ in range(3)] == ["other/a", "other/b", None]


# --- labels, everything, and all together ---


def test_paused_labels_hold_back_every_job_that_requires_them_all(engine: Engine):
    engine.set_now(START)
    engine.put(
        jobs={
            "none": {"run": "true"},
            "x": {"run": "true", "labels": ["x"]},
            "both": {"run": "true", "labels": ["y", "x"]},
            "more": {"run": "true", "labels": ["x", "y", "z"]},
        }
    )
    engine.start()
    assert pause_labels(engine, "y", "x", "y")["labels"] == ["x", "y"]
    assert sorted(drain(engine, labels=["x", "y", "z"])) == ["none", "x"]
    assert resume_labels(engine, "x", "y")
    assert sorted(drain(engine, labels=["x", "y", "z"])) == ["both", "more"]


@pytest.mark.parametrize("freezes", [False, True])
def test_lanes_and_label_sets_that_come_later_respect_pauses(engine: Engine, freezes: bool):
    engine.set_now(START)
    engine.call("wfg_freeze") if freezes else pause_labels(engine, "x")
    engine.claim(labels=["x"])
    engine.put(jobs={"a": {"run": "true", "labels": ["x"]}})
    engine.start()
    assert engine.claim(labels=["x"]) is None
    assert engine.claim(labels=["x", "y"]) is None
    engine.check()
    assert engine.call("wfg_thaw")["thawed"] is freezes
    assert resume_labels(engine, "x") is not freezes
    assert engine.claim(labels=["x", "y"]) is not None


def test_frozen_hands_out_nothing_though_work_goes_on(two: Engine):
    claim = two.claim()
    two.call("wfg_freeze")
    assert two.claim_many(10) == []
    two.complete(claim)
    two.start()
    assert two.claim_many(10) == []
    assert two.call("wfg_thaw") == {"thawed": True}
    assert len(drain(two)) == 1 + 2 + 2


def test_pauses_compose(two: Engine):
    """Each alone keeps the job from being handed out; whichever ends last lets it go."""
    drain(two)
    two.put("wf", jobs={"a": {"run": "true", "labels": ["x", "y"]}})
    two.start()
    ways: dict[str, tuple[Callable[[], Any], Callable[[], bool]]] = {
        "workflow": (lambda: pause(two), lambda: resume(two)),
        "x": (lambda: pause_labels(two, "x"), lambda: resume_labels(two, "x")),
        "x, y": (lambda: pause_labels(two, "x", "y"), lambda: resume_labels(two, "x", "y")),
        "all": (lambda: two.call("wfg_freeze"), lambda: two.call("wfg_thaw")["thawed"]),
    }
    for last in ways:
        for begin, _ in ways.values():
            begin()
        for name in sorted(ways, key=last.__eq__):
            assert two.claim(labels=["x", "y"]) is None
            two.check()
            end = ways[name][1]
            assert [end(), end()] == [True, False]
        claim = two.claim(labels=["x", "y"])
        two.check()
        two.call("wfg_release_job", p_lease_id=lease_id(claim))


def test_pausing_again_answers_the_first_pause(two: Engine):
    first = pause(two, p_paused_by="me", p_reason="a bad release")
    assert first == {
        "kind": "workflow",
        "workflow_id": "wf",
        "labels": None,
        "paused_at_ms": ms(after(2)),
        "paused_by": "me",
        "reason": "a bad release",
    }
    two.advance(1)
    assert pause(two, p_paused_by="you") == first
    frozen = two.call("wfg_freeze", p_frozen_by="me")
    two.advance(1)
    assert two.call("wfg_freeze", p_reason="again") == frozen
    assert two.call("wfg_list_pauses") == {"items": [first, frozen], "next_cursor": None}
    page = two.call("wfg_list_pauses", p_limit=1)
    assert page["items"] == [first]
    assert two.call("wfg_list_pauses", p_cursor=page["next_cursor"])["items"] == [frozen]


def test_refusals(two: Engine):
    for function in ("wfg_pause_workflow", "wfg_resume_workflow"):
        two.fails(function, status=404, slug="workflow_not_found", p_workflow_id="none")
        two.fails(function, status=422, slug="invalid_request", p_workflow_id=None)
    for function in ("wfg_pause_labels", "wfg_resume_labels"):
        for labels in (
            [],
            '"x"',
            [1],
            ["", "x"],
            None,
            [str(n) for n in range(21)],
            [f"{n}{'ä' * 199}" for n in range(6)],
        ):
            two.fails(function, status=422, slug="invalid_request", p_labels=labels)
    longest = sorted(incompressible(20, 95))
    assert pause_labels(two, *longest)["labels"] == longest
    for cursor in ("x", "-1", "9999999999"):
        two.fails("wfg_list_pauses", status=422, slug="invalid_request", p_cursor=cursor)
    two.fails("wfg_freeze", status=422, slug="invalid_request", p_frozen_by="")


def test_a_deleted_workflow_whose_runs_go_on_can_be_paused(two: Engine):
    two.call("wfg_delete_workflow", p_workflow_id="wf")
    pause(two)
    assert [claimed(two), claimed(two)] == ["other/a", None]
    assert resume(two)
    assert claimed(two) == "wf/a"


# --- why it waits ---


def test_run_job_and_workflow_say_what_they_wait_for(two: Engine):
    two.put(
        "wf", jobs={"a": {"run": "true", "labels": ["x"]}, "b": {"run": "true", "needs": ["a"]}, **only("c")}
    )
    run = two.start()
    claim = next(c for c in two.claim_many(10) if c["lease"]["run_id"] == run)
    assert claim["lease"]["job_id"] == "c"

    def paused() -> list[str | None]:
        detail = two.call("wfg_get_run", p_run_id=run)
        (listed,) = [r for r in two.call("wfg_list_runs")["items"] if r["run_id"] == run]
        assert listed["paused"] == detail["paused"]
        for job in detail["jobs"]:
            found = two.call("wfg_get_job", p_run_id=run, p_job_id=job["job_id"])
            assert found["job"]["paused"] == job["paused"]
        workflow = two.call("wfg_get_workflow", p_workflow_id="wf")
        return [workflow["paused"], detail["paused"], *(job["paused"] for job in detail["jobs"])]

    assert paused() == [None] * 5
    pause_labels(two, "x")
    assert paused() == [None, None, "labels", None, None]
    pause(two)
    assert paused() == ["workflow", "workflow", "workflow", None, None]
    two.call("wfg_freeze")
    assert paused() == ["all", "all", "all", None, None]
    cancel(two, run)
    assert paused() == ["all", None, None, None, None]


# --- at the same time ---


@pytest.mark.parametrize("kind", ["start", "cascade", "release"])
def test_what_was_queued_before_the_pause_and_is_committed_after_it_waits(
    two: Engine, connect: Any, kind: str
):
    late = connect()
    late.set_now(two.now())
    claim = two.claim()
    drain(two)
    late.query("begin")
    if kind == "start":
        late.start()
    elif kind == "cascade":
        late.complete(claim)
    else:
        late.call("wfg_release_job", p_lease_id=lease_id(claim))
    pause(two)
    assert claimed(two) is None
    late.query("commit")
    assert claimed(two) is None
    assert aside(two) == 1
    resume(two)
    assert claimed(two) is not None


@pytest.mark.parametrize("kind", ["start", "cascade"])
def test_what_was_queued_before_the_resumption_and_is_committed_after_it_is_found(
    two: Engine, connect: Any, kind: str
):
    late = connect()
    late.set_now(two.now())
    claim = two.claim()
    drain(two)
    pause(two)
    late.query("begin")
    if kind == "start":
        late.start()
    else:
        late.complete(claim)
    resume(two)
    assert claimed(two) is None
    late.query("commit")
    assert claimed(two) is not None


def test_a_job_that_was_locked_when_the_pause_came_waits(two: Engine, connect: Any):
    """A claim under way has it; its transaction is undone."""
    other = connect()
    other.set_now(two.now())
    two.call("wfg_release_job", p_lease_id=lease_id(two.claim()))  # the label set is known now
    other.query("begin")
    assert claimed(other) == "wf/a"
    pause(two)  # does not wait
    assert aside(two) == 0
    other.query("rollback")
    assert [claimed(two), claimed(two)] == ["other/a", None]
    assert aside(two) == 1


def test_resuming_waits_for_a_claim_that_put_jobs_aside(two: Engine, connect: Any):
    other = connect()
    other.set_now(two.now())
    drain(two)
    pause(two)
    two.start()
    other.query("begin")
    assert claimed(other) is None
    assert aside(other) == 1
    with in_background(resume, two) as resumed:
        wait_until_blocked(connect(), two, by=other)
        other.query("commit")
        assert resumed.result() is True
    assert claimed(two) is not None


def test_resuming_waits_for_a_cancellation_and_keeps_the_job_when_that_is_undone(two: Engine, connect: Any):
    other = connect()
    other.set_now(two.now())
    pause(two)
    other.query("begin")
    cancel(other, "wf")
    with in_background(resume, two) as resumed:
        wait_until_blocked(connect(), two, by=other)
        other.query("rollback")
        assert resumed.result() is True
    assert claimed(two) == "wf/a"


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_an_old_snapshot_hands_out_nothing(two: Engine, connect: Any, level: str):
    other = connect()
    other.set_now(two.now())
    two.claim(labels=["known"])
    two.call("wfg_run_workflow", p_workflow_id="wf")
    for step, undo in (
        (lambda: two.call("wfg_freeze"), lambda: two.call("wfg_thaw")),
        (lambda: pause(two, "other"), lambda: resume(two, "other")),
    ):
        other.query(f"begin isolation level {level}")
        other.query("select 1")
        step()
        with pytest.raises(Exception, match="could not serialize"):
            claimed(other, "known")
        other.query("rollback")
        undo()


def test_resuming_under_an_old_snapshot_is_refused(two: Engine):
    pause(two)
    two.query("begin isolation level repeatable read")
    diag = two.fails("wfg_resume_workflow", status=422, slug="invalid_request", p_workflow_id="wf")
    assert diag.message_detail.startswith("transaction_isolation: ")
    two.query("rollback")


def test_waiting_claims_are_woken(two: Engine, listener: Callable[[], list[tuple[str, str]]]):
    two.put("x", jobs={"a": {"run": "true", "labels": ["x"]}})
    lanes = [row["id"] for row in two.query("select id::text from wfg.lanes order by id")]
    pause(two)
    pause_labels(two, "x")
    two.call("wfg_freeze")
    listener()
    two.call("wfg_thaw")
    assert listener() == [("wfg_wake", lanes[0])]
    resume(two)
    assert listener() == [("wfg_wake", lanes[0])]
    resume_labels(two, "x")
    assert listener() == [("wfg_wake", lanes[1])]


def test_nothing_is_handed_out_between_pause_and_resumption_and_nothing_is_lost(engine: Engine, connect: Any):
    """Workers drain two workflows; one of them is paused and resumed meanwhile, in all three ways."""
    for name in ("wf", "other"):
        engine.put(name, jobs={**only("a"), **only("b", needs=["a"])})
        engine.call("wfg_start_runs", p_workflow_id=name, p_runs=[{}] * 150)
    leases: list[tuple[float, float, str]] = []
    quiet: list[tuple[float, float]] = []
    done = False

    def work(worker: Engine) -> None:
        while not done:
            began = time.monotonic()
            claims = worker.claim_many(3)
            leases.extend((began, time.monotonic(), c["job"]["run_id"]) for c in claims)
            for claim in claims:
                worker.complete(claim)

    def change(operator: Engine) -> None:
        nonlocal done
        ways = [
            (lambda: pause(operator), lambda: resume(operator)),
            (lambda: operator.call("wfg_freeze"), lambda: operator.call("wfg_thaw")),
        ]
        try:
            for turn in range(12):
                begin, end = ways[turn % 2]
                begin()
                since = time.monotonic()
                operator.call("wfg_start_runs", p_workflow_id="wf", p_runs=[{}] * 10)
                time.sleep(0.02)
                quiet.append((since, time.monotonic()))
                end()
                time.sleep(0.01)
            while operator.query("select 1 as one from wfg.queue limit 1"):
                time.sleep(0.01)
        finally:
            done = True

    with sessions(connect, 4) as (operator, *workers):
        race(
            [0],
            lambda _: change(operator),
            *(lambda _, worker=worker: work(worker) for worker in workers),
        )
    paused = {row["id"] for row in engine.query("select id::text from wfg.runs where workflow_id = 'wf'")}
    wrong = [
        (since, until, lease)
        for since, until in quiet
        for lease in leases
        if since < lease[0] and lease[1] < until and lease[2] in paused
    ]
    assert wrong == []
    assert len(leases) == 2 * (150 + 150 + 120)


# --- what is paused is seen ---


def test_lists_metrics_and_doctor_know_what_is_paused(engine):
    engine.put("ci", jobs={"a": {"run": "true", "labels": ["gpu"]}})
    engine.put("other", jobs={"a": {"run": "true", "labels": ["gpu"]}})
    for workflow in ("ci", "other"):
        engine.start(workflow)

    def seen() -> tuple[list[tuple[int, bool]], int, dict[str, str | None]]:
        queue = engine.call("wfg_list_queue")
        jobs = engine.call("wfg_list_jobs", p_label="gpu")["items"]
        lanes = [(lane["ready"], lane["paused"]) for lane in queue["items"]]
        return lanes, queue["put_aside"], {job["workflow_id"]: job["paused"] for job in jobs}

    assert seen() == ([(2, False)], 0, {"ci": None, "other": None})
    engine.call("wfg_pause_workflow", p_workflow_id="ci")
    assert seen() == ([(1, False)], 1, {"ci": "workflow", "other": None})
    engine.call("wfg_pause_labels", p_labels=["gpu"])
    assert seen() == ([(1, True)], 1, {"ci": "workflow", "other": "labels"})
    metrics = engine.call("wfg_metrics")
    assert (metrics["pauses"], metrics["put_aside"]) == ({"workflow": 1, "labels": 1, "all": 0}, 1)
    engine.advance(3600)
    assert [f["check"] for f in engine.call("wfg_doctor")["findings"] if f["check"] == "takers"] == []
    engine.call("wfg_freeze", p_reason="restored copy")
    assert seen()[2] == {"ci": "all", "other": "all"}
    (found,) = (f for f in engine.call("wfg_doctor")["findings"] if f["check"] == "pauses")
    assert found["severity"] == "warning"
    assert "restored copy" in found["message"]


def test_a_deleted_workflow_that_is_paused_is_not_pruned(engine):
    engine.put("ci", jobs={"a": {"run": "true"}})
    engine.call("wfg_pause_workflow", p_workflow_id="ci")
    engine.call("wfg_delete_workflow", p_workflow_id="ci")
    engine.advance(10 * 86400)
    assert engine.call("wfg_prune", p_older_than_secs=86400)["workflows"] == 0
    engine.call("wfg_resume_workflow", p_workflow_id="ci")
    assert engine.call("wfg_prune", p_older_than_secs=86400)["workflows"] == 1


def test_a_workflow_is_paused_or_pruned_never_both(engine, connect):
    """Whoever is first: the other waits, or passes it over; no error but the documented one."""
    engine.put("ci", jobs=only("a"))
    engine.call("wfg_delete_workflow", p_workflow_id="ci")

    with sessions(connect, 2) as (pauser, pruner):
        pruner.advance(10 * 86400)
        pauser.query("begin")
        pause(pauser, "ci")
        assert pruner.call("wfg_prune", p_older_than_secs=86400)["workflows"] == 0
        pauser.query("rollback")

        pruner.query("begin")
        assert pruner.call("wfg_prune", p_older_than_secs=86400)["workflows"] == 1
        with in_background(pause, pauser, "ci") as answer:
            wait_until_blocked(engine, pauser)
            pruner.query("commit")
        with pytest.raises(psycopg.Error, match="workflow_not_found"):
            answer.result()


def test_pausing_and_pruning_at_once(engine, connect):
    rounds = [f"wf {number}" for number in range(40)]
    for workflow_id in rounds:
        engine.put(workflow_id, jobs=only("a"))
        engine.call("wfg_delete_workflow", p_workflow_id=workflow_id)

    def paused(workflow_id: str) -> str | None:
        try:
            return pause(pauser, workflow_id)["kind"]
        except psycopg.Error as error:
            return error.diag.message_primary

    with sessions(connect, 2) as (pauser, pruner):
        pruner.advance(10 * 86400)
        answers = race(
            rounds,
            paused,
            lambda _: pruner.call("wfg_prune", p_older_than_secs=86400, p_limit=1),
        )
    assert {told for told, _ in answers} <= {"workflow", "workflow_not_found"}


def test_paused_jobs_beyond_what_one_claim_puts_aside_do_not_hide_what_is_behind_them(two: Engine):
    drain(two)
    pause(two)
    bulk.start(two.connection, "wf", 9000)
    two.advance(2)
    run_workflow(two, "other")
    two.advance(2)
    assert [claimed(two) for _ in range(3)].count("other/a") == 1
    resume(two)


def test_paused_jobs_that_another_claim_puts_aside_do_not_hide_what_is_behind_them(two: Engine, connect: Any):
    drain(two)
    pause(two)
    two.call("wfg_start_runs", p_workflow_id="wf", p_runs=[{}] * 30)
    other = connect()
    two.advance(2)
    run_workflow(two, "other")
    two.advance(2)
    two.query("begin")
    two.query("select 1 from wfg.queue order by ready_at, run_id limit 20 for update")
    other.set_now(two.now())
    assert claimed(other) is None
    two.query("rollback")
    assert claimed(other) == "other/a"
    resume(two)


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
@pytest.mark.parametrize("kind", ["first workflow", "second workflow", "labels", "all"])
def test_an_old_snapshot_hands_out_nothing_that_became_due_since(
    two: Engine, connect: Any, kind: str, level: str
):
    two.put("wf", jobs=only("a", labels=["x"]))
    drain(two)
    two.claim(labels=["x"])
    two.call("wfg_start_run", p_workflow_id="wf", p_start_at=after(60).isoformat())
    two.advance(1)
    if kind == "second workflow":
        pause(two, "other")
    other = connect()
    other.set_now(after(61))
    other.query(f"begin isolation level {level}")
    other.query("select 1")
    match kind:
        case "labels":
            pause_labels(two, "x")
        case "all":
            two.call("wfg_freeze")
        case _:
            pause(two)
    with pytest.raises(psycopg.errors.SerializationFailure):
        claimed(other, "x")
    other.query("rollback")
    assert claimed(other, "x") is None


def test_a_claim_of_an_old_snapshot_waits_for_no_pause(two: Engine, connect: Any):
    two.claim(labels=["known"])
    two.query("begin")
    two.call("wfg_freeze")
    other = connect()
    other.set_now(two.now())
    other.query("begin isolation level repeatable read")
    other.query("set local lock_timeout = '1ms'")
    assert claimed(other, "known")
    other.query("rollback")
    two.query("rollback")
