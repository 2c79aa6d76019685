"""Callers under REPEATABLE READ and SERIALIZABLE: a retryable error, or a right answer.

Right is what some order of the two transactions, one after the other, would have answered and left behind.
Every step here is tried against others, done by another session after the caller took its snapshot.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import psycopg
import pytest

from tests.arrange import (
    START,
    after,
    append,
    chain,
    chunk,
    drain,
    fan,
    join,
    ms,
    only,
    resume_all,
    run_by,
)
from tests.conftest import Databases
from tests.engine import Engine, lease_id
from tests.sessions import in_background, race, sessions, side_by_side

LEVELS = ("repeatable read", "serializable")
RETRYABLE = {"40001", "40P01"}
ANY_ACTIVE = "select 1 as left_ from wfg.runs where state = 'active' limit 1"


class World:
    """One arrangement and three sessions on it: who arranges, the caller, and the other one."""

    def __init__(self, dsn: str) -> None:
        self.engine, self.caller, self.other = (Engine(dsn) for _ in range(3))
        self.tables = self.engine.tables()
        full = [name for name in self.tables if self.engine.query(f"select 1 as one from wfg.{name} limit 1")]
        assert full == [], "what the schema itself brings must not be truncated"
        for session in self.sessions:
            session.query("set deadlock_timeout = '10ms'")
            session.query("set statement_timeout = '20s'")

    @property
    def sessions(self) -> list[Engine]:
        return [self.engine, self.caller, self.other]

    def close(self) -> None:
        for session in self.sessions:
            session.close()

    def set_now(self, seconds: float) -> None:
        for session in self.sessions:
            session.set_now(after(seconds))

    def arrange(self) -> None:
        """Each thing once: active runs, cancelled leases, one that ran out, a run that is over."""
        for session in self.sessions:
            session.connection.rollback()
        engine = self.engine
        engine.query("truncate " + ", ".join(f"wfg.{name}" for name in self.tables) + " restart identity")
        self.leases: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, str] = {}
        self.set_now(0)

        engine.put("old", jobs=only("h"))
        engine.put("held", jobs=only("h"))
        self.begin("old", "workflow", 1)
        self.begin("held", "workflow", 1)
        engine.call("wfg_cancel_run", p_run_id="old")
        engine.call("wfg_cancel_run", p_run_id="held")
        self.set_now(1)
        self.begin("held", "workflow", 0)

        self.set_now(2)
        engine.put("done", jobs=only("o"))
        self.begin("done", "run", 1, idempotency_key="spent")
        engine.complete(self.leases["done/o"])

        self.set_now(3)
        engine.put("late", jobs=only("l"))
        self.begin("late", "run", 1, ttl=1)

        self.set_now(5)
        engine.put("door", jobs={**only("a", "b"), **only("c", needs=["a", "b"]), **only("d", needs=["c"])})
        self.begin("door", "workflow", 2)
        engine.put("plain", jobs={"x": {"run": "true", "retries": 1}, **only("y", needs=["x"])})
        self.begin("plain", "run", 1, idempotency_key="k")

        self.set_now(6)
        engine.put("wide", jobs=join(17))
        self.begin("wide", "run", 17)
        engine.call("wfg_report_jobs", p_reports=[success(self.leases[f"wide/p{n}"]) for n in range(3, 17)])

        self.set_now(7)
        engine.put("free", jobs={**only("f", "g"), **only("z", needs=["f", "g"])})
        self.begin("free", "run", 0)
        self.set_now(8)

    def begin(self, workflow_id: str, door: str, claims: int, ttl: int = 600, **params: Any) -> None:
        """Start a run, and lease so many of its jobs: nothing else is ready now."""
        if params:
            self.runs[workflow_id] = self.engine.start(workflow_id, **params)
        else:
            self.runs[workflow_id] = run_by(self.engine, door, workflow_id)
        # The upkeep in a claim would end what ran out: so the claimer's clock stands before that.
        for claim in self.engine.claim_many(claims, ttl=ttl) if claims else []:
            assert claim["lease"]["run_id"] == self.runs[workflow_id]
            self.leases[f"{workflow_id}/{claim['job']['job_id']}"] = claim

    # --- what is compared ---

    def state(self) -> dict[str, Any]:
        """All that is stored, without ids, nonces and times."""
        queries = {
            "workflows": "select id, version, deleted_at is null as there from wfg.workflows",
            "versions": "select workflow_id, version, name from wfg.workflow_versions",
            "runs": "select workflow_id, door, state, open_left, active_workflow_id, idempotency_key,"
            " exists (select from wfg.workflows w where w.latest_run_id = r.id) as latest from wfg.runs r",
            "jobs": "select r.workflow_id, r.door, r.state as run, s.key, j.state, j.parents_left, j.attempt,"
            " j.outputs::text, j.error, j.worker_id from wfg.jobs j join wfg.runs r on r.id = j.run_id"
            " join wfg.job_specs s on s.version_id = r.version_id and s.job_no = j.job_no",
            "queue": "select r.workflow_id, r.door, r.state as run, s.key, q.attempt, q.lost, q.log_bytes,"
            " q.worker_id, q.lease_nonce is not null as leased, q.held_from is not null as held,"
            " q.ready_at > wfg.now() as delayed, q.cancelled_at is not null as cancelled"
            " from wfg.queue q join wfg.runs r on r.id = q.run_id"
            " join wfg.job_specs s on s.version_id = r.version_id and s.job_no = q.job_no",
            "attempts": "select job_no, attempt, outcome, error, reported_at is null as silent"
            " from wfg.attempts",
            "logs": "select job_no, attempt, sequence, data from wfg.log_chunks",
            "workers": "select id, labels from wfg.workers",
            "label_sets": "select labels, cardinality(lane_ids) as lanes, any_paused from wfg.label_sets",
            "pauses": "select kind, workflow_id, labels from wfg.pauses",
            "join_slots": "select job_no, slot, parents_left from wfg.join_slots",
            "run_slots": "select slot, open_left from wfg.run_slots",
        }
        return {
            name: sorted(without_ids(json.dumps(row)) for row in self.engine.query(query))
            for name, query in queries.items()
        }

    def drive(self) -> None:
        """Everything must end: claim and complete what there is, let the rest run out."""
        resume_all(self.engine)
        now = 8.0
        for _ in range(12):
            while claims := self.engine.claim_many(1000, ttl=60):
                self.engine.call("wfg_report_jobs", p_reports=[success(claim) for claim in claims])
            if not self.engine.query(ANY_ACTIVE):
                break
            now += 601
            self.set_now(now)
            self.engine.call("wfg_reap")
        active = self.engine.query("select id::text, workflow_id from wfg.runs where state = 'active'")
        assert active == [], "these never end"
        self.engine.check()


def success(claim: dict[str, Any]) -> dict[str, str]:
    return {"lease_id": lease_id(claim), "outcome": "success"}


# --- the steps: every writing function, on what it may meet ---

Step = tuple[str, Callable[[World, Engine], Any]]


def step(function: str, **params: Any) -> Step:
    """A call of this function; a callable among the arguments is asked of the world."""

    def call(world: World, session: Engine) -> Any:
        values = {f"p_{key}": value(world) if callable(value) else value for key, value in params.items()}
        return session.call(function, **values)

    return function, call


def lease(name: str) -> Callable[[World], str]:
    return lambda world: lease_id(world.leases[name])


def run(name: str) -> Callable[[World], str]:
    return lambda world: world.runs[name]


def successes(*names: str) -> Callable[[World], list[dict[str, str]]]:
    return lambda world: [success(world.leases[name]) for name in names]


STEPS: dict[str, Step] = {
    "put changed": step("wfg_put_workflow", workflow_id="door", definition={"jobs": only("new")}),
    "put the same": step("wfg_put_workflow", workflow_id="old", definition={"jobs": only("h")}),
    "put a new one": step(
        "wfg_put_workflow", workflow_id="fresh", definition={"jobs": only("n", labels=["gpu"])}
    ),
    "put a new one otherwise": step(
        "wfg_put_workflow", workflow_id="fresh", definition={"jobs": only("m", labels=["arm"])}
    ),
    "create": step("wfg_create_workflow", name="made", trigger="manual", jobs=[]),
    "sample": step("wfg_create_sample_workflow"),
    "delete": step("wfg_delete_workflow", workflow_id="door"),
    "run the active": step("wfg_run_workflow", workflow_id="door"),
    "run after a cancel": step("wfg_run_workflow", workflow_id="old"),
    "start": step("wfg_start_run", workflow_id="door"),
    "start with a known key": step("wfg_start_run", workflow_id="plain", idempotency_key="k"),
    "start with a new key": step("wfg_start_run", workflow_id="plain", idempotency_key="new"),
    "start otherwise with it": step(
        "wfg_start_run", workflow_id="plain", idempotency_key="new", start_at=after(100)
    ),
    "start many": step("wfg_start_runs", workflow_id="door", runs=[{}, {}]),
    "start many by keys": step(
        "wfg_start_runs",
        workflow_id="plain",
        runs=[{"idempotency_key": key} for key in ("new", "k", "more", "new")],
    ),
    "start many otherwise": step(
        "wfg_start_runs",
        workflow_id="plain",
        runs=[{"idempotency_key": "more"}, {"idempotency_key": "new", "start_at_ms": ms(after(100))}],
    ),
    "rerun": step("wfg_rerun_run", run_id=run("old")),
    "rerun by key": step("wfg_rerun_run", run_id=run("done"), idempotency_key="again"),
    "rerun the active": step("wfg_rerun_run", run_id=run("door"), jobs="failed"),
    "cancel by workflow": step("wfg_cancel_run", run_id="door"),
    "cancel": step("wfg_cancel_run", run_id=run("plain")),
    "cancel wide": step("wfg_cancel_run", run_id=run("wide")),
    "cancel held": step("wfg_cancel_run", run_id="held"),
    "cancel leased job": step("wfg_cancel_job", run_id=run("door"), job_id="a"),
    "cancel join": step("wfg_cancel_job", run_id=run("door"), job_id="c"),
    "cancel wide join": step("wfg_cancel_job", run_id=run("wide"), job_id="sink"),
    "register known": step("wfg_register_worker", worker_id="w1", labels=["gpu"]),
    "register new": step("wfg_register_worker", worker_id="w2", labels=["arm"]),
    "heartbeat": step("wfg_heartbeat_worker", worker_id="w1"),
    "deregister": step("wfg_deregister_worker", worker_id="w1"),
    "claim": step("wfg_claim_job", worker_id="w1", labels=[]),
    "claim by a new worker": step("wfg_claim_job", worker_id="w2", labels=["gpu"]),
    "claim all": step("wfg_claim_jobs", worker_id="w3", labels=["gpu", "arm"], limit=100),
    "renew": step("wfg_renew_lease", lease_id=lease("door/a")),
    "renew late": step("wfg_renew_lease", lease_id=lease("late/l")),
    "renew cancelled": step("wfg_renew_lease", lease_id=lease("old/h")),
    "complete a": step("wfg_complete_job", lease_id=lease("door/a"), outputs={"o": "1"}),
    "complete b": step("wfg_complete_job", lease_id=lease("door/b"), outputs={"o": "2" * 2000}),
    "complete late": step("wfg_complete_job", lease_id=lease("late/l")),
    "complete cancelled": step("wfg_complete_job", lease_id=lease("old/h")),
    "fail a": step("wfg_fail_job", lease_id=lease("door/a"), error="boom"),
    "fail x": step("wfg_fail_job", lease_id=lease("plain/x"), error="boom", retryable=True),
    "acknowledge": step("wfg_fail_job", lease_id=lease("old/h"), error="stopped"),
    "acknowledge held": step("wfg_release_job", lease_id=lease("held/h")),
    "release": step("wfg_release_job", lease_id=lease("door/a")),
    "report a, b": step("wfg_report_jobs", reports=successes("door/b", "door/a")),
    "report a, x strictly": step("wfg_report_jobs", reports=successes("plain/x", "door/a"), strict=True),
    "complete p1": step("wfg_complete_job", lease_id=lease("wide/p1")),
    "complete p2": step("wfg_complete_job", lease_id=lease("wide/p2")),
    "report p1, p2": step("wfg_report_jobs", reports=successes("wide/p1", "wide/p2")),
    "complete p17": step("wfg_complete_job", lease_id=lease("wide/p17")),
    "fail p2": step("wfg_fail_job", lease_id=lease("wide/p2"), error="boom"),
    "log": step(
        "wfg_append_logs",
        lease_id=lease("door/a"),
        chunks=lambda world: [chunk(world.leases["door/a"], 0, "one\n")],
    ),
    "log other": step(
        "wfg_append_logs",
        lease_id=lease("door/a"),
        chunks=lambda world: [chunk(world.leases["door/a"], 0, "two\n")],
    ),
    "reap": step("wfg_reap"),
    "prune": step("wfg_prune", older_than_secs=0),
    "pause": step("wfg_pause_workflow", workflow_id="free"),
    "pause labels": step("wfg_pause_labels", labels=["gpu"]),
    "resume labels": step("wfg_resume_labels", labels=["gpu"]),
    "freeze": step("wfg_freeze"),
    "thaw": step("wfg_thaw"),
}

# Steps that meet: each with each of its group.
MEETINGS = [
    ["put changed", "delete", "run the active", "start", "start many"],
    ["put the same", "run after a cancel", "acknowledge", "renew cancelled"],
    ["put a new one", "put a new one otherwise", "claim by a new worker", "claim all"],
    ["sample", "create"],
    [
        "start many by keys",
        "start many otherwise",
        "start with a new key",
        "start otherwise with it",
        "prune",
    ],
    ["start with a known key", "start with a new key", "start otherwise with it", "cancel", "fail x"],
    ["complete a", "complete b", "fail a", "release", "cancel leased job", "cancel join", "log", "renew"],
    ["complete a", "cancel by workflow", "run the active", "report a, b", "report a, x strictly", "claim"],
    ["complete p1", "complete p2", "complete p17", "fail p2", "report p1, p2", "cancel wide join"],
    ["complete p1", "cancel wide"],
    ["rerun", "rerun by key", "put the same", "acknowledge", "claim all"],  # prune passes by what they hold
    ["rerun the active", "cancel by workflow", "delete", "complete a"],
    ["acknowledge held", "cancel held", "claim all"],
    ["register known", "heartbeat", "deregister", "claim"],
    ["register new", "claim by a new worker"],
    ["reap", "renew late", "complete late", "claim"],
    ["log", "log other", "release"],
    ["prune", "start with a known key", "reap"],
    ["pause", "pause labels", "freeze", "thaw", "claim", "put a new one", "claim by a new worker"],
    ["pause labels", "resume labels", "claim all"],
]


def answer_of(call: Callable[[], Any]) -> Any:
    """The answer without what differs from call to call, or a refusal's slug; a retryable error is raised."""
    try:
        answer = call()
    except psycopg.Error as error:
        if not str(error.sqlstate).startswith("PT4"):
            raise
        answer = [error.sqlstate, error.diag.message_primary]
    return re.sub(r'(_ms": )\d{5,}', r"\1~", without_ids(json.dumps(answer)))


