"""A simulated run: from event to event, by the calls that real workers make."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from .simulate_scenario import Fate, Plan, PlannedJob, Pool
from .simulate_session import START_MS, Session, SimulatedClaim, SimulatedRun, SimulationError
from .transport import Report

LONG_TTL_SECS = 86400  # of leases that are not lost: to be renewed once a day is enough
RENEW_MS = 1000  # before the end
MAX_CLAIMS = 1000


@dataclass
class Attempt:
    """An execution of a job; times in ms since the run's start."""

    number: int  # from 1
    ready_ms: int
    started_ms: int
    ended_ms: int | None = None
    outcome: str | None = None  # success, failure, job_timed_out, lease_expired
    next_due_ms: int | None = None  # when it may be tried again


@dataclass
class JobTrace:
    """What became of a job."""

    job_id: str
    name: str
    needs: Sequence[str]
    state: str = "queued"
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    ended_ms: int | None = None


@dataclass
class RunTrace:
    """What became of a run. Jobs stand in the order of the file."""

    name: str
    state: str
    ended_ms: int
    jobs: Mapping[str, JobTrace]


@dataclass
class _Working:
    """A lease that a simulated worker has."""

    job: JobTrace
    attempt: Attempt
    lease_id: str
    pool: int
    fate: Fate
    expires_ms: int
    reports_ms: int | None  # None: it never does
    timeout_ms: int | None


