"""How a route becomes a call: the body's types are checked, the function's answer is sent as it is."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast
from urllib.parse import unquote

from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.enums import MediaType
from litestar.exceptions import HTTPException, ValidationException
from pydantic import BaseModel, ConfigDict, JsonValue

from .db import Value
from .errors import EngineError, error_of

Connection = ASGIConnection[Any, Any, Any, State]


class Body(BaseModel):
    """What a route takes. Unknown fields are ignored; types are checked here, rules in SQL."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class PathId(str):
    """An id out of the path. It may hold a slash, which came as %2F."""

    @classmethod
    def decode(cls, _: type, value: str) -> "PathId":
        return cls(unquote(value))


class Caller(Protocol):
    """What calls functions for requests: state.caller of the application."""

    async def call(self, request: "ApiRequest", function: str, /, **params: Value) -> str: ...


class ApiRequest(Request[Any, Any, State]):
    """A request whose body, where a route takes one, is JSON and says so."""

    async def json(self) -> Any:
        return read_json(await self.body())


async def before_request(request: Request[Any, Any, Any]) -> None:
    """What comes before the body is looked at: its type, and whether there is one."""
    if "data" not in request.route_handler.parsed_fn_signature.parameters:
        return
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json" and not (media.startswith("application/") and media.endswith("+json")):
        raise error_of(415, "unsupported_media_type", "the body must be sent as application/json")
    if not await request.body():
        raise error_of(400, "invalid_json", "the body is empty")


def read_json(body: bytes) -> Any:
    """400 for what is no JSON; 422 for a key that occurs twice, of which one would be ignored."""
    try:
        return json.loads(body, object_pairs_hook=distinct, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise error_of(400, "invalid_json", str(error)) from None


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise error_of(422, "invalid_request", f"{twice}: occurs twice in one object")
    return found


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def text(value: JsonValue | Sequence[BaseModel] | BaseModel) -> str:
    """JSON for a parameter."""
    return json.dumps(value, default=lambda each: each.model_dump(mode="json"), ensure_ascii=False)


async def answer(
    request: ApiRequest,
    function: str,
    /,
    *,
    status: int = 200,
    **params: Value | Mapping[str, JsonValue] | Sequence[Any],
) -> Response[Any]:
    """The function's text, unparsed. A parameter that is None is left to its default."""
    given: dict[str, Value] = {
        name: value if isinstance(value, Value) else text(cast("JsonValue", value))
        for name, value in params.items()
        if value is not None
    }
    caller: Caller = request.app.state.caller
    body = await caller.call(request, function, **given)
    return Response(body.encode(), status_code=status, media_type=MediaType.JSON)


# --- errors ---

HEADERS = {
    401: {"www-authenticate": "Bearer"},
    429: {"retry-after": "1"},
    503: {"retry-after": "1"},
}


def refused(_: Connection, error: EngineError) -> Response[bytes]:
    """The four fields."""
    headers = HEADERS.get(error.status)
    return Response(error.body(), status_code=error.status, media_type=MediaType.JSON, headers=headers)


def invalid(connection: Connection, error: ValidationException) -> Response[bytes]:
    """A body of another shape is 422, a query or a path 400; the field is named."""
    found = cast("list[dict[str, str]]", error.extra) if isinstance(error.extra, list) else []
    sources = {each.get("source") for each in found}
    status = 400 if sources & {"query", "path", "header"} else 422
    details = "; ".join(
        ": ".join(part for part in (each.get("key"), each.get("message")) if part) for each in found
    )
    return refused(connection, error_of(status, "invalid_request", details or str(error.detail)))


SLUGS = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large", 500: "internal_error"}


def failed(connection: Connection, error: HTTPException) -> Response[bytes]:
    """What the framework refuses, such as an unknown path."""
    status = error.status_code
    slug = SLUGS.get(status, "invalid_request")
    response = refused(connection, error_of(status, slug, error.detail or None))
    if error.headers:
        response.headers.update(error.headers)
    return response
