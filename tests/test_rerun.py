"""wfg_rerun_run: a run that has ended again, as a new run that keeps the jobs which need not run again."""

import psycopg
import pytest

from tests.arrange import (
    NO_IDS,
    START,
    after,
    append,
    cancel,
    chain,
    chunk,
    diamond,
    drain,
    join,
    ms,
    only,
    run_workflow,
)
from tests.engine import lease_id
from tests.sessions import in_background, wait_until_blocked

BIG = {"text": "x" * 3000}


def rerun(engine, run_id, **params):
    return engine.call("wfg_rerun_run", p_run_id=run_id, **params)["run_id"]


def get_run(engine, run_id):
    return engine.call("wfg_get_run", p_run_id=run_id)


def kept(engine, run_id):
    return [job["job_id"] for job in get_run(engine, run_id)["jobs"] if job["kept"]]


def play(engine, outcomes=None, **claim):
    """Claim and report until there is nothing: success, but where outcomes says otherwise. In this order."""
    done = []
    while found := engine.claim(**claim):
        job = found["job"]["job_id"]
        done.append(job)
        match (outcomes or {}).get(job, {}):
            case "failure":
                engine.fail(found)
            case outputs:
                engine.complete(found, outputs)
    return done


@pytest.fixture
def failed(engine):
    """a, b <- c <- d, and e beside them: c failed, so d was skipped. Everything ran 10 s before START."""
    engine.set_now(after(-10))
    engine.put(
        jobs={
            "a": {"run": "true", "retries": 1},
            **only("b"),
            "c": {"run": "true", "needs": ["a", "b"]},
            "d": {"run": "true", "needs": ["c"]},
            **only("e"),
        },
        inputs={"env": {"default": "dev"}},
    )
    run_id = engine.start(inputs={"env": "prod"}, started_by="ada", reason="why not", idempotency_key="k")
    first = engine.claim()
    append(engine, first, chunk(first, 0, "first try\n"))
    engine.fail(first, retryable=True)
    claims = {c["job"]["job_id"]: c for c in engine.claim_many(3, worker="w7")}
    append(engine, claims["a"], chunk(claims["a"], 0, "second try\n"))
    engine.complete(claims["a"], {"size": "1"})
    engine.complete(claims["b"], BIG)
    engine.complete(claims["e"])
    assert play(engine, {"c": "failure"}) == ["c"]
    engine.set_now(START)
    return run_id


# --- what runs again ---


def test_all_is_run_again_by_default(engine, failed):
    again = rerun(engine, failed)

    run = get_run(engine, again)
    assert (run["rerun_of"], run["state"], run["door"], run["version"]) == (failed, "queued", "run", 1)
    assert run["inputs"] == {"env": "prod"}
    assert [run[key] for key in ("idempotency_key", "started_by", "reason")] == [None, None, None]
    assert kept(engine, again) == []
    assert play(engine) == ["a", "b", "c", "d", "e"]
    assert engine.state(again) == "success"
    assert engine.state(failed) == "failure"


def test_failed_skipped_and_what_follows_run_again_and_the_rest_is_kept(engine, failed):
    again = rerun(engine, failed, p_jobs="failed", p_started_by="bob", p_reason="flaky")

    run = get_run(engine, again)
    assert (run["state"], run["started_at_ms"], run["created_at_ms"]) == ("queued", None, ms(START))
    assert (run["started_by"], run["reason"]) == ("bob", "flaky")
    assert kept(engine, again) == ["a", "b", "e"]
    before = {job["job_id"]: job for job in get_run(engine, failed)["jobs"]}
    for job in run["jobs"]:
        if job["kept"]:
            assert {**job, "kept": False} == before[job["job_id"]]
    assert run["jobs"][0]["worker_id"] == "w7"
    assert run["jobs"][0]["attempt"] == 1

    claim = engine.claim()
    assert claim["job"]["job_id"] == "c"
    assert claim["job"]["attempt"] == 0
    assert claim["job"]["upstream_outputs"] == {"a": {"size": "1"}, "b": BIG}
    assert claim["job"]["workflow_id"] == again
    assert claim["job"]["inputs"] == {"env": "prod"}
    assert engine.state(again) == "running"
    assert get_run(engine, again)["started_at_ms"] == ms(START)
    assert engine.complete(claim) == {"job": "success", "run": "running"}
    assert play(engine) == ["d"]
    assert engine.state(again) == "success"


