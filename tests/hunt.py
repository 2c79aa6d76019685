"""Random clients on few shared runs: what deadlocks, what answers otherwise than documented, what never ends.

    python -m tests.hunt --seconds 60 --clients 32 --seed 1 [--dsn postgresql://…]

By hand it makes a database of its own, on an embedded server unless told otherwise; found: exit code 1.

Clients run on the real clock, so that leases, timeouts and backoffs of one to three seconds end by themselves
and the upkeep inside claims is due as in life. First each call is a transaction of its own (or a user's write
and one report): nothing may deadlock. Then some clients make several calls in one transaction: those are told
to retry on 40P01 and 40001, and so may be whoever they met. In the end one worker drains what is left.
"""

import argparse
import json
import random
import re
import sys
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from tests.arrange import chain, chunk, diamond, fan, join, only, resume_all
from tests.engine import Engine, lease_id

LABELS = ("a", "b", "c", "d")
WORKERS = [f"worker {number}" for number in range(12)]
KEYS = ["key 1", "key 2", "key 3", "key 4"]  # of idempotency, in each workflow
TRANSACTION = "a transaction of several calls"
EFFECT = "a write and one report"
WAITING = (
    "select count(*) as clients from pg_stat_activity"
    " where datname = current_database() and wait_event_type = 'Lock'"
)
ACTIVE = "select 1 as run from wfg.runs where state = 'active' limit 1"


# --- graphs ---


def fan_and_join(width: int, **keys: Any) -> dict[str, dict[str, Any]]:
    """1-100-1."""
    leaves = fan(width, **keys)
    return {**leaves, "end": {"run": "true", "needs": [key for key in leaves if key != "root"]}}


def some_labels(chance: random.Random) -> list[str]:
    return chance.sample(LABELS, chance.choice([0, 0, 0, 1, 1, 2]))


def random_graph(chance: random.Random) -> dict[str, dict[str, Any]]:
    """Up to 40 jobs, some joins wide; labels, priorities, retries, backoffs and timeouts at random."""
    jobs: dict[str, dict[str, Any]] = {}
    for number in range(chance.randint(2, 40)):
        most = chance.choice([0, 1, 2, 3, 20])
        policy: dict[str, Any] = {
            "retries": chance.choice([0, 1, 3]),
            "lost_retries": chance.choice([0, 2]),
            "backoff": chance.choice(
                ["none", {"fixed": 1}, {"exponential": {"base": 1, "max": 2, "jitter": 0.5}}]
            ),
        }
        if chance.random() < 0.2:
            policy["timeout"] = chance.randint(1, 2)
        jobs[f"n{number:02}"] = {
            "run": "true",
            "needs": chance.sample(list(jobs), min(len(jobs), most)),
            "labels": some_labels(chance),
            "priority": chance.choice([0, 0, 0, 1, -1]),
            **policy,
        }
    return jobs


RETRIED = {"retries": 2, "lost_retries": 2}
ROOTS = [f"root{number:02}" for number in range(1, 18)]
WIDE_LAYER = [f"wide{number}" for number in range(1, 9)]
WIDES = {  # several wide jobs that are leased at once, and report and end together
    **only(*ROOTS, retries=3, lost_retries=3),
    **{key: {"run": "true", "needs": ROOTS, "retries": 1, "lost_retries": 3} for key in WIDE_LAYER},
    "wide9": {"run": "true", "needs": [*ROOTS[1:], *WIDE_LAYER[:4]]},
    "narrow": {"run": "true", "needs": WIDE_LAYER[4:]},
    "tail": {"run": "true", "needs": ["narrow", "wide9"]},
}
FIXED = {
    "chain": chain(5, **RETRIED),
    "diamond": diamond(8, **RETRIED),
    "fan": fan_and_join(100, retries=1),
    "fan of labels": fan(20, labels=["a"], lost_retries=1),
    "join": join(20, **RETRIED),
    "wides": WIDES,
    "wides again": WIDES,
    "wide": only(*(f"w{number}" for number in range(40)), retries=1),
    "backoff": chain(3, retries=5, backoff={"fixed": 1}),
    "timeout": diamond(3, retries=3, timeout=1, labels=["b"]),
    "one": only("a"),
}
RANDOM = ("random 1", "random 2", "random 3")
FLEETING = "fleeting"  # deleted and put again
WORKFLOWS = (*FIXED, *RANDOM, FLEETING)


