"""/rest/v1/rpc: the functions as PostgREST offers them; docs/rpc-door.md says where the two differ."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import psycopg
from litestar import Controller, Response, get, post, route
from litestar.enums import HttpMethod
from pydantic import JsonValue

from ..calls import ApiRequest, Connection, PathId, refused
from ..db import SETS, Database
from ..errors import EngineError, error_of
from ..openapi import refuses

JSON = "application/json; charset=utf-8"
OBJECT = "application/vnd.pgrst.object+json"
ACCEPTED = {"*/*", "application/*", "application/json", "application/vnd.pgrst.array+json", OBJECT}

# PostgREST's table: of classes of SQLSTATE, and of states that are not as their class; of others it is 400.
STATUS_OF = {
    state: status
    for status, states in {
        400: "P0001 54001",
        403: "0L 0P 28 42501",
        404: "42883 42P01",
        405: "25006",
        409: "23503 23505",
        500: "09 25 2D 38 39 3B 40 54 55 57 58 F0 HV P0 XX 21000 42P17 53400",
        503: "08 53 57P01",
    }.items()
    for state in states.split()
}


class Function(msgspec.Struct, frozen=True):
    """What the catalog says: which arguments there are, which of them are needed, and which take JSON."""

    names: list[str]
    needed: list[str]
    json: list[str]
    volatile: bool

    def takes(self, given: Iterable[str]) -> bool:
        return set(self.needed) <= set(given) <= set(self.names)


class Catalog:
    """The functions by name: read when they are first asked for, and again after a while."""

    def __init__(self, database: Database, refresh_secs: float = 60) -> None:
        self.database = database
        self.refresh_secs = refresh_secs
        self._functions: dict[str, Function] = {}
        self._until = 0.0

    async def functions(self) -> dict[str, Function]:
        if monotonic() >= self._until:
            text = await self.database.functions()
            self._functions = msgspec.json.decode(text, type=dict[str, Function])
            self._until = monotonic() + self.refresh_secs
        return self._functions

    def forget(self) -> None:
        self._until = 0.0


def answered_as_postgrest(connection: Connection, error: EngineError) -> Response[bytes]:
    """What Postgres itself says keeps its code, and has the status that PostgREST gives it."""
    cause = error.__cause__
    if isinstance(cause, psycopg.Error) and not (cause.sqlstate or "").startswith("PT"):
        error = of_postgres(cause)
    if error.code == "42883":
        connection.app.state.catalog.forget()
    response = refused(connection, error)
    response.media_type = JSON
    if error.status == 405:
        response.headers["allow"] = "OPTIONS, POST" if error.code == "25006" else "GET, HEAD, OPTIONS, POST"
    return response


def of_postgres(error: psycopg.Error) -> EngineError:
    state, diag = error.sqlstate, error.diag
    if state is None and isinstance(error, psycopg.DataError):  # psycopg does not send a NUL
        details = "\\u0000 cannot be converted to text."
        return error_of(400, "unsupported Unicode escape sequence", details, code="22P05")
    if state is None:
        message = "Database connection error. Retrying the connection."
        return error_of(503, message, str(error).strip(), code="PGRST000")
    status = STATUS_OF.get(state) or STATUS_OF.get(state[:2], 400)
    message = diag.message_primary or str(error)
    return error_of(status, message, diag.message_detail, diag.message_hint, code=state)


class Rpc(Controller):
    path = "/rest/v1/rpc/{function:str}"
    tags = ("rpc",)
    exception_handlers: Any = {EngineError: answered_as_postgrest}  # noqa: RUF012

    @post(status_code=200, operation_id="call_function", responses=refuses(404, 406, 409, 413, 415))
    async def call(self, request: ApiRequest, function: PathId) -> Response[JsonValue]:
        """Call a function of the engine as PostgREST's clients do: the body is an object of arguments."""
        if request.scope["query_string"]:
            details = "The answer of a function is neither filtered nor shaped."
            raise error_of(400, "Feature not implemented", details, code="PGRST127")
        return await invoke(request, function, arguments(request, await request.body()))

    @get(operation_id="read_function", responses=refuses(404, 405, 406))
    async def read(self, request: ApiRequest, function: PathId) -> Response[JsonValue]:
        """Call a function that only reads, with its arguments in the query."""
        return await invoke(request, function, from_query(request.scope["query_string"]))

    @route(http_method=[HttpMethod.PUT, HttpMethod.PATCH, HttpMethod.DELETE], include_in_schema=False)
    async def refuse(self, request: ApiRequest) -> None:
        raise error_of(405, f"Cannot use the {request.method} method on RPC", code="PGRST101")


