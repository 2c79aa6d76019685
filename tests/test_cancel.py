"""Cancelling a run or a job, what `cancelled?` says, and jobs held for a cancelled lease of a run before."""

import pytest

from tests.arrange import (
    DOORS,
    NO_IDS,
    START,
    after,
    append,
    cancel,
    chain,
    chunk,
    drain,
    join,
    ms,
    only,
    run_by,
    run_workflow,
    sqlstate_of,
)
from tests.engine import lease_id
from tests.sessions import in_background, wait_until_blocked


def cancel_job(engine, any_id, name):
    return engine.call("wfg_cancel_job", p_run_id=any_id, p_job_id=name)


def is_cancelled(engine, any_id, name="a"):
    return engine.call("wfg_is_cancelled", p_workflow_id=any_id, p_job_id=name)


# --- a run ---


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("by_workflow", [False, True])
def test_cancelled_run_is_over_in_the_call(engine, door, by_workflow):
    engine.set_now(START)
    engine.put(jobs={**chain(3), **only("other")})
    run_id = run_by(engine, door)
    engine.complete(engine.claim())
    engine.claim_many(2)
    engine.set_now(after(5))
    if by_workflow and door == "run":
        run_workflow(engine)
        assert cancel(engine, "wf")["run_id"] != run_id
        return

    assert cancel(engine, "wf" if by_workflow else run_id) == {"run_id": run_id, "run": "cancelled"}
    run = engine.call("wfg_get_run", p_run_id=run_id)
    assert (run["state"], run["finished_at_ms"]) == ("cancelled", ms(after(5)))
    assert engine.jobs(run_id) == {
        "j1": "success",
        "j2": "cancelled",
        "j3": "cancelled",
        "other": "cancelled",
    }
    assert {job["finished_at_ms"] for job in run["jobs"][1:]} == {ms(after(5))}
    assert engine.claim() is None


def test_who_and_why_are_kept(engine):
    engine.put(jobs=only("a"))
    run_id = engine.start()
    engine.call("wfg_cancel_run", p_run_id=run_id, p_cancelled_by="ada", p_reason="enough")

    run = engine.call("wfg_get_run", p_run_id=run_id)
    assert (run["cancelled_by"], run["cancel_reason"]) == ("ada", "enough")


def test_nobody_and_no_reason_need_be_said(engine):
    engine.put(jobs=only("a"))
    run_id = engine.start()
    engine.call("wfg_cancel_run", p_run_id=run_id, p_cancelled_by=None, p_reason=None)

    run = engine.call("wfg_get_run", p_run_id=run_id)
    assert (run["state"], run["cancelled_by"], run["cancel_reason"]) == ("cancelled", None, None)


@pytest.mark.parametrize(("param", "longest"), [("p_cancelled_by", 200), ("p_reason", 2000)])
def test_who_and_why_have_a_length(engine, param, longest):
    engine.put(jobs=only("a"))
    run_id = engine.start()
    for text in ("", "x" * (longest + 1), "x" * 1_000_000):
        diag = engine.fails(
            "wfg_cancel_run", p_run_id=run_id, status=422, slug="invalid_request", **{param: text}
        )
        assert diag.message_detail.startswith(f"{param}:")
    assert engine.state(run_id) == "queued"
    assert engine.call("wfg_cancel_run", p_run_id=run_id, **{param: "x" * longest})["run"] == "cancelled"


def ended_in_success(engine):
    drain(engine)


def ended_in_failure(engine):
    engine.fail(engine.claim())


def ended_by_cancel(engine):
    engine.call("wfg_cancel_run", p_run_id=engine.call("wfg_list_runs")["items"][0]["run_id"])


@pytest.mark.parametrize(
    ("ended", "state"),
    [(ended_in_success, "success"), (ended_in_failure, "failure"), (ended_by_cancel, "cancelled")],
)
def test_cancelling_what_has_ended_changes_nothing(engine, ended, state):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    run_id = engine.start()
    ended(engine)
    before = engine.call("wfg_get_run", p_run_id=run_id)
    engine.advance(60)

    answer = engine.call("wfg_cancel_run", p_run_id=run_id, p_cancelled_by="late", p_reason="late")
    assert answer == {"run_id": run_id, "run": state}
    assert cancel_job(engine, run_id, "a")["run"] == state
    assert engine.call("wfg_get_run", p_run_id=run_id) == before


