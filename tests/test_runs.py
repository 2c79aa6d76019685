"""Reading runs: wfg_get_run, wfg_list_runs, wfg_get_status, wfg_get_job, wfg_get_outputs."""

import json

import pytest

from tests.arrange import (
    CANNOT_CAST,
    NO_IDS,
    NO_RUN,
    START,
    after,
    cancel,
    chain,
    drain,
    engine_on,
    ms,
    only,
    run_workflow,
    sqlstate_of,
)
from tests.engine import Raw


@pytest.fixture(scope="module")
def refusing(new_database, template):
    with engine_on(new_database(template)) as engine:
        engine.put(jobs=only("a"))
        engine.run_id = engine.start()
        yield engine


def get_run(engine, any_id):
    return engine.call("wfg_get_run", p_run_id=any_id)


def list_runs(engine, **params):
    return engine.call("wfg_list_runs", **params)


def ids(page):
    return [run["run_id"] for run in page["items"]]


def keys_and_values(text):
    """A JSON text with its keys in their order, for comparing."""
    return json.dumps(json.loads(text))


# --- wfg_get_run ---


def test_run_says_all_about_itself(engine):
    engine.set_now(START)
    engine.put(
        "ci",
        name="CI",
        jobs={
            "test": {"run": "make test", "group": "checks"},
            "build": {"name": "Build it", "needs": ["test"], "run": "make"},
        },
        inputs={"env": {"type": "string"}},
    )
    run_id = engine.start(
        "ci",
        inputs={"env": "prod"},
        idempotency_key="k1",
        start_at=after(1),
        started_by="ada",
        reason="why not",
    )
    engine.set_now(after(2))
    claim = engine.claim("w1")
    engine.set_now(after(3))
    engine.fail(claim, "boom")

    text = engine.call_text("wfg_get_run", p_run_id=run_id)
    assert keys_and_values(text) == json.dumps(
        {
            "run_id": run_id,
            "workflow_id": "ci",
            "version": 1,
            "name": "CI",
            "state": "failure",
            "door": "run",
            "rerun_of": None,
            "inputs": {"env": "prod"},
            "created_at_ms": ms(START),
            "start_at_ms": ms(after(1)),
            "started_at_ms": ms(after(2)),
            "finished_at_ms": ms(after(3)),
            "idempotency_key": "k1",
            "started_by": "ada",
            "reason": "why not",
            "cancelled_by": None,
            "cancel_reason": None,
            "logs_pruned_at_ms": None,
            "traceparent": None,
            "paused": None,
            "jobs": [
                {
                    "job_id": "test",
                    "name": "test",
                    "state": "failure",
                    "kept": False,
                    "attempt": 0,
                    "worker_id": "w1",
                    "needs": [],
                    "group": "checks",
                    "ready_at_ms": None,
                    "started_at_ms": ms(after(2)),
                    "finished_at_ms": ms(after(3)),
                    "error": "boom",
                    "paused": None,
                },
                {
                    "job_id": "build",
                    "name": "Build it",
                    "state": "skipped",
                    "kept": False,
                    "attempt": 0,
                    "worker_id": None,
                    "needs": ["test"],
                    "group": None,
                    "ready_at_ms": None,
                    "started_at_ms": None,
                    "finished_at_ms": ms(after(3)),
                    "error": None,
                    "paused": None,
                },
            ],
        }
    )


def test_jobs_and_needs_stand_in_the_order_of_the_file(engine):
    engine.put(
        jobs={
            "last": {"run": "true", "needs": ["z", "a", "m"]},
            "m": {"run": "true", "needs": "z"},
            "a": {"run": "true"},
            "z": {"run": "true", "needs": "a"},
        }
    )
    jobs = get_run(engine, engine.start())["jobs"]

    assert [job["job_id"] for job in jobs] == ["last", "m", "a", "z"]
    assert jobs[0]["needs"] == ["m", "a", "z"]


@pytest.mark.parametrize("name", NO_IDS)
@pytest.mark.parametrize("function", ["wfg_get_run", "wfg_get_job", "wfg_get_outputs", "wfg_get_status"])
def test_unknown_id_is_not_found(refusing, function, name):
    slug = "run_not_found" if name == "a run that is not there" else "workflow_not_found"
    param = "p_workflow_id" if function == "wfg_get_status" else "p_run_id"
    more = {"p_job_id": "a"} if function in ("wfg_get_job", "wfg_get_outputs") else {}
    diag = refusing.fails(function, **{param: NO_IDS[name]}, **more, status=404, slug=slug)
    assert len(diag.message_detail) < 1000


