"""`make bench` runs: all rows, as short as can be; its table judges. No bars on time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.bench import summary, table
from tests.bench.cluster import DEBIAN
from tests.bench.row import Figure, Goal, Line
from tests.bench.rows import ROWS

# As the other tests: the embedded server, unless they were sent to Debian's.
SERVER = "15" if os.environ.get("WFG_TEST_DSN") and (DEBIAN / "initdb").exists() else "18"
ROOT = Path(__file__).parents[1]


def bench(*arguments: object) -> str:
    command = [sys.executable, "-m", "tests.bench", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize(
    "names",
    [
        ["pairs", "batch", "disk"],
        pytest.param([row.name for row in ROWS], marks=pytest.mark.nightly, id="all"),
    ],
)
@pytest.mark.nightly
def test_the_quick_bench_prints_the_rows_and_writes_bench_json(tmp_path: Path, names: list[str]) -> None:
    output = tmp_path / "bench.json"
    printed = bench("--quick", "--only", ",".join(names), "--server", SERVER, "--output", output)

    rows = {row["name"]: row for row in json.loads(output.read_text())["rows"]}
    assert list(rows) == names
    for row in rows.values():
        assert row["lines"]
        for line in row["lines"]:
            assert line["what"] in printed
            assert line["figure"]["value"] > 0 or line["unit"] == "%"
            assert (line["ratio"] or 0) > 0 or not line["against_what"]
            assert all(goal["met"] in (True, False) for goal in line["goals"])
        assert all(each["floor"]["value"] > 0 for each in row["rounds"] if "floor" in each)


@pytest.mark.nightly
def test_the_profile_names_the_functions_of_a_pair() -> None:
    if SERVER != "15":
        pytest.skip("the embedded server has no pg_stat_statements")
    printed = bench("profile", "pairs", "--seconds", 1, "--server", SERVER)

    assert "select public.wfg_complete_job" in printed
    assert "wfg.complete_one" in printed


@pytest.mark.parametrize(
    ("goal", "figure", "reached", "met"),
    [
        (Goal(5000), 4000.0, 0.8, False),
        (Goal(5000), 5000.0, 1, True),
        (Goal(300, at_most=True), 400.0, 0.75, False),
        (Goal(300, at_most=True), 150.0, 2, True),
        (Goal(0.1, at_most=True), 0.0, None, True),
        (Goal(0.5, "against"), 1000.0, 0.8, False),
        (Goal(0.5, "floor"), 1000.0, 2, True),
        (Goal(1.3, "against", at_most=True), 1000.0, 3.25, True),
    ],
)
def test_a_missed_goal_is_shown_as_missed(goal: Goal, figure: float, reached: float, met: bool) -> None:
    measured = {"figure": Figure(figure), "against": Figure(2500), "floor": Figure(1000)}
    result = summary(Line("row", "what", "figure", "against", "another", goals=(goal,)), [measured])

    assert result["goals"][0]["share"] == (reached and pytest.approx(reached))
    assert result["goals"][0]["met"] is met
    assert ("MISSED" in table([{"lines": [result]}])) is not met


def test_ratios_are_medians_of_the_rounds_own() -> None:
    rounds = [
        {"figure": Figure(a), "against": Figure(b), "floor": Figure(10)}
        for a, b in ((1, 2), (30, 10), (4, 4))
    ]
    result = summary(Line("row", "what", "figure", "against", "another"), rounds)

    assert (result["figure"]["value"], result["against"]["value"]) == (4, 4)
    assert (result["ratio"], result["floor_ratio"]) == (1, 0.4)


def test_what_was_not_measured_is_no_success() -> None:
    result = summary(Line("row", "what", goals=(Goal(1),)), [{"figure": None, "floor": Figure(1)}])

    assert result["goals"][0]["met"] is None
    assert "not measured" in table([{"lines": [result]}])
