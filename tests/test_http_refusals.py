"""What is wrong is refused with the right status and the four fields, whatever it is."""

import asyncio
import gzip
import json
import logging
import socket

import httpx
import pytest
from wfg.main import create_app
from wfg.settings import Settings

from tests.serving import serving
from tests.witness import ERROR, Witness

JSON = {"content-type": "application/json"}
DEEP = b"[" * 100_000
LARGE = b'{"worker_id": "' + b"w" * 3_000_000 + b'"}'


@pytest.fixture(scope="module")
def http(new_database, template):
    with serving(new_database(template)) as client:
        client.witness = Witness(client)
        yield client


def refused(answer, status, message="invalid_request"):
    assert (answer.status_code, answer.json()["message"]) == (status, message), answer.text
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ERROR
    return answer.json()["details"]


def routes_with_a_body(http, required=True):
    for path, methods in http.witness.document["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {"content": {}, "required": None})
            if list(body["content"]) == ["application/json"] and body["required"] == required:
                yield method, path.replace("{", "").replace("}", "")


# --- bodies ---

UNREADABLE = {
    "empty": b"",
    "cut off": b'{"worker_id": "w"',
    "more than one": b"{} {}",
    "not UTF-8": b'{"worker_id": "\xff"}',
    "UTF-16": '{"worker_id": "w"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "NaN": b'{"limit": NaN}',
    "infinity": b'{"limit": -Infinity}',
    "a number of 5000 digits": b'{"limit": ' + b"1" * 5000 + b"}",
    "100000 brackets": DEEP,
    "100000 braces": b'{"a":' * 100_000,
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_json_is_a_400(http, body):
    routes = list(routes_with_a_body(http))
    assert len(routes) >= 10
    for method, path in routes:
        refused(http.request(method, path, content=body, headers=JSON), 400, "invalid_json")


@pytest.mark.parametrize(
    "media", [None, "", "text/plain", "application/jsonx", "application/x-www-form-urlencoded"]
)
def test_what_does_not_say_that_it_is_json_is_a_415(http, media):
    headers = {} if media is None else {"content-type": media}
    for method, path in [*routes_with_a_body(http), *routes_with_a_body(http, required=False)]:
        refused(http.request(method, path, content=b"{}", headers=headers), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "media", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.a+json"]
)
def test_json_may_call_itself_so(http, media):
    body = b'{"worker_id": "w", "labels": []}'
    answer = http.post("/api/jobs/claim", content=body, headers={"content-type": media})
    assert (answer.status_code, answer.text) == (200, "null")


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"text"', b"[{}]", b"true"])
def test_a_body_that_is_no_object_is_a_422(http, body):
    for method, path in [*routes_with_a_body(http), *routes_with_a_body(http, required=False)]:
        refused(http.request(method, path, content=body, headers=JSON), 422)


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "deflate", "gzip, identity", "x"])
def test_a_body_that_is_packed_is_a_415(http, encoding):
    headers = {**JSON, "content-encoding": encoding}
    for body in (b"{}", gzip.compress(b"{}")):
        for method, path in [*routes_with_a_body(http), *routes_with_a_body(http, required=False)]:
            answer = http.request(method, path, content=body, headers=headers)
            assert "content-encoding" in refused(answer, 415, "unsupported_media_type")
        for path in ("/api/workflows/validate", "/rest/v1/rpc/wfg_health"):
            assert http.post(path, content=body, headers=headers).status_code == 415
    plain = {**JSON, "content-encoding": "identity"}
    assert http.post("/api/jobs/claim", json=CLAIM, headers=plain).status_code == 200


def test_a_body_that_is_too_large_is_a_413(http):
    for method, path in [*routes_with_a_body(http), *routes_with_a_body(http, required=False)]:
        refused(http.request(method, path, content=LARGE, headers=JSON), 413, "body_too_large")
        chunked = (LARGE[start : start + 100_000] for start in range(0, len(LARGE), 100_000))
        refused(http.request(method, path, content=chunked, headers=JSON), 413, "body_too_large")


def test_two_mebibytes_are_not_too_large(http):
    empty = json.dumps({"worker_id": "w", "labels": [], "ignored": ""}).encode()
    body = empty[:-2] + b"x" * (2 * 1024 * 1024 - len(empty)) + empty[-2:]
    assert len(body) == 2 * 1024 * 1024
    assert http.post("/api/jobs/claim", content=body, headers=JSON).status_code == 200
    refused(http.post("/api/jobs/claim", content=body + b" ", headers=JSON), 413, "body_too_large")


