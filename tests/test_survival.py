"""What the server outlives, without being restarted: its database, its connections, its workers, itself."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from wfg.db import engine_error
from wfg.errors import Unavailable

from tests.arrange import engine_on
from tests.engine import Engine
from tests.own_postgres import FAST, IMMEDIATE, OwnPostgres, own_postgres
from tests.servers import port_of, server_process
from tests.serving import serving
from tests.workers import WorkerProcess, log_of, until_sync

JOBS = 200
WORKER = {"worker_id": "w", "labels": []}
OURS = "application_name = 'wfg' and datname = current_database()"


@pytest.fixture(scope="module")
def postgres(server: str) -> Iterator[OwnPostgres]:
    with own_postgres(server) as postgres:
        yield postgres


@pytest.fixture
def dsn(postgres: OwnPostgres) -> str:
    return postgres.new_database()


@pytest.fixture
def http(dsn: str) -> Iterator[httpx.Client]:
    """A client of a server on the own Postgres."""
    with serving(dsn) as client:
        yield client


def start_runs(dsn: str, count: int) -> None:
    with engine_on(dsn) as engine:
        engine.put("one", jobs={"a": {"run": "true", "lost_retries": 1}})
        engine.call("wfg_start_runs", p_workflow_id="one", p_runs=[{}] * count)


def must_be_unavailable(response: httpx.Response) -> None:
    """503 with the four fields, and when to come again."""
    assert response.status_code == 503, response.text
    assert set(response.json()) == {"code", "message", "details", "hint"}
    assert response.headers["retry-after"] == "1"


@dataclass
class Load:
    """Clients that claim and complete over HTTP for a while; whatever is refused with 503 they try again."""

    urls: list[str]
    clients: int = 4
    leases: list[str] = field(default_factory=list)
    completed: list[tuple[str, str]] = field(default_factory=list)  # run and job, as often as accepted
    refused: list[httpx.Response] = field(default_factory=list)
    idle: Counter[str] = field(default_factory=Counter[str])  # claims that found nothing, by client
    stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        with ThreadPoolExecutor(self.clients) as pool:
            workers = [
                pool.submit(self._work, self.urls[n % len(self.urls)], f"w{n}") for n in range(self.clients)
            ]
            try:
                yield
            finally:
                self.stop.set()
            for worker in workers:
                worker.result()

    def _work(self, url: str, name: str) -> None:
        with httpx.Client(base_url=url, timeout=30) as http:
            while not self.stop.is_set():
                claim = self._post(http, "/api/jobs/claim", {"worker_id": name, "labels": []})
                if claim is None:
                    self.idle[name] += 1
                    time.sleep(0.01)
                    continue
                lease, job = claim["lease"]["lease_id"], claim["job"]
                self.leases.append(lease)
                if self._post(http, f"/api/jobs/{lease}/complete", {}) != "already_reported":
                    self.completed.append((job["run_id"], job["job_id"]))

    def until_idle(self) -> None:
        """Until each client has looked for work once more and found none."""
        before = Counter(self.idle)
        until_sync(lambda: len(self.idle) == self.clients and not self.idle.items() & before.items())

    def _post(self, http: httpx.Client, path: str, body: object) -> Any:
        """The answer, or the slug of a refusal that follows from an answer that was lost."""
        tries = 0
        while True:
            response = http.post(path, json=body)
            if response.status_code == 200:
                return response.json()
            if response.status_code == 409 and tries:
                assert response.json()["message"] == "already_reported", response.text
                return "already_reported"
            must_be_unavailable(response)
            self.refused.append(response)
            tries += 1
            time.sleep(0.02)

    def must_have_done(self, dsn: str, jobs: int) -> None:
        """Every job has ended well, none was handed out or accepted twice."""
        with engine_on(dsn) as engine:
            states = engine.query("select state, count(*)::int as n from wfg.jobs group by state")
        assert states == [{"state": "success", "n": jobs}]
        assert len(self.leases) == len(set(self.leases))
        assert len(self.completed) == len(set(self.completed))


def until_all_ended(dsn: str, load: Load) -> None:
    """A claim whose answer was lost keeps its job: once nothing else is left, its lease is let run out."""
    with engine_on(dsn) as engine:
        until_sync(lambda: not engine.query("select 1 from wfg.queue q where q.lease_nonce is null"))
        load.until_idle()
        engine.advance(60)
        engine.call("wfg_reap")
        until_sync(lambda: not engine.query("select 1 from wfg.queue"))


# --- Postgres goes away ---


@pytest.mark.parametrize("how", [FAST, IMMEDIATE], ids=["fast", "immediate"])
def test_postgres_is_restarted_under_load(
    postgres: OwnPostgres, dsn: str, http: httpx.Client, how: signal.Signals
) -> None:
    """503 meanwhile; what was accepted stays; all goes on by itself."""
    start_runs(dsn, JOBS)
    load = Load([str(http.base_url)])
    with load.running():
        until_sync(lambda: len(load.completed) > 20)
        postgres.stop(how)
        refused = len(load.refused)
        until_sync(lambda: len(load.refused) > refused + load.clients)
        must_be_unavailable(http.get("/ready"))
        assert http.get("/health").status_code == 200

        postgres.start()
        assert http.get("/ready").status_code == 200
        until_all_ended(dsn, load)
    load.must_have_done(dsn, JOBS)


def test_all_backends_are_killed_at_once(dsn: str, http: httpx.Client) -> None:
    """Of each client at most the call that was under way fails; no other."""
    start_runs(dsn, JOBS)
    load = Load([str(http.base_url)])
    with load.running():
        for done in (20, 60, 100):
            until_sync(lambda done=done: len(load.completed) > done)
            kill_backends(dsn)
        until_all_ended(dsn, load)
    load.must_have_done(dsn, JOBS)
    assert len(load.refused) <= 3 * load.clients


def kill_backends(dsn: str) -> int:
    """End the server's connections, and wait until they are gone; how many there were."""
    with engine_on(dsn) as engine:
        killed = engine.query(f"select pg_terminate_backend(pid, 10000) from pg_stat_activity where {OURS}")
    return len(killed)