def without_ids(text: str) -> str:
    """Run ids, workflow ids that were made up, and lease ids, as ~."""
    uuid = "[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"
    return re.sub(rf"{uuid}(\.\d+\.{uuid})?", "~", text)


@pytest.fixture(scope="module")
def world(databases: Databases, template: str) -> Iterator[World]:
    dsn = databases.make(template)
    world = World(dsn)
    yield world
    world.close()
    databases.discard(dsn)


# The sharpest of them, for every day.
DAILY = [
    ("put a new one", "claim by a new worker"),
    ("put a new one", "put a new one otherwise"),
    ("put changed", "delete"),
    ("run after a cancel", "acknowledge"),
    ("run after a cancel", "run after a cancel"),
    ("cancel by workflow", "run the active"),
    ("start with a new key", "start otherwise with it"),
    ("start many otherwise", "start many by keys"),
    ("start with a new key", "start many by keys"),
    ("cancel by workflow", "complete a"),
    ("complete a", "cancel by workflow"),
    ("complete a", "complete b"),
    ("fail a", "complete b"),
    ("complete a", "cancel join"),
    ("cancel join", "report a, b"),
    ("complete a", "report a, x strictly"),
    ("log", "release"),
    ("release", "log"),
    ("complete p1", "complete p17"),
    ("fail p2", "report p1, p2"),
    ("complete p1", "cancel wide"),
    ("claim", "claim"),
    ("renew late", "reap"),
    ("reap", "complete late"),
    ("acknowledge held", "claim all"),
    ("register new", "claim by a new worker"),
    ("prune", "start with a known key"),
    ("prune", "rerun by key"),
    ("rerun by key", "rerun by key"),
    ("cancel by workflow", "rerun the active"),
    ("pause", "claim"),
    ("freeze", "claim"),
    ("freeze", "put a new one"),
    ("pause labels", "resume labels"),
]

