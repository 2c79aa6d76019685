"""wfg_start_run: any number of runs, inputs, a later start, who and why."""

import json
import re
import uuid

import pytest

from tests.arrange import (
    CANNOT_CAST,
    INPUTS,
    NO_IDS,
    NO_OBJECTS,
    START,
    after,
    chain,
    drain,
    ms,
    only,
    sqlstate_of,
    starting_nothing,
)
from tests.engine import Raw


@pytest.fixture(scope="module")
def refusing(new_database, template):
    """For calls that start nothing."""
    with starting_nothing(new_database(template)) as engine:
        yield engine


def test_answer_names_run_workflow_and_version(engine):
    engine.put(jobs=only("a"))

    text = engine.call_text("wfg_start_run", p_workflow_id="wf")
    answer = json.loads(text)
    assert list(answer) == ["run_id", "workflow_id", "version", "created"]
    assert answer == {"run_id": answer["run_id"], "workflow_id": "wf", "version": 1, "created": True}


def test_run_id_is_a_uuid_v7_of_the_time_of_creation(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))

    run_id = uuid.UUID(engine.start())
    assert run_id.version == 7
    assert run_id.int >> 80 == ms(START)


def test_run_ids_sort_by_time(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    started = []
    for _ in range(20):
        started.append(engine.start())
        engine.advance(0.001)

    assert started == sorted(started)


def test_any_number_of_runs_of_a_workflow_are_active_at_once(engine):
    engine.put(jobs=only("a"))
    started = {engine.start() for _ in range(5)}

    assert len(started) == 5
    assert {claim["job"]["run_id"] for claim in engine.claim_many(10)} == started


def test_jobs_without_dependencies_are_ready_and_others_wait(engine):
    engine.put(jobs=chain(2))
    run_id = engine.start()

    jobs = engine.call("wfg_get_run", p_run_id=run_id)["jobs"]
    assert [(job["state"], job["ready_at_ms"] is None) for job in jobs] == [
        ("queued", False),
        ("queued", True),
    ]
    assert [claim["job"]["job_id"] for claim in engine.claim_many(10)] == ["j1"]


def test_run_without_jobs_is_a_success_at_once(engine):
    engine.set_now(START)
    engine.put(jobs={})

    run = engine.call("wfg_get_run", p_run_id=engine.start())
    assert (run["state"], run["jobs"]) == ("success", [])
    assert run["created_at_ms"] == run["finished_at_ms"] == ms(START)
    assert run["started_at_ms"] is None


def test_run_keeps_the_version_it_was_started_with(engine):
    engine.put(jobs=only("a"))
    old = engine.start()
    engine.put(jobs=only("a", "b"))
    new = engine.call("wfg_start_run", p_workflow_id="wf")

    assert new["version"] == 2
    assert engine.call("wfg_get_run", p_run_id=old)["version"] == 1
    assert sorted(drain(engine)) == ["a", "a", "b"]
    assert (engine.jobs(old), engine.jobs(new["run_id"])) == (
        {"a": "success"},
        {"a": "success", "b": "success"},
    )


def test_active_run_outlives_its_workflow(engine):
    engine.put(jobs=chain(2))
    run_id = engine.start()
    engine.call("wfg_delete_workflow", p_workflow_id="wf")

    assert drain(engine) == ["j1", "j2"]
    assert engine.state(run_id) == "success"


# --- who is meant ---


@pytest.mark.parametrize("name", NO_IDS)
def test_unknown_workflow_is_not_found(refusing, name):
    refusing.fails("wfg_start_run", p_workflow_id=NO_IDS[name], status=404, slug="workflow_not_found")


def test_deleted_workflow_is_not_found(engine):
    engine.put(jobs=only("a"))
    engine.call("wfg_delete_workflow", p_workflow_id="wf")

    engine.fails("wfg_start_run", p_workflow_id="wf", status=404, slug="workflow_not_found")


def test_id_of_a_run_is_no_workflow(engine):
    engine.put(jobs=only("a"))
    run_id = engine.start()

    engine.fails("wfg_start_run", p_workflow_id=run_id, status=404, slug="workflow_not_found")


# --- inputs ---


def inputs_of(engine, sent):
    run_id = engine.start(inputs=sent)
    claim = engine.claim()
    run = engine.call("wfg_get_run", p_run_id=run_id)
    assert claim["job"]["inputs"] == run["inputs"]
    engine.complete(claim)
    return run["inputs"], claim["job"]["env"]


def test_defaults_are_filled_in(engine):
    engine.put(jobs=only("a"), inputs=INPUTS)
    inputs, env = inputs_of(engine, {"who": "me"})

    assert inputs == {"who": "me", "count": 3, "env": "dev"}
    assert env == {"INPUT_WHO": "me", "INPUT_COUNT": "3", "INPUT_ENV": "dev"}


def test_inputs_take_their_declared_types(engine):
    engine.put(jobs=only("a"), inputs=INPUTS)

    assert inputs_of(engine, {"who": "", "count": "-1.5e3", "dry": "true", "env": "prod"})[0] == {
        "who": "",
        "count": -1500,
        "dry": True,
        "env": "prod",
    }
    assert inputs_of(engine, {"who": "it's \u00fc\n", "count": 0, "dry": False})[0] == {
        "who": "it's \u00fc\n",
        "count": 0,
        "dry": False,
        "env": "dev",
    }


def test_null_input_means_its_default(engine):
    engine.put(jobs=only("a"), inputs=INPUTS)
    assert inputs_of(engine, {"who": "me", "count": None})[0]["count"] == 3


def test_input_of_a_megabyte_reaches_the_job(engine):
    engine.put(jobs=only("a"), inputs=INPUTS)
    inputs, env = inputs_of(engine, {"who": "x" * 1_000_000})

    assert len(inputs["who"]) == 1_000_000
    assert "INPUT_WHO" not in env


def test_null_inputs_mean_none(engine):
    engine.put(jobs=only("a"))
    run_id = engine.start(inputs=None)
    assert engine.call("wfg_get_run", p_run_id=run_id)["inputs"] == {}


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ({}, "who"),
        ({"who": None}, "who"),
        ({"who": 1}, "who"),
        ({"who": ["me"]}, "who"),
        ({"who": "me", "count": "many"}, "count"),
        ({"who": "me", "count": "1;2"}, "count"),
        ({"who": "me", "count": " 1"}, "count"),
        ({"who": "me", "count": "NaN"}, "count"),
        ({"who": "me", "count": "0x10"}, "count"),
        ({"who": "me", "count": "1e999999"}, "count"),
        ({"who": "me", "count": True}, "count"),
        ({"who": "me", "dry": "yes"}, "dry"),
        ({"who": "me", "dry": 1}, "dry"),
        ({"who": "me", "env": "test"}, "env"),
        ({"who": "me", "env": ["dev"]}, "env"),
        ({"who": "me", "WHO": "you"}, "WHO"),
        ({"who": "me", "": ""}, ""),
        ({"who": "me", "'; drop table wfg.runs; --": 1}, "'; drop table wfg.runs; --"),
    ],
)
def test_bad_input_is_named(refusing, sent, named):
    diag = refusing.fails(
        "wfg_start_run", p_workflow_id="wf", p_inputs=sent, status=422, slug="invalid_request"
    )
    assert f"p_inputs.{named}:" in diag.message_detail


