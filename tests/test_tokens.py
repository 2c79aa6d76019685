"""Tokens: who is let in, and to what; for the others nothing happens, and nobody sees a token."""

import asyncio
import hmac
import json
import logging
import re
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from typing import Any

import httpx
import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr
from wfg.cli import main
from wfg.db import Credential, Database, query_of
from wfg.errors import EngineError
from wfg.revisions import SQL
from wfg.streams import Streams
from wfg.tokens import Gate, bearer_of, has_tokens, new_token

from tests.engine import Engine
from tests.serving import serving
from tests.test_grants import MAY, OWNER_ONLY

SCOPES = ("worker", "operator", "reader")
REFUSED = {401, 403}

# A way to each function; what it is asked for does not exist.
ROUTES: dict[str, tuple[str, str, Any]] = {
    "wfg_append_logs": ("POST", "/api/jobs/x/logs", {"chunks": []}),
    "wfg_cancel_job": ("POST", "/api/runs/x/jobs/x/cancel", None),
    "wfg_cancel_run": ("POST", "/api/workflows/x/cancel", None),
    "wfg_claim_job": ("POST", "/api/jobs/claim", {"worker_id": "w", "labels": []}),
    "wfg_claim_jobs": ("POST", "/api/jobs/claim-many", {"worker_id": "w", "labels": [], "limit": 1}),
    "wfg_complete_job": ("POST", "/api/jobs/x/complete", {}),
    "wfg_create_sample_workflow": ("POST", "/api/workflows/sample", None),
    "wfg_create_workflow": ("POST", "/api/workflows", {"name": "n", "trigger": "t", "jobs": []}),
    "wfg_delete_workflow": ("DELETE", "/api/workflows/x", None),
    "wfg_deregister_worker": ("DELETE", "/api/workers/x", None),
    "wfg_fail_job": ("POST", "/api/jobs/x/fail", {"error": "boom", "retryable": False}),
    "wfg_freeze": ("POST", "/api/freeze", None),
    "wfg_get_job": ("GET", "/api/runs/x/jobs/x", None),
    "wfg_get_outputs": ("GET", "/api/runs/x/jobs/x/outputs", None),
    "wfg_get_run": ("GET", "/api/runs/x", None),
    "wfg_get_status": ("GET", "/api/workflows/x/status", None),
    "wfg_get_workflow": ("GET", "/api/workflows/x", None),
    "wfg_heartbeat_worker": ("POST", "/api/workers/x/heartbeat", None),
    "wfg_is_cancelled": ("GET", "/api/jobs/x/x/cancelled", None),
    "wfg_list_attempts": ("GET", "/api/runs/x/attempts", None),
    "wfg_list_logs": ("GET", "/api/workflows/x/jobs/x/logs", None),
    "wfg_list_jobs": ("GET", "/api/jobs", None),
    "wfg_list_outcomes": ("GET", "/api/outcomes", None),
    "wfg_list_limits": ("GET", "/api/limits", None),
    "wfg_list_queue": ("GET", "/api/queue", None),
    "wfg_list_pauses": ("GET", "/api/pauses", None),
    "wfg_list_runs": ("GET", "/api/runs", None),
    "wfg_list_workers": ("GET", "/api/workers", None),
    "wfg_list_workflows": ("GET", "/api/workflows", None),
    "wfg_pause_labels": ("POST", "/api/labels/pause", {"labels": ["x"]}),
    "wfg_pause_workflow": ("POST", "/api/workflows/x/pause", None),
    "wfg_put_workflow": ("PUT", "/api/workflows/w", {"jobs": {"a": {"run": "true"}}}),
    "wfg_register_worker": ("POST", "/api/workers/register", {"worker_id": "w", "labels": []}),
    "wfg_release_job": ("POST", "/api/jobs/x/release", None),
    "wfg_renew_lease": ("POST", "/api/jobs/x/heartbeat", None),
    "wfg_report_jobs": ("POST", "/api/jobs/report-many", {"reports": []}),
    "wfg_rerun_run": ("POST", "/api/runs/x/rerun", None),
    "wfg_resume_labels": ("POST", "/api/labels/resume", {"labels": ["x"]}),
    "wfg_resume_workflow": ("POST", "/api/workflows/x/resume", None),
    "wfg_run_workflow": ("POST", "/api/workflows/x/run", None),
    "wfg_start_run": ("POST", "/api/workflows/x/runs", {}),
    "wfg_start_runs": ("POST", "/api/workflows/x/runs/batch", {"runs": []}),
    "wfg_thaw": ("POST", "/api/thaw", None),
    "wfg_validate_workflow": ("POST", "/api/workflows/validate", {"jobs": {}}),
    "wfg_watch_runs": ("GET", "/api/runs/x/stream", None),
    "wfg_authorize": (
        "POST",
        "/rest/v1/rpc/wfg_authorize",
        {"p_function": "wfg_health", "p_scope": "worker"},
    ),
    "wfg_check": ("POST", "/rest/v1/rpc/wfg_check", {}),
    "wfg_doctor": ("GET", "/api/doctor", None),
    "wfg_schedule_cron": ("PUT", "/api/cron", None),
    "wfg_unschedule_cron": ("DELETE", "/api/cron", None),
    "wfg_list_cron": ("GET", "/api/cron", None),
    "wfg_create_token": (
        "POST",
        "/rest/v1/rpc/wfg_create_token",
        {"p_name": "x", "p_scope": "operator", "p_sha256": "0" * 64},
    ),
    "wfg_health": ("GET", "/rest/v1/rpc/wfg_health", None),
    "wfg_metrics": ("GET", "/metrics", None),
    "wfg_list_tokens": ("GET", "/rest/v1/rpc/wfg_list_tokens", None),
    "wfg_prune": ("POST", "/api/prune", None),
    "wfg_read_logs": ("GET", "/rest/v1/rpc/wfg_read_logs?p_workflow_id=x&p_job_id=x", None),
    "wfg_reap": ("POST", "/rest/v1/rpc/wfg_reap", {}),
    "wfg_revoke_token": ("POST", "/rest/v1/rpc/wfg_revoke_token", {"p_name": "x"}),
    "wfg_set_limit": ("POST", "/rest/v1/rpc/wfg_set_limit", {"p_name": "jobs_per_workflow"}),
}