@pytest.mark.parametrize("kind", [psycopg.OperationalError, psycopg.InterfaceError, psycopg.DatabaseError])
def test_a_failure_without_a_state_is_no_refusal(kind: type[psycopg.Error]) -> None:
    """A worker would report its job as failed. Of a result without a state psycopg makes a DatabaseError."""
    error = engine_error(kind("server closed the connection unexpectedly"))
    assert (error.status, error.message) == (503, "unavailable")
    assert isinstance(error, Unavailable)


def test_connections_that_died_while_idle_cost_no_call(http: httpx.Client, dsn: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert {each.status_code for each in pool.map(lambda _: http.get("/api/workflows"), range(20))} == {
            200
        }
    assert kill_backends(dsn) > 1
    assert [http.get("/api/workflows").status_code for _ in range(5)] == [200] * 5


def test_postgres_restarted_between_two_calls_costs_none(postgres: OwnPostgres, http: httpx.Client) -> None:
    assert http.get("/ready").status_code == 200
    postgres.restart()
    assert http.get("/ready").status_code == 200


def test_others_have_taken_all_connections(http: httpx.Client, dsn: str) -> None:
    with ExitStack() as stack:
        with suppress(psycopg.OperationalError):
            for _ in range(100):
                stack.enter_context(psycopg.connect(dsn))
        response = http.get("/ready")
        must_be_unavailable(response)
        assert "too many clients" in response.json()["details"]
    until_sync(lambda: http.get("/ready").status_code == 200)


# --- a call takes too long ---


def test_a_call_that_takes_too_long_is_ended_on_the_server_too(dsn: str) -> None:
    start_runs(dsn, 1)
    ours = f"select count(*)::int as n from pg_stat_activity where state = 'active' and {OURS}"
    with serving(dsn, call_timeout_secs=0.5, db_connections=2) as http, engine_on(dsn) as engine:
        with engine.connection.transaction(), ThreadPoolExecutor(6) as pool:
            engine.query("lock table wfg.queue in access exclusive mode")
            # More than there are connections: waiting for one counts as well.
            for response in pool.map(lambda n: http.post("/api/jobs/claim", json=WORKER), range(6)):
                must_be_unavailable(response)
                assert response.json()["message"] == "timeout"
            until_sync(lambda: engine.query(ours) == [{"n": 0}])

        claim = http.post("/api/jobs/claim", json=WORKER).json()
    assert claim["job"]["job_id"] == "a", "a claim that was given up has taken the job"


# --- processes ---


@pytest.mark.nightly
def test_two_servers_on_one_database_hand_out_no_job_twice(dsn: str, tmp_path: Path) -> None:
    start_runs(dsn, JOBS)
    with server_process(dsn, tmp_path) as one, serving(dsn) as two:
        load = Load([one.url(), str(two.base_url)])
        with load.running():
            until_all_ended(dsn, load)
    load.must_have_done(dsn, JOBS)
    assert len(load.leases) == JOBS
    assert load.refused == []


def put_gated(engine: Engine, folder: Path) -> str:
    """Start a run whose job says that it has begun, and ends once there is a file `go`."""
    script = f"echo begun; while [ ! -e {folder}/go ]; do sleep 0.05; done; touch {folder}/ended"
    engine.put("gated", jobs={"a": {"run": script, "lost_retries": 1}})
    return engine.start("gated")


def test_a_server_killed_amid_a_job_takes_its_result_when_it_is_back(dsn: str, tmp_path: Path) -> None:
    with engine_on(dsn) as engine, server_process(dsn, tmp_path) as server:
        run = put_gated(engine, tmp_path)
        with WorkerProcess("", tmp_path / "log", "--server", server.url()):
            until_sync(lambda: log_of(engine, run) == "begun\n")
            server.kill()
            (tmp_path / "go").touch()
            until_sync((tmp_path / "ended").exists)
            assert engine.jobs(run) == {"a": "running"}

            with server_process(dsn, tmp_path, port=port_of(server)):
                until_sync(lambda: engine.jobs(run) == {"a": "success"})
        assert engine.query("select attempt from wfg.jobs") == [{"attempt": 0}]


def test_a_worker_killed_amid_a_job_leaves_it_to_another(
    dsn: str, http: httpx.Client, tmp_path: Path
) -> None:
    options = ("--server", str(http.base_url), "--ttl", "1")
    with engine_on(dsn) as engine:
        run = put_gated(engine, tmp_path)
        with WorkerProcess("", tmp_path / "1", *options) as one:
            until_sync(lambda: log_of(engine, run) == "begun\n")
            one.process.kill()
        (tmp_path / "go").touch()
        with WorkerProcess("", tmp_path / "2", *options):
            until_sync(lambda: engine.call("wfg_reap") and engine.jobs(run) == {"a": "success"})
