"""supabase/functions/workflow-api and proxy, in the real Deno: who is let in, and to what."""

import asyncio
import base64
import hmac
import json
import socket
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import httpx
import psycopg
import pytest
from wfg.http_transport import HttpTransport
from wfg.worker import Worker

from tests.arrange import NO_RUN, only
from tests.edge import SERVICE_KEY, functions, needs_deno
from tests.engine import Engine
from tests.serving import serving
from tests.test_tokens import make_token
from tests.workers import TIMEOUT, log_of, until

pytestmark = needs_deno

SECRET = "a secret that the project signs with"
NEVER = 4102444800  # 2100

# A key pair whose private half nobody kept: what it signed, and what another one signed under its name.
JWKS = (
    '{"keys":[{"kty":"EC","crv":"P-256","x":"ICxXn6EoNTuutR9FcMSdQLfrKxcDskTTALEHYlemk4g",'
    '"y":"1FedWH3-mkKhJAny6W7aIo7FNE-SfcGfn9svxgltpUo","kid":"1","alg":"ES256","use":"sig"}]}'
)
HEAD = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.eyJyb2xlIjoid2ZnX3dvcmtlciIsImV4cCI6NDEwMjQ0NDgwMH0."
SIGNED = HEAD + "YULrlFFamYdeqleFZTRiSpx0Q2N_2Gt0mhzmubbV5CakaTRq1rj12swRqJ53fbCcTKC1s3M-7zLwrXt706ljIg"
FORGED = HEAD + "xwfyi3KEufpeyKH4DiutEkdGvPBWjHrSr6MKuR09WDU-K5HbsdN8UPU909IU2crEXX-mMHn2X73T5d6_fUENng"

CLAIM = {"worker_id": "w", "labels": ["nobody-s"]}


def jwt(key: str = SECRET, alg: str = "HS256", **claims: object) -> str:
    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).decode().rstrip("=")

    text = f"{part(json.dumps({'alg': alg}).encode())}.{part(json.dumps(claims).encode())}"
    signature = b"" if alg == "none" else hmac.digest(key.encode(), text.encode(), "sha256")
    return f"{text}.{part(signature)}"


def nothing_secret(response: httpx.Response) -> None:
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        return
    assert SERVICE_KEY not in response.read().decode() + str(response.headers)
    if response.status_code >= 400:
        assert list(response.json()) == ["code", "message", "details", "hint"]
        assert response.headers["content-type"] == "application/json"


@pytest.fixture(scope="module")
def world(new_database, template, tmp_path_factory):
    """A database with a token of each scope, the server, and the functions before it."""
    dsn = new_database(template)
    engine = Engine(dsn)
    tokens = {scope: make_token(engine, scope, scope) for scope in ("worker", "operator", "reader")}
    with (
        serving(dsn, api_token=SERVICE_KEY) as server,
        functions(
            tmp_path_factory.mktemp("edge"),
            *("workflow-api", "proxy"),
            url=server.base_url,
            WORKFLOW_API_URL=str(server.base_url),
            WFG_JWT_SECRET=SECRET,
            SUPABASE_JWKS=JWKS,
            SUPABASE_SECRET_KEYS="{}",
        ) as edge,
    ):
        edge.event_hooks = {"response": [nothing_secret]}
        edge.headers["authorization"] = server.headers["authorization"] = f"Bearer {tokens['operator']}"
        yield SimpleNamespace(engine=engine, server=server, edge=edge, tokens=tokens, dsn=dsn)
    engine.check()
    engine.close()


