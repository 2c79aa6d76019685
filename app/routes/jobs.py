"""/api/jobs: the worker protocol."""

import asyncio
import json
from contextlib import suppress
from typing import Annotated, Any, Literal, cast

from litestar import Controller, Response, get, post
from litestar.params import JSONBody
from pydantic import Field

from .. import shapes
from ..calls import ApiRequest, Body, Many, PathId, Printed, Small, Unsigned, answer, refused
from ..errors import EngineError
from ..listen import Lines
from ..openapi import refuses


class ClaimOne(Body):
    """lease_ttl_secs: 1 to 86400. wait_secs: how long to wait for a job when there is none."""

    worker_id: str
    labels: Many[str]
    lease_ttl_secs: Small = 30
    wait_secs: Annotated[float, Field(ge=0, le=30)] = 0


class ClaimMany(ClaimOne):
    """limit: 1 to 1000."""

    limit: Small


class Complete(Body):
    """outputs: 1 MiB at most, handed to the jobs that need this one."""

    outputs: dict[str, str] = Field(default_factory=dict)


class Fail(Body):
    error: Printed
    retryable: bool = False


class Report(Body):
    """outputs: of a success. error, retryable: of a failure."""

    lease_id: str
    outcome: Literal["success", "failure"]
    outputs: dict[str, str] = Field(default_factory=dict)
    error: Printed | None = None
    retryable: bool = False


class Reports(Body):
    """10000 at most. strict: refuse all of them when one is refused."""

    reports: Many[Report]
    strict: bool = False


class Chunk(Body):
    """A piece of output: the ids as the claim said them; sequence counts from 0 in each attempt."""

    workflow_id: str
    job_id: str
    sequence: Unsigned
    data: Printed
    timestamp_ms: Unsigned
    stream: Literal["stdout", "stderr"]


class Chunks(Body):
    chunks: Many[Chunk]


LOCKED = "55P03"  # of a claim that met a lock: it says that one should ask again


def claimed(response: Response[Any]) -> bool:
    return response.status_code == 200 and response.content not in (b"null", b"[]")


async def claim_within(request: ApiRequest, data: ClaimOne, function: str, **params: Any) -> Response[Any]:
    """The first claim that brings something; the last one when wait_secs are over, or the worker has gone."""
    if not data.wait_secs:
        return await answer(request, function, **params)

    async def look() -> Response[Any]:
        try:
            return await answer(request, function, **params)
        except EngineError as error:
            if error.code != LOCKED:
                raise
            return refused(request, error)

    lines: Lines = request.app.state.lines
    caller = request.credential
    with lines.waiting((caller, data.worker_id)) as gone:
        watching = asyncio.create_task(disconnected(request, gone))
        try:
            response = await lines.wait(
                (caller, *sorted(set(data.labels))),
                look,
                claimed,
                secs=data.wait_secs,
                gone=gone,
            )
            if gone.done() and claimed(response):
                await give_back(request, response)
            return response
        finally:
            watching.cancel()


async def give_back(request: ApiRequest, response: Response[Any]) -> None:
    """Release what was claimed for a worker that has gone, and answer it with nothing."""
    claims: Any = json.loads(response.content)
    many = isinstance(claims, list)
    for claim in cast("list[Any]", claims if many else [claims]):
        with suppress(EngineError):  # its lease will run out
            await answer(request, "wfg_release_job", p_lease_id=claim["lease"]["lease_id"])
    response.content = b"[]" if many else b"null"


async def disconnected(request: ApiRequest, gone: asyncio.Future[None]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    if not gone.done():
        gone.set_result(None)


class Jobs(Controller):
    path = "/api/jobs"
    tags = ("worker protocol",)

    @post("/claim", status_code=200, operation_id="claim_job")
    async def claim(self, request: ApiRequest, data: JSONBody[ClaimOne]) -> Response[shapes.Claim | None]:
        """Lease a job that these labels allow; null when there is none."""
        return await claim_within(
            request,
            data,
            "wfg_claim_job",
            p_worker_id=data.worker_id,
            p_labels=data.labels,
            p_ttl_secs=data.lease_ttl_secs,
        )

    @post("/claim-many", status_code=200, operation_id="claim_jobs")
    async def claim_many(
        self, request: ApiRequest, data: JSONBody[ClaimMany]
    ) -> Response[list[shapes.Claim]]:
        """Lease up to limit jobs."""
        return await claim_within(
            request,
            data,
            "wfg_claim_jobs",
            p_worker_id=data.worker_id,
            p_labels=data.labels,
            p_limit=data.limit,
            p_ttl_secs=data.lease_ttl_secs,
        )

    @post("/report-many", status_code=200, responses=refuses(409))
    async def report_jobs(
        self, request: ApiRequest, data: JSONBody[Reports]
    ) -> Response[list[shapes.ReportedItem]]:
        """Report many ended attempts, answered in the order sent. Only a strict call is refused by a 409."""
        return await answer(request, "wfg_report_jobs", p_reports=data.reports, p_strict=data.strict)

    @post("/{lease_id:str}/heartbeat", status_code=200, responses=refuses(409))
    async def renew_lease(self, request: ApiRequest, lease_id: PathId) -> Response[shapes.Renewal]:
        """Renew a lease for its own time to live, from now."""
        return await answer(request, "wfg_renew_lease", p_lease_id=lease_id)

    @post("/{lease_id:str}/complete", status_code=200, responses=refuses(409))
    async def complete_job(
        self, request: ApiRequest, lease_id: PathId, data: JSONBody[Complete]
    ) -> Response[shapes.Reported]:
        """The job succeeded."""
        return await answer(request, "wfg_complete_job", p_lease_id=lease_id, p_outputs=data.outputs)

    @post("/{lease_id:str}/fail", status_code=200, responses=refuses(409))
    async def fail_job(
        self, request: ApiRequest, lease_id: PathId, data: JSONBody[Fail]
    ) -> Response[shapes.Reported]:
        """The job failed; it is tried again if retryable and its retries allow it."""
        return await answer(
            request, "wfg_fail_job", p_lease_id=lease_id, p_error=data.error, p_retryable=data.retryable
        )

    @post("/{lease_id:str}/release", status_code=200, responses=refuses(409))
    async def release_job(self, request: ApiRequest, lease_id: PathId) -> Response[shapes.Reported]:
        """Give a job back, as if it had not been claimed."""
        return await answer(request, "wfg_release_job", p_lease_id=lease_id)

    @post("/{lease_id:str}/logs", status_code=200, responses=refuses(409))
    async def append_logs(
        self, request: ApiRequest, lease_id: PathId, data: JSONBody[Chunks]
    ) -> Response[shapes.Appended]:
        """Store output. A chunk that is stored already is not stored twice."""
        return await answer(request, "wfg_append_logs", p_lease_id=lease_id, p_chunks=data.chunks)

    @get("/{wf_id:str}/{job_id:str}/cancelled")
    async def is_cancelled(self, request: ApiRequest, wf_id: PathId, job_id: PathId) -> Response[bool]:
        """Whether to stop working on a job. Unknown ids: false."""
        return await answer(request, "wfg_is_cancelled", p_workflow_id=wf_id, p_job_id=job_id)