def test_all_bad_inputs_are_named_at_once(refusing):
    diag = refusing.fails(
        "wfg_start_run",
        p_workflow_id="wf",
        p_inputs={"count": "x", "dry": 2, "env": "qa", "more": 1},
        status=422,
        slug="invalid_request",
    )
    assert set(re.findall(r"p_inputs\.(\w+):", diag.message_detail)) == {"who", "count", "dry", "env", "more"}


@pytest.mark.parametrize("sent", NO_OBJECTS)
def test_inputs_must_be_an_object(refusing, sent):
    diag = refusing.fails(
        "wfg_start_run", p_workflow_id="plain", p_inputs=Raw(sent), status=422, slug="invalid_request"
    )
    assert diag.message_detail.startswith("p_inputs:")


@pytest.mark.parametrize(
    "sent", ["", "{", "{'a':1}", '{"a":1}}', '{"a":\\u0000}', '{"a":"\\u0000"}', "NaN", "\ufeff{}"]
)
def test_what_is_no_json_is_refused_by_postgres(refusing, sent):
    assert sqlstate_of(refusing, "wfg_start_run", p_workflow_id="plain", p_inputs=Raw(sent)) in CANNOT_CAST


# --- when ---


def test_no_job_is_claimed_before_the_start(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    run_id = engine.start(start_at=after(3600))

    run = engine.call("wfg_get_run", p_run_id=run_id)
    assert (run["state"], run["start_at_ms"], run["started_at_ms"]) == ("queued", ms(after(3600)), None)
    assert run["jobs"][0]["ready_at_ms"] == ms(after(3600))

    engine.set_now(after(3599.999))
    assert engine.claim() is None
    engine.set_now(after(3600))
    claim = engine.claim()
    assert claim["job"]["run_id"] == run_id
    assert (claim["job"]["enqueued_at_ms"], claim["job"]["delayed_until_ms"]) == (ms(START), ms(after(3600)))


def test_start_in_the_past_is_now(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    run_id = engine.start(start_at=after(-3600))

    assert engine.call("wfg_get_run", p_run_id=run_id)["start_at_ms"] == ms(after(-3600))
    assert engine.claim()["job"]["delayed_until_ms"] == 0


@pytest.mark.parametrize("at", ["infinity", "-infinity"])
def test_start_must_be_finite(refusing, at):
    diag = refusing.fails(
        "wfg_start_run", p_workflow_id="plain", p_start_at=at, status=422, slug="invalid_request"
    )
    assert diag.message_detail.startswith("p_start_at:")


@pytest.mark.parametrize("at", ["", "soon", "2030-13-01", "999999-01-01", "1893456000000000000"])
def test_what_is_no_time_is_refused_by_postgres(refusing, at):
    assert sqlstate_of(refusing, "wfg_start_run", p_workflow_id="plain", p_start_at=at) in CANNOT_CAST


# --- who and why ---


def test_who_and_why_are_kept(engine):
    engine.put(jobs=only("a"))
    run_id = engine.start(started_by="ada", reason="because \U0001f600")

    run = engine.call("wfg_get_run", p_run_id=run_id)
    assert (run["started_by"], run["reason"]) == ("ada", "because \U0001f600")


@pytest.mark.parametrize(
    ("param", "longest"), [("p_idempotency_key", 200), ("p_started_by", 200), ("p_reason", 2000)]
)
def test_texts_have_a_length(engine, param, longest):
    engine.put(jobs=only("a"))
    for text in ("", "x" * (longest + 1), "x" * 1_000_000):
        diag = engine.fails(
            "wfg_start_run", p_workflow_id="wf", status=422, slug="invalid_request", **{param: text}
        )
        assert diag.message_detail == f"{param}: must be 1 to {longest} characters"

    assert engine.call("wfg_start_run", p_workflow_id="wf", **{param: "\u00fc" * longest})["created"]


def test_null_means_nothing_special(engine):
    engine.put(jobs=only("a"))
    run_id = engine.start(inputs=None, idempotency_key=None, start_at=None, started_by=None, reason=None)

    run = engine.call("wfg_get_run", p_run_id=run_id)
    assert [run[key] for key in ("start_at_ms", "idempotency_key", "started_by", "reason")] == [None] * 4
    assert engine.claim() is not None