Outcome = tuple[list[tuple[str, str]], dict[str, Any]]


def one_after_the_other(world: World, first: str, second: str) -> Outcome:
    """The answers by step, and what is stored then, under READ COMMITTED."""
    world.arrange()
    answers = [(first, answer_of(lambda: STEPS[first][1](world, world.other)))]
    answers += [(second, answer_of(lambda: STEPS[second][1](world, world.caller)))]
    return sorted(answers), world.state()


def with_an_old_snapshot(
    world: World, level: str, other: str, call: str, overlap: bool
) -> tuple[bool, Outcome]:
    """The same, the caller's snapshot being from before the other step. Whether it had to retry comes first.

    overlap: the other one commits only when the caller has answered, or waits for it.
    """
    world.arrange()
    caller = world.caller
    caller.query(f"begin isolation level {level}")
    caller.query("select count(*) from wfg.runs")
    if overlap:
        world.other.query("begin")
    answers = [(other, answer_of(lambda: STEPS[other][1](world, world.other)))]
    try:
        with in_background(answer_of, lambda: STEPS[call][1](world, caller)) as answering:
            if overlap:
                wait_until_done_or_blocked(world.engine, caller, answering)
                world.other.query("commit")
        answers.append((call, answering.result()))
        caller.query("commit")
        retried = False
    except psycopg.Error as error:
        if error.sqlstate not in RETRYABLE:
            raise
        caller.query("rollback")
        answers.append((call, answer_of(lambda: STEPS[call][1](world, caller))))
        retried = True
    return retried, (sorted(answers), world.state())


