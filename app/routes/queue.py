"""/api/jobs and /api/queue, to look at: which jobs there are, what waits, and who could take it."""

from typing import Annotated, Literal

from litestar import Controller, Response, get
from litestar.params import FromQuery, QueryParameter

from .. import shapes
from ..calls import ApiRequest, answer
from ..openapi import refuses

Listed = shapes.JobStatus | Literal["needs", "delayed", "held", "ready"]


class Queue(Controller):
    path = "/api"
    tags = ("queue",)

    @get("/jobs", responses=refuses(404))
    async def list_jobs(
        self,
        request: ApiRequest,
        run_id: FromQuery[str | None] = None,
        workflow_id: FromQuery[str | None] = None,
        job_state: Annotated[Listed | None, QueryParameter(name="state")] = None,
        worker_id: FromQuery[str | None] = None,
        label: Annotated[str | None, QueryParameter(description="One that it requires.")] = None,
        limit: Annotated[int, QueryParameter(ge=1, description="Above 1000 means 1000.")] = 100,
        cursor: Annotated[str | None, QueryParameter(description="next_cursor of the page before.")] = None,
    ) -> Response[shapes.Jobs]:
        """The jobs of a run, or those of all runs that are queued or running, page by page."""
        return await answer(
            request,
            "wfg_list_jobs",
            p_run_id=run_id,
            p_workflow_id=workflow_id,
            p_state=job_state,
            p_worker_id=worker_id,
            p_label=label,
            p_limit=min(limit, 1000),
            p_cursor=cursor,
        )

    @get("/queue")
    async def list_queue(self, request: ApiRequest) -> Response[shapes.QueueAnswer]:
        """What waits for which labels, for how long, and who could take it; trouble first."""
        return await answer(request, "wfg_list_queue")
