"""The output of jobs."""

from litestar import Controller, Response, get

from .. import shapes
from ..calls import ApiRequest, PathId, answer


class Logs(Controller):
    path = "/api/workflows/{wf_id:str}/jobs/{job_id:str}/logs"
    tags = ("logs",)

    @get()
    async def list_logs(
        self, request: ApiRequest, wf_id: PathId, job_id: PathId
    ) -> Response[list[shapes.LogChunk]]:
        """All output of a job's latest attempts, in order. Unknown ids: []."""
        return await answer(request, "wfg_list_logs", p_workflow_id=wf_id, p_job_id=job_id)
