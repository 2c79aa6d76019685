"""The OpenAPI document: valid, complete, and true; and its page."""

import re
import warnings
from html.parser import HTMLParser

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from wfg import shapes
from wfg.main import create_app
from wfg.openapi import LINKS
from wfg.settings import Settings

from tests.serving import serving
from tests.witness import Witness

CI = {"jobs": {"a": {"run": "true"}, "b": {"run": "true", "needs": "a"}}}
CHUNK = {"sequence": 0, "data": "x\n", "timestamp_ms": 1, "stream": "stdout"}
CLAIM = {"worker_id": "w", "labels": []}


@pytest.fixture(scope="module")
def http(new_database, template):
    with serving(new_database(template)) as client:
        yield client


@pytest.fixture(scope="module")
def document(http):
    return http.get("/schema/openapi.json").json()


@pytest.fixture(scope="module")
def operations(document):
    return [operation for methods in document["paths"].values() for operation in methods.values()]


def test_document_is_valid(document):
    validate(document)


def test_every_operation_has_a_name_a_summary_and_its_errors(operations):
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names) >= 35
    for operation in operations:
        assert re.fullmatch("[a-z]+(_[a-z]+)*", operation["operationId"])
        assert len(operation["summary"]) > 10
        expected = {"500", "503"} | ({"400", "413", "415", "422"} if "requestBody" in operation else set())
        expected |= set() if operation["operationId"] in ("health", "ready") else {"429"}
        assert expected <= set(operation["responses"]), operation["operationId"]
        for status, response in operation["responses"].items():
            if status >= "400":
                schema = response["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Error"}


def test_every_parameter_has_a_type(operations):
    for operation in operations:
        for parameter in operation.get("parameters", ()):
            assert parameter["schema"]["type"] in ("string", "integer", "boolean"), parameter


def test_parameters_that_may_be_left_out_keep_their_limits(document):
    parameters = document["paths"]["/api/runs"]["get"]["parameters"]
    limits = {each["name"]: each["schema"].get("minimum") for each in parameters}
    assert (limits["created_from_ms"], limits["created_to_ms"], limits["limit"]) == (0, 0, 1)


def test_bodies_that_may_be_left_out_say_so(operations):
    required = {o["operationId"]: o["requestBody"]["required"] for o in operations if "requestBody" in o}
    optional = {name for name, demanded in required.items() if not demanded}
    assert optional == {
        "run_workflow",
        "cancel_workflow",
        "cancel_run",
        "rerun_run",
        "prune",
        "schedule_cron",
        "pause_workflow",
        "freeze",
    }


def test_links_lead_to_operations_that_take_what_they_name(operations):
    takes = {o["operationId"]: {each["name"] for each in o.get("parameters", ())} for o in operations}
    links = [
        link
        for operation in operations
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    ]
    assert len(links) == sum(len(targets.split()) for targets in LINKS.values())
    for link in links:
        assert set(link["parameters"]) <= takes[link["operationId"]], link


def test_headers_that_come_with_an_answer_are_described(operations):
    for operation in operations:
        for status, name in (("401", "WWW-Authenticate"), ("405", "Allow"), ("503", "Retry-After")):
            if status in operation["responses"]:
                assert operation["responses"][status]["headers"][name]["required"]


