"""Workers: met at their first claim, busy with a live lease, offline after a minute of silence."""

import json

import pytest

from tests.arrange import (
    CANNOT_CAST,
    NO_IDS,
    START,
    after,
    append,
    cancel,
    chunk,
    engine_on,
    incompressible,
    ms,
    only,
    sqlstate_of,
)
from tests.engine import Raw, lease_id


@pytest.fixture(scope="module")
def refusing(new_database, template):
    with engine_on(new_database(template)) as engine:
        yield engine
        assert engine.call("wfg_list_workers") == []


def register(engine, worker="w1", labels=()):
    return engine.call("wfg_register_worker", p_worker_id=worker, p_labels=list(labels))


def heartbeat(engine, worker="w1"):
    return engine.call("wfg_heartbeat_worker", p_worker_id=worker)


def workers(engine):
    return {worker["worker_id"]: worker for worker in engine.call("wfg_list_workers")}


def status(engine, worker="w1"):
    return workers(engine)[worker]["status"]


def seen(engine, worker="w1"):
    return workers(engine)[worker]["last_heartbeat_ms"]


# --- shapes ---


def test_worker_is_shown_as_the_compatible_clients_expect(engine):
    engine.set_now(START)
    engine.put(jobs=only("build", labels=["linux"]))
    engine.start()
    assert register(engine, "w1", ["linux", "big"]) == {"worker_id": "w1", "labels": ["linux", "big"]}
    engine.advance(10)
    engine.claim("w1", labels=["linux", "big"])

    assert json.dumps(json.loads(engine.call_text("wfg_list_workers"))) == json.dumps(
        [
            {
                "worker_id": "w1",
                "labels": ["linux", "big"],
                "registered_at_ms": ms(START),
                "last_heartbeat_ms": ms(after(10)),
                "current_job": "build",
                "status": "busy",
            }
        ]
    )


def test_no_workers_are_an_empty_list(engine):
    assert engine.call_text("wfg_list_workers") == "[]"


def test_workers_stand_in_the_order_of_registration(engine):
    engine.set_now(START)
    for name in ("z", "a", "m"):
        register(engine, name)
        engine.advance(1)
    engine.claim("b")

    assert list(workers(engine)) == ["z", "a", "m", "b"]


# --- becoming known ---


def test_first_claim_makes_a_worker_known(engine):
    engine.set_now(START)
    assert engine.claim("w1", labels=["b", "a"]) is None

    worker = workers(engine)["w1"]
    assert (worker["labels"], worker["status"], worker["registered_at_ms"]) == (["b", "a"], "idle", ms(START))


def test_first_batch_makes_a_worker_known(engine):
    engine.claim_many(5, worker="w1")
    assert status(engine) == "idle"


def test_registering_again_takes_the_new_labels(engine):
    engine.set_now(START)
    register(engine, labels=["a"])
    engine.advance(60)
    register(engine, labels=["b"])

    worker = workers(engine)["w1"]
    assert (worker["labels"], worker["registered_at_ms"]) == (["b"], ms(after(60)))


def test_registering_again_does_not_touch_what_runs(engine):
    engine.put(jobs=only("a"))
    engine.start()
    claim = engine.claim("w1")
    register(engine, "w1")

    assert (status(engine), workers(engine)["w1"]["current_job"]) == ("busy", "a")
    assert engine.complete(claim)["job"] == "success"


def test_labels_shown_are_those_of_the_last_claim(engine):
    engine.set_now(START)
    register(engine, labels=["a"])
    engine.claim("w1", labels=["b"])
    assert workers(engine)["w1"]["labels"] == ["b"]


# --- busy, idle, offline ---


def test_worker_is_busy_while_it_holds_a_lease(engine):
    engine.put(jobs=only("a", "b"))
    engine.start()
    claims = [engine.claim("w1"), engine.claim("w1")]
    assert (status(engine), workers(engine)["w1"]["current_job"]) == ("busy", "b")

    engine.complete(claims[1])
    assert (status(engine), workers(engine)["w1"]["current_job"]) == ("busy", "a")
    engine.complete(claims[0])
    assert (status(engine), workers(engine)["w1"]["current_job"]) == ("idle", None)


def completed(engine, claim):
    engine.complete(claim)


def failed(engine, claim):
    engine.fail(claim)


def retried(engine, claim):
    engine.fail(claim, retryable=True)


def released(engine, claim):
    engine.call("wfg_release_job", p_lease_id=lease_id(claim))


def cancelled(engine, claim):
    cancel(engine, claim["job"]["run_id"])


def expired(engine, claim):
    engine.advance(30)


@pytest.mark.parametrize("ended", [completed, failed, retried, released, cancelled, expired])
def test_worker_is_idle_when_its_lease_is_over(engine, ended):
    engine.set_now(START)
    engine.put(jobs=only("a", retries=1))
    engine.start()
    claim = engine.claim("w1", ttl=30)
    ended(engine, claim)

    assert (status(engine), workers(engine)["w1"]["current_job"]) == ("idle", None)


def test_worker_is_offline_after_a_minute_of_silence(engine):
    engine.set_now(START)
    register(engine)
    engine.set_now(after(60))
    assert status(engine) == "idle"
    engine.set_now(after(60.001))
    assert status(engine) == "offline"
    heartbeat(engine)
    assert status(engine) == "idle"


