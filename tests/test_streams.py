"""Server-sent events: logs and states, from the start or from where one was, to the end and no further."""

import asyncio
import json
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest
from wfg.db import Database
from wfg.listen import Listener
from wfg.streams import Log, RunStates, Streams

from tests.arrange import NO_RUN, cancel, chain, chunk, only, run_workflow
from tests.engine import lease_id
from tests.serving import serving
from tests.witness import Witness

DEADLINE = 10.0


@pytest.fixture
def http(database):
    with serving(database) as client:
        yield client


@dataclass(frozen=True)
class Event:
    name: str
    id: str | None
    data: Any


class Feed:
    """The events of a stream, one by one; comments are counted."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.comments = 0
        self.lines = response.iter_lines()

    def __iter__(self) -> Iterator[Event]:
        fields: dict[str, str] = {}
        for line in self.lines:
            if line.startswith(":"):
                self.comments += 1
            elif line:
                name, _, value = line.partition(": ")
                assert name not in fields, "a field of an event is on one line"
                fields[name] = value
            elif fields:
                yield Event(fields["event"], fields.get("id"), json.loads(fields["data"]))
                fields = {}

    def next(self) -> Event:
        return next(iter(self))

    def rest(self) -> list[Event]:
        """All, to the end of the response."""
        return list(self)


@contextmanager
def feed(http: httpx.Client, path: str, last: str | None = None) -> Iterator[Feed]:
    headers = {"last-event-id": last} if last else {}
    with http.stream("GET", path, headers=headers, timeout=DEADLINE) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].partition(";")[0] == "text/event-stream"
        assert response.headers["cache-control"] == "no-cache"
        yield Feed(response)


def log_path(claim: dict[str, Any]) -> str:
    return f"/api/runs/{claim['job']['run_id']}/jobs/{claim['job']['job_id']}/logs/stream"


def append(engine, claim, *sequences: int) -> None:
    chunks = [chunk(claim, n, data=f"line {n}\n") for n in sequences]
    engine.call("wfg_append_logs", p_lease_id=lease_id(claim), p_chunks=chunks)


def sequences(events: list[Event]) -> list[int]:
    assert {event.name for event in events} <= {"log"}
    return [event.data["sequence"] for event in events]


def until(condition) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.01)


def connections(engine) -> list[int]:
    """Of the server, to this test's database."""
    query = "select pid from pg_stat_activity where application_name = 'wfg'"
    return [row["pid"] for row in engine.query(f"{query} and datname = current_database()")]


@pytest.fixture
def claimed(engine):
    """A job that runs, alone in its run."""
    engine.put(jobs=only("a", retries=1))
    engine.start()
    return engine.claim()


# --- logs ---


def test_log_that_is_complete_is_sent_and_ends(engine, http, claimed):
    append(engine, claimed, 0, 1, 2)
    engine.complete(claimed)
    with feed(http, log_path(claimed)) as events:
        *log, end = events.rest()
    assert sequences(log) == [0, 1, 2]
    run = claimed["job"]["run_id"]
    assert [event.id for event in log] == [f"{run}.0.{n}" for n in range(3)]
    assert log[1].data == chunk(claimed, 1, data="line 1\n")
    assert (end.name, end.data) == ("end", {"state": "success"})


def test_chunk_carries_the_id_that_was_asked_with(engine, http):
    engine.put(jobs=only("a"))
    run_workflow(engine)
    claim = engine.claim()
    append(engine, claim, 0)
    engine.complete(claim)
    with feed(http, "/api/workflows/wf/jobs/a/logs/stream") as events:
        assert events.next().data == {**chunk(claim, 0, data="line 0\n"), "workflow_id": "wf"}


def test_line_with_every_kind_of_end_is_one_line(engine, http, claimed):
    data = "a\nb\r\nc\rd\u2028e\x85f\x1eg \U0001f600 </script>\n"
    engine.call("wfg_append_logs", p_lease_id=lease_id(claimed), p_chunks=[chunk(claimed, 0, data=data)])
    engine.complete(claimed)
    with http.stream("GET", log_path(claimed)) as response:
        text = response.read().decode()
    (line,) = [line for line in text.split("\n") if line.startswith("data: ") and "sequence" in line]
    assert json.loads(line[6:])["data"] == data


