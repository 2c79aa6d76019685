"""wfg_metrics: what waits, what runs, and how often something happened, whoever the clients are."""

from collections.abc import Callable
from typing import Any

import pytest

from tests import bulk
from tests.arrange import START, cancel, chain, only, run_workflow
from tests.engine import Engine, lease_id


def metrics(engine: Engine) -> dict[str, Any]:
    return engine.call("wfg_metrics")


def counted(engine: Engine, does: Callable[[], object]) -> dict[str, int]:
    """The totals that go up meanwhile."""
    before = metrics(engine)["totals"]
    does()
    return {name: n - before[name] for name, n in metrics(engine)["totals"].items() if n != before[name]}


def lane(engine: Engine, *labels: str) -> dict[str, Any]:
    (found,) = (each for each in metrics(engine)["lanes"] if each["required_labels"] == list(labels))
    return found


# --- what waits ---


def test_an_empty_engine_has_nothing_to_tell(engine):
    found = metrics(engine)
    assert found["lanes"] == []
    assert found["capped"] is False
    assert set(found["totals"].values()) == {0}
    assert found["workers"] == {"busy": 0, "idle": 0, "offline": 0}


def test_lanes_say_what_is_ready_delayed_held_and_leased(engine):
    engine.set_now(START)
    engine.put(jobs={"a": {"run": "true", "labels": ["linux", "gpu"], "priority": 3}})
    for _ in range(3):
        engine.start()
    engine.start(start_at=engine.now().replace(hour=1))
    engine.advance(10)
    engine.claim(labels=["gpu", "linux"])
    engine.advance(2.5)

    assert metrics(engine)["lanes"] == [
        {
            "required_labels": ["gpu", "linux"],
            "priority": 3,
            "ready": 2,
            "delayed": 1,
            "held": 0,
            "leased": 1,
            "oldest_ready_secs": 12.5,
        }
    ]
    assert metrics(engine)["runs"] == {"active": 4}


