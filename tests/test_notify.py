"""Hints: channel wfg_wake when a lane has work, wfg_runs when a run has ended. The tables are the truth."""

import pytest

from tests.arrange import START, after, cancel, chain, fan, only, run_workflow
from tests.engine import lease_id


def lane(engine, labels):
    """The number of the lane with these labels, as it is in the payload."""
    (row,) = engine.query("select id::text from wfg.lanes where labels = %s", labels)
    return row["id"]


def test_start_wakes_the_lanes_of_its_first_jobs(engine, listener):
    engine.put(jobs={**only("a", "b", labels=["x"]), **only("c"), **only("later", labels=["y"], needs=["a"])})
    assert listener() == []
    engine.start()

    woken = listener()
    assert sorted(woken) == sorted([("wfg_wake", lane(engine, ["x"])), ("wfg_wake", lane(engine, []))])


def test_cascade_wakes_the_lanes_of_what_became_ready(engine, listener):
    engine.put(jobs={**only("a", labels=["x"]), **only("b", labels=["y"], needs=["a"])})
    engine.start()
    claim = engine.claim(labels=["x"])
    listener()
    engine.complete(claim)

    assert listener() == [("wfg_wake", lane(engine, ["y"]))]


def retried(engine, claim):
    engine.fail(claim, retryable=True)


def released(engine, claim):
    engine.call("wfg_release_job", p_lease_id=lease_id(claim))


def lost(engine, claim):
    engine.advance(30)
    engine.call("wfg_reap")


@pytest.mark.parametrize("back", [retried, released, lost])
def test_job_that_is_ready_again_wakes_its_lane(engine, listener, back):
    engine.set_now(START)
    engine.put(jobs=only("a", retries=1))
    engine.start()
    claim = engine.claim()
    listener()
    back(engine, claim)

    assert listener() == [("wfg_wake", lane(engine, []))]


def test_acknowledgement_wakes_the_lane_of_what_was_held(engine, listener):
    engine.put(jobs=only("a"))
    run_workflow(engine)
    claim = engine.claim()
    cancel(engine, "wf")
    run_workflow(engine)
    listener()
    engine.fail(claim)

    assert listener() == [("wfg_wake", lane(engine, []))]


def test_what_waits_wakes_nobody(engine, listener):
    engine.set_now(START)
    engine.put(jobs=only("a", retries=1, backoff={"fixed": 60}))
    engine.start(start_at=after(60))
    assert listener() == []
    engine.set_now(after(60))
    claim = engine.claim()
    engine.fail(claim, retryable=True)
    assert listener() == []


def test_claims_renewals_and_reads_are_silent(engine, listener):
    engine.put(jobs=only("a"))
    run_id = engine.start()
    listener()
    claim = engine.claim()
    engine.call("wfg_renew_lease", p_lease_id=lease_id(claim))
    engine.call("wfg_get_run", p_run_id=run_id)
    engine.claim()

    assert listener() == []


def in_success(engine, run_id):
    engine.complete(engine.claim())


def in_failure(engine, run_id):
    engine.fail(engine.claim())


def by_cancelling(engine, run_id):
    cancel(engine, run_id)


def by_losing(engine, run_id):
    engine.claim()
    engine.advance(30)
    engine.call("wfg_reap")


@pytest.mark.parametrize("ended", [in_success, in_failure, by_cancelling, by_losing])
def test_end_of_a_run_is_broadcast(engine, listener, ended):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    run_id = engine.start()
    listener()
    ended(engine, run_id)

    assert [channel for channel, _ in listener()] == ["wfg_runs"]


def test_end_of_a_job_is_not_the_end_of_its_run(engine, listener):
    engine.put(jobs=only("a", "b"))
    engine.start()
    claims = engine.claim_many(2)
    listener()
    engine.complete(claims[0])
    assert listener() == []


def test_one_hint_per_lane_and_transaction(engine, listener):
    engine.put(jobs=fan(500))
    engine.start()
    claim = engine.claim()
    listener()
    engine.complete(claim)
    assert len(listener()) == 1

    with engine.connection.transaction():
        for _ in range(5):
            engine.start()
    assert len(listener()) == 1


def test_nothing_is_said_of_what_was_rolled_back(engine, listener):
    engine.put(jobs=only("a"))
    with engine.connection.transaction(force_rollback=True):
        engine.start()
        engine.complete(engine.claim())
    assert listener() == []


def test_hints_are_small_whatever_is_handed_on(engine, listener):
    engine.put(jobs=chain(2))
    engine.start()
    claim = engine.claim()
    listener()
    engine.complete(claim, {"big": "x" * 1_000_000})

    assert [len(payload) < 20 for _, payload in listener()] == [True]


def test_everything_works_while_nobody_listens(engine):
    engine.put(jobs=chain(3))
    run_id = engine.start()
    for _ in range(3):
        engine.complete(engine.claim())
    assert engine.state(run_id) == "success"
