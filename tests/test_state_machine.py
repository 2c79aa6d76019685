"""The engine against tests/model.py: random graphs and calls, every answer predicted, nothing ever broken."""

from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import psycopg
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from psycopg import sql

from tests.engine import Engine
from tests.model import Model, Run, Spec

START = datetime(2030, 1, 1, tzinfo=UTC)
LABELS = ((), ("linux",), ("gpu", "linux"))
KEYS = "abcde"
ROOTS = tuple(f"root{number:02}" for number in range(17))
WORKFLOWS = st.sampled_from(["one", "two"])
PAUSES = st.sampled_from(["one", "two", "one", "two", ("linux",), ("gpu", "linux"), "all"])


def ms(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


# --- workflows ---


@st.composite
def graphs(draw: st.DrawFn) -> list[Spec]:
    """Up to five jobs; every third time behind 17 more, which they need: wide joins in a wide run."""
    roots = ROOTS if draw(st.sampled_from([False, False, True])) else ()
    specs = [Spec(key, **draw(options)) for key in roots[:1]]
    specs += [Spec(key) for key in roots[1:]]

    for place in range(draw(st.integers(0 if roots else 1, len(KEYS)))):
        needs = tuple(key for key in KEYS[:place] if draw(st.booleans()))
        if roots and (not needs or draw(st.booleans())):
            needs += draw(st.sampled_from([ROOTS, ROOTS, ROOTS[:16], ROOTS[:2]]))
        specs.append(Spec(KEYS[place], needs=needs, **draw(options)))
    return specs


options = st.fixed_dictionaries(
    {
        "labels": st.sampled_from(LABELS),
        "priority": st.sampled_from([0, 0, -1, 5]),
        "retries": st.sampled_from([1, 0, 2]),
        "lost_retries": st.sampled_from([0, 1]),
        "backoff": st.sampled_from([(0, 0), (5, 5), (2, 6)]),
        "timeout": st.sampled_from([None, None, 3, 40]),
    }
)


def in_file(spec: Spec) -> dict[str, Any]:
    base, most = spec.backoff
    return {
        "run": "true",
        "needs": list(spec.needs),
        "labels": list(spec.labels),
        "priority": spec.priority,
        "retries": spec.retries,
        "lost_retries": spec.lost_retries,
        "backoff": {"exponential": {"base": base, "max": most}} if base else "none",
        **({"timeout": spec.timeout} if spec.timeout else {}),
    }


# --- the machine ---


def some_jobs(machine: "Machine") -> st.SearchStrategy[tuple[str, str | None]]:
    """A leased job, any job, or a run: then the job is null."""
    every = [(run.id, key) for run in machine.model.runs.values() for key in run.jobs]
    leased = [(lease.job.run.id, lease.job.spec.key) for lease in machine.model.leases.values()]
    ids = (leased, every, [(run_id, None) for run_id in machine.model.runs])
    return st.one_of(st.sampled_from(some) for some in ids if some)


def some_to_rerun(machine: "Machine") -> st.SearchStrategy[tuple[str, str | None]]:
    """As some_jobs, but mostly of runs of which a job succeeded."""
    begun = [
        (run.id, key)
        for run in machine.model.runs.values()
        if any(job.state == "success" for job in run.jobs.values())
        for key in run.jobs
    ]
    return st.one_of(*(2 * [st.sampled_from(begun)] if begun else []), some_jobs(machine))


def some_leases(machine: "Machine") -> st.SearchStrategy[str]:
    """A lease's id: mostly of one that lives; of any there was; of none."""
    live, past = list(machine.model.leases), list(machine.claimed)[-12:]
    forged = [f"{lease_id[:-4]}0000" for lease_id in past[-1:]]
    ids = (live, live, live, past, ["forged", *forged])
    return st.one_of(st.sampled_from(some) for some in ids if some)


jobs = st.runner().flatmap(some_jobs)
jobs_to_rerun = st.runner().flatmap(some_to_rerun)
leases = st.runner().flatmap(some_leases)
labels = st.sampled_from([LABELS[-1], LABELS[-1], *LABELS])
ttls = st.sampled_from([10, 1, 100])
# Seconds before a call; None: until the lease in question ends.
waits = st.sampled_from([0, 0, 0, 0, 1, 9, None])


class Machine(RuleBasedStateMachine):
    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(START)
        self.files: dict[str, list[Spec]] = {}
        self.claimed: dict[str, str] = {}  # all leases there ever were -> their runs
        self.engine.set_now(START)

    def teardown(self) -> None:
        tables = self.engine.query("select tablename from pg_tables where schemaname = 'wfg'")
        names = sql.SQL(", ").join(sql.Identifier("wfg", table["tablename"]) for table in tables)
        self.engine.connection.execute(sql.SQL("truncate {}").format(names))

    def answer(self, function: str, **params: Any) -> Any:
        """What the engine answers; of an error its slug."""
        try:
            return self.engine.call(function, **params)
        except psycopg.Error as error:
            if error.sqlstate != "PT409":
                raise
            return error.diag.message_primary

    def job_and_run(self, run_id: str, job: str) -> dict[str, str]:
        return {"job": job, "run": self.model.runs[run_id].state}

    # --- workflows and runs ---

    @initialize(one=graphs(), two=graphs())
    def put_and_start_both(self, one: list[Spec], two: list[Spec]) -> None:
        self.put("one", one)
        self.put("two", two)
        self.run_workflow("one")
        self.start_run("two", 0)

    def put(self, workflow: str, specs: list[Spec]) -> None:
        put = self.engine.put(workflow, jobs={spec.key: in_file(spec) for spec in specs})
        numbers = self.engine.query(
            "select s.key, s.job_no from wfg.job_specs s join wfg.workflow_versions v on v.id = s.version_id"
            " where v.workflow_id = %s and v.version = %s",
            workflow,
            put["version"],
        )
        number = {row["key"]: row["job_no"] for row in numbers}
        self.files[workflow] = [Spec(**{**vars(spec), "number": number[spec.key]}) for spec in specs]

    @rule(
        workflow=WORKFLOWS,
        specs=st.sampled_from([False, False, True]).flatmap(lambda new: graphs() if new else st.none()),
        delay=st.sampled_from([0, 0, 7]),
    )
    def start(self, workflow: str, specs: list[Spec] | None, delay: int) -> None:
        if specs:
            self.put(workflow, specs)
        self.start_run(workflow, delay)

    def start_run(self, workflow: str, delay: int) -> None:
        self.pass_time(0.001)
        start_at = self.model.now + timedelta(seconds=delay)
        run_id = self.engine.start(workflow, **({"start_at": start_at} if delay else {}))
        self.model.start(Run(run_id, workflow, "run"), self.files[workflow], start_at)

    @rule(
        job=jobs_to_rerun,
        which=st.sampled_from(["failed", "from", "all"]),
        cancel_first=st.sampled_from([True, True, False]),
    )
    def rerun(self, job: tuple[str, str | None], which: str, cancel_first: bool) -> None:
        self.pass_time(0.001)
        run_id, key = job
        before = self.model.runs[run_id]
        if cancel_first:
            self.model.cancel_run(before)
            assert self.answer("wfg_cancel_run", p_run_id=run_id)["run"] == before.state
        chosen = {"p_jobs": "failed"} if which == "failed" else {}
        if which == "from" and key:
            chosen["p_from_job_id"] = key
        kept = self.model.kept(before, which == "failed", chosen.get("p_from_job_id"))
        answer = self.answer("wfg_rerun_run", p_run_id=run_id, **chosen)
        if isinstance(kept, str):
            assert answer == kept
        else:
            assert answer["created"]
            self.model.rerun(Run(answer["run_id"], before.workflow, "run", rerun_of=run_id), before, kept)

    @rule(workflow=WORKFLOWS, cancel_first=st.sampled_from([False, False, True]), wait=waits)
    def start_at_workflow_door(self, workflow: str, cancel_first: bool, wait: int | None) -> None:
        latest = self.model.latest(workflow)
        if cancel_first:
            if latest:
                self.model.cancel_run(latest)
            answer = self.answer("wfg_cancel_run", p_run_id=workflow)
            assert answer == {"run_id": latest and latest.id, "run": latest.state if latest else "queued"}
            self.wait(wait)
        self.run_workflow(workflow)

    def run_workflow(self, workflow: str) -> None:
        self.pass_time(0.001)
        latest = self.model.latest(workflow)
        answer = self.engine.call("wfg_run_workflow", p_workflow_id=workflow)
        if latest and latest.active:
            assert (answer["created"], answer["run_id"]) == (False, latest.id)
        else:
            assert answer["created"]
            run = Run(answer["run_id"], workflow, "workflow")
            self.model.start(run, self.files[workflow], self.model.now)

    @rule(run_and_job=jobs)
    def cancel(self, run_and_job: tuple[str, str | None]) -> None:
        run_id, key = run_and_job
        run = self.model.runs[run_id]
        if key is None:
            self.model.cancel_run(run)
            assert self.answer("wfg_cancel_run", p_run_id=run_id) == {"run_id": run_id, "run": run.state}
        else:
            job = run.jobs[key]
            if job.state == "queued":
                self.model.cancel_job(job)
            answer = self.answer("wfg_cancel_job", p_run_id=run_id, p_job_id=key)
            assert answer == self.job_and_run(run_id, job.state)

    @rule(what=PAUSES, begin=st.sampled_from([True, False, False]))
    def pause_or_resume(self, what: str | tuple[str, ...], begin: bool) -> None:
        match what:
            case "all":
                names, params = ("wfg_freeze", "wfg_thaw", "thawed"), {}
            case str():
                names, params = (
                    ("wfg_pause_workflow", "wfg_resume_workflow", "resumed"),
                    {"p_workflow_id": what},
                )
            case _:
                names, params = ("wfg_pause_labels", "wfg_resume_labels", "resumed"), {"p_labels": list(what)}
        if begin:
            self.answer(names[0], **params)
            self.model.paused.add(what)
        else:
            assert self.answer(names[1], **params)[names[2]] is (what in self.model.paused)
            self.model.paused.discard(what)

    # --- workers ---

    @rule(limit=st.sampled_from([1, 2, 5]), labels=labels, ttl=ttls, wait=waits)
    def claim(self, limit: int, labels: tuple[str, ...], ttl: int, wait: int | None) -> None:
        self.wait(wait)
        if limit == 1:
            claim = self.engine.claim(labels=labels, ttl=ttl)
            claims = [claim] if claim else []
        else:
            claims = self.engine.claim_many(limit, labels=labels, ttl=ttl)

        self.model.reap()
        jobs = {(job.run.id, job.spec.key): job for job in self.model.claimable(labels)[:limit]}
        names = [(claim["job"]["run_id"], claim["job"]["job_id"]) for claim in claims]
        assert sorted(names) == sorted(jobs)
        priorities = [jobs[name].spec.priority for name in names]
        assert priorities == sorted(priorities, reverse=True)

        for name, claim in zip(names, claims, strict=True):
            job = jobs[name]
            lease = self.model.claim(job, claim["lease"]["lease_id"], ttl)
            self.claimed[lease.id] = job.run.id
            assert claim["lease"]["expires_at_ms"] == ms(lease.expires)
            assert claim["job"]["attempt"] == job.attempt
            assert claim["job"]["workflow_id"] == (
                job.run.workflow if job.run.door == "workflow" else job.run.id
            )
            assert claim["job"]["upstream_outputs"] == {
                key: job.run.jobs[key].outputs for key in job.spec.needs
            }

    @rule(lease_id=leases, outcome=st.sampled_from(["success", "failure", "retry", "release"]), wait=waits)
    def report(self, lease_id: str, outcome: str, wait: int | None) -> None:
        self.wait(wait, lease_id)
        match outcome:
            case "success":
                answer = self.answer("wfg_complete_job", p_lease_id=lease_id, p_outputs={"by": lease_id})
            case "release":
                answer = self.answer("wfg_release_job", p_lease_id=lease_id)
            case _:
                retryable = outcome == "retry"
                answer = self.answer(
                    "wfg_fail_job", p_lease_id=lease_id, p_error="boom", p_retryable=retryable
                )
        accepted, job = self.model.report(lease_id, outcome)
        assert answer == (self.job_and_run(self.claimed[lease_id], job) if accepted else job)

    @rule(data=st.data())
    def complete_roots(self, data: st.DataObject) -> None:
        """All the roots that are there, in one batch of any order."""
        self.claim(100, LABELS[-1], 100, 0)
        roots = [lease.id for lease in self.model.leases.values() if lease.job.spec.key in ROOTS]
        self.report_many([(lease_id, "success") for lease_id in data.draw(st.permutations(roots))], False)

    @rule(
        reports=st.lists(st.tuples(leases, st.sampled_from(["success", "failure", "retry"])), max_size=6),
        strict=st.sampled_from([False, False, True]),
    )
    def report_many(self, reports: list[tuple[str, str]], strict: bool) -> None:
        items = [
            {"lease_id": lease_id, "outcome": "success", "outputs": {"by": lease_id}}
            if outcome == "success"
            else {"lease_id": lease_id, "outcome": "failure", "error": "", "retryable": outcome == "retry"}
            for lease_id, outcome in reports
        ]
        answer = self.answer("wfg_report_jobs", p_reports=items, p_strict=strict)
        self.model, expected = self.model.report_many(reports, strict)

        refused = [slug for accepted, slug in expected if not accepted]
        if strict and refused:
            assert answer == refused[0]
            return
        assert answer == [
            {
                "lease_id": lease_id,
                "ok": accepted,
                **(self.job_and_run(self.claimed[lease_id], job) if accepted else {"message": job}),
            }
            for (lease_id, _), (accepted, job) in zip(reports, expected, strict=True)
        ]

    @rule(lease_id=leases, wait=waits)
    def renew(self, lease_id: str, wait: int | None) -> None:
        self.wait(wait, lease_id)
        answer = self.answer("wfg_renew_lease", p_lease_id=lease_id)
        lease = self.model.held(lease_id)
        if lease is None:
            assert answer == "lease_not_held"
        else:
            self.model.extend(lease)
            assert answer == {
                "lease_expires_at_ms": ms(lease.expires),
                "stop": "cancelled" if lease.cancelled else None,
            }

    # --- time ---

    def pass_time(self, seconds: float) -> None:
        if seconds:
            self.model.now += timedelta(seconds=seconds)
            self.engine.set_now(self.model.now)

    def wait(self, seconds: int | None, lease_id: str = "") -> None:
        lease = self.model.held(lease_id)
        if seconds is not None:
            self.pass_time(seconds)
        elif lease:
            self.pass_time((lease.expires - self.model.now).total_seconds())

    @rule(seconds=st.sampled_from([0, 1, 4, 9, 61]))
    def reap(self, seconds: int) -> None:
        self.pass_time(seconds)
        assert self.answer("wfg_reap") == self.model.reap()

    # --- after each step ---

    @invariant()
    def nothing_is_broken(self) -> None:
        self.engine.check()

    @invariant()
    def all_is_as_predicted(self) -> None:
        rows = self.engine.query("select public.wfg_get_run(r.id::text) as run from wfg.runs r")
        found = {
            row["run"]["run_id"]: (
                row["run"]["state"],
                row["run"]["rerun_of"],
                {
                    job["job_id"]: (
                        job["state"],
                        job["kept"],
                        job["attempt"],
                        job["ready_at_ms"] if job["state"] == "queued" else None,
                        job["paused"],
                    )
                    for job in row["run"]["jobs"]
                },
            )
            for row in rows
        }
        expected = {
            run.id: (
                run.state,
                run.rerun_of,
                {
                    key: (
                        job.on_the_wire(),
                        job.kept,
                        job.attempt,
                        ms(self.model.ready_at(job))
                        if job.on_the_wire() == "queued" and job.ready_at
                        else None,
                        self.model.pause_of(job) if job.on_the_wire() == "queued" and job.ready_at else None,
                    )
                    for key, job in run.jobs.items()
                },
            )
            for run in self.model.runs.values()
        }
        assert found == expected

    @invariant()
    def workers_learn_what_is_cancelled(self) -> None:
        ids = [*self.files, *list(self.model.runs)[-2:]]
        rows = self.engine.query(
            "select id, key, public.wfg_is_cancelled(id, key) as answer"
            " from unnest(%s::text[]) id, unnest(%s::text[]) key",
            ids,
            list(KEYS),
        )
        for row in rows:
            assert row["answer"] is self.model.is_cancelled(row["id"], row["key"]), row


def test_engine_does_what_the_model_says(connect):
    machine = type("Machine", (Machine,), {"engine": connect()})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=settings.default.max_examples,
            stateful_step_count=40,
            report_multiple_bugs=False,
            phases=set(Phase) - {Phase.explain},
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
