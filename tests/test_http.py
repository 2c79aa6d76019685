"""Every route: its status and its answer, when all goes well, when a thing is not there, or too late."""

import re
from urllib.parse import quote

import pytest

from tests.arrange import NO_RUN
from tests.engine import Engine
from tests.serving import serving
from tests.witness import Witness

CI = {
    "name": "CI",
    "on": "push",
    "inputs": {"env": {"type": "string", "default": "dev"}},
    "jobs": {
        "test": {"run": "make test", "labels": ["linux"], "retries": 1},
        "build": {"run": "make", "needs": ["test"]},
    },
}
UUID4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@pytest.fixture(scope="module")
def shared(new_database, template):
    """One server and one database for all tests of this file: each takes ids of its own."""
    dsn = new_database(template)
    with serving(dsn) as client:
        Witness(client)
        yield client, dsn


@pytest.fixture
def http(shared):
    return shared[0]


@pytest.fixture
def engine_beside(shared):
    engine = Engine(shared[1])
    yield engine
    engine.check()
    engine.close()


def put(http, workflow_id, label):
    """A workflow whose first job is for workers with that label alone."""
    jobs = {
        "test": {**CI["jobs"]["test"], "labels": [label]},
        "build": {**CI["jobs"]["build"], "labels": [label]},
    }
    answer = http.put(f"/api/workflows/{workflow_id}", json={**CI, "jobs": jobs})
    assert answer.status_code == 200
    return workflow_id


def claim(http, label, worker="w"):
    answer = http.post("/api/jobs/claim", json={"worker_id": worker, "labels": [label], "lease_ttl_secs": 60})
    assert answer.status_code == 200
    return answer.json()


def refused(answer, status, message):
    assert (answer.status_code, answer.json()["message"]) == (status, message), answer.text
    return answer.json()


def chunk(claim, sequence, data="a line\n"):
    ids = {name: claim["job"][name] for name in ("workflow_id", "job_id")}
    return {**ids, "sequence": sequence, "data": data, "timestamp_ms": 1, "stream": "stdout"}


# --- workflows ---


def test_a_job_list_becomes_a_workflow_with_a_fresh_id(http):
    job = {"id": "a", "name": "A", "status": "success", "command": "true", "depends_on": [], "future": 1}
    listed = {"id": "mine", "name": "list", "trigger": "on: push", "jobs": [job]}
    answer = http.post("/api/workflows", json=listed)

    assert answer.status_code == 201
    workflow = answer.json()
    assert list(workflow) == ["id", "name", "trigger", "jobs"]
    assert re.fullmatch(UUID4, workflow["id"])
    assert workflow["jobs"] == [
        {
            "id": "a",
            "name": "A",
            "status": "queued",
            "command": "true",
            "duration_secs": None,
            "started_at": None,
            "depends_on": [],
            "output": None,
            "required_labels": [],
            "max_retries": 0,
            "attempt": 0,
            "metadata": {},
            "ports": [],
            "children": None,
            "collapsed": False,
        }
    ]
    assert http.get(f"/api/workflows/{workflow['id']}/status").json() == workflow


def test_a_bad_job_list_is_refused_with_all_its_problems(http):
    job = {"name": "A", "status": "queued", "command": "true", "depends_on": ["b"]}
    jobs = [{"id": "a", **job}, {"id": "a", **job}]
    answer = http.post("/api/workflows", json={"name": "n", "trigger": "t", "jobs": jobs})
    details = refused(answer, 422, "invalid_workflow")["details"]
    assert "jobs[0].depends_on" in details
    assert "jobs[1].id" in details


def test_sample(http):
    answer = http.post(
        "/api/workflows/sample", content=b"what is here", headers={"content-type": "text/plain"}
    )
    assert answer.status_code == 201
    assert (answer.json()["id"], answer.json()["name"], answer.json()["trigger"]) == (
        "ci-1",
        "ci.yml",
        "on: push",
    )
    assert len(answer.json()["jobs"]) == 8