def test_routes_that_take_no_body_ignore_it(http):
    for headers in (JSON, {"content-type": "text/plain"}, {}):
        answer = http.post("/api/workers/nobody/heartbeat", content=b"{not json", headers=headers)
        refused(answer, 404, "worker_not_found")
    assert http.request("GET", "/api/workers", content=LARGE).status_code == 200


CLAIM = {"worker_id": "w", "labels": []}
CHUNK = {"workflow_id": "ci", "job_id": "a", "sequence": 0, "data": "", "timestamp_ms": 0, "stream": "stdout"}
NEW = {"name": "n", "trigger": "t", "jobs": []}


def without(body, name):
    return {key: value for key, value in body.items() if key != name}


WRONG = [
    *[("/api/jobs/claim", without(CLAIM, name), name) for name in CLAIM],
    *[
        ("/api/jobs/claim", {**CLAIM, "worker_id": value}, "worker_id")
        for value in (None, 1, [], "", "w" * 201)
    ],
    *[
        ("/api/jobs/claim", {**CLAIM, "labels": value}, "labels")
        for value in (None, "a", {}, [1], ["a", None])
    ],
    *[
        ("/api/jobs/claim", {**CLAIM, "lease_ttl_secs": value}, "ttl_secs")
        for value in (None, -1, 0, 1.0, 1.5, "30", True, [], 86401, 2**31, 2**64 - 1, 2**64, 10**400)
    ],
    *[
        ("/api/jobs/claim-many", {**CLAIM, "limit": value}, "limit")
        for value in (None, 0, -1, 1001, "1", 1.0)
    ],
    ("/api/jobs/claim-many", CLAIM, "limit"),
    *[("/api/workers/register", without(CLAIM, name), name) for name in CLAIM],
    *[
        ("/api/jobs/x/complete", {"outputs": value}, "outputs")
        for value in (None, [], "a", {"a": 1}, {"a": None})
    ],
    *[("/api/jobs/x/fail", {"error": value}, "error") for value in (None, 1, ["x"])],
    *[("/api/jobs/x/fail", {"error": "x", "retryable": value}, "retryable") for value in (None, 1, "true")],
    ("/api/jobs/x/fail", {}, "error"),
    ("/api/jobs/x/logs", {}, "chunks"),
    *[("/api/jobs/x/logs", {"chunks": [without(CHUNK, name)]}, f"chunks.0.{name}") for name in CHUNK],
    *[
        ("/api/jobs/x/logs", {"chunks": [CHUNK, {**CHUNK, name: value}]}, f"chunks.1.{name}")
        for name, value in (
            ("sequence", -1),
            ("sequence", 1.0),
            ("timestamp_ms", "0"),
            ("timestamp_ms", None),
            ("stream", "stdin"),
            ("stream", None),
            ("data", None),
            ("data", 1),
        )
    ],
    *[("/api/jobs/report-many", {"reports": value}, "reports") for value in (None, {}, [1], [{}])],
    ("/api/jobs/report-many", {"reports": [{"lease_id": "x", "outcome": "skipped"}]}, "reports.0.outcome"),
    *[("/api/workflows", without(NEW, name), name) for name in NEW],
    *[("/api/workflows", {**NEW, name: None}, name) for name in NEW],
    ("/api/workflows/x/run", {"inputs": []}, "inputs"),
    ("/api/workflows/x/cancel", {"reason": 1}, "reason"),
    ("/api/runs/x/cancel", {"cancelled_by": "x" * 201}, "cancelled_by"),
    ("/api/workflows/x/runs", {"inputs": None}, "inputs"),
    ("/api/workflows/x/runs", {"idempotency_key": ""}, "idempotency_key"),
    *[
        ("/api/workflows/x/runs", {"start_at": value}, "start_at")
        for value in (1, "tomorrow", "infinity", "2030-01-01T00:00:00", "")
    ],
    ("/api/workflows/x/runs", {"start_at": "2030-13-01T00:00:00Z"}, "2030-13-01"),
    *[
        ("/api/prune", {name: value}, name)
        for name in ("older_than_secs", "limit", "keep_per_workflow", "logs_older_than_secs")
        for value in (-1, 2**63, 1.5)
    ],
    ("/api/workflows/x/runs/batch", {}, "runs"),
    ("/api/workflows/x/runs/batch", {"runs": [1]}, "runs"),
]


