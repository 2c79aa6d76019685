"""Keeping tidy from outside: `wfg prune`, POST /api/prune, and the upkeep of servers; docs/tidy.md."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from wfg import embedded
from wfg.cli import main
from wfg.db import Database
from wfg.settings import Settings
from wfg.upkeep import PRUNE_INTERVAL_SECS, Retention, prune_for_ever

from tests.arrange import drain, only
from tests.engine import Engine
from tests.serving import serving

PAGE = (Path(__file__).parents[1] / "docs" / "tidy.md").read_text()
DAY = timedelta(days=1)


def history(engine: Engine, *ages: timedelta, workflow_id: str = "wf") -> list[str]:
    """Runs that ended so long ago, each with two pieces of log; their ids."""
    engine.put(workflow_id, jobs=only("a"))
    ids = []
    for age in ages:
        engine.set_now(datetime.now(UTC) - age)
        ids.append(engine.start(workflow_id))
        drain(engine)
    engine.set_now(None)
    engine.query(
        "insert into wfg.log_chunks select r, 1, 0, n, 0, 'stdout', 'x'"
        " from unnest(%s::uuid[]) r, generate_series(0, 1) n",
        ids,
    )
    return ids


def left(engine: Engine) -> set[str]:
    return {run["run_id"] for run in engine.call("wfg_list_runs")["items"]}


def wfg(*arguments: str, **env: str | None) -> Result:
    clean = {"DATABASE_URL": None, "SERVER_URL": None, "FORCE_COLOR": None, "NO_COLOR": None}
    result = CliRunner().invoke(main, arguments, env={**clean, **env})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


# --- the command ---


def test_it_says_what_would_go_and_then_lets_it_go(engine, database: str):
    old, young, now = history(engine, 40 * DAY, 8 * DAY, timedelta())
    arguments = ("prune", "--older-than", "30d", "--logs-older-than", "7d")
    assert wfg(*arguments, "--dry-run", DATABASE_URL=database).stdout.startswith(
        "would delete: 1 runs, 4 pieces of logs"
    )
    assert left(engine) == {old, young, now}
    assert wfg(*arguments, DATABASE_URL=database).stdout.startswith("deleted: 1 runs, 4 pieces of logs")
    assert left(engine) == {young, now}
    assert wfg(*arguments, DATABASE_URL=database).stdout == "deleted: nothing\n"


def test_logs_alone_may_go(engine, database: str):
    """As PRUNE_LOGS_AFTER_SECS by itself has it: who names logs does not lose runs."""
    runs = history(engine, 40 * DAY, 8 * DAY)
    done = wfg("prune", "--logs-older-than", "7d", DATABASE_URL=database)
    assert done.stdout.startswith("deleted: 4 pieces of logs")
    assert left(engine) == set(runs)
    assert wfg("prune", DATABASE_URL=database).stdout.startswith("deleted: 1 runs")
    assert left(engine) == {runs[1]}


def test_it_goes_on_until_all_is_gone(engine, database: str):
    """Over a server, too. One call takes 1,000."""
    engine.put(jobs=only("a"))
    for _ in range(2):
        engine.call("wfg_start_runs", p_workflow_id="wf", p_runs=[{}] * 550)
    drain(engine)
    with serving(database) as http:
        done = wfg("prune", "--older-than", "0d", "--keep", "10", "--json", SERVER_URL=str(http.base_url))
    answer = json.loads(done.stdout)
    assert (answer["runs"], answer["more"]) == (1090, False)
    assert len(left(engine)) == 10


@pytest.mark.parametrize("arguments", [["--older-than", "30"], ["--keep", "-1"], ["--logs-older-than", "x"]])
def test_what_makes_no_sense_is_refused(arguments: list[str]):
    assert wfg("prune", *arguments, DATABASE_URL="x").exit_code == 2


def test_who_reads_pruned_logs_is_told(engine, database: str):
    (run_id,) = history(engine, 8 * DAY)
    with serving(database) as http:
        url = str(http.base_url)
        assert "pruned" not in wfg("logs", run_id, SERVER_URL=url).stderr
        wfg("prune", "--logs-older-than", "7d", SERVER_URL=url)
        assert "Logs of this run were pruned at " in wfg("logs", run_id, SERVER_URL=url).stderr
        assert "logs pruned: " in wfg("show", run_id, SERVER_URL=url).stdout


# --- the route ---


def test_the_route_takes_what_the_function_takes(engine, database: str):
    runs = history(engine, *(age * DAY for age in (50, 49, 48, 8)))
    with serving(database) as http:
        body = {"older_than_secs": 86400 * 30, "keep_per_workflow": 2, "logs_older_than_secs": 86400}
        dry = http.post("/api/prune", json={**body, "dry_run": True}).json()
        assert (dry["runs"], dry["log_chunks"], dry["more"]) == (2, 8, False)
        one = http.post("/api/prune", json={**body, "limit": 1}).json()
        assert (one["runs"], one["more"]) == (1, True)
        assert left(engine) == set(runs[1:])
        assert http.post("/api/prune").json()["runs"] == 2
        assert left(engine) == set(runs[3:])
        refusal = http.post("/api/prune", json={"keep_per_workflow": -1})
        assert (refusal.status_code, "p_keep_per_workflow" in refusal.json()["details"]) == (422, True)


# --- servers ---


def settings(database: str, **given: str) -> Settings:
    return Settings.read({"DATABASE_URL": database, **given})


def prune_until(database: str, settings: Settings, done: Callable[[], bool]) -> None:
    """Let the chore of a server work until something holds."""

    async def work() -> None:
        async with Database(database) as chores:
            task = asyncio.create_task(prune_for_ever(chores, Retention.of(settings)))
            async with asyncio.timeout(PRUNE_INTERVAL_SECS / 2):
                while not done():
                    await asyncio.sleep(0.01)
            task.cancel()

    asyncio.run(work())


def test_a_server_prunes_by_its_settings_without_a_pause_while_there_is_more(engine, database: str):
    engine.put(jobs=only("a"))
    engine.call("wfg_start_runs", p_workflow_id="wf", p_runs=[{}] * 1100)
    drain(engine)
    chosen = settings(database, PRUNE_AFTER_SECS="0", PRUNE_KEEP_PER_WORKFLOW="5")
    prune_until(database, chosen, lambda: len(left(engine)) == 5)


def test_a_server_may_prune_logs_alone(engine, database: str):
    (run_id,) = history(engine, 3000 * DAY)
    chosen = settings(database, PRUNE_LOGS_AFTER_SECS="60")
    prune_until(database, chosen, lambda: engine.query("select 1 from wfg.log_chunks") == [])
    assert left(engine) == {run_id}


def test_a_server_deletes_nothing_unless_told_to(database: str):
    chosen = settings(database)
    assert (chosen.prune_after_secs, chosen.prune_logs_after_secs) == (None, None)


@pytest.mark.nightly
def test_a_reaper_prunes_when_it_is_told_to(engine, database: str):
    """The process, from its environment."""
    _, young = history(engine, 3 * DAY, timedelta())
    with subprocess.Popen(
        [sys.executable, "-m", "wfg", "reaper"],
        env={**os.environ, "DATABASE_URL": database, "PRUNE_AFTER_SECS": "86400"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert any("pruned: 1 runs, 2 pieces of logs" in line for line in process.stderr)
        process.terminate()
        process.stderr.read()
        assert process.wait(20) == 0
    assert left(engine) == {young}


# --- the page ---


def test_the_commands_of_the_page_work(engine, database: str):
    old, young = history(engine, 40 * DAY, 20 * DAY)
    kept = history(engine, 40 * DAY, workflow_id="kept")[0]
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    bin_dir = Path(sys.executable).parent
    with serving(database) as http:
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", "\n".join(blocks)],
            env={
                **os.environ,
                "PATH": f"{bin_dir}:{os.environ['PATH']}:{embedded.find_binaries()}",
                "DATABASE_URL": database,
                "SERVER_URL": str(http.base_url).rstrip("/"),
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    first, second, third, fourth = done.stdout.replace("}{", "}\n{").splitlines()
    # All of them are among the newest 100, until the third command, which keeps none.
    assert first.startswith("would delete: 6 pieces of logs")
    assert second.startswith("deleted: 6 pieces of logs")
    assert json.loads(third)["runs"] == 2
    assert list(json.loads(third)) == list(json.loads(fourth)) == list(json.loads(example()))
    assert left(engine) == {young}
    assert not {old, kept} & left(engine)


def example() -> str:
    (found,) = re.findall(r'^\{"runs".*\}$', PAGE, re.MULTILINE)
    return found


def test_the_variables_of_the_page_are_settings():
    named = set(re.findall(r"^\| `(PRUNE_\w+)`", PAGE, re.MULTILINE))
    assert named == {f.alias for f in Settings.model_fields.values() if str(f.alias).startswith("PRUNE_")}
