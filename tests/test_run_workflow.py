"""wfg_run_workflow, the compatible door: one active run at most, and its latest run is what its id means."""

import pytest

from tests.arrange import DOORS, NO_IDS, START, cancel, chain, drain, only, run_by, run_workflow
from tests.engine import Raw


def test_first_call_starts_a_run(engine):
    engine.put(jobs=only("a"))

    answer = engine.call("wfg_run_workflow", p_workflow_id="wf")
    assert list(answer) == ["run_id", "workflow_id", "version", "created"]
    assert answer == {"run_id": answer["run_id"], "workflow_id": "wf", "version": 1, "created": True}
    assert engine.call("wfg_get_run", p_run_id=answer["run_id"])["door"] == "workflow"


def a_queued_run(engine):
    return None


def a_running_job(engine):
    return engine.claim()


def a_delayed_retry(engine):
    engine.fail(engine.claim(), retryable=True)
    assert engine.claim() is None


def some_jobs_done(engine):
    engine.complete(engine.claim())


@pytest.mark.parametrize("while_active", [a_queued_run, a_running_job, a_delayed_retry, some_jobs_done])
def test_call_while_a_run_is_active_changes_nothing(engine, while_active):
    engine.set_now(START)
    engine.put(jobs=chain(2, retries=1, backoff={"fixed": 60}))
    first = engine.call("wfg_run_workflow", p_workflow_id="wf")
    while_active(engine)
    before = engine.query("select * from wfg.queue"), engine.call("wfg_get_run", p_run_id=first["run_id"])

    for _ in range(3):
        assert engine.call("wfg_run_workflow", p_workflow_id="wf") == {**first, "created": False}
    assert before == (
        engine.query("select * from wfg.queue"),
        engine.call("wfg_get_run", p_run_id=first["run_id"]),
    )
    assert len(engine.call("wfg_list_runs")["items"]) == 1


def test_no_op_answers_the_version_that_runs(engine):
    engine.put(jobs=only("a"))
    run_workflow(engine)
    engine.put(jobs=only("b"))

    answer = engine.call("wfg_run_workflow", p_workflow_id="wf")
    assert (answer["version"], answer["created"]) == (1, False)
    drain(engine)
    answer = engine.call("wfg_run_workflow", p_workflow_id="wf")
    assert (answer["version"], answer["created"]) == (2, True)


def in_success(engine, run_id):
    drain(engine)


def in_failure(engine, run_id):
    engine.fail(engine.claim())


def by_cancelling(engine, run_id):
    cancel(engine, run_id)


@pytest.mark.parametrize("ended", [in_success, in_failure, by_cancelling])
def test_ended_run_makes_way_for_the_next(engine, ended):
    engine.put(jobs=only("a"))
    first = run_workflow(engine)
    ended(engine, first)

    answer = engine.call("wfg_run_workflow", p_workflow_id="wf")
    assert answer["created"]
    assert answer["run_id"] != first
    assert engine.jobs(answer["run_id"]) == {"a": "queued"}


def test_every_workflow_has_a_door_of_its_own(engine):
    engine.put("one", jobs=only("a"))
    engine.put("other", jobs=only("a"))

    assert engine.call("wfg_run_workflow", p_workflow_id="one")["created"]
    assert engine.call("wfg_run_workflow", p_workflow_id="other")["created"]


def test_runs_of_the_other_door_do_not_block_and_are_not_blocked(engine):
    engine.put(jobs=only("a"))
    started = engine.start()

    at_the_door = engine.call("wfg_run_workflow", p_workflow_id="wf")
    assert at_the_door["created"]
    assert at_the_door["run_id"] != started
    assert engine.call("wfg_start_run", p_workflow_id="wf")["created"]
    assert engine.call("wfg_run_workflow", p_workflow_id="wf")["run_id"] == at_the_door["run_id"]


