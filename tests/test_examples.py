"""workflows/examples and docs/examples: the commands of the pages are run, and print what the pages show."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from wfg import embedded
from wfg.db import Database
from wfg.worker import PermanentError, Worker
from wfg.workflow_file import read_workflow_file
from wfg.workflow_folder import WorkflowFolder

from tests.engine import Engine
from tests.quick_wfg import quick_wfg
from tests.servers import OURS
from tests.workers import (
    TIMEOUT,
    WorkerProcess,
    attempts_of,
    job_of,
    log_of,
    run_to_end,
    until,
    until_sync,
    working,
)

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs" / "examples"
EXAMPLES = ROOT / "workflows" / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.yml"))


# --- the pages ---


def blocks(page: str, *languages: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page in these languages, as (language, text)."""
    fence = rf"^```({'|'.join(languages)})\n(.*?)^```$"
    return re.findall(fence, (PAGES / f"{page}.md").read_text(), re.MULTILINE | re.DOTALL)


def lasts(script: str) -> bool:
    """Whether it goes on until a signal."""
    return re.search(r"\bwfg (dev|worker)\b", script) is not None


# What differs from run to run. A job may start and end between two looks, or start again.
VARIES = (
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}\b", "RUN"),
    (r"\b[0-9a-f]{40}\b", "COMMIT"),
    (r" (after|in) \d+\.\d+s", ""),
    (r'([="])/\S*/', r"\1FOLDER/"),
    (r"\bline \d+", "line N"),
)
PASSING = re.compile(r"[\w-]+: (started|to be tried again).*")


def essence(output: str) -> Counter[str]:
    """Its lines, without what varies; in no order, for jobs run side by side."""
    for pattern, name in VARIES:
        output = re.sub(pattern, name, output)
    return Counter(line for line in output.splitlines() if line and not PASSING.fullmatch(line))


@dataclass
class Terminals:
    """Terminals in one folder: what runs there, and what for."""

    folder: Path
    env: dict[str, str]
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, script: str) -> Path:
        """Leave it running; the file of what it prints."""
        output = self.folder / f"terminal-{len(self.running)}"
        with output.open("wb") as file:
            command = ["bash", "-ec", script]
            self.running.append(
                subprocess.Popen(
                    command,
                    cwd=self.folder,
                    env=self.env,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                )
            )
        return output

    def run(self, script: str) -> str:
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=4 * TIMEOUT,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout

    def close(self) -> None:
        for process in self.running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def terminals(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[..., str]
) -> Iterator[Terminals]:
    """Where the server of the examples' README is running, with its worker."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(ROOT / "workflows", folder / "workflows", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "bin").mkdir()
    path = os.environ["PATH"]
    if shutil.which("psql") is None:
        path = f"{embedded.find_binaries()}:{path}"
    with quick_wfg(folder / "bin"):
        terminals = Terminals(
            folder,
            {
                **{name: os.environ[name] for name in os.environ if name not in OURS},
                "PATH": f"{folder / 'bin'}:{path}",
                "DATABASE_URL": new_database(),
                "PORT": "0",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
        )
        try:
            ((_, script),) = blocks("README", "sh")
            said = terminals.start(script)
            until_sync(lambda: "listening on" in said.read_text() or terminals.running[0].poll() is not None)
            listening = re.search(r"listening on (http://\S+)", said.read_text())
            assert listening is not None, said.read_text()
            terminals.env["SERVER_URL"] = listening[1]
            yield terminals
        finally:
            terminals.close()


@pytest.mark.parametrize(
    "page", [pytest.param(name, marks=pytest.mark.nightly) if name == "agent" else name for name in NAMES]
)
def test_a_page_prints_what_it_shows(page: str, terminals: Terminals):
    printed, compared = "", 0
    for language, text in blocks(page, "sh", "text"):
        if language == "text":
            assert essence(printed) == essence(text), printed
            compared += 1
        elif lasts(text):
            terminals.start(text)
        else:
            printed = terminals.run(text)
    assert compared >= 1


def test_every_example_has_its_page_and_its_place_in_the_list():
    assert sorted(path.stem for path in PAGES.glob("*.md")) == sorted(["README", *NAMES])
    assert sorted(re.findall(r"\]\(([\w-]+)\.md\)", (PAGES / "README.md").read_text())) == NAMES


def test_a_server_of_the_folder_above_loads_none_of_them(engine: Engine, database: str):
    async def load(folder: Path) -> list[str]:
        async with Database(database) as opened:
            await WorkflowFolder(folder, opened).load()
        return [each["id"] for each in engine.call("wfg_list_workflows")]

    assert asyncio.run(load(ROOT / "workflows")) == ["ci"]
    assert sorted(asyncio.run(load(EXAMPLES))) == sorted(["ci", *NAMES])


# --- the workflows, beyond what the pages show ---


def module_of(name: str) -> ModuleType:
    """A module of the examples, anew: a worker runs once."""
    spec = spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def put(engine: Engine, name: str) -> dict[str, Any]:
    """The example's definition, stored."""
    definition = json.loads(read_workflow_file(EXAMPLES / f"{name}.yml").definition)
    engine.call("wfg_put_workflow", p_workflow_id=name, p_definition=definition)
    return definition


