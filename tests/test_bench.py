"""`make bench` runs: all rows, as short as can be. No bars on time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.cluster import DEBIAN

# As the other tests: the embedded server, unless they were sent to Debian's.
SERVER = "15" if os.environ.get("WFG_TEST_DSN") and (DEBIAN / "initdb").exists() else "18"
ROOT = Path(__file__).parents[1]


def bench(*arguments: object) -> str:
    command = [sys.executable, "-m", "tests.bench", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_quick_bench_prints_the_rows_and_writes_bench_json(tmp_path: Path) -> None:
    output = tmp_path / "bench.json"
    printed = bench("--quick", "--server", SERVER, "--output", output)

    rows = {row["name"]: row for row in json.loads(output.read_text())["rows"]}
    assert list(rows) == ["pairs", "wide", "cold", "held"]
    for name, row in rows.items():
        assert name in printed
        assert row["figure"]["per_sec"] > 0
        assert row["floor"]["per_sec"] > 0
        assert row["floor_ratio"] > 0
        assert (row["ratio"] or 0) > 0 or name == "pairs"


def test_the_profile_names_the_functions_of_a_pair() -> None:
    if SERVER != "15":
        pytest.skip("the embedded server has no pg_stat_statements")
    printed = bench("profile", "pairs", "--seconds", 1, "--server", SERVER)

    assert "select public.wfg_complete_job" in printed
    assert "wfg.settle" in printed
