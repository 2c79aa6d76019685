"""A worker's own writes in the transaction of its report: both or neither."""

import psycopg
import pytest

from tests.arrange import START, cancel, chain, only
from tests.engine import lease_id


@pytest.fixture
def shop(engine):
    """An engine beside a table of the user's, with a run of two jobs in a row."""
    engine.set_now(START)
    engine.query("create table public.orders (note text)")
    engine.put(jobs=chain(2, retries=1))
    engine.run_id = engine.start()
    return engine


def orders(engine):
    return [row["note"] for row in engine.query("select note from public.orders order by note")]


def work(engine, claim, note, report):
    """What a worker does: its write, then its report, in one transaction."""
    with engine.connection.transaction():
        engine.query("insert into public.orders values (%s)", note)
        return report(engine, claim)


def complete(engine, claim):
    return engine.complete(claim, {"x": "1"})


def fail(engine, claim):
    return engine.fail(claim, retryable=True)


def strict_batch(engine, claim):
    return engine.call(
        "wfg_report_jobs", p_reports=[{"lease_id": lease_id(claim), "outcome": "success"}], p_strict=True
    )


@pytest.mark.parametrize("report", [complete, fail, strict_batch])
def test_writes_commit_with_an_accepted_report(shop, connect, report):
    claim = shop.claim()
    with shop.connection.transaction():
        shop.query("insert into public.orders values ('paid')")
        report(shop, claim)
        other = connect()
        assert orders(other) == []
        assert other.jobs(shop.run_id)["j1"] == "running"

    assert orders(other) == ["paid"]
    assert other.jobs(shop.run_id)["j1"] == ("queued" if report is fail else "success")


def expired(engine, claim):
    engine.advance(30)


def superseded(engine, claim):
    engine.advance(30)
    assert engine.claim("other") is not None


def cancelled(engine, claim):
    cancel(engine, engine.run_id)


def reported(engine, claim):
    engine.complete(claim)


@pytest.mark.parametrize("report", [complete, strict_batch])
@pytest.mark.parametrize("ended", [expired, superseded, cancelled, reported])
def test_writes_roll_back_with_a_refused_report(shop, ended, report):
    claim = shop.claim()
    ended(shop, claim)
    before = shop.call("wfg_get_run", p_run_id=shop.run_id)

    with pytest.raises(psycopg.Error, match=r"lease_not_held|lease_cancelled|already_reported"):
        work(shop, claim, "paid twice", report)
    assert orders(shop) == []
    assert shop.call("wfg_get_run", p_run_id=shop.run_id) == before


def test_lost_worker_and_its_successor_write_once_between_them(shop):
    first = shop.claim("w1")
    shop.advance(30)
    second = shop.claim("w2")
    work(shop, second, "by w2", complete)
    with pytest.raises(psycopg.Error, match="lease_not_held"):
        work(shop, first, "by w1", complete)

    assert orders(shop) == ["by w2"]


def test_report_sent_again_after_a_lost_answer_writes_once(shop):
    claim = shop.claim()
    work(shop, claim, "paid", complete)
    with pytest.raises(psycopg.Error, match="already_reported"):
        work(shop, claim, "paid", complete)

    assert orders(shop) == ["paid"]


def test_report_rolled_back_with_the_writes_never_happened(shop):
    claim = shop.claim()
    with shop.connection.transaction(force_rollback=True):
        shop.query("insert into public.orders values ('paid')")
        complete(shop, claim)

    assert (orders(shop), shop.jobs(shop.run_id)) == ([], {"j1": "running", "j2": "queued"})
    assert shop.call("wfg_get_outputs", p_run_id=shop.run_id, p_job_id="j1") == {}
    assert work(shop, claim, "paid", complete) == {"job": "success", "run": "running"}
    assert shop.claim()["job"]["upstream_outputs"] == {"j1": {"x": "1"}}


def test_lease_is_judged_when_the_report_is_made_not_when_the_transaction_began(shop):
    claim = shop.claim(ttl=30)

    def too_late(engine, claim):
        engine.advance(30)
        engine.complete(claim)

    with pytest.raises(psycopg.Error, match="lease_not_held"):
        work(shop, claim, "slow", too_late)

    assert orders(shop) == []


def test_worker_may_claim_work_and_complete_in_one_transaction(shop):
    with shop.connection.transaction():
        for note in ("one", "two"):
            claim = shop.claim()
            shop.query("insert into public.orders values (%s)", note)
            complete(shop, claim)

    assert orders(shop) == ["one", "two"]
    assert shop.state(shop.run_id) == "success"


def test_start_in_the_transaction_of_a_write_happens_with_it(engine):
    engine.query("create table public.orders (note text)")
    engine.put(jobs=only("a"))
    with engine.connection.transaction(force_rollback=True):
        engine.query("insert into public.orders values ('new')")
        engine.start()
    assert (orders(engine), engine.call("wfg_list_runs")["items"]) == ([], [])

    with engine.connection.transaction():
        engine.query("insert into public.orders values ('new')")
        run_id = engine.start()
    assert (orders(engine), engine.state(run_id)) == (["new"], "queued")
