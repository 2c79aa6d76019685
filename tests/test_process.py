"""Shell scripts as processes: both streams to their end, whole groups, nothing left behind."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from wfg.lines import MAX_LINE_CHARS, LineSplitter, OutputParser, Tail
from wfg.process import Exit, ShellProcess

ENV = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}


class Ran:
    """A script under way: its lines so far, and how it ended."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.exit = Exit(-999)

    async def take(self, stream: str, lines: list[str]) -> None:
        self.lines += [(stream, line) for line in lines]

    def text(self, stream: str) -> str:
        return "".join(line for its, line in self.lines if its == stream)


def run(
    script: str,
    meanwhile: Callable[[ShellProcess, Ran], Awaitable[Any]] | None = None,
    *,
    env: dict[str, str] | None = None,
    grace: float = 5.0,
) -> Ran:
    """Run a script to its end."""

    async def body() -> Ran:
        ran = Ran()
        process = await ShellProcess.start(script, {**ENV, **(env or {})}, ran.take, grace_secs=grace)
        waiting = asyncio.create_task(process.wait())
        if meanwhile is not None:
            await meanwhile(process, ran)
        ran.exit = await asyncio.wait_for(waiting, 30)
        return ran

    return asyncio.run(body())


async def until(condition: Callable[[], object], timeout: float = 20) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (ProcessLookupError, FileNotFoundError):
        return False


# --- output ---


def test_both_streams_come_line_by_line():
    ran = run("echo a; echo b >&2; printf 'no newline'")
    assert ran.text("stdout") == "a\nno newline"
    assert ran.text("stderr") == "b\n"
    assert ran.exit == Exit(0)


def test_d33_stderr_is_read_after_stdout_was_closed():
    ran = run("exec 1>&-; sleep 0.2; echo last words >&2; exit 3")
    assert ran.text("stderr") == "last words\n"
    assert ran.exit == Exit(3)


def test_d34_bytes_that_are_not_utf8_do_not_end_reading():
    ran = run(r"printf 'a\377b\n'; printf 'x\000y\n'; printf '\303'; printf '\251\n'; echo after")
    assert ran.text("stdout") == "a\ufffdb\nx\ufffdy\né\nafter\n"
    assert ran.exit.code == 0


def test_a_long_line_comes_in_pieces_and_whole():
    ran = run("head -c 200000 /dev/zero | tr '\\0' x; echo; echo next")
    assert ran.text("stdout") == "x" * 200_000 + "\nnext\n"
    assert max(len(line) for _, line in ran.lines) <= MAX_LINE_CHARS


def test_much_output_is_not_lost_when_its_reader_is_slow():
    async def body() -> int:
        count = 0

        async def slowly(stream: str, lines: list[str]) -> None:
            nonlocal count
            count += len(lines)
            await asyncio.sleep(0.02)

        process = await ShellProcess.start("seq 200000", ENV, slowly)
        await process.wait()
        return count

    assert asyncio.run(body()) == 200_000


# --- start ---


def test_stdin_is_empty():
    assert run("cat; echo done").text("stdout") == "done\n"


def test_the_environment_is_what_was_given():
    ran = run('echo "$A"; env', env={"A": "it's $HOME; `x`"})
    assert ran.text("stdout").startswith("it's $HOME; `x`\n")
    names = {line.partition("=")[0] for line in ran.text("stdout").splitlines()}
    assert "HOME" not in names


def test_nothing_of_the_script_shows_in_a_process_list():
    shown: list[str] = []

    async def look(process: ShellProcess, ran: Ran) -> None:
        await until(lambda: ran.lines)
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                shown.append(path.read_bytes().decode(errors="replace"))
            except OSError:
                continue
        await process.stop()

    run("echo ready\n: hunter2-in-the-script\nwhile :; do sleep 0.1; done", look, env={"S": "hunter2-in-env"})
    assert shown
    assert not [line for line in shown if "hunter2" in line and "pytest" not in line]


def test_the_script_is_in_a_private_place_and_gone_afterwards():
    ran = run('dirname "$0"; stat -c %a "$(dirname "$0")"')
    directory, mode = ran.text("stdout").split()
    assert mode == "700"
    assert not Path(directory).exists()


@pytest.mark.parametrize("env", [{"A": "x\0y"}, {"A": "x" * 3_000_000}])
def test_what_cannot_be_started_is_an_error_and_leaves_nothing(env: dict[str, str], tmp_path: Path):
    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises((OSError, ValueError)):
        run("true", env=env)
    assert len(set(Path("/proc/self/fd").iterdir())) <= len(before)


def test_many_scripts_leave_no_descriptors_behind():
    run("true")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        run("echo x; exit 1")
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


