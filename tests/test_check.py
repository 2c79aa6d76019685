"""wfg_check: nothing on a healthy database, and each invariant when it is broken on purpose."""

import re

import pytest
from wfg.revisions import SQL

from tests.arrange import START, after, cancel, chain, engine_on, join, only, run_workflow
from tests.engine import lease_id


def broken(engine, p_all=True):
    return {row["invariant"] for row in engine.call("wfg_check", p_all=p_all)}


def test_empty_database_is_healthy(engine):
    assert engine.call("wfg_check") == engine.call("wfg_check", p_all=True) == []
    assert engine.call("wfg_check", p_all=None) == []


def busy(engine):
    """Something of everything: wide and narrow, queued, running, retried, delayed, held, ended, run again."""
    engine.set_now(after(-1))
    engine.put("chain", jobs=chain(3, retries=1))
    engine.put("wide", jobs=join(20, retries=1))
    engine.put("held", jobs=only("h"))
    engine.put("again", jobs=chain(3, labels=["again"]))
    again = engine.start("again")
    engine.complete(engine.claim(labels=["again"]), {"n": "1"})
    engine.fail(engine.claim(labels=["again"]))
    engine.call("wfg_rerun_run", p_run_id=again, p_jobs="failed")
    engine.put("other", jobs={**only("o", timeout=60), "p": {"run": "true", "needs": "o"}})
    run_workflow(engine, "held")
    engine.set_now(START)
    engine.claim(ttl=3600)
    cancel(engine, "held")
    run_workflow(engine, "held")
    engine.start("wide")
    for n, claim in enumerate(engine.claim_many(12)):
        if n < 10:
            engine.complete(claim, {"n": "x" * 2000} if n % 2 else {"n": "1"})
        elif n < 11:
            engine.fail(claim, retryable=True)
    engine.start("chain")
    engine.start("other")
    for claim in engine.claim_many(30):
        if claim["job"]["job_id"] == "j1":
            engine.complete(claim)
    engine.start("chain")
    engine.fail(engine.claim())  # j2 of the first
    engine.start("chain")


def test_busy_database_is_healthy(engine):
    busy(engine)
    assert engine.call("wfg_check", p_all=True) == []


OF_THE_RERUN = "run_id in (select id from wfg.runs where rerun_of is not null)"