def test_list_of_workflows_is_paged_and_filtered(http):
    ids = [put(http, f"listed-{n}", "listed") for n in range(3)]
    run = http.post("/api/workflows/listed-1/run").json()["run_id"]

    everything = http.get("/api/workflows").json()
    assert [each["id"] for each in everything if each["id"] in ids] == ids
    first, second = (http.get(f"/api/workflows?limit=1&offset={n}").json() for n in (0, 1))
    assert first + second == everything[:2]
    assert http.get("/api/workflows?limit=5000").json() == everything
    assert http.get(f"/api/workflows?limit={10**30}&unknown=1&unknown2=").json() == everything
    assert http.get("/api/workflows?limit=0").json() == []
    assert http.get("/api/workflows?status=paused").json() == []

    http.post(f"/api/runs/{run}/cancel")
    assert [each["id"] for each in http.get("/api/workflows?status=cancelled").json()] == ["listed-1"]


def test_a_file_is_put_as_json_or_yaml_read_and_deleted(http):
    answer = http.put("/api/workflows/file", json=CI)
    assert answer.status_code == 200
    assert answer.json() == {"id": "file", "version": 1, "changed": True, "warnings": []}

    for media in (
        "application/yaml",
        "application/x-yaml; charset=utf-8",
        "text/yaml",
        "application/vnd.a+yaml",
    ):
        yaml = "name: CI\njobs: {a: {run: 'true'}}"
        again = http.put("/api/workflows/file", content=yaml, headers={"content-type": media}).json()
        assert again == {"id": "file", "version": 2, "changed": media == "application/yaml", "warnings": []}

    assert http.get("/api/workflows/file").json()["version"] == 2
    first = http.get("/api/workflows/file?version=1").json()
    assert (first["definition"], first["trigger"], first["version"]) == (CI, "on: push", 1)
    refused(http.get("/api/workflows/file?version=3"), 404, "version_not_found")

    assert http.delete("/api/workflows/file").json() == {"id": "file", "deleted": True}
    for gone in (http.get("/api/workflows/file"), http.delete("/api/workflows/file")):
        refused(gone, 404, "workflow_not_found")


def test_a_file_with_unknown_keys_needs_leniency(http):
    typo = {"jobs": {"a": {"run": "true", "retry": 3}}}
    answer = http.put("/api/workflows/typo", json=typo)
    assert "retries" in refused(answer, 422, "invalid_workflow")["details"]

    lenient = http.put("/api/workflows/typo?lenient=true", json=typo)
    assert lenient.status_code == 200
    assert [warning["path"] for warning in lenient.json()["warnings"]] == ["jobs.a.retry"]


def test_validation_answers_problems_and_stores_nothing(http):
    assert http.post("/api/workflows/validate", json=CI).json() == {
        "valid": True,
        "problems": [],
        "warnings": [],
    }
    bad = http.post("/api/workflows/validate", json={"jobs": {"a": {}}})
    assert bad.status_code == 200
    assert (bad.json()["valid"], bad.json()["problems"][0]["path"]) == (False, "jobs.a")


@pytest.mark.parametrize("word", ["sample", "validate"])
def test_a_workflow_may_be_called_as_a_route(http, word):
    assert http.put(f"/api/workflows/{word}", json=CI).status_code == 200
    assert http.get(f"/api/workflows/{word}").json()["id"] == word
    assert http.delete(f"/api/workflows/{word}").json() == {"id": word, "deleted": True}


# --- runs ---