def test_tokens_are_described(document):
    assert document["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}


@pytest.mark.parametrize("name", shapes.EXAMPLES)
def test_examples_have_their_shape(document, name):
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    Draft202012Validator(schema).validate(shapes.EXAMPLES[name])
    assert document["components"]["schemas"][name]["examples"] == [shapes.EXAMPLES[name]]


def test_every_operation_answers_as_documented(http):
    """All that answer JSON, in a story; the witness holds each answer against the document."""
    witness = Witness(http)

    def call(route: str, body: object = None) -> httpx.Response:
        answer = http.request(*route.split(" "), json=body)
        assert answer.is_success, answer.text
        return answer

    def claim() -> dict[str, dict[str, str]]:
        return call("POST /api/jobs/claim", CLAIM).json()

    for route in ("GET /health", "GET /ready", "POST /api/workflows/sample", "GET /api/workflows"):
        call(route)
    call("DELETE /api/workflows/ci-1")
    call("PUT /api/workflows/ci", CI)
    call("POST /api/workflows/validate", CI)
    call("GET /api/workflows/ci")
    job = {"id": "a", "name": "A", "status": "queued", "command": "true", "depends_on": []}
    call("POST /api/workflows", {"name": "n", "trigger": "t", "jobs": [job]})
    call("POST /api/workers/register", CLAIM)
    call("POST /api/workers/w/heartbeat")

    call("POST /api/workflows/ci/run")
    claimed = claim()
    lease = claimed["lease"]["lease_id"]
    call(f"POST /api/jobs/{lease}/heartbeat")
    call(f"POST /api/jobs/{lease}/logs", {"chunks": [{**CHUNK, "workflow_id": "ci", "job_id": "a"}]})
    call(f"POST /api/jobs/{lease}/complete", {"outputs": {"x": "1"}})
    call("GET /api/workers")
    call("GET /api/workflows/ci/status")
    call("GET /api/workflows/ci/jobs/a/logs")
    run = claimed["lease"]["run_id"]
    for rest in ("", "/attempts", "/jobs/a", "/jobs/a/logs", "/jobs/a/outputs"):
        call(f"GET /api/runs/{run}{rest}")
    call("GET /api/outcomes")
    call(f"POST /api/jobs/{claim()['lease']['lease_id']}/release")
    call(f"POST /api/jobs/{claim()['lease']['lease_id']}/fail", {"error": "x"})
    call("GET /api/jobs/ci/a/cancelled")
    call("POST /api/workflows/ci/cancel")
    call("GET /api/doctor")
    call("GET /api/limits")
    call("POST /api/prune")
    call("GET /api/cron")
    call("DELETE /api/cron")

    for _ in range(2):
        run = call("POST /api/workflows/ci/runs", {"idempotency_key": "k"}).json()["run_id"]
    call("POST /api/workflows/ci/runs/batch", {"runs": [{}, {"idempotency_key": "k", "start_at_ms": 1}]})
    (many,) = call("POST /api/jobs/claim-many", {**CLAIM, "limit": 1}).json()
    reports = [{"lease_id": name, "outcome": "success"} for name in (many["lease"]["lease_id"], "x")]
    call("POST /api/jobs/report-many", {"reports": reports})
    call(f"POST /api/runs/{run}/jobs/a/cancel")
    call(f"POST /api/runs/{run}/cancel")
    for _ in range(2):
        call(f"POST /api/runs/{run}/rerun", {"jobs": "failed", "idempotency_key": "r"})
    call("GET /api/runs")
    call("GET /api/jobs")
    call("GET /api/queue")
    call("POST /api/workflows/ci/pause", {"paused_by": "me"})
    call("POST /api/labels/pause", {"labels": ["gpu"]})
    call("POST /api/freeze")
    call("GET /api/pauses")
    for resumption in ("thaw", "workflows/ci/resume"):
        call(f"POST /api/{resumption}")
    call("POST /api/labels/resume", {"labels": ["gpu"]})
    call("DELETE /api/workers/w")
    call("POST /rest/v1/rpc/wfg_reap")
    call("GET /rest/v1/rpc/wfg_list_workers")

    promised = {
        (operation["operationId"], int(status))
        for _, _, operation in witness.routes
        for status, response in operation["responses"].items()
        if status < "300" and "application/json" in response["content"]
    }
    needs_pg_cron = {("schedule_cron", 200)}  # test_cron.py
    assert promised - witness.seen == needs_pg_cron


def test_nothing_that_we_use_is_deprecated():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        create_app(Settings.read({}, database_url="postgresql://nowhere"))


class Tags(HTMLParser):
    """All that a page names: ids, links, and what it would fetch or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str | None] = []
        self.links: set[str | None] = set()
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.add(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links |= {found[name] for name in ("href", "src") if name in found}


def test_page_shows_every_operation_and_fetches_nothing(http, operations):
    answer = http.get("/schema")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    page = Tags(answer.text)

    assert {operation["operationId"] for operation in operations} <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)
    assert page.links - {f"#{name}" for name in page.ids} == {"/schema/openapi.json"}
    assert page.tags & {"script", "img", "link", "iframe", "object"} == set()


def test_page_allows_nothing_but_its_own_style(http):
    policy = http.get("/schema").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "style=" not in http.get("/schema").text