def wait_until_done_or_blocked(observer: Engine, caller: Engine, answering: Future[Any]) -> None:
    while not answering.done():
        if observer.query("select cardinality(pg_blocking_pids(%s)) as n", caller.pid)[0]["n"]:
            return


def differences(found: Outcome, right: Outcome) -> list[str]:
    """What was found and is not right, line by line."""
    lines = [f"answers {found[0]}, not {right[0]}"] if found[0] != right[0] else []
    for table, rows in found[1].items():
        more, less = Counter(rows), Counter(right[1][table])
        lines += [f"{table}: + {row}" for row in more - less] + [f"{table}: - {row}" for row in less - more]
    return lines


def problems(world: World, level: str, other: str, call: str, overlap: bool) -> list[str]:
    """What is wrong when the caller's snapshot is from before the other step. All must end, too."""
    retried, found = with_an_old_snapshot(world, level, other, call, overlap)
    world.drive()
    wrong = differences(found, one_after_the_other(world, other, call))
    if not wrong or (not retried and found == one_after_the_other(world, call, other)):
        return []
    when = "beside" if overlap else "after"
    return [f"{call!r} under {level}, {when} {other!r}; against its answer under read committed:", *wrong]


def test_every_writing_function_is_a_step(world: World) -> None:
    """A new function must be tried too."""
    writing = world.engine.query(
        "select proname as name from pg_proc"
        " where pronamespace = 'public'::regnamespace and proname like %s and provolatile = 'v'",
        "wfg\\_%",
    )
    others = {
        *("wfg_create_token", "wfg_revoke_token", "wfg_set_limit"),  # these six meet none of these
        *("wfg_schedule_cron", "wfg_unschedule_cron", "wfg_authorize"),
        "wfg_resume_workflow",  # refuses an old snapshot: tests/test_pause.py
    }
    assert {row["name"] for row in writing} - others == {name for name, _ in STEPS.values()}