def test_cancelled_jobs_run_again(engine):
    engine.put(jobs=chain(3))
    run_id = engine.start()
    engine.complete(engine.claim(), {"x": "1"})
    engine.claim()
    cancel(engine, run_id)

    again = rerun(engine, run_id, p_jobs="failed")
    assert kept(engine, again) == ["j1"]
    assert drain(engine) == ["j2", "j3"]
    assert engine.state(again) == "success"


def test_from_a_job_on_even_what_had_succeeded_runs_again(engine):
    engine.put(jobs={**diamond(3), **only("aside")})
    run_id = engine.start()
    drain(engine)

    again = rerun(engine, run_id, p_from_job_id="m2")
    assert kept(engine, again) == ["top", "m1", "m3", "aside"]
    assert drain(engine) == ["m2", "bottom"]
    assert engine.state(again) == "success"


def test_from_a_job_on_what_did_not_succeed_runs_again_too(engine, failed):
    again = rerun(engine, failed, p_from_job_id="e")
    assert kept(engine, again) == ["a", "b"]
    assert play(engine) == ["c", "d", "e"]

    again = rerun(engine, failed, p_from_job_id="d")  # it was skipped: what it waits for comes first
    assert kept(engine, again) == ["a", "b", "e"]
    assert play(engine) == ["c", "d"]


def test_run_without_jobs_ends_at_once(engine):
    workflow = engine.call("wfg_create_workflow", p_name="n", p_trigger="manual", p_jobs=[])["id"]
    run_id = engine.start(workflow)

    assert get_run(engine, rerun(engine, run_id))["state"] == "success"
    engine.fails("wfg_rerun_run", p_run_id=run_id, p_jobs="failed", status=409, slug="nothing_to_rerun")


def test_version_is_that_of_the_run(engine, failed):
    engine.put(jobs=only("new"))
    again = engine.call("wfg_rerun_run", p_run_id=failed)
    assert again["version"] == 1
    assert sorted(engine.jobs(again["run_id"])) == ["a", "b", "c", "d", "e"]


def test_run_of_the_workflow_door_leaves_that_door_alone(engine):
    engine.put(jobs=only("a"))
    first = run_workflow(engine)
    engine.fail(engine.claim())

    again = rerun(engine, "wf")  # the latest run of that door
    assert get_run(engine, again)["rerun_of"] == first
    assert engine.call("wfg_get_run", p_run_id="wf")["run_id"] == first
    second = run_workflow(engine)
    assert second not in (first, again)
    assert {engine.claim()["job"]["workflow_id"] for _ in range(2)} == {again, "wf"}


def test_rerun_is_newer_than_its_run_even_when_the_clock_was_set_back(engine, failed):
    engine.set_now(after(-3600))
    rerun(engine, failed)
    assert [run["rerun_of"] for run in engine.call("wfg_list_runs")["items"]] == [failed, None]


# --- again and again ---


def test_rerun_of_a_rerun_keeps_what_either_did(engine, failed):
    second = rerun(engine, failed, p_jobs="failed")
    assert play(engine, {"c": {"c": "1"}, "d": "failure"}) == ["c", "d"]
    third = rerun(engine, second, p_jobs="failed")

    assert get_run(engine, third)["rerun_of"] == second
    assert kept(engine, third) == ["a", "b", "c", "e"]
    claim = engine.claim()
    assert claim["job"]["upstream_outputs"] == {"c": {"c": "1"}}
    engine.complete(claim)
    engine.fails("wfg_rerun_run", p_run_id=third, p_jobs="failed", status=409, slug="nothing_to_rerun")

    ran_in = {
        job: engine.call("wfg_get_job", p_run_id=third, p_job_id=job)["ran_in"] for job in ("a", "c", "d")
    }
    assert ran_in == {"a": failed, "c": second, "d": third}


