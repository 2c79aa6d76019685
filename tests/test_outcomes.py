"""How jobs and runs end: skips, joins, wide runs, and large graphs in seconds."""

import time

import pytest

from tests.arrange import START, after, chain, drain, fan, join, ms, only
from tests.engine import lease_id

DIAMOND = {
    "a": {"run": "true"},
    "b": {"run": "true", "needs": "a"},
    "c": {"run": "true", "needs": "a"},
    "d": {"run": "true", "needs": ["b", "c"]},
}


def started(engine, jobs):
    engine.put(jobs=jobs)
    return engine.start()


def claims_by_name(engine, limit=1000):
    return {claim["job"]["job_id"]: claim for claim in engine.claim_many(limit)}


def test_run_is_queued_until_its_first_lease_and_running_until_its_end(engine):
    run_id = started(engine, chain(2))
    states = [engine.state(run_id)]
    for _ in range(2):
        claim = engine.claim()
        states.append(engine.state(run_id))
        engine.complete(claim)
        states.append(engine.state(run_id))

    assert states == ["queued", "running", "running", "running", "success"]


def test_run_waiting_for_a_retry_is_running(engine):
    engine.set_now(START)
    run_id = started(engine, only("a", retries=1, backoff={"fixed": 60}))
    engine.fail(engine.claim(), retryable=True)

    assert (engine.state(run_id), engine.jobs(run_id)) == ("running", {"a": "queued"})


def test_times_of_a_run_are_those_of_its_jobs(engine):
    engine.set_now(START)
    run_id = started(engine, chain(2))
    engine.set_now(after(10))
    first = engine.claim()
    engine.set_now(after(20))
    engine.complete(first)
    engine.set_now(after(30))
    second = engine.claim()
    engine.set_now(after(40))
    engine.complete(second)

    run = engine.call("wfg_get_run", p_run_id=run_id)
    assert [run[f"{key}_at_ms"] for key in ("created", "started", "finished")] == [
        ms(START),
        ms(after(10)),
        ms(after(40)),
    ]
    assert [(job["started_at_ms"], job["finished_at_ms"]) for job in run["jobs"]] == [
        (ms(after(10)), ms(after(20))),
        (ms(after(30)), ms(after(40))),
    ]


def test_child_waits_for_all_its_parents(engine):
    run_id = started(engine, DIAMOND)
    engine.complete(engine.claim())
    claims = claims_by_name(engine)
    assert set(claims) == {"b", "c"}

    engine.complete(claims["c"])
    assert engine.claim() is None
    engine.complete(claims["b"])
    assert drain(engine) == ["d"]
    assert engine.state(run_id) == "success"


def test_failure_skips_all_that_depends_on_it(engine):
    run_id = started(engine, DIAMOND)
    engine.fail(engine.claim())

    assert engine.jobs(run_id) == {"a": "failure", "b": "skipped", "c": "skipped", "d": "skipped"}
    assert engine.state(run_id) == "failure"
    assert engine.claim() is None


def test_failure_leaves_alone_what_does_not_depend_on_it(engine):
    run_id = started(engine, {**DIAMOND, "e": {"run": "true", "needs": "c"}})
    engine.complete(engine.claim())
    claims = claims_by_name(engine)
    engine.fail(claims["b"])

    assert engine.jobs(run_id) == {
        "a": "success",
        "b": "failure",
        "c": "running",
        "d": "skipped",
        "e": "queued",
    }
    assert engine.state(run_id) == "running"
    engine.complete(claims["c"])
    assert drain(engine) == ["e"]
    assert engine.state(run_id) == "failure"


def test_run_lasts_until_its_last_job_though_all_its_sinks_have_ended(engine):
    run_id = started(engine, {**only("a", "b"), "c": {"run": "true", "needs": ["a", "b"]}})
    claims = claims_by_name(engine)
    engine.fail(claims["a"])

    assert engine.jobs(run_id) == {"a": "failure", "b": "running", "c": "skipped"}
    assert engine.state(run_id) == "running"
    assert engine.complete(claims["b"]) == {"job": "success", "run": "failure"}


def test_second_failure_skips_nothing_twice(engine):
    run_id = started(engine, {**only("a", "b"), "c": {"run": "true", "needs": ["a", "b"]}})
    claims = claims_by_name(engine)
    engine.fail(claims["a"])

    assert engine.fail(claims["b"]) == {"job": "failure", "run": "failure"}
    assert engine.jobs(run_id) == {"a": "failure", "b": "failure", "c": "skipped"}


def test_skipped_job_has_a_finish_and_no_start(engine):
    engine.set_now(START)
    run_id = started(engine, chain(2))
    claim = engine.claim()
    engine.advance(3)
    engine.fail(claim)

    job = engine.call("wfg_get_run", p_run_id=run_id)["jobs"][1]
    assert (job["state"], job["started_at_ms"], job["finished_at_ms"]) == ("skipped", None, ms(after(3)))
    assert (job["worker_id"], job["error"], job["ready_at_ms"]) == (None, None, None)


@pytest.mark.parametrize(
    ("ends", "outcome"),
    [
        (("success", "success"), "success"),
        (("success", "failure"), "failure"),
        (("failure", "failure"), "failure"),
        (("success", "cancelled"), "failure"),
        (("cancelled", "cancelled"), "failure"),
        (("failure", "cancelled"), "failure"),
    ],
)
def test_outcome_of_a_run_is_that_of_its_jobs(engine, ends, outcome):
    run_id = started(engine, only("j0", "j1"))
    claims = claims_by_name(engine)
    for n, end in enumerate(ends):
        match end:
            case "success":
                engine.complete(claims[f"j{n}"])
            case "failure":
                engine.fail(claims[f"j{n}"])
            case _:
                engine.call("wfg_cancel_job", p_run_id=run_id, p_job_id=f"j{n}")

    assert (engine.state(run_id), engine.jobs(run_id)) == (outcome, {"j0": ends[0], "j1": ends[1]})


