"""GET /metrics, read by Prometheus' own parser."""

import asyncio
import json
import threading
from collections.abc import Iterator
from hashlib import sha256

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from wfg.db import Credential, Database
from wfg.listen import Lines, Listener
from wfg.metrics import Meters, Scrapes

from tests.arrange import engine_on, only
from tests.serving import serving
from tests.test_tokens import make_token
from tests.workers import until_sync

Key = tuple[str, tuple[tuple[str, str], ...]]


@pytest.fixture
def http(database: str) -> Iterator[httpx.Client]:
    with serving(database) as client:
        yield client


@pytest.fixture(autouse=True)
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scrapes, "KEEP_SECS", 0.0)


def scrape(http: httpx.Client, **headers: str) -> str:
    answer = http.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return answer.text


def samples(http: httpx.Client) -> dict[Key, float]:
    """All of them; no two are the same."""
    found = [
        ((sample.name, tuple(sorted(sample.labels.items()))), sample.value)
        for family in text_string_to_metric_families(scrape(http))
        for sample in family.samples
    ]
    assert len(dict(found)) == len(found)
    return dict(found)


def value(http: httpx.Client, name: str, **labels: str) -> float | None:
    return samples(http).get((name, tuple(sorted(labels.items()))))


def test_every_family_says_what_it_is_and_in_which_unit(engine, http):
    engine.put(jobs=only("a"))
    engine.start()
    http.post("/api/jobs/claim", json={"worker_id": "w", "labels": []})
    families = list(text_string_to_metric_families(scrape(http)))

    assert len(families) >= 25
    assert len({family.name for family in families}) == len(families)
    for family in families:
        assert family.name.startswith("wfg_")
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "histogram"), family.name
        for sample in family.samples:
            assert (family.type == "counter") == sample.name.endswith("_total"), sample.name
        if "duration" in family.name or "oldest" in family.name:
            assert family.name.endswith("_seconds")
        assert not family.name.endswith(("_secs", "_ms", "_count"))


def test_histograms_add_up(engine, http):
    for _ in range(3):
        http.post("/api/jobs/claim", json={"worker_id": "w", "labels": []})
    found = samples(http)
    name = "wfg_server_claim_duration_seconds"
    buckets = [
        (float(dict(labels)["le"]), count)
        for (each, labels), count in found.items()
        if each == f"{name}_bucket"
    ]
    assert [count for _, count in sorted(buckets)] == sorted(count for _, count in buckets)
    assert max(buckets) == (float("inf"), 3)
    assert found[(f"{name}_count", (("result", "nothing"),))] == 3
    assert 0 < found[(f"{name}_sum", (("result", "nothing"),))] < 30


def test_what_the_database_knows_is_told_whoever_did_it(engine, http):
    engine.put(jobs={"a": {"run": "true", "labels": ["linux"], "priority": 2}})
    for _ in range(3):
        engine.start()
    engine.complete(engine.claim(labels=["linux"]))
    http.post("/api/jobs/claim", json={"worker_id": "w", "labels": ["linux"]})

    lane = {"labels": "linux", "priority": "2"}
    assert value(http, "wfg_queue_jobs", **lane, state="ready") == 1
    assert value(http, "wfg_queue_jobs", **lane, state="leased") == 1
    assert 0 < (value(http, "wfg_queue_oldest_ready_seconds", **lane) or 0) < 60
    assert value(http, "wfg_claims_total") == 2
    assert value(http, "wfg_runs_started_total") == 3
    assert value(http, "wfg_runs_ended_total", state="success") == 1
    assert value(http, "wfg_jobs_ended_total", state="success") == 1
    assert value(http, "wfg_runs_active") == 2
    assert value(http, "wfg_workers", state="busy") == 1
    assert value(http, "wfg_server_claim_duration_seconds_count", result="jobs") == 1
    engine.fails("wfg_complete_job", status=409, slug="lease_not_held", p_lease_id="x", p_outputs={})
    assert value(http, "wfg_reports_refused_total", reason="lease_not_held") == 1


def test_labels_may_hold_anything_and_stay_apart(engine, http):
    strange = [["a,b"], ["a", "b"], ['say "x"'], ["back\\slash"], ["a\\,b"], ["two\nlines"], ["other"], ["ü"]]
    engine.put(jobs={f"j{n}": {"run": "true", "labels": labels} for n, labels in enumerate(strange)})
    engine.put("more", jobs={f"j{n}": {"run": "true", "labels": [f"l{n}"]} for n in range(20)})
    engine.start()
    engine.start("more")

    found = samples(http)
    ready = {
        (dict(labels)["labels"], dict(labels)["priority"])
        for (name, labels) in found
        if name == "wfg_queue_jobs" and dict(labels)["state"] == "ready"
    }
    assert len(ready) == 21
    assert {"a\\,b", "a,b", 'say "x"', "back\\\\slash", "a\\\\\\,b", "two\nlines", "ü"} <= {
        text for text, _ in ready
    }
    assert ("other", "0") in ready
    assert ("other", "") in ready
    assert found[("wfg_queue_other_lanes", ())] == 8


