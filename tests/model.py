"""What the engine should do, in plain Python: one session, one clock, no locks, no counters, no lanes.

test_state_machine.py drives it beside the engine and compares every answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Spec:
    """A job of a workflow file."""

    key: str
    number: int = 0  # topological
    needs: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    priority: int = 0
    retries: int = 0
    lost_retries: int = 0
    backoff: tuple[int, int] = (0, 0)  # base and max, in seconds
    timeout: int | None = None

    def delay(self, retry: int) -> timedelta:
        base, most = self.backoff
        return timedelta(seconds=min(base * 2 ** (retry - 1), most))


@dataclass
class Job:
    run: Run
    spec: Spec
    state: str = "queued"  # or as it ended
    ready_at: datetime | None = None  # None: it waits for parents
    attempt: int = 0
    lost: int = 0
    lease: Lease | None = None
    outputs: dict[str, str] = field(default_factory=dict)
    kept: bool = False  # from the run before

    def on_the_wire(self) -> str:
        return "running" if self.lease else self.state


@dataclass
class Lease:
    id: str
    job: Job
    ttl: int
    expires: datetime
    timeout: datetime | None
    cancelled: bool = False


@dataclass
class Run:
    id: str
    workflow: str
    door: str
    jobs: dict[str, Job] = field(default_factory=dict)
    cancelled: bool = False
    rerun_of: str | None = None

    @property
    def state(self) -> str:
        if self.cancelled:
            return "cancelled"
        if all(job.state != "queued" for job in self.jobs.values()):
            bad = any(job.state in ("failure", "cancelled") for job in self.jobs.values())
            return "failure" if bad else "success"
        begun = any(
            job.lease or job.attempt or job.state != "queued" for job in self.jobs.values() if not job.kept
        )
        return "running" if begun else "queued"

    @property
    def active(self) -> bool:
        return self.state in ("queued", "running")


class Model:
    def __init__(self, now: datetime) -> None:
        self.now = now
        self.runs: dict[str, Run] = {}
        self.leases: dict[str, Lease] = {}  # live, cancelled, or over and not reaped
        self.reported: set[str] = set()  # ids of leases whose report was accepted
        self.paused: set[str | tuple[str, ...]] = set()  # workflows, tuples of labels, "all"

    # --- runs ---

    def latest(self, workflow: str) -> Run | None:
        """The latest run of the workflow door."""
        runs = [run for run in self.runs.values() if (run.workflow, run.door) == (workflow, "workflow")]
        return runs[-1] if runs else None

    def start(self, run: Run, specs: Iterable[Spec], start_at: datetime) -> None:
        self.runs[run.id] = run
        for spec in specs:
            run.jobs[spec.key] = Job(run, spec, ready_at=None if spec.needs else start_at)

    def kept(self, run: Run, failed: bool, from_key: str | None) -> set[str] | str:
        """The jobs that a re-run keeps; of a refusal the slug."""
        if run.active:
            return "run_not_finished"
        if from_key is None and not failed:
            return set()
        kept = {key for key, job in run.jobs.items() if job.state == "success"} - {from_key}
        while follow := {key for key in kept if set(run.jobs[key].spec.needs) - kept}:
            kept -= follow
        return kept if len(kept) < len(run.jobs) else "nothing_to_rerun"

    def rerun(self, run: Run, before: Run, kept: set[str]) -> None:
        self.runs[run.id] = run
        for key, job in before.jobs.items():
            new = run.jobs[key] = Job(run, job.spec, kept=key in kept)
            if new.kept:
                new.state, new.attempt, new.outputs = "success", job.attempt, job.outputs
            elif kept.issuperset(job.spec.needs):
                new.ready_at = self.now

    def cancel_run(self, run: Run) -> None:
        if run.active:
            run.cancelled = True
            for job in run.jobs.values():
                self.cancel(job)

    def cancel_job(self, job: Job) -> None:
        self.cancel(job)
        self.skip_children(job)

    def is_cancelled(self, run_or_workflow: str, key: str) -> bool:
        if any(
            lease.cancelled
            and (lease.job.run.workflow, lease.job.run.door) == (run_or_workflow, "workflow")
            and lease.job.spec.key == key
            and lease.expires > self.now
            for lease in self.leases.values()
        ):
            return True
        run = self.runs.get(run_or_workflow) or self.latest(run_or_workflow)
        return run is not None and key in run.jobs and run.jobs[key].state == "cancelled"

    # --- leases ---

    def ready_at(self, job: Job) -> datetime:
        """When it may be claimed: not while a cancelled lease of an earlier run of its door holds it."""
        assert job.ready_at is not None
        holds = [
            lease.expires
            for lease in self.leases.values()
            if lease.cancelled
            and job.run.door == lease.job.run.door == "workflow"
            and (job.run.workflow, job.spec.key) == (lease.job.run.workflow, lease.job.spec.key)
        ]
        return max([job.ready_at, *holds])

    def pause_of(self, job: Job) -> str | None:
        """The widest kind of pause that a job falls under."""
        if "all" in self.paused:
            return "all"
        if job.run.workflow in self.paused:
            return "workflow"
        labels = [paused for paused in self.paused if isinstance(paused, tuple)]
        return "labels" if any(set(job.spec.labels) >= set(some) for some in labels) else None

    def claimable(self, labels: Iterable[str]) -> list[Job]:
        """The jobs that a worker gets, the first one first."""
        return sorted(
            (
                job
                for run in self.runs.values()
                for job in run.jobs.values()
                if job.on_the_wire() == "queued"
                and job.ready_at
                and self.ready_at(job) <= self.now
                and set(job.spec.labels) <= set(labels)
                and not self.pause_of(job)
            ),
            key=lambda job: (-job.spec.priority, self.ready_at(job), job.run.id, job.spec.number),
        )

    def claim(self, job: Job, lease_id: str, ttl: int) -> Lease:
        timeout = self.now + timedelta(seconds=job.spec.timeout) if job.spec.timeout else None
        job.lease = Lease(lease_id, job, ttl, self.now, timeout)
        self.leases[lease_id] = job.lease
        self.extend(job.lease)
        return job.lease

    def extend(self, lease: Lease) -> None:
        if not lease.cancelled:
            expires = self.now + timedelta(seconds=lease.ttl)
            lease.expires = min(expires, lease.timeout or expires)

    def held(self, lease_id: str) -> Lease | None:
        lease = self.leases.get(lease_id)
        return lease if lease and lease.expires > self.now else None

    def refusal(self, lease_id: str) -> str:
        if lease_id in self.reported:
            return "already_reported"
        return "lease_cancelled" if self.held(lease_id) else "lease_not_held"

    def report(self, lease_id: str, outcome: str) -> tuple[bool, str]:
        """Report success, failure, retry (a failure to be retried) or release: whether it counts; the job's
        state then, or the slug."""
        lease = self.held(lease_id)
        if lease is None or (lease.cancelled and outcome == "success"):
            return False, self.refusal(lease_id)

        job, live = lease.job, not lease.cancelled
        self.drop(lease)
        if not live or outcome != "release":
            self.reported.add(lease_id)
        if live and outcome == "success":
            job.outputs = {"by": lease_id}
            self.end(job, "success")
        elif live and outcome in ("failure", "retry"):
            self.end_badly(job, outcome == "retry" and job.attempt - job.lost < job.spec.retries)
        return True, job.state

    def report_many(
        self, reports: Iterable[tuple[str, str]], strict: bool
    ) -> tuple[Model, list[tuple[bool, str]]]:
        """The model after it, and what each answers. Of several for one lease only the first can count."""
        after, seen, answers = deepcopy(self), set[str](), list[tuple[bool, str]]()
        for lease_id, outcome in reports:
            repeated = lease_id in seen
            answers.append((False, after.refusal(lease_id)) if repeated else after.report(lease_id, outcome))
            seen.add(lease_id)
        refused = any(not accepted for accepted, _ in answers)
        return (self if strict and refused else after), answers

    def reap(self) -> dict[str, int]:
        counts = {"retried": 0, "failed": 0, "cancelled": 0}
        for lease in [lease for lease in self.leases.values() if lease.expires <= self.now]:
            job = lease.job
            self.drop(lease)
            if lease.cancelled:
                counts["cancelled"] += 1
                continue
            timed_out = lease.timeout is not None and lease.timeout <= self.now
            pardoned = not timed_out and job.lost < job.spec.lost_retries
            retried = pardoned or job.attempt - job.lost < job.spec.retries
            job.lost += pardoned
            self.end_badly(job, retried)
            counts["retried" if retried else "failed"] += 1
        return counts

    # --- what follows ---

    def drop(self, lease: Lease) -> None:
        del self.leases[lease.id]
        lease.job.lease = None

    def cancel(self, job: Job) -> None:
        if job.state == "queued":
            job.state = "cancelled"
            if job.lease:
                job.lease.cancelled = True
                job.lease.expires = min(job.lease.expires, self.now + timedelta(seconds=60))
                job.lease = None

    def end_badly(self, job: Job, retried: bool) -> None:
        if retried:
            job.attempt += 1
            job.ready_at = self.now + job.spec.delay(job.attempt)
        else:
            self.end(job, "failure")

    def end(self, job: Job, state: str) -> None:
        job.state = state
        if state != "success":
            self.skip_children(job)
            return
        for child in self.children(job):
            if child.state == "queued" and all(
                job.run.jobs[key].state == "success" for key in child.spec.needs
            ):
                child.ready_at = self.now

    def skip_children(self, job: Job) -> None:
        for child in self.children(job):
            if child.state == "queued":
                self.end(child, "skipped")

    @staticmethod
    def children(job: Job) -> list[Job]:
        return [child for child in job.run.jobs.values() if job.spec.key in child.spec.needs]
