"""wfg_reap: leases that are over, without a claim."""

import pytest

from tests.arrange import CANNOT_CAST, START, after, cancel, chain, join, ms, only, sqlstate_of
from tests.engine import Raw, lease_id


def reap(engine, **params):
    return tuple(engine.call("wfg_reap", **params).values())


def test_nothing_to_do_is_three_zeros(engine):
    assert engine.call_text("wfg_reap") == '{"retried" : 0, "failed" : 0, "cancelled" : 0}'


def test_every_way_a_lease_ends_is_counted(engine):
    engine.set_now(START)
    engine.put("again", jobs=only("a", "b", "c", retries=1))
    engine.put("lost", jobs=only("d", "e"))
    engine.put("stopped", jobs=only("f"))
    runs = [engine.start(name) for name in ("again", "lost", "stopped")]
    engine.claim_many(10)
    cancel(engine, runs[2])
    engine.set_now(after(30))

    assert engine.call("wfg_reap") == {"retried": 3, "failed": 2, "cancelled": 1}
    assert reap(engine) == (0, 0, 0)
    assert [engine.state(run_id) for run_id in runs] == ["running", "failure", "cancelled"]


def test_live_leases_are_left_alone(engine):
    engine.set_now(START)
    engine.put(jobs=only("a", "b", "c"))
    run_id = engine.start()
    engine.claim_many(1, ttl=29)
    engine.claim_many(1, ttl=30)
    engine.claim_many(1, ttl=31)
    engine.set_now(after(30))

    assert reap(engine) == (0, 2, 0)
    assert engine.jobs(run_id) == {"a": "failure", "b": "failure", "c": "running"}


def test_lost_job_is_a_failure_with_all_that_follows(engine):
    engine.set_now(START)
    engine.put(jobs=chain(3))
    run_id = engine.start()
    engine.claim("w1", ttl=10)
    engine.set_now(after(20))
    reap(engine)

    run = engine.call("wfg_get_run", p_run_id=run_id)
    assert [job["state"] for job in run["jobs"]] == ["failure", "skipped", "skipped"]
    assert run["jobs"][0]["error"] == "lease_expired: worker w1 was not heard of for 10 s"
    assert (run["state"], run["finished_at_ms"], run["jobs"][0]["started_at_ms"]) == (
        "failure",
        ms(after(20)),
        ms(START),
    )


def test_lost_parents_of_a_wide_join(engine):
    engine.set_now(START)
    engine.put(jobs=join(20, retries=1))
    run_id = engine.start()
    claims = engine.claim_many(20)
    for claim in claims[:10]:
        engine.complete(claim)
    engine.set_now(after(30))
    assert reap(engine) == (10, 0, 0)
    assert len(engine.claim_many(20)) == 10
    engine.set_now(after(60))
    assert reap(engine) == (0, 10, 0)

    assert engine.state(run_id) == "failure"
    assert engine.jobs(run_id)["sink"] == "skipped"


def test_limit_takes_the_longest_overdue_first(engine):
    engine.set_now(START)
    engine.put(jobs=only("a", "b", "c"))
    run_id = engine.start()
    for ttl in (30, 10, 20):
        engine.claim_many(1, ttl=ttl)
    engine.set_now(after(60))

    for done in ({"b"}, {"b", "c"}, {"a", "b", "c"}):
        assert reap(engine, p_limit=1) == (0, 1, 0)
        assert {name for name, state in engine.jobs(run_id).items() if state == "failure"} == done
    assert reap(engine, p_limit=1) == (0, 0, 0)


def test_reaped_job_can_be_claimed(engine):
    engine.set_now(START)
    engine.put(jobs=only("a", retries=1))
    engine.start()
    old = engine.claim()
    engine.set_now(after(30))
    reap(engine)

    new = engine.claim()
    assert new["job"]["attempt"] == 1
    engine.fails("wfg_complete_job", p_lease_id=lease_id(old), status=409, slug="lease_not_held")
    assert engine.complete(new)["run"] == "success"


def test_hundreds_are_ended_in_one_call(engine):
    engine.set_now(START)
    engine.put(jobs=only(*(f"j{n}" for n in range(500))))
    run_id = engine.start()
    engine.claim_many(500)
    engine.set_now(after(30))

    assert reap(engine) == (0, 500, 0)
    assert engine.state(run_id) == "failure"


def test_lease_renewed_in_time_is_not_reaped(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    run_id = engine.start()
    claim = engine.claim(ttl=10)
    engine.set_now(after(9))
    engine.call("wfg_renew_lease", p_lease_id=lease_id(claim))
    engine.set_now(after(18))

    assert reap(engine) == (0, 0, 0)
    assert engine.jobs(run_id) == {"a": "running"}


@pytest.mark.parametrize("limit", [0, -1, 100001, 2147483647, None])
def test_limit_is_from_1_to_100000(engine, limit):
    diag = engine.fails("wfg_reap", p_limit=limit, status=422, slug="invalid_request")
    assert diag.message_detail.startswith("p_limit:")


@pytest.mark.parametrize("text", ["all", "", "2147483648"])
def test_limit_that_is_no_number_is_refused_by_postgres(engine, text):
    assert sqlstate_of(engine, "wfg_reap", p_limit=Raw(text)) in CANNOT_CAST