@pytest.mark.parametrize(("other", "call"), DAILY, ids=lambda name: name.replace(" ", "-"))
def test_old_snapshot_gives_no_wrong_answer(world: World, other: str, call: str) -> None:
    assert problems(world, "repeatable read", other, call, overlap=False) == []


@pytest.mark.nightly
@pytest.mark.parametrize("overlap", [False, True], ids=["after", "beside"])
@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.replace(" ", "-"))
@pytest.mark.parametrize("group", MEETINGS, ids=lambda group: group[0].replace(" ", "-"))
def test_old_snapshot_gives_no_wrong_answer_whatever_meets(
    world: World, group: list[str], level: str, overlap: bool
) -> None:
    wrong = [
        line for other in group for call in group for line in problems(world, level, other, call, overlap)
    ]
    assert wrong == []


@pytest.mark.nightly
def test_old_snapshot_gives_no_wrong_answer_between_any_two(world: World) -> None:
    """Also those that should not meet."""
    pairs = random.Random(0).sample([(other, call) for other in STEPS for call in STEPS], 400)
    wrong = [line for pair in pairs for line in problems(world, "repeatable read", *pair, overlap=False)]
    assert wrong == []


# --- what was made after the snapshot ---


USES = {
    "complete": lambda engine, claim: engine.complete(claim),
    "report many": lambda engine, claim: engine.call(
        "wfg_report_jobs", p_reports=[success(claim)], p_strict=True
    ),
    "fail": lambda engine, claim: engine.fail(claim),
    "release": lambda engine, claim: engine.call("wfg_release_job", p_lease_id=lease_id(claim)),
    "renew": lambda engine, claim: engine.call("wfg_renew_lease", p_lease_id=lease_id(claim)),
    "log": lambda engine, claim: append(engine, claim, chunk(claim)),
}


