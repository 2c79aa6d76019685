"""What `wfg run` knows of its run: from the worker's own traffic at once, from the engine in the end."""

import asyncio
import re
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import TypeAdapter

from .lines import clean
from .transport import (
    Claim,
    LogChunk,
    LogsAnswer,
    Renewal,
    Report,
    ReportAnswer,
    Transport,
    Wire,
)

TAIL_LINES = 20
TAIL_CHARS = 500  # of each
ENDED = {"success", "failure", "skipped", "cancelled"}

ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
CONTROL = dict.fromkeys((*range(32), *range(127, 160))) | {ord("\t"): "    "}


class RunJob(Wire):
    """A job of wfg_get_run."""

    job_id: str
    name: str
    state: str
    kept: bool = False  # of a re-run: it is a success of the run before
    attempt: int
    started_at_ms: int | None = None
    finished_at_ms: int | None = None
    error: str | None = None


class Run(Wire):
    """wfg_get_run."""

    run_id: str
    name: str
    state: str
    jobs: list[RunJob]


RUN = TypeAdapter(Run)


@dataclass
class JobView:
    """A job as it is shown. Times are monotonic seconds."""

    job_id: str
    name: str
    state: str = "queued"
    kept: bool = False
    attempt: int = 0
    started_at: float | None = None
    elapsed_secs: float | None = None  # of the attempt that ended it
    error: str | None = None
    tail: deque[str] = field(default_factory=lambda: deque[str](maxlen=TAIL_LINES))

    def seconds(self) -> float | None:
        """How long it ran, or runs by now."""
        if self.state == "running" and self.started_at is not None:
            return time.monotonic() - self.started_at
        return self.elapsed_secs


class Screen(Protocol):
    """Where progress is shown."""

    def changed(self, job: JobView, before: str) -> None:
        """A job is in another state than before, or on another attempt."""
        ...

    def output(self, job: JobView, line: str) -> None:
        """A job said something: one line, without its newline, printable."""
        ...

    def tick(self) -> None:
        """Time went by."""
        ...

    def hint(self, text: str) -> None:
        """Why nothing goes on; empty when it does."""
        ...

    def end(self) -> None:
        """Nothing more will happen."""
        ...


class RunView:
    """The jobs of a run, in the order of the file. A screen is told of every change."""

    def __init__(self, run: Run) -> None:
        self.run_id = run.run_id
        self.name = printable(run.name)
        self.state = run.state
        self.seems_over = False  # an answer to the worker said so
        self.jobs = {job.job_id: JobView(job.job_id, printable(job.name), kept=job.kept) for job in run.jobs}
        self.screen: Screen | None = None

    def counts(self) -> Counter[str]:
        """How many jobs are in which state."""
        return Counter(job.state for job in self.jobs.values())

    def started(self, claim: Claim) -> None:
        """A worker has it."""
        job = self.jobs[claim.job.job_id]
        job.started_at = time.monotonic()
        job.tail.clear()
        self._move(job, "running", claim.job.attempt)

    def said(self, chunks: Sequence[LogChunk]) -> None:
        """Output of jobs."""
        for chunk in chunks:
            job = self.jobs[chunk.job_id]
            for line in map(printable, chunk.data.removesuffix("\n").split("\n")):
                job.tail.append(line[:TAIL_CHARS])
                if self.screen is not None:
                    self.screen.output(job, line)

    def reported(self, job_id: str, answer: ReportAnswer) -> None:
        """The end of an attempt was accepted."""
        job = self.jobs[job_id]
        self.seems_over = answer.run in ENDED
        if answer.job is not None:
            job.elapsed_secs = job.seconds()
            self._move(job, answer.job, job.attempt)

    def update(self, run: Run) -> None:
        """All there is to know. Before the run has ended, the worker's own news are newer."""
        self.state = run.state
        over = run.state in ENDED
        for fresh in run.jobs:
            job = self.jobs[fresh.job_id]
            if fresh.state in ENDED:
                job.error = fresh.error
                if fresh.started_at_ms is not None and fresh.finished_at_ms is not None:
                    job.elapsed_secs = (fresh.finished_at_ms - fresh.started_at_ms) / 1000
            if over or fresh.state in ENDED:
                self._move(job, fresh.state, fresh.attempt)

    def mirror(self, run: Run) -> None:
        """As update, of a run whose workers are elsewhere: all that is known of it is here."""
        for fresh in run.jobs:
            job = self.jobs[fresh.job_id]
            if fresh.state == "running" and fresh.started_at_ms is not None:
                job.started_at = time.monotonic() - max(0.0, time.time() - fresh.started_at_ms / 1000)
            elif fresh.state == "queued":
                job.elapsed_secs = job.seconds()
            if fresh.state not in ENDED:
                self._move(job, fresh.state, fresh.attempt)
        self.update(run)

    def _move(self, job: JobView, state: str, attempt: int) -> None:
        before = job.state
        if (state, attempt) == (before, job.attempt):
            return
        job.state, job.attempt = state, attempt
        if self.screen is not None:
            self.screen.changed(job, before)


def printable(text: str) -> str:
    """A line of output without its newline, and without what could move the cursor or change colours."""
    line = text.rstrip("\r\n").rpartition("\r")[2].replace("\n", " ")
    return clean(ESCAPE.sub("", line).translate(CONTROL))


class WatchedTransport:
    """A transport that tells a view what passes through it."""

    def __init__(self, inner: Transport, view: RunView) -> None:
        self._inner = inner
        self._view = view
        self._jobs: dict[str, str] = {}  # lease id -> job id
        self._reporting = asyncio.Lock()

    async def register(self, worker_id: str, labels: Sequence[str]) -> None:
        await self._inner.register(worker_id, labels)

    async def deregister(self, worker_id: str) -> None:
        await self._inner.deregister(worker_id)

    async def claim(
        self, worker_id: str, labels: Sequence[str], limit: int, ttl_secs: int, stop: asyncio.Event
    ) -> list[Claim]:
        claims = await self._inner.claim(worker_id, labels, limit, ttl_secs, stop)
        async with self._reporting:
            pass  # the end that made a job ready is shown before its start
        for claim in claims:
            self._jobs[claim.lease.lease_id] = claim.job.job_id
            self._view.started(claim)
        return claims

    async def renew(self, lease_id: str) -> Renewal:
        return await self._inner.renew(lease_id)

    async def release(self, lease_id: str) -> None:
        await self._inner.release(lease_id)

    async def report(self, reports: Sequence[Report]) -> list[ReportAnswer]:
        async with self._reporting:
            answers = await self._inner.report(reports)
            for answer in answers:
                if answer.ok and answer.lease_id in self._jobs:
                    self._view.reported(self._jobs.pop(answer.lease_id), answer)
        return answers

    async def append_logs(self, lease_id: str, chunks: Sequence[LogChunk]) -> LogsAnswer:
        answer = await self._inner.append_logs(lease_id, chunks)
        self._view.said(chunks)
        return answer

    async def wait_for_work(self, timeout_secs: float) -> bool:
        return await self._inner.wait_for_work(timeout_secs)