def told(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["message"]


# --- the protocol ---


def test_a_job_by_the_short_paths(world):
    """Those of the seed, below the function's name or not: as hosted, or behind a gateway."""
    world.engine.put("short", jobs=only("a", "b", "c", labels=["api"]))
    mine = {"worker_id": "w", "labels": ["api"]}

    def post(path: str, body: dict[str, Any]) -> Any:
        response = ask(world.edge, "POST", path, body)
        assert response.is_success, response.text
        assert response.headers["content-type"] == "application/json"
        return response.json()

    started = post("/start", {"workflow_id": "short", "inputs": {}, "idempotency_key": "k"})
    run = started["run_id"]
    again = world.edge.post("/start", json={"workflow_id": "short", "idempotency_key": "k"})
    assert (again.status_code, again.json()) == (200, {**started, "created": False})

    first = post("/workflow-api/claim", {**mine, "lease_ttl_secs": 60})
    lease = {"lease_id": first["lease"]["lease_id"]}
    assert first["lease"]["ttl_secs"] == 60
    assert post("/functions/v1/workflow-api/heartbeat", lease)["stop"] is None
    ids = {"workflow_id": run, "job_id": "a", "sequence": 0, "timestamp_ms": 1, "stream": "stdout"}
    assert post("/logs", {**lease, "chunks": [{**ids, "data": "ok \0 \ud800\n"}]})["accepted"] == 1
    assert log_of(world.engine, run) == "ok \ufffd \ufffd\n"
    assert world.edge.get("/cancelled", params={"workflow_id": run, "job_id": "a"}).json() is False
    assert post("/release", lease) == {"job": "queued", "run": "queued"}

    claims = post("/claim-many", {**mine, "limit": 5})
    leases = {claim["job"]["job_id"]: claim["lease"]["lease_id"] for claim in claims}
    assert post("/complete", {"lease_id": leases["a"], "outputs": {"x": "y"}})["job"] == "success"
    assert post("/fail", {"lease_id": leases["b"], "error": "boom", "retryable": True})["job"] == "failure"
    report = {"lease_id": leases["c"], "outcome": "success"}
    assert post("/report-many", {"reports": [report]})[0]["ok"]
    assert world.edge.get("/run", params={"run_id": run}).json()["state"] == "failure"
    assert world.edge.get("/status", params={"workflow_id": run}).json()["jobs"][0]["status"] == "success"
    assert told(world.edge.post("/complete", json={"lease_id": leases["a"]})) == (409, "already_reported")
    assert told(world.edge.post("/complete", json={"lease_id": "x"})) == (409, "lease_not_held")


def big(size: int) -> dict[str, Any]:
    return {"worker_id": "w" * size, "labels": []}


ASKED: list[tuple[str, str, Any]] = [
    ("POST", "/api/jobs/claim", CLAIM),
    ("POST", "/api/jobs/claim", {**CLAIM, "lease_ttl_secs": None, "more": 1}),
    ("POST", "/api/jobs/claim", {**CLAIM, "lease_ttl_secs": 0}),
    ("POST", "/api/jobs/claim", {**CLAIM, "labels": [1]}),
    ("POST", "/api/jobs/claim", {**CLAIM, "labels": {}}),
    ("POST", "/api/jobs/claim", {**CLAIM, "lease_ttl_secs": 1.5}),
    ("POST", "/api/jobs/claim", {**CLAIM, "lease_ttl_secs": 10**20}),
    ("POST", "/api/jobs/claim", {**CLAIM, "lease_ttl_secs": "30"}),
    ("POST", "/api/jobs/claim", {"labels": []}),
    ("POST", "/api/jobs/claim", {"worker_id": None, "labels": []}),
    ("POST", "/api/jobs/claim", {"worker_id": "\0", "labels": []}),
    ("POST", "/api/jobs/claim", {"worker_id": "", "labels": []}),
    ("POST", "/api/jobs/claim", big(300)),
    ("POST", "/api/jobs/claim", big(2_200_000)),
    ("POST", "/api/jobs/claim", []),
    ("POST", "/api/jobs/claim", "x"),
    ("POST", "/api/jobs/claim", b""),
    ("POST", "/api/jobs/claim", b"{"),
    ("POST", "/api/jobs/claim", b'{"worker_id": "\xff"}'),
    ("POST", "/api/jobs/claim", b'{"worker_id": NaN}'),
    ("POST", "/api/jobs/claim", b"[" * 100_000),
    ("GET", "/api/jobs/claim", None),
    ("PUT", "/api/jobs/claim", CLAIM),
    ("POST", "/api/jobs/claim-many", CLAIM),
    ("POST", "/api/jobs/claim-many", {**CLAIM, "limit": 0}),
    ("POST", "/api/jobs/claim-many", {**CLAIM, "limit": 3}),
    ("POST", "/api/jobs/x/complete", {}),
    ("POST", "/api/jobs/x/complete", {"outputs": {"a": 1}}),
    ("POST", "/api/jobs/x/complete", {"outputs": []}),
    ("POST", "/api/jobs/x/fail", {"error": "x"}),
    ("POST", "/api/jobs/x/fail", {}),
    ("POST", "/api/jobs/x/fail", {"error": "x", "retryable": "yes"}),
    ("POST", "/api/jobs/x/heartbeat", None),
    ("POST", "/api/jobs/a%2Fb%20%C3%9F/release", None),
    ("POST", "/api/jobs/x/logs", {"chunks": []}),
    ("POST", "/api/jobs/x/logs", {"chunks": [{"data": 1}]}),
    ("POST", "/api/jobs/report-many", {"reports": [{"lease_id": "x", "outcome": "success"}]}),
    ("POST", "/api/jobs/report-many", {"reports": [{"lease_id": "x", "outcome": "failure"}]}),
    ("POST", "/api/jobs/report-many", {"reports": [], "strict": True}),
    ("GET", "/api/jobs/x/y/cancelled", None),
    ("GET", "/api/workflows/x/status", None),
    ("GET", f"/api/runs/{NO_RUN}", None),
    ("POST", "/api/workflows/x/runs", {}),
    ("POST", "/api/workflows/x/runs", {"start_at": "2030-01-01T00:00:00"}),
    ("POST", "/api/workflows/x/runs", {"start_at": "2030-13-01T00:00:00Z"}),
    ("POST", "/api/workers/register", {"worker_id": "w", "labels": ["api"]}),
    ("POST", "/api/workers/w/heartbeat", None),
    ("DELETE", "/api/workers/nobody", None),
    ("POST", "/api/workers/nobody/heartbeat", None),
    ("GET", "/api/nothing", None),
    ("GET", "/api/jobs/%ff/y/cancelled/", None),
]


def ask(client: httpx.Client, method: str, path: str, body: Any) -> httpx.Response:
    headers = {"content-type": "application/json"}
    if body is None:
        return client.request(method, path)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.request(method, path, content=content, headers=headers)


def test_the_paths_of_the_server_are_answered_as_by_the_server(world):
    """Status, code and slug; of a success, and of what SQL refuses, every character."""
    for method, path, body in ASKED:
        ours, theirs = (ask(client, method, path, body) for client in (world.edge, world.server))
        case = (method, path, str(body)[:60])
        assert ours.status_code == theirs.status_code, (case, ours.text, theirs.text)
        allow, allow_there = (each.headers.get("allow", "").split(", ") for each in (ours, theirs))
        assert set(allow) == set(allow_there), case
        if ours.is_success:
            assert ours.text == theirs.text, case
            continue
        for field in ("code", "message"):
            assert ours.json()[field] == theirs.json()[field], (case, ours.text, theirs.text)
        if ours.status_code in (404, 409) and ours.json()["message"] != "not_found":
            assert ours.text == theirs.text, case
        assert case[1] != "/api/jobs/claim" or theirs.status_code != 500


def test_numbers_pass_as_they_were_written(world):
    """JavaScript has none beyond 2^53; inputs and claims may have."""
    numbers = '{"n": 12345678901234567890123, "small": 0.10, "list": [9007199254740993]}'
    inputs = {"n": {"type": "number"}, "small": {"type": "number"}}
    world.engine.put("numbers", inputs=inputs, jobs=only("a", labels=["numbers"]))
    body = '{"inputs": {"n": 12345678901234567890123, "small": 0.10}}'
    assert ask(world.edge, "POST", "/api/workflows/numbers/runs", body.encode()).status_code == 201, numbers

    claim = ask(world.edge, "POST", "/claim", {"worker_id": "w", "labels": ["numbers"]})
    assert '"n": 12345678901234567890123' in claim.text
    assert '"small": 0.10' in claim.text
    ask(world.edge, "POST", f"/api/jobs/{claim.json()['lease']['lease_id']}/complete", {})


def test_our_worker_works_through_the_function(world):
    world.engine.put("py", jobs={"a": {"run": "echo ::set-output x=$((6 * 7))", "labels": ["py"]}})
    run = world.engine.start("py")

    async def story():
        worker = Worker(labels=["py"], poll_secs=0.05)
        url = f"{world.edge.base_url}/workflow-api"
        async with HttpTransport(url, world.tokens["worker"]) as transport:
            task = asyncio.create_task(worker.run(transport))
            await until(lambda: world.engine.state(run) == "success")
            worker.stop()
            await asyncio.wait_for(task, TIMEOUT)

    asyncio.run(story())
    assert world.engine.call("wfg_get_outputs", p_run_id=run, p_job_id="a") == {"x": "42"}
    assert "set-output" in log_of(world.engine, run)


# --- who is let in ---


@pytest.mark.parametrize("header", ["authorization", "apikey"])
def test_who_may_do_what(world, header):
    expired, revoked = (make_token(world.engine, f"{name} {header}", "worker") for name in ("old", "gone"))
    with psycopg.connect(world.dsn) as connection:
        connection.execute(
            "update wfg.tokens set created_at = 'epoch', expires_at = '2000-01-01' where name = %s",
            [f"old {header}"],
        )
    world.engine.call("wfg_revoke_token", p_name=f"gone {header}")
    good, no, unknown = (200, None), (403, "scope_missing"), (401, "token_invalid")
    # what comes of a claim, of a status that is not there
    cases: dict[str, tuple[str, tuple[int, Any], tuple[int, Any]]] = {
        "service key": (SERVICE_KEY, good, (404, "run_not_found")),
        "worker": (world.tokens["worker"], good, no),
        "operator": (world.tokens["operator"], good, (404, "run_not_found")),
        "reader": (world.tokens["reader"], no, (404, "run_not_found")),
        "expired": (expired, unknown, unknown),
        "revoked": (revoked, unknown, unknown),
        "nearly the service key": (SERVICE_KEY[:-1], unknown, unknown),
        "its hash": (sha256(world.tokens["operator"].encode()).hexdigest(), unknown, unknown),
        "SQL": ("'or'1'='1", unknown, unknown),
        "long": ("x" * 8000, unknown, unknown),
        "JWT service_role": (jwt(role="service_role", exp=NEVER), good, (404, "run_not_found")),
        "JWT wfg_worker": (jwt(role="wfg_worker", exp=NEVER), good, no),
        "JWT wfg_reader": (jwt(role="wfg_reader", exp=NEVER), no, (404, "run_not_found")),
        "JWT anon": (jwt(role="anon", exp=NEVER), no, no),
        "JWT authenticated": (jwt(role="authenticated", exp=NEVER), no, no),
        "JWT postgres": (jwt(role="postgres", exp=NEVER), no, no),
        "JWT constructor": (jwt(role="constructor", exp=NEVER), no, no),
        "JWT without a role": (jwt(exp=NEVER), no, no),
        "JWT expired": (jwt(role="service_role", exp=1), unknown, unknown),
        "JWT for ever": (jwt(role="service_role"), unknown, unknown),
        "JWT not yet": (jwt(role="service_role", exp=NEVER, nbf=NEVER - 1), unknown, unknown),
        "JWT of another": (jwt("another", role="service_role", exp=NEVER), unknown, unknown),
        "JWT unsigned": (jwt(alg="none", role="service_role", exp=NEVER), unknown, unknown),
        "JWT signed with the public key": (jwt(JWKS, role="service_role", exp=NEVER), unknown, unknown),
        "JWT that names the other way": (jwt(alg="ES256", role="wfg_worker", exp=NEVER), unknown, unknown),
        "JWT ES256": (SIGNED, good, no),
        "JWT ES256 forged": (FORGED, unknown, unknown),
        "JWT that is none": ("eyJ.x.y", unknown, unknown),
    }
    del world.edge.headers["authorization"]
    try:
        for name, (token, *expected) in cases.items():
            headers = {header: f"Bearer {token}" if header == "authorization" else token}
            claim = world.edge.post("/claim", json={"worker_id": "w", "labels": ["none"]}, headers=headers)
            status = world.edge.get(f"/api/runs/{NO_RUN}", headers=headers)
            answers = [
                (each.status_code, each.json()["message"] if each.status_code >= 400 else None)
                for each in (claim, status)
            ]
            assert answers == expected, name
        for nobody in ({}, {"authorization": "Bearer"}, {"authorization": "Basic eDp5"}, {"apikey": ""}):
            refused = world.edge.post("/claim", json=CLAIM, headers=nobody)
            assert told(refused) == (401, "token_missing"), nobody
            assert refused.headers["www-authenticate"] == "Bearer"
    finally:
        world.edge.headers["authorization"] = f"Bearer {world.tokens['operator']}"


EARLIER = [
    (400, "invalid_request"),  # the path is not UTF-8
    (401, "token_missing"),
    (404, "not_found"),
    (405, "method_not_allowed"),
]


def test_nothing_of_a_stranger_is_read(world):
    """Neither whether the body is right nor what is asked for can be found out without a right."""
    for method, path, body in ASKED:
        response = world.edge.request(
            method,
            path,
            content=json.dumps(body) if isinstance(body, dict) else b"{",
            headers={"authorization": "x"},
        )
        assert told(response) in EARLIER, path


def test_the_database_never_sees_a_token(world):
    """pg_stat_activity keeps the last statement of a session."""
    rows = world.engine.query("select query from pg_stat_activity where query like '%authorize%'")
    assert not any(token in row["query"] for token in world.tokens.values() for row in rows)
    assert any(token["last_used_at_ms"] for token in world.engine.call("wfg_list_tokens"))


# --- hostile requests ---


NO_PATHS = [
    *("/rest/v1/rpc/wfg_reap", "/rpc/wfg_create_token", "/constructor"),
    *("/__proto__", "/workflow-api/workflow-api/claim", "/x" * 4000, "/api/jobs/a/b/c/cancelled"),
]


def test_no_other_path(world):
    for path in NO_PATHS:
        assert told(world.edge.post(path, json=CLAIM)) == (404, "not_found"), path


def test_a_name_of_javascript_is_no_field(world):
    body = {**CLAIM, "__proto__": {"limit": 1}, "constructor": 1, "labels": []}
    del body["labels"]
    response = world.edge.post(
        "/claim", content=json.dumps(body), headers={"content-type": "application/json"}
    )
    assert response.json()["details"] == "labels: is missing"
    assert told(world.edge.get("/cancelled?workflow_id=a&job_id=b&job_id=c")) == (400, "invalid_request")
    assert told(world.edge.get("/cancelled?__proto__=a")) == (422, "invalid_request")


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"]
)
def test_a_body_must_say_that_it_is_json(world, kind):
    headers = {"content-type": kind} if kind else {}
    response = world.edge.post("/claim", content=json.dumps(CLAIM).encode(), headers=headers)
    assert told(response) == (415, "unsupported_media_type")