@dataclass
class World:
    """A database with a token of each scope, and the server in front of it."""

    engine: Engine
    tokens: dict[str, str]
    http: httpx.Client

    def ask(
        self, route: tuple[str, str, Any], token: str | None, header: str = "authorization"
    ) -> httpx.Response:
        method, path, body = route
        headers = {} if token is None else {header: f"Bearer {token}" if header == "authorization" else token}
        return self.http.request(method, path, json=body, headers=headers)


def make_token(engine: Engine, name: str, scope: str = "operator", **params: Any) -> str:
    token = new_token()
    digest = sha256(token.encode()).hexdigest()
    engine.call("wfg_create_token", p_name=name, p_scope=scope, p_sha256=digest, **params)
    return token


@pytest.fixture(scope="module")
def world(new_database: Callable[..., str], template: str) -> Iterator[World]:
    dsn = new_database(template)
    engine = Engine(dsn)
    tokens = {scope: make_token(engine, scope, scope) for scope in SCOPES}
    with serving(dsn) as http:
        yield World(engine, tokens, http)
    engine.close()


def with_database(dsn: str, use: Callable[[Database], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        async with Database(dsn) as database:
            return await use(database)

    return asyncio.run(run())


def refusal_of(dsn: str, function: str, credential: Credential | None, /, **params: Any) -> tuple[int, str]:
    """The status and slug of a call; (200, "") when it was answered."""

    async def use(database: Database) -> tuple[int, str]:
        try:
            await database.call(function, credential, **params)
        except EngineError as error:
            return error.status, error.message
        return 200, ""

    return with_database(dsn, use)


def api(engine: Engine) -> dict[str, list[str]]:
    """The functions of the API, with their arguments."""
    rows = engine.query(
        "select proname as name, coalesce(proargnames[:pronargs], '{}') as names from pg_proc"
        " where pronamespace = 'public'::regnamespace and proname like %s",
        "wfg\\_%",
    )
    return {row["name"]: row["names"] for row in rows}


# --- who may call what ---


def test_there_is_a_way_to_every_function(world: World):
    assert set(ROUTES) == set(api(world.engine))


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_allows_by_http_what_its_role_may_call(world: World, scope: str):
    allowed = {
        function
        for function, route in ROUTES.items()
        if world.ask(route, world.tokens[scope]).status_code not in REFUSED
    }
    assert allowed == {function for function in ROUTES if MAY[f"wfg_{scope}"](function)}


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_allows_by_any_call_what_its_role_may_call(world: World, scope: str):
    """All functions there are, called with nothing but nulls."""
    functions = api(world.engine)
    credential = Credential(sha256(world.tokens[scope].encode()).digest())
    refused = set[tuple[int, str, str]]()

    async def use(database: Database) -> set[str]:
        allowed = set[str]()
        for function, names in functions.items():
            try:
                await database.call(function, credential, **dict.fromkeys(names))
            except EngineError as error:
                if error.details == f"The scope {scope} does not allow {function}.":
                    refused.add((error.status, error.code, error.message))
                    continue
            allowed.add(function)
        return allowed

    allowed = with_database(world.engine.dsn, use)
    assert allowed == {function for function in functions if MAY[f"wfg_{scope}"](function)}
    assert refused == {(403, "PT403", "scope_missing")}


def test_nobody_is_let_in_without_a_token_once_there_is_one(world: World):
    """Every route that the server describes, whoever added it; those of ROUTES with a body that is right."""
    for route in ROUTES.values():
        answer = world.ask(route, None)
        assert (answer.status_code, answer.json()["message"]) == (401, "token_missing"), route

    paths = world.http.get("/schema/openapi.json").json()["paths"]
    asked = [
        (method, path, world.http.request(method, re.sub(r"\{.*?\}", "wfg_health", path)).status_code)
        for path, methods in paths.items()
        for method in methods
        if path not in ("/health", "/ready")
    ]
    assert len(asked) >= 30
    assert [each for each in asked if each[2] not in (400, 401, 415, 422)] == []


def test_health_and_readiness_are_for_everybody_and_say_nothing_else(world: World):
    for path in ("/health", "/ready"):
        answer = world.http.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_refusal_has_the_four_fields_and_says_how_to_come_in(world: World):
    answer = world.ask(ROUTES["wfg_list_runs"], None)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json() == {
        "code": "PT401",
        "message": "token_missing",
        "details": "The request carries no token.",
        "hint": "Send the header Authorization: Bearer TOKEN.",
    }

    answer = world.ask(ROUTES["wfg_list_runs"], "wfg_wrong")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert (answer.status_code, answer.json()["message"]) == (401, "token_invalid")
    assert "www-authenticate" not in world.ask(ROUTES["wfg_put_workflow"], world.tokens["reader"]).headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer {}"},
        {"Authorization": "bearer   {}"},
        {"apikey": "{}"},
        {"apikey": "{}", "Authorization": "Bearer {}"},
        {"apikey": "{}", "Authorization": "Basic eDp5"},
        {"apikey": "other", "Authorization": "Bearer {}"},
    ],
)
def test_a_token_is_read_from_either_header(world: World, headers: dict[str, str]):
    sent = {name: value.format(world.tokens["reader"]) for name, value in headers.items()}
    assert world.http.get("/api/workers", headers=sent).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": ""}, {"authorization": "Bearer"}, {"authorization": "Bearer "}, {"apikey": " "}],
)
def test_what_holds_no_token_is_none(headers: dict[str, str]):
    assert bearer_of(headers) is None


