"""Around the application: cross-origin headers on every answer, and paths whose ids may hold a slash."""

import asyncio
from typing import Any
from urllib.parse import unquote_to_bytes

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from .errors import error_of

JSON_TYPE = (b"content-type", b"application/json")
VARY = b"origin, access-control-request-method, access-control-request-headers"


class Surroundings:
    """As workflow-graph does it: every OPTIONS is answered 200, and every answer carries the headers.

    origins: who may read answers in a browser; None: everybody.
    """

    def __init__(self, app: ASGIApp, origins: tuple[str, ...] | None) -> None:
        self.app = app
        self.origins = None if origins is None else frozenset(origin.encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        headers = self.headers(next((value for name, value in scope["headers"] if name == b"origin"), None))

        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        if scope["method"] == "OPTIONS":
            anything = [(b"access-control-allow-methods", b"*"), (b"access-control-allow-headers", b"*")]
            await answer(send_with_headers, 200, [*anything, (b"content-length", b"0")], b"")
            return

        try:
            scope["path"] = routable(scope)
        except UnicodeDecodeError:
            refusal = error_of(400, "invalid_request", "the path is not UTF-8")
            await answer(send_with_headers, refusal.status, [JSON_TYPE], refusal.body())
            return
        try:
            await self.app(scope, receive, send_with_headers)
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
            ]
        if origin is not None and origin in self.origins:
            return [(b"access-control-allow-origin", origin), (b"vary", VARY)]
        return [(b"vary", VARY)]


def routable(scope: Any) -> str:
    """The decoded path, but for %2F and %25: a slash in an id must not part it. PathId decodes the rest."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    raw = raw.partition(b"?")[0]
    if b"%" not in raw:
        return raw.decode()
    kept = raw.replace(b"%25", b"%2525").replace(b"%2F", b"%252F").replace(b"%2f", b"%252F")
    return unquote_to_bytes(kept).decode()


async def answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
