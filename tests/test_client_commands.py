"""The commands that talk to a server, each as it is typed, on the real server."""

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import Result
from wfg import follow, run_screen
from wfg.cli import COMMANDS
from wfg.sql_transport import SqlTransport
from wfg.worker import Worker

from tests.arrange import NO_RUN, chunk, only
from tests.command_line import run_wfg
from tests.servers import port_of, server_process
from tests.serving import serving
from tests.terminal import Terminal

EVIL = "\x1b[2Jevil\x1b]0;title\x07\tname\u202e\x9b31m\r\nnext"
Wfg = Callable[..., Result]


@pytest.fixture
def http(database: str):
    with serving(database) as client:
        yield client


@pytest.fixture
def wfg(http) -> Wfg:
    """wfg("runs", …) is that command, on this test's server."""

    def run(*arguments: str, **env: str | None) -> Result:
        return run_wfg(*arguments, env={"SERVER_URL": str(http.base_url), **env})

    return run


@contextmanager
def a_worker(dsn: str, **settings) -> Iterator[None]:
    """A worker in a thread."""
    worker = Worker(poll_secs=0.1, **settings)

    async def work() -> None:
        async with SqlTransport(dsn) as transport:
            await worker.run(transport)

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(work()))
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(worker.stop)
        thread.join()
        loop.close()


def table(result: Result) -> list[list[str]]:
    """The rows of plain output, without the heading."""
    assert result.exit_code == 0, result.output
    return [line.split("\t") for line in result.stdout.splitlines()[1:]]


def say(engine, claim, *texts: str, stream: str = "stdout", first: int = 0) -> None:
    """Log, as the worker of a claim."""
    chunks = [chunk(claim, first + n, text, stream=stream) for n, text in enumerate(texts)]
    engine.call("wfg_append_logs", p_lease_id=claim["lease"]["lease_id"], p_chunks=chunks)


# --- put ---


def test_files_are_put(engine, wfg: Wfg, tmp_path: Path):
    one, two = tmp_path / "one.yml", tmp_path / "two.json"
    one.write_text("name: x\njobs: {b: {run: 'true'}, a: {run: 'true'}}\n")
    two.write_text('{"jobs": {"a": {"run": "true"}}}')
    assert wfg("put", str(one), str(two)).stdout == "one: version 1\ntwo: version 1\n"
    assert wfg("put", str(one)).stdout == "one: version 1, as before\n"
    assert wfg("put", str(one), "--id", "a/b").stdout == "a/b: version 1\n"
    assert [job["key"] for job in engine.call("wfg_get_workflow", p_workflow_id="a/b")["jobs"]] == ["b", "a"]
    assert json.loads(wfg("put", str(one), "--json").stdout) == {
        "id": "one",
        "version": 1,
        "changed": False,
        "warnings": [],
    }


def test_what_is_wrong_with_a_file_is_said_with_its_line_and_the_others_are_put(
    engine, wfg: Wfg, tmp_path: Path
):
    bad, broken, good = tmp_path / "bad.yml", tmp_path / "broken.yml", tmp_path / "good.yml"
    bad.write_text("name: x\njobs:\n  a:\n    run: x\n    retry: 1\n")
    broken.write_text("{")
    good.write_text("jobs: {a: {run: 'true'}}\n")
    result = wfg("put", str(bad), str(broken), str(good))
    assert result.exit_code == 1
    assert f"{bad}:5: jobs.a.retry: " in result.stderr
    assert f"{broken}:" in result.stderr
    assert result.stdout == "good: version 1\n"

    lenient = wfg("put", "--lenient", str(bad))
    assert (lenient.exit_code, lenient.stdout) == (0, "bad: version 1\n")
    assert lenient.stderr.startswith(f"warning: {bad}:5: jobs.a.retry: ")


def test_one_id_is_of_one_file(wfg: Wfg, tmp_path: Path):
    assert wfg("put", "a.yml", "b.yml", "--id", "x").exit_code == 2


# --- start ---


def test_a_run_is_started_and_its_id_is_all_that_is_printed(engine, wfg: Wfg):
    engine.put(inputs={"n": {"type": "number"}, "s": {"type": "string"}}, jobs=only("a"))
    started = wfg("start", "wf", "-i", "n=3", "--input", "s=a=b", "--reason", "why")
    run = engine.call("wfg_get_run", p_run_id=started.stdout.strip())
    assert (run["inputs"], run["started_by"], run["reason"]) == ({"n": 3, "s": "a=b"}, "ada", "why")
    assert json.loads(wfg("start", "wf", "--json").stdout)["created"] is True


