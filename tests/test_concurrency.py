"""Many sessions: every job counts once, nothing deadlocks, every run ends."""

import random
from collections import Counter
from typing import Any

import psycopg
import pytest

from tests.arrange import START, cancel, chain, diamond, drain, join, only, run_workflow
from tests.engine import Engine, lease_id
from tests.sessions import often, race, sessions, side_by_side


def refused(error: psycopg.Error) -> str:
    """The slug of a 409; every other error is raised."""
    if error.sqlstate != "PT409":
        raise error
    return str(error.diag.message_primary)


def tried(engine: Engine, function: str, **params: Any) -> Any:
    """The answer, or the slug of a 409."""
    try:
        return engine.call(function, **params)
    except psycopg.Error as error:
        return refused(error)


def started(engine: Engine, count: int, workflow_id: str = "wf") -> list[str]:
    return [engine.start(workflow_id) for _ in range(count)]


def claimed(engine: Engine, **claim: Any) -> dict[str, dict[str, str]]:
    """Claim all that is ready: lease ids, by run and job."""
    leases: dict[str, dict[str, str]] = {}
    while claims := engine.claim_many(1000, **claim):
        for claim_ in claims:
            leases.setdefault(claim_["job"]["run_id"], {})[claim_["job"]["job_id"]] = lease_id(claim_)
    return leases


def complete_all(engine: Engine, lease_ids: list[str]) -> None:
    reports = [{"lease_id": lease, "outcome": "success"} for lease in lease_ids]
    assert all(answer["ok"] for answer in engine.call("wfg_report_jobs", p_reports=reports))


def states(engine: Engine) -> Counter[str]:
    """How many runs in which stored state."""
    return Counter(row["state"] for row in engine.query("select state from wfg.runs"))


# --- everything at once ---


class Worker:
    """Claims, reports, forgets, gives back, cancels, until all runs have ended. Idle, its clock moves on."""

    def __init__(self, engine: Engine, number: int, victims: list[str]) -> None:
        self.engine = engine
        self.name = f"worker {number}"
        self.random = random.Random(number)
        self.victims = victims  # runs to cancel
        self.accepted: list[tuple[str, str]] = []
        engine.set_now(START)

    def work(self) -> None:
        for _ in range(5000):  # far more than it takes: the test must end, too, when a run does not
            claims = self.claim()
            if claims:
                self.report(claims)
            else:
                self.engine.advance(0.5)
                if not self.engine.query("select 1 as left_ from wfg.runs where state = 'active' limit 1"):
                    return
            if self.victims and self.random.random() < 0.3:
                cancel(self.engine, self.victims.pop())

    def claim(self) -> list[dict[str, Any]]:
        chance = self.random.random()
        ttl = 1 if chance < 0.05 else 600
        if self.random.random() < 0.5:
            claim = self.engine.claim(self.name, ttl=ttl)
            claims = [claim] if claim else []
        else:
            claims = self.engine.claim_many(8, self.name, ttl=ttl)
        return [] if ttl == 1 else claims

    def report(self, claims: list[dict[str, Any]]) -> None:
        if len(claims) == 1:
            answers = [self.report_one(claims[0])]
        else:
            answers = self.engine.call("wfg_report_jobs", p_reports=[self.item(claim) for claim in claims])

        for claim, answer in zip(claims, answers, strict=True):
            if isinstance(answer, dict) and answer.get("job") in ("success", "failure"):
                self.accepted.append((claim["job"]["run_id"], claim["job"]["job_id"]))

    def report_one(self, claim: dict[str, Any]) -> Any:
        item = self.item(claim)
        lease = item["lease_id"]
        if self.random.random() < 0.05:
            return tried(self.engine, "wfg_release_job", p_lease_id=lease)
        if item["outcome"] == "success":
            return tried(self.engine, "wfg_complete_job", p_lease_id=lease, p_outputs=item["outputs"])
        return tried(self.engine, "wfg_fail_job", p_lease_id=lease, p_error="boom", p_retryable=True)

    def item(self, claim: dict[str, Any]) -> dict[str, Any]:
        if self.random.random() < 0.05:
            return {"lease_id": lease_id(claim), "outcome": "failure", "error": "boom", "retryable": True}
        outputs = {"text": "x" * self.random.choice([1, 1, 2000])}
        return {"lease_id": lease_id(claim), "outcome": "success", "outputs": outputs}