def test_outputs_attempts_and_log_of_a_kept_job_are_where_it_ran(engine, failed):
    again = rerun(engine, failed, p_jobs="failed")

    detail = engine.call("wfg_get_job", p_run_id=again, p_job_id="a")
    assert (detail["run_id"], detail["ran_in"]) == (again, failed)
    assert [attempt["error"] for attempt in detail["attempts"]] == ["boom"]
    assert detail["outputs"] == {"size": "1"}
    assert engine.call("wfg_get_outputs", p_run_id=again, p_job_id="b") == BIG
    log = engine.call("wfg_read_logs", p_workflow_id=again, p_job_id="a")
    assert [(item["attempt"], item["data"]) for item in log["items"]] == [
        (0, "first try\n"),
        (1, "second try\n"),
    ]
    assert {item["workflow_id"] for item in log["items"]} == {again}
    assert engine.call("wfg_list_logs", p_workflow_id=again, p_job_id="a") == [
        {key: value for key, value in item.items() if key != "attempt"} for item in log["items"]
    ]
    # Of a job that runs again, none of that.
    engine.fail(engine.claim())
    other = engine.call("wfg_get_job", p_run_id=again, p_job_id="c")
    assert (other["ran_in"], other["attempts"]) == (again, [])


def test_what_a_kept_job_left_where_it_ran_goes_with_that_run(engine, failed):
    again = rerun(engine, failed, p_jobs="failed")
    engine.advance(60)
    assert engine.call("wfg_prune", p_older_than_secs=60)["runs"] == 1

    assert get_run(engine, again)["rerun_of"] == failed
    detail = engine.call("wfg_get_job", p_run_id=again, p_job_id="a")
    assert (detail["ran_in"], detail["attempts"], detail["outputs"]) == (failed, [], {"size": "1"})
    assert engine.call("wfg_read_logs", p_workflow_id=again, p_job_id="a")["items"] == []
    assert engine.call("wfg_get_outputs", p_run_id=again, p_job_id="b") == BIG
    assert play(engine) == ["c", "d"]
    rerun(engine, again, p_from_job_id="c")
    assert play(engine) == ["c", "d"]


def test_watchers_see_what_was_kept(engine, failed):
    again = rerun(engine, failed, p_jobs="failed")
    (run,) = engine.call("wfg_watch_runs", p_run_ids=[again])
    assert (run["state"], [job["kept"] for job in run["jobs"]]) == (
        "queued",
        [True, True, False, False, True],
    )
    listed = engine.call("wfg_list_runs", p_state="queued")["items"]
    assert [(item["run_id"], item["rerun_of"]) for item in listed] == [(again, failed)]
    assert engine.call("wfg_list_runs", p_state="running")["items"] == []


def test_announces_its_lanes(engine, failed, listener):
    listener()
    rerun(engine, failed, p_jobs="failed")
    assert [channel for channel, _ in listener()] == ["wfg_wake"]


# --- counters ---


def wide(engine):
    """20 roots <- sink <- tail; p2 and p18 (of the same slot), p3 and p4 failed."""
    engine.put(jobs={**join(20), "tail": {"run": "true", "needs": ["sink", "p2"]}})
    run_id = engine.start()
    for claim in engine.claim_many(20):
        if claim["job"]["job_id"] in ("p2", "p3", "p4", "p18"):
            engine.fail(claim)
        else:
            engine.complete(claim)
    assert engine.state(run_id) == "failure"
    return run_id


def counters(engine, run_id):
    """Of a run: slots that have open jobs, and of its wide join: slots that have open parents."""
    (run,) = engine.query("select open_left from wfg.runs where id = %s", run_id)
    (sink,) = engine.query(
        "select j.parents_left from wfg.jobs j join wfg.runs r on r.id = j.run_id"
        " join wfg.job_specs s on s.version_id = r.version_id and s.job_no = j.job_no"
        " where r.id = %s and s.key = 'sink'",
        run_id,
    )
    return run["open_left"], sink["parents_left"]


