"""Upgrades while others work: nothing is lost, and nobody notices more than a call that is made again.

Which code works with which database: docs/upgrade.md. What an upgrade costs, in full: tests/upgrades.py.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from wfg import migrate
from wfg.db import Credential, Database
from wfg.errors import EngineError, Rejected, Unavailable
from wfg.http_transport import HttpTransport
from wfg.refusals import explain
from wfg.sql_transport import SqlTransport
from wfg.transport import Transport
from wfg.worker import Worker

from tests.arrange import only
from tests.engine import Engine
from tests.postgres import program
from tests.servers import Process
from tests.serving import serving
from tests.upgrades import CHAIN, STARTS, is_error, suffer_all
from tests.workers import until

FIRST, *LATER = CHAIN
# Functions of the API with what they take, by name: its type, and whether it may be left out.
SIGNATURES = """
  select p.proname as function,
         json_object_agg(
           a.name,
           json_build_array(format_type(a.type, null), a.position > p.pronargs - p.pronargdefaults)
         ) filter (where a.name is not null) as takes
    from pg_catalog.pg_proc p
    left join lateral (
           select u.type, u.position, p.proargnames[u.position] as name
             from unnest(p.proargtypes) with ordinality as u (type, position)
         ) a on true
   where p.pronamespace = 'public'::regnamespace and p.proname ^@ 'wfg_'
   group by p.oid