class SimulatedRunner:
    """Drives one run to its end, or to where nothing can happen any more."""

    def __init__(
        self,
        session: Session,
        run: SimulatedRun,
        plan: Plan,
        jobs: Iterable[PlannedJob],
        give_up_at: float | None,
    ) -> None:
        self._session = session
        self._plan = plan
        self._specs = {job.key: job for job in jobs}
        self._jobs = {job.job_id: JobTrace(job.job_id, job.name, job.needs) for job in run.jobs}
        self._place = {job_id: n for n, job_id in enumerate(self._jobs)}
        self._events: list[tuple[int, int, str]] = []  # at, serial, lease id; "" wakes who may claim
        self._serial = 0
        self._working: dict[str, _Working] = {}
        self._busy = defaultdict[int, int](int)  # by pool
        self._give_up_at = give_up_at

    def run(self) -> RunTrace:
        self._claim_all()
        while self._events:
            if self._give_up_at is not None and time.monotonic() > self._give_up_at:
                raise SimulationError("It takes too long for a transaction in a database where others work.")
            at = self._events[0][0]
            due = set[str]()
            while self._events and self._events[0][0] == at:
                due.add(heappop(self._events)[2])
            self._session.set_clock(START_MS + at)
            self._happen(at, [self._working[lease_id] for lease_id in due if lease_id in self._working])
            self._claim_all()
        return self._trace(self._session.run())

    @property
    def _now(self) -> int:
        return self._session.now_ms - START_MS

    # --- events ---

    def _happen(self, at: int, due: Iterable[_Working]) -> None:
        """First what is over, as upkeep would; then reports; then heartbeats."""
        due = sorted(due, key=lambda work: self._place[work.job.job_id])
        expired = [work for work in due if work.expires_ms <= at]
        if expired:
            self._session.reap()
            for work in expired:
                timed_out = work.expires_ms == work.timeout_ms
                outcome = "job_timed_out" if timed_out else "lease_expired"
                self._ended(work, self._session.job(work.job.job_id).job.state, outcome)

        reported = [work for work in due if work.expires_ms > at and work.reports_ms == at]
        if reported:
            states = self._session.report([report_of(work) for work in reported])
            for work, state in zip(reported, states, strict=True):
                self._ended(work, state, "success" if work.fate is Fate.SUCCESS else "failure")

        for work in due:
            if work.expires_ms > at and work.reports_ms != at:
                work.expires_ms = self._session.renew(work.lease_id) - START_MS
                self._expect(work)

    def _ended(self, work: _Working, state: str, outcome: str) -> None:
        """An attempt is over, and its job in this state."""
        del self._working[work.lease_id]
        self._busy[work.pool] -= 1
        work.job.state = state
        work.attempt.ended_ms = self._now
        work.attempt.outcome = outcome
        if state == "queued":
            ready_at_ms = self._session.job(work.job.job_id).job.ready_at_ms
            assert ready_at_ms is not None, "queued again, but not ready at any time"
            # Jitter leaves fractions of a millisecond, which are cut off: it is surely ready at the next one.
            fraction = 1 if self._specs[work.job.job_id].backoff.jitter else 0
            work.attempt.next_due_ms = ready_at_ms - START_MS + fraction
            self._push(work.attempt.next_due_ms)

    def _expect(self, work: _Working) -> None:
        """The next that is to happen to a lease."""
        if work.reports_ms is not None and work.reports_ms < work.expires_ms:
            self._push(work.reports_ms, work.lease_id)
        elif work.fate is Fate.LOSE or work.expires_ms == work.timeout_ms:
            self._push(work.expires_ms, work.lease_id)
        else:
            self._push(work.expires_ms - RENEW_MS, work.lease_id)

    def _push(self, at: int, lease_id: str = "") -> None:
        self._serial += 1
        heappush(self._events, (at, self._serial, lease_id))

    # --- claims ---

    def _claim_all(self) -> None:
        for number, pool in enumerate(self._plan.scenario.pools):
            while (limit := self._free(number, pool)) > 0:
                claims = self._claim(pool, limit)
                for claim in claims:
                    self._start(number, claim)
                if len(claims) < limit:
                    break

    def _free(self, number: int, pool: Pool) -> int:
        return MAX_CLAIMS if pool.size is None else min(MAX_CLAIMS, pool.size - self._busy[number])

    def _claim(self, pool: Pool, limit: int) -> list[SimulatedClaim]:
        """With a short lease for those that are to be lost. Which they are, only a claim tells."""
        if not self._plan.loses_any:
            return self._session.claim(pool, limit, LONG_TTL_SECS)
        claims: list[SimulatedClaim] = []
        size = limit  # of a part that is lost as a whole, or not at all
        while size := min(size, limit - len(claims)):
            lost = [self._is_lost(claim) for claim in self._peek(pool, size)]
            if not lost:
                break
            if any(lost) != all(lost):
                size = len(lost) // 2
                continue
            claims += self._session.claim(
                pool, size, self._plan.scenario.ttl_secs if any(lost) else LONG_TTL_SECS
            )
            if len(lost) < size:
                break
            size *= 2
        return claims

    def _peek(self, pool: Pool, limit: int) -> list[SimulatedClaim]:
        with self._session.undone():
            return self._session.claim(pool, limit, LONG_TTL_SECS)

    def _is_lost(self, claim: SimulatedClaim) -> bool:
        return self._fate(claim) is Fate.LOSE

    def _fate(self, claim: SimulatedClaim) -> Fate:
        return self._plan.fate(claim.job.job_id, claim.job.attempt + 1)

    def _start(self, pool: int, claim: SimulatedClaim) -> None:
        job = self._jobs[claim.job.job_id]
        ready_ms = job.attempts[-1].next_due_ms if job.attempts else claim.job.enqueued_at_ms - START_MS
        assert ready_ms is not None, "claimed again, but not due"
        attempt = Attempt(claim.job.attempt + 1, ready_ms, self._now)
        job.attempts.append(attempt)
        job.state = "running"

        fate = self._fate(claim)
        spec = self._specs[job.job_id]
        reports = fate in (Fate.SUCCESS, Fate.FAIL)
        work = _Working(
            job=job,
            attempt=attempt,
            lease_id=claim.lease.lease_id,
            pool=pool,
            fate=fate,
            expires_ms=claim.lease.expires_at_ms - START_MS,
            reports_ms=self._now + self._plan.duration_ms(spec, attempt.number) if reports else None,
            timeout_ms=None if spec.timeout_secs is None else self._now + spec.timeout_secs * 1000,
        )
        self._working[work.lease_id] = work
        self._busy[pool] += 1
        self._expect(work)

    # --- the end ---

    def _trace(self, run: SimulatedRun) -> RunTrace:
        """What the engine says of it."""
        for job in run.jobs:
            trace = self._jobs[job.job_id]
            trace.state = job.state
            if job.finished_at_ms is not None:
                trace.ended_ms = job.finished_at_ms - START_MS
        ended_ms = self._now if run.finished_at_ms is None else run.finished_at_ms - START_MS
        return RunTrace(run.name, run.state, ended_ms, self._jobs)


def report_of(work: _Working) -> Report:
    if work.fate is Fate.FAIL:
        return Report(lease_id=work.lease_id, outcome="failure", error="simulated", retryable=True)
    return Report(lease_id=work.lease_id, outcome="success")
