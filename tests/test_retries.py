"""Retries: what consumes one, how long it waits, and what is left of the attempts before."""

import pytest

from tests.arrange import START, after, cancel, ms, only
from tests.engine import lease_id


def started(engine, **keys):
    """A run of one job with these keys, at START."""
    engine.set_now(START)
    engine.put(jobs=only("a", **keys))
    return engine.start()


def fail(engine):
    return engine.fail(engine.claim(), retryable=True)["job"]


def lose(engine):
    """Claim, and let the lease expire."""
    assert engine.claim(ttl=10) is not None
    engine.advance(10)
    engine.call("wfg_reap")
    return engine.call("wfg_get_run", p_run_id=engine.query("select id::text from wfg.runs")[0]["id"])[
        "jobs"
    ][0]["state"]


def detail(engine, run_id):
    return engine.call("wfg_get_job", p_run_id=run_id, p_job_id="a")


# --- budgets ---


@pytest.mark.parametrize("retries", [0, 1, 2, 5, 100])
def test_job_is_executed_once_more_than_it_has_retries(engine, retries):
    run_id = started(engine, retries=retries)

    assert [fail(engine) for _ in range(retries + 1)] == ["queued"] * retries + ["failure"]
    assert engine.claim() is None
    assert engine.state(run_id) == "failure"
    assert detail(engine, run_id)["job"]["attempt"] == retries


def test_attempts_are_counted_from_zero(engine):
    started(engine, retries=3)
    attempts = []
    for _ in range(4):
        claim = engine.claim()
        attempts.append(claim["job"]["attempt"])
        engine.fail(claim, retryable=True)

    assert attempts == [0, 1, 2, 3]


def test_success_of_a_retry_is_a_success(engine):
    run_id = started(engine, retries=2)
    fail(engine)
    engine.complete(engine.claim())

    assert engine.state(run_id) == "success"
    assert detail(engine, run_id)["job"]["attempt"] == 1


@pytest.mark.parametrize("retryable", [False, None])
def test_failure_that_is_not_retryable_is_final(engine, retryable):
    run_id = started(engine, retries=5)

    assert engine.fail(engine.claim(), retryable=retryable)["job"] == "failure"
    assert engine.state(run_id) == "failure"


def test_failure_is_final_unless_said_retryable(engine):
    started(engine, retries=5)
    claim = engine.claim()
    answer = engine.call("wfg_fail_job", p_lease_id=lease_id(claim), p_error="")
    assert answer == {"job": "failure", "run": "failure"}


def test_retryable_does_not_give_a_retry(engine):
    started(engine, retries=0)
    assert fail(engine) == "failure"


def test_lost_lease_consumes_a_retry(engine):
    run_id = started(engine, retries=2)

    assert [lose(engine) for _ in range(3)] == ["queued", "queued", "failure"]
    assert detail(engine, run_id)["job"]["attempt"] == 2


def test_without_retries_a_lost_lease_is_final(engine):
    run_id = started(engine)

    assert lose(engine) == "failure"
    assert detail(engine, run_id)["job"]["error"] == "lease_expired: worker w1 was not heard of for 10 s"
    assert engine.claim() is None


def test_lost_leases_are_charged_to_lost_retries_first(engine):
    run_id = started(engine, retries=1, lost_retries=2)

    assert [lose(engine) for _ in range(4)] == ["queued"] * 3 + ["failure"]
    assert detail(engine, run_id)["job"]["attempt"] == 3


def test_lost_retries_are_not_for_failures(engine):
    started(engine, retries=0, lost_retries=5)
    assert fail(engine) == "failure"


def test_lost_leases_leave_the_retries_for_failures(engine):
    started(engine, retries=1, lost_retries=1)

    assert [lose(engine), fail(engine), fail(engine)] == ["queued", "queued", "failure"]


def test_failures_leave_the_lost_retries_for_lost_leases(engine):
    started(engine, retries=1, lost_retries=1)

    assert [fail(engine), lose(engine), lose(engine)] == ["queued", "queued", "failure"]


def test_retryable_does_not_concern_lost_leases(engine):
    started(engine, retries=1)
    assert [lose(engine), lose(engine)] == ["queued", "failure"]


# --- timeouts ---


