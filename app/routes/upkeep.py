"""/api/doctor, /api/prune, /api/cron and /api/limits: what operators look after."""

from litestar import Controller, Response, delete, get, post, put
from litestar.params import JSONBody

from .. import migrate, shapes
from ..calls import ApiRequest, Bigint, Body, Integer, answer
from ..openapi import OptionalBody, refuses


class Prune(Body):
    """What may go; what is left out is the function's default."""

    older_than_secs: Bigint | None = None
    limit: Integer | None = None
    keep_per_workflow: Integer | None = None
    logs_older_than_secs: Bigint | None = None
    dry_run: bool = False


UNSAID = Prune()


class Schedule(Body):
    """What pg_cron may prune in the night, as of prune."""

    older_than_secs: Bigint | None = None
    keep_per_workflow: Integer | None = None
    logs_older_than_secs: Bigint | None = None


NIGHTLY = Schedule()


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

    @get("/limits")
    async def list_limits(self, request: ApiRequest) -> Response[shapes.Limits]:
        """How large what may be. The owner of the database sets them."""
        return await answer(request, "wfg_list_limits")

    @get("/cron", responses=refuses(409))
    async def list_cron(self, request: ApiRequest) -> Response[shapes.CronJobs]:
        """What pg_cron runs for us, and how it last did."""
        return await answer(request, "wfg_list_cron")

    @put("/cron", operation_class=OptionalBody, responses=refuses(409))
    async def schedule_cron(
        self, request: ApiRequest, data: JSONBody[Schedule] = NIGHTLY
    ) -> Response[shapes.CronJobs]:
        """Let pg_cron do the upkeep, in place of what was scheduled before."""
        return await answer(
            request,
            "wfg_schedule_cron",
            p_older_than_secs=data.older_than_secs,
            p_keep_per_workflow=data.keep_per_workflow,
            p_logs_older_than_secs=data.logs_older_than_secs,
        )

    @delete("/cron", status_code=200, responses=refuses(409))
    async def unschedule_cron(self, request: ApiRequest) -> Response[shapes.Unscheduled]:
        """Take it back."""
        return await answer(request, "wfg_unschedule_cron")
