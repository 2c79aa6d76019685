"""/api/runs, and the runs of a workflow: any number at once."""

import json
from typing import Annotated, Any, Literal

from litestar import Controller, Response, get, post
from litestar.openapi import ResponseSpec
from litestar.params import FromQuery, JSONBody, QueryParameter
from pydantic import Field, JsonValue

from .. import shapes
from ..calls import ApiRequest, Body, Many, PathId, answer, traceparent
from ..openapi import OptionalBody, refuses

# An offset is demanded: a time without one would be that of whatever zone the database is in.
INSTANT = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d(:?\d\d)?)$"

BIGINT_MAX = 2**63 - 1
NOT_NEGATIVE = {"minimum": 0}  # litestar forgets a limit of 0 where there may be none


class NewRun(Body):
    """A run to start. start_at: an ISO 8601 instant with its offset; by default at once."""

    inputs: dict[str, JsonValue] = Field(default_factory=dict)
    idempotency_key: str | None = None
    start_at: Annotated[str, Field(pattern=INSTANT)] | None = None
    started_by: str | None = None
    reason: str | None = None


class NewRuns(Body):
    """Up to 10000 runs of one workflow. Each item: inputs, idempotency_key, start_at_ms, all optional."""

    runs: Many[JsonValue]
    started_by: str | None = None
    reason: str | None = None


class Rerun(Body):
    """What to run again: all jobs, those that failed, or those from one on (and what failed)."""

    jobs: Literal["all", "failed"] | None = None
    from_job_id: str | None = None
    idempotency_key: str | None = None
    started_by: str | None = None
    reason: str | None = None


class Cancel(Body):
    """Who and why, kept with the run."""

    cancelled_by: str | None = None
    reason: str | None = None


UNSAID = Cancel()
ALL_OF_IT = Rerun()

STARTED_BEFORE = ResponseSpec(shapes.Started, False, "the run that this key started")


def known_is_200(started: Response[Any]) -> Response[Any]:
    """201 is for a run that is new."""
    if not json.loads(started.content)["created"]:
        started.status_code = 200
    return started