"""


# --- under load ---


def names_of(server: str) -> str:
    return str(Path(program("postgres", server)).parent)


@pytest.mark.nightly
@pytest.mark.parametrize("revision", STARTS)
def test_an_upgrade_loses_nothing_and_is_hidden_by_retries(server: str, revision: str) -> None:
    [row] = suffer_all(names_of(server), [revision], rounds=2)
    assert row.good, row


@pytest.mark.nightly
def test_in_short_from_the_first_revision(server: str) -> None:
    [row] = suffer_all(names_of(server), [FIRST], rounds=1)
    assert row.good, row


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('{"level": "warning", "message": "no claims"}', False),
        ('{"level": "error", "message": "heartbeat refused"}', True),
        ("12:00:00 INFO worker w", False),
        ("12:00:00 ERROR a: the worker failed", True),
        ("Traceback (most recent call last):", True),
        ("Error: wfg is not installed", True),
    ],
)
def test_what_a_log_says_of_errors_is_noticed(line: str, error: bool) -> None:
    assert is_error(line) is error


# --- a call that an upgrade overtook ---


def asked(dsn: str, function: str, credential: Credential | None = None, **params: str | int) -> EngineError:
    """What a call is refused with."""

    async def ask() -> EngineError:
        async with Database(dsn) as database:
            with pytest.raises(EngineError) as caught:
                await database.call(function, credential, **params)
        return caught.value

    return asyncio.run(ask())


CLAIM = {"p_worker_id": "w", "p_labels": "[]", "p_limit": 1, "p_ttl_secs": 30}


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("drop function wfg.claimer", "42883"),
        ("alter table wfg.label_sets rename column used_at to used", "42703"),
        ("alter table wfg.lane_marks rename to marks", "42P01"),
        ("alter type wfg.claimer rename to claiming", "42704"),
    ],
)
@pytest.mark.broken_on_purpose
def test_what_vanished_in_the_midst_of_a_call_is_tried_again(
    engine: Engine, database: str, change: str, state: str
) -> None:
    """As when the call began before an upgrade and went on after it."""
    engine.put(jobs=only("a"))
    engine.query("set check_function_bodies = off")
    engine.query(change)

    error = asked(database, "wfg_claim_jobs", **CLAIM)
    assert (type(error), error.status, error.code) == (Unavailable, 503, state)
    assert "ask again" in (error.hint or "")
    with serving(database) as http:
        body = {"worker_id": "w", "labels": [], "limit": 1, "lease_ttl_secs": 30}
        answer = http.post("/api/jobs/claim-many", json=body)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["code"] == state


def test_a_function_that_there_is_not_is_no_call_to_try_again(engine: Engine, database: str) -> None:
    error = asked(database, "wfg_do_magic")
    assert (type(error), error.status, error.code) == (Rejected, 404, "42883")


# --- which code with which database ---


@pytest.fixture
def older(new_database, request: pytest.FixtureRequest) -> str:
    """The DSN of a database at a revision."""
    dsn = new_database()
    migrate.upgrade(dsn, request.param)
    return dsn


async def work(
    transport: Transport, engine: Engine, run: str, meanwhile: Callable[[], object] = lambda: None
) -> None:
    """Until the run has ended, at the earliest when that is done which is done meanwhile."""
    worker = Worker(slots=2, poll_secs=0.05)
    async with transport:
        task = asyncio.create_task(worker.run(transport))
        await asyncio.to_thread(meanwhile)
        await until(lambda: task.done() or engine.state(run) not in ("queued", "running"))
        worker.stop()
        await task


def start(engine: Engine) -> str:
    engine.put(jobs={"a": {"run": "echo hello"}, "b": {"run": "true", "needs": "a", "retries": 1}})
    return engine.start()


@pytest.mark.parametrize(
    "older", [FIRST, *(pytest.param(each, marks=pytest.mark.nightly) for each in LATER)], indirect=True
)
def test_a_worker_over_sql_works_at_every_revision(older: str) -> None:
    engine = Engine(older)
    run = start(engine)
    asyncio.run(work(SqlTransport(older), engine, run))
    assert engine.state(run) == "success"
    assert engine.call("wfg_list_logs", p_workflow_id=run, p_job_id="a")[0]["data"] == "hello\n"
    engine.close()


@pytest.mark.parametrize(
    "older", [pytest.param(each, marks=pytest.mark.nightly) for each in LATER[:-1]], indirect=True
)
def test_a_server_that_was_there_before_a_downgrade_serves_workers(older: str) -> None:
    engine = Engine(older)
    run = start(engine)
    with serving(older) as http:
        asyncio.run(work(HttpTransport(str(http.base_url)), engine, run))
    assert engine.state(run) == "success"
    engine.close()


@pytest.mark.nightly
@pytest.mark.parametrize("older", [FIRST], indirect=True)
def test_before_tokens_a_server_lets_nobody_in_and_its_workers_wait(older: str) -> None:
    """It cannot ask whether there is one."""
    engine = Engine(older)
    run = start(engine)
    with serving(older) as http:
        answer = http.get("/api/workflows")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json() == {
            "code": "PT503",
            "message": "database_too_old",
            "details": "The database is at a revision before tokens, or has no wfg; this server needs them.",
            "hint": "Run `wfg db upgrade`.",
        }

        door = HttpTransport(str(http.base_url))
        asyncio.run(work(door, engine, run, meanwhile=lambda: migrate.upgrade(older)))
    assert engine.state(run) == "success"
    engine.close()


@pytest.mark.parametrize("older", [FIRST], indirect=True)
def test_without_rights_to_the_schema_it_is_the_same(older: str) -> None:
    """A downgrade takes them from the role of servers."""
    with psycopg.connect(older, autocommit=True) as connection:
        connection.execute("drop role if exists wfg_test_old_server")
        connection.execute("create role wfg_test_old_server login in role wfg_operator")
    try:
        dsn = psycopg.conninfo.make_conninfo(older, user="wfg_test_old_server")
        error = asked(dsn, "wfg_list_workflows", Credential(None))
        assert (error.status, error.message) == (503, "database_too_old")
    finally:
        with psycopg.connect(older, autocommit=True) as connection:
            connection.execute("drop role wfg_test_old_server")


@pytest.mark.parametrize("older", [CHAIN[-2]], indirect=True)
def test_on_an_older_database_servers_do_not_start(older: str, tmp_path: Path) -> None:
    with Process(tmp_path, "serve", "--port", "0", DATABASE_URL=older) as process:
        assert process.wait() == 1
        assert process.stdout() == ""
        assert process.stderr() == (
            f"Error: database_too_old: the database is at revision {CHAIN[-2]}, this package needs"
            f" {CHAIN[-1]}\nrun `wfg db upgrade`\n"
        )


@pytest.mark.parametrize("older", [FIRST], indirect=True)
def test_what_the_older_database_lacks_is_a_clear_refusal(older: str) -> None:
    error = asked(older, "wfg_list_attempts", p_run_id="x")
    assert (error.status, error.code) == (404, "42883")
    assert "wfg db upgrade" in explain(error)[0]


def test_calls_of_older_code_are_calls_of_the_newer_database(new_database) -> None:
    """By name: each function is still there, takes the same, and what is new may be left out."""
    dsn = new_database()
    before: dict[str, dict[str, tuple[str, bool]]] = {}
    for revision in CHAIN:
        migrate.upgrade(dsn, revision)
        with psycopg.connect(dsn) as connection:
            rows = connection.execute(SIGNATURES.encode()).fetchall()
        now = {function: takes or {} for function, takes in rows}
        assert len(now) == len(rows), "two of one name"
        for function, takes in before.items():
            assert function in now, (revision, function)
            for name, (kind, optional) in takes.items():
                assert name in now[function], (revision, function, name)
                assert now[function][name][0] == kind, (revision, function, name)
                assert now[function][name][1] or not optional, (revision, function, name)
            added = {name for name, (_, optional) in now[function].items() if not optional} - {*takes}
            assert not added, (revision, function, added)
        before = now
