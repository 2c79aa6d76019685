"""What a worker needs of the engine, and the shapes on that wire. SQL is one way to it, HTTP another.

Methods raise EngineError (errors.py) and nothing else. Unavailable: the same call may succeed later.
"""

import asyncio
from collections.abc import Sequence
from typing import Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter, ValidationError

from .errors import Unavailable


class Wire(BaseModel):
    """A shape of the wire. Fields that we do not know are ignored: the engine may be newer."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ClaimedJob(Wire):
    """A job to run. workflow_id: the workflow's, or the run's for a run that was started as one."""

    job_id: str
    workflow_id: str
    run_id: str
    script: str
    env: dict[str, str]
    inputs: dict[str, JsonValue]
    required_labels: list[str]
    attempt: int  # from 0
    upstream_outputs: dict[str, dict[str, str]]
    timeout_secs: int | None = None  # of this attempt, from its claim
    traceparent: str | None = None  # of whoever started the run


class Lease(Wire):
    """The right to report one attempt."""

    lease_id: str
    ttl_secs: int


class Claim(Wire):
    """A job with its lease."""

    job: ClaimedJob
    lease: Lease


class Renewal(Wire):
    """The answer to a heartbeat. stop: why to stop working, or None."""

    stop: str | None = None


class Report(Wire):
    """The end of an attempt. retryable: may it be tried again, if it failed."""

    lease_id: str
    outcome: Literal["success", "failure"]
    outputs: dict[str, str] = {}
    error: str | None = None
    retryable: bool = False


class ReportAnswer(Wire):
    """What became of a report: states of job and run, or the slug of a refusal."""

    lease_id: str
    ok: bool
    job: str | None = None
    run: str | None = None
    message: str | None = None


class LogChunk(Wire):
    """A piece of output. sequence: from 0 in each attempt. timestamp_ms: epoch, the worker's clock."""

    workflow_id: str
    job_id: str
    sequence: int
    data: str
    timestamp_ms: int
    stream: Literal["stdout", "stderr"]


class LogsAnswer(Wire):
    """truncated: the job's log is full, and what is sent from now on is dropped."""

    truncated: bool = False


CLAIMS = TypeAdapter(list[Claim])
REPORTS = TypeAdapter(list[Report])
REPORT_ANSWERS = TypeAdapter(list[ReportAnswer])
LOG_CHUNKS = TypeAdapter(list[LogChunk])
RENEWAL = TypeAdapter(Renewal)
LOGS_ANSWER = TypeAdapter(LogsAnswer)

T = TypeVar("T")


def read_answer(shape: TypeAdapter[T], text: str) -> T:
    """An answer of the engine, typed. One of another shape is no refusal: the report may have arrived."""
    try:
        return shape.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        details = f"{where}: {first['msg']}" if where else first["msg"]
        raise Unavailable(500, "unreadable_answer", details) from None


class Transport(Protocol):
    """The way from a worker to the engine."""

    async def register(self, worker_id: str, labels: Sequence[str]) -> None:
        """Make the worker known, or its labels new."""
        ...

    async def deregister(self, worker_id: str) -> None:
        """Make the worker unknown."""
        ...

    async def claim(
        self, worker_id: str, labels: Sequence[str], limit: int, ttl_secs: int, stop: asyncio.Event
    ) -> list[Claim]:
        """Up to limit jobs that these labels allow, each leased for ttl_secs.

        It may wait for the first of them, until stop is set. (Not until a slot is free: what was given to
        a claim that is broken off, nobody may get, until its lease has ended.)
        """
        ...

    async def renew(self, lease_id: str) -> Renewal:
        """Heartbeat: the lease lives for another ttl from now."""
        ...

    async def release(self, lease_id: str) -> None:
        """Give the job back, as if it had not been claimed."""
        ...

    async def report(self, reports: Sequence[Report]) -> list[ReportAnswer]:
        """Report ended attempts; an answer to each, in the same order."""
        ...

    async def append_logs(self, lease_id: str, chunks: Sequence[LogChunk]) -> LogsAnswer:
        """Store output. A chunk that was stored before is not stored twice."""
        ...

    async def wait_for_work(self, timeout_secs: float) -> bool:
        """Sleep; True as soon as there may be something to claim. Hints may be lost. It never raises."""
        ...
