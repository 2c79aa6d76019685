"""/api/workflows: definitions, and the workflow door, by which a workflow has one active run at most."""

from typing import Annotated

from litestar import Controller, Response, delete, get, post, put
from litestar.params import FromQuery, JSONBody, QueryParameter
from pydantic import Field, JsonValue

from .. import shapes
from ..calls import ApiRequest, Body, Many, PathId, answer, traceparent
from ..definitions import definition_of
from ..openapi import FileBody, OptionalBody, refuses
from .runs import UNSAID, Cancel

INT_MAX = 2**31 - 1
Lenient = Annotated[bool, QueryParameter(description="Unknown keys are warnings.")]


class NewWorkflow(Body):
    """A list of jobs. An id of its own is ignored: it gets a fresh one."""

    name: str
    trigger: str
    jobs: Many[JsonValue]


class Inputs(Body):
    """Values of the workflow's inputs."""

    inputs: dict[str, JsonValue] = Field(default_factory=dict)


NO_INPUTS = Inputs()


class Workflows(Controller):
    path = "/api/workflows"
    tags = ("workflows",)

    @get()
    async def list_workflows(
        self,
        request: ApiRequest,
        limit: Annotated[int, QueryParameter(ge=0, description="Above 1000 means 1000.")] = 100,
        offset: Annotated[int, QueryParameter(ge=0, le=INT_MAX)] = 0,
        status: FromQuery[str | None] = None,
    ) -> Response[list[shapes.Workflow]]:
        """Workflows in order of creation; status keeps those with a job in that state."""
        return await answer(
            request, "wfg_list_workflows", p_limit=min(limit, 1000), p_offset=offset, p_status=status
        )

    @post()
    async def create_workflow(
        self, request: ApiRequest, data: JSONBody[NewWorkflow]
    ) -> Response[shapes.Workflow]:
        """Make a workflow of a list of jobs."""
        return await answer(
            request,
            "wfg_create_workflow",
            status=201,
            p_name=data.name,
            p_trigger=data.trigger,
            p_jobs=data.jobs,
        )

    @post("/sample")
    async def create_sample_workflow(self, request: ApiRequest) -> Response[shapes.Workflow]:
        """Put the sample workflow ci-1."""
        return await answer(request, "wfg_create_sample_workflow", status=201)

    @post("/validate", status_code=200, operation_class=FileBody)
    async def validate_workflow(
        self, request: ApiRequest, lenient: Lenient = False
    ) -> Response[shapes.Validation]:
        """What is wrong with a workflow file, all of it at once. Nothing is stored."""
        return await answer(
            request, "wfg_validate_workflow", p_definition=await definition_of(request), p_lenient=lenient
        )

    @get("/{workflow_id:str}", responses=refuses(404))
    async def get_workflow(
        self,
        request: ApiRequest,
        workflow_id: PathId,
        version: Annotated[int | None, QueryParameter(ge=1, le=INT_MAX)] = None,
    ) -> Response[shapes.Definition]:
        """A version of a workflow, by default the current one."""
        return await answer(request, "wfg_get_workflow", p_workflow_id=workflow_id, p_version=version)

    @put("/{workflow_id:str}", operation_class=FileBody)
    async def put_workflow(
        self, request: ApiRequest, workflow_id: PathId, lenient: Lenient = False
    ) -> Response[shapes.Put]:
        """Store a workflow file; a new version, if it says anything new."""
        return await answer(
            request,
            "wfg_put_workflow",
            p_workflow_id=workflow_id,
            p_definition=await definition_of(request),
            p_lenient=lenient,
        )

    @delete("/{workflow_id:str}", status_code=200, responses=refuses(404))
    async def delete_workflow(self, request: ApiRequest, workflow_id: PathId) -> Response[shapes.Deleted]:
        """Take a workflow away; its runs stay, and go on."""
        return await answer(request, "wfg_delete_workflow", p_workflow_id=workflow_id)

    @get("/{wf_id:str}/status", responses=refuses(404))
    async def get_status(self, request: ApiRequest, wf_id: PathId) -> Response[shapes.Workflow]:
        """A workflow with its latest run by this door, or a run."""
        return await answer(request, "wfg_get_status", p_workflow_id=wf_id)

    @post("/{workflow_id:str}/run", status_code=202, operation_class=OptionalBody, responses=refuses(404))
    async def run_workflow(
        self, request: ApiRequest, workflow_id: PathId, data: JSONBody[Inputs] = NO_INPUTS
    ) -> Response[shapes.Started]:
        """Run a workflow, unless its last run by this door is still active: then this changes nothing."""
        return await answer(
            request,
            "wfg_run_workflow",
            status=202,
            p_workflow_id=workflow_id,
            p_inputs=data.inputs,
            p_traceparent=traceparent(request),
        )

    @post("/{wf_id:str}/cancel", status_code=202, operation_class=OptionalBody, responses=refuses(404))
    async def cancel_workflow(
        self, request: ApiRequest, wf_id: PathId, data: JSONBody[Cancel] = UNSAID
    ) -> Response[shapes.Cancelled]:
        """Cancel the latest run by this door, or a run: wfg_cancel_run."""
        return await answer(
            request,
            "wfg_cancel_run",
            status=202,
            p_run_id=wf_id,
            p_cancelled_by=data.cancelled_by,
            p_reason=data.reason,
        )
