"""The clock: real time, unless a member of the owner's role has set it for its session."""

import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.arrange import START, after, ms, only
from tests.engine import lease_id


@contextmanager
def logged_in(engine, *roles):
    """The session as if a new role had logged in that is a member of these."""
    name = f"wfg_test_{uuid.uuid4().hex[:8]}"
    engine.query(f"create role {name}")
    try:
        for role in roles:
            engine.query(f"grant {role} to {name}")
        engine.query(f"set session authorization {name}")
        yield name
    finally:
        engine.query("reset session authorization")
        engine.query(f"drop role {name}")


def told(engine):
    """What time the engine says it is: its health, so as any role sees it."""
    return datetime.fromtimestamp(engine.call("wfg_health")["now_ms"] / 1000, UTC)


def is_real(at):
    return abs(at - datetime.now(UTC)) < timedelta(minutes=1)


def test_clock_is_real_unless_it_was_set(engine):
    assert is_real(told(engine))
    engine.set_now(START)
    assert told(engine) == START
    engine.set_now(None)
    assert is_real(told(engine))


def test_clock_goes_on_in_a_long_transaction(engine):
    with engine.connection.transaction():
        first = engine.now()
        engine.query("select pg_sleep(0.002)")
        assert engine.now() > first


def test_clock_is_that_of_the_session(engine, connect):
    engine.set_now(START)
    assert is_real(told(connect()))


def test_clock_is_given_back_with_the_transaction_that_set_it(engine):
    with engine.connection.transaction(force_rollback=True):
        engine.set_now(START)
        assert told(engine) == START
    assert is_real(told(engine))


@pytest.mark.parametrize("role", ["wfg_worker", "wfg_operator", "wfg_reader"])
def test_setting_of_the_clock_is_ignored_from_others(engine, role):
    with logged_in(engine, role):
        engine.set_now(START)
        assert is_real(told(engine))


def test_owner_role_lets_its_members_set_the_clock(engine):
    (row,) = engine.query("select nspowner::regrole::text as owner from pg_namespace where nspname = 'wfg'")
    with logged_in(engine, row["owner"], "wfg_reader"):
        engine.set_now(START)
        assert told(engine) == START


def test_set_role_gives_no_right_to_the_clock(engine):
    """session_user counts: a definer function runs as the owner, whoever calls it."""
    engine.put(jobs=only("a"))
    engine.start()
    with logged_in(engine, "wfg_worker"):
        engine.set_now(START)
        claim = engine.claim()
        assert is_real(datetime.fromtimestamp(claim["lease"]["granted_at_ms"] / 1000, UTC))


def test_worker_cannot_make_others_lose_their_leases(engine, connect):
    engine.put(jobs=only("a"))
    run_id = engine.start()
    engine.claim("honest", ttl=3600)
    with logged_in(engine, "wfg_operator"):
        engine.set_now(datetime.now(UTC) + timedelta(days=365))
        assert engine.call("wfg_reap") == {"retried": 0, "failed": 0, "cancelled": 0}
        assert engine.claim("other") is None

    engine.set_now(None)
    assert engine.jobs(run_id) == {"a": "running"}


@pytest.mark.parametrize("text", ["soon", "2030-13-45"])
def test_nonsense_is_refused_where_it_counts_and_ignored_where_it_does_not(engine, text):
    engine.query("select set_config('wfg.fake_now', %s, false)", text)
    with pytest.raises(psycopg.errors.DataError):
        told(engine)
    with logged_in(engine, "wfg_reader"):
        engine.query("select set_config('wfg.fake_now', %s, false)", text)
        assert is_real(told(engine))
    engine.set_now(None)


def test_session_with_its_own_clock_leaves_the_time_of_the_upkeep_alone(engine, connect):
    engine.set_now(START)
    before = engine.query("select last_value, is_called from wfg.upkeep_due_ms")
    engine.claim()
    assert engine.query("select last_value, is_called from wfg.upkeep_due_ms") == before
    connect().claim()
    assert engine.query("select last_value, is_called from wfg.upkeep_due_ms") != before


def test_session_with_its_own_clock_does_upkeep_in_every_claim(engine, connect):
    connect().claim()  # upkeep is not due for the next 250 ms
    engine.set_now(START)
    engine.put(jobs=only("a", retries=3))
    engine.start()
    for n in range(4):
        engine.set_now(after(30 * n))
        assert engine.claim()["job"]["attempt"] == n


def test_every_time_is_the_clocks(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    run_id = engine.start()
    claim = engine.claim("w1")
    engine.call("wfg_renew_lease", p_lease_id=lease_id(claim))
    engine.complete(claim)
    run = engine.call("wfg_get_run", p_run_id=run_id)
    (worker,) = engine.call("wfg_list_workers")
    times = [
        value for key, value in (*run.items(), *run["jobs"][0].items()) if key.endswith("_at_ms") and value
    ]

    assert set(times) == {ms(START)}
    assert worker["registered_at_ms"] == worker["last_heartbeat_ms"] == ms(START)
    assert engine.call("wfg_get_workflow", p_workflow_id="wf")["created_at_ms"] == ms(START)
