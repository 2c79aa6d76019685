"""What a lease answers: every call, in every state of a lease, at both doors (sql/README.md)."""

from uuid import UUID

import psycopg
import pytest

from tests.arrange import (
    DOORS,
    START,
    after,
    append,
    cancel,
    chunk,
    ms,
    no_leases,
    only,
    run_by,
)
from tests.engine import Engine, lease_id

CALLS = {
    "renew": lambda engine, claim: engine.call("wfg_renew_lease", p_lease_id=lease_id(claim)),
    "complete": lambda engine, claim: engine.complete(claim, {"x": "1"}),
    "fail": lambda engine, claim: engine.fail(claim, "boom"),
    "release": lambda engine, claim: engine.call("wfg_release_job", p_lease_id=lease_id(claim)),
    "logs": lambda engine, claim: append(engine, claim, chunk(claim)),
}

# --- states of a lease, for five jobs with one retry, a TTL of 30 s and a timeout of 300 s ---


def live(engine: Engine, run_id: str) -> None:
    engine.set_now(after(29.999))


def cancelled(engine: Engine, run_id: str) -> None:
    engine.set_now(after(10))
    cancel(engine, run_id)
    engine.set_now(after(29.999))


def cancelled_job_by_job(engine: Engine, run_id: str) -> None:
    for name in CALLS:
        engine.call("wfg_cancel_job", p_run_id=run_id, p_job_id=name)


def cancelled_and_expired(engine: Engine, run_id: str) -> None:
    cancel(engine, run_id)
    engine.set_now(after(30))


def cancelled_and_reaped(engine: Engine, run_id: str) -> None:
    cancel(engine, run_id)
    engine.set_now(after(30))
    engine.call("wfg_reap")


def expired(engine: Engine, run_id: str) -> None:
    engine.set_now(after(30))


def retried(engine: Engine, run_id: str) -> None:
    engine.set_now(after(30))
    engine.call("wfg_reap")


def superseded(engine: Engine, run_id: str) -> None:
    engine.set_now(after(30))
    assert len(engine.claim_many(10, worker="other")) == 5


def failed(engine: Engine, run_id: str) -> None:
    superseded(engine, run_id)
    engine.set_now(after(60))
    engine.call("wfg_reap")
    assert engine.state(run_id) == "failure"


def pruned(engine: Engine, run_id: str) -> None:
    failed(engine, run_id)
    engine.set_now(after(3600))
    assert engine.call("wfg_prune", p_older_than_secs=1)["runs"] == 1


def released(engine: Engine, run_id: str) -> None:
    for row in engine.query("select wfg.lease_id(run_id, job_no, lease_nonce) as id from wfg.queue"):
        engine.call("wfg_release_job", p_lease_id=row["id"])


NOT_HELD = dict.fromkeys(CALLS, "lease_not_held")
ANSWERS = {
    live: {
        "renew": {"lease_expires_at_ms": ms(after(59.999)), "stop": None},
        "complete": {"job": "success", "run": "running"},
        "fail": {"job": "failure", "run": "running"},
        "release": {"job": "queued", "run": "running"},
        "logs": {"accepted": 1, "truncated": False},
    },
    cancelled: {
        "renew": {"lease_expires_at_ms": ms(after(30)), "stop": "cancelled"},
        "complete": "lease_cancelled",
        "fail": {"job": "cancelled", "run": "cancelled"},
        "release": {"job": "cancelled", "run": "cancelled"},
        "logs": {"accepted": 1, "truncated": False},
    },
    cancelled_job_by_job: {
        "renew": {"lease_expires_at_ms": ms(after(30)), "stop": "cancelled"},
        "complete": "lease_cancelled",
        "fail": {"job": "cancelled", "run": "failure"},
        "release": {"job": "cancelled", "run": "failure"},
        "logs": {"accepted": 1, "truncated": False},
    },
    cancelled_and_expired: NOT_HELD,
    cancelled_and_reaped: NOT_HELD,
    expired: NOT_HELD,
    retried: NOT_HELD,
    superseded: NOT_HELD,
    failed: NOT_HELD,
    pruned: NOT_HELD,
    released: NOT_HELD,
}


def leases(engine: Engine, door: str) -> tuple[str, dict[str, dict]]:
    """A run with a running job per call, and their claims."""
    engine.set_now(START)
    engine.put(jobs=only(*CALLS, retries=1, timeout=300))
    run_id = run_by(engine, door)
    return run_id, {claim["job"]["job_id"]: claim for claim in engine.claim_many(10)}