def test_a_body_that_is_too_large_is_taken_and_not_kept(world):
    """An answer comes even so: Supabase's runtime sends none while a body is under way."""

    def flood():
        for _ in range(100):
            yield b" " * 65536

    headers = {"content-type": "application/json"}
    assert told(world.edge.post("/claim", content=flood(), headers=headers)) == (413, "body_too_large")
    headers["authorization"] = "Bearer x"
    assert told(world.edge.post("/claim", content=flood(), headers=headers)) == (401, "token_invalid")
    assert told(world.edge.post("/nothing", content=flood(), headers=headers)) == (404, "not_found")


def test_browsers_may_call(world):
    asked = {"origin": "https://x.example", "access-control-request-headers": "authorization,content-type"}
    preflight = world.edge.options("/workflow-api/claim", headers=asked)
    assert (preflight.status_code, preflight.content) == (204, b"")
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert preflight.headers["access-control-allow-headers"] == "authorization,content-type"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    for path in ("/claim", "/nothing"):
        assert world.edge.get(path, headers=asked).headers["access-control-allow-origin"] == "*"


# --- surroundings that are wrong ---


def test_surroundings_that_are_wrong(world, tmp_path, new_database):
    """The engine is away, is not installed, refuses our key; CORS names origins."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        away = f"http://127.0.0.1:{free.getsockname()[1]}"
    headers = {"authorization": f"Bearer {SERVICE_KEY}", "origin": "https://x.example"}
    origins = {"CORS_ORIGINS": "https://a.example, https://x.example"}
    with functions(tmp_path / "away", "workflow-api", url=away, **origins) as edge:
        refused = edge.post("/claim", json=CLAIM, headers=headers)
        assert told(refused) == (503, "unavailable")
        assert away not in refused.text
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["access-control-allow-origin"] == "https://x.example"
        assert told(edge.post("/claim", json=CLAIM, headers={"authorization": SIGNED})) == (
            401,
            "token_missing",
        )
        unasked = edge.post("/claim", json=CLAIM, headers={**headers, "origin": "https://b.example"})
        assert "access-control-allow-origin" not in unasked.headers

    with (
        serving(new_database(), api_token=SERVICE_KEY) as server,
        functions(
            tmp_path / "empty",
            "workflow-api",
            "proxy",
            url=server.base_url,
            SUPABASE_SECRET_KEYS='{"default": "x',
        ) as edge,
    ):
        assert told(edge.post("/claim", json=CLAIM, headers=headers)) == (500, "not_configured")
        assert told(edge.get("/proxy/x", headers=headers)) == (500, "not_configured")


@pytest.mark.nightly
def test_a_database_without_wfg_says_so(tmp_path, new_database):
    with (
        serving(new_database(), api_token=SERVICE_KEY) as server,
        functions(tmp_path, "workflow-api", url=server.base_url) as edge,
    ):
        refused = edge.post("/claim", json=CLAIM, headers={"apikey": SERVICE_KEY})
        assert told(refused) == (500, "not_installed")


# --- the proxy ---


def test_the_proxy_passes_on_what_it_gets(world):
    for method, path, body in ASKED[::3]:
        ours = ask(world.edge, method, f"/proxy{path}", body)
        theirs = ask(world.server, method, path, body)
        assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content), path
        assert ours.headers["content-type"] == theirs.headers["content-type"]
    assert world.edge.get("/functions/v1/proxy/api/runs?limit=1").json().keys() == {"items", "next_cursor"}
    assert told(world.edge.get("/proxy/api/runs", headers={"authorization": "x"})) == (401, "token_missing")


def test_the_proxy_streams(world):
    """The first event comes while the run still waits; hanging up ends it upstream."""
    world.engine.put("stream", jobs=only("a", labels=["nobody"]))
    run = world.engine.start("stream")
    with world.edge.stream("GET", f"/proxy/api/runs/{run}/stream") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert any(line.startswith("data:") for line in response.iter_lines())
    world.engine.call("wfg_cancel_run", p_run_id=run)


@pytest.fixture
def listening():
    """A server that says what is written into it, and nothing until then."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT)
        yield server


