"""The HTTP door: every route of workflow-graph, and ours."""

import pytest

from tests.serving import serving


@pytest.fixture
def http(database):
    with serving(database) as client:
        yield client


def test_worker_protocol(http):
    assert http.post("/api/workflows/sample").status_code == 201
    assert http.post("/api/workflows/ci-1/run").status_code == 202

    claim = http.post("/api/jobs/claim", json={"worker_id": "w", "labels": []}).json()
    lease = claim["lease"]["lease_id"]
    assert http.post(f"/api/jobs/{lease}/heartbeat").json()["stop"] is None
    assert http.post(f"/api/jobs/{lease}/complete", json={}).json() == {"job": "success", "run": "running"}

    again = http.post(f"/api/jobs/{lease}/complete", json={})
    assert (again.status_code, again.json()["message"]) == (409, "already_reported")