# --- end ---


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("exit 3", "exit code 3"),
        ("kill -KILL $$", "killed by signal KILL"),
        ("kill $$", "killed by signal TERM"),
    ],
)
def test_an_exit_can_be_described(script: str, text: str):
    assert run(script).exit.describe() == text


def test_d36_stop_reaches_grandchildren():
    async def stop(process: ShellProcess, ran: Ran) -> None:
        await until(lambda: len(ran.lines) == 2)
        await process.stop()

    ran = run("sh -c 'sleep 300 & echo $!; wait' & sleep 300 & echo $!; wait", stop)
    assert ran.exit.code < 0
    assert not [line for _, line in ran.lines if alive(int(line))]


def test_d36_what_ignores_term_is_killed_after_the_grace():
    async def stop(process: ShellProcess, ran: Ran) -> None:
        await until(lambda: len(ran.lines) == 1)
        await process.stop(0.2)

    ran = run("trap '' TERM; (trap '' TERM; while :; do sleep 0.05; done) & echo $!; wait; sleep 300", stop)
    assert ran.exit.describe() == "killed by signal KILL"
    assert not alive(int(ran.lines[0][1]))


def test_a_trap_on_term_may_clean_up():
    async def stop(process: ShellProcess, ran: Ran) -> None:
        await until(lambda: ran.lines)
        await process.stop()

    ran = run("trap 'echo cleaned; exit 7' TERM; echo ready; while :; do sleep 0.05; done", stop)
    assert ran.text("stdout") == "ready\ncleaned\n"
    assert ran.exit.code == 7


def test_children_in_the_background_do_not_hold_up_the_end():
    began_at = time.monotonic()
    ran = run("sleep 300 & echo $!; exit 4")
    assert ran.exit == Exit(4, lingered=True)
    assert not alive(int(ran.lines[0][1]))
    assert time.monotonic() - began_at < 20


def test_children_in_the_background_that_are_silent_are_stopped_too():
    ran = run("sleep 300 >/dev/null 2>&1 & echo $!")
    assert ran.exit == Exit(0)
    assert not alive(int(ran.lines[0][1]))


def test_a_child_that_left_the_group_does_not_hold_up_the_end():
    ran = run("setsid sh -c 'echo $$; exec sleep 300' & sleep 0.3")
    escaped = int(ran.lines[0][1])
    try:
        assert ran.exit.code == 0
    finally:
        os.kill(escaped, 9)


def test_a_cancelled_wait_kills_the_group():
    async def body() -> list[int]:
        ran = Ran()
        process = await ShellProcess.start("sleep 300 & echo $!; wait", ENV, ran.take)
        waiting = asyncio.create_task(process.wait())
        await until(lambda: ran.lines)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        pids = [process.pid, int(ran.lines[0][1])]
        await until(lambda: not any(map(alive, pids)))
        return pids

    assert len(asyncio.run(body())) == 2


# --- lines ---


def test_lines_are_found_whatever_the_pieces():
    text = "one\ntwo é 😀\n\nlast".encode()
    for size in (1, 2, 3, 7, 100):
        splitter = LineSplitter()
        lines = [line for at in range(0, len(text), size) for line in splitter.feed(text[at : at + size])]
        assert lines + splitter.end() == ["one\n", "two é 😀\n", "\n", "last"]


def test_d35_set_output_lines_are_parsed():
    parser = OutputParser()
    for line in [
        "::set-output a=1\n",
        "::set-output b = two = 2 \n",
        "::set-output a=3\n",
        " ::set-output c=no\n",
        "::set-output empty=\n",
        "::set-output windows=x\r\n",
        "::set-output nothing\n",
        "::set-output last=no newline",
    ]:
        parser.feed(line)
    parser.end()
    assert parser.outputs == {"a": "3", "b": " two = 2 ", "empty": "", "windows": "x", "last": "no newline"}
    assert parser.refused == ["no output, because NAME=VALUE is missing: ::set-output nothing"]


def test_d35_an_output_may_be_longer_than_a_piece_but_not_endless():
    parser, splitter = OutputParser(), LineSplitter()
    for size in (100_000, 2_000_000):
        for piece in splitter.feed(f"::set-output n{size}={'x' * size}\n".encode()):
            parser.feed(piece)
    assert {name: len(value) for name, value in parser.outputs.items()} == {"n100000": 100_000}
    assert len(parser.refused) == 1


def test_d39_a_tail_is_the_end():
    tail = Tail()
    for n in range(100_000):
        tail.add(f"line {n}\n")
    assert tail.read().endswith("line 99998\nline 99999\n")
    assert len(tail.read()) == 4096