def test_requests_are_counted_by_route_and_not_by_path(engine, http):
    for n in range(5):
        http.get(f"/nothing/{n}")
        http.get(f"/api/runs/{n}")
    http.options("/api/runs")
    http.request("PROPFIND", "/api/runs")

    found = samples(http)
    routes = {labels: n for (name, labels), n in found.items() if name == "wfg_server_requests_total"}
    told = {(dict(labels)["method"], dict(labels)["route"]): n for labels, n in routes.items()}
    assert told[("GET", "none")] == 5
    assert told[("GET", "/api/runs/{run_id}")] == 5
    assert told[("OPTIONS", "none")] == 1
    assert told[("other", "none")] == 1
    assert len(told) == 4
    assert value(http, "wfg_server_requests_total", method="GET", route="/metrics", status="200") == 1


def test_who_waits_and_who_listens_is_told(engine, http):
    assert value(http, "wfg_server_listening") == 0
    assert value(http, "wfg_server_connections_limit") == 10
    body = {"worker_id": "w", "labels": [], "wait_secs": 20}
    waiting = threading.Thread(
        target=httpx.post, args=(f"{http.base_url}/api/jobs/claim",), kwargs={"json": body, "timeout": 30}
    )
    waiting.start()
    until_sync(lambda: value(http, "wfg_server_claims_waiting") == 1)
    until_sync(lambda: value(http, "wfg_server_listening") == 1)
    with http.stream("GET", "/api/stream"):
        until_sync(lambda: value(http, "wfg_server_streams") == 1)
    engine.put(jobs=only("a"))
    engine.start()
    waiting.join()

    until_sync(lambda: value(http, "wfg_server_claims_waiting") == 0)
    until_sync(lambda: value(http, "wfg_server_streams") == 0)
    found = samples(http)
    assert ("wfg_server_requests_in_progress", ()) in found
    assert (
        "wfg_server_request_duration_seconds_count",
        (("method", "GET"), ("route", "/api/stream")),
    ) not in found


def test_readers_and_operators_may_scrape_and_workers_may_not(engine, database, monkeypatch):
    monkeypatch.setattr(Scrapes, "KEEP_SECS", 60.0)
    tokens = {scope: make_token(engine, scope, scope) for scope in ("worker", "reader", "operator")}
    with serving(database) as http:
        for scope, status in (("reader", 200), ("worker", 403), ("operator", 200), ("worker", 403)):
            answer = http.get("/metrics", headers={"authorization": f"Bearer {tokens[scope]}"})
            assert answer.status_code == status
        assert http.get("/metrics").json()["message"] == "token_missing"
        assert http.get("/metrics", headers={"apikey": "wfg_no"}).json()["message"] == "token_invalid"


def test_the_engine_is_asked_once_in_a_while_however_many_scrape(database, monkeypatch):
    monkeypatch.setattr(Scrapes, "KEEP_SECS", 60.0)

    async def storm() -> int:
        asked = 0
        async with Database(database) as calls, Listener(database, asyncio.Event()) as listener:

            async def ask() -> str:
                nonlocal asked
                asked += 1
                return await calls.call("wfg_metrics")

            scrapes = Scrapes(calls, Meters(), listener, Lines(listener))
            texts = await asyncio.gather(*(scrapes.text(Credential(None), ask) for _ in range(50)))
            texts.append(await scrapes.text(Credential(None), ask))
            assert all("wfg_runs_active 0\n" in text for text in texts)
            return asked

    assert asyncio.run(storm()) == 1


def test_a_refusal_is_not_kept(database, monkeypatch):
    monkeypatch.setattr(Scrapes, "KEEP_SECS", 60.0)
    headers = {"authorization": "Bearer wfg_late"}
    with serving(database) as http, engine_on(database) as engine:
        assert http.get("/metrics", headers=headers).status_code == 401
        digest = sha256(b"wfg_late").hexdigest()
        engine.call("wfg_create_token", p_name="late", p_scope="reader", p_sha256=digest)
        assert http.get("/metrics", headers=headers).status_code == 200


def test_metrics_are_an_rpc_too(engine, http):
    answer = http.get("/rest/v1/rpc/wfg_metrics").json()
    assert list(answer) == list(json.loads(engine.call_text("wfg_metrics")))