def test_the_workflow_door_starts_one_run_at_a_time(http):
    put(http, "door", "door")
    first = http.post("/api/workflows/door/run")
    again = http.post("/api/workflows/door/run", json={"inputs": {"env": "prod"}})
    assert (first.status_code, again.status_code) == (202, 202)
    assert (first.json()["created"], again.json()["created"]) == (True, False)
    assert first.json()["run_id"] == again.json()["run_id"]

    cancelled = http.post("/api/workflows/door/cancel", json={"reason": "enough", "cancelled_by": "ada"})
    assert cancelled.status_code == 202
    assert cancelled.json() == {"run_id": first.json()["run_id"], "run": "cancelled"}
    run = http.get(f"/api/runs/{first.json()['run_id']}").json()
    assert (run["cancelled_by"], run["cancel_reason"]) == ("ada", "enough")
    assert {job["status"] for job in http.get("/api/workflows/door/status").json()["jobs"]} == {"cancelled"}

    third = http.post("/api/workflows/door/run", json={"inputs": {"env": "prod"}}).json()
    assert http.get(f"/api/runs/{third['run_id']}").json()["inputs"] == {"env": "prod"}


@pytest.mark.parametrize(
    "headers", [{}, {"content-type": "application/json"}, {"content-type": "text/plain"}]
)
def test_running_and_cancelling_need_no_body(http, headers):
    put(http, "bodiless", "bodiless")
    started = http.post("/api/workflows/bodiless/run", headers=headers)
    assert started.status_code == 202
    assert http.post("/api/workflows/bodiless/cancel", headers=headers).status_code == 202
    assert http.post(f"/api/runs/{started.json()['run_id']}/cancel", headers=headers).status_code == 200


def test_a_workflow_that_never_ran_has_nothing_to_cancel(http):
    put(http, "idle", "idle")
    answer = http.post("/api/workflows/idle/cancel")
    assert (answer.status_code, answer.json()) == (202, {"run_id": None, "run": "queued"})