def test_watcher_gets_what_is_stored_and_what_comes(engine, http, claimed):
    append(engine, claimed, 0, 1)
    with feed(http, log_path(claimed)) as events:
        assert sequences([events.next(), events.next()]) == [0, 1]
        append(engine, claimed, 2)
        assert sequences([events.next()]) == [2]
        engine.complete(claimed)
        assert [event.name for event in events.rest()] == ["end"]


def test_no_line_is_lost_or_repeated_between_stored_and_live(engine, connect, http, claimed, monkeypatch):
    """Watchers that come at any moment, beside a writer that does not wait."""
    monkeypatch.setattr(Log, "PAUSE_SECS", 0.01)
    monkeypatch.setattr(Log, "PAGE", 7)
    got: list[list[int]] = []

    def watch() -> None:
        with (
            httpx.Client(base_url=http.base_url) as client,
            feed(client, log_path(claimed)) as events,
        ):
            *log, end = events.rest()
            assert end.name == "end"
            got.append(sequences(log))

    writer = connect()
    threads = []
    for n in range(100):
        append(writer, claimed, 2 * n, 2 * n + 1)
        if n % 10 == 5:
            threads.append(threading.Thread(target=watch))
            threads[-1].start()
    engine.complete(claimed)
    for thread in threads:
        thread.join()
    assert got == [list(range(200))] * 10


def test_stream_resumes_after_any_event_exactly(engine, http, claimed):
    append(engine, claimed, 0, 1)
    engine.fail(claimed, retryable=True)
    again = engine.claim()
    append(engine, again, 0, 1)
    engine.complete(again)
    with feed(http, log_path(claimed)) as events:
        *log, end = events.rest()
    assert [event.id.split(".")[1:] for event in log] == [["0", "0"], ["0", "1"], ["1", "0"], ["1", "1"]]
    for place, event in enumerate(log):
        with feed(http, log_path(claimed), last=event.id) as events:
            assert events.rest() == [*log[place + 1 :], end]


def test_last_event_id_of_another_stream_is_ignored(engine, http, claimed):
    append(engine, claimed, 0)
    engine.complete(claimed)
    for last in ("x", "1.2.3", f"{NO_RUN}.0.0", "\xff", f"{NO_RUN}.99999999999.0"):
        with feed(http, log_path(claimed), last=last.encode("latin-1")) as events:
            assert [event.name for event in events.rest()] == ["log", "end"], last


def test_watcher_from_beyond_the_end_holds_nobody_up(engine, http, claimed):
    append(engine, claimed, 0)
    beyond = f"{claimed['job']['run_id']}.7.1000000"
    with (
        feed(http, log_path(claimed), last=beyond) as ahead,
        httpx.Client(base_url=http.base_url) as client,
        feed(client, log_path(claimed)) as events,
    ):
        assert sequences([events.next()]) == [0]
        engine.complete(claimed)
        assert [event.name for event in events.rest()] == ["end"]
        assert [event.name for event in ahead.rest()] == ["end"]


# --- gaps ---


def test_reader_stops_before_a_gap_until_it_fills(engine, http, claimed, monkeypatch):
    monkeypatch.setattr(Log, "GAP_SECS", 600)
    append(engine, claimed, 0, 2, 3)
    with feed(http, log_path(claimed)) as events:
        assert sequences([events.next()]) == [0]
        append(engine, claimed, 1)
        assert sequences([events.next() for _ in range(3)]) == [1, 2, 3]


