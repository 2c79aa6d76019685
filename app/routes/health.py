"""Whether the server lives, and whether it can work."""

from litestar import Response, get

from .. import shapes
from ..calls import ApiRequest, answer


@get("/health", tags=["health"])
async def health() -> shapes.Health:
    """The process answers."""
    return shapes.Health(status="ok")


@get("/ready", tags=["health"])
async def ready(request: ApiRequest) -> Response[shapes.Ready]:
    """The database answers, too."""
    return await answer(request, "wfg_health")
