"""Every command of the README and of docs/ is run here, in its order, in an empty folder."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from wfg import embedded, migrate

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
TRUST = (ROOT / "docs" / "trust.md").read_text()
WORKFLOW_FILE = (ROOT / "docs" / "workflow-file.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with .venv/bin/wfg, as `make setup` leaves one."""
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    return tmp_path


@pytest.fixture
def environment(new_database: Callable[..., str]) -> dict[str, str]:
    path = os.environ["PATH"]
    if shutil.which("psql") is None:
        path = f"{embedded.find_binaries()}:{path}"
    return {**os.environ, "PATH": path, "DATABASE_URL": new_database()}


@pytest.fixture
def sh(folder: Path, environment: dict[str, str]) -> Callable[..., str]:
    def run(script: str, cwd: Path = folder, with_database: bool = True) -> str:
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script],
            cwd=cwd,
            env=environment if with_database else {**environment, "DATABASE_URL": ""},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout

    return run


@pytest.fixture
def background(folder: Path, environment: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def run(command: str, stdout: int | None = None, **env: str) -> subprocess.Popen[bytes]:
        args = ["bash", "-c", f"exec {command}"]
        started.append(subprocess.Popen(args, cwd=folder, env={**environment, **env}, stdout=stdout))
        return started[-1]

    yield run

    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def states(dsn: str) -> list[str]:
    """The states of all runs, newest first."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute("select public.wfg_list_runs()").fetchone()
    assert row is not None
    return [run["state"] for run in row[0]["items"]]


def wait_for_states(dsn: str, wanted: list[str], secs: float = 30) -> None:
    deadline = time.monotonic() + secs
    while states(dsn) != wanted:
        assert time.monotonic() < deadline, f"{states(dsn)}, not {wanted}"
        time.sleep(0.05)


def test_the_commands_of_the_readme_work(sh, background, environment: dict[str, str]) -> None:
    demo, hello, dev, client, upgrade, put, worker, look, lease, once = blocks(README, "sh")
    dsn = environment["DATABASE_URL"]

    assert "success" in sh(demo, cwd=ROOT, with_database=False)
    assert "HELLO, ADA!" in sh(hello, with_database=False)

    process = background(dev, DATABASE_URL="", PORT="0", stdout=subprocess.PIPE)
    listening = next(line for line in process.stdout if line.startswith(b"listening on "))
    environment["SERVER_URL"] = listening.decode().split()[-1]
    said = sh(client, with_database=False)
    assert "HELLO, ADA!" in said
    assert "success" in said
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    del environment["SERVER_URL"]

    sh(upgrade)
    sh(put)

    process = background(worker)
    wait_for_states(dsn, ["success"])
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0

    assert '"state": "success"' in sh(look)
    assert '"job" : "success"' in sh(lease)

    # What is left of that run is none of "me": so the next claim takes the job of the next run.
    assert "COMMIT" in sh(once)
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select rows from imported").fetchall() == [(42,)]
        assert connection.execute("select * from public.wfg_check(true)").fetchall() == []


def test_the_promises_are_the_same_in_the_readme_and_in_trust() -> None:
    promises = re.compile(
        r"^1\. .*\n2\. .*\n3\. .*\n\nExecution is .*\nit is a failure instead\.", re.MULTILINE
    )
    (in_readme,) = promises.findall(README)
    assert promises.findall(TRUST) == [in_readme]


def test_every_page_is_reached_from_the_readme() -> None:
    reached, new = set[Path](), {ROOT / "README.md"}
    while new:
        page = new.pop()
        reached.add(page)
        found = {
            (page.parent / link).resolve()
            for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
        }
        assert all(each.exists() for each in found), page
        new |= {each for each in found if each.suffix == ".md"} - reached
    assert reached >= {page.resolve() for page in (ROOT / "docs").rglob("*.md")}


def test_the_handler_of_the_readme_works(folder: Path, background, environment: dict[str, str]) -> None:
    (module,) = blocks(README, "python")
    (folder / "handlers.py").write_text(module)
    (command,) = re.findall(r"`(wfg worker --module [^`]*)`", README)
    dsn = environment["DATABASE_URL"]
    migrate.upgrade(dsn)
    definition = {
        "inputs": {"to": {"type": "string"}},
        "jobs": {"mail": {"run": "false", "labels": ["mail"]}},
    }
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select public.wfg_put_workflow('mail', %s)", [json.dumps(definition)])
        connection.execute("select public.wfg_start_run('mail', '{\"to\": \"a@b.example\"}')")
        connection.execute("select public.wfg_start_run('mail', '{\"to\": \"nobody\"}')")

    background(f".venv/bin/{command}")
    wait_for_states(dsn, ["failure", "success"])


def test_the_example_of_the_workflow_file_page_is_valid(
    sh, folder: Path, environment: dict[str, str], new_database, template: str
) -> None:
    environment["DATABASE_URL"] = new_database(template)
    (example,) = blocks(WORKFLOW_FILE, "yaml")
    (folder / "nightly.yml").write_text(example)
    sh(".venv/bin/wfg validate nightly.yml")