@pytest.fixture
def warehouse(engine: Engine, tmp_path: Path) -> Engine:
    """An engine with the tables of the nightly workflow, and two orders in a file of a day."""
    engine.query((EXAMPLES / "nightly_etl.sql").read_text())
    put(engine, "nightly-etl")
    day_file(tmp_path, "2027-01-31", "1,2027-01-31,tea,4.50", "2,2027-01-31,cup,12.00")
    return engine


def day_file(folder: Path, day: str, *lines: str, header: str = "order_id,day,product,amount") -> None:
    (folder / f"{day}.csv").write_text("\n".join([header, *lines, ""]))


def start_day(engine: Engine, folder: Path, day: str) -> str:
    inputs = {"day": day, "folder": str(folder)}
    return engine.call("wfg_start_run", p_workflow_id="nightly-etl", p_inputs=inputs)["run_id"]


def loaded(engine: Engine) -> tuple[list[Any], list[Any], int]:
    """Orders, totals, and how many rows are staged."""
    orders = engine.query("select order_id from orders order by order_id")
    totals = engine.query("select product, orders, amount::text as amount from totals order by product")
    (staged,) = engine.query("select count(*) as rows from staged_orders")
    return [row["order_id"] for row in orders], [tuple(row.values()) for row in totals], staged["rows"]


@contextmanager
def transaction(engine: Engine, statement: str, *params: str) -> Iterator[None]:
    """What it locks is locked for the block."""
    with engine.connection.transaction():
        engine.query(statement, *params)
        yield


def waits_in(engine: Engine, text: str) -> bool:
    """Whether a statement of somebody in this database waits for a lock."""
    return bool(
        engine.query(
            "select 1 from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock' and query like %s",
            f"%{text}%",
        )
    )