def stored(engine: Engine) -> list:
    tables = ("jobs", "queue", "attempts", "log_chunks", "outputs", "runs")
    return [engine.query(f"select * from wfg.{table} t order by t::text") for table in tables]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("state", ANSWERS)
def test_answer_of_a_lease(engine, state, door):
    run_id, claims = leases(engine, door)
    state(engine, run_id)

    for name, call in CALLS.items():
        expected = ANSWERS[state][name]
        if isinstance(expected, dict):
            answer = call(engine, claims[name])
            assert (list(answer), answer) == (list(expected), expected), name
            continue

        before = stored(engine)
        with pytest.raises(psycopg.Error) as caught:
            call(engine, claims[name])
        assert (caught.value.sqlstate, caught.value.diag.message_primary) == ("PT409", expected), name
        assert caught.value.diag.message_detail
        assert caught.value.diag.message_hint
        assert stored(engine) == before, f"{name} was refused and stored something"


@pytest.mark.parametrize("function", ["wfg_renew_lease", "wfg_release_job", "wfg_complete_job"])
def test_what_is_no_lease_id_is_not_held(engine, function):
    engine.put(jobs=only("a"))
    engine.start()
    claim = engine.claim()
    for name, text in no_leases(lease_id(claim)).items():
        diag = engine.fails(function, p_lease_id=text, status=409, slug="lease_not_held")
        assert len(diag.message_detail) < 200, name

    assert engine.complete(claim)["run"] == "success"


def test_what_is_no_lease_id_cannot_fail(engine):
    engine.put(jobs=only("a"))
    engine.start()
    claim = engine.claim()
    for text in no_leases(lease_id(claim)).values():
        engine.fails("wfg_fail_job", p_lease_id=text, p_error="", status=409, slug="lease_not_held")

    assert engine.complete(claim)["run"] == "success"


def test_what_is_no_lease_id_cannot_append(engine):
    engine.put(jobs=only("a"))
    run_id = engine.start()
    claim = engine.claim()
    for text in no_leases(lease_id(claim)).values():
        for chunks in ([], [chunk(claim)]):
            engine.fails(
                "wfg_append_logs", p_lease_id=text, p_chunks=chunks, status=409, slug="lease_not_held"
            )

    assert engine.call("wfg_list_logs", p_workflow_id=run_id, p_job_id="a") == []


def test_what_is_no_lease_id_is_not_held_in_a_batch_either(engine):
    engine.put(jobs=only("a"))
    engine.start()
    claim = engine.claim()
    texts = [text for text in no_leases(lease_id(claim)).values() if text is not None]
    reports = [{"lease_id": text, "outcome": "success"} for text in texts]

    assert engine.call("wfg_report_jobs", p_reports=reports) == [
        {"lease_id": text, "ok": False, "message": "lease_not_held"} for text in texts
    ]
    assert engine.complete(claim)["run"] == "success"


# --- a report sent again ---


def completed(engine, claim):
    engine.complete(claim)


def failed_for_good(engine, claim):
    engine.fail(claim)


def failed_and_retried(engine, claim):
    engine.fail(claim, retryable=True)


def acknowledged_by_fail(engine, claim):
    cancel(engine, claim["job"]["run_id"])
    engine.fail(claim)


def acknowledged_by_release(engine, claim):
    cancel(engine, claim["job"]["run_id"])
    engine.call("wfg_release_job", p_lease_id=lease_id(claim))


REPORTED = {
    completed: "success",
    failed_for_good: "failure",
    failed_and_retried: "queued",
    acknowledged_by_fail: "cancelled",
    acknowledged_by_release: "cancelled",
}


@pytest.mark.parametrize("reported", REPORTED)
def test_repeat_of_a_report_is_told_from_a_lost_lease(engine, reported):
    engine.put(jobs=only("a", retries=1))
    run_id = engine.start()
    claim = engine.claim()
    reported(engine, claim)
    before = stored(engine)
    lease = {"p_lease_id": lease_id(claim), "status": 409}

    for function, more in (
        ("wfg_complete_job", {"p_outputs": {"again": "1"}}),
        ("wfg_fail_job", {"p_error": "again", "p_retryable": True}),
        ("wfg_release_job", {}),
    ):
        diag = engine.fails(function, **lease, **more, slug="already_reported")
        assert diag.message_detail == f"The job is {REPORTED[reported]}."
    engine.fails("wfg_renew_lease", **lease, slug="lease_not_held")
    engine.fails("wfg_append_logs", **lease, p_chunks=[chunk(claim)], slug="lease_not_held")

    assert stored(engine) == before
    assert engine.jobs(run_id) == {"a": REPORTED[reported]}


