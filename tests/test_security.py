"""Attacks of docs/security.md that no other file has: each line of that page names its test."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote
from uuid import UUID, uuid4

import click
import httpx
import psycopg
import pytest
from click.testing import CliRunner
from wfg import own_env
from wfg.cli import main
from wfg.settings import Settings
from wfg.visitors import Visitors
from wfg.workflow_file import WorkflowFileError, parse_workflow

from tests.engine import Engine, lease_id
from tests.fuzz import Target, as_sent
from tests.serving import serving
from tests.test_attacks import TYPES
from tests.test_tokens import make_token
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


@pytest.mark.parametrize("command", [["serve"], ["worker"], ["doctor"], ["token", "list"], ["db", "upgrade"]])
@pytest.mark.parametrize(
    "address", ["postgres:/u:hunter2@h/db", "postgresql://u:hunter2@[h/db", "%zzhunter2"]
)
def test_an_address_that_cannot_be_read_is_not_shown(command: list[str], address: str) -> None:
    env = {
        "DATABASE_URL": address if address[0] == "p" else f"postgresql://u:{address}@h/db",
        "SERVER_URL": "",
    }
    done = CliRunner().invoke(main, command, env=env)
    assert done.exit_code != 0
    assert "cannot be read" in done.stderr
    assert "hunter2" not in done.output + done.stderr + repr(done.exception)


def test_settings_do_not_tell_their_secrets() -> None:
    url = "postgresql://u:hunter2@h/db"
    settings = Settings.read({}, database_url=url, listen_url=url, api_token="hunter2")
    assert "hunter2" not in f"{settings!r} {settings} {settings!s}"


def test_help_shows_no_value_of_the_environment() -> None:
    def commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        yield path
        if isinstance(group, click.Group):
            context = click.Context(group)
            for name in group.list_commands(context):
                command = group.get_command(context, name)
                assert command is not None
                yield from commands(command, (*path, name))

    found = list(commands(main))
    assert len(found) >= 25
    for path in found:
        done = CliRunner().invoke(main, [*path, "--help"], env=SECRETS)
        assert (done.exit_code, "secret-" in done.output) == (0, False), path


# --- a worker that lies ---


def forged(engine: Engine, mine: str, theirs: str) -> list[str]:
    """Ids made of what a worker may know: its own lease, the keys of others' jobs, and how ids look."""
    (run, number, nonce), (their_run, their_number, _) = mine.split("."), theirs.split(".")
    return [
        f"{their_run}.{their_number}.{nonce}",
        f"{run}.{their_number}.{nonce}",
        f"{their_run}.{their_number}.{'0' * 32}",
        f"{their_run}.{their_number}.{UUID(int=0).hex}",
        f"{their_run}.{their_number}.{UUID(their_run).hex}",
        f"{their_run}.{their_number}.null",
        f"{their_run}.{their_number}.",
        f"{their_run}.{their_number}.%",
        f"{their_run}.{number}.{nonce}",
    ]


