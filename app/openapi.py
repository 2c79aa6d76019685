"""The OpenAPI document, and a page made of it that fetches nothing from anywhere."""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from importlib.metadata import version
from typing import Any

from litestar import Request, Router
from litestar.datastructures import ResponseHeader
from litestar.enums import MediaType
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import (
    Components,
    OpenAPI,
    OpenAPIMediaType,
    Operation,
    RequestBody,
    Schema,
    SecurityScheme,
)
from litestar.openapi.spec.enums import OpenAPIType
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from . import shapes
from .limits import CALLS
from .workflow_file import Problem

MEANINGS = {
    400: "the query, the path or the JSON cannot be read",
    401: "a token is missing, or is not known",
    403: "the token may not do this",
    404: "there is no such thing",
    405: "the function changes something: use POST",
    406: "neither that schema nor that media type is offered",
    409: "it is too late: the message says why",
    413: "the body is too large",
    415: "the body must be sent as application/json",
    422: "a field is missing, of the wrong type or out of range; details names it",
    429: "too many requests; retry-after says when to try again",
    500: "a bug; the server's log says more",
    503: "the database does not answer; try again",
}
# The header that comes with an answer.
HEADERS = {
    "401": ("WWW-Authenticate", "Bearer"),
    "405": ("Allow", "the methods that may be used"),
    "503": ("Retry-After", "seconds"),
}
# Which operations take what an answer names: where it stands in it, and what it is to them.
LINKS = {
    ("put_workflow", "200", "/id", "workflow_id"): (
        "get_workflow start_run start_runs run_workflow pause_workflow resume_workflow delete_workflow"
    ),
    ("create_workflow", "201", "/id", "workflow_id"): "get_workflow start_run run_workflow",
    ("start_run", "201", "/run_id", "run_id"): "get_run list_attempts stream_run cancel_run",
    ("run_workflow", "202", "/run_id", "run_id"): "get_run list_attempts stream_run cancel_run",
    ("cancel_run", "200", "/run_id", "run_id"): "get_run rerun_run",
    ("rerun_run", "201", "/run_id", "run_id"): "get_run cancel_run",
    ("claim_job", "200", "/lease/lease_id", "lease_id"): (
        "renew_lease append_logs complete_job fail_job release_job"
    ),
    ("register_worker", "200", "/worker_id", "worker_id"): "heartbeat_worker deregister_worker",
}
REF = "#/components/schemas/{model}"
DESCRIPTION = (
    "Workflows inside Postgres. Each route calls the function wfg_<operation id>, or the one it says."
)


def refuses(*statuses: int) -> dict[int, ResponseSpec]:
    """The errors of a route beyond those that every route has."""
    return {status: ResponseSpec(shapes.Error, False, MEANINGS[status]) for status in statuses}


@dataclass
class OptionalBody(Operation):
    """Of a route that may be called without a body."""

    def __post_init__(self) -> None:
        if isinstance(self.request_body, RequestBody):
            self.request_body.required = False


@dataclass
class FileBody(Operation):
    """Of a route that takes a workflow file."""

    def __post_init__(self) -> None:
        self.request_body = RequestBody(
            description="The workflow file, as YAML or JSON by its content type.",
            required=True,
            content={
                "application/yaml": OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING)),
                "application/json": OpenAPIMediaType(schema=Schema(type=OpenAPIType.OBJECT)),
            },
        )


class Document(OpenAPI):
    """What all routes have in common is said here; shapes are pydantic's own, with their words and limits."""

    def to_schema(self) -> dict[str, Any]:
        document = super().to_schema()
        for path, operation in operations(document):
            operation["summary"], _, rest = (
                operation.pop("description", operation["summary"]).replace("\n", " ").partition(". ")
            )
            operation["summary"] = operation["summary"].removesuffix(".")
            operation |= {"description": rest} if rest else {}
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = not_null(parameter["schema"])

            statuses = {400, 401, 403, 500, 503}
            statuses |= {429} if path.startswith(CALLS) else set()
            statuses |= {422} if "parameters" in operation or "requestBody" in operation else set()
            statuses |= {413, 415} if "requestBody" in operation else set()
            for status in statuses:
                content = {"application/json": {"schema": {"$ref": REF.format(model="Error")}}}
                operation["responses"][str(status)] = {"description": MEANINGS[status], "content": content}
            for status, response in operation["responses"].items():
                response |= besides(operation["operationId"], status)
            operation["responses"] = dict(sorted(operation["responses"].items()))

        components = document["components"]
        used = [model for model in subclasses(BaseModel) if model.__name__ in components["schemas"]]
        _, schemas = models_json_schema([(model, "validation") for model in used], ref_template=REF)
        components["schemas"] = schemas["$defs"]
        for name, example in shapes.EXAMPLES.items():
            components["schemas"][name]["examples"] = [example]
        return document


def besides(operation_id: str, status: str) -> dict[str, Any]:
    """What comes with an answer, and what it leads to."""
    found: dict[str, Any] = {}
    if status in HEADERS:
        name, meaning = HEADERS[status]
        found["headers"] = {
            name: {"description": meaning, "required": True, "schema": {"type": "string"}},
        }
    links = {
        target: {"operationId": target, "parameters": {parameter: f"$response.body#{place}"}}
        for (source, answered, place, parameter), targets in LINKS.items()
        if (source, answered) == (operation_id, status)
        for target in targets.split()
    }
    return found | ({"links": links} if links else {})


