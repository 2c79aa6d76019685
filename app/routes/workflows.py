"""/api/workflows: definitions, and the workflow door, by which a workflow has one active run at most."""

from typing import Annotated

from litestar import Controller, Response, delete, get, post, put
from litestar.openapi.spec import OpenAPIMediaType, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import Parameter
from pydantic import JsonValue

from .. import shapes
from ..calls import ApiRequest, Body, PathId, answer
from ..definitions import definition_of

FILE = RequestBody(
    description="The workflow file, as YAML or JSON by its content type.",
    required=True,
    content={
        "application/yaml": OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING)),
        "application/json": OpenAPIMediaType(schema=Schema(type=OpenAPIType.OBJECT)),
    },
)

Limit = Annotated[int, Parameter(ge=0)]
Lenient = Annotated[bool, Parameter(description="Unknown keys are warnings.")]


class NewWorkflow(Body):
    """A list of jobs. An id of its own is ignored: it gets a fresh one."""

    name: str
    trigger: str
    jobs: list[JsonValue]


class Workflows(Controller):
    path = "/api/workflows"
    tags = ("workflows",)

    @get()
    async def list_workflows(
        self, request: ApiRequest, limit: Limit = 100, offset: Limit = 0, status: str | None = None
    ) -> Response[list[shapes.Workflow]]:
        """Workflows in order of creation; status keeps those with a job in that state."""
        return await answer(
            request, "wfg_list_workflows", p_limit=min(limit, 1000), p_offset=offset, p_status=status
        )

    @post()
    async def create_workflow(self, request: ApiRequest, data: NewWorkflow) -> Response[shapes.Workflow]:
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
    async def create_sample(self, request: ApiRequest) -> Response[shapes.Workflow]:
        """Put the sample workflow ci-1."""
        return await answer(request, "wfg_create_sample_workflow", status=201)

    @post("/validate", status_code=200)
    async def validate_workflow(
        self, request: ApiRequest, lenient: Lenient = False
    ) -> Response[shapes.Validation]:
        """What is wrong with a workflow file, all of it at once; nothing is stored."""
        return await answer(
            request, "wfg_validate_workflow", p_definition=await definition_of(request), p_lenient=lenient
        )

    @get("/{workflow_id:str}")
    async def get_workflow(
        self, request: ApiRequest, workflow_id: PathId, version: int | None = None
    ) -> Response[shapes.Definition]:
        """A version of a workflow, by default the current one."""
        return await answer(request, "wfg_get_workflow", p_workflow_id=workflow_id, p_version=version)

    @put("/{workflow_id:str}")
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

    @delete("/{workflow_id:str}", status_code=200)
    async def delete_workflow(self, request: ApiRequest, workflow_id: PathId) -> Response[shapes.Deleted]:
        """Take a workflow away; its runs stay, and go on."""
        return await answer(request, "wfg_delete_workflow", p_workflow_id=workflow_id)

    @get("/{wf_id:str}/status")
    async def get_status(self, request: ApiRequest, wf_id: PathId) -> Response[shapes.Workflow]:
        """A workflow with its latest run by this door, or a run."""
        return await answer(request, "wfg_get_status", p_workflow_id=wf_id)

    @post("/{workflow_id:str}/run", status_code=202)
    async def run_workflow(self, request: ApiRequest, workflow_id: PathId) -> Response[shapes.Started]:
        """Run a workflow, unless its last run by this door is still active: then this changes nothing."""
        return await answer(request, "wfg_run_workflow", status=202, p_workflow_id=workflow_id)

    @post("/{wf_id:str}/cancel", status_code=202)
    async def cancel_workflow(self, request: ApiRequest, wf_id: PathId) -> Response[shapes.Cancelled]:
        """Cancel the latest run by this door, or a run."""
        return await answer(request, "wfg_cancel_run", status=202, p_run_id=wf_id)