def definition(workflow: str, chance: random.Random) -> dict[str, Any]:
    """One of few versions of a fixed graph; a new graph of the random ones."""
    jobs = FIXED[workflow] if workflow in FIXED else random_graph(chance)
    return {"jobs": jobs, "env": {"V": str(chance.randrange(3))}}


# --- what all clients share ---


@dataclass
class Lease:
    id: str
    run: str
    job: str
    claim: dict[str, Any]


NOT_HUNTED = {
    "wfg_validate_workflow",
    "wfg_create_workflow",
    "wfg_create_sample_workflow",
    "wfg_create_token",
    "wfg_list_tokens",
    "wfg_revoke_token",
    "wfg_list_limits",
    "wfg_set_limit",
    "wfg_doctor",
    "wfg_schedule_cron",
    "wfg_unschedule_cron",
    "wfg_list_cron",
    "wfg_authorize",
}


@dataclass
class Hunt:
    """What the clients share, and what they find. Changed under the lock only, but for `doing`."""

    dsn: str
    seed: int
    seconds: float
    enough: int = 20  # so many findings end it
    strict: bool = True  # every deadlock is a finding
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    runs: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    leases: deque[Lease] = field(default_factory=lambda: deque(maxlen=400))
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    ended: list[tuple[str, str, str]] = field(default_factory=list)  # run, job, success or failure: accepted
    effects: list[str] = field(default_factory=list)  # leases whose write was committed
    waits: list[int] = field(default_factory=list)  # how many clients waited for a lock, when looked
    findings: list[str] = field(default_factory=list)
    doing: dict[int, str] = field(default_factory=dict)  # pid -> its call
    documented: dict[str, set[str]] = field(default_factory=dict)

    def find(self, what: str) -> None:
        with self.lock:
            self.findings.append(what)
        if len(self.findings) >= self.enough:
            self.stop.set()

    def not_called(self) -> set[str]:
        """What was not yet answered, of all that there is to be called."""
        called = {kind for kind, outcome in list(self.counts) if outcome == "ok"}
        return self.documented.keys() - called - NOT_HUNTED

    def calls(self) -> int:
        return sum(self.counts.values())

    def outcomes(self, outcome: str) -> int:
        return sum(count for (_, each), count in self.counts.items() if each == outcome)


def documented_errors(engine: Engine) -> dict[str, set[str]]:
    """The slugs that the comment of each function names after `Errors:`."""
    found = engine.query(
        "select p.proname as name, obj_description(p.oid, 'pg_proc') as comment from pg_proc p"
        " where p.pronamespace = 'public'::regnamespace and p.proname like 'wfg\\_%'"
    )
    errors = {
        row["name"]: set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", row["comment"].partition("Errors:")[2]))
        for row in found
    }
    errors["wfg_report_jobs"] |= errors["wfg_complete_job"]  # says so, with p_strict
    # What clients send is never wrong in itself.
    return {name: slugs - {"invalid_request", "invalid_workflow"} for name, slugs in errors.items()}


# --- one client ---


