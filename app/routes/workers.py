"""/api/workers."""

from litestar import Controller, Response, delete, get, post
from litestar.params import JSONBody

from .. import shapes
from ..calls import ApiRequest, Body, Many, PathId, answer
from ..listen import Lines
from ..openapi import refuses


class Registration(Body):
    worker_id: str
    labels: Many[str]


async def dismiss(request: ApiRequest, worker_id: str) -> None:
    """Whoever comes or goes does not wait here any more; with another token, it is another."""
    lines: Lines = request.app.state.lines
    await lines.dismiss((request.credential, worker_id))


class Workers(Controller):
    path = "/api/workers"
    tags = ("workers",)

    @get()
    async def list_workers(self, request: ApiRequest) -> Response[list[shapes.WorkerInfo]]:
        """All workers that are known; offline: not heard of for a minute."""
        return await answer(request, "wfg_list_workers")

    @post("/register", status_code=200)
    async def register_worker(
        self, request: ApiRequest, data: JSONBody[Registration]
    ) -> Response[shapes.Registered]:
        """Make a worker known; what waits under its name is answered. Its first claim does so, too."""
        await dismiss(request, data.worker_id)
        return await answer(request, "wfg_register_worker", p_worker_id=data.worker_id, p_labels=data.labels)

    @post("/{worker_id:str}/heartbeat", status_code=200, responses=refuses(404))
    async def heartbeat_worker(self, request: ApiRequest, worker_id: PathId) -> Response[shapes.Known]:
        """Say that an idle worker lives."""
        return await answer(request, "wfg_heartbeat_worker", p_worker_id=worker_id)

    @delete("/{worker_id:str}", status_code=200, responses=refuses(404))
    async def deregister_worker(
        self, request: ApiRequest, worker_id: PathId
    ) -> Response[shapes.Deregistered]:
        """Make a worker unknown, whose claims that wait are answered. What it holds stays its own."""
        await dismiss(request, worker_id)
        return await answer(request, "wfg_deregister_worker", p_worker_id=worker_id)