@pytest.mark.parametrize("use", USES, ids=lambda use: use.replace(" ", "-"))
@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.replace(" ", "-"))
def test_lease_granted_after_the_snapshot_is_not_refused_for_good(world: World, level: str, use: str) -> None:
    """A worker claims over one connection, and reports in a transaction that it had open on another."""
    world.arrange()
    world.caller.query(f"begin isolation level {level}")
    world.caller.query("select count(*) from wfg.runs")
    claim = world.other.claim()
    assert claim is not None
    try:
        USES[use](world.caller, claim)
        world.caller.query("commit")
    except psycopg.Error as error:
        if error.sqlstate not in RETRYABLE:
            raise
        world.caller.query("rollback")
        USES[use](world.caller, claim)
    world.drive()


# --- many at once ---


class Worker:
    """Claims and reports under its level, until all runs have ended. Idle, its clock moves on."""

    def __init__(self, engine: Engine, number: int, level: str, victims: list[str]) -> None:
        self.engine = engine
        self.name = f"worker {number}"
        self.random = random.Random(number)
        self.victims = victims  # runs to cancel
        self.accepted: list[tuple[str, str]] = []
        self.conflicts = 0
        engine.query(f"set default_transaction_isolation = '{level}'")

    def work(self) -> None:
        for _ in range(5000):  # far more than it takes: the test must end, too, when a run does not
            claims = self.retry(self.engine.claim_many, self.random.choice([1, 1, 5]), self.name, ttl=600)
            for batch in [claims] if self.random.random() < 0.5 else [[claim] for claim in claims]:
                self.report(batch)
            if self.victims and self.random.random() < 0.2:
                self.retry(self.engine.call, "wfg_cancel_run", p_run_id=self.victims.pop())
            if not claims:
                self.engine.advance(0.5)
                if not self.retry(self.engine.query, ANY_ACTIVE):  # serializable, a read may be refused, too
                    return
        raise AssertionError("a run does not end")

    def report(self, claims: list[dict[str, Any]]) -> None:
        reports = [self.item(claim) for claim in claims]
        answers = self.retry(self.engine.call, "wfg_report_jobs", p_reports=reports)
        for claim, answer in zip(claims, answers, strict=True):
            if answer.get("job") in ("success", "failure"):
                self.accepted.append((claim["job"]["run_id"], claim["job"]["job_id"]))
            else:
                assert answer.get("job") in ("queued", "cancelled") or answer["message"] in REFUSALS

    def item(self, claim: dict[str, Any]) -> dict[str, Any]:
        if self.random.random() < 0.1:
            return {"lease_id": lease_id(claim), "outcome": "failure", "error": "boom", "retryable": True}
        return {"lease_id": lease_id(claim), "outcome": "success", "outputs": {"o": "1"}}

    def retry(self, call: Callable[..., Any], *args: Any, **params: Any) -> Any:
        """The answer, tried again as often as it takes."""
        for _ in range(500):
            try:
                return call(*args, **params)
            except psycopg.Error as error:
                if error.sqlstate not in RETRYABLE:
                    raise
                self.conflicts += 1
        raise AssertionError("500 times it could not be serialized")