def test_a_key_means_one_run(engine, wfg: Wfg):
    engine.put(jobs=only("a"))
    first, second = wfg("start", "wf", "--key", "k"), wfg("start", "wf", "--key", "k")
    assert first.stdout == second.stdout
    assert (first.stderr, second.stderr) == ("", "This key has started it before.\n")


@pytest.mark.parametrize("at", ["2099-01-31T12:00:00+02:00", "2099-01-31T10:00Z"])
def test_a_run_may_start_later(engine, wfg: Wfg, at: str):
    engine.put(jobs=only("a"))
    run = engine.call("wfg_get_run", p_run_id=wfg("start", "wf", "--at", at).stdout.strip())
    assert run["start_at_ms"] == 4073536800000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["start", "wf", "--at", "soon"], "is no time such as"),
        (["start", "wf", "-i", "n"], "is not of the form NAME=VALUE"),
        (["runs", "--server", "ftp://x"], "is no address such as"),
        (["runs", "--server", "http://me:s3cret@x"], "read from WFG_TOKEN"),
        (["runs", "--server", "me:s3cret@x:port"], "read from WFG_TOKEN"),
        (["logs", "wf", "--json", "--follow"], "without --follow"),
        (["nonsense"], "No such command"),
    ],
)
def test_mistakes_are_explained(arguments: list[str], message: str):
    result = run_wfg(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "s3cret" not in result.stderr


def test_ids_that_mean_folders_are_ids(engine, wfg: Wfg, tmp_path: Path):
    (tmp_path / "x.yml").write_text("jobs: {a: {run: 'true'}}\n")
    for name in (".", "..", "..."):
        assert wfg("put", str(tmp_path / "x.yml"), "--id", name).exit_code == 0
        assert engine.state(wfg("start", name).stdout.strip()) == "queued"
        assert wfg("cancel", name, "a").exit_code == 0
    assert {each["id"] for each in engine.call("wfg_list_workflows")} == {".", "..", "..."}


def test_an_unknown_workflow_is_answered_with_near_names(engine, wfg: Wfg):
    engine.put("deploy", jobs=only("a"))
    for command in (["start", "deplyo"], ["show", "deplyo"], ["logs", "deplyo"], ["cancel", "deplyo"]):
        result = wfg(*command)
        assert result.exit_code == 1
        assert "Did you mean deploy?" in result.stderr
    assert "has no run yet" in wfg("show", "deploy").stderr


def test_an_unknown_input_is_answered_with_those_there_are(engine, wfg: Wfg):
    engine.put(inputs={"who": {"type": "string"}, "n": {"type": "number"}}, jobs=only("a"))
    result = wfg("start", "wf", "-i", "wo=x")
    assert result.exit_code == 1
    assert result.stderr == "Error: --input wo: the workflow has no such input\nIts inputs: who, n.\n"


@pytest.mark.parametrize(
    ("script", "code", "last"), [("true", 0, "success"), ("echo because; exit 3", 1, "failure")]
)
def test_waiting_follows_a_run_to_its_end(engine, wfg: Wfg, database: str, script: str, code: int, last: str):
    engine.put(jobs={"a": {"run": script}, "b": {"run": "true", "needs": "a"}})
    with a_worker(database):
        result = wfg("start", "wf", "--wait")
    assert result.exit_code == code
    lines = result.stdout.splitlines()
    assert engine.state(lines[0]) == last
    assert any(line.startswith(f"a: {last}") for line in lines)
    assert re.match(rf"wf: {last} in ", lines[-1])
    if last == "failure":
        assert "  | because" in lines
        assert "  exit code 3" in lines


def test_waiting_says_which_worker_is_missing(engine, wfg: Wfg, monkeypatch: pytest.MonkeyPatch):
    engine.put(jobs={"a": {"run": "true", "labels": ["gpu"]}})
    hint = run_screen.PlainScreen.hint

    def told(screen: run_screen.PlainScreen, text: str) -> None:
        hint(screen, text)
        hint(screen, text)
        engine.call("wfg_cancel_run", p_run_id=engine.call("wfg_list_runs")["items"][0]["run_id"])

    monkeypatch.setattr(follow, "HINT_SECS", 0)
    monkeypatch.setattr(run_screen.PlainScreen, "hint", told)
    result = wfg("start", "wf", "--wait")
    assert result.exit_code == 130
    assert result.stderr == "1 of these jobs needs a worker with gpu: none is live.\n"


def test_waiting_for_a_run_that_is_cancelled(engine, wfg: Wfg):
    engine.put(jobs=only("a"))
    run = engine.start(idempotency_key="k")
    engine.call("wfg_cancel_run", p_run_id=run)
    result = wfg("start", "wf", "-w", "--key", "k", "--json")
    assert result.exit_code == 130
    assert [json.loads(line)["run_id"] for line in result.stdout.splitlines()] == [run, run]


# --- rerun ---


def test_a_failed_run_is_run_again_with_what_is_kept(engine, wfg: Wfg, database: str):
    engine.put(jobs={"a": {"run": "true"}, "b": {"run": "echo hi", "needs": "a"}})
    first = engine.start()
    claim = engine.claim()
    say(engine, claim, "from a\n")
    engine.complete(claim)
    engine.fail(engine.claim())

    with a_worker(database):
        result = wfg("rerun", "wf", "--failed", "--reason", "flaky", "--wait")
    assert result.exit_code == 0
    again, *lines = result.stdout.splitlines()
    assert "a: kept" in lines
    assert any(line.startswith("b: success") for line in lines)
    run = engine.call("wfg_get_run", p_run_id=again)
    assert (run["rerun_of"], run["started_by"], run["reason"]) == (first, "ada", "flaky")

    shown = wfg("show", again).stdout
    assert f"re-run of: {first}\n" in shown
    assert [line.split("\t")[:2] for line in shown.splitlines()[-2:]] == [
        ["a", "success, kept"],
        ["b", "success"],
    ]
    log = wfg("logs", again, "a")
    assert (log.stdout, log.stderr) == ("from a\n", f"a is kept: its log is that of run {first}\n")
    assert wfg("logs", again, "a", "-f").stdout == "from a\n"
    assert (wfg("logs", first, "a").stderr, wfg("logs", again, "b").stderr) == ("", "")


def test_a_run_is_run_again_from_a_job_on_or_whole(engine, wfg: Wfg):
    engine.put(jobs={"a": {"run": "true"}, "b": {"run": "true", "needs": "a"}})
    run = engine.start()
    engine.complete(engine.claim())
    engine.complete(engine.claim())
    for options, kept in ((["--from", "b"], ["a"]), ([], [])):
        answer = json.loads(wfg("rerun", run, *options, "--json", "--key", f"k{kept}").stdout)
        assert answer["created"] is True
        jobs = engine.call("wfg_get_run", p_run_id=answer["run_id"])["jobs"]
        assert [job["job_id"] for job in jobs if job["kept"]] == kept

    again = wfg("rerun", run, "--key", "k[]")
    assert again.stdout.strip() == answer["run_id"]
    assert "has started it before" in again.stderr


def test_what_cannot_be_run_again_is_told(engine, wfg: Wfg):
    engine.put(jobs=only("a"))
    run = engine.start()
    both = wfg("rerun", run, "--failed", "--from", "a")
    assert (both.exit_code, "not both" in both.stderr) == (2, True)
    for arguments, said in (
        ([run], "has not ended"),
        ([NO_RUN], "There is no run"),
        (["wff"], "Did you mean wf?"),
    ):
        result = wfg("rerun", *arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert said in result.stderr


@pytest.mark.nightly
def test_the_commands_of_the_page_work(engine, wfg: Wfg, http, database: str, tmp_path: Path):
    page = (Path(__file__).parent.parent / "docs" / "rerun.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with a_worker(database):
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", "echo ---; ".join(blocks)],
            cwd=tmp_path,
            env={**os.environ, "PATH": path, "SERVER_URL": str(http.base_url)},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    first, second, third = done.stdout.split("---\n")
    assert "exit code 1" in first
    assert "fetch | fetching\n" in second
    assert "load | loading 42 rows\n" in second
    assert "fetch\tsuccess, kept\t" in second
    assert json.loads(third)["created"] is True


# --- runs, show ---


def test_runs_are_listed(engine, wfg: Wfg, http):
    engine.put("one", jobs=only("a"))
    engine.put("two", jobs={})
    first, ended = engine.start("one", started_by="ci"), engine.start("two")
    assert [(row[0], row[1], row[2], row[5]) for row in table(wfg("runs"))] == [
        (ended, "two", "success", ""),
        (first, "one", "queued", "ci"),
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", table(wfg("runs"))[0][3])
    assert [row[0] for row in table(wfg("runs", "--workflow", "one"))] == [first]
    assert [row[0] for row in table(wfg("runs", "--state", "success"))] == [ended]
    assert [row[0] for row in table(wfg("runs", "--limit", "1"))] == [ended]
    assert wfg("runs", "--json").stdout == http.get("/api/runs?limit=20").text + "\n"


def test_all_runs_are_listed_page_by_page(engine, wfg: Wfg, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wfg.find_commands.PAGE", 2)
    engine.put(jobs={})
    runs = [engine.start() for _ in range(5)]
    assert [row[0] for row in table(wfg("runs", "--all"))] == runs[::-1]
    pages = wfg("runs", "--all", "--json").stdout.splitlines()
    assert [len(json.loads(page)["items"]) for page in pages] == [2, 2, 1]
    coloured = wfg("runs", "--all", FORCE_COLOR="1", COLUMNS="120").stdout
    assert coloured.count("WORKFLOW") == 1
    assert [run for line in coloured.splitlines() for run in runs if run in line] == runs[::-1]


def test_a_run_is_shown_with_its_jobs(engine, wfg: Wfg, http):
    engine.put(
        name="CI",
        inputs={"x": {"type": "string"}},
        jobs={"a": {"run": "x", "retries": 1}, "b": {"needs": "a", "run": "x"}},
    )
    engine.start()
    run = engine.start(inputs={"x": "y"}, reason="why")
    for worker in ("w1", "w1", "w2"):
        claim = engine.claim(worker)
        if claim["job"]["run_id"] == run:
            engine.fail(claim, "it broke\nbadly", retryable=True)
    result = wfg("show", "wf")
    assert wfg("show", run).stdout == result.stdout
    head, _, body = result.stdout.partition("\n\n")
    facts = dict(line.split(": ", 1) for line in head.splitlines())
    assert (facts["run"], facts["workflow"], facts["reason"]) == (run, "wf, version 1", "why")
    assert facts["inputs"] == '{"x": "y"}'
    rows = [line.split("\t") for line in body.splitlines()]
    assert rows[0] == ["JOB", "STATE", "ATTEMPT", "STARTED", "TOOK", "WORKER", "ERROR"]
    job_a, job_b = rows[1:]
    assert (job_a[:3], job_a[5], job_a[6]) == (["a", "failure", "2"], "w2", "it broke")
    assert job_b == ["b", "skipped", "", "", "", "", ""]
    assert wfg("show", run, "--json").stdout == http.get(f"/api/runs/{run}").text + "\n"


def test_no_text_from_the_server_reaches_the_terminal_as_it_is(engine, wfg: Wfg):
    engine.put("wf", name=EVIL, jobs={"a": {"run": "x", "name": EVIL}})
    run = engine.start(started_by=EVIL, reason=EVIL)
    claim = engine.claim(EVIL, labels=[EVIL])
    say(engine, claim, EVIL, "\x1b[31mred\x1b[1;1Hmoved\n")
    engine.fail(claim, EVIL)
    engine.call("wfg_cancel_run", p_run_id=run, p_reason=EVIL)
    for colour in ({}, {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "300"}):
        for command in (["runs"], ["show", run], ["workers"], ["logs", run], ["logs", run, "-f"]):
            output = wfg(*command, **colour).stdout
            assert "evil" in output or "next" in output, command
            left = re.sub(r"\x1b\[[0-9;]*m", "", output) if colour else output
            assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", left), command


# --- logs ---


def test_the_log_of_a_job(engine, wfg: Wfg, http):
    engine.put(jobs={"a": {"run": "x", "retries": 1}})
    run = engine.start()
    claim = engine.claim()
    say(engine, claim, "one\ntwo\n", "a piece", " and its end\n")
    say(engine, claim, "no newline", first=3)
    say(engine, claim, "oops\n", first=4, stream="stderr")
    expected = "one\ntwo\na piece and its end\nno newline\noops\n"
    assert wfg("logs", run, "a").stdout == expected
    assert wfg("logs", "wf").stdout == expected
    listed = http.get(f"/api/workflows/{run}/jobs/a/logs").text
    assert wfg("logs", run, "--json").stdout == listed + "\n"

    engine.fail(claim, retryable=True)
    say(engine, engine.claim(), "again\n")
    assert wfg("logs", run).stdout == expected + "--- attempt 2 ---\nagain\n"


def test_the_logs_of_several_jobs_say_whose_they_are(engine, wfg: Wfg):
    engine.put(jobs=only("a", "b"))
    run = engine.start()
    for claim in engine.claim_many(2):
        say(engine, claim, f"{claim['job']['job_id']} here\n", "open")
    assert wfg("logs", run).stdout == "a | a here\na | open\nb | b here\nb | open\n"
    assert wfg("logs", run, "b").stdout == "b here\nopen\n"
    assert "Did you mean" in wfg("logs", run, "bb").stderr


def test_a_long_log_is_read_to_its_end(engine, wfg: Wfg):
    engine.put(jobs=only("a"))
    run = engine.start()
    claim = engine.claim()
    say(engine, claim, *(f"{n}\n" for n in range(2500)))
    assert wfg("logs", run).stdout == "".join(f"{n}\n" for n in range(2500))


def test_colours_pass_to_terminals_only(engine, wfg: Wfg):
    engine.put(jobs=only("a"))
    run = engine.start()
    say(engine, engine.claim(), "\x1b[1;31mred\x1b[0m and\x1b[K plain\n", "50%\r\x1b[32m100%\n")
    assert wfg("logs", run).stdout == "red and plain\n100%\n"
    terminal = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
    coloured = "\x1b[1;31mred\x1b[0m and plain\x1b[0m\n\x1b[32m100%\x1b[0m\n"
    assert wfg("logs", run, **terminal).stdout == coloured
    for plain in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert wfg("logs", run, **{**terminal, **plain}).stdout == "red and plain\n100%\n"


def test_following_a_log_ends_with_its_job(engine, connect, wfg: Wfg):
    engine.put(jobs={"a": {"run": "x", "retries": 1}, "b": {"run": "x", "labels": ["b"]}})
    run = engine.start()
    other = connect()

    def work() -> None:
        claim = other.claim()
        say(other, claim, "one\n", "a\u2028b\x85c\n")
        other.fail(claim, retryable=True)
        claim = other.claim()
        say(other, claim, "two\n")
        other.complete(claim)

    thread = threading.Thread(target=work)
    thread.start()
    result = wfg("logs", run, "a", "--follow")
    thread.join()
    assert result.exit_code == 0
    assert result.stdout == "one\nabc\n--- attempt 2 ---\ntwo\n"


@pytest.mark.nightly
def test_following_outlives_a_server_that_is_restarted(engine, database: str, tmp_path: Path):
    engine.put(jobs=only("a"))
    run = engine.start()
    claim = engine.claim(ttl=600)
    with server_process(database, tmp_path) as server:
        port = port_of(server)
        say(engine, claim, "one\n")
        with subprocess.Popen(
            [sys.executable, "-m", "wfg", "logs", run, "-f", "--server", server.url()],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == "one\n"
            server.kill()
            assert process.stderr.readline().startswith("server_unreachable: ")
            say(engine, claim, "two\n", first=1)
            with server_process(database, tmp_path, port):
                engine.complete(claim)
                assert process.communicate(timeout=60) == ("two\n", "")
                assert process.returncode == 0


def test_following_a_run_ends_with_all_its_jobs(engine, connect, wfg: Wfg):
    engine.put(jobs={"a": {"run": "x"}, "b": {"run": "x", "needs": "a"}})
    run = engine.start()
    other = connect()

    def work() -> None:
        for name in ("a", "b"):
            claim = other.claim()
            say(other, claim, f"{name} here\n")
            other.complete(claim)

    thread = threading.Thread(target=work)
    thread.start()
    result = wfg("logs", run, "-f")
    thread.join()
    assert result.stdout == "a | a here\nb | b here\n"


# --- pause, resume, cancel, workers ---


def test_a_workflow_and_labels_are_paused_and_resumed(engine, wfg: Wfg):
    engine.put("wf", jobs={"a": {"run": "x", "labels": ["x", "y"]}, "b": {"run": "x"}})
    run = engine.start("wf")
    assert wfg("pause", "wf", "--reason", "a bad release").stdout == "wf: paused by ada, a bad release\n"
    assert wfg("pause", "--labels", "y, x").stdout == "x, y: paused by ada\n"
    assert wfg("freeze").stdout == "everything: paused by ada\n"
    rows = table(wfg("pauses"))
    assert [(kind, what, by, why) for kind, what, _, by, why in rows] == [
        ("workflow", "wf", "ada", "a bad release"),
        ("labels", "x, y", "ada", ""),
        ("all", "everything", "ada", ""),
    ]
    shown = wfg("show", run).stdout
    assert "paused: all: wfg pauses\n" in shown
    assert "a\tqueued, paused\t" in shown
    assert engine.claim(labels=["x", "y"]) is None

    assert wfg("thaw").stdout == "everything: resumed\n"
    assert wfg("thaw").stdout == "everything: was not paused\n"
    assert wfg("resume", "--labels", "x,y").stdout == "x, y: resumed\n"
    assert json.loads(wfg("resume", "wf", "--json").stdout) == {"workflow_id": "wf", "resumed": True}
    assert json.loads(wfg("pauses", "--json").stdout)["items"] == []
    assert engine.claim(labels=["x", "y"]) is not None


def test_a_comma_too_many_pauses_what_was_meant(engine, wfg: Wfg):
    """A label "" is required by no job: the pause would hold back nothing."""
    engine.put(jobs=only("a", labels=["x"]))
    engine.start()
    assert wfg("pause", "--labels", "x,").stdout == "x: paused by ada\n"
    assert engine.claim(labels=["x"]) is None
    assert wfg("resume", "--labels", ",x").stdout == "x: resumed\n"
    for nothing in ("", " ,"):
        refused = wfg("pause", "--labels", nothing)
        assert (refused.exit_code, "at least one label" in refused.stderr) == (1, True)
    assert json.loads(wfg("pauses", "--json").stdout)["items"] == []


def test_what_to_pause_must_be_said_once(wfg: Wfg, engine):
    engine.put("deploy", jobs=only("a"))
    for command in ("pause", "resume"):
        assert wfg(command).exit_code == 2
        assert wfg(command, "wf", "--labels", "x").exit_code == 2
        assert "Did you mean deploy?" in wfg(command, "deplyo").stderr


def test_a_run_and_a_job_are_cancelled(engine, wfg: Wfg):
    engine.put(jobs={"a": {"run": "x"}, "b": {"run": "x"}, "c": {"run": "x", "needs": "b"}})
    run = engine.start()
    assert wfg("cancel", run, "b").stdout == f"{run}, b: cancelled\n"
    assert engine.jobs(run) == {"a": "queued", "b": "cancelled", "c": "skipped"}
    assert wfg("cancel", "wf", "--reason", "enough").stdout == f"{run}: cancelled\n"
    stored = engine.call("wfg_get_run", p_run_id=run)
    assert (stored["state"], stored["cancelled_by"], stored["cancel_reason"]) == (
        "cancelled",
        "ada",
        "enough",
    )
    assert wfg("cancel", run, "c").stdout == f"{run}, c: has ended before: skipped\n"
    assert json.loads(wfg("cancel", run, "--json").stdout) == {"run_id": run, "run": "cancelled"}
    assert wfg("cancel", NO_RUN).exit_code == 1


def test_workers_are_listed(engine, wfg: Wfg, http):
    engine.put(jobs={"a": {"run": "x", "labels": ["x"]}})
    engine.start()
    engine.call("wfg_register_worker", p_worker_id="idler", p_labels=[])
    engine.claim("w1", labels=["x", "y"])
    rows = sorted(row[:4] for row in table(wfg("workers")))
    assert rows == [["idler", "idle", "", ""], ["w1", "busy", "x, y", "a"]]
    assert wfg("workers", "--json").stdout == http.get("/api/workers").text + "\n"


# --- at a terminal ---


def test_a_table_fits_the_terminal_and_ids_are_whole(engine, http):
    engine.put("a-workflow-with-quite-a-name", jobs=only("a"))
    run = engine.start("a-workflow-with-quite-a-name", started_by="somebody with a long name")
    env = {**os.environ, "SERVER_URL": str(http.base_url)}
    with Terminal([sys.executable, "-m", "wfg", "runs"], columns=80, env=env) as terminal:
        assert terminal.wait() == 0
        screen = terminal.screen()
    assert max(map(len, screen)) <= 80
    assert any(run in line and "a-workf" in line and "queued" in line for line in screen)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk to write to")
def test_a_full_disk_is_told(http):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "wfg", "queue"],
            env={**os.environ, "SERVER_URL": str(http.base_url)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr == "Error: the output cannot be written: No space left on device\n"


def test_ctrl_c_leaves_the_run_alone(engine, http):
    engine.put(jobs=only("a"))
    env = {**os.environ, "SERVER_URL": str(http.base_url)}
    with Terminal([sys.executable, "-m", "wfg", "start", "wf", "-w"], env=env) as terminal:
        terminal.wait_until(lambda screen: any("needs a worker: none is live." in line for line in screen))
        terminal.press(b"\x03")
        assert terminal.wait() == 130
        assert not any("none is live" in line for line in terminal.screen())
        run = terminal.screen()[0].strip()
        assert f"wfg cancel {run}" in "\n".join(terminal.screen())
    assert engine.state(run) == "queued"

    say(engine, engine.claim(), "here\n")
    with Terminal([sys.executable, "-m", "wfg", "logs", run, "-f"], env=env) as terminal:
        terminal.wait_until(lambda screen: "here" in screen)
        terminal.press(b"\x03")
        assert terminal.wait() == 130
        assert "Aborted" not in terminal.text


# --- what else may answer, or not ---


@contextmanager
def answering(
    status: int,
    body: bytes,
    seen: list[dict[str, str]] | None = None,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
) -> Iterator[str]:
    """The address of something that always answers this."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            if seen is not None:
                seen.append(dict(self.headers))
            self.send_response_only(status)
            for name, value in {"content-type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    setattr(Handler, f"do_{method}", Handler.answer)
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_server_out_of_reach():
    done = subprocess.run(
        [sys.executable, "-m", "wfg", "runs"],
        env={**os.environ, "SERVER_URL": "127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "http://127.0.0.1:1" in done.stderr
    assert "`wfg dev` or `wfg serve`" in done.stderr
    assert "SERVER_URL" in done.stderr
    assert done.stderr.count("\n") <= 2


def test_without_a_token_it_says_where_to_put_it():
    body = b'{"code":"PT401","message":"token_required","details":null,"hint":null}'
    with answering(401, body) as url:
        result = run_wfg("workers", "--server", url)
    assert result.exit_code == 1
    assert "Set WFG_TOKEN" in result.stderr


def test_a_token_is_sent_and_stays_private():
    seen: list[dict[str, str]] = []
    with answering(200, b"[]", seen) as url:
        result = run_wfg("workers", "--server", url, env={"WFG_TOKEN": "s3cret"})
    assert seen[0]["authorization"] == "Bearer s3cret"
    assert "s3cret" not in result.output
    assert "s3cret" not in run_wfg("workers", "--help", env={"WFG_TOKEN": "s3cret"}).output


@pytest.mark.parametrize("token", ["s3cret\nx", "s3cret\x7f", "s3crét", "s3 cret"])
@pytest.mark.parametrize("command", ["runs", "worker"])
def test_a_token_that_no_header_can_hold_is_not_shown(command: str, token: str):
    result = run_wfg(command, "--server", "127.0.0.1:1", env={"WFG_TOKEN": token})
    assert result.exit_code == 2
    assert "WFG_TOKEN is no token" in result.stderr
    assert "s3c" not in result.output


@pytest.mark.parametrize("command", ["runs", "worker"])
@pytest.mark.parametrize("name", ["ALL_PROXY", "SSL_CERT_FILE"])
def test_an_environment_that_cannot_be_used_is_named(command: str, name: str):
    value = {"ALL_PROXY": "nonsense://x", "SSL_CERT_FILE": "/nowhere"}[name]
    result = run_wfg(command, "--server", "127.0.0.1:1", env={name: value})
    assert result.exit_code == 1
    assert name in result.stderr.splitlines()[-1]


HTML = {"content-type": "text/html; charset=utf-8"}


@pytest.mark.parametrize(
    ("status", "body", "headers", "said"),
    [
        (502, b"<html>\x1b[2J</html>", HTML, "unexpected_answer: 502 Bad Gateway"),
        (404, b"<h1>nginx</h1>", HTML, "Is this the address of a wfg server?"),
        (200, b"<html>log in", HTML, "unexpected_answer: text/html; charset=utf-8 of http://"),
        (200, b"\xff", {}, "unreadable_answer: "),
        (200, b'{"items": [{"run_id": 1}]}', {}, "unreadable_answer: items.0.run_id: "),
        (301, b"", {"location": "https://x/api/runs"}, "It sends callers to https://x/api/runs"),
        (302, b"", {}, "unexpected_answer: 302 Found"),
    ],
)
def test_what_is_no_server_of_ours_is_one_line_or_two(status, body, headers, said):
    with answering(status, body, headers=headers) as url:
        for options in ([], ["--json"]):
            result = run_wfg("runs", "--server", url, *options)
            assert (result.exit_code, result.stdout) == (1, "")
            assert result.stderr.startswith("Error: ")
            assert said in result.stderr
            assert result.stderr.count("\n") <= 2
            assert "\x1b" not in result.stderr


def test_how_long_something_takes_is_by_the_clock_of_the_server():
    """Which is ten years behind, or ahead."""
    run = {"run_id": NO_RUN, "workflow_id": "wf", "version": 1, "name": "wf", "state": "running"}
    for year in (2015, 2055):
        now = datetime(year, 1, 1, tzinfo=UTC)
        times = {"created_at_ms": 0, "started_at_ms": int(now.timestamp() * 1000) - 90_000}
        page = json.dumps({"items": [{**run, **times}], "next_cursor": None}).encode()
        with answering(200, page, headers={"date": format_datetime(now, usegmt=True)}) as url:
            (row,) = table(run_wfg("runs", "--server", url))
            assert re.fullmatch("1m 3[0-9]s", row[4])


def test_json_is_utf_8_and_text_what_the_terminal_can_say(engine, wfg: Wfg, http):
    engine.put("größe-名", jobs=only("a"))
    run = engine.start("größe-名")
    env = {**os.environ, "SERVER_URL": str(http.base_url), "PYTHONIOENCODING": "latin-1"}
    program = [sys.executable, "-m", "wfg", "show", run]
    shown = subprocess.run([*program, "--json"], env=env, capture_output=True, timeout=60, check=True)
    assert json.loads(shown.stdout)["workflow_id"] == "größe-名"
    shown = subprocess.run(program, env=env, capture_output=True, timeout=60, check=True)
    assert "größe-?" in shown.stdout.decode("latin-1")


def test_a_pipe_that_is_closed_early_is_no_error(engine, wfg: Wfg, http):
    """One that ends with `| head` says nothing."""
    engine.put(jobs=only("a"))
    run = engine.start()
    say(engine, engine.claim(), *["x" * 200_000 + "\n"] * 5)
    script = '"$0" -m wfg logs "$1" --follow | head -c 1'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable, run],
        env={**os.environ, "SERVER_URL": str(http.base_url)},
        capture_output=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == (b"x", b"")


# --- completion ---


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_get_their_script(shell: str):
    result = run_wfg("completion", shell)
    assert result.exit_code == 0
    assert f"_WFG_COMPLETE={shell}_complete" in result.stdout


def test_every_command_has_its_name_and_says_what_it_does():
    for name in COMMANDS:
        result = run_wfg(name, "--help")
        assert result.stdout.startswith(f"Usage: wfg {name} "), name
    summary = run_wfg("--help").stdout.partition("Commands:")[2]
    assert re.findall(r"^  (\w+) +\w", summary, re.MULTILINE) == sorted(COMMANDS)
    assert "..." not in summary  # a first sentence that is too long is cut


def test_commands_for_servers_start_without_what_databases_need():
    script = "import sys, wfg.client_commands; print(*{'psycopg', 'litestar', 'alembic'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout == "\n"


def test_commands_are_completed():
    env = {**os.environ, "_WFG_COMPLETE": "bash_complete", "COMP_WORDS": "wfg can", "COMP_CWORD": "1"}
    program = [sys.executable, "-c", "from wfg.cli import main; main(prog_name='wfg')"]
    done = subprocess.run(program, env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout == "plain,cancel\n"
