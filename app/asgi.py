"""Around the application: cross-origin headers on every answer, HEAD, paths whose ids may hold a slash."""

import asyncio
from typing import Any, cast
from urllib.parse import unquote_to_bytes

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from .errors import EngineError, error_of
from .visitors import ANY

JSON_TYPE = (b"content-type", b"application/json")
NO_SNIFFING = (b"x-content-type-options", b"nosniff")
VARY = b"origin, access-control-request-method, access-control-request-headers"
PREFLIGHT = [
    (b"access-control-allow-methods", b"*"),
    (b"access-control-allow-headers", b"*, authorization"),  # the star does not mean authorization
    (b"content-length", b"0"),
]
# Where a word stands in the place of an id, for POST alone.
WORDS = {"/api/workflows/sample", "/api/workflows/validate", "/api/workers/register"}


class Surroundings:
    """As workflow-graph does it: every OPTIONS is answered 200, and every answer carries the headers.

    origins: who may read answers in a browser; None, or a star: everybody.
    """

    def __init__(self, app: ASGIApp, origins: tuple[str, ...] | None) -> None:
        self.app = app
        named = origins is not None and ANY not in origins
        self.origins = frozenset(origin.encode() for origin in origins) if origins and named else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        headers = self.headers(next((value for name, value in scope["headers"] if name == b"origin"), None))
        head = scope["method"] == "HEAD"
        started = ended = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started, ended
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], *headers]
            elif head and message["type"] == "http.response.body":
                if ended:
                    return
                message["body"], message["more_body"], ended = b"", False, True
            await send(message)

        if scope["method"] == "OPTIONS":
            await answer(send_with_headers, 200, PREFLIGHT, b"")
            return
        try:
            routed: Any = {**scope, "path": routable(scope), "method": "GET" if head else scope["method"]}
            cast("Any", scope)["wfg.routed"] = routed  # it learns the route; see observed.py
        except EngineError as error:
            await answer(send_with_headers, error.status, [JSON_TYPE], error.body())
            return
        try:
            await self.app(routed, receive, send_with_headers)
        except asyncio.CancelledError:  # the server ends, and does not wait any longer
            if not started:
                refusal = error_of(503, "server_stopping", "nobody knows whether the call was made")
                await answer(send_with_headers, refusal.status, [JSON_TYPE], refusal.body())

    def headers(self, origin: bytes | None) -> list[tuple[bytes, bytes]]:
        if self.origins is None:
            return [
                (b"access-control-allow-origin", b"*"),
                (b"access-control-expose-headers", b"*"),
                (b"vary", VARY),
                NO_SNIFFING,
            ]
        if origin is not None and origin in self.origins:
            return [(b"access-control-allow-origin", origin), (b"vary", VARY), NO_SNIFFING]
        return [(b"vary", VARY), NO_SNIFFING]


def routable(scope: Any) -> str:
    """The path for the router, which parts it at slashes: %2F and %25 stay, before_request decodes them.

    An empty part is no id, and no path of ours ends in a slash: the router would overlook both.
    """
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    raw = raw.partition(b"?")[0]
    kept = raw.replace(b"%25", b"%2525").replace(b"%2F", b"%252F").replace(b"%2f", b"%252F")
    path = decoded(kept, "path")
    if scope["query_string"]:
        decoded(scope["query_string"], "query")
    if path != "/" and (path.endswith("/") or "//" in path):
        raise error_of(404, "not_found", "an id in the path is empty, or a slash ends it")
    if path.startswith("/schema/") and path != "/schema/openapi.json":
        raise error_of(404, "not_found")  # litestar would answer with a page of its own
    if path in WORDS and scope["method"] != "POST":
        return path[:-1] + f"%{ord(path[-1]):02X}"
    return path


def decoded(text: bytes, name: str) -> str:
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise error_of(400, "invalid_request", f"the {name} is not UTF-8") from None


async def answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
