"""Around every route: cross-origin headers, OPTIONS, HEAD."""

import httpx
import pytest

from tests.serving import serving

VARY = "origin, access-control-request-method, access-control-request-headers"
PATHS = [
    "/api/workflows",
    "/api/workflows/nobody",
    "/api/workflows?limit=x",
    "/nothing",
    "/api/workflows/",
    "/schema",
]


@pytest.fixture(scope="module")
def http(new_database, template):
    with serving(new_database(template)) as client:
        yield client


@pytest.fixture(scope="module")
def choosy(new_database, template):
    origins = ("https://a.example", "http://localhost:5173")
    with serving(new_database(template), cors_origins=", ".join(origins)) as client:
        yield client


@pytest.mark.parametrize("path", PATHS)
def test_everybody_may_read_every_answer(http, path):
    for headers in ({}, {"origin": "https://a.example"}):
        answer = http.get(path, headers=headers)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-expose-headers"] == "*"
        assert answer.headers["vary"] == VARY
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", [*PATHS, "/api/jobs/x/complete", "/%FF"])
def test_every_options_request_is_answered(http, choosy, path):
    for client in (http, choosy):
        answer = client.options(path, headers={"origin": "https://b.example"})
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["access-control-allow-methods"] == "*"
        assert answer.headers["access-control-allow-headers"] == "*, authorization"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", ["https://a.example", "http://localhost:5173"])
def test_only_chosen_origins_may_read(choosy, path, origin):
    answer = choosy.get(path, headers={"origin": origin})
    assert answer.headers["access-control-allow-origin"] == origin
    assert "access-control-expose-headers" not in answer.headers
    for other in ({}, {"origin": origin + ":1"}, {"origin": origin.upper()}, {"origin": "null"}):
        answer = choosy.get(path, headers=other)
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["vary"] == VARY


def test_head_is_get_without_its_body(http):
    http.put("/api/workflows/ci", json={"jobs": {"a": {"run": "true"}}})
    run = http.post("/api/workflows/ci/runs", json={}).json()["run_id"]
    document = http.get("/schema/openapi.json").json()
    tried = 0
    for path, methods in document["paths"].items():
        content = methods.get("get", {"responses": {"200": {"content": {}}}})["responses"]["200"]["content"]
        if "application/json" not in content:
            continue
        path = path.replace("{run_id}", run).replace("{job_id}", "a")
        path = path.replace("{wf_id}", "ci").replace("{workflow_id}", "ci")
        got, head = http.get(path), http.head(path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
        # Of what tells times and ages, the length lies between that of before and that of after.
        before, at, after = (int(each.headers["content-length"]) for each in (got, head, http.get(path)))
        assert min(before, after) <= at <= max(before, after)
        tried += 1
    assert tried >= 12
    assert http.head("/api/jobs/claim").status_code == 405
    assert http.head("/nothing").status_code == 404


def test_head_of_a_stream_ends(http):
    """The connection is free again: what comes after it is answered."""
    limits = httpx.Limits(max_connections=1)
    with httpx.Client(base_url=http.base_url, limits=limits, timeout=10) as client:
        head = client.head("/api/stream")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"].startswith("text/event-stream")
        assert client.get("/health").status_code == 200