def test_timeout_ends_an_attempt_however_often_it_is_renewed(engine):
    run_id = started(engine, timeout=25)
    claim = engine.claim(ttl=10)
    for at in (9, 18, 24):
        engine.set_now(after(at))
        engine.call("wfg_renew_lease", p_lease_id=lease_id(claim))
    engine.set_now(after(25))

    assert engine.call("wfg_reap") == {"retried": 0, "failed": 1, "cancelled": 0}
    job = detail(engine, run_id)["job"]
    assert (job["state"], job["error"]) == ("failure", "job_timed_out: ran longer than 25 s")


def test_timeout_is_of_each_attempt(engine):
    started(engine, retries=1, timeout=100)
    engine.claim(ttl=200)
    engine.set_now(after(100))
    engine.call("wfg_reap")
    engine.set_now(after(150))
    claim = engine.claim(ttl=200)

    assert claim["job"]["attempt"] == 1
    assert claim["lease"]["expires_at_ms"] == ms(after(250))


def test_timeout_consumes_retries_only(engine):
    run_id = started(engine, retries=1, lost_retries=5, timeout=10)
    outcomes = []
    for _ in range(2):
        engine.claim(ttl=60)
        engine.advance(10)
        outcomes.append(engine.call("wfg_reap"))

    assert [(o["retried"], o["failed"]) for o in outcomes] == [(1, 0), (0, 1)]
    assert detail(engine, run_id)["attempts"][0]["outcome"] == "job_timed_out"


def test_lease_lost_before_the_timeout_is_not_timed_out(engine):
    run_id = started(engine, retries=1, timeout=60)
    lose(engine)
    assert detail(engine, run_id)["attempts"][0]["outcome"] == "lease_expired"


def test_lease_found_late_but_past_the_timeout_is_timed_out(engine):
    run_id = started(engine, retries=1, timeout=60)
    engine.claim(ttl=10)
    engine.advance(3600)
    engine.call("wfg_reap")
    assert detail(engine, run_id)["attempts"][0]["outcome"] == "job_timed_out"


# --- backoff ---


def waits(engine, failed, count):
    """How long each of the first retries waits, in seconds."""
    found = []
    for _ in range(count):
        failed(engine)
        (entry,) = engine.query(
            "select extract(epoch from ready_at - wfg.now())::float8 as wait from wfg.queue"
        )
        found.append(entry["wait"])
        engine.advance(entry["wait"])
    return found


@pytest.mark.parametrize(
    ("backoff", "expected"),
    [
        ("none", [0, 0, 0]),
        ({"fixed": 5}, [5, 5, 5]),
        ({"exponential": {"base": 2, "max": 60}}, [2, 4, 8, 16, 32, 60, 60]),
        ({"exponential": {"base": 3}}, [3, 6, 12, 24]),
        ({"exponential": {"base": 10, "max": 10}}, [10, 10, 10]),
    ],
)
@pytest.mark.parametrize("failed", [fail, lose])
def test_retry_waits_by_the_backoff(engine, failed, backoff, expected):
    started(engine, retries=20, backoff=backoff)
    assert waits(engine, failed, len(expected)) == pytest.approx(expected)


def test_backoff_is_capped_at_an_hour_unless_said(engine):
    started(engine, retries=100, backoff={"exponential": {"base": 1}})
    found = waits(engine, fail, 100)

    assert found[:12] == pytest.approx([2.0**n for n in range(12)])
    assert found[12:] == pytest.approx([3600] * 88)


def test_timeout_waits_by_the_backoff_too(engine):
    run_id = started(engine, retries=1, timeout=10, backoff={"fixed": 7})
    engine.claim(ttl=60)
    engine.advance(10)
    engine.call("wfg_reap")

    assert detail(engine, run_id)["job"]["ready_at_ms"] == ms(after(17))


@pytest.mark.parametrize(
    ("jitter", "base", "least"),
    [(0, 100, 100), (0.25, 100, 75), (1, 100, 0), (0.5, 3600, 1800)],
)
def test_jitter_shortens_a_wait_by_up_to_its_share(engine, jitter, base, least):
    backoff = {"exponential": {"base": base, "max": base, "jitter": jitter}}
    started(engine, retries=50, backoff=backoff)
    found = waits(engine, fail, 50)

    assert all(least <= wait <= base for wait in found)
    if jitter:
        assert len(set(found)) > 40
        assert min(found) < base - (base - least) * 0.5 < max(found)


