"""Why a simulated run takes as long as it does: what each job waited for, and the critical path."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .simulate_run import JobTrace, RunTrace


@dataclass(frozen=True)
class CriticalPath:
    """The chain of jobs that the end waited for. The parts add up to its length, all in ms."""

    jobs: Sequence[str]
    length_ms: int
    running_ms: int
    backoff_ms: int
    worker_wait_ms: int


def last_need(job: JobTrace, jobs: Mapping[str, JobTrace]) -> JobTrace | None:
    """The one of its needs that ended last, the first in the file among equals. None: it has none."""
    needs = [jobs[need] for need in job.needs]
    return max(needs, key=lambda need: need.ended_ms or 0, default=None)


def culprits(job: JobTrace, jobs: Mapping[str, JobTrace]) -> list[JobTrace]:
    """Why a job was skipped: the jobs above it that ended badly by themselves, in the order of the file."""
    found, seen, todo = set[str](), set[str](), list(job.needs)
    while todo:
        above = jobs[todo.pop()]
        if above.job_id in seen:
            continue
        seen.add(above.job_id)
        if above.state == "skipped":
            todo += above.needs
        elif above.state in ("failure", "cancelled"):
            found.add(above.job_id)
    return [each for each in jobs.values() if each.job_id in found]


def worker_wait_ms(job: JobTrace) -> int:
    """How long it was ready without a worker, all attempts together."""
    return sum(attempt.started_ms - attempt.ready_ms for attempt in job.attempts)


def backoff_ms(job: JobTrace) -> int:
    """How long it waited between its attempts."""
    waits = zip(job.attempts, job.attempts[1:], strict=False)
    return sum(after.ready_ms - (before.ended_ms or 0) for before, after in waits)


def running_ms(job: JobTrace) -> int:
    """How long its attempts took."""
    return sum((attempt.ended_ms or 0) - attempt.started_ms for attempt in job.attempts)


def critical_path(run: RunTrace) -> CriticalPath:
    """From the job that ended last back over the need that each of them waited for."""
    ran = [job for job in run.jobs.values() if job.attempts and job.attempts[-1].ended_ms is not None]
    job = max(ran, key=lambda job: job.attempts[-1].ended_ms or 0, default=None)
    length_ms = 0 if job is None else job.attempts[-1].ended_ms or 0
    path: list[JobTrace] = []
    while job is not None:
        path.insert(0, job)
        job = last_need(job, run.jobs)
    return CriticalPath(
        jobs=[job.job_id for job in path],
        length_ms=length_ms,
        running_ms=sum(map(running_ms, path)),
        backoff_ms=sum(map(backoff_ms, path)),
        worker_wait_ms=sum(map(worker_wait_ms, path)),
    )