def test_repeat_is_known_after_the_next_attempt_has_ended(engine):
    engine.put(jobs=only("a", retries=1))
    engine.start()
    first = engine.claim()
    engine.fail(first, retryable=True)
    engine.complete(engine.claim())

    diag = engine.fails(
        "wfg_fail_job", p_lease_id=lease_id(first), p_error="", status=409, slug="already_reported"
    )
    assert diag.message_detail == "The job is success."


def test_lease_that_was_never_reported_has_no_repeat(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    engine.start()
    claim = engine.claim()
    engine.advance(30)
    engine.call("wfg_reap")

    diag = engine.fails("wfg_complete_job", p_lease_id=lease_id(claim), status=409, slug="lease_not_held")
    assert diag.message_detail == "The job is failure."


def test_lease_given_back_is_not_held_any_more(engine):
    engine.put(jobs=only("a"))
    engine.start()
    claim = engine.claim()
    engine.call("wfg_release_job", p_lease_id=lease_id(claim))

    engine.fails("wfg_release_job", p_lease_id=lease_id(claim), status=409, slug="lease_not_held")
    engine.fails("wfg_complete_job", p_lease_id=lease_id(claim), status=409, slug="lease_not_held")


# --- renewing ---


@pytest.mark.parametrize("ttl", [1, 5, 600, 86400])
def test_lease_is_renewed_by_its_own_time_to_live(engine, ttl):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    engine.start()
    claim = engine.claim(ttl=ttl)

    at = START
    for _ in range(3):
        at = engine.advance(ttl * 0.75)
        assert engine.call("wfg_renew_lease", p_lease_id=lease_id(claim)) == {
            "lease_expires_at_ms": int(at.timestamp() * 1000 + ttl * 1000),
            "stop": None,
        }
    engine.advance(ttl * 0.999)
    assert engine.complete(claim)["job"] == "success"


def test_lease_cannot_be_renewed_beyond_the_timeout(engine):
    engine.set_now(START)
    engine.put(jobs=only("a", timeout=40))
    engine.start()
    claim = engine.claim(ttl=30)

    for at, expires in ((5, 35), (20, 40), (39, 40)):
        engine.set_now(after(at))
        answer = engine.call("wfg_renew_lease", p_lease_id=lease_id(claim))
        assert answer == {"lease_expires_at_ms": ms(after(expires)), "stop": None}
    engine.set_now(after(40))
    engine.fails("wfg_renew_lease", p_lease_id=lease_id(claim), status=409, slug="lease_not_held")


def test_renewed_lease_keeps_others_away(engine):
    engine.set_now(START)
    engine.put(jobs=only("a", retries=9))
    engine.start()
    claim = engine.claim("w1")
    for _ in range(5):
        engine.advance(29)
        engine.call("wfg_renew_lease", p_lease_id=lease_id(claim))
        assert engine.claim("w2") is None
        assert engine.call("wfg_reap") == {"retried": 0, "failed": 0, "cancelled": 0}

    assert engine.complete(claim)["job"] == "success"


@pytest.mark.parametrize(("ttl", "left"), [(5, 5), (60, 60), (61, 60), (86400, 60)])
def test_cancelling_cuts_a_lease_to_sixty_seconds(engine, ttl, left):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    run_id = engine.start()
    claim = engine.claim(ttl=ttl)
    cancel(engine, run_id)

    for at in (0, left / 2, left - 0.001):
        engine.set_now(after(at))
        assert engine.call("wfg_renew_lease", p_lease_id=lease_id(claim)) == {
            "lease_expires_at_ms": ms(after(left)),
            "stop": "cancelled",
        }
    engine.set_now(after(left))
    engine.fails("wfg_renew_lease", p_lease_id=lease_id(claim), status=409, slug="lease_not_held")


def test_lease_is_held_only_by_who_knows_it(engine):
    engine.put(jobs=only(*"abcdefgh"))
    engine.start()
    nonces = {lease_id(claim).split(".")[2] for claim in engine.claim_many(8)}
    assert len(nonces) == 8
    assert {UUID(nonce).version for nonce in nonces} == {4}  # 122 random bits