# Every statement breaks the invariant that stands beside it. The triggers that would stop some are off.
BROKEN = [
    # runs
    (
        "a run has the jobs of its version",
        "delete from wfg.jobs where job_no = 3 and state = 'queued'",
    ),
    (
        "a run is active while a job of it is open, and no longer",
        "update wfg.jobs set state = 'success' where state = 'queued'",
    ),
    (
        "a run that failed has a failed or cancelled job, and one that succeeded has none",
        "update wfg.runs set state = 'success' where state = 'failure'",
    ),
    (
        "a run counts its open jobs, or the slots that have any",
        "update wfg.runs set open_left = open_left + 1 where state = 'active' and workflow_id = 'chain'",
    ),
    (
        "a run counts its open jobs, or the slots that have any",
        "update wfg.runs set open_left = open_left - 1 where state = 'active' and workflow_id = 'wide'",
    ),
    ("an active wide run has 16 slots, and no other run has any", "delete from wfg.run_slots where slot = 0"),
    (
        "an active wide run has 16 slots, and no other run has any",
        "insert into wfg.run_slots select id, 0, 0 from wfg.runs where workflow_id = 'chain'",
    ),
    (
        "a run has a finish when it has ended, and only then",
        "update wfg.runs set finished_at = null where state <> 'active'",
    ),
    (
        "a run has a finish when it has ended, and only then",
        "update wfg.runs set finished_at = wfg.now() where state = 'active'",
    ),
    (
        "a run is started at one of the two doors, and holds that of the workflow while it is active",
        "update wfg.runs set door = 'back' where state = 'cancelled'",
    ),
    (
        "a run is started at one of the two doors, and holds that of the workflow while it is active",
        "update wfg.runs set active_workflow_id = null where active_workflow_id is not null",
    ),
    (
        "a run is started at one of the two doors, and holds that of the workflow while it is active",
        "update wfg.runs set active_workflow_id = id::text where door = 'run'",
    ),
    (
        "a workflow names the latest run of its door, which has the greatest id",
        "update wfg.workflows set latest_run_id = null",
    ),
    (
        "a run with an idempotency key has the hash of its request",
        "update wfg.runs set idempotency_key = id::text",
    ),
    (
        "a re-run is of the other door, and repeats a run that has ended: its version and inputs",
        "update wfg.runs set door = 'workflow' where rerun_of is not null",
    ),
    (
        "a re-run is of the other door, and repeats a run that has ended: its version and inputs",
        "update wfg.runs set inputs = '[]' where rerun_of is not null",
    ),
    (
        "a re-run is of the other door, and repeats a run that has ended: its version and inputs",
        "update wfg.runs set rerun_of = id where state = 'active'",
    ),
    (
        "a re-run does not keep all jobs",
        f"update wfg.jobs set state = 'success' where {OF_THE_RERUN}",
    ),
    (
        "a slot of a run counts its open jobs",
        "update wfg.run_slots set open_left = open_left + 1 where slot = 3",
    ),
    ("a slot belongs to a run", "insert into wfg.run_slots values (gen_random_uuid(), 0, 0)"),
    ("a slot belongs to a run", "insert into wfg.join_slots values (gen_random_uuid(), 1, 0, 0)"),
    # jobs
    (
        "a job has a spec",
        "insert into wfg.jobs (run_id, job_no, parents_left) select id, 99, 1 from wfg.runs",
    ),
    (
        "an open job is queued when all its parents have succeeded, and only then",
        "delete from wfg.queue where lease_nonce is null",
    ),
    (
        "an open job is queued when all its parents have succeeded, and only then",
        """
        insert into wfg.queue (run_id, job_no, lane_id, version_id, ready_at, enqueued_at)
        select r.id, 3, s.lane_id, s.version_id, wfg.now(), wfg.now()
          from wfg.runs r
          join wfg.job_specs s on s.version_id = r.version_id and s.job_no = 3
         where r.workflow_id = 'chain' and r.state = 'active'
        """,
    ),
    (
        "a job that has ended is not queued, but as a cancelled lease",
        """
        update wfg.jobs j set state = 'success'
          from wfg.queue q
         where q.run_id = j.run_id and q.job_no = j.job_no
        """,
    ),
    (
        "an open job counts the parents that have not succeeded, or the slots that have any",
        "update wfg.jobs set parents_left = parents_left + 1 where state = 'queued' and job_no = 2",
    ),
    (
        "an open job counts the parents that have not succeeded, or the slots that have any",
        "update wfg.jobs set parents_left = parents_left - 1 where state = 'queued' and job_no = 21",
    ),
    (
        "an open job has no parent that ended otherwise than in success",
        "update wfg.jobs set state = 'queued', finished_at = null where state = 'skipped'",
    ),
    (
        "a success was reported, or is kept by a re-run with all that it needs",
        "update wfg.jobs set lease_nonce = null where state = 'success'",
    ),
    (
        "a success was reported, or is kept by a re-run with all that it needs",
        f"""
        update wfg.jobs set state = 'success', lease_nonce = case job_no when 1 then run_id end
         where job_no < 3 and {OF_THE_RERUN}
        """,
    ),
    (
        "a kept job is as in the run that is repeated",
        f"update wfg.jobs set worker_id = 'w9' where state = 'success' and {OF_THE_RERUN}",
    ),
    (
        "a kept job is as in the run that is repeated",
        f"update wfg.jobs set outputs = null where outputs is not null and {OF_THE_RERUN}",
    ),
    (
        "a job is skipped for a parent that ended otherwise than in success",
        "update wfg.jobs set state = 'success', outputs = null, error = null where state = 'failure'",
    ),
    (
        "a job ran only after all its parents had succeeded",
        "update wfg.jobs set state = 'success' where state = 'skipped'",
    ),
    (
        "a job has a finish when it has ended, and only then",
        "update wfg.jobs set finished_at = null where state = 'success'",
    ),
    (
        "a job has a finish when it has ended, and only then",
        "update wfg.jobs set finished_at = wfg.now() where state = 'queued'",
    ),
    (
        "a job that was reported knows its start and worker",
        "update wfg.jobs set worker_id = null where state = 'success'",
    ),
    (
        "a job that was reported knows its start and worker",
        "update wfg.jobs set started_at = null where state = 'failure'",
    ),
    ("only a failed job has an error", "update wfg.jobs set error = 'x' where state = 'success'"),
    (
        "only a successful job has outputs, and in one place",
        "update wfg.jobs set outputs = '{}' where state = 'queued'",
    ),
    (
        "only a successful job has outputs, and in one place",
        "insert into wfg.outputs select run_id, job_no, '{}' from wfg.jobs where outputs is not null",
    ),
    (
        "a slot of a join counts the parents that have not succeeded",
        "update wfg.join_slots set parents_left = parents_left + 1 where slot = 3",
    ),
    (
        "an attempt is of a job, and before the one that ended it",
        """
        insert into wfg.attempts
        select id, 99, 0, 'failure', 'w', gen_random_uuid(), wfg.now(), wfg.now() from wfg.runs limit 1
        """,
    ),
    (
        "an attempt is of a job, and before the one that ended it",
        """
        insert into wfg.attempts
        select run_id, job_no, attempt, 'failure', 'w', gen_random_uuid(), wfg.now(), wfg.now()
          from wfg.jobs
         where state = 'success'
        """,
    ),
    (
        "a job belongs to a run",
        "insert into wfg.jobs (run_id, job_no, parents_left) values (gen_random_uuid(), 1, 0)",
    ),
    # the queue
    (
        "a queue row is of an open job, or a cancelled lease of a cancelled one",
        "update wfg.jobs set state = 'queued' where state = 'cancelled'",
    ),
    (
        "a queue row is of an open job, or a cancelled lease of a cancelled one",
        """
        insert into wfg.queue (run_id, job_no, lane_id, version_id, ready_at, enqueued_at)
        select gen_random_uuid(), 1, lane_id, version_id, ready_at, enqueued_at from wfg.queue limit 1
        """,
    ),
    (
        "a queue row has the version of its run, and the lane of its job unless it was put aside",
        "update wfg.queue set lane_id = 99 where lease_nonce is null",
    ),
    (
        "a queue row has the version of its run, and the lane of its job unless it was put aside",
        "update wfg.queue set version_id = 99",
    ),
    (
        "what was put aside waits, and its workflow is paused",
        "update wfg.queue set lane_id = -99 where lease_nonce is null",
    ),
    (
        "what was put aside waits, and its workflow is paused",
        """
        with pause as (
          insert into wfg.pauses (namespace, kind, workflow_id, paused_at)
          select namespace, 'workflow', id, wfg.now() from wfg.workflows where id = 'chain'
          returning id
        )
        update wfg.queue q set lane_id = - p.id from pause p where q.lease_nonce is not null
        """,
    ),
    (
        "a lease has a worker, a start and an expiry, and what is not leased has none",
        "update wfg.queue set worker_id = null where lease_nonce is not null",
    ),
    (
        "a lease has a worker, a start and an expiry, and what is not leased has none",
        "update wfg.queue set expires_at = wfg.now() where lease_nonce is null",
    ),
    ("a lease ends by its timeout", "update wfg.queue set expires_at = timeout_at + interval '1 second'"),
    (
        "a lease ends by its timeout",
        "update wfg.queue set timeout_at = null where timeout_at is not null",
    ),
    (
        "what is cancelled is a lease, of at most 60 seconds",
        "update wfg.queue set expires_at = cancelled_at + interval '61 s' where cancelled_at is not null",
    ),
    (
        "a cancelled lease of the workflow door names its workflow and job, and nothing else does",
        "update wfg.queue set cancelled_workflow_id = 'chain' where cancelled_at is not null",
    ),
    (
        "a cancelled lease of the workflow door names its workflow and job, and nothing else does",
        "update wfg.queue set cancelled_workflow_id = 'chain' where cancelled_at is null",
    ),
    (
        "what is held is of the workflow door, and not leased",
        "update wfg.queue set held_from = wfg.now() where lease_nonce is not null",
    ),
    (
        "lost leases are attempts, and within what the job allows",
        "update wfg.queue set lost = attempt + 1",
    ),
    ("lost leases are attempts, and within what the job allows", "update wfg.queue set attempt = 7"),
    (
        "a job of the workflow door is not ready while a cancelled lease of it lives",
        "update wfg.queue set ready_at = held_from where held_from is not null",
    ),
    (
        "what is held is held by a cancelled lease",
        "delete from wfg.queue where cancelled_at is not null",
    ),
    (
        "what is held is held by a cancelled lease",
        "update wfg.queue set ready_at = ready_at + interval '1 hour' where held_from is not null",
    ),
    # definitions
    ("a workflow has its current version", "update wfg.workflows set version = 9"),
    ("a version has the jobs that it counts", "update wfg.workflow_versions set job_count = job_count + 1"),
    (
        "children and parents name each other",
        "update wfg.job_specs set parents = '{1}' where job_no = 3 and not is_wide",
    ),
    (
        "children and parents name each other",
        "update wfg.job_specs set narrow_children = '{}' where narrow_children <> '{}'",
    ),
    (
        "children and parents name each other",
        "update wfg.job_specs set wide_children = '{}' where job_no = 7",
    ),
    (
        "a label set has all the lanes that it may take and that are not paused, highest priority first",
        "update wfg.label_sets set lane_ids = '{}', priorities = '{}'",
    ),
    (
        "a label set has all the lanes that it may take and that are not paused, highest priority first",
        "insert into wfg.lanes (namespace, labels, priority) values ('', '{}', 7)",
    ),
    ("a lane is paused by its labels, or with everything", "update wfg.lanes set is_paused = true"),
    (
        "a lane is paused by its labels, or with everything",
        "insert into wfg.pauses (namespace, kind, paused_at) values ('', 'all', wfg.now())",
    ),
    ("a label set knows whether a workflow is paused", "update wfg.label_sets set any_paused = true"),
]


