"""Who may call what, tried out: each role, every function, every table."""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql
from wfg import embedded

from tests.conftest import load_sql
from tests.engine import Engine

WORKER = {
    "wfg_register_worker",
    "wfg_heartbeat_worker",
    "wfg_deregister_worker",
    "wfg_claim_job",
    "wfg_claim_jobs",
    "wfg_renew_lease",
    "wfg_release_job",
    "wfg_complete_job",
    "wfg_fail_job",
    "wfg_report_jobs",
    "wfg_append_logs",
    "wfg_is_cancelled",
    "wfg_health",
}
READER = {
    "wfg_get_job",
    "wfg_get_outputs",
    "wfg_get_run",
    "wfg_get_status",
    "wfg_get_workflow",
    "wfg_list_attempts",
    "wfg_list_logs",
    "wfg_list_outcomes",
    "wfg_list_runs",
    "wfg_list_jobs",
    "wfg_list_queue",
    "wfg_list_workers",
    "wfg_list_workflows",
    "wfg_list_pauses",
    "wfg_list_limits",
    "wfg_read_logs",
    "wfg_validate_workflow",
    "wfg_watch_runs",
    "wfg_list_cron",
    "wfg_is_cancelled",
    "wfg_health",
    "wfg_metrics",
}
OWNER_ONLY = {"wfg_create_token", "wfg_list_tokens", "wfg_revoke_token", "wfg_set_limit"}
MAY: dict[str, Callable[[str], bool]] = {
    "wfg_worker": WORKER.__contains__,
    "wfg_reader": READER.__contains__,
    "wfg_operator": lambda function: function not in OWNER_ONLY,
    "wfg_server": lambda function: function not in OWNER_ONLY,
}

FUNCTIONS = """
  select n.nspname as schema,
         p.proname as name,
         p.pronargs as arguments,
         p.prorettype = 'trigger'::regtype as trigger
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
   where n.nspname = 'wfg' or n.nspname = 'public' and p.proname like 'wfg\\_%'
"""


@pytest.fixture(scope="module")
def session(new_database, template) -> Iterator[Engine]:
    engine = Engine(new_database(template))
    yield engine
    engine.close()


@contextmanager
def logged_in(session: Engine, role: str) -> Iterator[Engine]:
    """The session as if role had logged in; what it does is rolled back."""
    with session.connection.transaction(force_rollback=True):
        session.connection.execute(sql.SQL("set local session authorization {}").format(sql.Identifier(role)))
        yield session


def refused(session: Engine, statement: sql.Composable) -> bool:
    """Whether a statement is refused for want of a right, and for nothing else."""
    try:
        with session.connection.transaction(force_rollback=True):
            session.connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return True
    except psycopg.Error:
        return False
    return False


def call(function: dict) -> sql.Composed:
    """A call with nothing but nulls."""
    nulls = sql.SQL(", ").join([sql.SQL("null")] * function["arguments"])
    return sql.SQL("select {}({})").format(sql.Identifier(function["schema"], function["name"]), nulls)


@pytest.mark.parametrize("role", MAY)
def test_role_can_call_what_it_needs_and_no_more(session, role):
    functions = session.query(FUNCTIONS)
    with logged_in(session, role):
        allowed = {f["name"] for f in functions if f["schema"] == "public" and not refused(session, call(f))}

    assert allowed == {f["name"] for f in functions if f["schema"] == "public" and MAY[role](f["name"])}


@pytest.mark.parametrize("role", [role for role in MAY if role != "wfg_server"])
def test_role_can_call_no_internal_function(session, role):
    functions = [f for f in session.query(FUNCTIONS) if f["schema"] == "wfg" and not f["trigger"]]
    with logged_in(session, role):
        assert [f["name"] for f in functions if not refused(session, call(f))] == []


def test_a_server_can_call_the_check_of_tokens_and_no_other_internal_function(session):
    """By the catalog: a strict function of nulls is not called at all, so nobody is asked."""
    allowed = session.query(
        "select proname from pg_proc where pronamespace = 'wfg'::regnamespace"
        " and has_function_privilege('wfg_server', oid, 'execute')"
    )
    assert [row["proname"] for row in allowed] == ["authorize"]


@pytest.mark.parametrize("role", MAY)
@pytest.mark.parametrize(
    "statement",
    [
        "select * from {}",
        "insert into {} default values",
        "delete from {}",
        "truncate {}",
    ],
)
def test_role_has_no_right_to_a_table(session, role, statement):
    tables = session.tables()
    assert len(tables) >= 12

    with logged_in(session, role):
        statements = [sql.SQL(statement).format(sql.Identifier("wfg", table)) for table in tables]
        assert [s.as_string() for s in statements if not refused(session, s)] == []


@pytest.mark.parametrize("role", MAY)
def test_role_cannot_log_in_or_do_more(session, role):
    (row,) = session.query("select * from pg_roles where rolname = %s", role)

    assert not any(
        row[right]
        for right in (
            "rolsuper",
            "rolcanlogin",
            "rolcreaterole",
            "rolcreatedb",
            "rolreplication",
            "rolbypassrls",
        )
    )


def test_somebody_else_can_do_nothing(session):
    role = f"wfg_test_{uuid.uuid4().hex[:8]}"
    session.query(f"create role {role}")
    try:
        functions = [f for f in session.query(FUNCTIONS) if not f["trigger"]]
        with logged_in(session, role):
            assert [f["name"] for f in functions if not refused(session, call(f))] == []
    finally:
        session.query(f"drop role {role}")


def test_a_worker_needs_its_role_only(engine, connect):
    engine.put(jobs={"a": {"run": "true"}})
    run_id = engine.start()
    worker = connect()
    worker.query("set session authorization wfg_worker")

    claim = worker.claim()
    assert worker.complete(claim) == {"job": "success", "run": "success"}
    assert engine.state(run_id) == "success"


def test_roles_of_supabase():
    """On a server of their own: roles belong to the cluster, and the other tests must not meet them."""
    with embedded.running(in_memory=True) as server:
        with psycopg.connect(server.dsn) as connection:
            connection.execute(
                """
                create role anon; create role authenticated; create role service_role;
                alter default privileges in schema public
                  grant execute on functions to anon, authenticated, service_role;
                """
            )
        load_sql(server.dsn)

        with psycopg.connect(server.dsn) as connection:
            rows = connection.execute(
                """
                select r.rolname, p.proname, has_function_privilege(r.oid, p.oid, 'execute')
                  from pg_roles r, pg_proc p
                 where r.rolname in ('anon', 'authenticated', 'service_role')
                   and p.pronamespace = 'public'::regnamespace
                   and p.proname like 'wfg\\_%'
                """
            ).fetchall()

    assert {role for role, _, _ in rows} == {"anon", "authenticated", "service_role"}
    assert [(role, name) for role, name, may in rows if role != "service_role" and may] == []
    assert {name for role, name, may in rows if role == "service_role" and not may} == OWNER_ONLY


def test_roles_that_another_database_makes_at_the_same_time_are_taken_as_they_are():
    with embedded.running(in_memory=True) as server, ThreadPoolExecutor() as pool:
        first = psycopg.connect(server.dsn)
        first.execute("create role wfg_worker nologin")
        loading = pool.submit(load_sql, server.dsn)
        with psycopg.connect(server.dsn, autocommit=True) as watcher:
            waits = "select 1 from pg_stat_activity where wait_event_type = 'Lock'"
            while not watcher.execute(waits).fetchone():
                assert not loading.done()
        first.commit()
        first.close()

        loading.result()
