"""wfg_prune: what is long over goes, with all that hangs on it; nothing else does."""

import psycopg
import pytest

from tests import bulk
from tests.arrange import CANNOT_CAST, START, after, append, cancel, chunk, drain, join, only, sqlstate_of
from tests.engine import Raw
from tests.sessions import in_background, wait_until_blocked
from tests.test_plans import buffers_of

DAY = 86400


def prune(engine, days=30, **params):
    return engine.call("wfg_prune", p_older_than_secs=days * DAY, **params)


def run_ids(engine):
    return [run["run_id"] for run in engine.call("wfg_list_runs")["items"]]


def rows(engine):
    tables = ("runs", "jobs", "queue", "outputs", "attempts", "log_chunks", "run_slots", "join_slots")
    counts = {t: engine.query(f"select count(*)::int as n from wfg.{t}")[0]["n"] for t in tables}
    return {table: count for table, count in counts.items() if count}


def finished(engine, count=1, workflow_id="wf"):
    """So many runs, each a second after the one before; their ids."""
    ids = []
    for _ in range(count):
        engine.advance(1)
        ids.append(engine.start(workflow_id))
        drain(engine)
    return ids


def write_log(engine, run_id, chunks, text="x"):
    """As a worker could have done before the run ended."""
    engine.query(
        "insert into wfg.log_chunks (run_id, job_no, attempt, sequence, timestamp_ms, stream, data)"
        " select %s, 1, 0, n, 0, 'stdout', %s from generate_series(1, %s) n",
        run_id,
        text,
        chunks,
    )


def log_of(engine, run_id):
    return engine.call("wfg_list_logs", p_workflow_id=run_id, p_job_id="a")


def test_nothing_to_do_is_zeros_in_the_order_of_the_readme(engine):
    answer = engine.call("wfg_prune")
    assert list(answer) == ["runs", "workers", "label_sets", "log_chunks", "versions", "workflows", "more"]
    assert not any(answer.values())


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


def test_a_call_forgets_so_many_workers_and_label_sets_at_most(engine):
    engine.set_now(START)
    for n in range(60):
        engine.claim(f"w{n}", labels=[f"l{n}"])
    engine.advance(30 * 86400 + 1)
    first, second = (prune(engine, p_limit=1) for _ in range(2))
    assert [(p["workers"], p["label_sets"], p["more"]) for p in (first, second)] == [
        (50, 50, True),
        (10, 10, False),
    ]


def test_many_workers_are_forgotten_beside_many_leases(engine):
    engine.put(jobs=only("a"))
    bulk.start(engine.connection, "wf", 2000)
    engine.claim_many(1000, ttl=86400)
    engine.claim_many(1000, ttl=86400)
    engine.query(
        "insert into wfg.workers select '', 'old ' || n, '{}', wfg.now() - interval '10 days',"
        " wfg.now() - interval '9 days' from generate_series(1, 5000) n returning 1"
    )
    engine.query("set statement_timeout = '1s'")
    assert prune(engine, 1)["workers"] == 5000
    engine.query("set statement_timeout = 0")


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


# --- by count ---


def test_the_newest_ended_runs_of_each_workflow_stay(engine):
    engine.set_now(START)
    for name in ("one", "two"):
        engine.put(name, jobs=only("a"))
    ones, twos = finished(engine, 5, "one"), finished(engine, 2, "two")
    active = engine.start("one")
    engine.advance(DAY)

    assert prune(engine, 0, p_keep_per_workflow=3)["runs"] == 2
    assert set(run_ids(engine)) == {*ones[2:], *twos, active}
    assert prune(engine, 0, p_keep_per_workflow=3)["runs"] == 0
    assert prune(engine, 0, p_keep_per_workflow=1)["runs"] == 3
    assert set(run_ids(engine)) == {ones[-1], twos[-1], active}
    engine.check()


def test_a_run_goes_by_age_and_count_together(engine):
    """Too young, or among the newest: either keeps it."""
    engine.set_now(START)
    engine.put(jobs=only("a"))
    old = finished(engine, 3)
    engine.advance(100)
    young = finished(engine, 3)

    assert engine.call("wfg_prune", p_older_than_secs=50, p_keep_per_workflow=1)["runs"] == 3
    assert set(run_ids(engine)) == set(young)
    engine.advance(100)
    assert engine.call("wfg_prune", p_older_than_secs=50, p_keep_per_workflow=2)["runs"] == 1
    assert set(run_ids(engine)) == set(young[1:])
    assert not set(old) & set(run_ids(engine))