async def invoke(request: ApiRequest, name: str, given: Mapping[str, msgspec.Raw | str]) -> Response[Any]:
    """Only names that the catalog has get as far as SQL."""
    posted = request.method == "POST"
    schema = request.headers.get("content-profile" if posted else "accept-profile", "public")
    if schema != "public":
        hint = "Only the following schemas are exposed: public"
        raise error_of(406, f"Invalid schema: {schema}", hint=hint, code="PGRST106")
    catalog: Catalog = request.app.state.catalog
    functions = await catalog.functions()
    function = functions.get(name)
    if function is None or not function.takes(given):
        raise not_found(request, name, sorted(given), functions)
    accept = request.headers.get("accept", "*/*")
    media = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    if not media & (ACCEPTED - {OBJECT} if name in SETS else ACCEPTED):
        raise error_of(406, f"None of these media types are available: {accept}", code="PGRST107")
    if function.volatile and not posted:
        message = f"cannot execute {name} in a read-only transaction"
        raise error_of(405, message, hint="It changes something: use POST.", code="25006")

    values = {key: parameter(given[key], key in function.json) for key in function.names if key in given}
    body = await request.call(name, **values)
    return Response(body.encode(), status_code=200, media_type=JSON)


def arguments(request: ApiRequest, body: bytes) -> Mapping[str, msgspec.Raw | str]:
    """The arguments in a body. No content type means JSON, and no body no arguments."""
    media = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media == "application/x-www-form-urlencoded":
        return from_query(body)
    if media != "application/json":
        raise error_of(400, f"Content-Type not acceptable: {media}", code="PGRST102")
    if not body:
        return {}
    try:
        body.decode()
        return msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        raise error_of(400, "The body must be a JSON object", code="PGRST102") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise error_of(400, "Empty or invalid json", code="PGRST102") from None


def from_query(query: bytes) -> Mapping[str, str]:
    """Of a name that occurs twice, the last."""
    try:
        return dict(parse_qsl(query.decode(), keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        raise error_of(400, "The arguments are not UTF-8", code="PGRST102") from None


def parameter(value: msgspec.Raw | str, is_json: bool) -> str | None:
    """The text that Postgres casts. JSON is passed on as it came, but null is NULL."""
    if isinstance(value, str):
        return value
    text = bytes(value).decode()
    if text == "null":
        return None
    return text if is_json or not text.startswith('"') else msgspec.json.decode(text, type=str)


def not_found(
    request: ApiRequest, name: str, given: list[str], functions: Mapping[str, Function]
) -> EngineError:
    """No function takes these arguments; the hint names one that may be meant."""
    called = f"({', '.join(given)})" if given else " without parameters"
    searched = f" with parameter{'s' * (len(given) > 1)} {', '.join(given)}" if given else called
    if request.method == "POST":
        searched += " or with a single unnamed json/jsonb parameter"
    meant = (
        [f"{name}({', '.join(sorted(functions[name].names))})"]
        if name in functions
        else get_close_matches(name, functions, n=1, cutoff=0.75)
    )
    return error_of(
        404,
        f"Could not find the function public.{name}{called} in the schema cache",
        f"Searched for the function public.{name}{searched}, but no matches were found in the schema cache.",
        f"Perhaps you meant to call the function public.{meant[0]}" if meant else None,
        code="PGRST202",
    )