def test_late_watcher_stops_before_the_same_gap(engine, http, claimed, monkeypatch):
    """It reads by itself what the others had; not what nobody may have yet."""
    monkeypatch.setattr(Log, "GAP_SECS", 600)
    append(engine, claimed, 0)
    with feed(http, log_path(claimed)) as events:
        assert sequences([events.next()]) == [0]
        append(engine, claimed, 1, 3)
        assert sequences([events.next()]) == [1]
        with httpx.Client(base_url=http.base_url) as client, feed(client, log_path(claimed)) as late:
            assert sequences([late.next(), late.next()]) == [0, 1]
            append(engine, claimed, 2)
            for each in (events, late):
                assert sequences([each.next(), each.next()]) == [2, 3]


def test_gap_that_does_not_fill_is_passed_after_a_while(engine, http, claimed, monkeypatch):
    monkeypatch.setattr(Log, "GAP_SECS", 0.5)
    append(engine, claimed, 1, 3)
    began_at = time.monotonic()
    with feed(http, log_path(claimed)) as events:
        assert sequences([events.next(), events.next()]) == [1, 3]
    assert time.monotonic() - began_at >= 1.0  # each of the two is waited for


def test_gap_of_an_attempt_that_is_over_is_passed(engine, http, monkeypatch):
    monkeypatch.setattr(Log, "GAP_SECS", 600)
    engine.put(jobs=only("a", retries=1))
    for end in (
        engine.complete,
        engine.fail,
        lambda claim: engine.fail(claim, retryable=True),
        lambda claim: cancel(engine, claim["job"]["run_id"]),
    ):
        engine.start()
        claim = engine.claim()
        append(engine, claim, 0, 2)
        with feed(http, log_path(claim)) as events:
            assert sequences([events.next()]) == [0]
            end(claim)
            assert sequences([events.next()]) == [2]


# --- the end of a log ---


def test_log_of_a_job_that_never_ran_ends(engine, http):
    engine.put(jobs=chain(2))
    run = engine.start()
    with feed(http, f"/api/runs/{run}/jobs/j2/logs/stream") as events:
        engine.fail(engine.claim())
        assert [(event.name, event.data) for event in events.rest()] == [("end", {"state": "skipped"})]


def test_log_of_a_cancelled_job_ends_with_what_was_written(engine, http, claimed):
    append(engine, claimed, 0)
    cancel(engine, claimed["job"]["run_id"])
    with feed(http, log_path(claimed)) as events:
        assert [event.name for event in events.rest()] == ["log", "end"]


def test_attempt_that_was_given_back_starts_over(engine, http, claimed):
    append(engine, claimed, 0, 1)
    with feed(http, log_path(claimed)) as events:
        assert sequences([events.next(), events.next()]) == [0, 1]
        engine.call("wfg_release_job", p_lease_id=lease_id(claimed))
        again = engine.claim()
        append(engine, again, 0)
        assert sequences([events.next()]) == [0]
        engine.complete(again)
        assert [event.name for event in events.rest()] == ["end"]


def test_stream_stays_with_the_run_that_was_meant(engine, http):
    engine.put(jobs=only("a"))
    run_workflow(engine)
    first = engine.claim()
    append(engine, first, 0, 1)
    path = "/api/workflows/wf/jobs/a/logs/stream"
    with feed(http, path) as events:
        last = events.next().id
        engine.complete(first)
        run_workflow(engine)
        later = engine.claim()
        append(engine, later, 0, 1, 2)
        assert [event.name for event in events.rest()] == ["log", "end"]
    with feed(http, path, last=last) as events:
        assert [event.name for event in events.rest()] == ["log", "end"]
    with feed(http, path) as events:
        assert events.next().id.startswith(later["job"]["run_id"])


def test_stream_of_what_is_not_there_is_404(engine, http):
    engine.put(jobs=only("a"))
    run = engine.start()
    Witness(http)
    for path, slug in [
        ("/api/workflows/nobody/jobs/a/logs/stream", "workflow_not_found"),
        ("/api/workflows/wf/jobs/a/logs/stream", "run_not_found"),
        (f"/api/runs/{NO_RUN}/jobs/a/logs/stream", "run_not_found"),
        (f"/api/runs/{run}/jobs/b/logs/stream", "job_not_found"),
        (f"/api/runs/{NO_RUN}/stream", "run_not_found"),
        (f"/api/runs/{NO_RUN}/jobs/a/logs", "run_not_found"),
    ]:
        answer = http.get(path)
        assert (answer.status_code, answer.json()["message"]) == (404, slug), path
        assert set(answer.json()) == {"code", "message", "details", "hint"}