def test_few_runs_are_kept_without_a_look_at_those_of_others(engine):
    """The sample of the statistics has met one workflow only."""
    for workflow_id, count in {"a few": 3, "many": 20_000}.items():
        engine.put(workflow_id, jobs=only("a"))
        bulk.start(engine.connection, workflow_id, count, finished=True)
    engine.query("set default_statistics_target = 1")
    engine.query("analyze")
    engine.advance(60)

    assert prune(engine, 0, p_keep_per_workflow=5, p_limit=10, p_dry_run=True)["runs"] == 10
    query = "select public.wfg_prune(0, p_keep_per_workflow => 5, p_limit => 10, p_dry_run => true)"
    assert buffers_of(engine, query, []) < 200


def test_the_limit_holds_across_workflows(engine):
    engine.set_now(START)
    for name in ("one", "two", "three"):
        engine.put(name, jobs=only("a"))
        finished(engine, 3, name)
    engine.advance(DAY)

    answers = [prune(engine, 0, p_keep_per_workflow=1, p_limit=4) for _ in range(3)]
    assert [(answer["runs"], answer["more"]) for answer in answers] == [(4, True), (2, False), (0, False)]
    assert len(run_ids(engine)) == 3


# --- bounded ---


def test_more_says_whether_to_call_again(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    finished(engine, 3)
    engine.advance(DAY)
    answers = [prune(engine, 0, p_limit=2) for _ in range(2)]
    assert [(answer["runs"], answer["more"]) for answer in answers] == [(2, True), (1, False)]


def test_a_call_deletes_so_many_jobs_at_most_but_a_run_at_least(engine):
    engine.set_now(START)
    engine.put("big", jobs=only(*(f"j{n}" for n in range(120))))
    big = finished(engine, 2, "big")
    engine.put("small", jobs=only(*(f"j{n}" for n in range(30))))
    small = finished(engine, 4, "small")
    engine.advance(DAY)

    # 2 runs a call: 100 jobs.
    left = []
    while prune(engine, 0, p_limit=2)["more"]:
        left.append(set(run_ids(engine)))
    assert left == [{big[1], *small}, {*small}, {*small[2:]}, set()]


def test_a_long_log_goes_piece_by_piece_and_the_run_after_it(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    (run_id,) = finished(engine)
    write_log(engine, run_id, 120)
    now = engine.advance(DAY)

    answers = [prune(engine, 0, p_limit=1) for _ in range(2)]
    assert [(a["runs"], a["log_chunks"], a["more"]) for a in answers] == [(0, 50, True)] * 2
    run = engine.call("wfg_get_run", p_run_id=run_id)
    assert run["logs_pruned_at_ms"] == now.timestamp() * 1000
    answer = prune(engine, 0, p_limit=1)
    assert (answer["runs"], answer["log_chunks"]) == (1, 20)
    assert rows(engine) == {}


@pytest.mark.nightly
def test_large_pieces_count_by_their_bytes(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    (run_id,) = finished(engine)
    engine.query("alter table wfg.log_chunks alter column data set storage external")  # nothing is compressed
    write_log(engine, run_id, 80, "x" * 1024 * 1024)
    engine.advance(DAY)
    answer = prune(engine, 0)
    assert (answer["runs"], answer["log_chunks"], answer["more"]) == (0, 64, True)
    answer = prune(engine, 0)
    assert (answer["runs"], answer["log_chunks"], answer["more"]) == (1, 16, False)


# --- logs before their run ---


def test_logs_go_before_their_run_which_says_so(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    old, empty, young = finished(engine, 3)
    for run_id in (old, young):
        write_log(engine, run_id, 2)
    now = engine.advance(100)

    assert prune(engine)["log_chunks"] == 0
    answer = engine.call("wfg_prune", p_logs_older_than_secs=101)
    assert (answer["runs"], answer["log_chunks"], answer["more"]) == (0, 2, False)
    assert (log_of(engine, old), len(log_of(engine, young))) == ([], 2)
    pruned_at = {run["run_id"]: run["logs_pruned_at_ms"] for run in engine.call("wfg_list_runs")["items"]}
    assert pruned_at == {old: now.timestamp() * 1000, empty: None, young: None}
    engine.check()

    engine.advance(DAY)
    assert engine.call("wfg_prune", p_logs_older_than_secs=0)["log_chunks"] == 2
    assert engine.call("wfg_get_run", p_run_id=old)["logs_pruned_at_ms"] == now.timestamp() * 1000


def test_logs_of_what_goes_on_stay(engine):
    """Of an active run; of a cancelled one whose worker may still write."""
    engine.set_now(START)
    engine.put(jobs=only("a"))
    for _ in range(2):
        run_id = engine.start()
        claim = engine.claim()
        append(engine, claim, chunk(claim))
    cancel(engine, run_id)
    engine.advance(10)
    assert engine.call("wfg_prune", p_logs_older_than_secs=0)["log_chunks"] == 0


def test_logs_are_pruned_in_bounded_steps_oldest_first(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    runs = finished(engine, 3)
    for run_id in runs:
        write_log(engine, run_id, 40)
    engine.advance(DAY)

    def step():
        answer = engine.call("wfg_prune", p_logs_older_than_secs=0, p_limit=1)
        return answer["log_chunks"], answer["more"], [len(log_of(engine, run_id)) for run_id in runs]

    assert step() == (40, True, [0, 40, 40])
    assert step() == (40, True, [0, 0, 40])
    write_log(engine, runs[0], 60)
    assert step() == (50, True, [10, 0, 40])
    answer = engine.call("wfg_prune", p_logs_older_than_secs=0)
    assert (answer["log_chunks"], answer["more"]) == (50, False)


# --- versions and workflows ---


def put_versions(engine, count, workflow_id="wf"):
    """So many more, a second apart."""
    for _ in range(count):
        engine.put(workflow_id, jobs={"a": {"run": f"echo {engine.now()}"}})
        engine.advance(1)


def versions(engine):
    found = engine.query("select version from wfg.workflow_versions order by id")
    return [row["version"] for row in found]


def test_versions_that_no_run_uses_go_a_day_after_their_successor_came(engine):
    engine.set_now(START)
    put_versions(engine, 2)
    run_id = engine.start()
    drain(engine)
    put_versions(engine, 3)

    engine.set_now(after(DAY))
    assert prune(engine, 0, p_keep_per_workflow=1)["versions"] == 0
    engine.set_now(after(DAY + 10))
    assert prune(engine, 0, p_keep_per_workflow=1)["versions"] == 3
    assert versions(engine) == [2, 5]
    assert engine.call("wfg_get_run", p_run_id=run_id)["version"] == 2
    engine.fails("wfg_get_workflow", p_workflow_id="wf", p_version=1, status=404, slug="version_not_found")

    engine.set_now(after(40 * DAY))
    answer = prune(engine)
    assert (answer["runs"], answer["versions"]) == (1, 1)
    assert versions(engine) == [5]
    put_versions(engine, 1)
    assert versions(engine) == [5, 6]
    engine.check()


def test_a_deleted_workflow_goes_when_its_runs_are_gone_and_begins_anew(engine):
    engine.set_now(START)
    put_versions(engine, 3)
    engine.start()
    engine.call("wfg_delete_workflow", p_workflow_id="wf")
    engine.set_now(after(40 * DAY))
    assert prune(engine)["workflows"] == 0

    drain(engine)
    assert prune(engine)["workflows"] == 0
    engine.set_now(after(80 * DAY))
    answer = prune(engine)
    assert (answer["runs"], answer["workflows"], answer["versions"]) == (1, 1, 0)
    assert engine.query("select 1 from wfg.job_specs") == []
    put_versions(engine, 1)
    assert versions(engine) == [1]
    engine.check()


def test_a_workflow_that_is_put_again_while_it_is_pruned_is_there_again(engine, connect):
    engine.set_now(START)
    put_versions(engine, 1)
    engine.call("wfg_delete_workflow", p_workflow_id="wf")
    pruner, other = connect(), connect()
    pruner.set_now(after(40 * DAY))
    pruner.query("begin")
    assert prune(pruner)["workflows"] == 1
    with in_background(other.put, jobs=only("a")) as waiting:
        wait_until_blocked(engine, other)
        pruner.query("commit")
        assert waiting.result(20)["version"] == 1
    engine.check()


def test_a_version_that_is_being_started_stays(engine, connect):
    engine.set_now(START)
    put_versions(engine, 1)
    starter = connect()
    with starter.connection.transaction():
        starter.start()
        put_versions(engine, 1)
        engine.set_now(after(40 * DAY))
        assert prune(engine)["versions"] == 0
    assert versions(engine) == [1, 2]


# --- beside others ---


def test_what_somebody_else_has_locked_is_left_and_nobody_waits(engine, connect):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    runs = finished(engine, 3)
    write_log(engine, runs[1], 1)
    engine.advance(DAY)
    other = connect()
    with other.connection.transaction():
        other.query("select 1 from wfg.runs where id = any (%s) for update", runs[:2])
        engine.query("set lock_timeout = '1s'")
        answer = engine.call("wfg_prune", p_older_than_secs=0, p_logs_older_than_secs=0)
        assert (answer["runs"], answer["log_chunks"], answer["more"]) == (1, 0, False)
    assert set(run_ids(engine)) == set(runs[:2])


def test_no_worker_waits_for_a_prune(engine, connect):
    """While one is open, another worker of the same workflow starts, claims, logs and completes."""
    engine.set_now(START)
    put_versions(engine, 2)
    finished(engine, 2)
    put_versions(engine, 1)
    engine.set_now(after(40 * DAY))
    pruner = connect()
    pruner.set_now(after(40 * DAY))
    engine.query("set lock_timeout = '1s'")
    with pruner.connection.transaction():
        assert pruner.call("wfg_prune", p_logs_older_than_secs=0)["runs"] == 2
        run_id = engine.start()
        claim = engine.claim()
        append(engine, claim, chunk(claim))
        engine.complete(claim)
    assert engine.state(run_id) == "success"


def test_two_at_once_share_the_work(engine, connect):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    finished(engine, 4)
    engine.advance(DAY)
    other = connect()
    other.set_now(engine.now())
    with other.connection.transaction():
        assert prune(other, 0, p_limit=2)["runs"] == 2
        assert prune(engine, 0)["runs"] == 2
    assert run_ids(engine) == []


# --- without doing it ---


def test_a_dry_run_says_what_the_call_would_delete_and_deletes_nothing(engine):
    engine.set_now(START)
    put_versions(engine, 2)
    runs = finished(engine, 3)
    for run_id in runs:
        write_log(engine, run_id, 5)
    engine.put("gone", jobs=only("a"))
    engine.call("wfg_delete_workflow", p_workflow_id="gone")
    engine.set_now(after(40 * DAY))
    before = rows(engine)

    params = {"p_keep_per_workflow": 1, "p_logs_older_than_secs": 0}
    said = prune(engine, p_dry_run=True, **params)
    assert (rows(engine), versions(engine)) == (before, [1, 2, 1])
    assert said == {
        "runs": 2,
        "workers": 1,
        "label_sets": 1,
        "log_chunks": 15,
        "versions": 1,
        "workflows": 1,
        "more": False,
    }
    assert prune(engine, **params) == said


def test_a_dry_run_says_when_there_is_more(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    finished(engine, 3)
    engine.advance(DAY)
    assert prune(engine, 0, p_limit=2, p_dry_run=True)["more"] is True
    assert prune(engine, 0, p_limit=4, p_dry_run=True)["more"] is False


# --- arguments ---


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
        ("p_keep_per_workflow", -1),
        ("p_keep_per_workflow", 1000001),
        ("p_keep_per_workflow", None),
        ("p_logs_older_than_secs", -1),
        ("p_logs_older_than_secs", 3155760001),
        ("p_limit", None),
    ],
)
def test_bad_argument_is_named(engine, param, value):
    diag = engine.fails("wfg_prune", **{param: value}, status=422, slug="invalid_request")
    assert diag.message_detail.startswith(f"{param}:")


def test_a_century_is_long_enough(engine):
    """Before 1970, too, where no id of a run can be."""
    engine.set_now(START)
    engine.put(jobs=only("a"))
    (run_id,) = finished(engine)
    write_log(engine, run_id, 1)
    century = {"p_older_than_secs": 3155760000, "p_logs_older_than_secs": 3155760000}
    assert not any(engine.call("wfg_prune", **century).values())


@pytest.mark.parametrize("text", ["never", "", str(2**63), "1.5"])
def test_what_is_no_number_is_refused_by_postgres(engine, text):
    assert sqlstate_of(engine, "wfg_prune", p_older_than_secs=Raw(text)) in CANNOT_CAST


@pytest.mark.parametrize("change", ["logs_pruned_at = now(), state = 'failure'", "reason = reason"])
def test_what_is_written_to_an_ended_run_is_that_its_logs_went_and_nothing_else(engine, change):
    engine.put(jobs=only("a"))
    (run_id,) = finished(engine)
    with pytest.raises(psycopg.Error, match="illegal_move"):
        engine.query(f"update wfg.runs set {change} where id = %s", run_id)
    engine.query("update wfg.runs set logs_pruned_at = now() where id = %s", run_id)