class Runs(Controller):
    path = "/api"
    tags = ("runs",)

    @post("/workflows/{workflow_id:str}/runs", responses={200: STARTED_BEFORE, **refuses(404, 409)})
    async def start_run(
        self, request: ApiRequest, workflow_id: PathId, data: JSONBody[NewRun]
    ) -> Response[shapes.Started]:
        """Start a run. With a known idempotency key, the first run again: 200, and created is false."""
        started = await answer(
            request,
            "wfg_start_run",
            status=201,
            p_workflow_id=workflow_id,
            p_inputs=data.inputs,
            p_idempotency_key=data.idempotency_key,
            p_start_at=data.start_at,
            p_started_by=data.started_by,
            p_reason=data.reason,
            p_traceparent=traceparent(request),
        )
        return known_is_200(started)

    @post("/workflows/{workflow_id:str}/runs/batch", status_code=200, responses=refuses(404))
    async def start_runs(
        self, request: ApiRequest, workflow_id: PathId, data: JSONBody[NewRuns]
    ) -> Response[list[shapes.StartedItem]]:
        """Start many runs, answered in the order sent."""
        return await answer(
            request,
            "wfg_start_runs",
            p_workflow_id=workflow_id,
            p_runs=data.runs,
            p_started_by=data.started_by,
            p_reason=data.reason,
            p_traceparent=traceparent(request),
        )

    @get("/runs")
    async def list_runs(
        self,
        request: ApiRequest,
        workflow_id: FromQuery[str | None] = None,
        run_state: Annotated[shapes.RunState | None, QueryParameter(name="state")] = None,
        created_from_ms: Annotated[
            int | None,
            QueryParameter(ge=0, le=BIGINT_MAX, schema_extra=NOT_NEGATIVE, description="Epoch ms, included."),
        ] = None,
        created_to_ms: Annotated[
            int | None,
            QueryParameter(ge=0, le=BIGINT_MAX, schema_extra=NOT_NEGATIVE, description="Epoch ms, excluded."),
        ] = None,
        inputs: Annotated[
            str | None, QueryParameter(description="A JSON object; a run has all of its values.")
        ] = None,
        label: Annotated[str | None, QueryParameter(description="One that a job of it requires.")] = None,
        started_by: FromQuery[str | None] = None,
        idempotency_key: Annotated[str | None, QueryParameter(description="Of workflow_id.")] = None,
        limit: Annotated[int, QueryParameter(ge=1, description="Above 1000 means 1000.")] = 100,
        cursor: Annotated[str | None, QueryParameter(description="next_cursor of the page before.")] = None,
    ) -> Response[shapes.Runs]:
        """Runs, newest first, page by page. A page may be short, or empty, and still have a next_cursor."""
        return await answer(
            request,
            "wfg_list_runs",
            p_workflow_id=workflow_id,
            p_state=run_state,
            p_limit=min(limit, 1000),
            p_cursor=cursor,
            p_created_from_ms=created_from_ms,
            p_created_to_ms=created_to_ms,
            p_inputs=inputs,
            p_label=label,
            p_started_by=started_by,
            p_idempotency_key=idempotency_key,
        )

    @get("/runs/{run_id:str}", responses=refuses(404))
    async def get_run(self, request: ApiRequest, run_id: PathId) -> Response[shapes.Run]:
        """A run with its jobs."""
        return await answer(request, "wfg_get_run", p_run_id=run_id)

    @get("/runs/{run_id:str}/attempts", responses=refuses(404))
    async def list_attempts(
        self,
        request: ApiRequest,
        run_id: PathId,
        limit: Annotated[int, QueryParameter(ge=1, description="Above 10000 means 10000.")] = 1000,
        cursor: Annotated[str | None, QueryParameter(description="next_cursor of the page before.")] = None,
    ) -> Response[shapes.Attempts]:
        """The attempts of a run's jobs that did not end them, and cancelled ones, page by page."""
        return await answer(
            request, "wfg_list_attempts", p_run_id=run_id, p_limit=min(limit, 10000), p_cursor=cursor
        )

    @get("/outcomes")
    async def list_outcomes(
        self,
        request: ApiRequest,
        workflow_id: FromQuery[str | None] = None,
        newest: Annotated[int, QueryParameter(ge=1, le=100, description="Runs of each.")] = 20,
        limit: Annotated[int, QueryParameter(ge=1, description="Above 100 means 100.")] = 100,
        cursor: Annotated[str | None, QueryParameter(description="next_cursor of the page before.")] = None,
    ) -> Response[shapes.OutcomesPage]:
        """How the newest runs of workflows ended, how many succeeded, and how long they usually took."""
        return await answer(
            request,
            "wfg_list_outcomes",
            p_workflow_id=workflow_id,
            p_newest=newest,
            p_limit=min(limit, 100),
            p_cursor=cursor,
        )

    @post(
        "/runs/{run_id:str}/rerun",
        operation_class=OptionalBody,
        responses={200: STARTED_BEFORE, **refuses(404, 409)},
    )
    async def rerun_run(
        self, request: ApiRequest, run_id: PathId, data: JSONBody[Rerun] = ALL_OF_IT
    ) -> Response[shapes.Started]:
        """Run a run that has ended again: a new run, which keeps the jobs that are not to run again."""
        started = await answer(
            request,
            "wfg_rerun_run",
            status=201,
            p_run_id=run_id,
            p_jobs=data.jobs,
            p_from_job_id=data.from_job_id,
            p_idempotency_key=data.idempotency_key,
            p_started_by=data.started_by,
            p_reason=data.reason,
            p_traceparent=traceparent(request),
        )
        return known_is_200(started)

    @post("/runs/{run_id:str}/cancel", status_code=200, operation_class=OptionalBody, responses=refuses(404))
    async def cancel_run(
        self, request: ApiRequest, run_id: PathId, data: JSONBody[Cancel] = UNSAID
    ) -> Response[shapes.Cancelled]:
        """Cancel a run. One that has ended stays as it is."""
        return await answer(
            request,
            "wfg_cancel_run",
            p_run_id=run_id,
            p_cancelled_by=data.cancelled_by,
            p_reason=data.reason,
        )

    @get("/runs/{run_id:str}/jobs/{job_id:str}", responses=refuses(404))
    async def get_job(
        self, request: ApiRequest, run_id: PathId, job_id: PathId
    ) -> Response[shapes.JobDetail]:
        """A job of a run, with its attempts and outputs."""
        return await answer(request, "wfg_get_job", p_run_id=run_id, p_job_id=job_id)

    @get("/runs/{run_id:str}/jobs/{job_id:str}/outputs", responses=refuses(404))
    async def get_outputs(
        self, request: ApiRequest, run_id: PathId, job_id: PathId
    ) -> Response[dict[str, str]]:
        """What a job handed on."""
        return await answer(request, "wfg_get_outputs", p_run_id=run_id, p_job_id=job_id)

    @post("/runs/{run_id:str}/jobs/{job_id:str}/cancel", status_code=200, responses=refuses(404))
    async def cancel_job(
        self, request: ApiRequest, run_id: PathId, job_id: PathId
    ) -> Response[shapes.Reported]:
        """Cancel one job; what depends on it is skipped."""
        return await answer(request, "wfg_cancel_job", p_run_id=run_id, p_job_id=job_id)
