"""Attacks of docs/security.md that no other file has: each line of that page names its test."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from wfg import own_env
from wfg.visitors import Visitors

from tests.engine import Engine
from tests.serving import serving
from tests.workers import WorkerProcess, log_of, until_sync

EVIL = "https://evil.example"


# --- a hostile page in a browser ---

# What a page may send without asking first, and without a body that says that it is JSON.
SIMPLE = [
    ("POST", "/api/freeze", None, b""),
    ("POST", "/api/workflows/sample", None, b""),
    ("POST", "/api/workflows/wf/run", None, b""),
    ("POST", "/api/workflows/wf/pause", None, b""),
    ("POST", "/rest/v1/rpc/wfg_start_run", None, b'{"p_workflow_id": "wf"}'),
    ("POST", "/rest/v1/rpc/wfg_start_run", "application/x-www-form-urlencoded", b"p_workflow_id=wf"),
]
# What it asks for first, and OPTIONS is always answered.
ASKED = [
    ("PUT", "/api/workflows/evil", "application/json", b'{"jobs": {"a": {"run": "id"}}}'),
    ("POST", "/api/workflows/wf/runs", "application/json", b"{}"),
    ("DELETE", "/api/workflows/wf", None, b""),
    ("GET", "/api/runs", None, b""),
    ("GET", "/api/stream", None, b""),
    ("GET", "/metrics", None, b""),
]


@pytest.fixture(scope="module")
def tokenless(new_database: Callable[..., str], template: str) -> Iterator[tuple[Engine, httpx.Client]]:
    """A server without tokens, and a workflow in its database."""
    dsn = new_database(template)
    with closing(Engine(dsn)) as engine, serving(dsn) as http:
        engine.put(jobs={"a": {"run": "true"}})
        yield engine, http


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": EVIL},
        {"origin": "null"},  # a sandboxed frame, a file
        {"origin": "http://localhost.evil.example"},
        {"origin": "http://127.0.0.1.evil.example"},
        {"origin": "http://notlocalhost"},
        {"host": "evil.example:3000", "origin": "http://evil.example:3000"},  # rebound to 127.0.0.1
        {"host": "evil.example:3000"},  # the same, reading
        {"host": "localhost.evil.example"},
        {"host": "[::1].evil.example"},
        {"host": "127.0.0.1@evil.example", "origin": "http://127.0.0.1@evil.example"},
        {"host": ""},
    ],
    ids=str,
)
def test_a_foreign_page_can_do_nothing_where_there_is_no_token(
    tokenless: tuple[Engine, httpx.Client], headers: dict[str, str]
) -> None:
    engine, http = tokenless
    for method, path, media, body in [*SIMPLE, *ASKED]:
        sent = headers if media is None else {**headers, "content-type": media}
        answer = http.request(method, path, content=body, headers=sent)
        assert (answer.status_code, answer.json()["message"]) == (401, "token_missing"), path
    assert engine.call("wfg_list_runs")["items"] == []
    assert engine.call("wfg_list_pauses")["items"] == []
    assert [each["id"] for each in engine.call("wfg_list_workflows")] == ["wf"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "localhost:1"},
        {"host": "LOCALHOST."},
        {"host": "wfg.localhost:3000", "origin": "http://wfg.localhost:3000"},
        {"host": "[::1]:3000"},
        {"host": "192.0.2.1", "origin": "http://192.0.2.1"},  # no name, so nobody's to give
        {"origin": "http://localhost:5173"},
        {"origin": "http://127.0.0.1"},
        {"origin": "http://[::1]:8080"},
    ],
    ids=str,
)
def test_programs_and_pages_of_this_machine_need_no_token(headers: dict[str, str]) -> None:
    assert Visitors().objection({"host": "127.0.0.1:3000", **headers}) is None


def test_a_request_without_a_host_is_no_browsers() -> None:
    assert Visitors().objection({}) is None


def test_settings_say_who_else_is_at_home() -> None:
    named = Visitors("wfg.internal", ("https://app.example", "http://host.docker.internal:3000"))
    assert named.objection({"host": "WFG.internal:3000"}) is None
    assert named.objection({"host": "127.0.0.1", "origin": "https://app.example"}) is None
    assert named.objection({"host": "host.docker.internal:3000"}) is None
    assert "another origin" in str(named.objection({"host": "127.0.0.1", "origin": EVIL}))
    assert "no name" in str(named.objection({"host": "evil.example", "origin": "https://app.example"}))

    assert Visitors(origins=("*",)).objection({"host": "evil.example", "origin": EVIL}) is None
    others = Visitors(any_host=True)
    assert others.objection({"host": "wfg:3000"}) is None
    assert others.objection({"host": "wfg:3000", "origin": "http://wfg:3000"}) is None
    assert "another origin" in str(others.objection({"host": "wfg:3000", "origin": EVIL}))


def test_a_page_of_any_origin_may_use_its_token(engine: Engine, database: str) -> None:
    with serving(database, api_token="secret") as http:
        headers = {"origin": EVIL, "authorization": "Bearer secret"}
        answer = http.get("/api/runs", headers=headers)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")


def test_answers_are_no_scripts_and_cookies_are_no_credentials(engine: Engine, database: str) -> None:
    with serving(database, api_token="secret") as http:
        for path in ("/api/runs", "/health", "/nothing", "/", "/schema/openapi.json"):
            answer = http.get(path, headers={"cookie": "token=secret", "origin": EVIL})
            assert answer.headers.get_list("x-content-type-options") == ["nosniff"], path
            assert "access-control-allow-credentials" not in answer.headers
            assert "set-cookie" not in answer.headers
        assert http.get("/api/runs", headers={"cookie": "authorization=Bearer secret"}).status_code == 401


def test_settings_reach_the_server(database: str) -> None:
    def status(http: httpx.Client) -> int:
        return http.get(
            "/api/runs", headers={"host": "evil.example", "origin": "http://evil.example"}
        ).status_code

    for settings, expected in [
        ({}, 401),
        ({"cors_origins": "http://evil.example"}, 200),
        ({"cors_origins": "http://a.example, *"}, 200),
        ({"insecure": "1"}, 200),
        ({"host": "evil.example"}, 200),
    ]:
        with serving(database, **settings) as http:
            assert status(http) == expected, settings


# --- secrets of a worker, and the commands of its jobs ---

SECRETS = {name: f"secret-{number}" for number, name in enumerate(sorted(own_env.PRIVATE))}


def test_commands_see_nothing_of_the_workers_own_secrets() -> None:
    environment = {**SECRETS, "PATH": "/bin", "AWS_PROFILE": "ci"}
    assert own_env.for_commands(environment) == {"PATH": "/bin", "AWS_PROFILE": "ci"}
    assert own_env.for_commands(environment, ["PGPASSWORD"]).keys() == {"PATH", "AWS_PROFILE", "PGPASSWORD"}


def test_a_worker_passes_on_only_what_it_is_told_to(engine: Engine, database: str, tmp_path: Path) -> None:
    """By the environment of the command, by that of the worker itself, by any command line."""
    look = "env; ps axww -o args 2>/dev/null || cat /proc/[0-9]*/cmdline | tr '\\0' ' '"
    engine.put(jobs={"a": {"run": look}})
    run = engine.start()
    secrets = {name: value for name, value in SECRETS.items() if name not in ("DATABASE_URL", "PGPASSWORD")}
    env = {**secrets, "PGPASSWORD": "for-psql", "WORKER_PASS_ENV": "PGPASSWORD", "OTEL_SDK_DISABLED": "true"}
    with WorkerProcess(database, tmp_path / "log", "--poll", "0.1", env=env) as worker:
        until_sync(lambda: engine.state(run) == "success")
        worker.process.terminate()
        worker.wait()
    log = log_of(engine, run)
    assert "PGPASSWORD=for-psql" in log
    assert "WFG_JOB_ID=a" in log
    assert "wfg worker" in log  # its command line was seen
    assert [value for value in [*secrets.values(), f"DATABASE_URL={database}"] if value in log] == []
    assert [value for value in secrets.values() if value in worker.log()] == []


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
def test_a_command_cannot_read_the_environment_of_its_worker() -> None:
    """Another process of the same user; that it could before is the proof that it was looked for."""
    script = """
import ctypes, os, subprocess
from wfg import own_env

if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
look = ["sh", "-c", "cat /proc/$PPID/environ /proc/$PPID/maps 2>&1"]
print("before", "hunter2" in subprocess.run(look, capture_output=True, text=True).stdout)
own_env.hide()
seen = subprocess.run(look, capture_output=True, text=True)
print("after", "hunter2" in seen.stdout, seen.stdout.count("Permission denied"))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": os.environ["PATH"], "WFG_TOKEN": "hunter2"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == ["before True", "after False 2"], done.stdout + done.stderr