@pytest.fixture(scope="module")
def busy_engine(new_database, template):
    """A busy database, whose breaking is always rolled back."""
    with engine_on(new_database(template)) as engine:
        busy(engine)
        engine.query("set session_replication_role = replica")  # no triggers, no foreign keys
        yield engine


@pytest.mark.parametrize(("invariant", "statement"), BROKEN)
def test_broken_invariant_is_found(busy_engine, invariant, statement):
    assert broken(busy_engine) == set()
    with busy_engine.connection.transaction(force_rollback=True):
        touched = busy_engine.connection.execute(statement).rowcount
        assert touched > 0, "the statement broke nothing"
        assert invariant in broken(busy_engine)


def test_every_invariant_is_broken_once():
    """The sentences of wfg_check, read from its source, are those above."""
    text = "".join(path.read_text() for path in sorted((SQL / "30_internal").glob("broken_*.sql")))
    sentences = set(re.findall(r"'((?:a|an|children|lost|only|what) [^'%]{10,})'", text))
    assert sentences == {invariant for invariant, _ in BROKEN}


@pytest.mark.broken_on_purpose
def test_row_names_what_is_broken_and_how(engine):
    engine.put(jobs=only("a"))
    run_id = engine.start()
    engine.query("update wfg.runs set open_left = 7")

    (row,) = engine.call("wfg_check")
    assert list(row) == ["invariant", "subject", "detail"]
    assert row["subject"] == f"run {run_id}"
    assert row["detail"].startswith("7, not 1 ")


@pytest.mark.broken_on_purpose
def test_ended_runs_are_looked_at_only_when_asked(engine):
    engine.put(jobs=only("a"))
    engine.start()
    engine.complete(engine.claim())
    engine.query("set session_replication_role = replica")
    engine.query("update wfg.jobs set worker_id = null")

    assert broken(engine, p_all=False) == broken(engine, p_all=None) == set()
    assert broken(engine, p_all=True) == {"a job that was reported knows its start and worker"}


def test_check_writes_nothing(engine):
    busy(engine)
    with engine.connection.transaction():
        engine.query("set transaction read only")
        assert engine.call("wfg_check", p_all=True) == []


def test_lease_that_is_over_and_not_reaped_breaks_nothing(engine):
    engine.set_now(START)
    engine.put(jobs=only("a", "b"))
    engine.start()
    claim = engine.claim()
    engine.claim()
    cancel(engine, claim["job"]["run_id"])
    engine.set_now(after(3600))
    assert engine.call("wfg_check", p_all=True) == []
    engine.fails("wfg_renew_lease", p_lease_id=lease_id(claim), status=409, slug="lease_not_held")