def test_a_token_is_nothing_that_a_query_or_a_body_could_carry(world: World):
    token = world.tokens["operator"]
    for query in ({"apikey": token}, {"token": token}, {"access_token": token}):
        assert world.http.get("/api/workers", params=query).status_code == 401


def test_bytes_beyond_ascii_are_an_unknown_token(world: World):
    headers = [(b"authorization", "Bearer wfg_\u00e9\u20ac".encode())]
    assert world.http.get("/api/workers", headers=headers).status_code == 401


# --- a refused call did not happen ---


@pytest.mark.parametrize("volatility", ["volatile", "stable"])
@pytest.mark.parametrize("language", ["sql", "plpgsql"])
def test_a_refused_function_was_not_even_begun(engine: Engine, database: str, volatility: str, language: str):
    """What a sequence gave out is not taken back by a rollback."""
    token = make_token(engine, "t")
    engine.query("create sequence ran")
    body = {
        "sql": "select to_json(nextval('public.ran'))",
        "plpgsql": "begin return to_json(nextval('public.ran')); end",
    }[language]
    engine.query(
        f"create function public.wfg_spy(p_x text default null) returns json"
        f" language {language} {volatility} as $$ {body} $$"
    )
    for credential in (Credential(None), Credential(b"x" * 32), Credential(b"")):
        assert refusal_of(database, "wfg_spy", credential)[0] == 401
        assert refusal_of(database, "wfg_spy", credential, p_x="1")[0] == 401
    assert engine.query("select is_called from ran") == [{"is_called": False}]

    assert refusal_of(database, "wfg_spy", Credential(sha256(token.encode()).digest())) == (200, "")
    assert engine.query("select is_called from ran") == [{"is_called": True}]


def test_a_refused_claim_leaves_the_job_where_it_is(world: World):
    world.engine.put("refused", jobs={"a": {"run": "true", "labels": ["only here"]}})
    run_id = world.engine.start("refused")
    claim = ("POST", "/api/jobs/claim", {"worker_id": "w", "labels": ["only here"]})

    assert [world.ask(claim, token).status_code for token in (None, "wfg_x", world.tokens["reader"])] == [
        401,
        401,
        403,
    ]
    assert world.engine.jobs(run_id) == {"a": "queued"}
    assert world.ask(claim, world.tokens["worker"]).json()["job"]["run_id"] == run_id