# Its run was cancelled meanwhile.
REFUSALS = {"lease_cancelled", "lease_not_held"}


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.replace(" ", "-"))
def test_workers_with_retries_drive_all_graphs_to_their_end(
    engine: Engine, connect: Callable[[], Engine], level: str
) -> None:
    policy = {"retries": 2}
    graphs = {
        "chain": (chain(4, **policy), 10),
        "two": ({**only("a", "b", **policy), **only("c", needs=["a", "b"])}, 20),
        "fan": (fan(18, **policy), 3),
        "join": (join(18, **policy), 3),
    }
    engine.set_now(START)
    runs = []
    for name, (jobs, count) in graphs.items():
        engine.put(name, jobs=jobs)
        runs += [engine.start(name) for _ in range(count)]
    random.Random(0).shuffle(runs)

    engines = [connect() for _ in range(8)]
    for session in engines:
        session.query("set deadlock_timeout = '10ms'")
        session.query("set statement_timeout = '60s'")
        session.set_now(START)
    workers = [Worker(one, number, level, runs[number : number + 1]) for number, one in enumerate(engines)]
    side_by_side(*(worker.work for worker in workers))

    states = Counter(row["state"] for row in engine.query("select state from wfg.runs"))
    assert "active" not in states
    assert states["success"] > 0
    accepted = [job for worker in workers for job in worker.accepted]
    assert len(accepted) == len(set(accepted))
    assert sum(worker.conflicts for worker in workers) > 0, "they never met"


MEETS = {
    "join": ({**only("a", "b"), **only("c", needs=["a", "b"])}, ("a", "b")),
    "end of a run": (only("a", "b"), ("a", "b")),
    "wide join, one slot": (join(17), ("p1", "p17")),
    "wide join, two slots": (join(17), ("p1", "p2")),
    "end of a wide run": (only(*(f"j{n}" for n in range(17))), ("j0", "j1")),
}


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.replace(" ", "-"))
@pytest.mark.parametrize(("jobs", "ends"), MEETS.values(), ids=[name.replace(" ", "-") for name in MEETS])
def test_two_ends_at_once_lose_nothing(
    engine: Engine, connect: Callable[[], Engine], level: str, jobs: dict[str, Any], ends: tuple[str, str]
) -> None:
    """The child of both is queued, and the run that both end is over, whoever had to retry."""
    engine.put(jobs=jobs)
    runs = [engine.start() for _ in range(20)]
    leases: dict[str, dict[str, str]] = {run_id: {} for run_id in runs}
    for claim in engine.claim_many(1000):
        leases[claim["job"]["run_id"]][claim["job"]["job_id"]] = lease_id(claim)
    others = [held.pop(job) for held in leases.values() for job in list(held) if job not in ends]
    engine.call("wfg_report_jobs", p_reports=[{"lease_id": id_, "outcome": "success"} for id_ in others])

    with sessions(connect, 2) as engines:
        workers = [Worker(session, number, level, []) for number, session in enumerate(engines)]
        race(
            runs,
            *(
                lambda run_id, worker=worker, end=end: worker.retry(
                    worker.engine.complete, leases[run_id][end]
                )
                for worker, end in zip(workers, ends, strict=True)
            ),
        )

    assert drain(engine) == [name for name in jobs if "needs" in jobs[name]] * len(runs)
    assert engine.query("select distinct state from wfg.runs") == [{"state": "success"}]
