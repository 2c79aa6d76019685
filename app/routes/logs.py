"""The output of jobs."""

from typing import Annotated

from litestar import Controller, Response, get
from litestar.params import FromQuery, QueryParameter

from .. import shapes
from ..calls import ApiRequest, PathId, answer
from ..openapi import refuses


class Logs(Controller):
    path = "/api"
    tags = ("logs",)

    @get("/workflows/{wf_id:str}/jobs/{job_id:str}/logs")
    async def list_logs(
        self, request: ApiRequest, wf_id: PathId, job_id: PathId
    ) -> Response[list[shapes.LogChunk]]:
        """All output of a job, attempt by attempt. Unknown ids: []."""
        return await answer(request, "wfg_list_logs", p_workflow_id=wf_id, p_job_id=job_id)

    @get("/runs/{run_id:str}/jobs/{job_id:str}/logs", responses=refuses(404))
    async def read_logs(
        self,
        request: ApiRequest,
        run_id: PathId,
        job_id: PathId,
        cursor: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, description="Above 10000 means 10000.")] = 1000,
    ) -> Response[shapes.LogPage]:
        """Output of a job page by page. next_cursor is always set: there may be more later."""
        return await answer(
            request,
            "wfg_read_logs",
            p_workflow_id=run_id,
            p_job_id=job_id,
            p_cursor=cursor,
            p_limit=min(limit, 10000),
        )