# --- wide: more than 16 ---


@pytest.mark.parametrize("width", [15, 16, 17, 18, 33, 64])
def test_run_of_any_width_ends_with_its_last_job(engine, width):
    run_id = started(engine, only(*(f"j{n}" for n in range(width))))
    claims = engine.claim_many(1000)
    assert len(claims) == width

    assert {engine.complete(claim)["run"] for claim in claims[:-1]} == {"running"}
    assert engine.complete(claims[-1])["run"] == "success"
    assert engine.state(run_id) == "success"


@pytest.mark.parametrize("width", [15, 16, 17, 18, 33, 64])
def test_join_of_any_width_waits_for_its_last_parent(engine, width):
    run_id = started(engine, join(width))
    claims = engine.claim_many(1000)
    for claim in reversed(claims):
        assert engine.claim() is None
        engine.complete(claim, {"n": claim["job"]["job_id"]})

    sink = engine.claim()
    assert sink["job"]["upstream_outputs"] == {f"p{n}": {"n": f"p{n}"} for n in range(1, width + 1)}
    assert engine.complete(sink)["run"] == "success"
    assert engine.state(run_id) == "success"


@pytest.mark.parametrize("width", [16, 17, 40])
@pytest.mark.parametrize("at", ["first", "last"])
def test_failed_parent_skips_a_join_of_any_width(engine, width, at):
    run_id = started(engine, join(width))
    claims = engine.claim_many(1000)
    bad = claims.pop(0 if at == "first" else -1)
    if at == "first":
        engine.fail(bad)
    for claim in claims:
        engine.complete(claim)
    if at == "last":
        engine.fail(bad)

    assert (engine.state(run_id), engine.jobs(run_id)["sink"]) == ("failure", "skipped")
    assert engine.claim() is None


def test_cancelled_parent_skips_a_wide_join(engine):
    run_id = started(engine, join(20))
    engine.call("wfg_cancel_job", p_run_id=run_id, p_job_id="p7")
    assert engine.jobs(run_id)["sink"] == "skipped"
    assert len(drain(engine)) == 19
    assert engine.state(run_id) == "failure"


def test_wide_joins_in_layers(engine):
    layers = {}
    for layer in range(4):
        needs = [f"l{layer - 1}n{n}" for n in range(20)] if layer else []
        layers.update({f"l{layer}n{n}": {"run": "true", "needs": needs} for n in range(20)})
    run_id = started(engine, layers)

    assert [name[1] for name in drain(engine)] == ["0"] * 20 + ["1"] * 20 + ["2"] * 20 + ["3"] * 20
    assert engine.state(run_id) == "success"


def test_failure_in_a_wide_layer_skips_the_layers_below(engine):
    layers = {}
    for layer in range(3):
        needs = [f"l{layer - 1}n{n}" for n in range(20)] if layer else []
        layers.update({f"l{layer}n{n}": {"run": "true", "needs": needs} for n in range(20)})
    run_id = started(engine, layers)
    engine.fail(engine.claim())

    assert len(drain(engine)) == 19
    assert engine.state(run_id) == "failure"
    assert sorted(engine.jobs(run_id).values()) == ["failure"] + ["skipped"] * 40 + ["success"] * 19


def test_counters_of_a_wide_run_are_gone_when_it_has_ended(engine):
    for outcome in (engine.complete, engine.fail):
        started(engine, join(20))
        while claims := engine.claim_many(1000):
            for claim in claims:
                outcome(claim)

    for table in ("run_slots", "join_slots"):
        assert engine.query(f"select true as found from wfg.{table}") == []


def test_nothing_of_an_ended_run_is_left_in_the_queue(engine):
    started(engine, DIAMOND)
    drain(engine)
    assert engine.query("select true as found from wfg.queue") == []


# --- large ---


SECONDS = 10  # a machine may be busy; what is quadratic takes longer


def timed(call, *arguments):
    began = time.monotonic()
    answer = call(*arguments)
    return answer, time.monotonic() - began


def test_failure_at_the_top_of_a_chain_of_5000_takes_seconds(engine):
    run_id = started(engine, chain(5000))
    answer, took = timed(engine.fail, engine.claim())

    assert answer == {"job": "failure", "run": "failure"}
    assert took < SECONDS
    states = engine.query("select state, count(*) from wfg.jobs group by 1 order by 1")
    assert [(row["state"], row["count"]) for row in states] == [("failure", 1), ("skipped", 4999)]
    assert engine.state(run_id) == "failure"


def test_failure_at_the_root_of_a_fan_of_10000_takes_seconds(engine):
    run_id = started(engine, fan(9999))
    answer, took = timed(engine.fail, engine.claim())

    assert answer == {"job": "failure", "run": "failure"}
    assert took < SECONDS
    assert engine.state(run_id) == "failure"


def test_fan_of_10000_is_queued_in_one_call_and_drained(engine):
    engine.put(jobs=fan(9999))
    run_id = engine.start()
    answer, took = timed(engine.complete, engine.claim())
    assert (answer["run"], took < SECONDS) == ("running", True)

    claims = engine.claim_many(1000)
    assert len(claims) == 1000
    reports = [{"lease_id": lease_id(claim), "outcome": "success"} for claim in claims]
    answers, took = timed(lambda: engine.call("wfg_report_jobs", p_reports=reports))
    assert all(answer["ok"] for answer in answers)
    assert took < SECONDS
    answer, took = timed(lambda: engine.call("wfg_cancel_run", p_run_id=run_id))
    assert answer["run"] == "cancelled"
    assert took < SECONDS