@pytest.mark.parametrize(
    ("path", "body", "field"), WRONG, ids=[f"{path} {field}" for path, _, field in WRONG]
)
def test_a_wrong_field_is_a_422_that_names_it(http, path, body, field):
    assert field in refused(http.post(path, json=body), 422)


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "\\udc00 x"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/jobs/claim", '{"worker_id": "w~", "labels": []}'),
        ("/api/jobs/claim", '{"worker_id": "w", "labels": ["~"]}'),
        ("/api/workers/register", '{"worker_id": "w~", "labels": []}'),
        ("/api/workflows", '{"name": "~", "trigger": "t", "jobs": []}'),
        ("/api/workflows", '{"name": "n", "trigger": "t", "jobs": [{"metadata": {"~": 1}}]}'),
        ("/api/jobs/x/complete", '{"outputs": {"a": "~"}}'),
        ("/api/workflows/x/runs", '{"reason": "~"}'),
        ("/api/workflows/x/runs/batch", '{"runs": [{"idempotency_key": "~"}]}'),
    ],
)
def test_text_that_cannot_be_stored_is_a_422(http, path, body, text):
    answer = http.post(path, content=body.replace("~", text), headers=JSON)
    assert answer.status_code == 422, answer.text


def test_what_a_process_printed_is_stored_whatever_it_is(http):
    """A worker that cannot report a failure because of a byte in its text would be asked again and again."""
    http.put("/api/workflows/printed", json={"jobs": {"a": {"run": "true", "labels": ["printed"]}}})
    http.post("/api/workflows/printed/run")
    lease = http.post("/api/jobs/claim", json={"worker_id": "w", "labels": ["printed"]}).json()["lease"][
        "lease_id"
    ]
    chunk = json.dumps({**CHUNK, "workflow_id": "printed"}).replace(
        '"data": ""', '"data": "a\\u0000\\ud800b\\n"'
    )
    answer = http.post(f"/api/jobs/{lease}/logs", content=f'{{"chunks": [{chunk}]}}', headers=JSON)
    assert answer.status_code == 200
    answer = http.post(f"/api/jobs/{lease}/fail", content='{"error": "\\ud83d\\u0000"}', headers=JSON)
    assert answer.status_code == 200

    assert http.get("/api/workflows/printed/jobs/a/logs").json()[0]["data"] == "a\ufffd\ufffdb\n"
    assert http.get("/api/workflows/printed/status").json()["jobs"][0]["output"] == "\ufffd\ufffd"


@pytest.mark.parametrize(
    "body",
    [
        '{"worker_id": "w", "labels": [], "worker_id": "v"}',
        '{"worker_id": "w", "labels": [], "ignored": {"a": 1, "b": 2, "a": 3}}',
    ],
)
def test_a_key_that_occurs_twice_is_a_422(http, body):
    assert "occurs twice" in refused(http.post("/api/jobs/claim", content=body, headers=JSON), 422)


def test_unknown_fields_are_ignored(http):
    body = {**CLAIM, "unknown": {"a": [None]}, "Labels": 1}
    assert http.post("/api/jobs/claim", json=body).status_code == 200


@pytest.mark.parametrize("depth", [200, 250, 300, 900, 960, 990])
def test_nested_values_are_stored_or_refused(http, depth):
    job = {
        "id": "a",
        "name": "A",
        "status": "queued",
        "command": "true",
        "depends_on": [],
        "metadata": {"a": 7},
    }
    body = json.dumps({**NEW, "jobs": [job]}).replace("7", "[" * depth + "]" * depth)
    answer = http.post("/api/workflows", content=body, headers=JSON)
    assert answer.status_code == 201 or (depth > 200 and answer.status_code in (400, 422)), answer.text[:300]


