"""The command line: what commands print and how they end. `wfg run` and `wfg worker` have their own tests."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import run_wfg as wfg


def test_it_is_a_program_with_a_version():
    done = subprocess.run([sys.executable, "-m", "wfg", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "version" in done.stdout


def test_every_problem_is_shown_with_its_line(engine, database: str, tmp_path: Path):
    (tmp_path / "ci.yml").write_text(
        "name: x\njobs:\n  b:\n    run: x\n    retries: many\n  a:\n    runs: x\n    needs: [c]\n"
    )
    done = wfg("validate", "ci.yml", "--database-url", database, cwd=tmp_path)
    assert done.exit_code == 1
    lines = done.stderr.splitlines()
    assert [line.partition(": ")[0] for line in lines] == sorted(line.partition(": ")[0] for line in lines)
    assert any(line.startswith("ci.yml:5: jobs.b.retries: ") for line in lines)
    assert any(line.startswith("ci.yml:7: jobs.a.runs: ") for line in lines)
    assert any(line.startswith("ci.yml:8: jobs.a.needs[0]: ") for line in lines)


def test_lenient_makes_unknown_keys_warnings(engine, database: str, tmp_path: Path):
    (tmp_path / "ci.yml").write_text("name: x\njobs:\n  a:\n    run: x\n    retry: 1\n")
    assert wfg("validate", "ci.yml", "--database-url", database, cwd=tmp_path).exit_code == 1
    done = wfg("validate", "--lenient", "ci.yml", "--database-url", database, cwd=tmp_path)
    assert done.exit_code == 0
    assert done.stderr.startswith("warning: ci.yml:5: jobs.a.retry: ")


def test_a_valid_file_is_said_to_be_valid_and_is_not_stored(engine, database: str, tmp_path: Path):
    (tmp_path / "ci.yml").write_text("name: x\njobs: {a: {run: 'true'}}\n")
    done = wfg("validate", "ci.yml", "--database-url", database, cwd=tmp_path)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "ci.yml: valid\n", "")
    assert engine.call("wfg_list_workflows") == []


def test_a_command_that_there_is_not_is_answered_with_near_ones():
    assert "No such command 'strat'. Did you mean start?" in wfg("strat", "x").stderr
    assert wfg("zzz").stderr.endswith("No such command 'zzz'.\n")


@pytest.mark.parametrize("content", [b"\xff", b"a: {", b"{" * 5000, b"a: !!python/object:os.system x\n", b""])
def test_bad_files_are_refused_in_one_line(tmp_path: Path, content: bytes):
    (tmp_path / "ci.yml").write_bytes(content)
    done = wfg("validate", "ci.yml", cwd=tmp_path)
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ci.yml:")
    assert done.stderr.count("\n") == 1


def test_a_database_out_of_reach_is_one_line(tmp_path: Path):
    (tmp_path / "ci.yml").write_text("name: x\njobs: {a: {run: 'true'}}\n")
    done = wfg("validate", "ci.yml", "--database-url", f"host={tmp_path} dbname=x", cwd=tmp_path)
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--module", "nonsense"], "is not of the form package.module:worker"),
        (["--module", "no_such_module:worker"], "there is no module no_such_module"),
        (["--module", "json:worker"], "json has no Worker named worker"),
        (["--permanent-exit-codes", "a"], "is no list of whole numbers"),
        (["--slots", "0"], "0 is not in the range"),
        (["--ttl", "86401"], "is not in the range"),
    ],
)
def test_mistakes_about_a_worker_are_explained(tmp_path: Path, options: list[str], message: str):
    done = wfg("worker", "--database-url", "host=/nowhere", *options, cwd=tmp_path)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.replace("│", "").split())


def test_a_worker_has_one_place_that_jobs_come_from():
    done = wfg("worker", "--database-url", "host=/nowhere", "--server", "http://127.0.0.1:1")
    assert done.exit_code == 2
    assert "give one of them" in done.stderr


def test_a_worker_on_a_database_without_wfg_says_what_to_do(new_database):
    done = wfg("worker", env={"DATABASE_URL": new_database()})
    assert done.exit_code == 1
    assert "wfg db upgrade" in done.stderr
