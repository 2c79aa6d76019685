"""wfg_list_outcomes and wfg_list_attempts: of many runs, and of many attempts, in one call."""

from typing import Any

from tests import bulk
from tests.arrange import START, after, ms, only
from tests.engine import Engine
from tests.test_plans import buffers_of


def outcomes(engine: Engine, **params: Any) -> list[dict[str, Any]]:
    """All pages."""
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = engine.call("wfg_list_outcomes", **params, p_cursor=cursor)
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


def ended(engine: Engine, workflow: str, seconds: float, outcome: str = "success") -> str:
    """A run that ends after so many seconds."""
    run_id = engine.start(workflow)
    claim = engine.claim(ttl=3600)
    engine.advance(seconds)
    if outcome == "cancelled":
        engine.call("wfg_cancel_run", p_run_id=run_id)
        engine.fail(claim)
    elif outcome == "success":
        engine.complete(claim)
    else:
        engine.fail(claim)
    return run_id


def test_runs_rate_and_usual_time(engine: Engine) -> None:
    engine.set_now(START)
    engine.put("ci", name="CI", jobs=only("a"), inputs={"n": {"type": "number"}})
    (none,) = outcomes(engine)
    assert (none["runs"], none["success_rate"], none["usual_ms"]) == ([], None, None)
    assert (none["name"], none["jobs"], none["inputs"], none["paused"]) == ("CI", 1, 1, None)

    runs = [ended(engine, "ci", secs) for secs in (10, 1, 100)]
    runs.append(ended(engine, "ci", 5, "failure"))
    runs.append(ended(engine, "ci", 7, "cancelled"))
    runs.append(engine.start("ci"))
    engine.call("wfg_pause_workflow", p_workflow_id="ci")
    (ci,) = outcomes(engine)
    states = ["queued", "cancelled", "failure", "success", "success", "success"]
    assert [(run["run_id"], run["state"]) for run in ci["runs"]] == list(zip(runs[::-1], states, strict=True))
    assert (ci["success_rate"], ci["usual_ms"], ci["paused"]) == (0.75, 10_000, "workflow")
    assert (ci["runs"][-1]["due_at_ms"], ci["runs"][-1]["finished_at_ms"]) == (ms(START), ms(after(10)))

    (ci,) = outcomes(engine, p_newest=2)
    assert ([run["run_id"] for run in ci["runs"]], ci["success_rate"]) == (runs[:-3:-1], None)
    engine.call("wfg_resume_workflow", p_workflow_id="ci")
    engine.claim()
    assert outcomes(engine)[0]["runs"][0]["state"] == "running"


def test_a_delayed_run_is_due_at_its_start_time(engine: Engine) -> None:
    engine.set_now(START)
    engine.put("ci", jobs=only("a"))
    engine.start("ci", start_at=after(3600))
    engine.set_now(after(3610))
    engine.complete(engine.claim())
    (ci,) = outcomes(engine)
    assert (ci["runs"][0]["due_at_ms"], ci["usual_ms"]) == (ms(after(3600)), 10_000)


def test_pages_in_the_order_of_ids_without_deleted_ones(engine: Engine) -> None:
    for name in ("b", "é", "a/b", "a", "c"):
        engine.put(name, jobs=only("a"))
    engine.call("wfg_delete_workflow", p_workflow_id="c")
    found = [item["workflow_id"] for item in outcomes(engine)]
    assert sorted(found) == sorted(["a", "a/b", "b", "é"])
    assert [item["workflow_id"] for item in outcomes(engine, p_limit=1)] == found
    assert [item["workflow_id"] for item in outcomes(engine, p_workflow_id="a/b")] == ["a/b"]
    for nobody in ("c", "nobody", ""):
        assert outcomes(engine, p_workflow_id=nobody) == []
    for wrong in ({"p_newest": 0}, {"p_newest": 101}, {"p_limit": 0}, {"p_limit": 101}, {"p_newest": None}):
        engine.fails("wfg_list_outcomes", status=422, slug="invalid_request", **wrong)


def test_outcomes_cost_as_much_among_many_runs_as_among_few(engine: Engine, connect) -> None:
    """On tables never analyzed; plans and the catalog are warm."""
    reader = connect()
    engine.put(jobs=only("a"))

    def buffers(runs: int) -> int:
        bulk.start(engine.connection, "wf", runs, finished=True)
        for _ in range(6):
            reader.query("select public.wfg_list_outcomes()")
        return buffers_of(reader, "select public.wfg_list_outcomes()", [])

    few = buffers(500)
    assert few < 60
    assert buffers(10_000) < few + 40


def test_attempts_of_all_jobs_page_by_page(engine: Engine) -> None:
    engine.set_now(START)
    retries = {"retries": 2, "lost_retries": 1}
    engine.put("ci", jobs={"a": {"run": "x", **retries}, "b": {"run": "x", "needs": "a"}})
    other, run_id = engine.start("ci"), engine.start("ci")
    engine.call("wfg_cancel_run", p_run_id=other)
    assert engine.call("wfg_list_attempts", p_run_id=run_id) == {"items": [], "next_cursor": None}

    engine.fail(engine.claim("w1"), "boom", retryable=True)
    engine.advance(10)
    engine.claim("w2", ttl=5)
    engine.advance(60)
    engine.complete(engine.claim("w3"))
    claim = engine.claim("w3")
    engine.call("wfg_cancel_run", p_run_id=run_id)
    engine.fail(claim)

    items = engine.call("wfg_list_attempts", p_run_id=run_id)["items"]
    told = [(each["job_id"], each["attempt"], each["outcome"], each["worker_id"]) for each in items]
    assert told == [("a", 0, "failure", "w1"), ("a", 1, "lease_expired", "w2"), ("b", 0, "cancelled", "w3")]
    assert (items[0]["error"], items[0]["started_at_ms"]) == ("boom", ms(START))
    for each in ("a", "b"):
        detail = engine.call("wfg_get_job", p_run_id=run_id, p_job_id=each)["attempts"]
        told = [item for item in items if item["job_id"] == each]
        assert [{"job_id": each, **attempt} for attempt in detail] == told

    paged, cursor = [], None
    while True:
        page = engine.call("wfg_list_attempts", p_run_id=run_id, p_limit=1, p_cursor=cursor)
        paged += page["items"]
        if (cursor := page["next_cursor"]) is None:
            break
        engine.fails("wfg_list_attempts", status=422, slug="invalid_request", p_run_id=other, p_cursor=cursor)
    assert paged == items
    engine.fails("wfg_list_attempts", status=404, slug="workflow_not_found", p_run_id="nobody")
    engine.fails("wfg_list_attempts", status=422, slug="invalid_request", p_run_id=run_id, p_limit=0)
    engine.fails("wfg_list_attempts", status=422, slug="invalid_request", p_run_id=run_id, p_cursor="x")
