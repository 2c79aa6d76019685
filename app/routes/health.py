"""Whether the server lives, and whether it can work."""

from litestar import get

from .. import shapes
from ..calls import ApiRequest


@get("/health", tags=["health"])
async def health() -> shapes.Health:
    """The process answers."""
    return shapes.Health(status="ok")


@get("/ready", tags=["health"])
async def ready(request: ApiRequest) -> shapes.Health:
    """The database answers, too. Whoever asks learns no more than that."""
    await request.app.state.database.call("wfg_health")
    return shapes.Health(status="ok")