def test_log_is_read_page_by_page(engine, http, claimed):
    append(engine, claimed, 0, 1, 2)
    path = f"/api/runs/{claimed['job']['run_id']}/jobs/a/logs"
    page = http.get(path, params={"limit": 2}).json()
    assert [item["sequence"] for item in page["items"]] == [0, 1]
    page = http.get(path, params={"cursor": page["next_cursor"]}).json()
    assert [item["sequence"] for item in page["items"]] == [2]
    assert http.get(path, params={"cursor": page["next_cursor"]}).json() == {**page, "items": []}
    assert http.get(path, params={"limit": "x"}).status_code == 400
    assert http.get(path, params={"cursor": "x"}).status_code == 422


# --- states ---


def states(event: Event) -> dict[str, str]:
    return {job["job_id"]: job["state"] for job in event.data["jobs"]}


def test_run_is_sent_whole_then_what_changes_then_its_end(engine, http):
    engine.put(jobs=chain(2))
    run = engine.start()
    with feed(http, f"/api/runs/{run}/stream") as events:
        first = events.next()
        assert first.name == "status"
        assert (first.data["run_id"], first.data["workflow_id"], first.data["state"]) == (run, "wf", "queued")
        assert states(first) == {"j1": "queued", "j2": "queued"}

        claim = engine.claim()
        event = events.next()
        assert (event.data["state"], states(event)) == ("running", {"j1": "running"})
        assert event.data["jobs"][0]["worker_id"] == "w1"
        assert event.data["jobs"][0]["started_at_ms"] == claim["lease"]["granted_at_ms"]

        engine.complete(claim)
        assert states(events.next()) == {"j1": "success"}
        engine.fail(engine.claim())
        last: dict[str, str] = {}
        *changes, end = events.rest()
        for event in changes:
            last |= states(event)
        assert last == {"j2": "failure"}
        assert (end.name, end.data) == ("end", {"state": "failure"})


def test_run_that_is_over_is_sent_and_ends(engine, http, claimed):
    engine.complete(claimed)
    with feed(http, f"/api/runs/{claimed['job']['run_id']}/stream") as events:
        whole, end = events.rest()
    assert (whole.data["state"], states(whole), end.name) == ("success", {"a": "success"}, "end")


def test_everything_is_a_snapshot_and_then_changes(engine, http):
    engine.put(jobs=only("a"))
    first = engine.start()
    with feed(http, "/api/stream") as events:
        snapshot = events.next()
        assert snapshot.name == "snapshot"
        assert [run["run_id"] for run in snapshot.data["runs"]] == [first]

        second = engine.start()
        event = events.next()
        assert (event.name, event.data["run_id"], states(event)) == ("status", second, {"a": "queued"})
        engine.complete(engine.claim())
        seen: dict[str, str] = {}
        while seen.get("a") != "success":
            event = events.next()
            assert event.data["run_id"] == first
            seen |= states(event)
        assert event.data["state"] == "success"


def test_run_that_came_and_went_between_two_looks_is_told(engine, http):
    engine.put(jobs=only("a"))
    with feed(http, "/api/stream") as events:
        assert events.next().data == {"runs": []}
        with engine.connection.transaction():
            run = engine.start()
            engine.complete(engine.claim())
        assert events.next().data == {"run_id": run, "workflow_id": "wf", "state": "success", "jobs": None}


