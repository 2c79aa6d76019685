"""What is off unless asked for: reading through row-level security, and broadcasts through Realtime."""

import json
import os
import re
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import make_conninfo
from wfg import db_cli, embedded, supabase

from tests import supabase_project as project
from tests.arrange import append, chunk
from tests.engine import Engine

PAGE = (Path(__file__).parent.parent / "supabase" / "README.md").read_text()

# Of Supabase's auth schema.
AUTH = """
create schema auth;
grant usage on schema auth to anon, authenticated, service_role, postgres;
create function auth.uid() returns uuid language sql stable
  as $$ select nullif(current_setting('request.jwt.claims', true)::json ->> 'sub', '')::uuid $$;
"""
# Of its Realtime, but for the partitions: signature, column names, and who may do what.
REALTIME = """
create schema realtime;
create table realtime.messages (
  topic text not null, extension text not null, payload jsonb, event text, private boolean default false,
  inserted_at timestamp not null default now(), id uuid not null default gen_random_uuid()
);
create function realtime.send(payload jsonb, event text, topic text, private boolean default true)
  returns void language plpgsql as $$
begin
  execute format('set local realtime.topic to %L', topic);
  insert into realtime.messages (payload, event, topic, private, extension)
    values (payload, event, topic, private, 'broadcast');
end $$;
"""
RAISES = """
create or replace function realtime.send(payload jsonb, event text, topic text, private boolean default true)
  returns void language plpgsql as $$ begin raise exception 'Realtime is down'; end $$;
"""


def text_of(name: str) -> bytes:
    return (supabase.OPTIONAL / f"{name}.sql").read_bytes()


def test_export_writes_them_when_asked(tmp_path):
    def export(*options: str) -> str:
        done = CliRunner().invoke(db_cli.db, ["export", str(tmp_path), *options])
        assert done.exit_code == 0, done.output
        return done.output

    export()
    assert len(list(tmp_path.iterdir())) == len(supabase.chain())
    export("--with", "realtime", "--with", "read_access")
    last_two = sorted(tmp_path.iterdir())[-2:]
    assert [path.read_bytes() for path in last_two] == [text_of("realtime"), text_of("read_access")]
    assert "wrote" not in export("--with", "realtime", "--with", "read_access")


# --- reading ---


@pytest.fixture(scope="module")
def hosted():
    with embedded.running(in_memory=True) as server:
        dsn = project.prepare(server.dsn)
        with psycopg.connect(make_conninfo(dsn, user="supabase_admin")) as connection:
            connection.execute(AUTH)
        project.push(dsn)
        with psycopg.connect(dsn) as connection:
            connection.execute(text_of("read_access"))
        yield dsn


def signed_in(dsn: str, user: str, role: str = "authenticated") -> Engine:
    """A session as PostgREST makes one of a token."""
    session = Engine(make_conninfo(dsn, user="authenticator"))
    session.query(f"set role {role}")
    session.query("select set_config('request.jwt.claims', %s, false)", json.dumps({"sub": user}))
    return session


def test_users_read_the_runs_that_they_started_and_no_others(hosted):
    mine, other = str(uuid.uuid4()), str(uuid.uuid4())
    server = Engine(make_conninfo(hosted, user="authenticator"))
    server.query("set role service_role")
    server.put(jobs={"a": {"run": "true"}, "b": {"run": "true", "needs": "a"}})
    runs = {who: server.start(started_by=who) for who in (mine, other)}
    nobodys = server.start()
    for claim in server.claim_many(3):
        append(server, claim, chunk(claim, 0, "hello"))
        if claim["job"]["run_id"] == runs[mine]:
            server.complete(claim)

    for who in (mine, other):
        user = signed_in(hosted, who)
        assert [str(r["run_id"]) for r in user.query("select run_id from public.wfg_my_runs")] == [runs[who]]
        jobs = user.query("select run_id, job_id, state from public.wfg_my_jobs order by display_no")
        assert {str(job["run_id"]) for job in jobs} == {runs[who]}
        states = [(job["job_id"], job["state"]) for job in jobs]
        assert states == [("a", "success" if who == mine else "running"), ("b", "queued")]
        logs = user.query("select run_id, job_id, data from public.wfg_my_logs")
        assert [(str(log["run_id"]), log["job_id"], log["data"]) for log in logs] == [
            (runs[who], "a", "hello")
        ]
        user.close()

    stranger = signed_in(hosted, str(uuid.uuid4()))
    for view in ("wfg_my_runs", "wfg_my_jobs", "wfg_my_logs"):
        assert stranger.query(f"select * from public.{view}") == []
    stranger.close()
    assert nobodys
    server.close()


@pytest.mark.parametrize("view", ["wfg_my_runs", "wfg_my_jobs", "wfg_my_logs"])
@pytest.mark.parametrize("role", ["anon", "service_role"])
def test_views_are_for_signed_in_users_only(hosted, role, view):
    session = signed_in(hosted, str(uuid.uuid4()), role)
    assert project.is_refused(session, f"select * from public.{view}")
    session.close()


@pytest.mark.parametrize(
    "statement",
    [
        "select * from wfg.runs",
        "select inputs from wfg.runs",
        "select lease_nonce from wfg.queue",
        "select script from wfg.job_specs",
        "select * from wfg.tokens",
        "update public.wfg_my_runs set reason = 'x'",
        "delete from public.wfg_my_runs",
        "update wfg.runs set state = 'success'",
        "select public.wfg_list_runs()",
    ],
)
def test_users_read_no_more_and_write_nothing(hosted, statement):
    session = signed_in(hosted, str(uuid.uuid4()))
    assert project.is_refused(session, statement)
    session.close()


