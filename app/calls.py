"""How a route becomes a call: the body's types are checked, the function's answer is sent as it is."""

import json
import logging
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, TypeVar, cast
from urllib.parse import unquote

from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.enums import MediaType
from litestar.exceptions import HTTPException, InternalServerException, ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, JsonValue
from pydantic import ValidationError as BodyError

from .db import Credential, Database, Value
from .errors import EngineError, error_of
from .limits import Account, Limits
from .metrics import Meters
from .tokens import Gate

log = logging.getLogger(__name__)

TRACEPARENT = r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"

CLAIMS = ("wfg_claim_job", "wfg_claim_jobs")
NOTHING = ("null", "[]")

Connection = ASGIConnection[Any, Any, Any, State]


class Body(BaseModel):
    """What a route takes. Unknown fields are ignored; types are checked here, rules in SQL."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


def storable(value: object) -> object:
    """What a process printed may hold what Postgres cannot: a report must not be lost by that."""
    if not isinstance(value, str):
        return value
    return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


PathId = FromPath[str]
Unsigned = Annotated[int, Field(ge=0, lt=2**64)]
Small = Annotated[int, Field(ge=0, lt=2**31)]  # Postgres' integer, of which none is negative
Integer = Annotated[
    int, Field(ge=-(2**31), lt=2**31)
]  # what it casts; which of them are right, the function says
Bigint = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Printed = Annotated[str, BeforeValidator(storable)]
Item = TypeVar("Item")
Many = Annotated[list[Item], FailFast()]  # a million wrong items are told of by the first


class ApiRequest(Request[Any, Any, State]):
    """A request whose body, where a route takes one, is JSON and says so."""

    async def call(self, function: str, /, **params: Value) -> str:
        """A function's answer, if the token of this request allows it."""
        if function not in CLAIMS:
            return await self._call(function, params)

        meters: Meters = self.app.state.meters
        began_at = time.perf_counter()
        result = "error"
        try:
            answer = await self._call(function, params)
            result = "nothing" if answer in NOTHING else "jobs"
            return answer
        finally:
            meters.claims.observe(time.perf_counter() - began_at, result)

    async def _call(self, function: str, params: Mapping[str, Value]) -> str:
        database: Database = self.app.state.database
        limits: Limits = self.app.state.limits
        credential = self.credential
        try:
            answer = await database.call(function, credential, self.account, **params)
        except EngineError as error:
            limits.judged(credential, error)
            raise
        limits.judged(credential, None)
        return answer

    @property
    def credential(self) -> Credential:
        """EngineError when it is refused without asking the engine."""
        gate: Gate = self.app.state.gate
        credential: Credential = cast("Any", self.scope)["wfg.credential"]
        gate.check(credential, self.headers)
        return credential

    @property
    def account(self) -> Account:
        return cast("Any", self.scope)["wfg.account"]

    async def body(self) -> bytes:
        """All of it. Nothing is unpacked: a small body would become a large one."""
        encoding = self.headers.get("content-encoding", "").strip().lower()
        if encoding not in ("", "identity"):
            raise error_of(415, "unsupported_media_type", f"content-encoding: {encoding} is not understood")
        try:
            return await super().body()
        except InternalServerException:  # the client has gone; nobody reads this but the log
            raise error_of(400, "invalid_request", "the body ended before its time") from None

    async def json(self) -> Body:
        """As the route's model; 422 names the fields that are not."""
        model: type[Body] = self.route_handler.parsed_fn_signature.parameters["data"].annotation
        try:
            return model.model_validate(read_json(await self.body()))
        except BodyError as error:
            wrong = error.errors(include_url=False, include_context=False, include_input=False)[:10]
            reasons = (": ".join(filter(None, (".".join(map(str, e["loc"])), e["msg"]))) for e in wrong)
            raise error_of(422, "invalid_request", "; ".join(reasons)[:1000]) from None


async def before_request(request: Request[Any, Any, Any]) -> None:
    """What comes before the body is looked at: ids and query; the body's type, and whether there is one."""
    request.scope["path_params"] = {name: unquote(value) for name, value in request.path_params.items()}
    if request.scope["query_string"] and request.scope["path"].startswith("/api/"):
        never_null = not_texts(request.route_handler)
        for name, (value, *more) in request.query_params.dict().items():
            if more:
                raise error_of(400, "invalid_request", f"{name}: occurs twice in the query")
            if name in never_null and value.lower() == "null":
                raise error_of(400, "invalid_request", f"{name}: null is no value; leave it out")

    data = request.route_handler.parsed_fn_signature.parameters.get("data")
    if data is None:
        return
    body = await request.body()
    if not body and data.has_default:
        return
    media = media_type(request)
    if media != "application/json" and not (media.startswith("application/") and media.endswith("+json")):
        raise error_of(415, "unsupported_media_type", "the body must be sent as application/json")
    if not body:
        raise error_of(400, "invalid_json", "the body is empty")


@cache
def not_texts(handler: HTTPRouteHandler) -> frozenset[str]:
    """What may be left out of a query, and is no text: there msgspec takes the text null for None."""
    fields = handler.parsed_fn_signature.parameters.items()
    return frozenset(
        getattr(field.kwarg_definition, "name", None) or name
        for name, field in fields
        if field.is_optional and str not in field.args
    )


def media_type(request: Request[Any, Any, Any]) -> str:
    """Of the body, without parameters such as charset."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def read_json(body: bytes) -> Any:
    """400 for what is no JSON; 422 for a key that occurs twice, of which one would be ignored."""
    try:
        return DECODER.decode(body.decode())
    except (ValueError, RecursionError) as error:
        raise error_of(400, "invalid_json", str(error)) from None


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        (name, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise error_of(422, "invalid_request", f"{name}: occurs twice in one object")
    return found


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def traceparent(request: ApiRequest) -> str | None:
    """The trace context of a request. What is none is ignored, as W3C wants it."""
    given = request.headers.get("traceparent", "")
    return given if re.fullmatch(TRACEPARENT, given) else None


def dumped(each: BaseModel) -> Any:
    return each.model_dump(mode="json")


# Made once: json.loads and json.dumps make new ones for each call that is not plain.
DECODER = json.JSONDecoder(object_pairs_hook=distinct, parse_constant=refuse_constant)
ENCODER = json.JSONEncoder(default=dumped, ensure_ascii=False)


def text(value: JsonValue | Sequence[BaseModel] | BaseModel) -> str:
    """JSON for a parameter."""
    return ENCODER.encode(value)


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
    body = await request.call(function, **given)
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
    """The query is wrong; a body is checked elsewhere."""
    found = cast("list[dict[str, str]]", error.extra) if isinstance(error.extra, list) else []
    details = "; ".join(f"{each.get('key')}: {each.get('message')}" for each in found)
    return refused(connection, error_of(400, "invalid_request", details or str(error.detail)))


SLUGS = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large", 500: "internal_error"}


def failed(connection: Connection, error: Exception) -> Response[bytes]:
    """What the framework refuses, such as an unknown path; and bugs, of which only the log tells."""
    if not isinstance(error, HTTPException) or error.status_code >= 500:
        scope: Any = connection.scope
        log.error("%s failed", scope.get("path_template"), exc_info=error)
        return refused(connection, error_of(500, SLUGS[500], None, "The server's log says more."))
    slug = SLUGS.get(error.status_code, "invalid_request")
    response = refused(connection, error_of(error.status_code, slug, error.detail or None))
    for name, value in (error.headers or {}).items():
        response.headers[name] = value.replace("GET", "GET, HEAD") if name.lower() == "allow" else value
    return response
