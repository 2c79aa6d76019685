"""The defects of the system that wfg is compatible with, as far as SQL answers them: a short test each.

The numbers are those of the specification's tables: D1 to D30 are of its scheduler, queue and server, D50 to
D55 of its variant in Postgres. D31 to D40, of its worker, are in tests/test_worker.py.
"""

import json
import subprocess
import threading
import time

import pytest

from tests.arrange import (
    START,
    after,
    append,
    cancel,
    chain,
    chunk,
    drain,
    ms,
    only,
    run_workflow,
)
from tests.engine import lease_id

JOB = {"id": "a", "name": "A", "status": "queued", "command": "true", "depends_on": []}


def statuses(engine, workflow_id="wf"):
    return {
        job["id"]: job["status"] for job in engine.call("wfg_get_status", p_workflow_id=workflow_id)["jobs"]
    }


def status_of(engine, job_id, workflow_id="wf"):
    jobs = engine.call("wfg_get_status", p_workflow_id=workflow_id)["jobs"]
    return next(job for job in jobs if job["id"] == job_id)


def is_cancelled(engine, job_id, workflow_id="wf"):
    return engine.call("wfg_is_cancelled", p_workflow_id=workflow_id, p_job_id=job_id)


# --- scheduler, queue, server ---


def test_d01_labels_and_retries_hold_for_downstream_jobs(engine):
    engine.put(
        jobs={
            "a": {"run": "true"},
            "b": {"run": "true", "needs": "a", "labels": ["gpu"], "retries": 3, "backoff": {"fixed": 5}},
        }
    )
    run_workflow(engine)
    engine.complete(engine.claim())

    assert engine.claim() is None
    job = engine.claim(labels=["gpu"])["job"]
    assert job["required_labels"] == ["gpu"]
    assert job["retry_policy"] == {"max_retries": 3, "backoff": {"Fixed": {"delay_secs": 5}}}


def test_d02_four_hundred_completions_at_once_lose_none(engine):
    roots = [f"r{n}" for n in range(400)]
    engine.put(jobs={**only(*roots), "sink": {"run": "true", "needs": roots}})
    run_workflow(engine)
    reports = [{"lease_id": lease_id(c), "outcome": "success"} for c in engine.claim_many(400)]
    engine.call("wfg_report_jobs", p_reports=reports)

    assert drain(engine) == ["sink"]
    assert set(statuses(engine).values()) == {"success"}


def test_d03_cancellation_belongs_to_a_run(engine):
    engine.put(jobs=only("a"))
    run_workflow(engine)
    cancel(engine, "wf")
    assert is_cancelled(engine, "a")
    run_workflow(engine)

    assert not is_cancelled(engine, "a")
    assert engine.complete(engine.claim()) == {"job": "success", "run": "success"}


@pytest.mark.parametrize("retries", [0, 3])
def test_d04_cancelled_job_stays_cancelled_whatever_its_worker_says(engine, retries):
    engine.put(jobs=chain(2, retries=retries))
    run_workflow(engine)
    claim = engine.claim()
    cancel(engine, "wf")

    assert engine.fail(claim, "cancelled", retryable=True) == {"job": "cancelled", "run": "cancelled"}
    assert statuses(engine) == {"j1": "cancelled", "j2": "cancelled"}
    assert engine.claim() is None


def test_d05_lost_lease_without_retries_is_a_failure(engine):
    engine.set_now(START)
    engine.put(jobs=chain(2))
    run_workflow(engine)
    engine.claim()
    engine.advance(30)
    engine.call("wfg_reap")

    assert statuses(engine) == {"j1": "failure", "j2": "skipped"}
    assert status_of(engine, "j1")["output"].startswith("lease_expired")
    assert engine.state("wf") == "failure"


def test_d06_three_calls_of_run_queue_a_job_once(engine):
    engine.put(jobs=only("a"))
    for _ in range(3):
        run_workflow(engine)

    assert len(engine.claim_many(10)) == 1