def test_a_day_is_loaded_once_though_a_worker_is_killed_between_its_rows_and_its_end(
    warehouse: Engine, connect: Callable[[], Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first, second, dsn = connect(), connect(), warehouse.dsn
    run_id = start_day(warehouse, tmp_path, "2027-01-31")
    module = ("--module", "nightly_etl:worker", "--ttl", "600")
    with WorkerProcess(dsn, tmp_path / "log", *module, env={"PYTHONPATH": str(EXAMPLES)}) as victim:
        lock_job = "select from wfg.jobs where run_id = %s and job_no = 3 for update"
        with transaction(first, "lock table totals in share mode"):
            until_sync(lambda: waits_in(warehouse, "insert into totals"))
            second.connection.execute("begin")
            second.query(lock_job, run_id)
        until_sync(lambda: waits_in(warehouse, "wfg_complete_job"))  # its rows are written
        victim.process.kill()
        victim.process.wait()
        second.connection.execute("rollback")

    until_sync(lambda: not warehouse.query("select 1 from pg_locks where relation = 'totals'::regclass"))
    assert loaded(warehouse) == ([], [], 2)
    assert warehouse.jobs(run_id)["load"] == "running"

    # The next worker, an hour later by its clock.
    later = warehouse.now() + timedelta(hours=1)
    dsn = f"{dsn} options='-c wfg.fake_now={later.isoformat().replace(' ', '')}'"
    monkeypatch.setenv("DATABASE_URL", dsn)
    warehouse.set_now(later - timedelta(minutes=20))
    assert warehouse.call("wfg_reap")["retried"] == 1
    heir = connect()
    heir.dsn = dsn
    run_to_end(heir, run_id, module_of("nightly_etl").worker)
    assert warehouse.state(run_id) == "success"
    assert loaded(warehouse) == ([1, 2], [("cup", 1, "12.00"), ("tea", 1, "4.50")], 0)
    assert log_of(warehouse, run_id, "tell") == "2027-01-31: 2 orders, 16.50 in all\n"


def test_a_day_that_cannot_be_right_fails_at_once_and_a_late_one_waits(
    warehouse: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    warehouse.query("insert into orders values (7, '2027-02-06', 'tea', 1)")
    day_file(tmp_path, "2027-02-01", "1,2027-02-01,tea,-4.50")
    day_file(tmp_path, "2027-02-02", "1,2027-02-02,tea,1", "1,2027-02-02,tea,1")
    day_file(tmp_path, "2027-02-03", "1,2027-02-04,tea,1")
    day_file(tmp_path, "2027-02-04", "1,2027-02-04,tea,many")
    day_file(tmp_path, "2027-02-05", "1,2027-02-05,tea", header="order_id,day,product")
    day_file(tmp_path, "2027-02-06", "7,2027-02-06,tea,1")
    day_file(tmp_path, "2027-02-07")
    expected = {
        "2027-02-01": ("check", "'not_positive': 1"),
        "2027-02-02": ("check", "'doubles': 1"),
        "2027-02-03": ("check", "'of_other_days': 1"),
        "2027-02-04": ("extract", "2027-02-04.csv: invalid input syntax for type numeric"),
        "2027-02-05": ("extract", "2027-02-05.csv: 'amount'"),
        "2027-02-06": ("check", "'loaded_before': 1"),
        "2027-02-07": ("check", "0 rows, but there must be some"),
        "../passwords": ("extract", "the inputs do not fit"),
    }
    monkeypatch.setenv("DATABASE_URL", warehouse.dsn)
    late = start_day(warehouse, tmp_path, "2027-02-28")
    runs = {day: start_day(warehouse, tmp_path, day) for day in expected}

    def wrong(run_id: str) -> tuple[str, str] | None:
        """The job that failed, and its error, when the run has ended."""
        jobs = warehouse.call("wfg_get_run", p_run_id=run_id)["jobs"]
        return next(((job["job_id"], job["error"]) for job in jobs if job["state"] == "failure"), None)

    async def run_until_all_are_wrong(worker: Worker) -> None:
        async with working(warehouse.dsn, worker):
            await until(lambda: all(wrong(run_id) for run_id in runs.values()))
            await until(lambda: attempts_of(warehouse, late, "extract"))

    asyncio.run(run_until_all_are_wrong(module_of("nightly_etl").worker))
    for day, run_id in runs.items():
        job, error = wrong(run_id) or ("", "")
        assert (job, expected[day][1] in error) == (expected[day][0], True), error
        assert job_of(warehouse, run_id, job)["attempt"] == 0
    assert "FileNotFoundError" in attempts_of(warehouse, late, "extract")[0]["error"]
    assert job_of(warehouse, late, "extract")["state"] == "queued"
    assert loaded(warehouse)[:2] == ([7], [])


def test_a_shard_goes_on_where_its_earlier_attempt_stopped(tmp_path: Path):
    jobs = json.loads(read_workflow_file(EXAMPLES / "fan-out.yml").definition)["jobs"]
    env = {
        **os.environ,
        "INPUT_FOLDER": str(tmp_path),
        "INPUT_RESULTS": str(tmp_path / "results"),
        "WFG_RUN_ID": "run",
        "SHARDS": "2",
        "SHARD": "1",
    }

    def attempt(job: str) -> subprocess.CompletedProcess[str]:
        script = ["sh", "-ec", jobs[job]["run"]]
        return subprocess.run(script, env=env, capture_output=True, text=True)

    for name in ("a", "b", "d"):
        (tmp_path / f"{name}.log").write_text("- - - - - - - - 200\n")
    (tmp_path / "c.log").symlink_to("nowhere")
    assert attempt("list").stdout == "4 files\n::set-output files=4\n"
    assert attempt("shard-0").returncode != 0
    assert len(list((tmp_path / "results" / "run").glob("*.count"))) == 1
    env["OUTPUT_LIST_FILES"] = "4"
    assert attempt("report").stderr == "1 results of 4 files\n"

    (tmp_path / "nowhere").write_text("")
    assert attempt("shard-0").stdout == "1 files counted\n"
    env["SHARD"] = "0"
    assert attempt("shard-1").stdout == "2 files counted\n"
    assert attempt("report").stdout == "200 3\n::set-output requests=3\n"


class Provider(BaseHTTPRequestHandler):
    """Answers the requests for chat completions that have the key; a model's name is the status it gives."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        known = self.headers["authorization"] == "Bearer secret"
        status = int(request["model"]) if known else 401
        text = f"{request['messages'][0]['content']}, {request['max_tokens']}\nat most"
        answer = {"choices": [{"message": {"content": text}}], "usage": {"total_tokens": 12}}
        body = json.dumps(answer if status == 200 else {"error": "no"}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_a_real_provider_is_asked_by_curl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _, script = blocks("agent", "sh")[-1]
    agent = module_of("agent")

    def ask(model: str, key: str = "secret") -> tuple[str, int]:
        env = {**os.environ, "MODEL_URL": url, "MODEL_KEY": key}
        subprocess.run(["bash", "-ec", script], cwd=tmp_path, env=env, check=True)
        monkeypatch.setenv("MODEL", model)
        return asyncio.run(agent.call_model("hello $HOME", 7))

    monkeypatch.setenv("MODEL_CMD", f"curl -K {tmp_path}/model.curl")
    with HTTPServer(("127.0.0.1", 0), Provider) as provider:
        url = f"http://127.0.0.1:{provider.server_port}/v1/chat/completions"
        thread = threading.Thread(target=provider.serve_forever, args=(0.01,))
        thread.start()
        try:
            assert ask("200") == ("hello $HOME, 7\nat most", 12)
            assert (tmp_path / "model.curl").stat().st_mode & 0o077 == 0
            with pytest.raises(agent.Busy, match="429"):
                ask("429")
            with pytest.raises(PermanentError, match="401"):
                ask("200", key="another")
        finally:
            provider.shutdown()
            thread.join()
    with pytest.raises(agent.Busy, match="onnect"):
        ask("200")


def test_a_deploy_wants_all_its_inputs_and_a_version_that_is_one(engine: Engine, tmp_path: Path):
    put(engine, "deploy")
    detail = engine.fails(
        "wfg_start_run",
        status=422,
        slug="invalid_request",
        p_workflow_id="deploy",
        p_inputs={"version": "v1"},
    ).message_detail
    assert "environment" in (detail or "")
    run_id = engine.start("deploy", inputs={"version": "../../etc", "environment": "production"})
    env = {**os.environ, "DEPLOY_ROOT": str(tmp_path), "REPOSITORY": str(tmp_path)}
    run_to_end(engine, run_id, Worker(labels=["deploy"], env=env))
    assert job_of(engine, run_id, "build")["error"] == "exit code 126: no version: ../../etc"
    assert job_of(engine, run_id, "build")["attempt"] == 0
    assert engine.jobs(run_id)["roll-back"] == "skipped"
    assert list(tmp_path.iterdir()) == []
