"""The web page. Its files need no token; what it asks for by the API does."""

from functools import cache

from litestar import Response, get
from litestar.params import FromPath

from ..calls import ApiRequest
from ..errors import error_of
from ..page import ASK_AGAIN, HEADERS, File, Page


@cache
def page() -> Page:
    """Read when it is first asked for."""
    return Page()


def sent(request: ApiRequest, file: File, keep: str) -> Response[bytes]:
    headers = {**HEADERS, "etag": file.etag, "cache-control": keep}
    known = request.headers.get("if-none-match", "").replace("W/", "").split(",")
    if file.etag in [each.strip() for each in known]:
        return Response(b"", status_code=304, headers=headers, media_type=file.media_type)
    body = file.body
    if "gzip" in request.headers.get("accept-encoding", ""):
        body = file.zipped
        headers["content-encoding"] = "gzip"
    return Response(body, headers=headers, media_type=file.media_type)


@get("/", include_in_schema=False)
async def index(request: ApiRequest) -> Response[bytes]:
    """The page itself."""
    return sent(request, page().index, ASK_AGAIN)


@get("/assets/{path:path}", include_in_schema=False)
async def asset(request: ApiRequest, path: FromPath[str]) -> Response[bytes]:
    """What it is made of."""
    found = page().find(path)
    if found is None:
        raise error_of(404, "not_found")
    return sent(request, *found)