def test_sixteen_workers_drain_two_thousand_jobs(engine, connect):
    policy = {"retries": 2, "lost_retries": 3}
    graphs = {
        "chain": (chain(5, **policy), 60),
        "diamond": (diamond(8, **policy), 60),
        "fan": (diamond(30, **policy), 20),
        "join": (join(20, **policy), 22),
    }
    runs = []
    for name, (jobs, count) in graphs.items():
        engine.put(name, jobs=jobs)
        runs += started(engine, count, name)
    random.Random(0).shuffle(runs)
    victims = runs[: len(runs) * 6 // 100]
    assert engine.query("select count(*) as jobs from wfg.jobs")[0]["jobs"] >= 2000

    with sessions(connect, 16) as engines:
        workers = [Worker(session, number, victims[number::16]) for number, session in enumerate(engines)]
        side_by_side(*(worker.work for worker in workers))

    accepted = [job for worker in workers for job in worker.accepted]
    assert len(accepted) == len(set(accepted))
    ended = engine.query(
        "select j.run_id::text, s.key from wfg.jobs j join wfg.runs r on r.id = j.run_id"
        " join wfg.job_specs s on s.version_id = r.version_id and s.job_no = j.job_no"
        " where j.state = 'success' or j.state = 'failure' and j.lease_nonce is not null"
    )
    assert set(accepted) == {(row["run_id"], row["key"]) for row in ended}
    assert "active" not in states(engine)
    assert states(engine)["cancelled"] > 0
    lost = engine.query("select 1 as attempt from wfg.attempts where outcome = 'lease_expired'")
    assert min(len(lost), len(accepted)) > 20


# --- two ends of one run at once ---


def test_two_parents_finish_at_once(engine, connect):
    engine.put(jobs={**only("a", "b"), "c": {"run": "true", "needs": ["a", "b"]}})
    runs = started(engine, often(500))
    leases = claimed(engine)

    with sessions(connect, 2) as (one, other):
        race(
            runs,
            lambda run: one.complete(leases[run]["a"]),
            lambda run: other.complete(leases[run]["b"]),
        )

    joins = claimed(engine)
    assert {run: list(jobs) for run, jobs in joins.items()} == {run: ["c"] for run in runs}


def test_success_meets_failure_of_another_parent_of_a_wide_join(engine, connect):
    """Of two parents left, one succeeds and one fails: the join is skipped once, and the run ends."""
    engine.put(jobs=join(17))
    runs = started(engine, often(500))
    leases = claimed(engine)
    for run in runs:
        complete_all(engine, [leases[run][f"p{number}"] for number in range(3, 18)])

    with sessions(connect, 2) as (one, other):
        race(
            runs,
            lambda run: one.complete(leases[run]["p1"]),
            lambda run: other.fail(leases[run]["p2"]),
        )

    assert states(engine) == {"failure": len(runs)}
    sinks = engine.query("select state, count(*) as jobs from wfg.jobs where job_no = 18 group by state")
    assert sinks == [{"state": "skipped", "jobs": len(runs)}]


def test_last_two_parents_of_a_wide_join_finish_at_once(engine, connect):
    engine.put(jobs=join(17))
    runs = started(engine, often(100))
    leases = claimed(engine)
    for run in runs:
        complete_all(engine, [leases[run][f"p{number}"] for number in range(3, 18)])

    with sessions(connect, 2) as (one, other):
        race(
            runs,
            lambda run: one.complete(leases[run]["p1"]),
            lambda run: other.complete(leases[run]["p2"]),
        )

    assert {run: list(jobs) for run, jobs in claimed(engine).items()} == {run: ["sink"] for run in runs}


@pytest.mark.parametrize("others", [0, 14], ids=["narrow", "wide"])
def test_two_stragglers_beside_a_skipped_branch(engine, connect, others):
    """A has failed, its child is skipped, B and C end last, at once: one of them ends the run."""
    engine.put(
        jobs={
            **only("a", "b", "c", *(f"other{number}" for number in range(others))),
            "child": {"run": "true", "needs": ["a", "b", "c"]},
        }
    )
    runs = started(engine, often(200))
    leases = claimed(engine)
    for run in runs:
        engine.fail(leases[run].pop("a"))
        complete_all(engine, [lease for key, lease in leases[run].items() if key.startswith("other")])
        assert engine.state(run) == "running"

    with sessions(connect, 2) as (one, other):
        answers = race(
            runs,
            lambda run: one.complete(leases[run]["b"])["run"],
            lambda run: other.complete(leases[run]["c"])["run"],
        )

    assert states(engine) == {"failure": len(runs)}
    assert all(sorted(pair) == ["failure", "running"] for pair in answers)


def test_two_report_large_outputs_of_one_run_at_once(engine, connect):
    engine.put(jobs=only("a", "b", "c"))
    runs = started(engine, often(200))
    leases = claimed(engine)
    outputs = {"text": "x" * 2000}

    with sessions(connect, 2) as (one, other):
        race(
            runs,
            lambda run: one.complete(leases[run]["a"], outputs),
            lambda run: other.complete(leases[run]["b"], outputs),
        )


def test_batches_that_end_one_run_and_retry_in_another(engine, connect):
    """Each ends a job of a run in which the other one retries."""
    engine.put(jobs={**only("a"), **only("b", retries=1)})
    pairs = list(zip(started(engine, often(200)), started(engine, often(200)), strict=True))
    leases = claimed(engine)

    def batch(ends: str, retries: str) -> list[dict[str, Any]]:
        return [
            {"lease_id": leases[ends]["a"], "outcome": "success"},
            {"lease_id": leases[retries]["b"], "outcome": "failure", "error": "", "retryable": True},
        ]

    with sessions(connect, 2) as (one, other):
        race(
            pairs,
            lambda pair: one.call("wfg_report_jobs", p_reports=batch(*pair)),
            lambda pair: other.call("wfg_report_jobs", p_reports=batch(*reversed(pair))),
        )

    assert len(drain(engine)) == 2 * len(pairs)


# --- all that can end a job, against each other ---

WIDE = {
    **only(*(f"p{number:02}" for number in range(1, 18)), retries=1),
    **{
        key: {"run": "true", "needs": [f"p{number:02}" for number in range(1, 18)]}
        for key in ("wide1", "wide2")
    },
    "wide3": {"run": "true", "needs": [*(f"p{number:02}" for number in range(1, 17)), "wide1"]},
    "tail": {"run": "true", "needs": ["wide2", "wide3"]},
}


@pytest.mark.parametrize("jobs", [diamond(4, retries=1), WIDE], ids=["narrow", "wide"])
def test_cancel_run_cancel_job_reap_complete_and_fail_at_once(engine, connect, jobs):
    engine.put(jobs=jobs)
    engine.set_now(START)
    keys = list(jobs)
    chance = random.Random(0)
    leases: dict[str, dict[str, str]] = {}

    def prepare(run: str) -> None:
        """Into the midst of the run: some jobs are done, some leases are over by the reaper's clock."""
        for _ in range(chance.randrange(4)):
            complete_all(engine, list(claimed(engine).get(run, {}).values()))
        leases[run] = {}
        for ttl in (5, 600):
            for claim in engine.claim_many(chance.choice([1, 3, 20]), ttl=ttl):
                leases[run][claim["job"]["job_id"]] = lease_id(claim)

    def report(session: Engine, run: str, *, every_other: int) -> None:
        for lease in list(leases[run].values())[every_other::2]:
            if every_other:
                tried(session, "wfg_fail_job", p_lease_id=lease, p_error="", p_retryable=True)
            else:
                tried(session, "wfg_complete_job", p_lease_id=lease)

    runs = []
    with sessions(connect, 5) as engines:
        canceller, job_canceller, reaper, completer, failer = engines
        for session in engines:
            session.set_now(START)
        reaper.advance(10)

        def start(_: int) -> None:
            if runs:
                cancel(engine, runs[-1])
            runs.append(engine.start())
            prepare(runs[-1])

        race(
            range(often(200)),
            lambda number: number % 3 == 0 and cancel(canceller, runs[-1]),
            lambda number: job_canceller.call(
                "wfg_cancel_job", p_run_id=runs[-1], p_job_id=keys[number * 7 % len(keys)]
            ),
            lambda _: reaper.call("wfg_reap"),
            lambda _: report(completer, runs[-1], every_other=0),
            lambda _: report(failer, runs[-1], every_other=1),
            prepare=start,
        )

    engine.check()
    cancel(engine, runs[-1])
    engine.advance(700)
    engine.call("wfg_reap")
    assert "active" not in states(engine)
    assert engine.query("select run_id from wfg.queue") == []


def test_a_wide_job_is_cancelled_while_its_run_ends(engine, connect):
    """The last parent fails, or the run is cancelled, as the job that waits for it is cancelled."""
    engine.put(jobs=join(17))
    runs = started(engine, often(200))
    leases = claimed(engine)
    for run in runs:
        complete_all(engine, [leases[run][f"p{number}"] for number in range(2, 18)])

    with sessions(connect, 3) as (one, other, third):
        race(
            list(enumerate(runs)),
            lambda run: one.call("wfg_cancel_job", p_run_id=run[1], p_job_id="sink"),
            lambda run: tried(other, "wfg_fail_job", p_lease_id=leases[run[1]]["p1"], p_error=""),
            lambda run: run[0] % 2 == 0 and cancel(third, run[1]),
        )

    assert "active" not in states(engine)


def test_retry_meets_cancel(engine, connect):
    """Whoever comes first, nothing of the run is left in the queue."""
    engine.put(jobs=only("a", retries=5))
    runs = started(engine, often(200))
    leases = claimed(engine)

    with sessions(connect, 2) as (one, other):
        answers = race(
            list(enumerate(runs)),
            lambda run: one.fail(leases[run[1]]["a"], retryable=True)["job"],
            lambda run: (
                cancel(other, run[1])
                if run[0] % 2
                else other.call("wfg_cancel_job", p_run_id=run[1], p_job_id="a")
            )["run"],
        )

    assert {answer[0] for answer in answers} <= {"queued", "cancelled"}
    assert engine.query("select run_id from wfg.queue") == []
    assert states(engine) == {"cancelled": len(runs) // 2, "failure": len(runs) // 2}


# --- one job, many claims; one lease, many reports ---


def test_nobody_claims_what_another_one_has(engine, connect):
    engine.put(jobs=only("a"))

    with sessions(connect, 8) as engines:
        rounds = race(
            range(often(100)),
            *(lambda _, session=session: session.claim() for session in engines),
            prepare=lambda _: engine.start(),
        )

    assert {sum(claim is not None for claim in claims) for claims in rounds} == {1}


def test_batches_share_what_is_ready(engine, connect):
    engine.put("low", jobs=only("a", "b"))
    engine.put("high", jobs=only("c", "d", priority=1))

    with sessions(connect, 8) as engines:
        rounds = race(
            range(often(40)),
            *(lambda _, session=session: session.claim_many(3) for session in engines),
            prepare=lambda _: (started(engine, 2, "low"), started(engine, 2, "high")),
        )

    for claims in rounds:
        names = [(claim["job"]["run_id"], claim["job"]["job_id"]) for some in claims for claim in some]
        assert len(names) == len(set(names)) == 8


def test_one_report_of_a_lease_counts(engine, connect):
    engine.put(jobs={**only("a"), "b": {"run": "true", "needs": ["a"]}})
    runs = started(engine, often(100))
    leases = {run: jobs["a"] for run, jobs in claimed(engine).items()}

    with sessions(connect, 4) as engines:
        rounds = race(
            runs,
            *(
                lambda run, session=session: tried(session, "wfg_complete_job", p_lease_id=leases[run])
                for session in engines
            ),
        )

    for answers in rounds:
        assert sorted(map(str, answers)) == ["already_reported"] * 3 + [
            "{'job': 'success', 'run': 'running'}"
        ]
    assert len(claimed(engine)) == len(runs)


# --- the workflow door ---


def test_one_of_many_starts_at_the_workflow_door_counts(engine, connect):
    """Also while the run before is being cancelled."""
    engine.put(jobs=only("a"))

    with sessions(connect, 4) as (canceller, *engines):
        rounds = race(
            range(often(60)),
            lambda _: cancel(canceller, "wf"),
            *(
                lambda _, session=session: session.call("wfg_run_workflow", p_workflow_id="wf")
                for session in engines
            ),
            prepare=lambda _: run_workflow(engine),
        )

    created = [answer["run_id"] for _, *answers in rounds for answer in answers if answer["created"]]
    assert len(created) == len(set(created))
    assert states(engine)["active"] <= 1


@pytest.mark.parametrize("job", ["first", "second"])
def test_acknowledgement_meets_the_next_run(engine, connect, job):
    """The same job of the next run is held while the cancelled lease lives, and not a moment longer."""
    engine.put(jobs={**only("first"), "second": {"run": "true", "needs": ["first"]}})
    cancelled = first = ""
    taken: dict[str, Any] | None = None

    def prepare(number: int) -> None:
        """A cancelled lease of the job; then a run that is about to queue the job again."""
        nonlocal cancelled, first, taken
        if number:  # the job of the round before was had already, or can be had now
            engine.complete(taken or engine.claim())
            drain(engine)
        run_workflow(engine)
        if job == "second":
            engine.complete(engine.claim())
        cancelled, taken = lease_id(engine.claim()), None
        cancel(engine, "wf")
        if job == "second":
            run_workflow(engine)
            first = lease_id(engine.claim())

    with sessions(connect, 3) as (starter, acknowledger, claimer):

        def queue_again(_: int) -> None:
            if job == "first":
                run_workflow(starter)
            else:
                starter.complete(first)

        def claim(_: int) -> None:
            nonlocal taken
            for _ in range(5):
                with claimer.connection.transaction():
                    taken = claimer.claim()
                    living = claimer.query("select 1 as lease from wfg.queue where cancelled_at is not null")
                if taken:
                    assert not living, "claimed while the cancelled lease was there"
                    return

        race(range(often(150)), queue_again, lambda _: acknowledger.fail(cancelled), claim, prepare=prepare)

    engine.complete(taken or engine.claim())


# --- a new version ---


def test_put_meets_start(engine, connect):
    """A run has the jobs of one version, whichever it is."""
    engine.put(jobs=only("a"))

    with sessions(connect, 3) as (putter, one, other):
        race(
            range(often(60)),
            lambda number: putter.put(jobs=only("a", "b") if number % 2 else only("a", "c", "d")),
            lambda _: one.start(),
            lambda _: run_workflow(other),
        )

    drain(engine)
    assert "active" not in states(engine)