@pytest.mark.parametrize("path", ["/api/workflows/x", "/api/workflows/validate"])
def test_a_file_is_not_even_parsed(world: World, path: str):
    """A large one takes seconds."""
    method = "POST" if path.endswith("validate") else "PUT"
    headers = {"content-type": "application/yaml", "apikey": "wfg_x"}
    assert world.http.request(method, path, content=b"a: [", headers=headers).status_code == 401
    headers["apikey"] = world.tokens["operator"]
    assert world.http.request(method, path, content=b"a: [", headers=headers).status_code == 400


def test_no_parameter_can_stand_for_a_credential(engine: Engine, database: str):
    """The names that an RPC sends are the caller's own."""
    make_token(engine, "t")
    for name in ("credential", "function", "self", "checked", "sha256", "t", "p_vouched", "a%s", "%(x)s"):
        status, message = refusal_of(database, "wfg_list_workers", Credential(None), **{name: "true"})
        assert status in (400, 401, 404), (name, status, message)


# --- when a token is good ---


def test_a_revoked_token_is_refused_at_once(engine: Engine, database: str):
    token = make_token(engine, "t")
    with serving(database) as http:
        headers = {"authorization": f"Bearer {token}"}
        assert http.get("/api/workers", headers=headers).status_code == 200
        engine.call("wfg_revoke_token", p_name="t")
        answer = http.get("/api/workers", headers=headers)
        assert (answer.status_code, answer.json()["details"]) == (401, "The token was revoked.")
        assert http.get("/api/workers").status_code == 401, "no token is left, but there was one"


@pytest.mark.parametrize("has_token", [True, False])
def test_a_stream_ends_with_its_token(engine: Engine, database: str, monkeypatch, has_token: bool):
    """Or, if it had none, when there is one. Others go on."""
    monkeypatch.setattr(Streams, "KEEP_ALIVE_SECS", 0.05)
    engine.put(jobs={"a": {"run": "true"}})
    run = engine.start()
    token = make_token(engine, "t", "reader") if has_token else ""
    ended = "token_invalid" if has_token else "token_missing"
    with serving(database, api_token="s3cret" if has_token else None) as http, ExitStack() as stack:

        def watch(path: str, token: str) -> Iterator[str]:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            return stack.enter_context(http.stream("GET", path, headers=headers)).iter_lines()

        paths = ("/api/stream", f"/api/runs/{run}/stream", f"/api/runs/{run}/jobs/a/logs/stream")
        streams = [watch(path, token) for path in paths]
        other = watch(paths[0], "s3cret") if has_token else iter([])
        for lines in streams:
            assert next(line for line in lines if line == ": alive")
        if has_token:
            engine.call("wfg_revoke_token", p_name="t")
        else:
            make_token(engine, "first")
        for lines in streams:
            *_, name, data, end = islice(lines, 400)  # else it would be alive for ever
            assert (name, end) == ("event: error", "")
            refusal = json.loads(data.removeprefix("data: "))
            assert (refusal["code"], refusal["message"]) == ("PT401", ended)
            assert set(refusal) == {"code", "message", "details", "hint"}
        if has_token:
            for _ in range(3):
                assert next(line for line in other if line) == ": alive" or True


def test_an_expired_token_is_refused(engine: Engine, database: str):
    now = datetime.now(UTC)
    engine.set_now(now - timedelta(hours=2))
    gone = make_token(engine, "gone", p_expires_at=now - timedelta(hours=1))
    good = make_token(engine, "good", p_expires_at=now + timedelta(hours=1))
    with serving(database) as http:
        assert http.get("/api/workers", headers={"apikey": good}).status_code == 200
        answer = http.get("/api/workers", headers={"apikey": gone})
        assert (answer.status_code, answer.json()["details"]) == (401, "The token has expired.")


def test_a_token_is_good_in_its_namespace_only(engine: Engine, database: str):
    token = make_token(engine, "t")
    engine.query("update wfg.tokens set namespace = 'other'")
    assert refusal_of(database, "wfg_list_workers", Credential(sha256(token.encode()).digest())) == (
        401,
        "token_invalid",
    )
    assert refusal_of(database, "wfg_list_workers", Credential(None)) == (200, ""), "here there never was one"


def authorize(engine: Engine, token: str, function: str = "wfg_health") -> None:
    engine.query("select wfg.authorize(%s, %s)", sha256(token.encode()).digest(), function)


def test_a_token_expires_to_the_instant(engine: Engine):
    engine.set_now(datetime(2030, 1, 1, tzinfo=UTC))
    token = make_token(engine, "t", p_expires_at=datetime(2030, 1, 1, 0, 1, tzinfo=UTC))
    engine.advance(59.999)
    authorize(engine, token)
    engine.advance(0.001)
    with pytest.raises(psycopg.Error, match="token_invalid"):
        authorize(engine, token)