def test_worker_with_a_live_lease_is_never_offline(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    engine.start()
    engine.claim("w1", ttl=3600)
    engine.set_now(after(3599))
    assert status(engine) == "busy"
    engine.set_now(after(3600))
    assert status(engine) == "offline"


CONTACTS = {
    "heartbeat": lambda engine, claim: heartbeat(engine),
    "register": lambda engine, claim: register(engine),
    "claim": lambda engine, claim: engine.claim("w1"),
    "renew": lambda engine, claim: engine.call("wfg_renew_lease", p_lease_id=lease_id(claim)),
    "logs": lambda engine, claim: append(engine, claim, chunk(claim)),
    "complete": lambda engine, claim: engine.complete(claim),
    "fail": lambda engine, claim: engine.fail(claim),
    "release": lambda engine, claim: engine.call("wfg_release_job", p_lease_id=lease_id(claim)),
    "report": lambda engine, claim: engine.call(
        "wfg_report_jobs", p_reports=[{"lease_id": lease_id(claim), "outcome": "success"}]
    ),
}


@pytest.mark.parametrize("contact", CONTACTS)
def test_any_contact_is_a_sign_of_life_of_that_worker(engine, contact):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    engine.start()
    register(engine, "other")
    claim = engine.claim("w1", ttl=3600)
    engine.set_now(after(100))
    CONTACTS[contact](engine, claim)

    assert (seen(engine, "w1"), seen(engine, "other")) == (ms(after(100)), ms(START))


def test_contact_within_seconds_is_not_written(engine):
    engine.set_now(START)
    register(engine)
    before = engine.query("select xmin, ctid from wfg.workers")
    engine.set_now(after(5))
    heartbeat(engine)
    assert engine.query("select xmin, ctid from wfg.workers") == before
    engine.set_now(after(5.001))
    heartbeat(engine)
    assert seen(engine) == ms(after(5.001))


def test_answer_of_a_heartbeat(engine):
    register(engine)
    assert heartbeat(engine) == {"worker_id": "w1"}


# --- deregistering ---


def test_deregistered_worker_is_forgotten(engine):
    register(engine)
    register(engine, "w2")

    assert engine.call("wfg_deregister_worker", p_worker_id="w1") == {"worker_id": "w1", "deregistered": True}
    assert list(workers(engine)) == ["w2"]
    engine.fails("wfg_heartbeat_worker", p_worker_id="w1", status=404, slug="worker_not_found")
    engine.fails("wfg_deregister_worker", p_worker_id="w1", status=404, slug="worker_not_found")


def test_leases_outlive_their_worker(engine):
    engine.put(jobs=only("a"))
    engine.start()
    claim = engine.claim("w1")
    engine.call("wfg_deregister_worker", p_worker_id="w1")
    assert workers(engine) == {}

    engine.call("wfg_renew_lease", p_lease_id=lease_id(claim))
    append(engine, claim, chunk(claim))
    assert engine.complete(claim) == {"job": "success", "run": "success"}
    assert workers(engine) == {}


def test_worker_that_claims_again_is_known_again(engine):
    register(engine)
    engine.call("wfg_deregister_worker", p_worker_id="w1")
    engine.claim("w1")
    assert status(engine) == "idle"


# --- bad input ---


@pytest.mark.parametrize("name", NO_IDS)
def test_unknown_worker_is_not_found(refusing, name):
    for function in ("wfg_heartbeat_worker", "wfg_deregister_worker"):
        diag = refusing.fails(function, p_worker_id=NO_IDS[name], status=404, slug="worker_not_found")
        assert len(diag.message_detail) < 1000


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("p_worker_id", None),
        ("p_worker_id", ""),
        ("p_worker_id", "w" * 201),
        ("p_worker_id", "w" * 1_000_000),
        ("p_labels", None),
        ("p_labels", Raw("null")),
        ("p_labels", Raw("{}")),
        ("p_labels", Raw('"linux"')),
        ("p_labels", [1]),
        ("p_labels", [None]),
        ("p_labels", [["linux"]]),
        ("p_labels", ["x" * 201]),
        ("p_labels", [str(n) for n in range(101)]),
        ("p_labels", incompressible(100, 200)),
    ],
)
def test_bad_argument_is_named(refusing, param, value):
    good = {"p_worker_id": "w1", "p_labels": []}
    diag = refusing.fails("wfg_register_worker", status=422, slug="invalid_request", **{**good, param: value})
    assert diag.message_detail.startswith(f"{param}:")


@pytest.mark.parametrize("text", ["", "linux", '["a"', '["\\u0000"]'])
def test_what_is_no_json_is_refused_by_postgres(refusing, text):
    assert sqlstate_of(refusing, "wfg_register_worker", p_worker_id="w1", p_labels=Raw(text)) in CANNOT_CAST


def test_odd_ids_are_taken(engine):
    for worker in ("w" * 200, "\U0001f600", "'; drop table wfg.workers; --", "a/b", " "):
        register(engine, worker)
        assert heartbeat(engine, worker) == {"worker_id": worker}
        assert engine.call("wfg_deregister_worker", p_worker_id=worker)["worker_id"] == worker
