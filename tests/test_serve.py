"""`wfg serve` and `wfg reaper`: where they listen, what they do beside requests, how they end."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Thread
from uuid import uuid4

import click
import httpx
import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from wfg.cli import main
from wfg.db import Database
from wfg.errors import Rejected
from wfg.serve_command import SETTINGS, read_settings
from wfg.serving import listen_as, prepare, wants_tokens
from wfg.settings import Settings, SettingsError
from wfg.upkeep import check_installed

from tests.engine import Engine
from tests.servers import Process
from tests.test_workflow_folder import GOOD, replace, workflows
from tests.workers import until_sync

FIELDS = {"code", "message", "details", "hint"}


def expired_lease(engine) -> str:
    """A run of one job, leased an hour ago for 30 s; without retries."""
    engine.put("leased", jobs={"a": {"run": "true"}})
    engine.set_now(engine.now() - timedelta(hours=1))
    run = engine.start("leased")
    assert engine.claim() is not None
    engine.set_now(None)
    return run


def leases(engine) -> int:
    return engine.query("select count(*) as n from wfg.queue where lease_nonce is not null")[0]["n"]


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


# --- modes ---


def test_all_in_one(engine, database: str, tmp_path: Path, taken: int):
    """Port search, files, upkeep and an end in order, of one process."""
    run = expired_lease(engine)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "bad.yml").write_text("jobs:\n  a: {run: x, need: b}\n")
    (tmp_path / "files" / "ci.yml").write_text(GOOD)
    environment = {"DATABASE_URL": database, "WORKFLOWS_DIR": "files", "REAP_INTERVAL_SECS": "0.1"}
    with (
        Process(tmp_path, "serve", PORT=str(taken), **environment) as process,
        process.client() as client,
    ):
        assert client.get("/api/workflows/ci/status").status_code == 200  # loaded before it listens
        assert taken < int(client.base_url.port or 0) <= taken + 100
        assert f"port {taken} is taken" in process.stderr()
        assert "ERROR files/bad.yml:2: jobs.a.need: " in process.stderr()
        until_sync(lambda: engine.state(run) == "failure")

        replace(tmp_path / "files" / "bad.yml", GOOD)
        until_sync(lambda: client.get("/api/workflows/bad/status").status_code == 200)

        engine.query(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and application_name = 'wfg'"
        )
        again = expired_lease(engine)
        until_sync(lambda: engine.state(again) == "failure")

        head = client.get("/health").headers
        assert "date" in head
        assert "server" not in head
        process.send(signal.SIGTERM)
        assert process.wait() == 0
        assert process.stdout().count("\n") == 1
        assert "Traceback" not in process.stderr()


def test_streams_and_long_polls_end_with_the_server(engine, database: str, tmp_path: Path):
    claim = {"worker_id": "w", "labels": [], "wait_secs": 30}
    answers: list[httpx.Response] = []
    with (
        Process(tmp_path, "serve", "--port", "0", "--api-only", DATABASE_URL=database) as process,
        process.client() as client,
        client.stream("GET", "/api/stream") as stream,
    ):
        polling = Thread(target=lambda: answers.append(client.post("/api/jobs/claim", json=claim)))
        polling.start()
        until_sync(lambda: engine.query("select id from wfg.label_sets"))  # its first look
        process.send(signal.SIGTERM)
        for _ in stream.iter_lines():  # to its end, which is in order
            pass
        polling.join()
        assert process.wait() == 0
        assert [(answer.status_code, answer.text) for answer in answers] == [(200, "null")]
        assert "ERROR" not in process.stderr()  # nothing was cut off


def test_api_only_leaves_files_and_leases_alone_and_a_reaper_does_not(engine, database: str, tmp_path: Path):
    run = expired_lease(engine)
    for name in ("workflows", "reaper"):
        (tmp_path / name).mkdir()
    (tmp_path / "workflows" / "ci.yml").write_text(GOOD)
    environment = {"DATABASE_URL": database, "REAP_INTERVAL_SECS": "0.01"}
    with Process(tmp_path, "serve", "--port", "0", API_ONLY="1", **environment) as process:
        with process.client() as client:
            for _ in range(50):
                assert client.get("/ready").status_code == 200
        assert (leases(engine), workflows(engine)) == (1, ["leased"])

        with Process(tmp_path / "reaper", "reaper", **environment) as reaper:
            until_sync(lambda: engine.state(run) == "failure")
            reaper.send(signal.SIGTERM)
            assert reaper.wait() == 0
            assert "leases ended: 0 tried again, 1 failed, 0 cancelled" in reaper.stderr()
        process.send(signal.SIGINT)
        assert process.wait() == 0
    assert workflows(engine) == ["leased"]


# --- the end ---


@contextmanager
def waiting_request(client: httpx.Client, engine: Engine) -> Iterator[list[httpx.Response]]:
    """A request that the database answers after the block; the answers, so far."""
    answers: list[httpx.Response] = []
    thread = Thread(target=lambda: answers.append(client.post("/api/workflows/wf/runs", json={})))
    with engine.connection.transaction():
        engine.query("lock table wfg.runs in access exclusive mode")
        thread.start()
        with psycopg.connect(engine.dsn, autocommit=True) as other:
            blocked = f"select from pg_stat_activity where {engine.pid} = any(pg_blocking_pids(pid))"
            until_sync(lambda: other.execute(blocked).fetchone() is not None)
        yield answers
    thread.join()


def test_a_signal_lets_requests_end_and_takes_no_new_ones(engine, database: str, tmp_path: Path):
    engine.put(jobs={"a": {"run": "true"}})
    with (
        Process(tmp_path, "serve", "--port", "0", DATABASE_URL=database) as process,
        process.client() as client,
    ):
        with waiting_request(client, engine) as answers:
            process.send(signal.SIGTERM)
            until_sync(lambda: refuses(process.url()))
            assert process.process.poll() is None
        assert [answer.status_code for answer in answers] == [201]
        assert process.wait() == 0


def test_a_second_signal_does_not_wait(engine, database: str, tmp_path: Path):
    engine.put(jobs={"a": {"run": "true"}})
    with (
        Process(tmp_path, "serve", "--port", "0", DATABASE_URL=database) as process,
        process.client() as client,
        waiting_request(client, engine) as answers,
    ):
        process.send(signal.SIGTERM)
        until_sync(lambda: refuses(process.url()))
        process.send(signal.SIGTERM)
        assert process.wait() == 128 + signal.SIGTERM
        until_sync(lambda: answers)
        assert [(answer.status_code, answer.json()["message"]) for answer in answers] == [
            (503, "server_stopping")
        ]
        assert "graceful" not in process.stderr()  # what uvicorn says when the time of requests is over
        assert "Traceback" not in process.stderr()


def refuses(url: str) -> bool:
    try:
        httpx.get(f"{url}/health")
    except httpx.ConnectError:
        return True
    except httpx.TransportError:  # the server hung up on what had come just before it closed
        return False
    return False


# --- the database ---


def test_a_database_that_comes_later(new_database, server: str, template: str, tmp_path: Path):
    """As when docker compose starts both: 503, with the four fields, until it is there."""
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "ci.yml").write_text(GOOD)
    later_name = f"wfg_later_{uuid4().hex}"
    later = make_conninfo(new_database(template), dbname=later_name)
    with Process(tmp_path, "serve", "--port", "0", DATABASE_URL=later) as process, process.client() as client:
        assert client.get("/health").status_code == 200
        refused = client.get("/api/workflows")
        assert (refused.status_code, refused.json().keys()) == (503, FIELDS)
        assert client.get("/ready").status_code == 503
        process.says("the database: ")
        assert f'"{later_name}" does not exist; trying again' in process.stderr()

        with psycopg.connect(server, autocommit=True) as admin:
            name = sql.Identifier(str(conninfo_to_dict(template)["dbname"]))
            later_one = sql.Identifier(later_name)
            admin.execute(sql.SQL("create database {} template {}").format(later_one, name))
            try:
                until_sync(lambda: client.get("/api/workflows/ci/status").status_code == 200)
                process.says("the database: it works again")
            finally:
                admin.execute(sql.SQL("drop database {} with (force)").format(later_one))


def test_the_first_trouble_is_told_at_once():
    """So that the server listens, and does not wait for what may take long."""

    async def body() -> None:
        told = asyncio.Event()
        async with Database("host=/nowhere") as away, asyncio.timeout(3):
            preparing = asyncio.create_task(prepare(away, on_trouble=told.set))
            await told.wait()
            preparing.cancel()

    asyncio.run(body())


def test_a_database_without_wfg_is_a_reason_to_end(new_database, tmp_path: Path):
    with Process(tmp_path, "serve", "--port", "0", DATABASE_URL=new_database()) as process:
        assert process.wait() == 1
        assert process.stdout() == ""
        assert process.stderr().startswith("Error: wfg is not installed in this database")
        assert process.stderr().endswith("run `wfg db upgrade`.\n")


def test_an_older_wfg_is_refused_and_a_newer_one_is_not(engine, database: str):
    async def check() -> None:
        async with Database(database) as ours:
            await check_installed(ours)

    def say(revision: str) -> None:
        engine.query(
            "create or replace function wfg.schema_revision() returns text language sql immutable"
            f" as $$ select '{revision}' $$"
        )

    asyncio.run(check())
    say("9999")
    asyncio.run(check())
    say("0000")
    with pytest.raises(Rejected, match="at revision 0000, this package needs") as caught:
        asyncio.run(check())
    assert caught.value.hint == "run `wfg db upgrade`"


# --- where it listens ---


def settings(**given: object) -> Settings:
    return Settings.read({}, database_url="x", **given)


def test_beyond_this_machine_it_wants_a_token(engine, database: str, tmp_path: Path):
    with Process(tmp_path, "serve", "--host", "0.0.0.0", "--port", "0", DATABASE_URL=database) as process:
        assert process.wait() == 1
        assert process.stdout() == ""
        assert "Whoever reaches 0.0.0.0 could do everything." in process.stderr()
        assert "wfg token create" in process.stderr()

    engine.call("wfg_create_token", p_name="t", p_scope="reader", p_sha256="0" * 64)
    with (
        Process(tmp_path, "serve", "--host", "0.0.0.0", "--port", "0", DATABASE_URL=database) as process,
        process.client() as client,
    ):
        assert client.get("/api/workflows").status_code == 401
        engine.query("truncate wfg.tokens")  # as a downgrade to a revision before them does
        assert client.get("/api/workflows").json()["message"] == "token_missing"


@pytest.mark.parametrize(
    ("given", "wants"),
    [
        ({"host": "0.0.0.0"}, True),
        ({"host": "::"}, True),
        ({"host": "0.0.0.0", "api_token": "secret"}, False),
        ({"host": "0.0.0.0", "insecure": "1"}, False),
        ({"host": "127.0.0.1"}, False),
        ({"host": "127.0.0.2"}, False),
        ({"host": "localhost"}, False),
    ],
)
def test_others_are_to_be_kept_out(given: dict[str, str], wants: bool):
    asked = settings(port=0, **given)
    with listen_as(asked) as listening:
        assert wants_tokens(asked, listening) == wants


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_ours_is_a_sentence(host: str):
    with pytest.raises(click.ClickException, match=f"cannot listen on {host}, port 3000: "):
        listen_as(settings(host=host, insecure=True)).close()


def test_the_port_after_the_last_is_any(monkeypatch: pytest.MonkeyPatch):
    with listen_as(settings(port=65535)) as last, listen_as(settings(port=65535)) as other:
        assert {last.getsockname()[1], other.getsockname()[1]} - {65535}


@pytest.mark.parametrize(("text", "port"), [("nonsense", 3000), ("", 3000), ("65536", 3000), (" 80 ", 80)])
def test_what_is_no_port_is_the_default(text: str, port: int):
    assert Settings.read({"DATABASE_URL": "x", "PORT": text}).port == port


def test_a_setting_out_of_range_is_named():
    with pytest.raises(SettingsError, match="REAP_INTERVAL_SECS: "):
        Settings.read({"DATABASE_URL": "x", "REAP_INTERVAL_SECS": "0"})


@pytest.mark.parametrize(("command", "names"), [("serve", SETTINGS), ("reaper", ["reap_interval_secs"])])
def test_help_names_the_variables(command: str, names: list[str]):
    done = CliRunner().invoke(main, [command, "--help"], terminal_width=1000)
    for name in names:
        assert f"[env var: {Settings.model_fields[name].alias}" in done.output


def test_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch):
    for name, value in {"DATABASE_URL": "port=1", "API_ONLY": "1", "REAP_INTERVAL_SECS": "7"}.items():
        monkeypatch.setenv(name, value)
    read = read_settings({"database_url": None, "api_only": False, "reap_interval_secs": None, "host": "h"})
    assert (read.database_url, read.api_only, read.reap_interval_secs, read.host) == ("port=1", False, 7, "h")


def test_a_secret_is_no_option():
    assert "api_token" not in SETTINGS
