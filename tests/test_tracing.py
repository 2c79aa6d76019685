"""Traces: from the start of a run to its commands; and the spans of a worker, as a collector gets them."""

import signal
import sys
from typing import Any

import pytest
from wfg.tracing import Tracing, tracing_of
from wfg.worker import Job, Worker

from tests.arrange import run_workflow
from tests.collector import collecting
from tests.servers import Process
from tests.serving import serving
from tests.workers import log_of, run_to_end, until_sync

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACE = f"00-{TRACE_ID}-{SPAN_ID}-01"
CONSUMER = 5

HANDLERS = """
from opentelemetry import trace
from wfg.worker import Job, Worker

worker = Worker(labels=["sh"], slots=1, worker_id="w7")


@worker.handler("py")
def work(job: Job) -> dict[str, str]:
    with trace.get_tracer("theirs").start_as_current_span("inside"):
        return {"traceparent": job.traceparent}
"""
JOBS: dict[str, Any] = {
    "shell": {"run": 'echo "::set-output traceparent=$TRACEPARENT"; env >&2', "labels": ["sh"]},
    "python": {"run": "true", "labels": ["py"]},
    "fails": {"run": "exit 3", "labels": ["sh"], "needs": ["shell"]},
}


def outputs(engine: Any, run: str, job: str) -> dict[str, str]:
    return engine.call("wfg_get_outputs", p_run_id=run, p_job_id=job)


def test_spans_of_a_worker_arrive_at_a_collector(engine, database, tmp_path):
    engine.put(jobs=JOBS)
    (tmp_path / "handlers.py").write_text(HANDLERS)
    with serving(database) as http, collecting() as collector:
        headers = {"traceparent": TRACE}
        given = http.post("/api/workflows/wf/runs", json={}, headers=headers).json()["run_id"]
        alone = http.post("/api/workflows/wf/runs", json={}, headers={"traceparent": "none"}).json()["run_id"]
        otel = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_HEADERS": "secret=key"}
        arguments = ("worker", "--module", "handlers:worker")
        with Process(tmp_path, *arguments, DATABASE_URL=database, TRACEPARENT="mine", **otel) as worker:
            until_sync(lambda: {engine.state(given), engine.state(alone)} == {"failure"})
            worker.send(signal.SIGTERM)
            assert worker.wait() == 0, worker.stderr()

    assert len(collector.spans) == 2 * (3 + 3 + 3 + 1)
    for run, trace_id, parent_id in ((given, TRACE_ID, SPAN_ID), (alone, alone.replace("-", ""), "")):
        jobs = {span.attributes["wfg.job_id"]: span for span in collector.named("wfg.job", run_id=run)}
        assert set(jobs) == set(JOBS)
        for name, span in jobs.items():
            assert (span.trace_id, span.parent_id, span.kind) == (trace_id, parent_id, CONSUMER)
            assert span.attributes == {
                "wfg.run_id": run,
                "wfg.workflow_id": run,
                "wfg.job_id": name,
                "wfg.attempt": 0,
                "wfg.worker_id": "w7",
                "wfg.outcome": "failure" if name == "fails" else "success",
            }
            assert span.is_error == (name == "fails")
            assert span.resource["service.name"] == "wfg-worker"
            parts = collector.below(span)
            assert set(parts) == {"wfg.handler" if name == "python" else "wfg.command", "wfg.report"}
            for part in parts.values():
                assert part.trace_id == trace_id
                assert span.began_at <= part.began_at <= part.ended_at <= span.ended_at

        command = collector.below(jobs["shell"])["wfg.command"]
        handler = collector.below(jobs["python"])["wfg.handler"]
        for job, span in (("shell", command), ("python", handler)):
            _, trace, parent, _ = outputs(engine, run, job)["traceparent"].split("-")
            assert (trace, parent) == (trace_id, span.span_id)
        assert set(collector.below(handler)) == {"inside"}

    assert {headers["secret"] for headers in collector.headers} == {"key"}
    log = log_of(engine, given, "shell")
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=" in log
    assert "secret" not in log


def test_without_spans_commands_get_what_their_run_was_started_with(engine, database):
    echo = {"run": 'echo "::set-output t=${TRACEPARENT-none}"'}
    engine.put(
        jobs={
            "a": echo,
            "b": {**echo, "env": {"TRACEPARENT": "its own"}},
            "c": {"run": "true", "labels": ["py"]},
        }
    )
    traced = run_workflow(engine, p_traceparent=TRACE)
    other = engine.start()
    seen: dict[str, str | None] = {}
    worker = Worker(slots=1, env={"PATH": "/usr/bin:/bin", "TRACEPARENT": "the worker's"})

    @worker.handler("py")
    def handler(job: Job) -> None:
        seen[job.run_id] = job.traceparent

    run_to_end(engine, other, worker)  # the last one: jobs go in the order of their runs
    assert outputs(engine, traced, "a") == {"t": TRACE}
    assert outputs(engine, other, "a") == {"t": "none"}
    assert outputs(engine, traced, "b") == outputs(engine, other, "b") == {"t": "its own"}
    assert seen == {traced: TRACE, other: None}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_SERVICE_NAME": "x"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "True"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "console"},
    ],
)
def test_nobody_who_did_not_ask_gets_spans(environment):
    assert type(tracing_of(environment)) is Tracing


def test_a_worker_without_opentelemetry_says_what_is_missing_and_works(monkeypatch, caplog):
    monkeypatch.delitem(sys.modules, "wfg.otel", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    tracing = tracing_of({"OTEL_TRACES_EXPORTER": "otlp"})
    assert type(tracing) is Tracing
    assert "wfg[otel]" in caplog.text
    tracing.close()


def test_headers_that_are_no_trace_context_are_ignored(engine, database):
    engine.put(jobs={"a": {"run": "true"}})
    wrong = (
        "",
        "x",
        TRACE.upper(),
        TRACE + "-1",
        TRACE.replace(SPAN_ID, "0" * 16),
        TRACE.replace("00-", "ff-", 1),
    )
    with serving(database) as http:
        for path, body in (
            ("/api/workflows/wf/runs", {}),
            ("/api/workflows/wf/runs/batch", {"runs": [{}]}),
            ("/api/workflows/wf/run", {}),
        ):
            for header in (*wrong, TRACE):
                answer = http.post(path, json=body, headers={"traceparent": header})
                assert answer.is_success
            started = answer.json()
            run = (started[0] if isinstance(started, list) else started)["run_id"]
            expected = None if path.endswith("/run") else TRACE  # the first one without is still active
            assert engine.call("wfg_get_run", p_run_id=run)["traceparent"] == expected