def test_slots_count_what_is_open(engine):
    again = rerun(engine, wide(engine), p_jobs="failed")
    assert counters(engine, again) == (5, 3)  # of 6 jobs and 4 parents: p2 and p18 share a slot
    engine.check()
    for claim in engine.claim_many(20):
        assert engine.complete(claim)["run"] == "running"
        engine.check()
    assert drain(engine) == ["sink", "tail"]
    assert engine.state(again) == "success"
    assert engine.query("select run_id from wfg.run_slots union all select run_id from wfg.join_slots") == []


@pytest.mark.parametrize("job", ["sink", "tail", "p2"])
def test_wide_run_from_one_job_on(engine, job):
    engine.put(jobs={**join(20), "tail": {"run": "true", "needs": ["sink", "p2"]}})
    run_id = engine.start()
    drain(engine)

    again = rerun(engine, run_id, p_from_job_id=job)
    engine.check()
    expected = ["sink", "tail"][job == "tail" :] if job != "p2" else ["p2", "sink", "tail"]
    assert drain(engine) == expected
    assert engine.state(again) == "success"


def test_rerun_of_a_wide_run_can_fail_and_be_cancelled(engine):
    run_id = wide(engine)
    again = rerun(engine, run_id, p_jobs="failed")
    claims = engine.claim_many(20)
    engine.complete(claims[0])
    engine.fail(claims[1])
    engine.check()
    cancel(engine, again)
    engine.check()
    assert rerun(engine, again, p_jobs="failed")
    engine.check()
    assert len(drain(engine)) == 3 + 2


# --- refused ---


def test_active_run_is_not_run_again(engine):
    engine.put(jobs=only("a", "b"))
    run_id = engine.start()
    for claim in engine.claim_many(2):
        diag = engine.fails("wfg_rerun_run", p_run_id=run_id, status=409, slug="run_not_finished")
        assert run_id in diag.message_detail
        engine.complete(claim)
    rerun(engine, run_id)


def test_success_has_nothing_that_failed(engine):
    engine.put(jobs=only("a"))
    run_id = engine.start()
    drain(engine)
    diag = engine.fails(
        "wfg_rerun_run", p_run_id=run_id, p_jobs="failed", status=409, slug="nothing_to_rerun"
    )
    assert run_id in diag.message_detail
    assert len(engine.call("wfg_list_runs")["items"]) == 1


def test_unknown_run(engine):
    for name, run_id in NO_IDS.items():
        slug = "run_not_found" if name == "a run that is not there" else "workflow_not_found"
        engine.fails("wfg_rerun_run", p_run_id=run_id, status=404, slug=slug)


def test_pruned_run(engine, failed):
    again = rerun(engine, failed, p_idempotency_key="again")
    drain(engine)
    engine.advance(60)
    engine.call("wfg_prune", p_older_than_secs=60)
    engine.fails("wfg_rerun_run", p_run_id=failed, status=404, slug="run_not_found")
    assert rerun(engine, again)


def test_unknown_job(engine, failed):
    engine.fails("wfg_rerun_run", p_run_id=failed, p_from_job_id="z", status=404, slug="job_not_found")


def test_deleted_workflow_is_not_run_again_but_a_repeat_is_answered(engine, failed):
    again = rerun(engine, failed, p_idempotency_key="again")
    engine.call("wfg_delete_workflow", p_workflow_id="wf")
    engine.fails("wfg_rerun_run", p_run_id=failed, status=404, slug="workflow_not_found")
    assert rerun(engine, failed, p_idempotency_key="again") == again
    engine.put(jobs=only("new"))
    assert play(engine) == ["a", "b", "c", "d", "e"]
    rerun(engine, failed)


def test_invalid_argument_is_named(engine, failed):
    for params, field in (
        ({"p_jobs": "some"}, "p_jobs"),
        ({"p_jobs": None}, "p_jobs"),
        ({"p_jobs": "failed", "p_from_job_id": "a"}, "p_from_job_id"),
        ({"p_idempotency_key": ""}, "p_idempotency_key"),
        ({"p_idempotency_key": "k" * 201}, "p_idempotency_key"),
        ({"p_started_by": "b" * 201}, "p_started_by"),
        ({"p_reason": "r" * 2001}, "p_reason"),
    ):
        diag = engine.fails("wfg_rerun_run", p_run_id=failed, status=422, slug="invalid_request", **params)
        assert diag.message_detail.startswith(f"{field}: must be ")