def not_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that may be left out is none that may be null."""
    given: dict[str, Any] = {**schema, **schema.get("oneOf", [{}])[0]}
    given.pop("oneOf", None)
    if isinstance(given["type"], list):
        given |= {"type": "string", "enum": [each for each in given["enum"] if each is not None]}
    return given


def subclasses(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Those of bodies and answers, at any depth; the rest of the package may have others of the same name."""
    for each in kind.__subclasses__():
        if each.__module__ in (shapes.__name__, Problem.__module__) or ".routes." in each.__module__:
            yield each
        yield from subclasses(each)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each with its path."""
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def name_of(handler: HTTPRouteHandler, *_: object) -> str:
    return handler.handler_name


class Config(OpenAPIConfig):
    def to_openapi_schema(self) -> OpenAPI:
        return Document(**vars(super().to_openapi_schema()))


def document() -> OpenAPIConfig:
    """At /schema for people, at /schema/openapi.json for programs."""
    return Config(
        title="wfg",
        version=version("wfg"),
        description=DESCRIPTION,
        use_handler_docstrings=True,
        operation_id_creator=name_of,
        components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
        security=[{"token": []}, {}],
        render_plugins=[Page()],
        openapi_router=Router(
            "/schema",
            route_handlers=[],
            include_in_schema=False,
            response_headers=[ResponseHeader(name="content-security-policy", value=POLICY)],
        ),
    )


# --- the page ---

STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
section { border-top: 1px solid #8884; padding: .5rem 0 }
code, pre { font: 13px/1.4 ui-monospace, monospace } pre { overflow-x: auto }
td, th { text-align: left; vertical-align: top; padding: .1rem 1rem .1rem 0 } nav a { margin-right: 1rem }
"""
HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{HASH}'; base-uri 'none'; frame-ancestors 'none'"


class Page(OpenAPIRenderPlugin):
    """The document as HTML, without a script."""

    def __init__(self) -> None:
        super().__init__(path="/", media_type=MediaType.HTML)

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        routes = [
            (method.upper(), path, operation)
            for path, methods in openapi_schema["paths"].items()
            for method, operation in methods.items()
        ]
        tags = list(dict.fromkeys(operation["tags"][0] for _, _, operation in routes))
        schemas = openapi_schema["components"]["schemas"]
        parts = [
            "<!doctype html><html lang=en><meta charset=utf-8>",
            "<meta name=viewport content='width=device-width'>",
            f"<title>wfg: the HTTP API</title><style>{STYLE}</style><h1>wfg: the HTTP API</h1>",
            f"<p>{escape(DESCRIPTION)} <a href=/schema/openapi.json>openapi.json</a>",
            "<nav>"
            + "".join(f"<a href='#_{n}'>{tag}</a>" for n, tag in enumerate([*tags, "shapes"]))
            + "</nav>",
        ]
        for n, tag in enumerate(tags):
            parts.append(f"<h2 id='_{n}'>{tag}</h2>")
            parts += [route_html(*route) for route in routes if route[2]["tags"][0] == tag]
        parts.append(f"<h2 id='_{len(tags)}'>shapes</h2>")
        parts += [shape_html(name, schema) for name, schema in sorted(schemas.items())]
        return "\n".join(parts).encode()


def route_html(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = [
        (f"<code>{each['name']}</code> ({each['in']})", kind(each["schema"]), each.get("description", ""))
        for each in operation.get("parameters", ())
    ]
    for media, body in operation.get("requestBody", {}).get("content", {}).items():
        rows.append((f"body, {media}", kind(body["schema"]), ""))
    for status, response in sorted(operation["responses"].items()):
        body = response.get("content", {}).get("application/json")
        rows.append((status, kind(body["schema"]) if body else "", escape(response["description"])))
    text = f"{operation['summary']}. {operation.get('description', '')}"
    title = f"<h3><code>{method} {escape(path)}</code></h3><p>{escape(text)}"
    return f"<section id={operation['operationId']}>{title}{table(rows)}</section>"


def shape_html(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [
        (f"<code>{field}</code>", kind(each), "" if field in required else "optional")
        for field, each in schema.get("properties", {}).items()
    ]
    examples = "".join(
        f"<pre>{escape(json.dumps(each, indent=2))}</pre>" for each in schema.get("examples", ())
    )
    about = escape(schema.get("description", ""))
    return f"<section id={name}><h3>{name}</h3><p>{about}{table(rows)}{examples}</section>"


def table(rows: list[tuple[str, str, str]]) -> str:
    cells = ("".join(f"<td>{cell}" for cell in row) for row in rows)
    return "<table>" + "".join(f"<tr>{row}" for row in cells) + "</table>"


def kind(schema: dict[str, Any]) -> str:
    """A schema in a few words, with links."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"<a href='#{name}'>{name}</a>"
    for union in ("oneOf", "anyOf"):
        if union in schema:
            return " or ".join(kind(each) for each in schema[union])
    if "enum" in schema:
        return " or ".join(escape(json.dumps(each)) for each in schema["enum"])
    if schema.get("type") == "array":
        return f"array of {kind(schema.get('items', {}))}"
    if schema.get("type") == "object" and schema.get("additionalProperties"):
        return f"object of {kind(schema['additionalProperties'])}"
    names = schema.get("type", "any JSON")
    return escape(names if isinstance(names, str) else " or ".join(names))
