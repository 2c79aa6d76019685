"""`wfg run`: progress on a terminal and without, the summary, the exit code, and Ctrl-C."""

import asyncio
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import pytest
from rich.console import Console
from wfg import run_command
from wfg.errors import EngineError
from wfg.live_lines import LiveLines
from wfg.run_command import LocalRun
from wfg.run_screen import duration
from wfg.run_view import Run, RunJob, RunView, printable
from wfg.workflow_file import parse_workflow

from tests.command_line import run_wfg
from tests.terminal import Terminal
from tests.test_process import alive
from tests.workers import until_sync

CLI = [sys.executable, "-m", "wfg"]
CI = Path(__file__).parents[1] / "workflows" / "ci.yml"


def run_here(
    dsn: str, text: str, inputs: Mapping[str, str] | None = None, *, lenient: bool = False
) -> tuple[int, str]:
    """Run a file in this process, on the test's database: exit code and plain output."""
    output = io.StringIO()
    console = Console(file=output, width=100)
    local = LocalRun(parse_workflow(Path("ci.yml"), text.encode()), console)
    code = asyncio.run(local.run(dsn, inputs or {}, lenient=lenient, slots=4))
    return code, output.getvalue()


class RunProcess:
    """`wfg run` as a process, with pipes."""

    def __init__(self, path: Path, *options: str) -> None:
        self.output_path = path.parent / "output"
        with self.output_path.open("wb") as output:
            self.process = subprocess.Popen(
                [*CLI, "run", str(path), *options], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def __enter__(self) -> "RunProcess":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def output(self) -> str:
        return self.output_path.read_text()


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# --- outcomes, plain ---


def test_success_is_shown_in_plain_lines(engine, database: str):
    code, output = run_here(
        database,
        "name: Two\n"
        "jobs:\n"
        "  a: {run: 'echo \"::set-output v=1\"; echo hi', labels: [gpu, linux]}\n"
        "  b: {run: 'echo got $OUTPUT_A_V; echo oops >&2', needs: a}\n",
    )
    assert code == 0
    output = re.sub(r"\d+\.\d+s", "Ns", output)
    assert output.splitlines() == [
        "a: started",
        "a | ::set-output v=1",
        "a | hi",
        "a: success after Ns",
        "b: started",
        "b | got 1",
        "b | oops",
        "b: success after Ns",
        "",
        "Two: success in Ns  (2 success)",
    ]


def test_failure_shows_error_and_log_tail(engine, database: str):
    code, output = run_here(
        database,
        "name: x\n"
        "jobs:\n"
        "  a: {run: 'seq 100; echo cause >&2; exit 3', name: Alpha}\n"
        "  b: {run: 'true', needs: a}\n",
    )
    assert code == 1
    summary = output[output.index("Alpha failed (a)") :]
    assert "  | cause\n  exit code 3\n" in summary
    assert "  | 82\n" in summary
    assert "  | 81\n" not in summary  # the last 20 lines, `cause` among them
    assert "b: skipped" in output
    assert summary.rstrip().endswith("(1 failure · 1 skipped)")


def test_a_retry_is_shown(engine, database: str):
    code, output = run_here(
        database, "name: x\njobs:\n  a: {run: 'echo try; [ $WFG_ATTEMPT = 1 ]', retries: 1}\n"
    )
    assert code == 0
    assert re.search(r"a: to be tried again after \S+\na: started, attempt 2\na \| try\na: success", output)


def test_inputs_are_texts_that_the_engine_converts(engine, database: str):
    text = "name: x\ninputs: {n: {type: number}}\njobs:\n  a: {run: 'echo n=$INPUT_N'}\n"
    assert "a | n=7\n" in run_here(database, text, {"n": "7"})[1]
    with pytest.raises(EngineError) as caught:
        run_here(database, text, {"n": "many", "m": "1"})
    assert "p_inputs.n: must be a number" in (caught.value.details or "")
    assert "p_inputs.m: the workflow has no such input" in (caught.value.details or "")


def test_lenient_warns_of_what_it_ignores(engine, database: str, capfd: pytest.CaptureFixture[str]):
    text = "name: x\njobs:\n  a:\n    run: 'true'\n    retry: 3\n"
    assert run_here(database, text, lenient=True)[0] == 0
    assert capfd.readouterr().err.startswith("warning: ci.yml:5: jobs.a.retry: ")


def test_a_workflow_without_jobs_succeeds(engine, database: str):
    assert run_here(database, "name: x\njobs: {}\n")[0] == 0


def test_a_run_that_somebody_else_cancels_ends_as_cancelled(engine, connect, database: str):
    text = "name: x\njobs:\n  a: {run: 'echo here; sleep 300'}\n"

    async def body() -> int:
        local = LocalRun(parse_workflow(Path("ci.yml"), text.encode()), Console(file=io.StringIO()))
        running = asyncio.create_task(local.run(database, {}, lenient=False, slots=1))
        while not (runs := engine.call("wfg_list_runs")["items"]) or runs[0]["state"] != "running":
            await asyncio.sleep(0.05)
        engine.call("wfg_cancel_run", p_run_id=runs[0]["run_id"])
        async with asyncio.timeout(40):
            return await running

    assert asyncio.run(body()) == 130


# --- the whole command ---


@pytest.mark.nightly
def test_the_sample_runs_on_a_terminal():
    with Terminal([*CLI, "run", str(CI), "-i", "who=Ada"], env=os.environ) as terminal:
        terminal.wait_until(lambda lines: any("Build" in line and "running" in line for line in lines))
        assert terminal.wait() == 0
        screen = terminal.screen()
    rows = [line for line in screen if line.startswith("✔")]
    assert len(rows) == 8
    assert re.match(r"✔ Deploy +success +\d\.\ds  Hello, Ada: preview is up", rows[-1])
    assert re.match(r"CI: success in \d+\.\ds  \(8 success\)", [line for line in screen if line][-1])
    assert "\x1b[?25h" in terminal.text  # the cursor is back


@pytest.mark.nightly
def test_a_large_graph_fits_the_screen(tmp_path: Path):
    jobs = "".join(f"  j{n}: {{run: 'echo {n}; sleep 0.05'}}\n" for n in range(60))
    path = write(tmp_path / "many.yml", f"name: Many\njobs:\n{jobs}")
    with Terminal(
        [*CLI, "run", str(path)], rows=12, columns=40, env={**os.environ, "LINES": "50"}
    ) as terminal:
        assert terminal.wait() == 0
        screen = terminal.screen()  # which fails if something was written above the top
    assert "  … and 52 more" in screen
    assert max(map(len, screen)) < 40
    assert "(60 success)" in screen[-2]


def test_only_lines_that_changed_are_written():
    output = io.StringIO()
    lines = LiveLines(output)
    size = os.terminal_size((80, 24))
    lines.show(["a", "b", "c"], size)
    before = len(output.getvalue())
    lines.show(["a", "B", "c"], size)
    assert output.getvalue()[before:] == "\x1b[2A\r\x1b[2KB\x1b[2B\r"
    before = len(output.getvalue())
    lines.show(["a", "B", "c"], size)
    assert len(output.getvalue()) == before
    lines.show(["a", "B"], os.terminal_size((40, 24)))
    assert "\x1b[2J\r\x1b[2Ka\n\r\x1b[2KB\n" in output.getvalue()


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.nightly)])
def test_ctrl_c_cancels_cleanly(tmp_path: Path, number: signal.Signals):
    path = write(
        tmp_path / "ci.yml", "name: x\njobs:\n  a: {run: 'echo $$; sleep 300'}\n  b: {run: ':', needs: a}\n"
    )
    with RunProcess(path) as run:
        found = until_sync(lambda: re.search(r"^a \| (\d+)$", run.output(), re.M))
        run.process.send_signal(number)
        assert run.process.wait(30) == 130
    assert not alive(int(found[1]))
    assert "x: cancelled in " in run.output()
    assert "(2 cancelled)" in run.output()
    assert "Traceback" not in run.output()


