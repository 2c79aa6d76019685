"""wfg_prune: what is long over goes, with all that hangs on it; nothing else does."""

import pytest

from tests.arrange import CANNOT_CAST, START, after, append, cancel, chunk, drain, join, only, sqlstate_of
from tests.engine import Raw

DAY = 86400


def prune(engine, days=30, **params):
    return engine.call("wfg_prune", p_older_than_secs=days * DAY, **params)


def run_ids(engine):
    return [run["run_id"] for run in engine.call("wfg_list_runs")["items"]]


def rows(engine):
    tables = ("runs", "jobs", "queue", "outputs", "attempts", "log_chunks", "run_slots", "join_slots")
    counts = {t: engine.query(f"select count(*)::int as n from wfg.{t}")[0]["n"] for t in tables}
    return {table: count for table, count in counts.items() if count}


def test_nothing_to_do_is_three_zeros(engine):
    assert engine.call_text("wfg_prune") == '{"runs" : 0, "workers" : 0, "label_sets" : 0}'


def test_run_goes_with_all_that_hangs_on_it(engine):
    engine.set_now(START)
    engine.put(jobs=join(20, retries=1))
    run_id = engine.start()
    first = engine.claim()
    append(engine, first, chunk(first))
    engine.fail(first, retryable=True)
    engine.complete(engine.claim(), {"n": "x" * 5000})
    drain(engine)
    assert set(rows(engine)) == {"runs", "jobs", "outputs", "attempts", "log_chunks"}

    engine.set_now(after(31 * DAY))
    assert prune(engine)["runs"] == 1
    assert rows(engine) == {}
    engine.fails("wfg_get_run", p_run_id=run_id, status=404, slug="run_not_found")
    engine.fails("wfg_cancel_run", p_run_id=run_id, status=404, slug="run_not_found")
    assert engine.call("wfg_list_logs", p_workflow_id=run_id, p_job_id="p1") == []


def test_only_runs_that_ended_so_long_ago_go(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    old = engine.start()
    engine.complete(engine.claim())
    engine.set_now(after(10))
    young = engine.start()
    engine.complete(engine.claim())

    engine.set_now(after(100))
    assert engine.call("wfg_prune", p_older_than_secs=100)["runs"] == 0
    engine.set_now(after(100.001))
    assert engine.call("wfg_prune", p_older_than_secs=100)["runs"] == 1
    assert run_ids(engine) == [young]
    assert old != young


def test_thirty_days_unless_said(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    engine.start()
    drain(engine)

    engine.set_now(after(30 * DAY))
    assert engine.call("wfg_prune")["runs"] == 0
    engine.set_now(after(30 * DAY + 1))
    assert engine.call("wfg_prune")["runs"] == 1


def test_active_runs_stay_however_old(engine):
    engine.set_now(START)
    engine.put(jobs=only("a", "b"))
    run_id = engine.start()
    engine.complete(engine.claim())
    engine.set_now(after(1000 * DAY))

    assert prune(engine, 1)["runs"] == 0
    assert engine.jobs(run_id) == {"a": "success", "b": "queued"}


def test_run_with_a_cancelled_lease_stays_until_it_is_over(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    run_id = engine.start()
    engine.claim()
    cancel(engine, run_id)
    engine.set_now(after(10))
    assert prune(engine, 0)["runs"] == 0

    engine.set_now(after(60))
    engine.call("wfg_reap")
    assert prune(engine, 0)["runs"] == 1


def test_limit_takes_the_oldest_first(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    started = []
    for n in range(5):
        engine.set_now(after(n))
        started.append(engine.start())
        drain(engine)
    engine.set_now(after(DAY))

    assert prune(engine, 0, p_limit=2)["runs"] == 2
    assert run_ids(engine) == started[:1:-1]
    assert prune(engine, 0, p_limit=2)["runs"] == 2
    assert prune(engine, 0, p_limit=2)["runs"] == 1
    assert prune(engine, 0, p_limit=2)["runs"] == 0


def test_definitions_stay(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    engine.start()
    drain(engine)
    engine.set_now(after(100 * DAY))
    prune(engine)

    assert engine.call("wfg_get_workflow", p_workflow_id="wf")["version"] == 1
    engine.start()
    assert drain(engine) == ["a"]


def test_idempotency_key_is_free_again(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    engine.start(idempotency_key="k")
    drain(engine)
    engine.set_now(after(31 * DAY))
    assert engine.call("wfg_start_run", p_workflow_id="wf", p_idempotency_key="k")["created"] is False
    prune(engine)
    assert engine.call("wfg_start_run", p_workflow_id="wf", p_idempotency_key="k")["created"] is True


def test_silent_workers_go_and_others_stay(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    engine.start()
    for name in ("silent", "heard"):
        engine.call("wfg_register_worker", p_worker_id=name, p_labels=[])
    engine.claim("busy", ttl=DAY)
    engine.set_now(after(DAY - 1))
    engine.call("wfg_heartbeat_worker", p_worker_id="heard")
    assert prune(engine, 0)["workers"] == 0

    engine.set_now(after(DAY + 1))
    assert prune(engine, 0)["workers"] == 1
    assert {w["worker_id"] for w in engine.call("wfg_list_workers")} == {"heard", "busy"}


def test_label_sets_not_used_for_a_day_go_and_come_back(engine):
    engine.set_now(START)
    engine.put(jobs=only("a", labels=["x"]))
    engine.claim(labels=["x"])
    engine.claim(labels=["y"])
    engine.set_now(after(DAY - 3600))
    engine.claim(labels=["y"])
    engine.set_now(after(DAY + 3601))

    assert prune(engine)["label_sets"] == 1
    assert engine.query("select labels from wfg.label_sets") == [{"labels": ["y"]}]
    engine.start()
    assert engine.claim(labels=["x"]) is not None


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("p_older_than_secs", -1),
        ("p_older_than_secs", 3155760001),
        ("p_older_than_secs", 2**63 - 1),
        ("p_older_than_secs", None),
        ("p_limit", 0),
        ("p_limit", -1),
        ("p_limit", 100001),
        ("p_limit", None),
    ],
)
def test_bad_argument_is_named(engine, param, value):
    diag = engine.fails("wfg_prune", **{param: value}, status=422, slug="invalid_request")
    assert diag.message_detail.startswith(f"{param}:")


def test_a_century_is_long_enough(engine):
    assert engine.call("wfg_prune", p_older_than_secs=3155760000)["runs"] == 0


@pytest.mark.parametrize("text", ["never", "", str(2**63), "1.5"])
def test_what_is_no_number_is_refused_by_postgres(engine, text):
    assert sqlstate_of(engine, "wfg_prune", p_older_than_secs=Raw(text)) in CANNOT_CAST