def test_nobody_needs_a_token_while_there_never_was_one(database: str):
    with serving(database) as http:
        assert http.post("/api/workflows/sample").status_code == 201
        answer = http.get("/api/workers", headers={"apikey": "wfg_x"})
        assert (answer.status_code, answer.json()["message"]) == (401, "token_invalid"), (
            "one that is sent counts"
        )


@pytest.mark.parametrize("credential", [Credential(None), Credential(None, vouched=True)])
@pytest.mark.parametrize("function", sorted(OWNER_ONLY))
def test_those_without_a_token_cannot_make_one(database: str, credential: Credential, function: str):
    """The server may be the owner's; whoever reaches it is not."""
    params = {"p_name": "t", "p_scope": "operator", "p_sha256": "0" * 64, "p_expires_at": None}
    if function != "wfg_create_token":
        names = {"wfg_revoke_token": "t", "wfg_set_limit": "label_chars"}
        params = {"p_name": names[function]} if function in names else {}
    assert refusal_of(database, function, credential, **params) == (403, "scope_missing")
    assert refusal_of(database, function, None, **params)[0] in (200, 404), "by the command line"


def test_functions_of_others_in_schema_public_are_for_no_token(engine: Engine, database: str):
    engine.query("create function public.theirs() returns json language sql as $$ select '1'::json $$")
    assert refusal_of(database, "theirs", Credential(None, vouched=True)) == (403, "scope_missing")


# --- the bootstrap token ---


def test_the_bootstrap_token_is_demanded_though_there_is_no_other(engine: Engine, database: str):
    with serving(database, api_token=SecretStr("böot strap")) as http:

        def status(token: str | None) -> int:
            headers = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
            return http.post("/api/workflows/sample", headers=headers).status_code

        found = [status(token) for token in (None, "boot strap", "wfg_x", "böot strap")]
        assert found == [401, 401, 401, 201]
        assert http.get("/api/workers").headers["www-authenticate"] == "Bearer"

        token = make_token(engine, "t", "reader")
        assert [status(each) for each in (None, token, "böot strap")] == [401, 403, 201]
        assert http.get("/api/workers", headers={"apikey": token}).status_code == 200


def test_the_bootstrap_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch):
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or compare(a, b))
    gate = Gate(SecretStr("secret"))

    assert gate.credential({"apikey": "wrong"}) == Credential(sha256(b"wrong").digest())
    assert gate.credential({"apikey": "secret"}) == Credential(None, vouched=True)
    assert compared == [(sha256(each).digest(), sha256(b"secret").digest()) for each in (b"wrong", b"secret")]


def test_whether_requests_without_a_token_are_refused(engine: Engine, database: str):
    assert with_database(database, has_tokens) is False
    make_token(engine, "t")
    assert with_database(database, has_tokens) is True
    engine.call("wfg_revoke_token", p_name="t")
    assert with_database(database, has_tokens) is True


# --- last use ---


def last_used(engine: Engine) -> int | None:
    return engine.call("wfg_list_tokens")[0]["last_used_at_ms"]


def test_last_use_is_written_at_most_once_a_minute(engine: Engine):
    start = datetime(2030, 1, 1, tzinfo=UTC)
    engine.set_now(start)
    token = make_token(engine, "t")
    found = []
    for seconds in (0, 30, 29.999, 0.001, 59):
        engine.advance(seconds)
        authorize(engine, token)
        found.append(last_used(engine))
    first, second = (int((start + timedelta(seconds=s)).timestamp() * 1000) for s in (0, 60))
    assert found == [first, first, first, second, second]


def test_last_use_waits_for_nobody(engine: Engine, connect: Callable[[], Engine]):
    token = make_token(engine, "t")
    other = connect()
    with other.connection.transaction():
        other.query("select from wfg.tokens for update")
        engine.query("set lock_timeout = '1ms'")
        authorize(engine, token)
    assert last_used(engine) is None


def test_a_request_that_lasts_keeps_no_other_waiting(engine: Engine, connect: Callable[[], Engine]):
    token = make_token(engine, "t")
    other = connect()
    with other.connection.transaction():
        authorize(other, token)
        engine.query("set lock_timeout = '1ms'")
        authorize(engine, token)


def test_nothing_is_written_in_a_read_only_transaction(engine: Engine):
    token = make_token(engine, "t")
    with engine.connection.transaction():
        engine.query("set transaction read only")
        authorize(engine, token)
    assert last_used(engine) is None