def test_a_second_ctrl_c_kills(tmp_path: Path):
    path = write(
        tmp_path / "ci.yml",
        "name: x\njobs:\n  a: {run: \"trap '' TERM; echo $$; while :; do sleep 0.1; done\"}\n",
    )
    with RunProcess(path) as run:
        found = until_sync(lambda: re.search(r"^a \| (\d+)$", run.output(), re.M))
        run.process.send_signal(signal.SIGINT)
        until_sync(lambda: "a: cancelled" in run.output())
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(15) == 130
    assert not alive(int(found[1]))


def test_ctrl_c_on_a_terminal_leaves_it_in_order(tmp_path: Path):
    path = write(tmp_path / "ci.yml", "name: x\njobs:\n  a: {run: 'echo here; sleep 300'}\n")
    with Terminal([*CLI, "run", str(path)], env=os.environ) as terminal:
        terminal.wait_until(lambda lines: any("here" in line for line in lines))
        terminal.press(b"\x03")
        assert terminal.wait() == 130
        assert "\x1b[?25h" in terminal.text
        assert any(line.startswith("x: cancelled in") for line in terminal.screen())


def test_ctrl_c_while_starting_up_is_no_traceback(tmp_path: Path):
    path = write(tmp_path / "ci.yml", "name: x\njobs:\n  a: {run: 'sleep 300'}\n")
    with Terminal([*CLI, "run", str(path)], env=os.environ) as terminal:
        terminal.wait_until(lambda lines: any("Starting Postgres" in line for line in lines))
        terminal.press(b"\x03")
        assert terminal.wait() == 130
        assert "Traceback" not in terminal.text