def test_a_worker_can_do_nothing_with_a_lease_that_it_does_not_hold(
    engine: Engine, connect: Callable[[], Engine], database: str
) -> None:
    """By the role and by a token; of another worker, of an attempt before, of a run before."""
    engine.put(jobs={"a": {"run": "true", "retries": 1}, "b": {"run": "true"}})
    engine.start()
    old = lease_id(engine.claim("victim"))
    engine.call("wfg_fail_job", p_lease_id=old, p_error="again", p_retryable=True)
    theirs = {lease_id(claim) for claim in engine.claim_many(2, "victim")}
    engine.put("mine", jobs={"a": {"run": "true"}})
    engine.start("mine")
    mine = lease_id(engine.claim("mallory"))
    guesses = engine.query("select wfg.lease_id(run_id, job_no, gen_random_uuid()) as id from wfg.jobs")
    ids = {
        old,
        *(guess["id"] for guess in guesses),
        *(f for their in theirs for f in forged(engine, mine, their)),
    }
    ids -= {mine}
    assert not ids & theirs

    tables = ("jobs", "queue", "attempts", "log_chunks", "outputs", "runs")
    stored = [engine.query(f"select * from wfg.{table} t order by t::text") for table in tables]
    chunk = {
        "workflow_id": "x",
        "job_id": "a",
        "sequence": 0,
        "data": "x",
        "timestamp_ms": 0,
        "stream": "stdout",
    }
    calls = {
        "wfg_renew_lease": {},
        "wfg_complete_job": {"p_outputs": {"a": "1"}},
        "wfg_fail_job": {"p_error": "x"},
        "wfg_release_job": {},
        "wfg_append_logs": {"p_chunks": [chunk]},
    }
    mallory = connect()
    mallory.query("set session authorization wfg_worker")
    for lease in ids:
        for function, params in calls.items():
            with pytest.raises(psycopg.Error) as caught:
                mallory.call(function, p_lease_id=lease, **params)
            slugs = {"lease_not_held", "already_reported"} if lease == old else {"lease_not_held"}
            assert caught.value.diag.message_primary in slugs, (function, lease)
    reports = [{"lease_id": lease, "outcome": "success"} for lease in sorted(ids)]
    assert {each["ok"] for each in mallory.call("wfg_report_jobs", p_reports=reports)} == {False}
    mallory.query("reset session authorization")

    headers = {"authorization": f"Bearer {make_token(engine, 'w', 'worker')}"}
    bodies = {
        "heartbeat": {},
        "complete": {},
        "fail": {"error": "x"},
        "release": {},
        "logs": {"chunks": [chunk]},
    }
    with serving(database) as http:
        for lease in ids:
            for action, body in bodies.items():
                path = f"/api/jobs/{quote(lease, safe='')}/{action}"
                assert http.post(path, json=body, headers=headers).status_code == 409, path
        answers = http.post("/api/jobs/report-many", json={"reports": reports}, headers=headers).json()
        assert {each["ok"] for each in answers} == {False}
    assert [engine.query(f"select * from wfg.{table} t order by t::text") for table in tables] == stored


def test_another_workers_name_is_no_right_to_its_jobs(engine: Engine, connect: Callable[[], Engine]) -> None:
    engine.put(jobs={"a": {"run": "true"}})
    run = engine.start()
    claim = engine.claim("victim")
    mallory = connect()
    mallory.query("set session authorization wfg_worker")
    mallory.call("wfg_heartbeat_worker", p_worker_id="victim")
    mallory.call("wfg_register_worker", p_worker_id="victim", p_labels=["other"])
    mallory.call("wfg_deregister_worker", p_worker_id="victim")
    assert mallory.claim("victim") is None
    mallory.query("reset session authorization")
    assert engine.complete(claim) == {"job": "success", "run": "success"}
    assert engine.state(run) == "success"


