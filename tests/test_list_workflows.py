"""wfg_list_workflows, wfg_get_workflow and wfg_delete_workflow."""

import pytest

from tests.arrange import START, only
from tests.engine import Raw


def put_many(engine, *ids):
    """Workflows of one job, created a second apart."""
    engine.set_now(START)
    for workflow_id in ids:
        engine.put(workflow_id, jobs=only("a"))
        engine.advance(1)


def ids(engine, **params):
    return [workflow["id"] for workflow in engine.call("wfg_list_workflows", **params)]


def statuses(engine):
    return [[job["status"] for job in workflow["jobs"]] for workflow in engine.call("wfg_list_workflows")]


# --- list ---


def test_nothing(engine):
    assert engine.call("wfg_list_workflows") == []


def test_order_of_creation(engine):
    put_many(engine, "c", "a", "b")
    engine.put("c", jobs=only("x"))
    assert ids(engine) == ["c", "a", "b"]


def test_created_at_once_sort_by_id(engine):
    engine.set_now(START)
    for workflow_id in "cab":
        engine.put(workflow_id, jobs={})
    assert ids(engine) == ["a", "b", "c"]


def test_pages(engine):
    put_many(engine, "a", "b", "c")
    assert ids(engine, p_limit=2) == ["a", "b"]
    assert ids(engine, p_limit=2, p_offset=2) == ["c"]
    assert ids(engine, p_limit=0) == []
    assert ids(engine, p_offset=3) == []
    assert ids(engine, p_limit=None, p_offset=None, p_status=None) == ["a", "b", "c"]
    assert ids(engine, p_limit=2_000_000_000) == ["a", "b", "c"]


@pytest.mark.parametrize("params", [{"p_limit": -1}, {"p_offset": -1}])
def test_negative_is_refused(engine, params):
    diag = engine.fails("wfg_list_workflows", status=422, slug="invalid_request", **params)
    assert diag.message_detail.startswith(next(iter(params)))


def test_default_limit_is_100_and_1000_the_most(engine):
    engine.query(
        """
        select public.wfg_put_workflow('wf' || n, '{"jobs":{}}') from generate_series(1, 1001) n
        """
    )
    assert len(ids(engine)) == 100
    assert len(ids(engine, p_limit=5000)) == 1000


def test_without_a_run_all_jobs_are_queued(engine):
    engine.put(jobs={"a": {"run": "true"}, "b": {"run": "true", "needs": "a"}})
    assert statuses(engine) == [["queued", "queued"]]
    assert ids(engine, p_status="queued") == ["wf"]
    assert ids(engine, p_status="running") == []


def test_statuses_are_those_of_the_latest_run_of_the_workflow_door(engine):
    engine.put(jobs={"a": {"run": "true"}, "b": {"run": "true", "needs": "a"}})
    engine.start()
    engine.fail(engine.claim())
    assert statuses(engine) == [["queued", "queued"]]

    engine.call("wfg_run_workflow", p_workflow_id="wf")
    claim = engine.claim()
    assert statuses(engine) == [["running", "queued"]]
    engine.fail(claim)
    assert statuses(engine) == [["failure", "skipped"]]

    engine.call("wfg_run_workflow", p_workflow_id="wf")
    assert statuses(engine) == [["queued", "queued"]]


def test_status_keeps_workflows_with_a_job_in_it(engine):
    put_many(engine, "fails", "runs", "idle")
    engine.put("empty", jobs={})
    engine.call("wfg_run_workflow", p_workflow_id="empty")
    engine.call("wfg_run_workflow", p_workflow_id="fails")
    engine.fail(engine.claim())
    engine.call("wfg_run_workflow", p_workflow_id="runs")
    engine.claim()

    assert ids(engine, p_status="failure") == ["fails"]
    assert ids(engine, p_status="running") == ["runs"]
    assert ids(engine, p_status="queued") == ["idle"]
    assert ids(engine, p_status="success") == []


@pytest.mark.parametrize("status", ["", "nonsense", "QUEUED", "%", "active"])
def test_unknown_status_matches_nothing(engine, status):
    put_many(engine, "a")
    assert ids(engine, p_status=status) == []


