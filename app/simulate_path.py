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


def culprits(jobs: Mapping[str, JobTrace]) -> dict[str, list[str]]:
    """Why jobs were skipped: for each, those above it that ended badly by themselves, as in the file."""
    place = {job_id: n for n, job_id in enumerate(jobs)}
    found: dict[str, list[str]] = {}
    todo = [job.job_id for job in jobs.values() if job.state == "skipped"]
    while todo:
        job_id = todo[-1]
        if job_id in found:
            todo.pop()
            continue
        skipped = [need for need in jobs[job_id].needs if jobs[need].state == "skipped"]
        if unknown := [need for need in skipped if need not in found]:
            todo += unknown
            continue
        todo.pop()
        bad = [need for need in jobs[job_id].needs if jobs[need].state in ("failure", "cancelled")]
        if len(skipped) == 1 and not bad:
            found[job_id] = found[skipped[0]]  # the same list: a chain may be long
            continue
        above = set(bad).union(*(found[need] for need in skipped))
        found[job_id] = sorted(above, key=place.__getitem__)
    return found


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
        path.append(job)
        job = last_need(job, run.jobs)
    path.reverse()
    return CriticalPath(
        jobs=[job.job_id for job in path],
        length_ms=length_ms,
        running_ms=sum(map(running_ms, path)),
        backoff_ms=sum(map(backoff_ms, path)),
        worker_wait_ms=sum(map(worker_wait_ms, path)),
    )