# --- ids of leases ---


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.nightly)])
def test_leases_have_122_random_bits_each_and_nothing_else_is_secret(engine: Engine, count: int) -> None:
    """No two are alike; each bit is as often set as not, and set or not whatever its neighbour is."""
    engine.put(jobs={f"j{number}": {"run": "true"} for number in range(1000)})
    off = 6 * count**0.5 / 2  # six standard deviations
    nonces: list[int] = []
    for _ in range(count // 1000):
        run = engine.start()
        claims = engine.claim_many(1000)
        leases = [lease_id(claim).split(".") for claim in claims]
        assert {lease[0] for lease in leases} == {run.replace("-", "")}
        nonces += [int(lease[2], 16) for lease in leases]
        engine.call("wfg_cancel_run", p_run_id=run)
    assert len(set(nonces)) == len(nonces) == count
    fixed = {*range(76, 80), 62, 63}  # version 4, variant 10
    for bit in set(range(128)) - fixed:
        ones = sum(nonce >> bit & 1 for nonce in nonces)
        same = sum((nonce >> bit & 1) == (nonce >> (bit + 1) % 128 & 1) for nonce in nonces)
        assert abs(ones - count / 2) < off, bit
        assert abs(same - count / 2) < off, bit
    assert {nonce >> 76 & 15 for nonce in nonces} == {4}
    assert {nonce >> 62 & 3 for nonce in nonces} == {2}


def test_leases_are_made_by_the_strong_generator_alone(engine: Engine) -> None:
    sources = engine.query("select prosrc from pg_proc where pronamespace = 'wfg'::regnamespace")
    made = [each for row in sources for each in re.findall(r"lease_nonce\s*=\s*(\w+)\(", row["prosrc"])]
    assert made == ["gen_random_uuid"] * 2
    (row,) = engine.query(
        "select prosrc from pg_proc where oid = 'pg_catalog.gen_random_uuid()'::regprocedure"
    )
    assert row["prosrc"] == "gen_random_uuid"  # of the core, by pg_strong_random: not one of the same name


def test_nobody_is_told_the_lease_of_another(database: str) -> None:
    """By no function but those that hand one out, in no metric, and in no session that others see."""
    target = Target(database)
    nonce = target.lease.split(".")[2]
    secret = re.compile(f"{nonce}|{UUID(nonce)}", re.IGNORECASE)
    handed_out = {"wfg_claim_job", "wfg_claim_jobs", "wfg_report_jobs"}
    answered = 0
    for function in target.functions.values():
        if function.name in handed_out:
            continue
        with target.engine.connection.transaction(force_rollback=True):
            params = {name: as_sent(value) for name, value in target.right(function).items()}
            try:
                answer = json.dumps(target.engine.call(function.name, **params), default=str)
                answered += 1
            except psycopg.Error as error:
                answer = str(error)
        assert not secret.search(answer), function.name
    assert answered >= 45

    with serving(database) as http:
        assert http.post(f"/api/jobs/{target.lease}/heartbeat").status_code == 200
        seen = target.engine.query("select query from pg_stat_activity where application_name = 'wfg'")
        for path in ("/metrics", "/api/runs", f"/api/runs/{target.run_id}", "/api/jobs", "/api/doctor"):
            answer = http.get(path)
            assert answer.status_code == 200, path
            assert not secret.search(answer.text), path
    assert any("wfg_renew_lease" in row["query"] for row in seen)
    assert not secret.search(str(seen))
    target.engine.close()


# --- a role that may only call functions, and has a session of its own ---


@contextmanager
def mallory_of(session: Engine, role: str) -> Iterator[Engine]:
    """The session as one who logged in, and is a member of this role alone."""
    name = f"wfg_test_{uuid4().hex[:8]}"
    session.query(f"create role {name} in role {role}")
    session.query(f"set session authorization {name}")
    try:
        yield session
    finally:
        session.query("reset session authorization")
        session.query(f"drop owned by {name}")
        session.query(f"drop role {name}")


@pytest.mark.parametrize(
    "role",
    [
        *("wfg_worker", "wfg_server"),
        *(pytest.param(role, marks=pytest.mark.nightly) for role in ("wfg_reader", "wfg_operator")),
    ],
)
def test_no_function_runs_what_its_caller_made(database: str, role: str) -> None:
    """Types, tables, functions, operators and casts of a temporary schema, for every function of a role."""
    target = Target(database)
    names = target.engine.query(
        "select distinct proname as name from pg_proc"
        " where pronamespace = 'wfg'::regnamespace and prokind = 'f'"
    )
    relations = target.engine.query(
        "select distinct relname as name from pg_class"
        " where relkind in ('r', 'v', 'S', 'c')"
        " and relnamespace in ('wfg'::regnamespace, 'pg_catalog'::regnamespace)"
    )
    target.engine.query(
        "create function public.careless(pg_catalog.text) returns pg_catalog.text language plpgsql"
        " security definer as $$begin return $1::text; end$$"
    )
    with closing(target.engine), mallory_of(target.engine, role) as mallory:
        mallory.query("create temporary sequence met")
        mallory.query("grant all on sequence met to public")
        bite = (
            "language plpgsql as $$begin if current_user <> session_user then perform nextval('pg_temp.met');"
            " end if; return {}; end$$"
        )
        mallory.query(f"create function pg_temp.met(anyelement) returns boolean {bite.format('true')}")
        for name in TYPES:
            mallory.query(f"create domain pg_temp.{name} as pg_catalog.{name} check (pg_temp.met(value))")
        for row in names:
            mallory.query(f'create function pg_temp."{row["name"]}"() returns text {bite.format("null")}')
        for row in relations:
            if row["name"] != "met":
                mallory.query(f'create temporary table "{row["name"]}" (id pg_catalog.int4)')
        for name in ("text", "jsonb", "json", "timestamptz", "uuid", "int4"):
            mallory.query(
                f"create function pg_temp.same(pg_catalog.{name}, pg_catalog.{name}) returns boolean "
                + bite.format("true")
            )
            mallory.query(
                f"create operator pg_temp.= (function = pg_temp.same, leftarg = pg_catalog.{name},"
                f" rightarg = pg_catalog.{name})"
            )
        mallory.query("set search_path = pg_temp, pg_catalog, public")
        assert mallory.query("select public.careless('x')") == [{"careless": "x"}]
        assert mallory.query("select is_called from pg_temp.met") == [{"is_called": True}]
        mallory.query("select setval('pg_temp.met', 1, false)")
        called = 0
        for function in target.functions.values():
            with suppress(psycopg.Error), mallory.connection.transaction(force_rollback=True):
                params = {name: as_sent(value) for name, value in target.right(function).items()}
                mallory.call(function.name, **params)
                called += 1
        if role == "wfg_server":
            mallory.query("select wfg.authorize(null, 'wfg_health', true)")
        assert mallory.query("select is_called from pg_temp.met") == [{"is_called": False}]
    least = {"wfg_worker": 8, "wfg_reader": 15, "wfg_operator": 40, "wfg_server": 40}
    assert called >= least[role], called


def test_a_function_before_ours_needs_a_right_that_nobody_has_and_the_doctor_sees_it(
    engine: Engine, connect: Callable[[], Engine], database: str
) -> None:
    """One that takes text is preferred to ours, by the server, by psql, by anybody: so it must not be."""
    capture = (
        "create function public.wfg_list_workers(p_captured text default 'x') returns text language sql"
        " as $$ select 'captured' $$"
    )
    with mallory_of(connect(), "wfg_operator") as mallory:
        for statement in (capture, "create schema evil", "create table public.evil ()"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                mallory.query(statement)
        assert [each for each in findings(engine) if each["check"] in ("functions", "grants")] == []

        engine.query("grant create on schema public to public")
        mallory.query(capture)
        seen = {each["message"].partition(" ")[2] for each in findings(engine) if each["severity"] == "error"}
        assert "may create in the schema public, and so put a function before one of ours." in seen
        assert any(message.startswith("is not owned by the owner") for message in seen)
        engine.query("revoke create on schema public from public")
    assert [each for each in findings(engine) if each["check"] in ("functions", "grants")] == []


def findings(engine: Engine) -> list[dict[str, str]]:
    return engine.call("wfg_doctor")["findings"]


def test_no_setting_of_a_session_is_believed(engine: Engine, connect: Callable[[], Engine]) -> None:
    """Those of ours that there are: the clock is the owner's, wfg.home says only that a check was made."""
    sources = engine.query("select prosrc from pg_proc where pronamespace in ('wfg'::regnamespace, 2200)")
    ours = {name for row in sources for name in re.findall(r"current_setting\('(wfg\.\w+)'", row["prosrc"])}
    assert ours == {"wfg.fake_now", "wfg.home"}

    token = make_token(engine, "t", "reader")
    engine.query("update wfg.tokens set namespace = 'other'")
    session = connect()
    session.query("set session authorization wfg_server")
    session.query("set wfg.namespace = 'other'")
    session.query("set wfg.home = 'x'")
    digest = sha256(token.encode()).digest()
    with pytest.raises(psycopg.Error, match="token_invalid"):
        session.query("select wfg.authorize(%s, 'wfg_list_runs')", digest)


OUR_LOCKS = (
    "select pg_advisory_lock(wfg.c, n) from (values (7824999), (7825000)) wfg (c), generate_series(0, 30) n"
)


def test_who_takes_our_advisory_locks_holds_up_new_labels_and_names_and_nothing_else(
    engine: Engine, connect: Callable[[], Engine]
) -> None:
    """Anybody who has a session may take any: what is only tried goes another way."""
    engine.put(jobs={"a": {"run": "true", "retries": 1}})
    engine.claim("w1")  # its labels are known now
    class_ = engine.query("select wfg.lock_class() as class")[0]["class"]
    assert str(class_) in OUR_LOCKS
    with mallory_of(connect(), "wfg_worker") as mallory:
        mallory.query(OUR_LOCKS)
        engine.query("set statement_timeout = '3s'")
        run = engine.start()
        lost = engine.claim("w1")
        engine.advance(60)
        assert engine.claim("w1") is None, "upkeep in claims is off"
        assert engine.call("wfg_reap")["retried"] == 1, "and that of servers and cron is not"
        assert engine.complete(engine.claim("w1")) == {"job": "success", "run": "success"}
        engine.fails("wfg_complete_job", p_lease_id=lease_id(lost), status=409, slug="lease_not_held")
        assert engine.state(run) == "success"
        engine.query("set statement_timeout = '200ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            engine.claim("w2", labels=["never seen"])
        holders = engine.query(
            "select distinct pid from pg_locks where locktype = 'advisory' and classid = %s", class_
        )
        assert holders == [{"pid": mallory.pid}], "so it is found, and ended by pg_terminate_backend"
        mallory.query("select pg_advisory_unlock_all()")
    engine.query("set statement_timeout = 0")
    assert engine.claim("w2", labels=["never seen"]) is None


def test_forged_hints_are_only_hints(engine: Engine, connect: Callable[[], Engine], database: str) -> None:
    """Of any payload, any number: who listens looks, and finds what is there."""
    engine.put(jobs={"a": {"run": "true"}})
    garbage = [
        "",
        "0",
        "-1",
        "null",
        "9" * 7999,
        "'; drop schema wfg; --",
        "\x1b]0;x\x07",
        "é" * 3999,
        "{" * 7999,
    ]
    with (
        serving(database) as http,
        mallory_of(connect(), "wfg_reader") as mallory,
        ThreadPoolExecutor() as pool,
    ):
        body = {"worker_id": "w", "labels": [], "wait_secs": 20}
        waiting = pool.submit(http.post, "/api/jobs/claim", json=body)
        for channel in ("wfg_wake", "wfg_runs"):
            for payload in garbage * 20:
                mallory.query("select pg_notify(%s, %s)", channel, payload)
        assert not waiting.done()
        run = engine.start()
        assert waiting.result().json()["job"]["run_id"] == run
        assert http.get("/ready").status_code == 200


# --- below HTTP ---

HOST = b"host: localhost\r\n"
HIDDEN = b"POST /api/freeze HTTP/1.1\r\n" + HOST + b"content-length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        HOST + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        HOST + b"content-length: 0\r\ncontent-length: %d\r\n\r\n" % len(HIDDEN),
        HOST + b"transfer-encoding: xchunked\r\n\r\n",
        HOST + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        HOST + b"content-length: +0\r\n\r\n",
        HOST + b"transfer-encoding: chunked\r\n\r\n0x0\r\n\r\n",
        HOST + b'transfer-encoding: chunked\r\n\r\n0;a="\r\n\r\n',
        b"host : localhost\r\n\r\n",
        HOST + b"x-a: b\r\n c: d\r\n\r\n",
        HOST + b"x-request-id: a\rset-cookie: b\r\n\r\n",
        HOST + b"x-request-id: a\0\r\n\r\n",
    ],
)
def test_a_request_that_can_be_read_in_two_ways_is_refused_with_all_that_follows(
    tokenless: tuple[Engine, httpx.Client], head: bytes
) -> None:
    engine, http = tokenless
    answers = raw(http, b"POST /api/jobs/claim HTTP/1.1\r\n" + head + HIDDEN)
    assert re.findall(rb"HTTP/1\.1 (\d+)", answers) == [b"400"]
    assert b"set-cookie" not in answers
    assert engine.call("wfg_list_pauses")["items"] == []


def test_requests_in_a_row_are_answered_in_their_order(tokenless: tuple[Engine, httpx.Client]) -> None:
    _, http = tokenless
    asked = [b"GET %s HTTP/1.1\r\n%s" % (path, HOST) for path in (b"/health", b"/nothing", b"/api/runs")]
    answers = raw(http, b"\r\n".join(asked) + b"connection: close\r\n\r\n")
    assert re.findall(rb"HTTP/1\.1 (\d+)", answers) == [b"200", b"404", b"200"]


@pytest.mark.parametrize("given", ["a\tb", "<script>", "x" * 129, "é"])
def test_a_strange_request_id_is_not_given_back(tokenless: tuple[Engine, httpx.Client], given: str) -> None:
    _, http = tokenless
    answer = http.get("/health", headers={"x-request-id": given.encode()})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def raw(http: httpx.Client, sent: bytes) -> bytes:
    """All that a server answers to these bytes, until it hangs up."""
    with socket.create_connection((http.base_url.host, http.base_url.port), timeout=10) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65536), b""))


