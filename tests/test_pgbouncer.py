"""Servers and workers behind PgBouncer in transaction mode: docs/connections.md, run."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from wfg.db import connect

from tests.engine import Engine
from tests.pgbouncer import DOCS, pgbouncer, replaced
from tests.serving import serving
from tests.test_survival import Load
from tests.workers import WorkerProcess, until_sync

LABELS = {"worker_id": "w", "labels": []}


@pytest.fixture
def pooled(database: str) -> Iterator[str]:
    """This test's database by way of PgBouncer, which has two connections to it."""
    with pgbouncer(database) as pooled:
        yield pooled


def in_each_session(pooled: str, query: str) -> list[list[Any]]:
    """What a query answers in each of the sessions that PgBouncer hands out."""
    answers = []
    with ExitStack() as stack:
        for _ in range(2):
            connection = stack.enter_context(psycopg.connect(pooled, prepare_threshold=None))
            answers.append(connection.execute(query).fetchall())  # pyright: ignore
    return answers


def test_a_pooler_is_told_from_postgres(database: str, pooled: str) -> None:
    async def threshold(dsn: str) -> int | None:
        async with await connect(dsn) as connection:
            return connection.prepare_threshold

    assert [asyncio.run(threshold(dsn)) for dsn in (database, pooled)] == [0, None]


def test_server_and_worker_work_and_leave_nothing_in_the_sessions(
    engine: Engine, pooled: str, tmp_path: Path
) -> None:
    """More clients than sessions: each call meets another one. Nothing is prepared there, nobody listens."""
    engine.put("one", jobs={"a": {"run": "true"}})
    engine.put("command", jobs={"b": {"run": "true", "labels": ["sh"]}})
    engine.call("wfg_start_runs", p_workflow_id="one", p_runs=[{}] * 200)
    command = engine.start("command")
    with (
        serving(pooled) as http,
        WorkerProcess(pooled, tmp_path / "log", "--poll", "0.1", "--labels", "sh") as worker,
    ):
        load = Load([str(http.base_url)], clients=6)
        with load.running():
            until_sync(lambda: not engine.query("select 1 from wfg.queue"))
        until_sync(lambda: engine.state(command) == "success")
        assert http.post("/api/jobs/claim", json={**LABELS, "wait_secs": 1}).json() is None

        assert in_each_session(pooled, "select name from pg_prepared_statements") == [[], []]
        assert in_each_session(pooled, "select pg_listening_channels()") == [[], []]
        assert worker.process.poll() is None
    assert load.refused == []


def test_a_call_that_takes_too_long_is_cancelled_through_the_pooler(engine: Engine, pooled: str) -> None:
    active = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    with serving(pooled, call_timeout_secs=0.5) as http:
        with engine.connection.transaction():
            engine.query("lock table wfg.queue in access exclusive mode")
            response = http.post("/api/jobs/claim", json=LABELS)
            assert (response.status_code, response.json()["message"]) == (503, "timeout")
            until_sync(lambda: not engine.query(active))
        assert http.post("/api/jobs/claim", json=LABELS).json() is None


def test_what_waits_polls_unless_there_is_a_way_past_the_pooler(
    engine: Engine, database: str, pooled: str
) -> None:
    engine.put("one", jobs={"a": {"run": "true"}})
    listens = "select 1 from pg_stat_activity where datname = current_database() and query like 'listen%'"
    for past, sessions in ((None, 0), (database, 1)):
        with serving(pooled, listen_url=past) as http, ThreadPoolExecutor() as pool:
            claim = pool.submit(http.post, "/api/jobs/claim", json={**LABELS, "wait_secs": 20})
            until_sync(lambda: engine.query("select 1 from wfg.workers"))
            if past:
                until_sync(lambda: engine.query(listens))
            run = engine.start("one")
            assert claim.result().json()["job"]["run_id"] == run
            assert len(engine.query(listens)) == sessions
        engine.call("wfg_deregister_worker", p_worker_id="w")


def test_the_commands_of_the_docs_work(engine: Engine, database: str, pooled: str, tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    assert [block.splitlines()[-1] for block in blocks] == ["wfg serve", "wfg worker", "wfg serve"]
    addresses = {"postgresql://postgres@127.0.0.1:6432/wfg": f"'{pooled}'"}
    past = {"postgresql://postgres@127.0.0.1:5432/wfg": f"'{database}'"}
    engine.put("command", jobs={"a": {"run": "true"}})
    run = engine.start("command")
    with ExitStack() as stack:
        for n, block in enumerate(blocks):
            text = replaced(block, {**addresses, **(past if "LISTEN" in block else {})})
            stack.enter_context(
                shell(text.replace("wfg serve", "exec wfg serve --port 0"), tmp_path / f"{n}")
            )
        until_sync(lambda: engine.state(run) == "success")
        for n in (0, 2):
            said = tmp_path / f"{n}"
            until_sync(lambda said=said: "listening on http://" in said.read_text())


@contextmanager
def shell(text: str, output: Path) -> Iterator[None]:
    """Commands at work for the block, in an empty folder."""
    (folder := output.with_suffix(".folder")).mkdir()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with output.open("wb") as file:
        process = subprocess.Popen(
            ["sh", "-ec", text],
            stdout=file,
            stderr=file,
            cwd=folder,
            env={**os.environ, "PATH": path},
            start_new_session=True,
        )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