def test_runs_are_started_any_number_at_once_and_listed_page_by_page(http):
    put(http, "many", "many")
    body = {"inputs": {"env": "prod"}, "idempotency_key": "k", "started_by": "ada", "reason": "because"}
    first = http.post("/api/workflows/many/runs", json=body)
    again = http.post("/api/workflows/many/runs", json=body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == {**first.json(), "created": False}
    refused(http.post("/api/workflows/many/runs", json={**body, "inputs": {}}), 409, "idempotency_key_reused")

    later = http.post("/api/workflows/many/runs", json={"start_at": "2100-01-01T00:00:00+01:00"}).json()
    assert http.get(f"/api/runs/{later['run_id']}").json()["start_at_ms"] == 4102441200000

    items = [{"inputs": {"env": "x"}}, {"idempotency_key": "k"}, {"start_at_ms": 4102441200000}]
    batch = http.post("/api/workflows/many/runs/batch", json={"runs": items, "started_by": "ada"})
    assert batch.status_code == 200
    assert [item["ok"] for item in batch.json()] == [True, False, True]

    found = []
    cursor = ""
    while cursor is not None:
        page = http.get(
            f"/api/runs?workflow_id=many&state=queued&limit=3{cursor and f'&cursor={cursor}'}"
        ).json()
        found += page["items"]
        cursor = page["next_cursor"]
    assert len(found) == 4
    assert [run["run_id"] for run in found] == sorted((run["run_id"] for run in found), reverse=True)
    assert http.get("/api/runs?workflow_id=many&limit=5000").json() == {"items": found, "next_cursor": None}
    assert http.get("/api/runs?workflow_id=many&state=success").json()["items"] == []


def test_a_run_that_has_ended_is_run_again(http):
    put(http, "again", "again")
    run = http.post("/api/workflows/again/runs", json={"inputs": {"env": "prod"}}).json()["run_id"]
    refused(http.post(f"/api/runs/{run}/rerun"), 409, "run_not_finished")
    lease = claim(http, "again")["lease"]["lease_id"]
    http.post(f"/api/jobs/{lease}/complete", json={"outputs": {"x": "1"}})
    http.post(f"/api/runs/{run}/cancel")

    whole = http.post(f"/api/runs/{run}/rerun")
    assert whole.status_code == 201
    assert whole.json()["created"] is True
    body = {"jobs": "failed", "idempotency_key": "k", "started_by": "me", "reason": "why"}
    first, second = (http.post(f"/api/runs/{run}/rerun", json=body) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == {**first.json(), "created": False}
    found = http.get(f"/api/runs/{first.json()['run_id']}").json()
    assert (found["rerun_of"], found["started_by"], found["reason"]) == (run, "me", "why")
    assert (found["inputs"], [job["kept"] for job in found["jobs"]]) == ({"env": "prod"}, [True, False])

    assert http.post(f"/api/runs/{run}/rerun", json={"from_job_id": "build"}).status_code == 201
    refused(http.post(f"/api/runs/{run}/rerun", json={"from_job_id": "z"}), 404, "job_not_found")
    refused(http.post(f"/api/runs/{run}/rerun", json={"jobs": "some"}), 422, "invalid_request")
    refused(http.post(f"/api/runs/{NO_RUN}/rerun"), 404, "run_not_found")


def test_a_job_of_a_run_is_read_and_cancelled(http):
    put(http, "jobwise", "jobwise")
    run = http.post("/api/workflows/jobwise/runs", json={}).json()["run_id"]
    lease = claim(http, "jobwise")["lease"]["lease_id"]
    assert (
        http.post(f"/api/jobs/{lease}/fail", json={"error": "no", "retryable": True}).json()["job"]
        == "queued"
    )

    detail = http.get(f"/api/runs/{run}/jobs/test").json()
    assert [attempt["error"] for attempt in detail["attempts"]] == ["no"]
    assert http.get(f"/api/runs/{run}/jobs/test/outputs").json() == {}
    cancelled = http.post(f"/api/runs/{run}/jobs/test/cancel")
    assert (cancelled.status_code, cancelled.json()) == (200, {"job": "cancelled", "run": "failure"})
    assert http.get(f"/api/jobs/{run}/test/cancelled").json() is True


# --- workers ---


def test_a_worker_registers_beats_and_leaves(http):
    answer = http.post("/api/workers/register", json={"worker_id": "w1", "labels": ["linux"]})
    assert (answer.status_code, answer.json()) == (200, {"worker_id": "w1", "labels": ["linux"]})
    beat = http.post("/api/workers/w1/heartbeat")
    assert (beat.status_code, beat.json()) == (200, {"worker_id": "w1"})

    (info,) = (worker for worker in http.get("/api/workers").json() if worker["worker_id"] == "w1")
    assert (info["labels"], info["status"], info["current_job"]) == (["linux"], "idle", None)

    assert http.delete("/api/workers/w1").json() == {"worker_id": "w1", "deregistered": True}
    refused(http.delete("/api/workers/w1"), 404, "worker_not_found")
    refused(http.post("/api/workers/w1/heartbeat"), 404, "worker_not_found")


def test_a_worker_may_be_called_as_a_route(http):
    http.post("/api/workers/register", json={"worker_id": "register", "labels": []})
    assert http.delete("/api/workers/register").status_code == 200


# --- jobs ---


def test_worker_protocol(http, engine_beside):
    put(http, "protocol", "protocol")
    http.post("/api/workflows/protocol/run")
    first = claim(http, "protocol")
    assert list(first) == ["job", "lease"]
    assert (first["job"]["workflow_id"], first["job"]["job_id"], first["lease"]["ttl_secs"]) == (
        "protocol",
        "test",
        60,
    )
    assert claim(http, "protocol") is None

    lease = first["lease"]["lease_id"]
    assert http.post(f"/api/jobs/{lease}/heartbeat").json()["stop"] is None
    chunks = {"chunks": [chunk(first, 0), chunk(first, 1, "\u2603\n")]}
    for _ in range(2):
        assert http.post(f"/api/jobs/{lease}/logs", json=chunks).json() == {"accepted": 2, "truncated": False}
    assert http.post(f"/api/jobs/{lease}/logs", json={"chunks": []}).json()["accepted"] == 0
    done = http.post(f"/api/jobs/{lease}/complete", json={"outputs": {"n": "42"}})
    assert (done.status_code, done.json()) == (200, {"job": "success", "run": "running"})

    again = http.post(f"/api/jobs/{lease}/complete", json={})
    assert refused(again, 409, "already_reported")["details"]
    for call, body in (("heartbeat", None), ("logs", chunks), ("release", None)):
        assert http.post(f"/api/jobs/{lease}/{call}", json=body).status_code == 409

    run = first["job"]["run_id"]
    assert http.get(f"/api/runs/{run}/jobs/test/outputs").json() == {"n": "42"}
    assert http.get("/api/workflows/protocol/jobs/test/logs").json() == chunks["chunks"]
    page = http.get(f"/api/runs/{run}/jobs/test/logs?limit=1").json()
    assert [item["sequence"] for item in page["items"]] == [0]
    rest = http.get(f"/api/runs/{run}/jobs/test/logs?cursor={page['next_cursor']}&limit=99999").json()
    assert [item["data"] for item in rest["items"]] == ["\u2603\n"]

    second = claim(http, "protocol")
    assert second["job"]["upstream_outputs"] == {"test": {"n": "42"}}
    released = http.post(f"/api/jobs/{second['lease']['lease_id']}/release")
    assert (released.status_code, released.json()) == (200, {"job": "queued", "run": "running"})
    lease = claim(http, "protocol")["lease"]["lease_id"]
    failed = http.post(f"/api/jobs/{lease}/fail", json={"error": "boom"})
    assert (failed.status_code, failed.json()) == (200, {"job": "failure", "run": "failure"})

    status = http.get("/api/workflows/protocol/status")
    assert [job["status"] for job in status.json()["jobs"]] == ["success", "failure"]
    assert status.json()["jobs"][1]["output"] == "boom"


def test_many_are_claimed_and_reported_in_one_call(http):
    put(http, "bulk", "bulk")
    http.post("/api/workflows/bulk/runs/batch", json={"runs": [{}, {}, {}]})
    body = {"worker_id": "w", "labels": ["bulk"], "limit": 2}
    claims = http.post("/api/jobs/claim-many", json=body)
    assert (claims.status_code, len(claims.json())) == (200, 2)

    leases = [each["lease"]["lease_id"] for each in claims.json()]
    reports = [
        {"lease_id": leases[0], "outcome": "success", "outputs": {"a": "1"}},
        {"lease_id": leases[1], "outcome": "failure", "error": "x", "retryable": False},
        {"lease_id": "nothing", "outcome": "success"},
    ]
    refused(
        http.post("/api/jobs/report-many", json={"reports": reports, "strict": True}), 409, "lease_not_held"
    )
    answer = http.post("/api/jobs/report-many", json={"reports": reports})
    assert answer.status_code == 200
    assert [(item["ok"], item.get("job"), item.get("message")) for item in answer.json()] == [
        (True, "success", None),
        (True, "failure", None),
        (False, None, "lease_not_held"),
    ]
    assert http.post("/api/jobs/claim-many", json={**body, "labels": ["other"]}).json() == []


def test_a_cancelled_lease_is_told_and_acknowledged(http):
    put(http, "stopped", "stopped")
    http.post("/api/workflows/stopped/run")
    lease = claim(http, "stopped")["lease"]["lease_id"]
    http.post("/api/workflows/stopped/cancel")

    assert http.get("/api/jobs/stopped/test/cancelled").json() is True
    assert http.post(f"/api/jobs/{lease}/heartbeat").json()["stop"] == "cancelled"
    refused(http.post(f"/api/jobs/{lease}/complete", json={}), 409, "lease_cancelled")
    assert (
        http.post(f"/api/jobs/{lease}/fail", json={"error": "cancelled", "retryable": True}).status_code
        == 200
    )
    assert http.get("/api/jobs/stopped/test/cancelled").json() is True
    http.post("/api/workflows/stopped/run")
    assert http.get("/api/jobs/stopped/test/cancelled").json() is False


@pytest.mark.parametrize("call", ["heartbeat", "complete", "fail", "release", "logs"])
@pytest.mark.parametrize("lease", ["unknown", "a%2Fb", "%25", "%3F%23", f"{NO_RUN}.1.x", "\u2603"])
def test_a_lease_of_any_form_that_is_not_held_is_a_409(http, call, lease):
    body = {"complete": {}, "fail": {"error": "x"}, "logs": {"chunks": []}}.get(call)
    refused(http.post(f"/api/jobs/{lease}/{call}", json=body), 409, "lease_not_held")


# --- what is not there ---


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/workflows/{id}", None),
        ("DELETE", "/api/workflows/{id}", None),
        ("GET", "/api/workflows/{id}/status", None),
        ("POST", "/api/workflows/{id}/run", None),
        ("POST", "/api/workflows/{id}/cancel", None),
        ("POST", "/api/workflows/{id}/runs", {}),
        ("POST", "/api/workflows/{id}/runs/batch", {"runs": []}),
        ("GET", "/api/runs/{id}", None),
        ("POST", "/api/runs/{id}/cancel", None),
        ("GET", "/api/runs/{id}/jobs/a", None),
        ("GET", "/api/runs/{id}/jobs/a/outputs", None),
        ("GET", "/api/runs/{id}/jobs/a/logs", None),
        ("POST", "/api/runs/{id}/jobs/a/cancel", None),
    ],
)
def test_unknown_ids_are_a_404(http, method, path, body):
    for unknown in ("nobody", NO_RUN, "a%2Fb", "%25"):
        answer = http.request(method, path.format(id=unknown), json=body)
        assert answer.status_code == 404, answer.text
        assert answer.json()["message"] in ("workflow_not_found", "run_not_found")