# --- what the design allows, so that the page does not say less ---


def test_a_worker_may_take_any_job_by_its_labels(engine: Engine, connect: Callable[[], Engine]) -> None:
    engine.put(inputs={"key": {"default": "s3cret"}}, jobs={"a": {"run": "true", "labels": ["production"]}})
    engine.start()
    worker = connect()
    worker.query("set session authorization wfg_worker")
    claim = worker.claim("anybody", labels=["production"])
    assert claim is not None
    assert claim["job"]["inputs"] == {"key": "s3cret"}


def test_sessions_of_another_role_are_closed_to_a_role(connect: Callable[[], Engine]) -> None:
    one, two = connect(), connect()
    with mallory_of(one, "wfg_worker"), mallory_of(two, "wfg_worker"):
        (seen,) = two.query("select query from pg_stat_activity where pid = %s", one.pid)
        assert seen["query"] == "<insufficient privilege>"
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            two.query("select pg_terminate_backend(%s)", one.pid)


def test_no_right_is_needed_to_burden_a_database(connect: Callable[[], Engine]) -> None:
    """As everywhere in Postgres; a limit that the role itself could lift would be none."""
    session = connect()
    with mallory_of(session, "wfg_reader"):
        session.query("set statement_timeout = 0")
        assert session.query("select pg_sleep(0)") == [{"pg_sleep": ""}]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.query("alter role current_user connection limit -1")


