"""/metrics, for Prometheus."""

from litestar import Response, get
from litestar.enums import MediaType

from ..calls import ApiRequest
from ..exposition import CONTENT_TYPE


@get("/metrics", tags=["health"], media_type=MediaType.TEXT)
async def metrics(request: ApiRequest) -> Response[str]:
    """What waits, what runs and how often something happened, in Prometheus' text format."""
    state = request.app.state
    text = await state.scrapes.text(request.credential, lambda: request.call("wfg_metrics"))
    return Response(text, media_type=CONTENT_TYPE)