def test_run_that_no_look_would_find_is_told_to_its_end(engine, http, monkeypatch):
    """It is active, then neither active nor among the newest: its jobs' last states come all the same."""
    monkeypatch.setattr(RunStates, "NEWEST", 1)
    engine.put(jobs=only("a"))
    first = engine.start()
    with feed(http, "/api/stream") as events:
        events.next()
        with engine.connection.transaction():
            engine.complete(engine.claim())
            engine.start()
        told = {event.data["run_id"]: event for event in (events.next(), events.next())}
        assert (told[first].data["state"], states(told[first])) == ("success", {"a": "success"})


def test_who_reads_slowly_gets_the_last_state(engine, http):
    """Nothing is kept for them: what they missed is told at once, in one piece."""
    engine.put(jobs=chain(30))
    run = engine.start()
    with feed(http, f"/api/runs/{run}/stream") as events, feed(http, "/api/stream") as everything:
        assert len(events.next().data["jobs"]) == 30
        everything.next()
        for _ in range(30):
            engine.complete(engine.claim())
        known: dict[str, str] = {}
        for event in events:
            known |= states(event) if event.name == "status" else {}
        assert set(known.values()) == {"success"}


def test_who_fell_behind_what_is_remembered_is_told_so(engine, database, monkeypatch):
    monkeypatch.setattr(RunStates, "NEWEST", 1)
    monkeypatch.setattr(RunStates, "KEEP_SECS", 0.0)
    engine.put(jobs=only("a"))
    engine.start()

    async def body() -> None:
        async with (
            Database(database) as calls,
            Listener(database, asyncio.Event()) as listener,
            Streams(calls, listener) as streams,
        ):
            slow, quick = (streams.everything(partial(calls.call, "wfg_health")) for _ in range(2))
            assert (await anext(slow)).startswith(b"event: snapshot")
            await anext(quick)
            engine.complete(engine.claim())
            engine.start()
            while streams._runs.forgotten_at < 0:
                await anext(quick)
                engine.start()
            assert (await anext(slow)).startswith(b"event: error")
            with pytest.raises(StopAsyncIteration):
                await anext(slow)

    asyncio.run(asyncio.wait_for(body(), 30))


# --- all streams ---


def test_stream_without_news_is_kept_alive(engine, http, claimed, monkeypatch):
    monkeypatch.setattr(Streams, "KEEP_ALIVE_SECS", 0.05)
    run = claimed["job"]["run_id"]
    for path in (log_path(claimed), f"/api/runs/{run}/stream", "/api/stream"):
        with feed(http, path) as events:
            until(lambda events=events: next(events.lines).startswith(":"))


def test_server_that_stops_ends_streams_promptly(engine, database, claimed):
    lines: dict[str, list[str]] = {}

    def watch(url: str) -> None:
        with httpx.stream("GET", url, timeout=60) as response:
            lines[url] = list(response.iter_lines())

    with serving(database) as http:
        urls = [f"{http.base_url}{path}" for path in (log_path(claimed), "/api/stream")]
        threads = [threading.Thread(target=watch, args=[url]) for url in urls]
        for thread in threads:
            thread.start()
        until(lambda: len(connections(engine)) >= 2)
        began_at = time.monotonic()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began_at < 5
    assert all("event: end" not in got for got in lines.values())
    assert len(lines) == 2


def test_streams_go_on_when_every_connection_was_killed(engine, http, claimed):
    run = claimed["job"]["run_id"]
    with feed(http, log_path(claimed)) as log, feed(http, f"/api/runs/{run}/stream") as status:
        status.next()
        append(engine, claimed, 0)
        assert sequences([log.next()]) == [0]
        for pid in connections(engine):
            engine.query("select pg_terminate_backend(%s)", pid)
        append(engine, claimed, 1)
        engine.complete(claimed)
        assert [event.name for event in log.rest()] == ["log", "end"]
        assert [event.name for event in status.rest()] == ["status", "end"]


