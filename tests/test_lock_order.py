"""Locks are taken in one order (sql/README.md, Lock order), and a claim waits for none."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.arrange import START, append, cancel, chunk, join, only, run_workflow
from tests.engine import Engine, lease_id
from tests.sessions import in_background, sessions, wait_until_blocked

IS_WIDE = """(
    select s.is_wide
      from wfg.runs r
      join wfg.job_specs s on s.version_id = r.version_id
     where r.id = t.run_id
       and s.job_no = t.job_no
)"""

# What is locked, in the order of sql/README.md; each class in the order of its key. A run's key never
# changes: `no key update` is the lock beside which rows may be inserted that refer to it.
CLASSES = {
    "narrow job": ("jobs", "run_id::text, job_no", f"not {IS_WIDE}", "for update"),
    "queue row": ("queue", "run_id::text, job_no", "true", "for update"),
    "join slot": ("join_slots", "run_id::text, job_no, slot", "true", "for update"),
    "wide job": ("jobs", "run_id::text, job_no", IS_WIDE, "for update"),
    "run slot": ("run_slots", "run_id::text, slot", "true", "for update"),
    "run": ("runs", "id::text", "true", "for no key update"),
}
ORDER = list(CLASSES)

Row = tuple[Any, ...]  # the place of its class in ORDER, then its key


def rows(engine: Engine, name: str, locking: str = "") -> set[Row]:
    """The rows of a class: all, or those that can be locked."""
    table, key, condition, _ = CLASSES[name]
    found = engine.query(f"select {key} from wfg.{table} t where {condition} {locking}")
    return {(ORDER.index(name), *row.values()) for row in found}


def locked(observer: Engine) -> list[Row]:
    """What the other sessions have locked, in order."""
    found = set[Row]()
    with observer.connection.transaction(force_rollback=True):
        for name, (*_, locking) in CLASSES.items():
            found |= rows(observer, name) - rows(observer, name, f"{locking} of t skip locked")
    return sorted(found)


def lock(engine: Engine, row: Row) -> None:
    """Lock a row until the transaction that this begins is over."""
    place, *key = row
    table, columns, condition, locking = CLASSES[ORDER[place]]
    marks = ", ".join(["%s"] * len(key))
    engine.query("begin")
    query = (
        f"select 1 as found from wfg.{table} t where {condition} and ({columns}) = ({marks}) {locking} of t"
    )
    assert len(engine.query(query, *key)) == 1


# --- every transition, blocked at each of its rows ---

ROOTS = [f"root{number:02}" for number in range(1, 18)]
WIDE = {
    **only(*ROOTS[:2]),
    **only(*ROOTS[2:], labels=["long"], retries=1),
    "wide1": {"run": "true", "needs": ROOTS},
    "wide2": {"run": "true", "needs": ROOTS},
    "wide3": {"run": "true", "needs": [*ROOTS[:16], "wide1"]},
    "narrow": {"run": "true", "needs": ROOTS[:2]},
    "tail": {"run": "true", "needs": ["narrow", "wide3"]},
}
NARROW = {
    **only("a"),
    **only("b", labels=["long"]),
    "c": {"run": "true", "needs": ["a", "b"]},
    "d": {"run": "true", "needs": ["c"]},
}


DOOR = {**only("a", "b", "c"), "d": {"run": "true", "needs": ["a"]}}


class Scene:
    """Two wide runs, two narrow ones: root01, root02 and a are leased for 5 s, other roots and b for long.

    And cancelled leases of b, c and d of two workflows of the workflow door. The next run of `again` is
    there, its a is leased.
    """

    def __init__(self, engine: Engine) -> None:
        engine.set_now(START)
        engine.put("wide", jobs=WIDE)
        engine.put("narrow", jobs=NARROW)
        self.claims: dict[tuple[str, str], dict[str, Any]] = {}

        doors = {}
        for workflow in ("cancelled", "again"):
            engine.put(workflow, jobs=DOOR)
            doors[workflow] = run_workflow(engine, workflow)
            self.claim(engine, ttl=1000)
            engine.complete(self.lease(doors[workflow], "a"))
            self.claim(engine, ttl=1000)
            cancel(engine, doors[workflow])
        self.cancelled = doors["cancelled"]
        self.again = run_workflow(engine, "again")
        self.claim(engine, ttl=1000)

        self.runs = [engine.start(name) for name in ("wide", "narrow", "narrow", "wide")]
        self.claim(engine, ttl=5)
        self.claim(engine, labels=["long"], ttl=1000)
        for run in (self.runs[0], self.runs[3]):  # slot 1 of the joins now counts root01 alone
            engine.complete(self.lease(run, "root17"))

    def claim(self, engine: Engine, **claim: Any) -> None:
        for taken in engine.claim_many(100, **claim):
            self.claims[taken["job"]["run_id"], taken["job"]["job_id"]] = taken

    def lease(self, run: str, key: str) -> str:
        return lease_id(self.claims[run, key])

    def failures(self, run: str, *keys: str) -> list[dict[str, Any]]:
        return [{"lease_id": self.lease(run, key), "outcome": "failure", "error": ""} for key in keys]

    def reports(self) -> list[dict[str, Any]]:
        """Successes, a retry and final failures in all runs, the last run first."""
        return [
            {"lease_id": self.lease(self.runs[3], "root01"), "outcome": "success"},
            *self.failures(self.runs[2], "a"),
            {"lease_id": self.lease(self.runs[1], "b"), "outcome": "success"},
            {"lease_id": self.lease(self.runs[1], "a"), "outcome": "success"},
            {**self.failures(self.runs[0], "root03")[0], "retryable": True},
            *self.failures(self.runs[0], "root02"),
            {"lease_id": self.lease(self.runs[0], "root01"), "outcome": "success"},
        ]


def cancel_job(actor: Engine, scene: Scene, key: str) -> None:
    actor.call("wfg_cancel_job", p_run_id=scene.runs[0], p_job_id=key)


def report_many(actor: Engine, reports: list[dict[str, Any]]) -> None:
    assert all(answer["ok"] for answer in actor.call("wfg_report_jobs", p_reports=reports))


def reap(actor: Engine) -> None:
    actor.advance(10)
    actor.call("wfg_reap")


TRANSITIONS: dict[str, Callable[[Engine, Scene], Any]] = {
    "complete": lambda actor, scene: actor.complete(scene.lease(scene.runs[0], "root01")),
    "complete what a held job waits for": lambda actor, scene: actor.complete(scene.lease(scene.again, "a")),
    "fail": lambda actor, scene: actor.fail(scene.lease(scene.runs[0], "root01")),
    "retry": lambda actor, scene: actor.fail(scene.lease(scene.runs[0], "root03"), retryable=True),
    "release": lambda actor, scene: actor.call(
        "wfg_release_job", p_lease_id=scene.lease(scene.runs[0], "root01")
    ),
    "report many": lambda actor, scene: report_many(actor, scene.reports()),
    "acknowledge": lambda actor, scene: report_many(actor, scene.failures(scene.cancelled, "d", "c", "b")),
    "start": lambda actor, _: run_workflow(actor, "cancelled"),
    "reap": lambda actor, _: reap(actor),
    "cancel a wide run": lambda actor, scene: cancel(actor, scene.runs[0]),
    "cancel a narrow run": lambda actor, scene: cancel(actor, scene.runs[1]),
    "cancel a leased job": lambda actor, scene: cancel_job(actor, scene, "root01"),
    "cancel a narrow job": lambda actor, scene: cancel_job(actor, scene, "narrow"),
    "cancel a wide job": lambda actor, scene: cancel_job(actor, scene, "wide1"),
    "renew": lambda actor, scene: actor.call(
        "wfg_renew_lease", p_lease_id=scene.lease(scene.runs[0], "root01")
    ),
    "append logs": lambda actor, scene: append(
        actor, scene.claims[scene.runs[0], "root01"], chunk(scene.claims[scene.runs[0], "root01"])
    ),
}


@pytest.mark.parametrize("name", TRANSITIONS)
def test_locks_come_in_one_order(engine, connect, name):
    """Blocked at any row, a transition has locked all of its rows that come before it, and no other."""
    scene = Scene(engine)

    with sessions(connect, 2) as (actor, blocker):

        def act() -> None:
            actor.set_now(START)
            actor.query("begin")
            TRANSITIONS[name](actor, scene)

        act()
        all_rows = locked(engine)
        actor.query("rollback")
        assert all_rows
        if name == "cancel a wide run":
            # It deletes the join slots in the end: who has one locked has a lease of this run locked, too.
            all_rows = [row for row in all_rows if ORDER[row[0]] != "join slot"]

        for place, row in enumerate(all_rows):
            lock(blocker, row)
            with in_background(act):
                try:
                    wait_until_blocked(engine, actor)
                    assert locked(engine) == all_rows[: place + 1]
                finally:
                    blocker.query("rollback")
            actor.query("rollback")


# --- a claim waits for nothing ---


def test_claim_waits_for_nothing(engine, connect):
    """Everything but a new run is locked, and leases are over: what is locked is left for the next turn."""
    scene = Scene(engine)
    engine.start("narrow")  # its first job is ready, and locked
    fresh = engine.start("narrow")

    with sessions(connect, 2) as (claimer, holder):
        claimer.set_now(START)
        claimer.advance(10)
        holder.query("begin")
        for table in (
            "workflows",
            "workflow_versions",
            "job_specs",
            "lanes",
            "label_sets",
            "lane_marks",
            "workers",
        ):
            holder.query(f"select 1 as row from wfg.{table} for update")
        for table, key in [
            ("runs", "id"),
            *((name, "run_id") for name in ("jobs", "queue", "join_slots", "run_slots")),
        ]:
            holder.query(f"select 1 as row from wfg.{table} where {key} <> %s for update", fresh)

        claimer.query("set statement_timeout = '5s'")
        assert claimer.claim()["job"]["run_id"] == fresh
        assert claimer.claim() is None
        assert claimer.claim_many(100) == []
        assert not [job for run in scene.runs for job in engine.jobs(run).values() if job == "failure"]

        holder.query("rollback")
        claimer.claim()
        assert engine.jobs(scene.runs[1]) == {"a": "failure", "b": "running", "c": "skipped", "d": "skipped"}


def test_claim_does_not_wait_for_the_end_of_another_job_of_the_run(engine, connect):
    """What was written is locked otherwise than by a select: the rows that refer to the run notice."""
    engine.set_now(START)
    engine.put(jobs={**only("a", retries=1), **only("b", "c", labels=["long"])})
    run = engine.start()
    engine.claim(ttl=5)
    long = engine.claim_many(2, labels=["long"], ttl=1000)

    with sessions(connect, 2) as (claimer, other):
        other.query("begin")
        other.complete(long[0], {"text": "x" * 2000})
        claimer.set_now(START)
        claimer.advance(10)
        claimer.query("set statement_timeout = '5s'")
        assert claimer.claim()["job"]["attempt"] == 1
        claimer.call("wfg_append_logs", p_lease_id=lease_id(long[1]), p_chunks=[chunk(long[1])])
        other.query("commit")

    assert engine.jobs(run) == {"a": "running", "b": "success", "c": "running"}


def test_upkeep_in_a_claim_ends_a_lease_whole_or_not_at_all(engine, connect):
    """Each row that the end of a lease touches is locked once: the lease stays as it is, others are ended."""
    scene = Scene(engine)
    wide, narrow = scene.runs[:2]
    engine.complete(scene.lease(wide, "root02"))

    with sessions(connect, 2) as (claimer, blocker):
        blocker.set_now(START)
        blocker.query("begin")
        reap(blocker)
        touched = [row for row in locked(engine) if row[1] == wide]
        blocker.query("rollback")
        assert {ORDER[place] for place, *_ in touched} >= {"narrow job", "queue row", "wide job", "run slot"}

        claimer.query("set statement_timeout = '5s'")
        for row in touched:
            lock(blocker, row)
            claimer.set_now(START)
            claimer.advance(10)
            claimer.query("begin")
            claimer.claim()
            jobs = claimer.jobs(wide)
            assert (jobs["root01"], jobs["wide3"], jobs["tail"]) == ("running", "queued", "queued"), row
            assert claimer.jobs(narrow)["a"] == "failure"
            claimer.query("rollback")
            blocker.query("rollback")

        claimer.claim()
        assert engine.jobs(wide)["tail"] == "skipped"


# --- pairs that met ---


@pytest.mark.parametrize("first_end", ["complete", "fail"])
@pytest.mark.parametrize("jobs", [2, 18], ids=["narrow", "wide"])
def test_last_job_sees_how_the_one_before_it_ended(engine, connect, first_end, jobs):
    """The last job ends while the one before it is not committed yet: the run ends by what both did."""
    engine.put(jobs=only(*(f"job{number:02}" for number in range(jobs))))
    run = engine.start()
    claims = sorted(engine.claim_many(jobs), key=lambda claim: claim["job"]["job_id"])
    for claim in claims[2:]:  # alone in their slots of a wide run
        engine.complete(claim)

    with sessions(connect, 2) as (first, last):
        first.query("begin")
        getattr(first, first_end)(claims[0])
        with in_background(last.complete, claims[1]) as answer:
            wait_until_blocked(engine, last)
            first.query("commit")

    outcome = "success" if first_end == "complete" else "failure"
    assert answer.result() == {"job": "success", "run": outcome}
    assert engine.state(run) == outcome


@pytest.mark.parametrize("first_end", ["complete", "fail"])
@pytest.mark.parametrize("parents", [2, 17], ids=["narrow", "wide"])
def test_last_parent_sees_how_the_one_before_it_ended(engine, connect, first_end, parents):
    """The last parent of a join ends while the one before it is not committed yet."""
    engine.put(jobs=join(parents))
    run = engine.start()
    claims = sorted(engine.claim_many(parents), key=lambda claim: claim["job"]["job_id"])
    for claim in claims[2:]:
        engine.complete(claim)

    with sessions(connect, 2) as (first, last):
        first.query("begin")
        getattr(first, first_end)(claims[0])
        with in_background(last.complete, claims[1]):
            wait_until_blocked(engine, last)
            first.query("commit")

    if first_end == "complete":
        assert engine.claim()["job"]["job_id"] == "sink"
    else:
        assert (engine.jobs(run)["sink"], engine.state(run)) == ("skipped", "failure")


def test_batches_in_opposite_orders(engine, connect):
    engine.put(jobs=only("a"))
    runs = [engine.start() for _ in range(3)]
    claims = sorted(engine.claim_many(3), key=lambda claim: claim["job"]["run_id"])
    there = [{"lease_id": lease_id(claim), "outcome": "failure", "error": ""} for claim in claims]

    with sessions(connect, 3) as (one, other, blocker):
        blocker.query("begin")
        blocker.query("select 1 as row from wfg.jobs where run_id = %s for update", runs[1])
        with (
            in_background(one.call, "wfg_report_jobs", p_reports=there) as first,
            in_background(other.call, "wfg_report_jobs", p_reports=there[::-1]) as second,
        ):
            wait_until_blocked(engine, one)
            wait_until_blocked(engine, other)
            blocker.query("rollback")

    answers = [answer["ok"] for answer in first.result() + second.result()]
    assert sorted(answers) == [False] * 3 + [True] * 3


@pytest.mark.parametrize("other_end", ["cancel", "fail"])
def test_wide_job_is_cancelled_while_its_run_ends(engine, connect, other_end):
    """Both wait for the job's row: who cancels it must not have the slots that the end of the run deletes."""
    engine.put(jobs=join(17))
    run = engine.start()
    last, *roots = engine.claim_many(17)
    report_many(engine, [{"lease_id": lease_id(claim), "outcome": "success"} for claim in roots])

    with sessions(connect, 3) as (one, other, blocker):
        (sink,) = rows(engine, "wide job")
        lock(blocker, sink)
        end = (cancel, one, run) if other_end == "cancel" else (one.fail, last)
        with in_background(*end):
            wait_until_blocked(engine, one)
            with in_background(other.call, "wfg_cancel_job", p_run_id=run, p_job_id="sink"):
                wait_until_blocked(engine, other)
                blocker.query("rollback")

    assert engine.jobs(run)["sink"] in ("cancelled", "skipped")
    assert engine.state(run) == ("cancelled" if other_end == "cancel" else "failure")