def test_the_proxy_adds_nothing_and_keeps_what_is_ours(world, listening, tmp_path):
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/base/"
    with functions(
        tmp_path, "proxy", url="http://x.invalid", WORKFLOW_API_URL=url, PROXY_TIMEOUT_SECS="0.3"
    ) as edge:
        headers = {"cookie": "session=1", "connection": "x-hop", "x-hop": "1", "x-kept": "1"}
        silent = edge.get("/proxy/a%2Fb?c=d%20e", headers=headers)
        assert told(silent) == (504, "upstream_timeout")
        with listening.accept()[0] as connection:
            asked = connection.recv(65536).decode().lower()
        assert asked.startswith("get /base/a%2fb?c=d%20e http/1.1")
        assert "x-kept: 1" in asked
        for ours in ("session=1", "x-hop: 1", SERVICE_KEY.lower(), "apikey", "authorization"):
            assert ours not in asked

        listening.close()
        unreachable = edge.post("/proxy/x", json={})
        assert told(unreachable) == (502, "upstream_unreachable")
        assert url not in unreachable.text


@pytest.mark.nightly
def test_an_engine_that_has_too_many_requests_is_waited_for(new_database, template, tmp_path):
    with (
        serving(new_database(template), api_token=SERVICE_KEY, requests_per_sec=2) as server,
        functions(tmp_path, "workflow-api", url=server.base_url) as edge,
    ):
        edge.headers["authorization"] = f"Bearer {SERVICE_KEY}"
        answers = [edge.post("/claim", json=CLAIM) for _ in range(6)]
        assert [each.status_code for each in answers] == [200] * 6
        told = (server.get("/metrics", headers={"apikey": SERVICE_KEY}) for _ in range(100_000))
        text = next(each.text for each in told if each.status_code == 200)
        assert 'route="/rest/v1/rpc/{function}",status="200"' in text
        assert 'wfg_server_requests_refused_total{limit="rate"}' in text