def test_a_job_that_waits_for_a_cancelled_lease_is_held(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    run_workflow(engine)
    claim = engine.claim()
    cancel(engine, "wf")
    run_workflow(engine)

    assert (lane(engine)["held"], lane(engine)["delayed"], lane(engine)["ready"]) == (1, 0, 0)
    assert metrics(engine)["leases"] == {"live": 0, "overdue": 0, "cancelled": 1}
    assert metrics(engine)["runs"] == {"active": 1}
    engine.fail(claim)
    assert (lane(engine)["held"], lane(engine)["ready"]) == (0, 1)


def test_a_lease_that_ran_out_is_overdue_until_upkeep(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    engine.start()
    engine.claim(ttl=5)
    assert metrics(engine)["leases"] == {"live": 1, "overdue": 0, "cancelled": 0}
    engine.advance(5)
    assert metrics(engine)["leases"] == {"live": 0, "overdue": 1, "cancelled": 0}
    engine.call("wfg_reap")
    assert metrics(engine)["leases"] == {"live": 0, "overdue": 0, "cancelled": 0}


def test_beyond_twenty_lanes_the_rest_is_summed(engine):
    engine.set_now(START)
    engine.put(jobs={f"a{n}": {"run": "true", "labels": [f"l{n:02}"]} for n in range(24)})
    engine.start()
    engine.advance(3)
    engine.start()
    engine.put("more", jobs={"b": {"run": "true", "labels": ["l23"]}})
    engine.start("more")
    engine.advance(4)
    for _ in range(2):
        engine.claim(labels=["l22"])

    found = metrics(engine)
    names = [each["required_labels"][0] for each in found["lanes"]]
    assert names == ["l23", *(f"l{n:02}" for n in range(19))]
    assert found["other"] == {
        "lanes": 4,
        "ready": 6,
        "delayed": 0,
        "held": 0,
        "leased": 2,
        "oldest_ready_secs": 7.0,
    }


def test_counting_ends_at_the_limit_and_ages_are_right_beyond_it(engine):
    engine.set_now(START)
    engine.put("old", jobs={"a": {"run": "true", "labels": ["first"]}})
    engine.put("new", jobs={"a": {"run": "true", "labels": ["second"]}})
    engine.start("new")
    engine.advance(60)
    bulk.start(engine.connection, "old", 150)
    depths = engine.query(
        "select l.labels, d.ready, wfg.now() - d.oldest_ready_at as age"
        " from unnest(wfg.lane_depths(100, wfg.now())) d join wfg.lanes l on l.id = d.lane_id order by l.id"
    )
    assert [(each["labels"], each["ready"]) for each in depths] == [(["first"], 100), (["second"], 1)]
    assert depths[1]["age"].total_seconds() == 60
    assert len(engine.query("select * from unnest(wfg.lane_depths(50, wfg.now()))")) == 1


@pytest.mark.nightly
def test_more_jobs_than_are_counted_are_capped_and_answered_in_time(engine):
    engine.put(jobs=only("a"))
    bulk.start(engine.connection, "wf", 60_000)
    engine.query("set statement_timeout = '2s'")
    found = metrics(engine)
    assert found["capped"] is True
    assert lane(engine)["ready"] == 50_000
    assert found["runs"]["active"] == 50_000
    engine.query("set statement_timeout = 0")  # wfg_check looks at all of them


def test_workers_are_busy_idle_or_offline(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    engine.start()
    engine.call("wfg_register_worker", p_worker_id="gone", p_labels=[])
    engine.advance(61)
    engine.call("wfg_register_worker", p_worker_id="idle", p_labels=[])
    engine.claim(worker="busy")
    assert metrics(engine)["workers"] == {"busy": 1, "idle": 1, "offline": 1}
    engine.call("wfg_deregister_worker", p_worker_id="busy")
    assert metrics(engine)["workers"]["busy"] == 1  # it has a lease all the same


# --- how often ---


def test_what_succeeds_is_counted_one_by_one_and_in_batches(engine):
    engine.put(jobs=chain(2))
    for _ in range(3):
        engine.start()
    assert metrics(engine)["totals"]["runs_started"] == 3
    first = engine.claim()
    assert counted(engine, lambda: engine.complete(first)) == {"jobs_success": 1}
    claims: list[Any] = []
    assert counted(engine, lambda: claims.extend(engine.claim_many(9))) == {"claims": 3}
    reports = [{"lease_id": lease_id(claim), "outcome": "success"} for claim in claims]
    assert counted(engine, lambda: engine.call("wfg_report_jobs", p_reports=reports)) == {
        "jobs_success": 3,
        "runs_success": 1,
    }
    last = engine.claim_many(9)
    assert counted(engine, lambda: engine.complete(last[0])) == {"jobs_success": 1, "runs_success": 1}


def test_runs_are_counted_when_they_start_and_not_when_they_repeat(engine):
    engine.put(jobs=only("a"))
    engine.put("empty", jobs={})
    keyed = [{"idempotency_key": "k"}, {"idempotency_key": "k"}, {}]
    assert counted(engine, lambda: engine.call("wfg_start_runs", p_workflow_id="wf", p_runs=keyed)) == {
        "runs_started": 2
    }
    assert counted(engine, lambda: engine.start(idempotency_key="k")) == {}
    assert counted(engine, lambda: engine.start("empty")) == {"runs_started": 1, "runs_success": 1}
    assert counted(engine, lambda: run_workflow(engine)) == {"runs_started": 1}
    ended = engine.start("empty")
    assert counted(engine, lambda: engine.call("wfg_rerun_run", p_run_id=ended)) == {
        "runs_started": 1,
        "runs_success": 1,
    }
    assert counted(engine, lambda: run_workflow(engine)) == {}
    assert counted(engine, lambda: cancel(engine, "wf")) == {"runs_cancelled": 1, "jobs_cancelled": 1}
    assert counted(engine, lambda: cancel(engine, "wf")) == {}


def test_a_failure_is_counted_with_what_follows_from_it(engine):
    engine.put(
        jobs={
            "a": {"run": "true", "retries": 1},
            **{f"b{n}": {"run": "true", "needs": "a"} for n in range(3)},
        }
    )
    engine.start()
    first = engine.claim()
    assert counted(engine, lambda: engine.fail(first, retryable=True)) == {
        "attempts_failure": 1,
        "retries": 1,
    }
    second = engine.claim()
    assert counted(engine, lambda: engine.call("wfg_release_job", p_lease_id=lease_id(second))) == {
        "releases": 1
    }
    third = engine.claim()
    assert counted(engine, lambda: engine.fail(third)) == {
        "attempts_failure": 1,
        "jobs_failure": 1,
        "jobs_skipped": 3,
        "runs_failure": 1,
    }


def test_what_runs_out_is_counted_by_why(engine):
    engine.set_now(START)
    engine.put(jobs={"lost": {"run": "true", "retries": 1}, "late": {"run": "true", "timeout": 3}})
    engine.start()
    engine.claim_many(2, ttl=4)
    engine.advance(3)
    assert counted(engine, lambda: engine.call("wfg_reap")) == {
        "attempts_job_timed_out": 1,
        "jobs_failure": 1,
    }
    engine.advance(1)
    assert counted(engine, engine.claim) == {"attempts_lease_expired": 1, "retries": 1, "claims": 1}


def test_a_cancelled_lease_is_no_lost_one(engine):
    engine.set_now(START)
    engine.put(jobs=only("a", "b"))
    run = engine.start()
    engine.claim_many(2)
    assert counted(engine, lambda: engine.call("wfg_cancel_job", p_run_id=run, p_job_id="a")) == {
        "jobs_cancelled": 1
    }
    assert counted(engine, lambda: cancel(engine, run)) == {"jobs_cancelled": 1, "runs_cancelled": 1}
    engine.advance(60)
    assert counted(engine, lambda: engine.call("wfg_reap")) == {}


def test_a_refused_report_is_counted_though_it_changes_nothing(engine):
    engine.set_now(START)
    engine.put(jobs=only("a", "b", "c"))
    run = engine.start()
    done, cancelled, lost = engine.claim_many(3, ttl=30)
    engine.complete(done)
    engine.call("wfg_cancel_job", p_run_id=run, p_job_id=cancelled["job"]["job_id"])

    def refused(claim: Any, slug: str) -> Callable[[], object]:
        return lambda: engine.fails(
            "wfg_complete_job", status=409, slug=slug, p_lease_id=lease_id(claim), p_outputs={}
        )

    assert counted(engine, refused(done, "already_reported")) == {"refused_already_reported": 1}
    assert counted(engine, refused(cancelled, "lease_cancelled")) == {"refused_lease_cancelled": 1}
    engine.advance(30)
    assert counted(engine, refused(lost, "lease_not_held")) == {"refused_lease_not_held": 1}
    assert counted(engine, refused("x", "lease_not_held")) == {"refused_lease_not_held": 1}
    reports = [{"lease_id": lease_id(each), "outcome": "failure", "error": "e"} for each in (done, lost)]
    assert counted(engine, lambda: engine.call("wfg_report_jobs", p_reports=reports)) == {
        "refused_already_reported": 1,
        "refused_lease_not_held": 1,
    }


def test_a_completion_rolled_back_stays_counted(engine):
    """As docs/observe.md says: what happened counts, not what was committed."""
    engine.put(jobs=only("a"))
    engine.start()
    claim = engine.claim()

    def rolled_back() -> None:
        with engine.connection.transaction(force_rollback=True):
            engine.complete(claim)

    assert counted(engine, rolled_back) == {"jobs_success": 1, "runs_success": 1}


# --- trace context ---

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_trace_context_travels_from_the_start_to_each_claim(engine):
    engine.put(jobs=chain(2))
    run = engine.start(traceparent=TRACE)
    assert engine.call("wfg_get_run", p_run_id=run)["traceparent"] == TRACE
    for _ in range(2):
        claim = engine.claim_many(2)[0]
        assert list(claim["job"])[-1] == "traceparent"
        assert claim["job"]["traceparent"] == TRACE
        engine.complete(claim)

    engine.call("wfg_start_runs", p_workflow_id="wf", p_runs=[{}], p_traceparent=TRACE)
    assert engine.claim()["job"]["traceparent"] == TRACE
    run_workflow(engine, p_traceparent=TRACE)
    assert engine.claim()["job"]["traceparent"] == TRACE


def test_a_re_run_has_the_trace_context_of_who_asked_for_it(engine):
    engine.put(jobs=only("a"))
    run = engine.start(traceparent=TRACE)
    engine.complete(engine.claim())

    for trace in (TRACE.replace("4bf9", "5bf9"), None):
        engine.call("wfg_rerun_run", p_run_id=run, p_traceparent=trace)
        claim = engine.claim()
        assert claim["job"].get("traceparent") == trace
        engine.complete(claim)


def test_a_claim_of_a_run_without_trace_context_says_nothing_of_it(engine):
    engine.put(jobs=only("a"))
    engine.start()
    assert "traceparent" not in engine.claim()["job"]


def test_trace_context_is_not_part_of_the_request(engine):
    engine.put(jobs=only("a"))
    run = engine.start(idempotency_key="k", traceparent=TRACE)
    assert engine.start(idempotency_key="k", traceparent=TRACE.replace("4bf9", "5bf9")) == run
    assert engine.claim()["job"]["traceparent"] == TRACE


NO_TRACES = [
    "",
    "00",
    TRACE.upper(),
    TRACE + "\n",
    TRACE[:-1] + "\n",
    TRACE + "-00",
    " " + TRACE[1:],
    TRACE.replace("00-", "ff-", 1),
    TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
    TRACE.replace("00f067aa0ba902b7", "0" * 16),
    TRACE.replace("902b7", '902b"'),
]


def test_what_is_no_trace_context_is_refused(engine):
    engine.put(jobs=only("a"))
    starts = {"wfg_start_run": {}, "wfg_run_workflow": {}, "wfg_start_runs": {"p_runs": "[{}]"}}
    for text in NO_TRACES:
        for function, given in starts.items():
            given = {"p_workflow_id": "wf", "p_traceparent": text, **given}
            diag = engine.fails(function, status=422, slug="invalid_request", **given)
            assert str(diag.message_detail).startswith("p_traceparent: "), text
