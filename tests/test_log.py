"""The log as JSON: what its lines are about; and what is in none, in either form."""

import json
import logging
import re
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from wfg.cli import main
from wfg.log import about, show_log
from wfg.settings import Settings, SettingsError

from tests.arrange import only
from tests.engine import lease_id
from tests.servers import Process, server_process
from tests.serving import serving
from tests.test_tokens import make_token
from tests.workers import until_sync


def lines(process: Process) -> list[dict[str, Any]]:
    """Every line is an object."""
    return [json.loads(line) for line in process.stderr().splitlines()]


def test_an_answer_tells_the_id_of_its_request(database):
    with serving(database) as http:
        for sane in ("abc-123", "Root=1-67891233-abcdef012345678912345678", "a" * 128):
            assert http.get("/health", headers={"x-request-id": sane}).headers["x-request-id"] == sane
        for other in (None, "", "a" * 129, "two words", 'a"b', "a;b", "\u00fc".encode("latin-1")):
            headers = {} if other is None else {"x-request-id": other}
            for path in ("/health", "/nothing", "/api/runs?limit=x", "/api//x"):
                assert re.fullmatch("[0-9a-f]{32}", http.get(path, headers=headers).headers["x-request-id"])
            assert re.fullmatch("[0-9a-f]{32}", http.options("/x", headers=headers).headers["x-request-id"])


def use(http: httpx.Client, run: str) -> str:
    """A few requests; the lease that was in some of their paths."""
    lease = lease_id(http.post("/api/jobs/claim", json={"worker_id": "w", "labels": []}).json())
    http.post(f"/api/jobs/{lease}/complete", json={})
    http.post(f"/api/jobs/{lease}/no-such-route", json={})
    http.get(f"/api/runs/{run}/jobs/a")
    return lease


def test_requests_are_logged_with_what_they_are_about_and_without_leases_and_tokens(
    engine, database, tmp_path
):
    token = make_token(engine, "all")
    engine.put(jobs=only("a"))
    run = engine.start()
    with server_process(database, tmp_path, WFG_LOG="json", WFG_ACCESS_LOG="1") as server:
        headers = {"authorization": f"Bearer {token}", "x-request-id": "mine"}
        with httpx.Client(base_url=server.url(), headers=headers) as http:
            lease = use(http, run)
        until_sync(lambda: "/jobs/{job_id}" in server.stderr())

    assert lease.rpartition(".")[2] not in server.stderr()
    assert token not in server.stderr()
    requests = [line for line in lines(server) if line["logger"] == "wfg.access"]
    assert [(line["method"], line["route"], line["status"]) for line in requests] == [
        ("POST", "/api/jobs/claim", 200),
        ("POST", "/api/jobs/{lease_id}/complete", 200),
        ("POST", "none", 404),
        ("GET", "/api/runs/{run_id}/jobs/{job_id}", 200),
    ]
    assert {line["request_id"] for line in requests} == {"mine"}
    assert (requests[3]["run_id"], requests[3]["job_id"]) == (run, "a")
    assert all(0 < line["ms"] < 30_000 for line in requests)
    assert list(requests[3]) == [
        *("at", "level", "logger", "message"),
        *("request_id", "method", "route", "status", "ms", "run_id", "job_id"),
    ]


def test_plain_lines_have_no_leases_either(engine, database, caplog):
    engine.put(jobs=only("a"))
    run = engine.start()
    caplog.set_level(logging.INFO, "wfg.access")
    with serving(database, access_log=True) as http:
        lease = use(http, run)
    assert lease not in caplog.text
    said = [record.getMessage() for record in caplog.records if record.name == "wfg.access"]
    assert re.fullmatch(r"POST /api/jobs/\{lease_id\}/complete 200 [\d.]+ ms", said[1])


def test_requests_are_not_logged_unless_asked_for(database, caplog):
    caplog.set_level(logging.INFO, "wfg.access")
    with serving(database) as http:
        http.get("/health")
    assert [record for record in caplog.records if record.name == "wfg.access"] == []


def test_a_worker_says_which_job_a_line_is_about(engine, database, tmp_path):
    engine.put(jobs={"a": {"run": "exit 3"}})
    run = engine.start()
    with Process(tmp_path, "worker", "--worker-id", "w7", DATABASE_URL=database, WFG_LOG="json") as worker:
        worker.says('"outcome"')
        found = lines(worker)

    started, ended = (line for line in found if line.get("run_id") == run)
    about = {"workflow_id": run, "run_id": run, "job_id": "a", "attempt": 0, "worker_id": "w7"}
    assert {name: started[name] for name in about} == about
    assert {name: ended[name] for name in about} == about
    assert (ended["level"], ended["logger"], ended["outcome"]) == ("info", "wfg.worker", "failure")
    assert all(
        "worker_id" in line
        for line in found
        if line["logger"] == "wfg.worker" and "labels" in line["message"]
    )


def test_what_is_raised_is_one_line_too(capfd):
    show_log(logging.INFO, "json")
    try:
        with about(run_id="r"):
            logging.getLogger("wfg.x").error("it %s", "failed", exc_info=ValueError("two\nlines"))
    finally:
        logging.getLogger("wfg").handlers.clear()
        logging.getLogger("wfg").propagate = True
    (line,) = (json.loads(each) for each in capfd.readouterr().err.splitlines())
    assert (line["level"], line["message"], line["run_id"]) == ("error", "it failed", "r")
    assert line["error"].endswith("ValueError: two\nlines")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["at"])


def test_a_form_that_is_none_is_refused():
    with pytest.raises(SettingsError, match="WFG_LOG"):
        Settings.read({"WFG_LOG": "xml"}, database_url="x")
    refused = CliRunner().invoke(main, ["worker"], env={"WFG_LOG": "xml"})
    assert refused.exit_code == 2
    assert "WFG_LOG" in refused.output