def test_retry_is_claimed_when_its_wait_is_over_and_not_before(engine):
    run_id = started(engine, retries=1, backoff={"fixed": 60})
    engine.advance(5)
    fail(engine)

    job = detail(engine, run_id)["job"]
    assert (job["state"], job["attempt"], job["ready_at_ms"]) == ("queued", 1, ms(after(65)))
    engine.set_now(after(64.999))
    assert engine.claim() is None
    engine.set_now(after(65))
    claim = engine.claim()
    assert (claim["job"]["enqueued_at_ms"], claim["job"]["delayed_until_ms"]) == (ms(after(5)), ms(after(65)))


def test_release_waits_for_nothing_and_consumes_nothing(engine):
    run_id = started(engine, retries=1, backoff={"fixed": 60})
    for _ in range(5):
        claim = engine.claim()
        assert claim["job"]["attempt"] == 0
        answer = engine.call("wfg_release_job", p_lease_id=lease_id(claim))
        assert answer["job"] == "queued"

    assert detail(engine, run_id)["attempts"] == []
    assert fail(engine) == "queued"


# --- what is left of attempts ---


def test_attempts_that_did_not_end_the_job_are_kept(engine):
    run_id = started(engine, retries=2, lost_retries=1, timeout=100)
    engine.advance(1)
    claim = engine.claim("w1")
    engine.advance(1)
    engine.fail(claim, "first", retryable=True)
    engine.claim("w2", ttl=10)
    engine.advance(10)
    engine.call("wfg_reap")
    engine.claim("w3", ttl=600)
    engine.advance(100)
    engine.call("wfg_reap")
    engine.complete(engine.claim("w4"), {"x": "1"})

    job = detail(engine, run_id)
    assert job["attempts"] == [
        {
            "attempt": 0,
            "outcome": "failure",
            "worker_id": "w1",
            "started_at_ms": ms(after(1)),
            "finished_at_ms": ms(after(2)),
            "error": "first",
        },
        {
            "attempt": 1,
            "outcome": "lease_expired",
            "worker_id": "w2",
            "started_at_ms": ms(after(2)),
            "finished_at_ms": ms(after(12)),
            "error": "lease_expired: worker w2 was not heard of for 10 s",
        },
        {
            "attempt": 2,
            "outcome": "job_timed_out",
            "worker_id": "w3",
            "started_at_ms": ms(after(12)),
            "finished_at_ms": ms(after(112)),
            "error": "job_timed_out: ran longer than 100 s",
        },
    ]
    assert (job["job"]["attempt"], job["job"]["worker_id"], job["job"]["error"]) == (3, "w4", None)


def test_attempt_that_ended_the_job_is_not_among_them(engine):
    run_id = started(engine)
    engine.fail(engine.claim(), "boom")

    job = detail(engine, run_id)
    assert job["attempts"] == []
    assert (job["job"]["state"], job["job"]["error"], job["job"]["attempt"]) == ("failure", "boom", 0)


def test_cancelled_attempt_is_kept_with_the_last_word_of_its_worker(engine):
    run_id = started(engine, retries=3)
    fail(engine)
    claim = engine.claim("w2")
    engine.advance(5)
    cancel(engine, run_id)
    before = detail(engine, run_id)
    engine.fail(claim, "interrupted", retryable=True)

    after_it = detail(engine, run_id)
    assert [(a["outcome"], a["error"]) for a in before["attempts"]] == [
        ("failure", "boom"),
        ("cancelled", None),
    ]
    assert after_it["attempts"][1] == {
        "attempt": 1,
        "outcome": "cancelled",
        "worker_id": "w2",
        "started_at_ms": ms(START),
        "finished_at_ms": ms(after(5)),
        "error": "interrupted",
    }
    assert after_it["job"]["state"] == "cancelled"


def test_times_of_a_retried_job_are_those_of_its_last_attempt(engine):
    run_id = started(engine, retries=1)
    fail(engine)
    job = detail(engine, run_id)["job"]
    assert (job["started_at_ms"], job["worker_id"], job["finished_at_ms"]) == (None, None, None)

    engine.set_now(after(10))
    claim = engine.claim("w2")
    job = detail(engine, run_id)["job"]
    assert (job["state"], job["started_at_ms"], job["worker_id"]) == ("running", ms(after(10)), "w2")
    engine.set_now(after(12))
    engine.complete(claim)
    job = detail(engine, run_id)["job"]
    assert (job["started_at_ms"], job["finished_at_ms"]) == (ms(after(10)), ms(after(12)))
