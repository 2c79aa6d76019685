"""wfg runs, jobs, queue and top, as they are typed, on the real server; and docs/find.md."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from wfg.client_answers import JOB_PAGE, QUEUE, RUN_PAGE, WORKERS
from wfg.client_output import fitted
from wfg.top_screen import Look, Rates, share

from tests import bulk
from tests.arrange import cancel, only
from tests.engine import Engine
from tests.serving import serving
from tests.terminal import Terminal
from tests.test_client_commands import EVIL, Wfg, run_wfg, table

DOCS = (Path(__file__).parent.parent / "docs" / "find.md").read_text()
WFG = [sys.executable, "-m", "wfg"]
INPUTS = {"branch": {"type": "string"}, "dry": {"type": "boolean"}}


@pytest.fixture
def http(database: str) -> Iterator[httpx.Client]:
    with serving(database) as client:
        yield client


@pytest.fixture
def wfg(http: httpx.Client) -> Wfg:
    def run(*arguments: str, **env: str | None):
        return run_wfg(*arguments, env={"SERVER_URL": str(http.base_url), **env})

    return run


@pytest.fixture
def busy(engine: Engine) -> Engine:
    """Two runs of ci with a job that runs, and one that nobody can take; and a run that was cancelled."""
    engine.put(
        "ci",
        inputs=INPUTS,
        jobs={
            "a": {"run": "x"},
            "g": {"run": "x", "labels": ["gpu", "big"]},
            "z": {"run": "x", "needs": "a"},
        },
    )
    engine.put("other", jobs=only("o"))
    engine.runs = [
        engine.start("ci", inputs={"branch": "main", "dry": False}, started_by="ada"),
        engine.start("ci", inputs={"branch": "dev"}, idempotency_key="release-7"),
        engine.start("other", started_by="bob"),
    ]
    cancel(engine, engine.runs[2])
    engine.claim("w1", ttl=3600)
    return engine


# --- runs, jobs, queue ---


def test_runs_are_found_by_every_option(busy: Engine, wfg: Wfg) -> None:
    def found(*options: str) -> list[int]:
        return [busy.runs.index(row[0]) for row in table(wfg("runs", *options))]

    assert found() == [2, 1, 0]
    assert found("--input", "branch=main", "-i", "dry=false") == [0]
    assert found("-i", "branch=x") == []
    assert found("--label", "gpu") == [1, 0]
    assert found("--by", "bob") == [2]
    assert found("--key", "release-7", "--workflow", "ci") == [1]
    assert found("--since", "1h") == [2, 1, 0]
    assert found("--since", "2099-01-31") == []
    assert found("--until", "5m") == []
    assert found("--until", "2099-01-31T12:00+02:00", "--since", "3d", "--state", "cancelled") == [2]
    for options, message in (
        (["--key", "k"], "--workflow"),
        (["--since", "soon"], "is no time such as 2h"),
        (["--until", "99999999999d"], "is no time such as 2h"),
    ):
        result = wfg("runs", *options)
        assert result.exit_code == 2
        assert message in result.stderr


def test_the_command_goes_on_over_empty_pages_until_it_has_enough(engine: Engine, wfg: Wfg) -> None:
    engine.set_now(datetime(2026, 1, 1, tzinfo=UTC))
    engine.put("rare", jobs=only("a"))
    rare = sorted(engine.start("rare", started_by="ada") for _ in range(3))
    engine.put(jobs=only("a"))
    engine.advance(86400)
    bulk.start(engine.connection, "wf", 12_000, finished=True)
    pages = [json.loads(line) for line in wfg("runs", "--by", "ada", "--json").stdout.splitlines()]
    assert pages[0]["items"] == []
    assert [run["run_id"] for page in pages for run in page["items"]] == rare[::-1]
    assert [row[0] for row in table(wfg("runs", "--by", "ada", "--limit", "2"))] == rare[:0:-1]


def test_jobs_are_listed(busy: Engine, wfg: Wfg, http: httpx.Client) -> None:
    def found(*options: str) -> list[tuple[str, ...]]:
        return [(row[2], row[3], row[4], row[8]) for row in table(wfg("jobs", *options))]

    running, ready = ("a", "running", "", "w1"), ("g", "queued", "no worker", "")
    assert found() == [ready, ("a", "queued", "ready", ""), ready, running]
    assert found("--state", "running") == found("--worker", "w1") == [running]
    assert found("--label", "gpu", "--limit", "1") == [ready]
    assert found("--all", "--workflow", "other") == []
    assert found(busy.runs[0]) == [running, ready, ("z", "queued", "needs", "")]
    assert found("ci", "--state", "needs") == [("z", "queued", "needs", "")]
    printed, answered = json.loads(wfg("jobs", "--json").stdout), http.get("/api/jobs?limit=20").json()
    assert [job["job_id"] for job in printed["items"]] == [job["job_id"] for job in answered["items"]]
    result = wfg("jobs", "--state", "ready")
    assert result.stderr == "2 of these jobs need a worker with big, gpu: none is live.\n"


def test_the_queue_is_listed(busy: Engine, wfg: Wfg) -> None:
    result = wfg("queue")
    (gpu, plain) = table(result)
    assert (gpu[0], gpu[2], gpu[7]) == ("big, gpu", "2", "0")
    assert (plain[0], plain[2], plain[6], plain[7], plain[8]) == ("(none)", "1", "1", "1", "0")
    assert re.fullmatch(r"2 ready jobs need a worker with big, gpu, for \S+s: none is live.\n", result.stderr)
    assert json.loads(wfg("queue", "--json").stdout)["items"][0]["no_worker"] is True


def test_runs_and_show_say_that_no_worker_can_take_a_job(busy: Engine, wfg: Wfg) -> None:
    assert "2 ready jobs need a worker with big, gpu" in wfg("runs").stderr
    assert wfg("show", "ci").stderr == "1 of these jobs needs a worker with big, gpu: none is live.\n"
    assert wfg("show", busy.runs[2]).stderr == ""
    assert wfg("runs", "--state", "cancelled").stderr == ""
    assert wfg("runs", "--json").stderr == ""
    busy.call("wfg_register_worker", p_worker_id="w2", p_labels=["gpu", "big"])
    for command in (["runs"], ["show", "ci"], ["jobs"], ["queue"]):
        assert wfg(*command).stderr == ""


def test_nothing_of_others_reaches_the_terminal_as_it_is(engine: Engine, wfg: Wfg) -> None:
    engine.put("wf", jobs={"a": {"run": "x", "labels": [EVIL]}, "b": {"run": "x"}})
    engine.start(started_by=EVIL)
    engine.claim(EVIL)
    for colour in ({}, {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "300"}):
        for command in (["runs"], ["jobs"], ["queue"], ["top", "--once"]):
            output = wfg(*command, **colour).output
            assert "evil" in output or "next" in output, command
            left = re.sub(r"\x1b\[[0-9;]*m", "", output) if colour else output
            assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", left), command


@pytest.mark.parametrize("columns", [80, 100])
def test_what_matters_is_legible_at_a_terminal(busy: Engine, wfg: Wfg, columns: int) -> None:
    """Names gave way until nothing was left of them, and the numbers stayed."""
    busy.put("nightly-etl", jobs={"extract-orders": {"run": "x", "labels": ["linux", "big"]}})
    run = busy.start("nightly-etl", started_by="somebody-with-a-name")
    terminal = {"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm", "COLUMNS": str(columns)}

    def line(*command: str) -> str:
        lines = re.sub(r"\x1b\[[0-9;]*m", "", wfg(*command, **terminal).stdout).splitlines()
        assert max(map(len, lines)) <= columns
        (found,) = (line for line in lines if run in line or "extract" in line)
        return found

    assert re.search(f"{run} +nightly[-…]", line("runs"))
    assert re.search(
        f"{run} +nightly[-…].* +extract[-…].* +queued +no worker", line("jobs", "--label", "big")
    )
    assert re.search(r"extract[-…]\S* +queued +no worker +0 +\S", line("jobs", run))
    assert re.search(f"{run} +nightly[-…]", line("top", "--once"))


def test_a_narrow_table_keeps_what_matters() -> None:
    widths = {"RUN": 36, "WORKFLOW": 30, "STATE": 9, "BY": 3}
    free, spare = ("WORKFLOW", "BY"), ("BY", "STATE")
    assert fitted(widths, free, spare, 84) == widths
    assert fitted(widths, free, spare, 80) == {**widths, "WORKFLOW": 26}
    assert fitted(widths, free, spare, 62) == {**widths, "WORKFLOW": 8}
    assert fitted(widths, free, spare, 61) == {"RUN": 36, "WORKFLOW": 12, "STATE": 9}
    assert fitted(widths, free, spare, 50) == {"RUN": 36, "WORKFLOW": 12}
    assert fitted(widths, free, spare, 1) == {"RUN": 36, "WORKFLOW": 8}


# --- top ---


def test_top_prints_once_where_there_is_no_terminal(busy: Engine, wfg: Wfg) -> None:
    for options in ([], ["--once"]):
        head, *tables = wfg("top", *options).stdout.split("\n\n")
        assert head == "3 ready · 1 running · workers: 1 busy"
        queue, workers, running, runs = ([row.split("\t") for row in each.splitlines()] for each in tables)
        assert [row[0] for row in queue] == ["QUEUE", "big, gpu", "(none)"]
        assert [row[:4] for row in workers[1:]] == [["w1", "busy", "", "a"]]
        assert [[row[0], *row[2:]] for row in running[1:]] == [["a", "1", "ci", busy.runs[0], "w1"]]
        assert [row[0] for row in runs[1:]] == busy.runs[::-1]


def test_top_is_live_follows_the_window_and_quits(busy: Engine, http: httpx.Client) -> None:
    env = {**os.environ, "SERVER_URL": str(http.base_url)}
    with Terminal([*WFG, "top", "--every", "0.2"], columns=100, rows=24, env=env) as terminal:

        def shows(*texts: str) -> list[str]:
            return terminal.wait_until(lambda lines: all(any(t in line for line in lines) for t in texts))

        lines = shows(
            "wfg top", "3 ready · 1 running · workers: 1 busy", "QUEUE", "big, gpu", "RUNNING", "w1"
        )
        assert len(lines) <= 24
        busy.complete(busy.claim("w2"))
        shows("workers: 1 busy, 1 idle", "jobs/s")

        terminal.resize(columns=60, rows=14)
        after = terminal.wait_until(lambda lines: len(lines) <= 14 and any("RUNS" in line for line in lines))
        assert max(len(line) for line in after) < 60
        assert any("… and" in line for line in after)

        terminal.press(b"x")
        terminal.press(b"q")
        assert terminal.wait() == 0
        assert terminal.text.endswith("\x1b[?25h")


def test_top_outlives_its_server_and_says_so(busy: Engine, database: str) -> None:
    with ExitStack() as stack:
        with serving(database) as http:
            env = {**os.environ, "SERVER_URL": str(http.base_url)}
            terminal = stack.enter_context(Terminal([*WFG, "top", "--every", "0.2"], env=env))
            terminal.wait_until(lambda lines: any("3 ready" in line for line in lines))
        lines = terminal.wait_until(lambda lines: any("no answer for" in line for line in lines))
        assert any("big, gpu" in line for line in lines)
        terminal.press(b"\x03")
        assert terminal.wait() == 0


def test_rows_are_shared() -> None:
    assert share([6, 1, 0, 9], 10) == [5, 1, 0, 4]
    assert share([5, 5], 3) == [2, 1]
    assert share([1, 1], 9) == [1, 1]
    assert share([3, 3], -4) == [0, 0]


def look(at: float, jobs: int, runs: int) -> Look:
    totals = f'{{"runs_started":{runs},"jobs_queued":0,"jobs_ended":{jobs}}}'
    return Look(
        at,
        0.0,
        QUEUE.validate_json(f'{{"items":[],"totals":{totals},"next_cursor":null}}'),
        WORKERS.validate_json("[]"),
        JOB_PAGE.validate_json('{"items":[],"next_cursor":null}'),
        RUN_PAGE.validate_json('{"items":[],"next_cursor":null}').items,
    )


def test_rates_are_of_the_last_half_minute_and_outlive_a_reset() -> None:
    rates = Rates()
    assert rates.text() == ""
    for at, jobs, runs in ((0, 1000, 0), (10, 1000, 5), (20, 1010, 5), (45, 1035, 40), (45, 1035, 40)):
        rates.add(look(at, jobs, runs))
    assert rates.text() == "1.0 jobs/s · 1.4 runs/s"
    rates.add(look(50, 3, 0))
    assert rates.text() == ""
    rates.add(look(52, 7, 1))
    assert rates.text() == "2.0 jobs/s · 0.5 runs/s"


# --- the page ---


def test_the_commands_of_the_page_work(busy: Engine, http: httpx.Client, wfg: Wfg) -> None:
    commands = [
        line
        for block in re.findall(r"^```sh\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    said: dict[str, str] = {}
    for command in commands:
        if command.startswith("wfg "):
            result = wfg(*shlex.split(command, comments=True)[1:])
            assert result.exit_code == 0, (command, result.output)
            said[command] = result.stdout
        else:
            env = {**os.environ, "SERVER_URL": str(http.base_url).rstrip("/")}
            done = subprocess.run(
                ["bash", "-c", command], env=env, capture_output=True, text=True, timeout=60
            )
            assert done.returncode == 0, (command, done.stderr)
            said[command] = json.dumps(json.loads(done.stdout))
    assert len(said) == 14

    first, second, third = busy.runs
    for part, found, lost in (
        ("--input branch=main", first, second),
        ("--key release-7", second, first),
        ("--label gpu --by ada", first, second),
        ("created_from_ms=0&label=gpu", second, third),
        ("inputs={", first, second),
        ("--worker build-1", "RUN\t", first),
        ("--state ready --label gpu", first, third),
        ("wfg jobs ci --state needs", second, first),
        ("api/jobs?state=ready", second, first),
        ("wfg queue", "big, gpu", first),
        ("api/queue", '"no_worker": true', first),
        ("wfg top --once", "3 ready · 1 running", "jobs/s"),
    ):
        (output,) = (text for command, text in said.items() if part in command)
        assert found in output, part
        assert lost not in output, part