@pytest.mark.usefixtures("database")  # of its own: it reads what Postgres counts
def test_a_token_is_found_by_its_index_on_tables_never_analyzed(engine: Engine):
    engine.query(
        "insert into wfg.tokens (namespace, name, sha256, scope, created_at)"
        " select '', n::text, sha256(n::text::bytea), 'worker', wfg.now() from generate_series(1, 5000) n"
    )
    for number in range(1, 8):
        authorize(engine, str(number))
    with engine.connection.transaction():
        authorize(engine, "8")
        (row,) = engine.query(
            "select seq_scan, seq_tup_read from pg_stat_xact_user_tables where relname = 'tokens'"
        )
    assert row == {"seq_scan": 0, "seq_tup_read": 0}


# --- nobody sees one ---


def test_hashes_are_for_the_owner(world: World):
    """Also what the planner knows of them; and no answer has one."""
    world.engine.query("analyze wfg.tokens")
    seen = "select * from pg_stats where schemaname = 'wfg' and tablename = 'tokens'"
    assert world.engine.query(seen)
    for role in MAY:
        with world.engine.connection.transaction(force_rollback=True):
            world.engine.query(sql.SQL("set local role {}").format(sql.Identifier(role)).as_string())
            assert world.engine.query(seen) == []
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                world.engine.query("select sha256 from wfg.tokens")

    listed = world.engine.call_text("wfg_list_tokens")
    for token in world.tokens.values():
        assert token not in listed
        assert sha256(token.encode()).hexdigest() not in listed


def test_a_token_is_seen_in_no_log_no_error_and_no_activity(engine: Engine, database: str, caplog):
    """Even with all logged that can be: by the server, and by Postgres, whose log the client gets here."""
    caplog.set_level(logging.DEBUG)
    token = make_token(engine, "t", "reader")
    headers = {"authorization": f"Bearer {token}", "apikey": token}
    with serving(database, api_token=SecretStr("bootstrap")) as http:
        paths = ("/api/workers", "/api/runs?limit=x", "/nothing", "/api/runs/x")
        said = [http.get(path, headers=headers).text for path in paths]
        said.append(http.post("/api/workflows/sample", headers=headers).text)
        said.append(http.put("/api/workflows/x", headers=headers, content=b"{").text)
        engine.call("wfg_revoke_token", p_name="t")
        said.append(http.get("/api/workers", headers=headers).text)
        activity = engine.query("select query from pg_stat_activity where application_name = 'wfg'")
        said += [row["query"] for row in activity]
    assert any("wfg.authorize" in text for text in said)

    logged: list[str] = []
    options = "-c log_statement=all -c log_min_duration_statement=0 -c client_min_messages=log"
    with psycopg.connect(make_conninfo(database, options=options), autocommit=True) as connection:
        connection.add_notice_handler(
            lambda notice: logged.append(f"{notice.message_primary} {notice.message_detail}")
        )
        query = query_of("wfg_list_workers", (), checked=True)
        credential = Gate(None).credential({"apikey": token})
        with pytest.raises(psycopg.Error, match="token_invalid"):
            connection.execute(query, [credential.sha256, credential.vouched])
    assert any("wfg.authorize" in text for text in logged)

    everything = "\n".join([*said, *logged, caplog.text])
    assert token not in everything
    assert token.removeprefix("wfg_") not in everything
    assert "bootstrap" not in everything


def test_a_server_needs_its_role_only(engine: Engine, database: str):
    """Its sessions have no right to any table; one that may less is told so."""
    token = make_token(engine, "t", "worker")
    engine.put(jobs={"a": {"run": "true"}})
    run_id = engine.start()
    headers = {"apikey": token}
    with serving(make_conninfo(database, options="-c role=wfg_server")) as http:
        assert http.get("/ready").status_code == 200
        body = {"worker_id": "w", "labels": []}
        lease = http.post("/api/jobs/claim", json=body, headers=headers).json()["lease"]["lease_id"]
        assert http.post(f"/api/jobs/{lease}/complete", json={}, headers=headers).status_code == 200
        assert http.get("/api/runs", headers=headers).status_code == 403
    assert engine.state(run_id) == "success"
    assert last_used(engine) is not None

    server = make_conninfo(database, options="-c role=wfg_server")
    assert refusal_of(server, "wfg_list_tokens", None) == (403, "permission_denied")
    worker = make_conninfo(database, options="-c role=wfg_worker")
    assert refusal_of(worker, "wfg_health", Credential(None)) == (403, "permission_denied")


# --- making, listing, revoking ---