# --- mistakes of users ---


@pytest.mark.parametrize(
    ("text", "options", "code", "message"),
    [
        (None, [], 1, "Error: {path}: No such file or directory"),
        ("a: [", [], 1, "Error: {path}:1:5: "),
        ("name: x\njobs:\n  a:\n    needs: [b]\n    run: x\n", [], 1, "{path}:4: jobs.a.needs[0]: "),
        ("name: x\njobs: {}\n", ["--input", "x"], 2, "'x' is not of the form NAME=VALUE"),
        ("name: x\njobs: {}\n", ["--input", "x=1"], 1, "p_inputs.x: the workflow has no such input"),
        ("name: x\njobs: {}\n", ["--slots", "0"], 2, "0 is not in the range"),
    ],
)
def test_mistakes_are_explained(
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str | None,
    options: list[str],
    code: int,
    message: str,
):
    """On the test's database, for one of its own takes long to start."""
    monkeypatch.setattr(run_command, "throwaway_database", lambda _: nullcontext(database))
    path = tmp_path / "ci.yml"
    if text is not None:
        path.write_text(text)
    done = run_wfg("run", str(path), *options)
    assert done.exit_code == code
    assert message.format(path=path) in done.stderr


# --- pieces ---


def test_output_cannot_move_the_cursor():
    assert printable("\x1b[31mred\x1b[0m \x1b[2J\x1b]0;title\x07plain\tx\x08\x9b5A\n") == "red plain    x5A"
    assert printable("10%\r50%\r100%\n") == "100%"
    assert printable("a\u2028b\r\n") == "a\u2028b"


def test_durations_are_short():
    assert [duration(secs) for secs in (None, 0, 3.21, 65, 7384)] == ["", "0.0s", "3.2s", "1m 05s", "2h 03m"]


def test_news_of_the_worker_are_not_taken_back_by_an_older_answer():
    def run(state: str, job_state: str) -> Run:
        return Run(
            run_id="r", name="x", state=state, jobs=[RunJob(job_id="a", name="A", state=job_state, attempt=0)]
        )

    view = RunView(run("queued", "queued"))
    view.jobs["a"].state = "running"
    view.update(run("running", "queued"))
    assert view.jobs["a"].state == "running"
    view.update(run("cancelled", "cancelled"))
    assert view.jobs["a"].state == "cancelled"