def test_d07_report_of_an_old_run_does_not_touch_the_new_one(engine):
    engine.put(jobs=chain(2))
    first = run_workflow(engine)
    old = engine.claim()
    cancel(engine, "wf")
    second = run_workflow(engine)
    engine.fails("wfg_complete_job", p_lease_id=lease_id(old), status=409, slug="lease_cancelled")

    assert engine.jobs(second) == {"j1": "queued", "j2": "queued"}
    assert engine.jobs(first) == {"j1": "cancelled", "j2": "cancelled"}
    assert [run["run_id"] for run in engine.call("wfg_list_runs")["items"]] == [second, first]


def test_d08_attempt_is_shown_and_leaves_a_trace(engine):
    engine.put(jobs=only("a", retries=1))
    run_id = run_workflow(engine)
    engine.fail(engine.claim(), "first", retryable=True)
    assert status_of(engine, "a")["attempt"] == 1
    engine.complete(engine.claim())

    assert status_of(engine, "a")["attempt"] == 1
    detail = engine.call("wfg_get_job", p_run_id=run_id, p_job_id="a")
    assert [(a["attempt"], a["error"]) for a in detail["attempts"]] == [(0, "first")]


@pytest.mark.parametrize("ttl", [5, 600])
def test_d09_lease_is_renewed_by_its_own_time_to_live(engine, ttl):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    engine.start()
    claim = engine.claim(ttl=ttl)
    engine.advance(4)

    answer = engine.call("wfg_renew_lease", p_lease_id=lease_id(claim))
    assert answer["lease_expires_at_ms"] == ms(after(4 + ttl))