@pytest.mark.parametrize("function", ["wfg_get_run", "wfg_get_job", "wfg_get_outputs"])
def test_workflow_without_a_run_has_none_to_show(refusing, function):
    more = {} if function == "wfg_get_run" else {"p_job_id": "a"}
    refusing.fails(function, p_run_id="wf", **more, status=404, slug="run_not_found")


@pytest.mark.parametrize("name", [None, "", "nobody", "A", " a", "x" * 1_000_000])
@pytest.mark.parametrize("function", ["wfg_get_job", "wfg_get_outputs"])
def test_unknown_job_is_not_found(refusing, function, name):
    diag = refusing.fails(function, p_run_id=refusing.run_id, p_job_id=name, status=404, slug="job_not_found")
    assert len(diag.message_detail) < 1000


# --- wfg_get_status ---


def test_status_is_a_workflow_as_the_compatible_clients_know_it(engine):
    engine.set_now(START)
    engine.put(
        "ci",
        name="CI",
        on_={"push": None},
        jobs={
            "a": {"run": "make a", "labels": ["linux"], "retries": 1, "metadata": {"node_type": "x"}},
            "b": {"name": "Second", "run": "make b", "needs": "a"},
        },
    )
    run_id = run_workflow(engine, "ci")
    engine.set_now(after(1.25))
    claim = engine.claim("w1", labels=["linux"])
    engine.set_now(after(4))
    engine.fail(claim, "boom")

    def job(id_, name, status, duration, started, needs, output, labels, retries, metadata, command):
        return {
            "id": id_,
            "name": name,
            "status": status,
            "command": command,
            "duration_secs": duration,
            "started_at": started,
            "depends_on": needs,
            "output": output,
            "required_labels": labels,
            "max_retries": retries,
            "attempt": 0,
            "metadata": metadata,
            "ports": [],
            "children": None,
            "collapsed": False,
        }

    for any_id in ("ci", run_id):
        text = engine.call_text("wfg_get_status", p_workflow_id=any_id)
        assert keys_and_values(text) == json.dumps(
            {
                "id": any_id,
                "name": "CI",
                "trigger": "on: [push]",
                "jobs": [
                    job(
                        *("a", "a", "failure", 2, float(ms(after(1.25))), [], "boom", ["linux"], 1),
                        {"node_type": "x"},
                        "set -e\nmake a",
                    ),
                    job("b", "Second", "skipped", None, None, ["a"], None, [], 0, {}, "set -e\nmake b"),
                ],
            }
        )
        assert f'"started_at" : {ms(after(1.25))}.0,' in text