@pytest.mark.parametrize(
    ("number", "statuses"), [("9" * 400, (201, 422)), ("1e400", (422,)), ("-0.0", (201,))]
)
def test_numbers_of_any_size_are_stored_or_refused(http, number, statuses):
    job = {
        "id": "a",
        "name": "A",
        "status": "queued",
        "command": "true",
        "depends_on": [],
        "metadata": {"a": 7},
    }
    body = json.dumps({**NEW, "jobs": [job]}).replace("7", number)
    assert http.post("/api/workflows", content=body, headers=JSON).status_code in statuses
    for path in ("/api/workflows/x/run", "/api/workflows/x/runs"):
        answer = http.post(path, content=f'{{"inputs": {{"a": {number}}}}}', headers=JSON)
        assert answer.status_code in (404, 422)


def test_many_mistakes_are_told_by_the_first(http):
    answer = http.post("/api/jobs/claim", json={"worker_id": "w", "labels": [1] * 300_000})
    assert refused(answer, 422) == "labels.0: Input should be a valid string"
    answer = http.post("/api/jobs/x/complete", json={"outputs": {f"a{n}": n for n in range(20_000)}})
    assert len(refused(answer, 422)) <= 1000


# --- workflow files ---


@pytest.mark.parametrize(
    ("body", "media", "status", "message"),
    [
        (b"{}", None, 415, "unsupported_media_type"),
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b"", "application/json", 400, "invalid_json"),
        (b"", "application/yaml", 400, "invalid_yaml"),
        (b"a: [", "application/yaml", 400, "invalid_yaml"),
        (b"\xff", "application/yaml", 400, "invalid_yaml"),
        (b"a: 1\na: 2", "application/yaml", 400, "invalid_yaml"),
        (b"{", "application/json", 400, "invalid_json"),
        (DEEP, "application/json", 400, "invalid_json"),
        (DEEP[:150], "application/yaml", 400, "invalid_yaml"),
        (b'{"jobs": {"\\ud800": {"run": "x"}}}', "application/json", 400, "invalid_json"),
        (b"[]", "application/json", 422, "invalid_workflow"),
        (b"jobs: 1", "application/yaml", 422, "invalid_workflow"),
        (LARGE, "application/yaml", 413, "body_too_large"),
    ],
)
def test_a_bad_file_is_refused(http, body, media, status, message):
    headers = {} if media is None else {"content-type": media}
    refused(http.put("/api/workflows/x", content=body, headers=headers), status, message)
    if status != 422:
        refused(http.post("/api/workflows/validate", content=body, headers=headers), status, message)


def test_a_workflow_cannot_take_the_id_of_a_run(http):
    run_id = "01943a5c-0000-7000-8000-000000000000"
    refused(http.put(f"/api/workflows/{run_id}", json={"jobs": {"a": {"run": "x"}}}), 422)


# --- queries ---


@pytest.mark.parametrize(
    "query",
    [
        *[f"/api/workflows?limit={value}" for value in ("abc", "-1", "", "1.5", "true")],
        *[f"/api/workflows?offset={value}" for value in ("-1", "", str(2**31), "x")],
        "/api/workflows?limit=1&limit=1",
        "/api/workflows?status=queued&status=running",
        "/api/workflows/x?version=0",
        "/api/workflows/x?version=one",
        f"/api/workflows/x?version={10**20}",
        *[f"/api/runs?limit={value}" for value in ("0", "-1", "x")],
        "/api/runs?state=paused",
        "/api/runs?state=",
        "/api/runs?state=queued&state=queued",
        "/api/runs?state=null",
        "/api/runs?created_from_ms=null",
        "/api/runs?created_to_ms=NULL",
        f"/api/runs?created_from_ms={2**63}",
        "/api/jobs?state=null",
        "/api/workflows/x?version=null",
        "/api/runs/x/jobs/y/logs?limit=0",
    ],
)
def test_a_bad_query_is_a_400_that_names_it(http, query):
    name = query.partition("?")[2].partition("=")[0]
    assert name in refused(http.get(query), 400)


@pytest.mark.parametrize("query", ["limit=%ff", "label=%ed%a0%80", "%ff=1", "workflow_id=a%c0%afb"])
def test_a_query_that_is_not_utf_8_is_a_400(http, query):
    for path in ("/api/runs", "/rest/v1/rpc/wfg_list_runs", "/health"):
        assert refused(http.get(f"{path}?{query}"), 400) == "the query is not UTF-8"


@pytest.mark.parametrize("name", ["workflow_id", "label", "started_by"])
def test_null_is_a_text_like_any_other(http, name):
    assert http.get(f"/api/runs?{name}=null").json()["items"] == []