def test_a_name_means_one_living_token(engine: Engine):
    engine.set_now(datetime(2030, 1, 1, tzinfo=UTC))
    make_token(engine, "t", p_expires_at=datetime(2030, 1, 2, tzinfo=UTC))
    again = {"p_name": "t", "p_scope": "reader", "p_sha256": "0" * 64}
    engine.fails("wfg_create_token", status=409, slug="token_exists", **again)

    engine.set_now(datetime(2030, 1, 2, tzinfo=UTC))
    engine.call("wfg_create_token", **again)
    engine.call("wfg_revoke_token", p_name="t")
    engine.fails("wfg_create_token", status=409, slug="token_exists", **again)  # that very hash
    make_token(engine, "t", "worker")

    tokens = [(each["name"], each["scope"], each["state"]) for each in engine.call("wfg_list_tokens")]
    assert tokens == [("t", "operator", "revoked"), ("t", "reader", "revoked"), ("t", "worker", "living")]


def test_of_two_who_take_a_name_at_once_one_has_it(connect: Callable[[], Engine]):
    first, second = connect(), connect()
    with ThreadPoolExecutor() as pool:
        with first.connection.transaction():
            make_token(first, "t")
            late = pool.submit(make_token, second, "t")
            while not connect().query("select pg_blocking_pids(%s) <> '{}' as waits", second.pid)[0]["waits"]:
                assert not late.done()
        assert isinstance(late.exception(), psycopg.Error)
    assert len(first.call("wfg_list_tokens")) == 1


def test_revoking_again_changes_nothing(engine: Engine):
    engine.set_now(datetime(2030, 1, 1, tzinfo=UTC))
    make_token(engine, "t")
    first = engine.call_text("wfg_revoke_token", p_name="t")
    engine.advance(60)
    assert engine.call_text("wfg_revoke_token", p_name="t") == first
    engine.fails("wfg_revoke_token", p_name="other", status=404, slug="token_not_found")
    engine.fails("wfg_revoke_token", p_name=None, status=404, slug="token_not_found")


@pytest.mark.parametrize(
    ("wrong", "detail"),
    [
        ({"p_name": ""}, "p_name: must be 1 to 200 characters"),
        ({"p_name": None}, "p_name: must be 1 to 200 characters, not null"),
        ({"p_scope": "owner"}, "p_scope: must be worker, operator or reader"),
        ({"p_scope": None}, "p_scope: must be worker, operator or reader"),
        ({"p_sha256": "0" * 63}, "p_sha256: must be 64 hexadecimal digits, in lower case"),
        ({"p_sha256": "A" * 64}, "p_sha256: must be 64 hexadecimal digits, in lower case"),
        ({"p_sha256": None}, "p_sha256: must be 64 hexadecimal digits, in lower case"),
        ({"p_expires_at": "2000-01-01Z"}, "p_expires_at: must be a finite time in the future"),
        ({"p_expires_at": "infinity"}, "p_expires_at: must be a finite time in the future"),
    ],
)
def test_what_no_token_can_be_made_of_is_named(engine: Engine, wrong: dict[str, Any], detail: str):
    right = {"p_name": "t", "p_scope": "worker", "p_sha256": "0" * 64, "p_expires_at": None}
    diag = engine.fails("wfg_create_token", status=422, slug="invalid_request", **{**right, **wrong})
    assert diag.message_detail == detail
    assert engine.call("wfg_list_tokens") == []


# --- the command line ---


def wfg_token(database: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["token", *arguments], env={"DATABASE_URL": database})


def test_a_token_is_made_shown_once_used_and_revoked(engine: Engine, database: str):
    made = wfg_token(database, "create", "ci", "--scope", "reader", "--expires", "30d")
    token = made.stdout.strip()
    assert made.exit_code == 0
    assert re.fullmatch(r"wfg_[A-Za-z0-9_-]{43}", token)

    (listed,) = json.loads(wfg_token(database, "list", "--json").stdout)
    assert listed["expires_at_ms"] - listed["created_at_ms"] == pytest.approx(30 * 86_400_000, abs=60_000)
    table = wfg_token(database, "list").stdout
    assert re.search(r"^ci\treader\tliving\t", table, re.MULTILINE)
    assert token not in table

    with serving(database) as http:
        assert http.get("/api/runs", headers={"apikey": token}).status_code == 200
        assert wfg_token(database, "revoke", "ci").stdout == "ci: revoked\n"
        assert http.get("/api/runs", headers={"apikey": token}).status_code == 401
    assert "revoked" in wfg_token(database, "list").stdout