def test_cancel_is_outrun_by_a_wide_job_that_queues_another(engine, connect):
    """A row is queued behind the back of the cancel, below one that it has locked by then."""
    wide = {f"wide{number}": {"run": "true", "needs": ROOTS} for number in range(1, 5)}
    wide["wide2"] = {"run": "true", "needs": [*ROOTS[:16], "wide1"]}
    engine.put(jobs={**only(*ROOTS), **wide})
    run = engine.start()
    roots = engine.claim_many(17)
    report_many(engine, [{"lease_id": lease_id(claim), "outcome": "success"} for claim in roots])
    leases = {claim["job"]["job_id"]: lease_id(claim) for claim in engine.claim_many(3)}
    assert sorted(leases) == ["wide1", "wide3", "wide4"]

    with sessions(connect, 4) as (canceller, first, last, batch):
        first.query("begin")
        first.complete(leases["wide1"])
        last.query("begin")
        last.call("wfg_renew_lease", p_lease_id=leases["wide4"])
        with in_background(cancel, canceller, run):
            wait_until_blocked(engine, canceller, by=first)
            first.query("commit")
            wait_until_blocked(engine, canceller, by=last)
            leases["wide2"] = lease_id(engine.claim())
            reports = [{"lease_id": leases[key], "outcome": "success"} for key in ("wide2", "wide3")]
            with in_background(batch.call, "wfg_report_jobs", p_reports=reports):
                wait_until_blocked(engine, batch)
                last.query("commit")

    assert engine.state(run) == "cancelled"


def test_what_two_cancelled_leases_held_is_let_go_by_whoever_ends_last(engine, connect):
    """The older one is over, but its row was locked when upkeep came by; both end at once."""
    engine.set_now(START)
    engine.put(jobs=only("a"))
    run_workflow(engine)
    engine.claim(ttl=5)
    cancel(engine, "wf")
    engine.advance(6)
    run_workflow(engine)

    with sessions(connect, 2) as (reaper, worker):
        reaper.query("begin")
        reaper.query("select 1 as row from wfg.queue where cancelled_at is not null for update")
        newer = engine.claim(ttl=30)
        reaper.query("rollback")
        engine.advance(1)
        cancel(engine, "wf")
        run_workflow(engine)
        for session in (reaper, worker):
            session.set_now(engine.now())

        reaper.query("begin")
        reaper.call("wfg_reap")
        worker.fail(newer)
        reaper.query("commit")

    assert engine.claim() is not None