def test_id_of_a_workflow_means_the_latest_run_of_the_door(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    first = run_workflow(engine)
    engine.complete(engine.claim(), {"n": "1"})
    engine.advance(1)
    second = run_workflow(engine)
    engine.advance(1)
    engine.start()

    assert engine.call("wfg_get_run", p_run_id="wf")["run_id"] == second
    assert engine.call("wfg_get_status", p_workflow_id="wf")["jobs"][0]["status"] == "queued"
    assert engine.call("wfg_get_status", p_workflow_id=first)["jobs"][0]["status"] == "success"
    assert engine.call("wfg_get_outputs", p_run_id="wf", p_job_id="a") == {}
    assert engine.call("wfg_get_outputs", p_run_id=first, p_job_id="a") == {"n": "1"}
    assert cancel(engine, "wf") == {"run_id": second, "run": "cancelled"}
    assert engine.call("wfg_is_cancelled", p_workflow_id="wf", p_job_id="a") is True


def test_latest_run_is_meant_though_it_has_ended(engine):
    engine.put(jobs=only("a"))
    run_id = run_workflow(engine)
    drain(engine)
    engine.start()

    assert engine.call("wfg_get_run", p_run_id="wf")["run_id"] == run_id
    assert engine.call("wfg_get_status", p_workflow_id="wf")["jobs"][0]["status"] == "success"
    assert cancel(engine, "wf") == {"run_id": run_id, "run": "success"}


def test_run_of_the_other_door_is_never_meant(engine):
    engine.put(jobs=only("a"))
    started = engine.start()
    engine.complete(engine.claim())

    assert engine.call("wfg_get_status", p_workflow_id="wf")["jobs"][0]["status"] == "queued"
    assert engine.call("wfg_list_workflows")[0]["jobs"][0]["status"] == "queued"
    engine.fails("wfg_get_run", p_run_id="wf", status=404, slug="run_not_found")
    assert cancel(engine, "wf") == {"run_id": None, "run": "queued"}
    assert engine.state(started) == "success"


def test_workflow_without_a_run_shows_its_current_version(engine):
    engine.put(jobs=only("old"))
    engine.put(jobs=chain(2))

    status = engine.call("wfg_get_status", p_workflow_id="wf")
    assert [(job["id"], job["status"], job["attempt"]) for job in status["jobs"]] == [
        ("j1", "queued", 0),
        ("j2", "queued", 0),
    ]
    assert cancel(engine, "wf") == {"run_id": None, "run": "queued"}
    assert engine.call("wfg_list_logs", p_workflow_id="wf", p_job_id="j1") == []
    assert engine.call("wfg_is_cancelled", p_workflow_id="wf", p_job_id="j1") is False
    engine.fails("wfg_read_logs", p_workflow_id="wf", p_job_id="j1", status=404, slug="run_not_found")
    assert engine.call("wfg_list_runs")["items"] == []


@pytest.mark.parametrize("door", DOORS)
def test_claim_carries_the_id_that_its_door_goes_by(engine, door):
    engine.put(jobs=only("a"))
    run_id = run_by(engine, door)

    claim = engine.claim()
    shown = "wf" if door == "workflow" else run_id
    for part in ("job", "lease"):
        assert (claim[part]["workflow_id"], claim[part]["run_id"], claim[part]["job_id"]) == (
            shown,
            run_id,
            "a",
        )


def test_inputs_are_taken(engine):
    engine.put(jobs=only("a"), inputs={"n": {"type": "number"}})
    run_id = run_workflow(engine, p_inputs={"n": "4"})

    assert engine.call("wfg_get_run", p_run_id=run_id)["inputs"] == {"n": 4}


def test_null_inputs_mean_none(engine):
    engine.put(jobs=only("a"))
    assert engine.call("wfg_get_run", p_run_id=run_workflow(engine, p_inputs=None))["inputs"] == {}


@pytest.mark.parametrize("sent", ["[]", '{"m":1}', '{"n":"x"}'])
def test_bad_inputs_are_refused(engine, sent):
    engine.put(jobs=only("a"), inputs={"n": {"type": "number"}})
    diag = engine.fails(
        "wfg_run_workflow", p_workflow_id="wf", p_inputs=Raw(sent), status=422, slug="invalid_request"
    )
    assert diag.message_detail.startswith("p_inputs")


def test_unknown_workflow_is_not_found(engine):
    for workflow_id in NO_IDS.values():
        engine.fails("wfg_run_workflow", p_workflow_id=workflow_id, status=404, slug="workflow_not_found")


def test_run_without_jobs_ends_in_the_call_and_blocks_nothing(engine):
    engine.put(jobs={})

    assert engine.call("wfg_run_workflow", p_workflow_id="wf")["created"]
    assert engine.state("wf") == "success"
    assert engine.call("wfg_run_workflow", p_workflow_id="wf")["created"]


def test_deleted_workflow_cannot_be_run_but_its_run_is_still_meant(engine):
    engine.put(jobs=only("a"))
    run_id = run_workflow(engine)
    engine.call("wfg_delete_workflow", p_workflow_id="wf")

    engine.fails("wfg_run_workflow", p_workflow_id="wf", status=404, slug="workflow_not_found")
    assert engine.call("wfg_get_run", p_run_id="wf")["run_id"] == run_id
    assert cancel(engine, "wf") == {"run_id": run_id, "run": "cancelled"}