def without_late_holds(broken: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A cancellation that is undone may leave a job held though the lease that held it has gone.

    wfg.let_go skips what is locked; the job waits until that lease would have ended, at most 60 s.
    """
    return [each for each in broken if each["invariant"] != "what is held is held by a cancelled lease"]


class Refused(Exception):
    """A call failed; it is counted already."""


class Client:
    """A session that makes random calls until it is told to stop."""

    def __init__(self, hunt: Hunt, number: int) -> None:
        self.hunt = hunt
        self.random = random.Random(f"{hunt.seed}/{number}/{hunt.strict}")
        self.engine = Engine(hunt.dsn)
        for setting in ("deadlock_timeout = '50ms'", "statement_timeout = '30s'"):
            self.engine.query(f"set {setting}")
        self.inside: list[Callable[[], None]] | None = (
            None  # what is to be noted when the transaction commits
        )
        self.repeatable = False
        self.idle = False  # the last claim found nothing
        self.counts: Counter[tuple[str, str]] = Counter()

    def close(self) -> None:
        with self.hunt.lock:
            self.hunt.counts.update(self.counts)
        if not self.engine.connection.closed:
            self.engine.query("rollback")
            self.engine.query("select pg_stat_force_next_flush()")
            self.engine.close()

    def run(self, transactions: bool) -> None:
        try:
            while not self.hunt.stop.is_set():
                if transactions and self.random.random() < 0.5:
                    self.transaction()
                    continue
                with suppress(Refused):
                    self.act()
        except BaseException as error:
            self.hunt.find(f"a client broke: {error!r}, in {self.hunt.doing.get(self.engine.pid)}")
            self.hunt.stop.set()
            self.engine.close()  # what it has locked
            raise

    def act(self) -> None:
        """One random call, or a write and one report."""
        (action,) = self.random.choices(ACTIONS, WEIGHTS)
        action(self)

    # --- calls ---

    def call(self, function: str, /, **params: Any) -> Any:
        """The answer; what fails is counted, judged, and raised as Refused."""
        self.hunt.doing[self.engine.pid] = f"{function} {str(params)[:300]}"
        try:
            answer = self.engine.call(function, **params)
        except psycopg.Error as error:
            self.judge(function, error)
            raise Refused from None
        self.counts[function, "ok"] += 1
        return answer

    def judge(self, kind: str, error: psycopg.Error) -> None:
        """Count a failure. One that is not documented for the call is a finding."""
        state = error.sqlstate or "no SQLSTATE"
        slug = error.diag.message_primary or str(error)
        if state.startswith("PT"):
            self.counts[kind, slug] += 1
            if slug in self.hunt.documented.get(kind, ()) and not state.startswith("PT5"):
                return
        else:
            self.counts[kind, state] += 1
            if self.may_retry(kind, state):
                return
        pids = {int(pid) for pid in re.findall(r"rocess (\d+)", error.diag.message_detail or "")}
        others = [f"  {pid}: {self.hunt.doing.get(pid)}" for pid in sorted(pids | {self.engine.pid})]
        self.hunt.find(
            "\n".join(
                [
                    f"{kind}: {state} {slug}",
                    f"{error.diag.message_detail}",
                    *others,
                    f"{error.diag.context}",
                ]
            )
        )

    def may_retry(self, kind: str, state: str) -> bool:
        """Deadlocks only beside transactions of several calls; 40001 only in a stricter isolation.

        Claims may be made to wait in spite of `skip locked` (sql/README.md): assert_it_was_a_hunt counts.
        """
        if state == "55P03" and kind in ("wfg_claim_job", "wfg_claim_jobs"):
            return True
        # A version is pruned a day after its successor came, or its workflow went; a prune two days ahead may
        # take one that a start has just looked up.
        if state == "23503" and kind in ("wfg_run_workflow", "wfg_start_run", "wfg_start_runs"):
            return True
        if self.hunt.strict:
            return False
        return state == "40P01" or (state == "40001" and self.repeatable)

    def note(self, what: Callable[[], None]) -> None:
        """Do it when the call's transaction is committed: now, outside of one."""
        if self.inside is None:
            with self.hunt.lock:
                what()
        else:
            self.inside.append(what)

    # --- what may be chosen ---

    def a_run(self) -> str:
        """Mostly one of few; seldom a workflow, which means the latest of its door, or one that is gone."""
        runs = self.hunt.runs
        if self.random.random() < 0.15 or not runs:
            return self.random.choice(WORKFLOWS)
        try:
            return runs[-1 - min(int(self.random.expovariate(0.25)), len(runs) - 1)]
        except IndexError:
            return self.random.choice(WORKFLOWS)

    def take(self, keep: float = 0.15) -> Lease:
        """A lease, often of another session. Sometimes it stays for others, who then report it too."""
        return self.take_many(1, keep)[0]

    def take_many(self, count: int, keep: float = 0.15) -> list[Lease]:
        """Neighbours, so mostly of few runs, that others are working on, too: the oldest, or any."""
        with self.hunt.lock:
            leases = self.hunt.leases
            if not leases:
                raise Refused
            if self.random.random() < 0.5:
                leases.rotate(self.random.randrange(len(leases)))
            taken = [leases.popleft() for _ in range(min(count, len(leases)))]
            leases.extendleft(lease for lease in taken if self.random.random() < keep)
            return taken

    def outputs(self) -> dict[str, str]:
        return {"text": "x" * self.random.choice([0, 1, 10, 2000])}

    def accepted(self, lease: Lease, answer: dict[str, Any]) -> None:
        if answer.get("job") in ("success", "failure"):
            self.note(lambda: self.hunt.ended.append((lease.run, lease.job, answer["job"])))

    # --- actions ---

    def put(self) -> None:
        workflow = self.random.choice(WORKFLOWS)
        self.call("wfg_put_workflow", p_workflow_id=workflow, p_definition=definition(workflow, self.random))

    def delete(self) -> None:
        self.call("wfg_delete_workflow", p_workflow_id=FLEETING)

    def start(self) -> None:
        """Seldom while there is enough to do."""
        if not self.idle and self.random.random() < 0.8:
            return
        params: dict[str, Any] = {"p_workflow_id": self.random.choice(WORKFLOWS)}
        if self.random.random() < 0.3:
            params["p_start_at"] = datetime.now(UTC) + timedelta(seconds=self.random.choice([-1, 0.3, 2]))
        if self.random.random() < 0.4:
            params["p_idempotency_key"] = self.random.choice(KEYS)
            params["p_start_at"] = self.random.choice([None, None, "2020-01-01T00:00:00Z"])
            params["p_started_by"] = self.random.choice(WORKERS)
        run = self.call("wfg_start_run", **params)["run_id"]
        self.note(lambda: self.hunt.runs.append(run))

    def start_many(self) -> None:
        """Keys of others among them, and in the same call twice."""
        if not self.idle and self.random.random() < 0.8:
            return
        items: list[dict[str, Any]] = []
        for _ in range(self.random.choice([1, 2, 5])):
            item: dict[str, Any] = {}
            if self.random.random() < 0.5:
                item["idempotency_key"] = self.random.choice(KEYS)
            elif self.random.random() < 0.3:
                item["start_at_ms"] = int((time.time() + self.random.choice([-1, 0.3, 2])) * 1000)
            items.append(item)
        answers = self.call("wfg_start_runs", p_workflow_id=self.random.choice(WORKFLOWS), p_runs=items)
        for answer in answers:
            if not answer["ok"] and answer["message"] != "idempotency_key_reused":
                self.hunt.find(f"an item of wfg_start_runs: {answer}")
        runs = [answer["run_id"] for answer in answers if answer["ok"]]
        self.note(lambda: self.hunt.runs.extend(runs))

    def run_workflow(self) -> None:
        run = self.call("wfg_run_workflow", p_workflow_id=self.random.choice(WORKFLOWS))["run_id"]
        self.note(lambda: self.hunt.runs.append(run))

    def rerun(self) -> None:
        """Most have not ended, or have nothing left to do."""
        jobs = self.random.choice(["all", "failed"])
        run = self.call("wfg_rerun_run", p_run_id=self.a_run(), p_jobs=jobs)["run_id"]
        self.note(lambda: self.hunt.runs.append(run))

    def claim(self) -> None:
        params = {
            "p_worker_id": self.random.choice(WORKERS),
            "p_labels": self.random.choice([list(LABELS), some_labels(self.random)]),
            "p_ttl_secs": self.random.choice([1, 1, 2, 3, 30]),
        }
        if self.random.random() < 0.5:
            claim = self.call("wfg_claim_job", **params)
            claims = [claim] if claim else []
        else:
            claims = self.call("wfg_claim_jobs", p_limit=self.random.choice([2, 5, 20, 60]), **params)
        self.idle = not claims

        leases = [
            Lease(lease_id(claim), claim["job"]["run_id"], claim["job"]["job_id"], claim) for claim in claims
        ]
        self.note(lambda: self.hunt.leases.extend(leases))

    def renew(self) -> None:
        self.call("wfg_renew_lease", p_lease_id=self.take(keep=1).id)

    def complete(self) -> None:
        lease = self.take()
        answer = self.call("wfg_complete_job", p_lease_id=lease.id, p_outputs=self.outputs())
        self.accepted(lease, answer)

    def fail(self) -> None:
        lease = self.take()
        retryable = self.random.random() < 0.7
        answer = self.call("wfg_fail_job", p_lease_id=lease.id, p_error="boom", p_retryable=retryable)
        self.accepted(lease, answer)

    def release(self) -> None:
        self.call("wfg_release_job", p_lease_id=self.take().id)

    def batch(self) -> tuple[list[Lease], list[dict[str, Any]]]:
        """Some leases, and their reports, in any order; some twice, some that never were."""
        leases = self.take_many(self.random.choice([1, 2, 5, 10, 30]), keep=0.1)
        if self.random.random() < 0.1:
            leases.append(self.random.choice(leases))
        if self.random.random() < 0.05:
            leases.append(Lease("nonsense", "", "", {}))
        self.random.shuffle(leases)
        return leases, [self.item(lease) for lease in leases]

    def item(self, lease: Lease) -> dict[str, Any]:
        if self.random.random() < 0.06:
            retryable = self.random.random() < 0.7
            return {"lease_id": lease.id, "outcome": "failure", "error": "boom", "retryable": retryable}
        return {"lease_id": lease.id, "outcome": "success", "outputs": self.outputs()}

    def report(self) -> None:
        leases, reports = self.batch()
        strict = self.random.random() < 0.3
        try:
            answers = self.call("wfg_report_jobs", p_reports=reports, p_strict=strict)
        except Refused:
            with self.hunt.lock:  # all of it was undone
                self.hunt.leases.extend(lease for lease in leases if lease.claim)
            raise
        for lease, answer in zip(leases, answers, strict=True):
            if answer["ok"]:
                self.accepted(lease, answer)
            else:
                self.counts["an item of wfg_report_jobs", answer["message"]] += 1
                if answer["message"] not in self.hunt.documented["wfg_complete_job"]:
                    self.hunt.find(f"an item of a batch: {answer}")

    def work(self) -> None:
        """A write of the user's and one report, in one transaction."""
        lease = self.take()
        accepted: list[tuple[str, str, str]] = []
        try:
            with self.engine.connection.transaction():
                self.engine.query("insert into public.effects values (%s)", lease.id)
                if self.random.random() < 0.5:
                    answer = self.call("wfg_complete_job", p_lease_id=lease.id, p_outputs=self.outputs())
                else:
                    item = {"lease_id": lease.id, "outcome": "success"}
                    (answer,) = self.call("wfg_report_jobs", p_reports=[item], p_strict=True)
                accepted.append((lease.run, lease.job, answer["job"]))
        except psycopg.Error as error:
            self.judge(EFFECT, error)
            raise Refused from None
        self.counts[EFFECT, "ok"] += 1
        with self.hunt.lock:
            self.hunt.ended += accepted
            self.hunt.effects.append(lease.id)

    def cancel_run(self) -> None:
        self.call("wfg_cancel_run", p_run_id=self.a_run(), p_cancelled_by="hunt", p_reason="sport")

    def cancel_job(self) -> None:
        """Of a lease, or of a run that may not have it."""
        if self.random.random() < 0.5:
            lease = self.take(keep=1)
            run, job = lease.run, lease.job
        else:
            run, job = self.a_run(), self.random.choice(["j2", "m3", "leaf7", "sink", "n01", "a", "bottom"])
        self.call("wfg_cancel_job", p_run_id=run, p_job_id=job)

    def reap(self) -> None:
        self.call("wfg_reap", p_limit=self.random.choice([1, 10, 1000]))

    def prune(self) -> None:
        """Half of them two days ahead: then label sets and workers go, too, which others use right now."""
        ahead = self.inside is None and self.random.random() < 0.5
        if ahead:
            self.engine.set_now(datetime.now(UTC) + timedelta(days=2))
        try:
            seconds = self.random.choice([0, 1]) + ahead * 2 * 86400
            self.call("wfg_prune", p_older_than_secs=seconds, p_limit=self.random.choice([1, 10, 1000]))
        finally:
            if ahead:
                self.engine.set_now(None)

    def pause(self) -> None:
        """For a moment; two clients may pause the same, and resume it under each other."""
        workflow, labels = self.random.choice(WORKFLOWS), self.random.sample(LABELS, 1)
        pause, resume, params = self.random.choice(
            [
                ("wfg_freeze", "wfg_thaw", {}),
                ("wfg_pause_labels", "wfg_resume_labels", {"p_labels": labels}),
                ("wfg_pause_workflow", "wfg_resume_workflow", {"p_workflow_id": workflow}),
            ]
        )
        self.call(pause, **params)
        self.call("wfg_list_pauses")
        for _ in range(self.random.choice([1, 5]) if self.inside is None else 0):
            with suppress(Refused):
                self.act()
        if not self.repeatable or resume != "wfg_resume_workflow":  # which refuses an old snapshot
            self.call(resume, **params)

    def append(self) -> None:
        lease = self.take(keep=1)
        chunks = [chunk(lease.claim, self.random.randrange(20)) for _ in range(self.random.choice([1, 1, 5]))]
        self.call("wfg_append_logs", p_lease_id=lease.id, p_chunks=chunks)

    def worker(self) -> None:
        worker = self.random.choice(WORKERS)
        (function,) = self.random.choices(
            ["wfg_register_worker", "wfg_heartbeat_worker", "wfg_deregister_worker"], [2, 4, 1]
        )
        labels = {"p_labels": some_labels(self.random)} if function == "wfg_register_worker" else {}
        self.call(function, p_worker_id=worker, **labels)

    def read(self) -> None:
        run = self.a_run()
        job = self.random.choice(["j1", "top", "leaf1", "p1", "n00", "a"])
        workflow = self.random.choice(WORKFLOWS)
        ended = self.hunt.ended[-20:]
        done_run, done_job, _ = self.random.choice(ended) if ended else (run, job, "")
        reads: list[tuple[str, dict[str, Any]]] = [
            ("wfg_get_run", {"p_run_id": run}),
            ("wfg_get_status", {"p_workflow_id": run}),
            ("wfg_get_job", {"p_run_id": run, "p_job_id": job}),
            ("wfg_get_outputs", {"p_run_id": done_run, "p_job_id": done_job}),
            ("wfg_is_cancelled", {"p_workflow_id": run, "p_job_id": job}),
            ("wfg_list_logs", {"p_workflow_id": run, "p_job_id": job}),
            ("wfg_read_logs", {"p_workflow_id": run, "p_job_id": job}),
            ("wfg_list_runs", {"p_state": "running", "p_limit": 5}),
            ("wfg_watch_runs", {"p_run_ids": [run], "p_newest": 5}),
            ("wfg_list_workflows", {}),
            ("wfg_get_workflow", {"p_workflow_id": workflow}),
            ("wfg_list_jobs", {"p_state": self.random.choice(["ready", "running"])}),
            ("wfg_list_queue", {}),
            ("wfg_list_attempts", {"p_run_id": run}),
            ("wfg_list_outcomes", {}),
            ("wfg_metrics", {}),
            ("wfg_list_workers", {}),
            ("wfg_health", {}),
        ]
        function, params = self.random.choice(reads)
        self.call(function, **params)

    def check(self) -> None:
        """Nothing may be broken at any moment: it is one statement, so one snapshot."""
        if self.random.random() < 0.1:
            broken = without_late_holds(self.call("wfg_check"))
            if broken:
                self.hunt.find(f"wfg_check: {broken}")

    # --- several calls in one transaction ---

    def transaction(self) -> None:
        """Two to four calls; a failure undoes them all. Some in a stricter isolation."""
        level = self.random.choice(["read committed", "read committed", "repeatable read", "serializable"])
        self.repeatable = level != "read committed"
        self.inside = []
        try:
            self.engine.query(f"begin isolation level {level}")
            for _ in range(self.random.randint(2, 4)):
                self.act_inside()
            self.hunt.doing[self.engine.pid] = "commit"
            self.engine.query("commit")
        except Refused:
            self.engine.query("rollback")
            self.counts[TRANSACTION, "undone"] += 1
        except psycopg.Error as error:
            self.judge(TRANSACTION, error)
            self.engine.query("rollback")
        else:
            self.counts[TRANSACTION, "ok"] += 1
            with self.hunt.lock:
                for what in self.inside:
                    what()
        finally:
            self.inside = None
            self.repeatable = False

    def act_inside(self) -> None:
        action = self.random.choice(INSIDE)
        action(self)


# How often each is chosen. Leases are worked off about as fast as they are claimed.
WEIGHTED: dict[Callable[[Client], None], int] = {
    Client.claim: 26,
    Client.complete: 18,
    Client.report: 10,
    Client.work: 6,
    Client.fail: 3,
    Client.release: 3,
    Client.renew: 6,
    Client.start: 8,
    Client.start_many: 3,
    Client.run_workflow: 3,
    Client.rerun: 3,
    Client.cancel_run: 2,
    Client.cancel_job: 2,
    Client.reap: 2,
    Client.prune: 2,
    Client.pause: 2,
    Client.put: 2,
    Client.delete: 1,
    Client.append: 4,
    Client.worker: 4,
    Client.read: 9,
    Client.check: 1,
}
ACTIONS = list(WEIGHTED)
WEIGHTS = list(WEIGHTED.values())
INSIDE = [
    Client.complete,
    Client.complete,
    Client.complete,
    Client.report,
    Client.fail,
    Client.release,
    Client.renew,
    Client.claim,
    Client.start,
    Client.start_many,
    Client.run_workflow,
    Client.rerun,
    Client.cancel_run,
    Client.cancel_job,
    Client.append,
    Client.pause,
    Client.put,
    Client.read,
]


# --- the hunt ---

LONGER = 6


def deadlocks(engine: Engine) -> int:
    found = engine.query("select deadlocks from pg_stat_database where datname = current_database()")
    return found[0]["deadlocks"]


def chase(hunt: Hunt, engine: Engine, clients: int, transactions: bool) -> None:
    """Let so many clients run for the hunt's time, or until there is enough to look at.

    Single calls go on for LONGER times that while some function was not called: a busy machine is slow.
    """
    crowd = [Client(hunt, number) for number in range(clients)]
    threads = [threading.Thread(target=client.run, args=(transactions,)) for client in crowd]
    for thread in threads:
        thread.start()
    begun_at = time.monotonic()
    while not hunt.stop.wait(0.1):
        took = (time.monotonic() - begun_at) / hunt.seconds
        if took >= (LONGER if hunt.not_called() and not transactions else 1):
            break
        hunt.waits.append(engine.query(WAITING)[0]["clients"])
    hunt.stop.set()
    for thread in threads:
        thread.join()
    for client in crowd:
        client.close()


def drain(hunt: Hunt, engine: Engine) -> None:
    """One worker, an hour later, ends what is left: every lease is over, every delay and backoff passes."""
    engine.set_now(datetime.now(UTC) + timedelta(hours=1))
    resume_all(engine)
    for _ in range(300):
        engine.call("wfg_reap", p_limit=1000)
        claims = engine.claim_many(1000, labels=LABELS, ttl=600)
        if not claims:
            if not engine.query(ACTIVE):
                break
            engine.advance(60)
            continue
        reports = [{"lease_id": lease_id(claim), "outcome": "success"} for claim in claims]
        answers = engine.call("wfg_report_jobs", p_reports=reports)
        if not all(answer["ok"] for answer in answers):
            hunt.find(f"drain: {[answer for answer in answers if not answer['ok']][:3]}")
        hunt.ended += [(claim["job"]["run_id"], claim["job"]["job_id"], "success") for claim in claims]

    for left, query in {
        "runs that never end": ACTIVE,
        "queue rows": "select * from wfg.queue limit 3",
    }.items():
        if found := engine.query(query):
            hunt.find(f"left behind: {left}: {found}")


def judge(hunt: Hunt, engine: Engine) -> None:
    """What was accepted is what is stored, once; a user's write is there if its report was accepted."""
    if broken := engine.call("wfg_check", p_all=True):
        hunt.find(f"wfg_check: {broken[:5]}")

    times = Counter((run, job) for run, job, _ in hunt.ended)
    if twice := [job for job, count in times.items() if count > 1]:
        hunt.find(f"accepted more than once: {len(twice)}, {twice[:3]}")

    stored = {
        (row["run"], row["key"], row["state"])
        for row in engine.query(
            "select j.run_id::text as run, s.key, j.state from wfg.jobs j join wfg.runs r on r.id = j.run_id"
            " join wfg.job_specs s on s.version_id = r.version_id and s.job_no = j.job_no"
            " where not wfg.is_kept(j.state, j.lease_nonce)"
        )
    }
    runs = {run for run, _, _ in stored}
    accepted = {job for job in hunt.ended if job[0] in runs}  # others were pruned
    if lost := accepted - stored:
        hunt.find(f"accepted, and not stored: {len(lost)}, {sorted(lost)[:3]}")
    if unknown := {job for job in stored if job[2] == "success"} - accepted:
        hunt.find(f"success, and nobody's report was accepted: {len(unknown)}, {sorted(unknown)[:3]}")

    effects = Counter(row["lease"] for row in engine.query("select lease from public.effects"))
    if effects != Counter(hunt.effects):
        hunt.find(
            f"writes: {effects - Counter(hunt.effects)} too many, {Counter(hunt.effects) - effects} gone"
        )


def prepare(dsn: str, seed: int) -> None:
    """All workflows, and a table of the user's."""
    engine = Engine(dsn)
    chance = random.Random(seed)
    engine.query("create table public.effects (lease text not null)")
    for function in ("wfg_claim_job", "wfg_claim_jobs"):  # in life 500 ms, and deadlock_timeout 1 s
        engine.query(f"alter function public.{function} set lock_timeout = '25ms'")
    for workflow in WORKFLOWS:
        engine.call("wfg_put_workflow", p_workflow_id=workflow, p_definition=definition(workflow, chance))
    engine.close()


def hunt_in(
    dsn: str, *, seconds: float, transactions: float, clients: int = 32, seed: int = 0, enough: int = 20
) -> Hunt:
    """Hunt in a database that has wfg and nothing else; the result, with its findings."""
    prepare(dsn, seed)
    hunt = Hunt(dsn, seed, seconds, enough)
    engine = Engine(dsn)
    hunt.documented = documented_errors(engine)

    chase(hunt, engine, clients, transactions=False)
    if met := deadlocks(engine):
        hunt.find(f"{met} deadlocks, of single calls")

    if transactions and not hunt.findings:
        hunt.seconds, hunt.strict = transactions, False
        hunt.stop.clear()
        chase(hunt, engine, clients, transactions=True)

    if not hunt.findings:
        drain(hunt, engine)
        judge(hunt, engine)
    engine.close()
    return hunt


def table_of(hunt: Hunt) -> str:
    """The calls, by kind and outcome."""
    kinds = sorted({kind for kind, _ in hunt.counts})
    lines = []
    for kind in kinds:
        outcomes = {outcome: count for (each, outcome), count in hunt.counts.items() if each == kind}
        told = ", ".join(
            f"{count} {outcome}" for outcome, count in sorted(outcomes.items(), key=lambda o: -o[1])
        )
        lines.append(f"{kind:32} {told}")
    return "\n".join(lines)


# --- by hand ---


@contextmanager
def database_for_hand(dsn: str | None) -> Iterator[str]:
    """A new database with sql/ in it: on a server of its own, or on this one; gone in the end."""
    from wfg import embedded

    from tests.conftest import load_sql

    server = None if dsn else embedded.start(in_memory=True)
    dsn = dsn or server.dsn
    name = f"wfg_hunt_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"create database {name}")
        try:
            made = psycopg.conninfo.make_conninfo(dsn, dbname=name)
            load_sql(made)
            yield made
        finally:
            connection.execute(f"drop database {name} with (force)")
            if server:
                connection.close()
                server.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="of single calls")
    parser.add_argument(
        "--transactions", type=float, default=None, help="seconds of those; a quarter as long"
    )
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dsn", help="a superuser's, of a server; an embedded one is started without it")
    options = parser.parse_args(arguments)

    with database_for_hand(options.dsn) as dsn:
        began = time.monotonic()
        hunt = hunt_in(
            dsn,
            seconds=options.seconds,
            transactions=options.seconds / 4 if options.transactions is None else options.transactions,
            clients=options.clients,
            seed=options.seed,
        )
        took = time.monotonic() - began
    print(table_of(hunt))
    told = {"seed": hunt.seed, "calls": hunt.calls(), "seconds": round(took, 1)}
    told["waiting for a lock, on average"] = round(sum(hunt.waits) / max(1, len(hunt.waits)), 1)
    told["deadlocks that transactions were told of"] = hunt.outcomes("40P01")
    print(json.dumps(told))
    for finding in hunt.findings:
        print(f"\nFOUND: {finding}")
    return bool(hunt.findings)


if __name__ == "__main__":
    sys.exit(main())