def test_limit_counts_what_matches(engine):
    put_many(engine, "a", "b", "c")
    engine.call("wfg_run_workflow", p_workflow_id="a")
    engine.claim()
    assert ids(engine, p_status="queued", p_limit=1) == ["b"]
    assert ids(engine, p_status="queued", p_limit=1, p_offset=1) == ["c"]


def test_a_run_shows_the_version_it_was_started_with(engine):
    engine.put(jobs=only("a"))
    engine.call("wfg_run_workflow", p_workflow_id="wf")
    engine.put(jobs=only("b"))
    [workflow] = engine.call("wfg_list_workflows")
    assert [job["id"] for job in workflow["jobs"]] == ["a"]


# --- get ---


def test_get_answers_the_current_version(engine):
    engine.set_now(START)
    text = '{"on": "push", "name": "CI", "inputs": {"x": {}}, "jobs": {"b": {"run": "make"}}}'
    engine.call("wfg_put_workflow", p_workflow_id="wf", p_definition=Raw(text))
    got = engine.call("wfg_get_workflow", p_workflow_id="wf")
    names = "id version name trigger definition inputs jobs created_at_ms paused"
    assert list(got) == names.split()
    assert (got["id"], got["version"], got["name"], got["trigger"]) == ("wf", 1, "CI", "on: push")
    assert list(got["definition"]) == ["on", "name", "inputs", "jobs"]
    assert [entry["name"] for entry in got["inputs"]] == ["x"]
    assert [job["key"] for job in got["jobs"]] == ["b"]
    assert got["created_at_ms"] == int(START.timestamp() * 1000)


def test_get_an_older_version(engine):
    engine.put(jobs=only("a"))
    engine.put(jobs=only("b"))
    got = engine.call("wfg_get_workflow", p_workflow_id="wf", p_version=1)
    assert (got["version"], [job["key"] for job in got["jobs"]]) == (1, ["a"])


@pytest.mark.parametrize("version", [0, -1, 2, 2147483647])
def test_get_a_version_that_is_not_there(engine, version):
    engine.put(jobs=only("a"))
    engine.fails(
        "wfg_get_workflow", status=404, slug="version_not_found", p_workflow_id="wf", p_version=version
    )


@pytest.mark.parametrize("workflow_id", [None, "", "nobody"])
def test_get_a_workflow_that_is_not_there(engine, workflow_id):
    engine.fails("wfg_get_workflow", status=404, slug="workflow_not_found", p_workflow_id=workflow_id)


# --- delete ---


def test_deleted_is_gone_from_list_and_get(engine):
    put_many(engine, "a", "b")
    assert engine.call("wfg_delete_workflow", p_workflow_id="a") == {"id": "a", "deleted": True}
    assert ids(engine) == ["b"]
    engine.fails("wfg_get_workflow", status=404, slug="workflow_not_found", p_workflow_id="a")
    engine.fails("wfg_get_workflow", status=404, slug="workflow_not_found", p_workflow_id="a", p_version=1)
    engine.fails("wfg_start_run", status=404, slug="workflow_not_found", p_workflow_id="a")


def test_delete_what_is_not_there(engine):
    put_many(engine, "a")
    engine.call("wfg_delete_workflow", p_workflow_id="a")
    engine.fails("wfg_delete_workflow", status=404, slug="workflow_not_found", p_workflow_id="a")
    engine.fails("wfg_delete_workflow", status=404, slug="workflow_not_found", p_workflow_id="nobody")
    engine.fails("wfg_delete_workflow", status=422, slug="invalid_request", p_workflow_id=None)


def test_active_runs_of_a_deleted_workflow_go_on(engine):
    engine.put(jobs={"a": {"run": "true"}, "b": {"run": "true", "needs": "a"}})
    run = engine.start()
    engine.call("wfg_delete_workflow", p_workflow_id="wf")
    engine.complete(engine.claim())
    engine.complete(engine.claim())
    assert engine.state(run) == "success"


def test_put_again_it_keeps_its_place_in_the_list(engine):
    put_many(engine, "a", "b")
    engine.call("wfg_delete_workflow", p_workflow_id="a")
    engine.put("a", jobs=only("x"))
    assert ids(engine) == ["a", "b"]
