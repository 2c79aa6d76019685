"""/api/doctor and /api/prune: what operators look after."""

from litestar import Controller, Response, get, post
from litestar.params import JSONBody

from .. import migrate, shapes
from ..calls import ApiRequest, Body, answer
from ..openapi import OptionalBody


class Prune(Body):
    """What may go; what is left out is the function's default."""

    older_than_secs: int | None = None
    limit: int | None = None
    keep_per_workflow: int | None = None
    logs_older_than_secs: int | None = None
    dry_run: bool = False


UNSAID = Prune()


class Upkeep(Controller):
    path = "/api"
    tags = ("upkeep",)

    @get("/doctor")
    async def doctor(self, request: ApiRequest) -> Response[shapes.Diagnosis]:
        """What is wrong with the database, and what helps. The revision is compared with this server's."""
        return await answer(request, "wfg_doctor", p_revision=migrate.head())

    @post("/prune", status_code=200, operation_class=OptionalBody)
    async def prune(self, request: ApiRequest, data: JSONBody[Prune] = UNSAID) -> Response[shapes.Pruned]:
        """Delete what is long over, a bounded part of it: call again while there is more."""
        return await answer(
            request,
            "wfg_prune",
            p_older_than_secs=data.older_than_secs,
            p_limit=data.limit,
            p_keep_per_workflow=data.keep_per_workflow,
            p_logs_older_than_secs=data.logs_older_than_secs,
            p_dry_run=data.dry_run,
        )