def test_a_tag_makes_nothing(tmp_path: Path) -> None:
    made = tmp_path / "made"
    for tag in ("python/object/apply:os.system", "python/object/new:os.system", "python/name:os.system"):
        text = f'a: !!{tag} ["touch {made}"]\n'
        with pytest.raises(WorkflowFileError, match="tag"):
            parse_workflow(Path("ci.yml"), text.encode())
    assert not made.exists()


# --- the page ---

PAGE = Path(__file__).parent.parent / "docs" / "security.md"


def test_each_line_of_the_page_names_tests_that_there_are() -> None:
    files = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    there = {name for text in files for name in re.findall(r"^def (test_\w+)\(", text, re.MULTILINE)}
    lines = re.findall(r"^\| (.*) \|$", PAGE.read_text(), re.MULTILINE)[1:]
    assert len(lines) >= 50
    named = set[str]()
    for line in lines:
        cells = line.split(" | ")
        assert len(cells) == 4, line
        names = set(re.findall(r"`(test_\w+)`", cells[3]))
        assert names, line
        assert names <= there, (line, names - there)
        named |= names
    ours = set(re.findall(r"^def (test_\w+)\(", Path(__file__).read_text(), re.MULTILINE))
    about_the_page = {"test_each_line_of_the_page_names_tests_that_there_are"}
    details = {
        "test_a_request_without_a_host_is_no_browsers",
        "test_settings_reach_the_server",
        "test_commands_see_nothing_of_the_workers_own_secrets",
        "test_a_strange_request_id_is_not_given_back",
    }
    assert ours - named == about_the_page | details