@pytest.mark.parametrize("watchers", [100, pytest.param(1000, marks=pytest.mark.nightly)])
def test_watchers_share_one_connection(engine, database, watchers):
    pool = 3
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    engine.put(jobs=only("a"))
    runs = [engine.start() for _ in range(10)]
    ends = 0

    async def watch(address: tuple[str, int], path: str, ready: asyncio.Semaphore) -> None:
        nonlocal ends
        reader, writer = await asyncio.open_connection(*address)
        writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        await reader.readuntil(b"event: status")
        ready.release()
        await reader.readuntil(b"event: end")
        ends += 1
        writer.close()

    async def body(address: tuple[str, int]) -> None:
        ready = asyncio.Semaphore(0)
        paths = [f"/api/runs/{runs[n % len(runs)]}/stream" for n in range(watchers)]
        tasks = [asyncio.create_task(watch(address, path, ready)) for path in paths]
        for _ in range(watchers):
            await ready.acquire()
        used = (
            "select pid from pg_stat_activity where application_name = 'wfg' and datname = current_database()"
        )
        assert len(engine.query(used)) <= 1 + pool
        for _ in runs:
            engine.complete(engine.claim())
        await asyncio.gather(*tasks)

    with serving(database, db_connections=pool) as http:
        asyncio.run(asyncio.wait_for(body((http.base_url.host, http.base_url.port)), 60))
    assert ends == watchers


# --- wfg_watch_runs ---


def watch_runs(engine, **params) -> list[dict[str, Any]]:
    return engine.call("wfg_watch_runs", **{f"p_{name}": value for name, value in params.items()})


def test_watched_runs_are_those_that_are_there(engine):
    engine.put(jobs=only("a"))
    first, second = engine.start(), engine.start()
    door = run_workflow(engine)
    assert [run["run_id"] for run in watch_runs(engine, run_ids=[first, NO_RUN, "nobody", first])] == [first]
    assert {run["run_id"] for run in watch_runs(engine, run_ids=["wf", second])} == {door, second}
    assert watch_runs(engine) == []
    (run,) = watch_runs(engine, run_ids=[first], with_jobs=False)
    assert run["jobs"] is None


def test_states_are_those_of_the_run(engine):
    engine.put(jobs={**only("a", "b", retries=1), **only("c", needs=["a"])})
    run = engine.start()
    engine.fail(engine.claim(), retryable=True)
    engine.complete(engine.claim("w2"))
    engine.claim("w3")
    whole = engine.call("wfg_get_run", p_run_id=run)
    (told,) = watch_runs(engine, run_ids=[run])
    assert told["state"] == whole["state"]
    fields = list(told["jobs"][0])
    assert told["jobs"] == [{field: job[field] for field in fields} for job in whole["jobs"]]

    cancel(engine, run)
    whole = engine.call("wfg_get_run", p_run_id=run)
    assert watch_runs(engine, run_ids=[run])[0]["jobs"] == [
        {field: job[field] for field in fields} for job in whole["jobs"]
    ]


def test_newest_runs_are_told_beside_the_newest_active(engine):
    engine.put(jobs=only("a"))
    oldest, old, *ended = [engine.start() for _ in range(5)]
    for run in ended:
        cancel(engine, run)
    told = {run["run_id"]: run["jobs"] for run in watch_runs(engine, newest=2)}
    assert set(told) == {oldest, old, *ended[1:]}
    assert all((told[run] is None) == (run in ended) for run in told)
    assert watch_runs(engine, run_ids=[ended[2]], newest=1)[0]["jobs"] is not None


def test_wide_run_is_told_without_its_jobs_unless_asked_for(engine):
    engine.put(jobs=only(*(f"j{n}" for n in range(1001))))
    run = engine.start()
    assert watch_runs(engine, newest=1)[0]["jobs"] is None
    assert len(watch_runs(engine, run_ids=[run])[0]["jobs"]) == 1001


def test_bad_question_is_refused(engine):
    for wrong in (
        *({"p_run_ids": ids} for ids in ({}, None, [1], ["x"] * 1001)),
        *({"p_newest": number} for number in (-1, 1001, None)),
        {"p_with_jobs": None},
    ):
        engine.fails("wfg_watch_runs", status=422, slug="invalid_request", **wrong)
