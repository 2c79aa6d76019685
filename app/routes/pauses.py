"""/api/pauses, and what pauses and resumes: a workflow, labels, everything."""

from typing import Annotated

from litestar import Controller, Response, get, post
from litestar.params import FromQuery, JSONBody, QueryParameter

from .. import shapes
from ..calls import ApiRequest, Body, Many, PathId, answer
from ..openapi import OptionalBody, refuses


class PauseWorkflow(Body):
    """Who and why, kept with the pause."""

    paused_by: str | None = None
    reason: str | None = None


class Freeze(Body):
    """Who and why, kept with the pause."""

    frozen_by: str | None = None
    reason: str | None = None


class Labels(Body):
    """1 to 20, 2000 bytes in all."""

    labels: Many[str]


class PauseLabels(Labels):
    """Every job that requires all of these labels. Who and why are kept with the pause."""

    paused_by: str | None = None
    reason: str | None = None


UNSAID = PauseWorkflow()
UNSAID_FREEZE = Freeze()


class Pauses(Controller):
    path = "/api"
    tags = ("pauses",)

    @get("/pauses")
    async def list_pauses(
        self,
        request: ApiRequest,
        limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
        cursor: FromQuery[str | None] = None,
    ) -> Response[shapes.Pauses]:
        """The pauses in force, oldest first."""
        return await answer(request, "wfg_list_pauses", p_limit=limit, p_cursor=cursor)

    @post(
        "/workflows/{workflow_id:str}/pause",
        status_code=200,
        operation_class=OptionalBody,
        responses=refuses(404),
    )
    async def pause_workflow(
        self, request: ApiRequest, workflow_id: PathId, data: JSONBody[PauseWorkflow] = UNSAID
    ) -> Response[shapes.Pause]:
        """Hand out no job of a workflow until it is resumed. What runs goes on."""
        return await answer(
            request,
            "wfg_pause_workflow",
            p_workflow_id=workflow_id,
            p_paused_by=data.paused_by,
            p_reason=data.reason,
        )

    @post("/workflows/{workflow_id:str}/resume", status_code=200, responses=refuses(404))
    async def resume_workflow(
        self, request: ApiRequest, workflow_id: PathId
    ) -> Response[shapes.ResumedWorkflow]:
        """Its jobs are handed out again. Pauses of labels, and of everything, stay in force."""
        return await answer(request, "wfg_resume_workflow", p_workflow_id=workflow_id)

    @post("/labels/pause", status_code=200)
    async def pause_labels(self, request: ApiRequest, data: JSONBody[PauseLabels]) -> Response[shapes.Pause]:
        """Hand out no job that requires all of these labels, of any workflow."""
        return await answer(
            request,
            "wfg_pause_labels",
            p_labels=data.labels,
            p_paused_by=data.paused_by,
            p_reason=data.reason,
        )

    @post("/labels/resume", status_code=200)
    async def resume_labels(
        self, request: ApiRequest, data: JSONBody[Labels]
    ) -> Response[shapes.ResumedLabels]:
        """End the pause of exactly these labels."""
        return await answer(request, "wfg_resume_labels", p_labels=data.labels)

    @post("/freeze", status_code=200, operation_class=OptionalBody)
    async def freeze(
        self, request: ApiRequest, data: JSONBody[Freeze] = UNSAID_FREEZE
    ) -> Response[shapes.Pause]:
        """Hand out no job at all until it is thawed."""
        return await answer(request, "wfg_freeze", p_frozen_by=data.frozen_by, p_reason=data.reason)

    @post("/thaw", status_code=200)
    async def thaw(self, request: ApiRequest) -> Response[shapes.Thawed]:
        """Hand out jobs again: of a copy of a database, too."""
        return await answer(request, "wfg_thaw")