# --- the idempotency key ---


def test_same_request_is_the_first_rerun_again(engine, failed):
    first = engine.call("wfg_rerun_run", p_run_id=failed, p_jobs="failed", p_idempotency_key="again")
    again = engine.call(
        "wfg_rerun_run", p_run_id=failed, p_jobs="failed", p_idempotency_key="again", p_reason="other"
    )
    assert (first["created"], again) == (True, {**first, "created": False})
    play(engine)
    assert rerun(engine, failed, p_jobs="failed", p_idempotency_key="again") == first["run_id"]


def test_key_of_another_rerun_is_refused(engine, failed):
    first = rerun(engine, failed, p_jobs="failed", p_idempotency_key="again")
    drain(engine)
    for run_id, params in (
        (failed, {}),
        (failed, {"p_from_job_id": "c"}),
        (first, {"p_jobs": "failed"}),
    ):
        diag = engine.fails(
            "wfg_rerun_run",
            p_run_id=run_id,
            p_idempotency_key="again",
            status=409,
            slug="idempotency_key_reused",
            **params,
        )
        assert first in diag.message_detail


def test_starts_and_reruns_do_not_take_each_others_keys(engine, failed):
    key = {"p_idempotency_key": "k"}  # of the run itself
    engine.fails("wfg_rerun_run", p_run_id=failed, **key, status=409, slug="idempotency_key_reused")
    rerun(engine, failed, p_idempotency_key="again")
    engine.fails(
        "wfg_start_run",
        p_workflow_id="wf",
        p_idempotency_key="again",
        status=409,
        slug="idempotency_key_reused",
    )


# --- others at work ---


def test_two_at_once_with_one_key_start_one(engine, connect, failed):
    other = connect()
    other.set_now(START)
    engine.query("begin")
    first = rerun(engine, failed, p_idempotency_key="again")
    request = {"p_run_id": failed, "p_idempotency_key": "again"}
    with in_background(other.call, "wfg_rerun_run", **request) as answering:
        wait_until_blocked(connect(), other)
        engine.query("commit")
    assert (answering.result()["run_id"], answering.result()["created"]) == (first, False)


def test_prune_passes_by_a_run_that_is_being_repeated(engine, connect, failed):
    other = connect()
    other.set_now(after(100))
    engine.query("begin")
    again = rerun(engine, failed, p_jobs="failed")
    assert other.call("wfg_prune", p_older_than_secs=0)["runs"] == 0
    engine.query("commit")
    assert other.call("wfg_prune", p_older_than_secs=0)["runs"] == 1
    assert kept(engine, again) == ["a", "b", "e"]


def test_run_that_is_being_pruned_is_gone(engine, connect, failed):
    other = connect()
    other.set_now(START)
    engine.query("begin")
    engine.set_now(after(100))
    assert engine.call("wfg_prune", p_older_than_secs=0)["runs"] == 1
    with in_background(
        other.fails, "wfg_rerun_run", p_run_id=failed, status=404, slug="run_not_found"
    ) as answering:
        wait_until_blocked(connect(), other)
        engine.query("commit")
    answering.result()


def test_run_that_ends_meanwhile_can_be_run_again_at_once(engine, connect):
    """Its last report holds the run's row: the re-run does not wait for it."""
    engine.put(jobs=only("a"))
    run_id = engine.start()
    claim = engine.claim()
    other = connect()
    other.query("begin")
    other.complete(lease_id(claim))
    engine.fails("wfg_rerun_run", p_run_id=run_id, status=409, slug="run_not_finished")
    other.query("commit")
    rerun(engine, run_id)


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_snapshot_from_before_the_end_is_a_conflict_and_no_refusal(engine, connect, level):
    engine.put(jobs=only("a"))
    run_id = engine.start()
    other = connect()
    other.query(f"begin isolation level {level}")
    other.query("select count(*) from wfg.runs")
    cancel(engine, run_id)
    with pytest.raises(psycopg.errors.SerializationFailure):
        rerun(other, run_id)
    assert engine.state(rerun(engine, run_id)) == "queued"