def test_unknown_jobs_of_a_run_are_a_404(http):
    put(http, "jobless", "jobless")
    run = http.post("/api/workflows/jobless/runs", json={}).json()["run_id"]
    for path in ("", "/outputs", "/logs"):
        refused(http.get(f"/api/runs/{run}/jobs/nothing{path}"), 404, "job_not_found")
    refused(http.post(f"/api/runs/{run}/jobs/nothing/cancel"), 404, "job_not_found")


def test_logs_and_cancelled_of_unknown_ids_are_empty_and_false(http):
    assert http.get("/api/workflows/nobody/jobs/a/logs").json() == []
    assert http.get("/api/jobs/nobody/a/cancelled").json() is False


def test_health_and_readiness(http):
    assert http.get("/health").json() == {"status": "ok"}
    assert http.get("/ready").json()["status"] == "ok"


# --- ids ---


@pytest.mark.parametrize(
    "name", ["a/b", "100%", "%2F", "a%20b", "a?b=c", "a#b", "a b", "\u2603", "a\\b", "'--", "a+b"]
)
def test_ids_may_hold_anything(http, name):
    http.post("/api/workers/register", json={"worker_id": name, "labels": []})
    in_path = quote(name, safe="")
    assert http.post(f"/api/workers/{in_path}/heartbeat").json() == {"worker_id": name}
    assert http.put(f"/api/workflows/{in_path}", json={"jobs": {name: {"run": "true"}}}).json()["id"] == name
    started = http.post(f"/api/workflows/{in_path}/run").json()
    assert started["workflow_id"] == name
    assert http.get(f"/api/runs/{started['run_id']}/jobs/{in_path}").json()["job"]["job_id"] == name
    assert len(http.get(f"/api/runs?workflow_id={in_path}").json()["items"]) == 1