def test_d10_expired_lease_can_neither_be_renewed_nor_completed(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    engine.start()
    lease = {"p_lease_id": lease_id(engine.claim(ttl=10)), "status": 409, "slug": "lease_not_held"}
    engine.advance(10)  # nobody has reaped it

    engine.fails("wfg_renew_lease", **lease)
    engine.fails("wfg_complete_job", **lease)
    engine.fails("wfg_fail_job", **lease, p_error="")


def test_d11_time_to_live_has_bounds_and_the_reaper_survives_any(engine):
    engine.set_now(START)
    engine.put(jobs=only("a", "b"))
    engine.start()
    for ttl in (0, -1, 86401, 2**31 - 1):
        engine.fails(
            "wfg_claim_job",
            p_worker_id="w",
            p_labels=[],
            p_ttl_secs=ttl,
            status=422,
            slug="invalid_request",
        )
    engine.claim(ttl=1)
    engine.claim(ttl=86400)
    engine.advance(86400)

    assert engine.call("wfg_reap")["failed"] == 2


def test_d12_logs_need_the_lease_of_their_job(engine):
    engine.put(jobs=only("a", "b"))
    engine.start()
    a, b = engine.claim_many(2)

    engine.fails(
        "wfg_append_logs", p_lease_id="nobody", p_chunks=[chunk(a)], status=409, slug="lease_not_held"
    )
    engine.fails(
        "wfg_append_logs", p_lease_id=lease_id(a), p_chunks=[chunk(b)], status=422, slug="invalid_request"
    )
    assert append(engine, a, chunk(a))["accepted"] == 1


def test_d13_log_is_unique_ordered_and_capped(engine):
    engine.put(jobs=only("a", retries=1))
    run_id = engine.start()
    claim = engine.claim()
    for _ in range(2):  # a POST sent again
        append(engine, claim, chunk(claim, 1, "second"), chunk(claim, 0, "first"))
    engine.fail(claim, retryable=True)
    again = engine.claim()
    append(engine, again, chunk(again, 0, "retry"))
    for n in range(1, 5):
        answer = append(engine, again, chunk(again, n, "x" * 5_000_000))

    found = engine.call("wfg_list_logs", p_workflow_id=run_id, p_job_id="a")
    assert [c["data"][:6] for c in found] == [
        "first",
        "second",
        "retry",
        "xxxxxx",
        "xxxxxx",
        "xxxxxx",
        "[wfg: ",
    ]
    assert answer["truncated"]


def test_d14_reader_of_a_log_misses_nothing_between_two_looks(engine):
    engine.put(jobs=only("a"))
    run_workflow(engine)
    claim = engine.claim()
    seen, cursor = [], None
    for n in range(5):
        append(engine, claim, *(chunk(claim, n * 3 + k, f"{n * 3 + k}") for k in range(3)))
        page = engine.call(
            "wfg_read_logs", p_workflow_id="wf", p_job_id="a", p_cursor=cursor, p_limit=2 if n % 2 else 100
        )
        seen += [c["data"] for c in page["items"]]
        cursor = page["next_cursor"]
    page = engine.call("wfg_read_logs", p_workflow_id="wf", p_job_id="a", p_cursor=cursor)

    assert seen + [c["data"] for c in page["items"]] == [f"{n}" for n in range(15)]


@pytest.mark.parametrize(
    "jobs",
    [
        [JOB, JOB],
        [{**JOB, "depends_on": ["nobody"]}],
        [{**JOB, "depends_on": ["b"]}, {**JOB, "id": "b", "depends_on": ["a"]}],
        [{**JOB, "depends_on": ["a"]}],
        [{**JOB, "status": "nonsense"}],
    ],
)
def test_d15_bad_job_lists_are_refused_with_reasons(engine, jobs):
    diag = engine.fails(
        "wfg_create_workflow", p_name="n", p_trigger="t", p_jobs=jobs, status=422, slug="invalid_workflow"
    )
    assert all(problem["message"] for problem in json.loads(diag.message_detail))


def test_d15_statuses_from_clients_are_ignored(engine):
    created = engine.call(
        "wfg_create_workflow", p_name="n", p_trigger="t", p_jobs=[{**JOB, "status": "success"}]
    )
    assert statuses(engine, created["id"]) == {"a": "queued"}


def test_d16_nothing_is_lost_with_a_session(engine, connect):
    engine.put(jobs=chain(2))
    run_workflow(engine)
    claim = engine.claim()
    append(engine, claim, chunk(claim))
    engine.close()

    other = connect()
    assert statuses(other) == {"j1": "running", "j2": "queued"}
    assert len(other.call("wfg_list_logs", p_workflow_id="wf", p_job_id="j1")) == 1
    assert [worker["worker_id"] for worker in other.call("wfg_list_workers")] == ["w1"]
    assert other.complete(claim)["job"] == "success"


def test_d17_any_number_of_sessions_share_the_work_without_a_scheduler(connect):
    sessions = [connect() for _ in range(4)]
    sessions[0].put(jobs=chain(8))
    run_workflow(sessions[1])
    for n in range(8):
        claim = sessions[n % 4].claim()
        sessions[(n + 1) % 4].complete(claim)

    assert sessions[2].state("wf") == "success"
    sessions[3].check()


def test_d18_nobody_can_call_anything_without_a_grant(engine):
    answers = engine.query(
        """
        select p.proname as name
          from pg_proc p
         where (p.pronamespace = 'wfg'::regnamespace and p.prorettype <> 'trigger'::regtype
                or p.pronamespace = 'public'::regnamespace and p.proname like 'wfg\\_%')
           and has_function_privilege('public', p.oid, 'execute')
        """
    )
    assert answers == []


def test_d19_status_of_a_worker_follows_its_leases(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    engine.start()

    def status():
        return engine.call("wfg_list_workers")[0]["status"]

    claim = engine.claim("w1")
    found = [status()]
    engine.complete(claim)
    found.append(status())
    engine.advance(61)
    found.append(status())
    assert found == ["busy", "idle", "offline"]
    engine.call("wfg_deregister_worker", p_worker_id="w1")
    assert engine.call("wfg_list_workers") == []


def test_d20_unknown_ids_are_told_from_faults(engine):
    for function in ("wfg_run_workflow", "wfg_get_status"):
        engine.fails(function, p_workflow_id="nobody", status=404, slug="workflow_not_found")
    diag = engine.fails("wfg_cancel_run", p_run_id="nobody", status=404, slug="workflow_not_found")
    assert diag.message_detail
    assert diag.message_hint
    assert is_cancelled(engine, "a", "nobody") is False
    assert engine.call("wfg_list_logs", p_workflow_id="nobody", p_job_id="a") == []
    engine.fails("wfg_register_worker", p_worker_id="", p_labels=[], status=422, slug="invalid_request")


def test_d21_workflows_are_listed_in_the_order_of_creation(engine):
    engine.set_now(START)
    names = ["m", "a", "z", "k", "b"]
    for name in names:
        engine.put(name, jobs=only("j"))
        engine.advance(1)
    engine.put("a", jobs=only("other"))

    pages = [engine.call("wfg_list_workflows", p_limit=2, p_offset=n) for n in (0, 2, 4)]
    assert [workflow["id"] for page in pages for workflow in page] == names


def test_d22_completion_beside_a_cancel_leaves_nothing_queued(engine, connect):
    engine.put(jobs=chain(2))
    run_id = run_workflow(engine)
    claim = engine.claim()
    canceller = connect()
    answers = []
    with engine.connection.transaction():
        engine.complete(claim)  # j2 is queued, and not committed
        thread = threading.Thread(target=lambda: answers.append(cancel(canceller, run_id)))
        thread.start()
        until_it_waits(connect(), canceller)
    thread.join()

    assert answers == [{"run_id": run_id, "run": "cancelled"}]
    assert engine.jobs(run_id) == {"j1": "success", "j2": "cancelled"}
    assert engine.claim() is None


def until_it_waits(observer, engine):
    """Look until a session waits for a lock."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        (row,) = observer.query("select wait_event_type from pg_stat_activity where pid = %s", engine.pid)
        if row["wait_event_type"] == "Lock":
            return
    raise AssertionError("it did not wait")


def test_d23_retry_and_its_next_start_are_never_seen_out_of_order(engine, connect):
    engine.put(jobs=only("a", retries=1))
    run_workflow(engine)
    other = connect()
    claim = engine.claim()
    with engine.connection.transaction():
        engine.fail(claim, retryable=True)
        assert (other.claim("w2"), statuses(other)) == (None, {"a": "running"})

    assert (status_of(other, "a")["status"], status_of(other, "a")["started_at"]) == ("queued", None)
    other.claim("w2")
    assert status_of(other, "a")["status"] == "running"
    assert status_of(other, "a")["started_at"] is not None


def test_d24_only_open_dependents_are_skipped(engine):
    engine.put(
        jobs={**only("a", "b"), "c": {"run": "true", "needs": "a"}, "d": {"run": "true", "needs": ["b", "c"]}}
    )
    run_workflow(engine)
    a, b = engine.claim_many(2)
    engine.complete(a)
    engine.complete(engine.claim())
    engine.fail(b)

    assert statuses(engine) == {"a": "success", "b": "failure", "c": "success", "d": "skipped"}


def test_d25_run_keeps_its_version_whatever_is_put_meanwhile(engine):
    engine.call("wfg_create_sample_workflow")
    run_workflow(engine, "ci-1")
    claim = engine.claim()
    engine.call("wfg_create_sample_workflow")
    engine.put("ci-1", jobs=only("other"))

    assert engine.complete(claim) == {"job": "success", "run": "running"}
    assert statuses(engine, "ci-1")[claim["job"]["job_id"]] == "success"
    drain(engine)
    assert engine.state("ci-1") == "success"
    assert engine.call("wfg_run_workflow", p_workflow_id="ci-1")["version"] == 2


def test_d25_file_is_checked_before_it_counts(engine):
    engine.put(jobs=only("a"))
    answer = engine.call("wfg_validate_workflow", p_definition={"jobs": {"a": {}}})
    assert answer["valid"] is False
    engine.fails(
        "wfg_put_workflow",
        p_workflow_id="wf",
        p_definition={"jobs": {"a": {}}},
        status=422,
        slug="invalid_workflow",
    )
    assert engine.call("wfg_get_workflow", p_workflow_id="wf")["version"] == 1


@pytest.mark.parametrize(
    ("job", "path"),
    [
        ({"run": "true", "if": "false"}, "jobs.a.if"),
        ({"run": "true", "retry": 3}, "jobs.a.retry"),
        ({"run": "true", "steps": [{"run": "true"}]}, "jobs.a"),
        ({"steps": [{"name": "x"}]}, "jobs.a.steps[0]"),
        ({"run": ""}, "jobs.a.run"),
        ({"run": "true", "needs": "a"}, "jobs.a.needs"),
    ],
)
def test_d26_what_would_be_ignored_is_refused(engine, job, path):
    answer = engine.call("wfg_validate_workflow", p_definition={"jobs": {"a": job}})
    assert [p["path"][: len(path)] for p in answer["problems"]] == [path]


def test_d26_cycle_is_named_by_its_path(engine):
    jobs = {name: {"run": "true", "needs": needs} for name, needs in (("x", "z"), ("y", "x"), ("z", "y"))}
    (problem,) = engine.call("wfg_validate_workflow", p_definition={"jobs": jobs})["problems"]
    assert all(name in problem["message"] for name in "xyz")


def test_d26_timeout_is_honoured(engine):
    engine.set_now(START)
    engine.put(jobs=only("a", timeout=10))
    run_workflow(engine)
    engine.claim(ttl=3600)
    engine.advance(10)
    engine.call("wfg_reap")
    assert status_of(engine, "a")["output"].startswith("job_timed_out")


@pytest.mark.parametrize(
    ("job", "code", "printed"),
    [
        ({"steps": [{"run": "echo one # a comment"}, {"run": "false"}]}, 1, "one"),
        ({"steps": [{"run": "cat <<X\nhere\nX"}, {"run": "exit 7"}]}, 7, "here"),
        ({"steps": [{"run": "true &"}, {"run": "exit 3"}]}, 3, ""),
        ({"run": "false\necho not reached"}, 1, ""),
        ({"steps": [{"name": "it's $(echo x)", "run": "true"}]}, 0, "=== it's $(echo x) ==="),
        ({"steps": [{"run": "cd /; A=1", "env": {"B": "it's"}}, {"run": 'echo "[$A$B]"'}]}, 0, "[]"),
    ],
)
def test_d27_steps_stop_on_the_first_error_and_share_nothing(engine, job, code, printed):
    engine.put(jobs={"a": job})
    engine.start()
    done = subprocess.run(
        ["sh", "-c", engine.claim()["job"]["command"]], capture_output=True, text=True, check=False
    )
    assert (done.returncode, printed in done.stdout) == (code, True), done
    assert "not reached" not in done.stdout


def test_d28_backoff_is_the_files_and_starts_at_its_base(engine):
    engine.set_now(START)
    engine.put(jobs=only("a", retries=4, backoff={"exponential": {"base": 2, "max": 10}}))
    run_workflow(engine)
    waits = []
    for _ in range(4):
        at = engine.now()
        engine.fail(engine.claim(), retryable=True)
        ready = engine.call("wfg_get_run", p_run_id="wf")["jobs"][0]["ready_at_ms"]
        waits.append((ready - ms(at)) / 1000)
        engine.advance(waits[-1])

    assert waits == [2, 4, 8, 10]


def test_d29_outputs_of_every_run_can_be_read(engine):
    engine.put(jobs=only("a"))
    runs = []
    for n in range(2):
        runs.append(run_workflow(engine))
        engine.complete(engine.claim(), {"n": f"{n}"})

    assert [engine.call("wfg_get_outputs", p_run_id=run_id, p_job_id="a") for run_id in runs] == [
        {"n": "0"},
        {"n": "1"},
    ]


def test_d30_times_are_those_of_the_transitions(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    run_workflow(engine)
    engine.set_now(after(1.5))
    claim = engine.claim()
    engine.set_now(after(4.25))
    engine.complete(claim)

    (job,) = engine.call("wfg_get_run", p_run_id="wf")["jobs"]
    assert (claim["job"]["enqueued_at_ms"], job["started_at_ms"], job["finished_at_ms"]) == (
        ms(START),
        ms(after(1.5)),
        ms(after(4.25)),
    )
    assert status_of(engine, "a")["duration_secs"] == 2


# --- the documented variant in Postgres ---


def test_d50_claim_has_every_field_that_the_compatible_worker_demands(engine):
    engine.put(jobs=only("a"))
    run_workflow(engine)
    claim = engine.claim()

    job = "job_id workflow_id command required_labels retry_policy attempt upstream_outputs enqueued_at_ms"
    lease = "lease_id job_id workflow_id worker_id ttl_secs granted_at_ms"
    assert {*job.split(), "delayed_until_ms"} <= set(claim["job"])
    assert set(lease.split()) <= set(claim["lease"])
    integers = [
        claim["job"]["attempt"],
        claim["job"]["enqueued_at_ms"],
        claim["job"]["delayed_until_ms"],
        claim["job"]["retry_policy"]["max_retries"],
        claim["lease"]["ttl_secs"],
        claim["lease"]["granted_at_ms"],
    ]
    assert {type(value) for value in integers} == {int}


def test_d51_delayed_job_is_not_claimed_before_its_time(engine):
    engine.set_now(START)
    engine.put(jobs=only("a", retries=1, backoff={"fixed": 60}))
    run_workflow(engine)
    engine.fail(engine.claim(), retryable=True)
    engine.set_now(after(59))
    assert engine.claim() is None
    engine.set_now(after(60))
    assert engine.claim()["job"]["delayed_until_ms"] == ms(after(60))


def test_d52_job_that_kills_its_worker_ends(engine):
    engine.set_now(START)
    engine.put(jobs=only("a", retries=2))
    run_workflow(engine)
    executions = 0
    while engine.claim() is not None:
        executions += 1
        assert executions < 10
        engine.advance(30)

    assert (executions, engine.state("wf")) == (3, "failure")


def test_d53_report_is_one_transaction_that_counts_or_is_refused(engine):
    engine.set_now(START)
    engine.put(jobs=only("a", retries=1))
    run_workflow(engine)
    claim = engine.claim()
    engine.advance(30)
    for function, more in (("wfg_complete_job", {}), ("wfg_fail_job", {"p_error": "", "p_retryable": True})):
        engine.fails(function, p_lease_id=lease_id(claim), **more, status=409, slug="lease_not_held")
    engine.fails("wfg_complete_job", p_lease_id="nobody", status=409, slug="lease_not_held")


def test_d54_every_run_has_its_own_row_of_a_job(engine):
    engine.put(jobs=only("a"))
    runs = [run_workflow(engine), engine.start(), engine.start()]
    for claim in engine.claim_many(10):
        engine.complete(claim, {"run": claim["job"]["run_id"]})

    for run_id in runs:
        assert engine.call("wfg_get_outputs", p_run_id=run_id, p_job_id="a") == {"run": run_id}
    for table in ("queue", "jobs"):
        (row,) = engine.query(
            "select array_agg(a.attname::text order by k.n) as key from pg_index i"
            " cross join lateral unnest(i.indkey) with ordinality k (attnum, n)"
            " join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum"
            " where i.indrelid = %s::regclass and i.indisprimary",
            f"wfg.{table}",
        )
        assert row["key"] == ["run_id", "job_no"]


def test_d55_outputs_of_any_size_are_handed_on_while_nobody_listens(engine):
    engine.put(jobs=chain(2))
    run_workflow(engine)
    outputs = {"big": "x" * 100_000}
    engine.complete(engine.claim(), outputs)

    assert engine.claim()["job"]["upstream_outputs"] == {"j1": outputs}