def test_the_page_about_tokens_is_true(engine: Engine, database: str):
    """Its commands, in their order, and its requests with what the first one printed."""
    page = (SQL.parent / "docs" / "tokens.md").read_text()
    commands = [
        line.partition("#")[0].split()[2:] for line in re.findall(r"^wfg token .*", page, re.MULTILINE)
    ]
    assert [command[0] for command in commands] == ["create", "list", "revoke"]
    token = wfg_token(database, *commands[0]).stdout.strip()
    curl = r'^curl -s -X POST http://127.0.0.1:3000(\S+) -H "(\w+): (.*)"$'
    requests = re.findall(curl, page, re.MULTILINE)
    assert len(requests) == 2
    engine.call("wfg_register_worker", p_worker_id="w1", p_labels=[])
    with serving(database) as http:
        for path, name, value in requests:
            answer = http.post(path, headers={name: value.replace("$WFG_TOKEN", token)})
            assert answer.status_code == 200, answer.text
            assert http.post(path).status_code == 401
    for command in commands[1:]:
        assert wfg_token(database, *command).exit_code == 0


def test_answers_of_the_command_line_as_json(engine: Engine, database: str):
    made = json.loads(wfg_token(database, "create", "ci", "--scope", "worker", "--json").stdout)
    assert {"name": "ci", "scope": "worker", "expires_at_ms": None}.items() <= made.items()
    authorize(engine, made["token"], "wfg_claim_job")
    assert json.loads(wfg_token(database, "revoke", "ci", "--json").stdout)["name"] == "ci"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["create", "old", "--scope", "worker"], 1, "token_exists"),
        (["revoke", "nobody"], 1, "token_not_found"),
        (["create", "ci"], 2, "--scope"),
        (["create", "ci", "--scope", "owner"], 2, "owner"),
        (["create", "ci", "--scope", "worker", "--expires", "soon"], 2, "'soon' is no time such as"),
        (["create", "ci", "--scope", "worker", "--expires", "0d"], 2, "'0d' is no time such as"),
        (["create", "", "--scope", "worker"], 1, "p_name: must be 1 to 200 characters"),
    ],
)
def test_mistakes_are_explained(engine: Engine, database: str, arguments: list[str], code: int, message: str):
    make_token(engine, "old")
    done = wfg_token(database, *arguments)
    assert (done.exit_code, message in done.stderr) == (code, True), done.stderr
    assert done.stdout == ""


def test_a_database_is_needed():
    assert "DATABASE_URL" in wfg_token("", "list").stderr


# --- for doors that ask before they call ---


def ask(engine: Engine, function: str, **params: str | None) -> Any:
    return engine.call("wfg_authorize", p_function=function, **params)


@pytest.mark.parametrize("scope", SCOPES)
def test_who_asks_first_is_told_what_the_call_would_be(world: World, scope: str):
    """By the token, and by a scope known otherwise: what its role may execute, of all functions there are."""
    digest = sha256(world.tokens[scope].encode()).hexdigest()
    for function in [*api(world.engine), "pg_sleep", "wfg_x", "", "WFG_health"]:
        for who in ({"p_sha256": digest}, {"p_scope": scope}):
            if function in ROUTES and MAY[f"wfg_{scope}"](function):
                assert ask(world.engine, function, **who) == {"function": function, "allowed": True}
                continue
            with pytest.raises(psycopg.Error) as caught:
                ask(world.engine, function, **who)
            assert caught.value.sqlstate == ("PT403" if function else "PT422"), (function, who)


@pytest.mark.parametrize(
    ("who", "state", "slug"),
    [
        ({}, "PT401", "token_missing"),
        ({"p_sha256": None, "p_scope": None}, "PT401", "token_missing"),
        ({"p_sha256": "0" * 64}, "PT401", "token_invalid"),
        ({"p_sha256": "A" * 64}, "PT422", "invalid_request"),
        ({"p_sha256": "0" * 63}, "PT422", "invalid_request"),
        ({"p_scope": "server"}, "PT422", "invalid_request"),
        ({"p_sha256": "0" * 64, "p_scope": "worker"}, "PT422", "invalid_request"),
    ],
)
def test_who_asks_without_a_right_is_refused_though_there_is_no_token(
    engine: Engine, who: dict[str, str | None], state: str, slug: str
):
    with pytest.raises(psycopg.Error) as caught:
        ask(engine, "wfg_claim_job", **who)
    assert (caught.value.sqlstate, caught.value.diag.message_primary) == (state, slug)


def test_asking_notes_the_use_of_a_token_and_sees_it_revoked(engine: Engine):
    digest = sha256(b"secret").hexdigest()
    engine.call("wfg_create_token", p_name="edge", p_scope="worker", p_sha256=digest)
    ask(engine, "wfg_claim_job", p_sha256=digest)
    assert engine.call("wfg_list_tokens")[0]["last_used_at_ms"] is not None

    engine.call("wfg_revoke_token", p_name="edge")
    with pytest.raises(psycopg.Error, match="token_invalid"):
        ask(engine, "wfg_claim_job", p_sha256=digest)