def test_leniency_is_true_or_false(http):
    answer = http.post("/api/workflows/validate?lenient=maybe", json={})
    assert "lenient" in refused(answer, 400)


@pytest.mark.parametrize("query", ["/api/runs?cursor=x", "/api/runs?cursor=", "/api/runs?workflow_id=%00"])
def test_what_only_the_engine_can_judge_is_a_422(http, query):
    refused(http.get(query), 422)


def test_a_bad_cursor_of_a_log_is_a_422(http):
    http.put("/api/workflows/cursor", json={"jobs": {"a": {"run": "true"}}})
    run = http.post("/api/workflows/cursor/runs", json={}).json()["run_id"]
    refused(http.get(f"/api/runs/{run}/jobs/a/logs?cursor=x"), 422)


# --- paths and methods ---


@pytest.mark.parametrize("path", ["/api/workers/%FF/heartbeat", "/api/workers/%ED%A0%80/heartbeat"])
def test_a_path_that_is_not_utf_8_is_a_400(http, path):
    refused(http.post(path), 400)


def test_nul_in_a_path_is_a_422(http):
    refused(http.post("/api/workers/a%00b/heartbeat"), 422)
    refused(http.post("/api/jobs/a%00b/heartbeat"), 422)
    refused(http.get("/api/workflows/a%00b/status"), 422)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "TRACE"])
@pytest.mark.parametrize(
    "path",
    ["/assets", "/index.html", "/nothing", "/api", "/api/workflows/", "/api/workflows//status",
     "//api/workflows", "/api/runs/x/", "/.env", "/api/../pyproject.toml", "/%2e%2e/pyproject.toml",
     "/schema/nothing", "/schema/../app", "/app/main.py"],
)  # fmt: skip
def test_an_unknown_path_is_a_404(http, method, path):
    refused(http.request(method, path), 404, "not_found")


def test_a_wrong_method_is_a_405_that_says_which_are_right(http):
    paths = {}
    for path, methods in http.witness.document["paths"].items():
        shape = path.replace("{wf_id}", "x").replace("{workflow_id}", "x").replace("{", "").replace("}", "")
        paths.setdefault(shape, set()).update(method.upper() for method in methods)
    words = {"/api/workflows/sample", "/api/workflows/validate", "/api/workers/register"}  # ids, but for POST
    for path in [*words, *(path for path in paths if path.startswith("/rest/"))]:
        del paths[path]
    for path, allowed in paths.items():
        for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "TRACE"} - allowed:
            answer = http.request(method, path)
            refused(answer, 405, "method_not_allowed")
            expected = allowed | ({"HEAD"} if "GET" in allowed else set()) | {"OPTIONS"}
            assert {each.strip() for each in answer.headers["allow"].split(",")} == expected, path


# --- what goes wrong beneath ---


def test_a_bug_is_a_500_of_which_only_the_log_tells(http, caplog):
    """An application that was not started has nothing to call functions with: that is a bug, if any is."""
    app = create_app(Settings.read({}, database_url="postgresql://nowhere"))

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://x") as client:
            return await client.get("/api/workers", headers={"origin": "https://a.example"})

    with caplog.at_level(logging.ERROR):
        answer = asyncio.run(ask())
    assert refused(answer, 500, "internal_error") is None
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "AttributeError" not in answer.text
    (record,) = (each for each in caplog.records if each.name == "wfg.calls")
    assert record.exc_info is not None
    assert "/api/workers" in record.getMessage()


def test_a_database_that_is_not_there_is_a_503():
    with serving("postgresql://postgres@127.0.0.1:1/none") as client:
        answer = client.get("/ready")
        refused_with = (answer.status_code, list(answer.json()), answer.headers["retry-after"])
        assert refused_with == (503, ERROR, "1")
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize("length", ["10", "9999"])
def test_a_body_of_another_length_than_announced_harms_nobody(http, length):
    with socket.create_connection((http.base_url.host, http.base_url.port)) as raw:
        head = f"POST /api/jobs/claim HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n"
        raw.sendall(f"{head}content-type: application/json\r\n\r\n{json.dumps(CLAIM)}".encode())
        raw.shutdown(socket.SHUT_WR)
        raw.settimeout(10)
        first = raw.recv(100)
        assert first == b"" or first.startswith((b"HTTP/1.1 400", b"HTTP/1.1 500"))
    assert http.get("/health").status_code == 200