def test_functions_are_as_closed_as_without_the_views(hosted):
    owner = Engine(hosted)
    ours = "pronamespace = 'wfg'::regnamespace or proname ^@ 'wfg_'"
    allowed = "has_function_privilege('authenticated', oid, 'execute')"
    assert owner.query(f"select proname from pg_proc where ({ours}) and {allowed}") == []
    assert [f for f in owner.call("wfg_doctor")["findings"] if f["check"] == "grants"] == []
    owner.close()


# --- Realtime ---


@pytest.fixture
def live(database, engine) -> Engine:
    """The engine on a database with Realtime, which is told of runs."""
    with psycopg.connect(database) as connection:
        connection.execute(REALTIME)
        connection.execute(text_of("realtime"))
    engine.put(jobs={"a": {"run": "true"}, "b": {"run": "true", "needs": "a"}})
    return engine


def sent(engine: Engine) -> list[tuple[str, str | None]]:
    """Topic and state of what was sent since this was last asked."""
    rows = engine.query("with m as (delete from realtime.messages returning *) select * from m")
    assert all(
        (row["event"], row["private"], row["extension"]) == ("changed", True, "broadcast") for row in rows
    )
    return sorted((row["topic"], row["payload"].get("state")) for row in rows)


def test_a_run_is_told_of_when_it_starts_goes_on_and_ends(live):
    run_id = live.start()
    assert sent(live) == [("wfg:runs", None)]

    first = live.claim()
    assert sent(live) == []
    live.complete(first)
    assert sent(live) == [(f"wfg:run:{run_id}", "running"), ("wfg:runs", None)]

    live.complete(live.claim())
    assert sent(live) == [(f"wfg:run:{run_id}", "success"), ("wfg:runs", None)]


def test_many_changes_of_a_transaction_are_one_hint(live):
    with live.connection.transaction():
        runs = [live.start() for _ in range(5)]
        for run_id in runs:
            live.call("wfg_cancel_run", p_run_id=run_id)
    messages = sent(live)
    assert messages.count(("wfg:runs", None)) == 1
    assert {topic for topic, state in messages if state == "cancelled"} == {f"wfg:run:{run}" for run in runs}


def test_hints_of_transactions_at_the_same_time_are_one(live, connect):
    other = connect()
    with other.connection.transaction():
        other.start()
        live.start()
    assert sent(live) == [("wfg:runs", None)]
    live.start()
    assert sent(live) == [("wfg:runs", None)]


@pytest.mark.parametrize(
    "damage",
    [
        RAISES,
        "drop function realtime.send",
        "drop schema realtime cascade",
        "alter table realtime.messages add check (false)",
    ],
)
def test_realtime_cannot_fail_a_transition(live, database, damage):
    with psycopg.connect(database) as connection:
        connection.execute(damage)

    run_id = live.start()
    while claim := live.claim():
        live.complete(claim)
    assert live.state(run_id) == "success"


def test_realtime_cannot_make_a_transition_wait(live, database):
    with psycopg.connect(database) as locker:
        locker.execute("lock table realtime.messages")
        run_id = live.start()
        while claim := live.claim():
            live.complete(claim)
        assert live.state(run_id) == "success"


def test_nothing_of_it_is_there_unless_asked_for(engine):
    assert engine.query("select tgname from pg_trigger where tgname ~ 'broadcast'") == []
    assert engine.query("select to_regproc('wfg.broadcast') as function") == [{"function": None}]
    assert (
        engine.query(
            "select relname from pg_class where relrowsecurity and relnamespace = 'wfg'::regnamespace"
        )
        == []
    )


# --- supabase/README.md ---


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_sql_of_the_page_runs(hosted):
    with psycopg.connect(make_conninfo(hosted, user="supabase_admin")) as connection:
        connection.execute(REALTIME)
        connection.execute(
            "create function realtime.topic() returns text language sql stable as $$ select ''::text $$;"
            " alter table realtime.messages owner to postgres; grant usage on schema realtime to postgres"
        )
    with psycopg.connect(hosted) as connection:
        # Backwards: the workflow is put in the last. What is granted goes with the transaction.
        for block in reversed(blocks("sql")):
            connection.execute(block.encode())
        assert connection.execute(
            "select pg_has_role('build_worker', 'wfg_worker', 'member')"
        ).fetchone() == (True,)
        connection.rollback()


def test_the_table_of_roles_names_those_that_are_there(hosted):
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`[^|]*) \|", PAGE, re.MULTILINE))))
    owner = Engine(hosted)
    there = {row["rolname"] for row in owner.query("select rolname from pg_roles")}
    owner.close()
    assert named == {*project.ROLES, "postgres"} <= there


@pytest.mark.nightly
def test_the_door_of_the_page_answers(new_database, template, tmp_path):
    """Of Vercel's part: the file, in an ASGI server."""
    (source,) = blocks("python")
    (tmp_path / "index.py").write_text(source)
    assert json.loads(blocks("json")[0])["rewrites"][0]["destination"] == "/api/index"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = {"DATABASE_URL": new_database(template), "API_ONLY": "1", "WFG_DB_CONNECTIONS": "1"}
    server = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "index:app", f"--port={port}", "--log-level=warning"],
        cwd=tmp_path,
        env={**os.environ, **settings},
    )
    try:
        with httpx.Client(
            transport=httpx.HTTPTransport(retries=8), base_url=f"http://127.0.0.1:{port}"
        ) as client:
            assert client.get("/ready").status_code == 200
            assert client.get("/api/workflows").json() == []
    finally:
        server.terminate()
        server.wait()