def test_status_of_a_running_job_has_its_start_and_no_duration(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    run_workflow(engine)
    engine.set_now(after(9))
    engine.claim()
    engine.set_now(after(20))

    (job,) = engine.call("wfg_get_status", p_workflow_id="wf")["jobs"]
    assert (job["status"], job["started_at"], job["duration_secs"]) == ("running", ms(after(9)), None)


def test_output_of_a_status_is_the_error_of_a_final_failure_only(engine):
    engine.put(jobs=only("a", retries=1))
    run_id = run_workflow(engine)
    engine.fail(engine.claim(), "first", retryable=True)
    (job,) = engine.call("wfg_get_status", p_workflow_id="wf")["jobs"]
    assert (job["status"], job["attempt"], job["output"], job["started_at"]) == ("queued", 1, None, None)

    cancel(engine, run_id)
    (job,) = engine.call("wfg_get_status", p_workflow_id="wf")["jobs"]
    assert (job["status"], job["output"], job["duration_secs"]) == ("cancelled", None, None)


# --- wfg_list_runs ---


def test_runs_are_listed_newest_first_without_their_jobs(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    started = []
    for n in range(5):
        engine.set_now(after(n))
        started.append(engine.start())

    page = list_runs(engine)
    assert list(page) == ["items", "next_cursor"]
    assert (ids(page), page["next_cursor"]) == (started[::-1], None)
    for run in page["items"]:
        assert run == {**get_run(engine, run["run_id"]), "jobs": None}
        assert list(run) == list(get_run(engine, run["run_id"]))


def test_no_runs_are_an_empty_page(engine):
    assert list_runs(engine) == {"items": [], "next_cursor": None}


def test_pages_of_any_size_show_every_run_once(engine):
    engine.put(jobs=only("a"))
    started = []
    for n in range(7):
        engine.set_now(after(n))
        started.append(engine.start())

    for limit in (1, 2, 3, 4, 6, 7, 8, 1000):
        found, cursor = [], None
        for _ in range(8):
            page = list_runs(engine, p_limit=limit, p_cursor=cursor)
            assert len(page["items"]) <= limit
            found += ids(page)
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert (found, cursor) == (started[::-1], None)


def test_run_that_comes_in_between_shifts_no_page(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    started = []
    for n in range(4):
        engine.set_now(after(n))
        started.append(engine.start())
    first = list_runs(engine, p_limit=2)
    engine.set_now(after(10))
    engine.start()

    second = list_runs(engine, p_limit=2, p_cursor=first["next_cursor"])
    assert ids(first) + ids(second) == started[::-1]
    assert second["next_cursor"] is None


def every_state(engine):
    """A run in each state, by state; three more queued of another workflow."""
    engine.put(jobs=only("a"))
    engine.put("other", jobs=only("a", labels=["x"]))
    runs = {}
    for state in ("success", "failure", "cancelled", "running", "queued"):
        runs[state] = engine.start()
        match state:
            case "success":
                engine.complete(engine.claim())
            case "failure":
                engine.fail(engine.claim())
            case "cancelled":
                cancel(engine, runs[state])
            case "running":
                engine.claim()
    return runs, {engine.start("other") for _ in range(3)}


def test_runs_are_found_by_state_and_workflow(engine):
    runs, others = every_state(engine)

    for state, run_id in runs.items():
        assert engine.state(run_id) == state
        assert ids(list_runs(engine, p_workflow_id="wf", p_state=state)) == [run_id]
        assert set(ids(list_runs(engine, p_state=state))) == {run_id} | (
            others if state == "queued" else set()
        )
    assert set(ids(list_runs(engine, p_workflow_id="wf"))) == set(runs.values())
    assert set(ids(list_runs(engine, p_workflow_id="other"))) == others
    assert ids(list_runs(engine, p_workflow_id="other", p_state="success")) == []
    assert ids(list_runs(engine, p_workflow_id="nobody")) == []


def test_filtered_list_has_pages_too(engine):
    _, others = every_state(engine)
    page = list_runs(engine, p_workflow_id="other", p_limit=2)
    rest = list_runs(engine, p_workflow_id="other", p_limit=2, p_cursor=page["next_cursor"])

    assert set(ids(page) + ids(rest)) == others
    assert rest["next_cursor"] is None


def test_both_doors_are_listed(engine):
    engine.put(jobs=only("a"))
    run_workflow(engine)
    engine.start()
    assert sorted(run["door"] for run in list_runs(engine)["items"]) == ["run", "workflow"]


def test_runs_of_a_deleted_workflow_are_still_listed(engine):
    engine.put(jobs=only("a"))
    run_id = engine.start()
    engine.call("wfg_delete_workflow", p_workflow_id="wf")
    assert ids(list_runs(engine, p_workflow_id="wf")) == [run_id]


def test_null_means_no_filter(refusing):
    page = list_runs(refusing, p_workflow_id=None, p_state=None, p_cursor=None)
    assert ids(page) == [refusing.run_id]


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("p_state", ""),
        ("p_state", "active"),
        ("p_state", "skipped"),
        ("p_state", "QUEUED"),
        ("p_state", "x" * 1_000_000),
        ("p_limit", 0),
        ("p_limit", -1),
        ("p_limit", 1001),
        ("p_limit", None),
        ("p_cursor", ""),
        ("p_cursor", "next"),
        ("p_cursor", NO_RUN.upper()),
        ("p_cursor", NO_RUN + "\n"),
        ("p_cursor", "6f1c1d6e-3b0e-4f0a-9d2c-0f1e2d3c4b5a"),
        ("p_cursor", "'; --"),
        ("p_cursor", "x" * 1_000_000),
    ],
)
def test_bad_argument_of_a_list_is_named(refusing, param, value):
    diag = refusing.fails("wfg_list_runs", **{param: value}, status=422, slug="invalid_request")
    assert diag.message_detail.startswith(f"{param}:")
    assert len(diag.message_detail) < 1000


@pytest.mark.parametrize("text", ["many", "", "1.5", "99999999999"])
def test_limit_that_is_no_number_is_refused_by_postgres(refusing, text):
    assert sqlstate_of(refusing, "wfg_list_runs", p_limit=Raw(text)) in CANNOT_CAST


# --- wfg_get_job ---


def test_job_says_all_about_itself(engine):
    engine.set_now(START)
    engine.put("ci", jobs=only("a", retries=1, labels=["linux"]))
    run_id = engine.start("ci")
    engine.fail(engine.claim("w1", labels=["linux"]), "boom", retryable=True)
    engine.set_now(after(1))
    claim = engine.claim("w2", labels=["linux"])
    engine.set_now(after(2))
    engine.complete(claim, {"x": "1"})

    text = engine.call_text("wfg_get_job", p_run_id=run_id, p_job_id="a")
    assert keys_and_values(text) == json.dumps(
        {
            "run_id": run_id,
            "workflow_id": "ci",
            "ran_in": run_id,
            "job": get_run(engine, run_id)["jobs"][0],
            "command": "set -e\ntrue",
            "required_labels": ["linux"],
            "outputs": {"x": "1"},
            "attempts": [
                {
                    "attempt": 0,
                    "outcome": "failure",
                    "worker_id": "w1",
                    "started_at_ms": ms(START),
                    "finished_at_ms": ms(START),
                    "error": "boom",
                }
            ],
        }
    )


def test_job_is_found_by_the_workflow_of_its_door(engine):
    engine.put(jobs=only("a"))
    run_id = run_workflow(engine)
    assert engine.call("wfg_get_job", p_run_id="wf", p_job_id="a")["run_id"] == run_id


# --- wfg_get_outputs ---


def test_outputs_of_any_size_are_kept_and_handed_on(engine):
    engine.put(jobs=chain(2))
    for size in (0, 1, 1000, 1014, 1015, 1016, 1025, 8000, 100_000, 1_000_000):
        run_id = engine.start()
        outputs = {"n": "x" * size}
        engine.complete(engine.claim(), outputs)

        assert engine.call("wfg_get_outputs", p_run_id=run_id, p_job_id="j1") == outputs
        assert engine.call("wfg_get_job", p_run_id=run_id, p_job_id="j1")["outputs"] == outputs
        last = engine.claim()
        assert last["job"]["upstream_outputs"] == {"j1": outputs}
        engine.complete(last)


def test_outputs_over_a_kibibyte_live_in_a_table_of_their_own(engine):
    engine.put(jobs=only("a", "b"))
    engine.start()
    for claim, size in zip(engine.claim_many(2), (1000, 1100), strict=True):
        engine.complete(claim, {"n": "x" * size})

    rows = engine.query("select outputs is not null as here from wfg.jobs order by job_no")
    assert [row["here"] for row in rows] == [True, False]
    assert engine.query("select count(*)::int as rows from wfg.outputs") == [{"rows": 1}]


def test_odd_names_and_texts_come_back_as_they_were(engine):
    outputs = {"": "", "a b": "it's", "\u00fc\U0001f600": '\r\n\t\\"', "'; --": "%s", "x" * 300: "null"}
    engine.put(jobs=only("a"))
    run_id = engine.start()
    engine.complete(engine.claim(), outputs)
    assert engine.call("wfg_get_outputs", p_run_id=run_id, p_job_id="a") == outputs


def test_job_without_outputs_has_an_empty_object(engine):
    engine.put(jobs=only("a", "b", "c"))
    run_id = engine.start()
    a, b, _ = engine.claim_many(3)
    engine.complete(a)
    engine.fail(b)
    for name in ("a", "b", "c"):
        assert engine.call_text("wfg_get_outputs", p_run_id=run_id, p_job_id=name) == "{}"


def test_outputs_of_every_run_are_kept(engine):
    engine.put(jobs=only("a"))
    runs = [engine.start() for _ in range(3)]
    for claim in engine.claim_many(3):
        engine.complete(claim, {"run": claim["job"]["run_id"]})

    for run_id in runs:
        assert engine.call("wfg_get_outputs", p_run_id=run_id, p_job_id="a") == {"run": run_id}
    assert drain(engine) == []