@pytest.mark.parametrize("name", NO_IDS)
def test_unknown_ids_are_not_found(engine, name):
    any_id = NO_IDS[name]
    slug = "run_not_found" if name == "a run that is not there" else "workflow_not_found"

    engine.fails("wfg_cancel_run", p_run_id=any_id, status=404, slug=slug)
    engine.fails("wfg_cancel_job", p_run_id=any_id, p_job_id="a", status=404, slug=slug)
    assert is_cancelled(engine, any_id) is False


@pytest.mark.parametrize("width", [16, 17, 40])
def test_run_of_any_width_is_cancelled_whole(engine, width):
    engine.put(jobs=join(width))
    run_id = engine.start()
    claims = engine.claim_many(width // 2)
    engine.complete(claims.pop())
    cancel(engine, run_id)

    assert sorted(engine.jobs(run_id).values()) == ["cancelled"] * width + ["success"]
    for claim in claims:
        assert engine.fail(claim) == {"job": "cancelled", "run": "cancelled"}
    for table in ("queue", "run_slots", "join_slots"):
        assert engine.query(f"select true as found from wfg.{table}") == []


def test_jobs_that_wait_are_cancelled_too(engine):
    engine.set_now(START)
    engine.put(jobs=only("a", retries=1, backoff={"fixed": 60}))
    retrying, scheduled = engine.start(), engine.start(start_at=after(60))
    engine.fail(engine.claim(), retryable=True)
    for run_id in (retrying, scheduled):
        cancel(engine, run_id)

    engine.set_now(after(60))
    assert engine.claim() is None
    assert engine.query("select true as found from wfg.queue") == []


# --- a job ---


def test_cancelled_job_skips_what_depends_on_it(engine):
    engine.put(jobs={**chain(3), **only("other")})
    run_id = engine.start()

    assert cancel_job(engine, run_id, "j2") == {"job": "cancelled", "run": "running"}
    assert engine.jobs(run_id) == {"j1": "queued", "j2": "cancelled", "j3": "skipped", "other": "queued"}
    assert sorted(drain(engine)) == ["j1", "other"]
    assert engine.state(run_id) == "failure"


def test_last_open_job_cancelled_ends_the_run_in_failure(engine):
    engine.put(jobs=only("a"))
    run_id = engine.start()

    assert cancel_job(engine, run_id, "a") == {"job": "cancelled", "run": "failure"}
    assert engine.state(run_id) == "failure"


@pytest.mark.parametrize("end", ["success", "failure", "skipped", "cancelled"])
def test_job_that_has_ended_stays_as_it_is(engine, end):
    engine.put(jobs={**chain(2), **only("other")})
    run_id = engine.start()
    match end:
        case "success":
            engine.complete(engine.claim())
        case "failure":
            engine.fail(engine.claim())
        case "skipped":
            cancel_job(engine, run_id, "j1")
        case "cancelled":
            cancel_job(engine, run_id, "j1")
    name = "j2" if end == "skipped" else "j1"

    assert cancel_job(engine, run_id, name) == {"job": end, "run": "running"}
    assert engine.jobs(run_id)[name] == end


def test_running_job_is_cancelled_and_its_worker_told(engine):
    engine.put(jobs=only("a", "b"))
    run_id = engine.start()
    a, b = engine.claim_many(2)

    assert cancel_job(engine, run_id, "a") == {"job": "cancelled", "run": "running"}
    assert [engine.call("wfg_renew_lease", p_lease_id=lease_id(c))["stop"] for c in (a, b)] == [
        "cancelled",
        None,
    ]
    engine.fails("wfg_complete_job", p_lease_id=lease_id(a), status=409, slug="lease_cancelled")
    assert engine.fail(a)["job"] == "cancelled"
    assert engine.complete(b)["run"] == "failure"


def test_job_of_the_workflow_door_is_cancelled_by_either_id(engine):
    engine.put(jobs=only("a", "b"))
    run_id = run_workflow(engine)

    cancel_job(engine, "wf", "a")
    cancel_job(engine, run_id, "b")
    assert engine.jobs(run_id) == {"a": "cancelled", "b": "cancelled"}


@pytest.mark.parametrize("name", [None, "", "nobody", "A", "a\n", "%", "x" * 1_000_000])
def test_unknown_job_is_not_found(engine, name):
    engine.put(jobs=only("a"))
    run_id = engine.start()

    diag = engine.fails("wfg_cancel_job", p_run_id=run_id, p_job_id=name, status=404, slug="job_not_found")
    assert len(diag.message_detail) < 1000
    assert is_cancelled(engine, run_id, name) is False


def test_job_of_a_workflow_that_never_ran_has_no_run(engine):
    engine.put(jobs=only("a"))
    engine.fails("wfg_cancel_job", p_run_id="wf", p_job_id="a", status=404, slug="run_not_found")


@pytest.mark.parametrize("name", ["p3", "sink"])
def test_job_of_a_wide_join_is_cancelled(engine, name):
    engine.put(jobs=join(20))
    run_id = engine.start()

    cancel_job(engine, run_id, name)
    assert engine.jobs(run_id)["sink"] == ("cancelled" if name == "sink" else "skipped")
    assert len(drain(engine)) == (20 if name == "sink" else 19)
    assert engine.state(run_id) == "failure"


# --- cancelled? ---


@pytest.mark.parametrize("door", DOORS)
def test_worker_learns_by_the_id_that_its_claim_said(engine, door):
    engine.put(jobs=only("a", "b"))
    run_id = run_by(engine, door)
    shown = engine.claim()["job"]["workflow_id"]
    assert is_cancelled(engine, shown) is False

    cancel_job(engine, run_id, "a")
    assert is_cancelled(engine, shown) is True
    assert is_cancelled(engine, run_id) is True
    assert is_cancelled(engine, shown, "b") is False


def test_bare_true_and_false(engine):
    engine.put(jobs=only("a"))
    run_id = engine.start()
    assert engine.call_text("wfg_is_cancelled", p_workflow_id=run_id, p_job_id="a") == "false"
    cancel(engine, run_id)
    assert engine.call_text("wfg_is_cancelled", p_workflow_id=run_id, p_job_id="a") == "true"


@pytest.mark.parametrize("end", ["success", "failure", "skipped"])
def test_other_ends_are_not_cancelled(engine, end):
    engine.put(jobs=chain(2))
    run_id = run_workflow(engine)
    if end == "success":
        drain(engine)
    else:
        engine.fail(engine.claim())

    for any_id in ("wf", run_id):
        assert is_cancelled(engine, any_id, "j2" if end == "skipped" else "j1") is False


def test_cancelled_job_of_a_run_is_cancelled_for_ever(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    run_id = engine.start()
    engine.claim()
    cancel(engine, run_id)
    engine.set_now(after(3600))
    engine.call("wfg_reap")

    assert is_cancelled(engine, run_id) is True


def test_by_workflow_it_is_true_while_a_cancelled_lease_lives_and_no_longer(engine):
    engine.set_now(after(-1))
    engine.put(jobs=only("a", "b"))
    run_workflow(engine)
    engine.set_now(START)
    engine.claim(ttl=3600)
    cancel(engine, "wf")
    run_workflow(engine)

    assert (is_cancelled(engine, "wf", "a"), is_cancelled(engine, "wf", "b")) == (True, False)
    engine.set_now(after(59.999))
    assert is_cancelled(engine, "wf", "a") is True
    engine.set_now(after(60))
    assert is_cancelled(engine, "wf", "a") is False


def test_by_workflow_it_is_false_once_acknowledged_and_run_again(engine):
    engine.put(jobs=only("a"))
    run_workflow(engine)
    claim = engine.claim()
    cancel(engine, "wf")
    assert is_cancelled(engine, "wf") is True
    engine.fail(claim, "cancelled", retryable=True)

    assert is_cancelled(engine, "wf") is True  # in the latest run it is
    run_workflow(engine)
    assert is_cancelled(engine, "wf") is False


def test_run_of_the_other_door_says_nothing_about_the_workflow(engine):
    engine.put(jobs=only("a"))
    run_id = engine.start()
    engine.claim()
    cancel(engine, run_id)
    assert is_cancelled(engine, "wf") is False
    run_workflow(engine)
    assert is_cancelled(engine, "wf") is False
    assert engine.claim()["job"]["workflow_id"] == "wf"


# --- held: the same job of the next run, while a cancelled lease of it lives ---


def cancelled_lease(engine, jobs=None, ttl=3600, name="a"):
    """The claim of a job of the workflow door, its run cancelled at START; the lease ends at 60 s."""
    engine.set_now(after(-1))
    engine.put(jobs=jobs or only("a", "b"))
    run_workflow(engine)
    engine.set_now(START)
    claim = next(c for c in engine.claim_many(100, ttl=ttl) if c["job"]["job_id"] == name)
    for row in engine.query("select wfg.lease_id(run_id, job_no, lease_nonce) as id from wfg.queue"):
        if row["id"] != lease_id(claim):
            engine.complete(row["id"])
    cancel(engine, "wf")
    return claim


def ready_at(engine, run_id, name="a"):
    jobs = engine.call("wfg_get_run", p_run_id=run_id)["jobs"]
    return next(job["ready_at_ms"] for job in jobs if job["job_id"] == name)


def test_next_run_waits_for_the_cancelled_lease(engine):
    cancelled_lease(engine)
    run_id = run_workflow(engine)

    assert engine.jobs(run_id) == {"a": "queued", "b": "queued"}
    assert ready_at(engine, run_id) == ms(after(60))
    assert [c["job"]["job_id"] for c in engine.claim_many(10)] == ["b"]
    engine.set_now(after(60))
    assert [c["job"]["job_id"] for c in engine.claim_many(10)] == ["a"]


@pytest.mark.parametrize("how", ["fail", "release"])
def test_acknowledgement_lets_the_next_run_go_on(engine, how):
    claim = cancelled_lease(engine)
    engine.set_now(after(1))
    run_id = run_workflow(engine)
    engine.set_now(after(5))
    if how == "fail":
        engine.fail(claim, "cancelled")
    else:
        engine.call("wfg_release_job", p_lease_id=lease_id(claim))

    assert ready_at(engine, run_id) == ms(after(1))
    assert sorted(c["job"]["job_id"] for c in engine.claim_many(10)) == ["a", "b"]


def test_acknowledgement_before_the_next_run_holds_nothing(engine):
    claim = cancelled_lease(engine)
    engine.fail(claim)
    run_workflow(engine)
    assert len(engine.claim_many(10)) == 2


def test_acknowledgement_only_pulls_forward(engine):
    claim = cancelled_lease(engine, ttl=10)
    run_id = run_workflow(engine)
    assert ready_at(engine, run_id) == ms(after(10))
    engine.fail(claim)
    assert ready_at(engine, run_id) == ms(START)


def test_short_lease_holds_only_as_long_as_it_lasts(engine):
    cancelled_lease(engine, ttl=7)
    run_id = run_workflow(engine)

    assert ready_at(engine, run_id) == ms(after(7))
    engine.set_now(after(7))
    assert len(engine.claim_many(10)) == 2


def test_job_queued_by_a_cascade_is_held(engine):
    cancelled_lease(engine, {**chain(2), **only("x")}, name="x")
    engine.set_now(after(60))
    engine.call("wfg_reap")
    run_workflow(engine)
    running = {c["job"]["job_id"]: c for c in engine.claim_many(10, ttl=3600)}
    engine.complete(running["j1"])
    held_by = engine.claim(ttl=3600)
    assert held_by["job"]["job_id"] == "j2"
    cancel(engine, "wf")
    engine.fail(running["x"])

    run_id = run_workflow(engine)
    claims = {c["job"]["job_id"]: c for c in engine.claim_many(10)}
    engine.set_now(after(70))
    engine.complete(claims["j1"])
    assert ready_at(engine, run_id, "j2") == ms(after(120))
    assert engine.claim() is None
    engine.fail(held_by)
    assert ready_at(engine, run_id, "j2") == ms(after(70))
    assert engine.claim()["job"]["job_id"] == "j2"


def test_wide_join_queued_by_a_cascade_is_held(engine):
    engine.set_now(START)
    engine.put(jobs=join(20))
    run_workflow(engine)
    for claim in engine.claim_many(20):
        engine.complete(claim)
    sink = engine.claim(ttl=3600)
    cancel(engine, "wf")
    run_id = run_workflow(engine)
    for claim in engine.claim_many(20):
        engine.complete(claim)

    assert (engine.claim(), ready_at(engine, run_id, "sink")) == (None, ms(after(60)))
    engine.fail(sink)
    assert engine.claim()["job"]["job_id"] == "sink"


def test_lease_of_one_cancelled_job_holds_the_next_run_too(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    first = run_workflow(engine)
    claim = engine.claim(ttl=3600)
    assert cancel_job(engine, first, "a")["run"] == "failure"
    run_id = run_workflow(engine)

    assert (engine.claim(), ready_at(engine, run_id)) == (None, ms(after(60)))
    engine.fail(claim)
    assert engine.claim() is not None


def test_silence_of_the_old_worker_is_ended_by_the_upkeep(engine):
    claim = cancelled_lease(engine)
    run_id = run_workflow(engine)
    engine.set_now(after(60))

    assert engine.call("wfg_reap") == {"retried": 0, "failed": 0, "cancelled": 1}
    engine.fails("wfg_fail_job", p_lease_id=lease_id(claim), p_error="", status=409, slug="lease_not_held")
    assert sorted(drain(engine)) == ["a", "b"]
    assert engine.state(run_id) == "success"


def test_held_job_can_be_cancelled(engine):
    claim = cancelled_lease(engine)
    second = run_workflow(engine)
    assert cancel(engine, "wf") == {"run_id": second, "run": "cancelled"}
    engine.set_now(after(1))
    third = run_workflow(engine)

    assert ready_at(engine, third) == ms(after(60))
    engine.fail(claim)
    assert ready_at(engine, third) == ms(after(1))


def test_scheduled_run_of_the_other_door_is_not_held(engine):
    cancelled_lease(engine)
    run_id = engine.start(start_at=after(30))
    assert ready_at(engine, run_id) == ms(after(30))
    engine.set_now(after(30))
    assert {c["job"]["run_id"] for c in engine.claim_many(10)} == {run_id}


@pytest.mark.parametrize(("first", "next_"), [("run", "workflow"), ("workflow", "run"), ("run", "run")])
def test_runs_that_share_no_id_do_not_hold_each_other(engine, first, next_):
    engine.put(jobs=only("a"))
    cancelled_run = run_by(engine, first)
    engine.claim(ttl=3600)
    cancel(engine, cancelled_run)

    run_id = run_by(engine, next_)
    assert engine.claim()["job"]["run_id"] == run_id


def test_other_workflow_with_the_same_job_is_not_held(engine):
    cancelled_lease(engine)
    engine.put("other", jobs=only("a"))
    run_workflow(engine, "other")
    assert engine.claim()["job"]["workflow_id"] == "other"


def test_next_version_is_held_by_the_key_of_the_job(engine):
    cancelled_lease(engine)
    engine.put(jobs={**only("new", "b"), "a": {"run": "false"}})
    run_id = run_workflow(engine)

    assert sorted(c["job"]["job_id"] for c in engine.claim_many(10)) == ["b", "new"]
    assert ready_at(engine, run_id) == ms(after(60))


def test_old_worker_cannot_touch_the_next_run(engine):
    claim = cancelled_lease(engine)
    run_id = run_workflow(engine)
    before = engine.call("wfg_get_run", p_run_id=run_id)

    engine.fails("wfg_complete_job", p_lease_id=lease_id(claim), status=409, slug="lease_cancelled")
    append(engine, claim, chunk(claim))
    assert engine.call("wfg_get_run", p_run_id=run_id) == before
    assert engine.call("wfg_list_logs", p_workflow_id="wf", p_job_id="a") == []
    assert len(engine.call("wfg_list_logs", p_workflow_id=claim["job"]["run_id"], p_job_id="a")) == 1


def test_cancel_of_a_run_that_is_pruned_meanwhile_finds_none(connect, engine):
    """It waits for the pruning, and does not say of a run that is gone that it was cancelled."""
    engine.put(jobs=only("a"))
    run_id = engine.start()
    engine.complete(engine.claim())
    engine.advance(10)
    other, observer = connect(), connect()

    engine.query("begin")
    assert engine.call("wfg_prune", p_older_than_secs=1)["runs"] == 1
    with in_background(sqlstate_of, other, "wfg_cancel_run", p_run_id=run_id) as answer:
        wait_until_blocked(observer, other, by=engine)
        engine.query("commit")
        assert answer.result() == "PT404"
