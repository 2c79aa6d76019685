"""The test bed itself: what every other test takes for granted."""

import uuid
from datetime import UTC, datetime

import psycopg
import pytest

from tests.engine import Raw, as_text
from tests.reused import Reused


def test_every_test_has_a_database_of_its_own(connect):
    one, other = connect(), connect()
    one.query("create table public.mark ()")

    assert other.query("select to_regclass('public.mark') is not null as found") == [{"found": True}]
    assert one.pid != other.pid


@pytest.mark.parametrize("_again", range(2))
def test_nothing_is_left_for_the_next_test(connect, _again):
    connect().query("create table public.mark ()")


def test_a_database_that_tests_share_is_as_new_or_used_up(databases, template):
    """Rows, settings of the session, locks go; DDL, statistics and settings of the database cannot."""
    shared = Reused(databases.make(template))
    try:
        engine = shared.engine
        engine.put(jobs={"a": {"run": "true"}})
        engine.start()
        engine.advance(86400)
        engine.query("select pg_advisory_lock(1)")
        engine.query("begin")
        shared.tidy()
        assert shared.fresh
        assert engine.call("wfg_list_workflows") == []
        assert abs((engine.now() - datetime.now(UTC)).total_seconds()) < 3600
        assert (
            engine.query(
                "select 1 as held from pg_locks where locktype = 'advisory' and pid = %s", engine.pid
            )
            == []
        )

        for statement in (
            "create table public.mark ()",
            "analyze wfg.lanes",
            "alter database {} set jit = off",
        ):
            shared.janitor.execute("delete from reused.commands")
            engine.put(jobs={"a": {"run": "true"}})
            engine.query(statement.format(engine.connection.info.dbname))
            shared.tidy()
            assert shared.fresh is False, statement
            engine.query("drop table if exists public.mark")
            shared.janitor.execute("delete from pg_statistic where starelid = 'wfg.lanes'::regclass")
    finally:
        shared.close()
        databases.discard(shared.dsn)


def test_clock_stands_where_it_was_set(connect):
    engine, other = connect(), connect()
    at = datetime(2030, 1, 1, tzinfo=UTC)

    engine.set_now(at)
    assert engine.now() == at
    assert engine.advance(90).second == 30
    assert engine.now() == datetime(2030, 1, 1, 0, 1, 30, tzinfo=UTC)
    assert other.now() != engine.now()

    engine.set_now(None)
    assert engine.now() != at


def test_clock_of_others_cannot_be_set(connect):
    engine = connect()
    role = f"wfg_test_{uuid.uuid4().hex[:8]}"
    engine.set_now(datetime(2030, 1, 1, tzinfo=UTC))
    engine.query(f"create role {role}")
    try:
        engine.query(f"grant usage on schema wfg to {role}")
        engine.query(f"grant execute on function wfg.clock_is_set() to {role}")
        engine.query(f"set session authorization {role}")
        assert engine.query("select wfg.clock_is_set() as answer") == [{"answer": False}]
    finally:
        engine.query("reset session authorization")
        engine.query(f"drop owned by {role}")
        engine.query(f"drop role {role}")


def test_errors_come_as_they_are(connect):
    with pytest.raises(psycopg.errors.UndefinedFunction):
        connect().call("wfg_no_such_function", p_a=1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("a", "a"),
        (Raw('{"b":1,"a":2}'), '{"b":1,"a":2}'),
        (True, "true"),
        (30, "30"),
        ({"a": [1]}, '{"a": [1]}'),
        ([], "[]"),
        ((), "[]"),
        (datetime(2030, 1, 1, tzinfo=UTC), "2030-01-01T00:00:00+00:00"),
    ],
)
def test_arguments_travel_as_text(value, text):
    assert as_text(value) == text
