"""`wfg dev`: Postgres, the server and workers in one process, and what stays however it ends."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from click.testing import CliRunner
from wfg import embedded
from wfg.dev_command import dev as command
from wfg.dev_command import own_postgres

from tests.servers import Process
from tests.workers import until_sync


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's: every pytest of root's that starts shuts that for the user of Postgres."""
    with TemporaryDirectory(prefix="wfg-dev-") as path:
        yield Path(path)


def dev(folder: Path, *options: str, **env: str) -> Process:
    return Process(folder, "dev", "--port", "0", *options, **env)


def put(folder: Path, name: str, script: str) -> None:
    (folder / "workflows").mkdir(exist_ok=True)
    (folder / "workflows" / f"{name}.yml").write_text(f"jobs:\n  a:\n    run: |\n      {script}\n")


def start(process: Process, workflow: str) -> str:
    with process.client() as client:
        return client.post(f"/api/workflows/{workflow}/runs", json={}).json()["run_id"]


def job(process: Process, run: str) -> str:
    """The state of job a."""
    with process.client() as client:
        return client.get(f"/api/runs/{run}").json()["jobs"][0]["state"]


def postmaster(folder: Path) -> int:
    return int((folder / ".wfg" / "postgres" / "postmaster.pid").read_text().split()[0])


@pytest.mark.nightly
def test_it_keeps_its_data_however_it_ends(folder: Path):
    """A restart, a second one meanwhile, a kill, and all at once a kill of Postgres too."""
    put(folder, "quick", "true")
    put(folder, "slow", f"touch {folder}/began; while [ ! -e {folder}/go ]; do sleep 0.05; done")
    (folder / "second").mkdir()

    with dev(folder) as first:
        run = start(first, "quick")
        until_sync(lambda: job(first, run) == "success")
        with dev(folder / "second", "--data", str(folder / ".wfg")) as second:
            assert second.wait() == 1
            assert f"Another `wfg dev` uses {folder}/.wfg: process {first.process.pid}." in second.stderr()

        drained = start(first, "slow")
        until_sync(lambda: (folder / "began").exists())
        first.send(signal.SIGINT)
        first.says("draining: 1 running")
        assert job(first, drained) == "running"  # the server ends after the workers
        (folder / "go").touch()
        assert first.wait() == 0
    assert not (folder / ".wfg" / "postgres" / "postmaster.pid").exists()
    assert (folder / ".wfg" / ".gitignore").read_text() == "*\n"

    with dev(folder) as killed:
        assert (job(killed, run), job(killed, drained)) == ("success", "success")
        later = start(killed, "quick")
        until_sync(lambda: job(killed, later) == "success")
        killed.process.kill()
        killed.wait()
    with dev(folder) as crashed:  # at once: it waits for the Postgres that was left over
        assert job(crashed, later) == "success"
        os.kill(postmaster(folder), signal.SIGKILL)
        assert crashed.wait() == 1
        assert "Error: Postgres has ended; " in crashed.stderr()
    with dev(folder) as recovered:
        assert job(recovered, later) == "success"
        recovered.send(signal.SIGTERM)
        assert recovered.wait() == 0


def test_it_says_how_to_go_on(folder: Path, new_database):
    """On a database of one's own, which it upgrades; and a second signal does not wait for jobs."""
    put(folder, "ci", f"touch {folder}/began; sleep 600")
    (folder / "workflows" / "other.yml").write_text("jobs: {a: {run: 'true', labels: [a, gpu]}}\n")
    dsn = new_database()
    with dev(folder, "--labels", "a, b", DATABASE_URL=dsn) as process:
        url = process.url()
        until_sync(lambda: process.stdout().count("\n") == 3)
        assert process.stdout().splitlines()[1] == f"open the page: {url}/"
        assert process.stdout().splitlines()[2] == (
            f"start a run: curl -X POST {url}/api/workflows/ci/runs"
            " -H 'Content-Type: application/json' -d '{}'"
        )
        process.says("labels a, b")
        process.says("jobs that require gpu wait")
        assert not (folder / ".wfg").exists()

        run = start(process, "ci")
        until_sync(lambda: (folder / "began").exists())
        process.send(signal.SIGINT)
        process.says("draining: 1 running")
        process.send(signal.SIGINT)
        assert process.wait() == 128 + signal.SIGINT
        assert "Traceback" not in process.stderr()
    with psycopg.connect(dsn) as connection:
        row = connection.execute("select wfg_get_run(%s) -> 'jobs' -> 0 ->> 'state'", (run,)).fetchone()
    assert row == ("queued",)


def test_a_folder_that_cannot_be_is_a_sentence(folder: Path):
    (folder / "file").touch()
    with pytest.raises(embedded.EmbeddedError, match="file/data: Not a directory"):
        own_postgres(folder / "file" / "data").__enter__()


def test_the_id_of_a_dead_server_that_another_process_has_is_no_obstacle(folder: Path):
    with embedded.running(folder / "pg"):
        left = (folder / "pg" / "postmaster.pid").read_text().splitlines()
    (folder / "pg" / "postmaster.pid").write_text("\n".join([str(os.getpid()), *left[1:], ""]))
    with embedded.running(folder / "pg") as server, psycopg.connect(server.dsn) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("option", [["--workers", "-1"], ["--slots", "0"], ["--port", "nonsense"]])
def test_mistakes_are_explained(option: list[str]):
    done = CliRunner().invoke(command, option)
    assert done.exit_code == 2
    assert f"Invalid value for '{option[0]}'" in done.output
