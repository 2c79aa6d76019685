"""The hour of load in a minute, and that its verdict would miss nothing. In full: `make soak`."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.arrange import only
from tests.engine import Engine, lease_id
from tests.postgres import program
from tests.soak import ARRANGE, LOST, ROOT, TWICE, count_up
from tests.soak_load import SERIES, as_line
from tests.soak_report import MIB, Report, percentile
from tests.soak_samples import read_process, read_queue_times, read_sizes, read_work

MINUTE = 60


def soak(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.soak", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.nightly
def test_a_minute_of_it_ends_well(server: str, tmp_path: Path) -> None:
    bin_dir, out = Path(program("postgres", server)).parent, tmp_path / "soak.jsonl"
    done = soak("--minutes", 1, "--rate", 4, "--server", bin_dir, "--out", out)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    report = Report.of(out)
    assert report.end is not None
    assert report.end["runs"] > 150
    for count in ("cancels", "reruns", "pauses", "scrapes", "events"):
        assert report.end["counts"][count] > 0, count
    assert [hold["held"] for hold in report.holds] == [True, False]
    assert soak("--report", out).stdout == done.stdout


# --- the verdict: an hour as it should be, and what may be wrong with one ---


def process(anon: float = 50 * MIB, fds: int = 20) -> dict[str, float]:
    cpu = {"cpu": 1.0, "cpu_of_children": 0.0}
    return {"rss": anon + MIB, "pss": anon, "anon": anon, "threads": 3, "fds": fds, **cpu}


def sample(at: float) -> dict[str, Any]:
    sessions = {"count": 10, "anon": 80 * MIB, "pss": 90 * MIB, "fds": 100, "largest_anon": 9 * MIB}
    held = 1200 < at <= 1800
    return {
        "kind": "sample",
        "at": at,
        "load": 1.0,
        "processes": {name: process() for name in ("wfg serve 1", "http-1", "sql-1", "effects-1")},
        "times": {name: [5.0 + n / 10 for n in range(20)] for name in SERIES},
        "backends": {"roles": {"sessions": sessions}, "cpu": at / 2},
        "sizes": {
            "relations": {"jobs": ["table", 10 * MIB], "jobs_pkey": ["index", 2 * MIB]},
            "dead": 50000 if held else 1000,
            "autovacuums": 5,
            "xmin_age": 90000 if held else 10,
            "wal_bytes": int(at * 100000),
            "database_bytes": 100 * MIB,
        },
        "work": {"queue": 10, "ready": 1, "active_runs": 4, "jobs": int(at * 20), "broken": []},
    }


END = {
    "drained": 1.0,
    "runs": 5000,
    "jobs": 20000,
    "fenced": 0,
    "doctor": [{"severity": "info", "message": "no pg_cron"}],
    "counts": {},
    "noted": {},
    **{what: [] for what in ("lost", "twice", "broken", "ended")},
}


@pytest.fixture
def hour() -> list[dict[str, Any]]:
    begin = {"secs": 3600, "hold_from": 1200, "hold_to": 1800, "rate": 5, "kept_secs": 300, "lag_secs": 30}
    about = {"server": "PostgreSQL 15", "python": "3.11", "cores": 2}
    samples = [sample(float(at)) for at in range(0, 3601, 30)]
    return [{"kind": "begin", "at": 0, **begin, **about}, *samples, {"kind": "end", "at": 3602, **END}]


Records = list[dict[str, Any]]


def report_of(records: Records, tmp_path: Path) -> Report:
    path = tmp_path / "soak.jsonl"
    path.write_text("".join(map(as_line, records)))
    return Report.of(path)


def missed(records: Records, tmp_path: Path) -> list[str]:
    report = report_of(records, tmp_path)
    lines = [line.text for line in report.verdict() if not line.good]
    assert report.good == (not lines)
    assert report.text().count("MISSED") == len(lines)
    return lines


def later(records: Records, minute: float) -> Records:
    return [record for record in records if record["kind"] == "sample" and record["at"] > minute * MINUTE]


def leak(records: Records) -> None:
    for record in later(records, 0):
        record["processes"]["wfg serve 1"] = process(50 * MIB * (1 + record["at"] / 20000))


def leak_in_postgres(records: Records) -> None:
    for record in later(records, 0):
        record["backends"]["roles"]["sessions"]["anon"] = 80 * MIB * (1 + record["at"] / 3600)


def leak_files(records: Records) -> None:
    for record in later(records, 0):
        record["processes"]["http-1"]["fds"] = 20 + record["at"] // 300


def bloat(records: Records) -> None:
    for record in later(records, 0):
        record["sizes"]["relations"]["jobs_pkey"][1] = 2 * MIB + record["at"] * 2000


def slow_down(name: str) -> Callable[[Records], None]:
    def slow(records: Records) -> None:
        for record in later(records, 50):
            record["times"][name] = [2 * ms for ms in record["times"][name]]

    return slow


def slow_down_in_the_hold(records: Records) -> None:
    for record in records:
        if 1500 < record.get("at", 0) <= 1800 and "times" in record:
            record["times"]["queue time"] = [4 * ms for ms in record["times"]["queue time"]]


def speed_up_the_machine(records: Records) -> None:
    """What we do has not become slower by it."""
    for record in later(records, 50):
        record["times"]["control"] = [ms / 4 for ms in record["times"]["control"]]


def forget_times(records: Records) -> None:
    for record in later(records, 50):
        del record["times"]["claim"]


def queue_up(records: Records) -> None:
    for record in later(records, 0):
        record["work"]["queue"] = 10 + record["at"] / 10


def at_the_end(**changes: Any) -> Callable[[Records], None]:
    return lambda records: records[-1].update(changes)


WRONG: dict[str, tuple[Callable[[Records], object], str]] = {
    "a leak": (leak, "memory at the end"),
    "a leak in Postgres": (leak_in_postgres, "memory of sessions"),
    "a process without memory": (
        lambda records: [r["processes"].pop("sql-1") for r in later(records, 50)],
        "memory at the end, to minute 10: not measured of sql-1",
    ),
    "a leak of files": (leak_files, "open files"),
    "a bloat": (bloat, "tables and indexes"),
    "slower": (slow_down("claim"), "claim, p95"),
    "longer in the queue": (slow_down("queue time"), "queue time, p95"),
    "longer in the queue while a transaction is held open": (
        slow_down_in_the_hold,
        "queue time, p95 in the hold",
    ),
    "no times": (forget_times, "claim, p95 at the end to the start: not measured"),
    "a backlog": (queue_up, "jobs in the queue"),
    "a lost run": (at_the_end(lost=["was answered started: r"]), "lost: 1 (was answered started: r)"),
    "a job done twice": (at_the_end(twice=["two effects: r.1"]), "done twice: 1"),
    "broken at the end": (at_the_end(broken=["a row"]), "rows of `wfg_check`: 1"),
    "broken meanwhile": (
        lambda records: records[9]["work"]["broken"].append("a row"),
        "rows of `wfg_check`: 1",
    ),
    "an error of doctor": (
        at_the_end(doctor=[{"severity": "error", "message": "ill"}]),
        "errors of `wfg doctor`: 1 (ill)",
    ),
    "a process that ended": (at_the_end(ended=["http-1 ended"]), "processes that ended by themselves: 1"),
    "what does not end": (at_the_end(drained=None), "all came to its end: -"),
    "calls that fail": (at_the_end(noted={"start: ReadTimeout": 6}), "calls that failed: 6"),
    "a crash": (lambda records: records.pop(), "it did not come to its end: the last sample is of 3600 s"),
}


def test_an_hour_as_it_should_be_is_good(hour: Records, tmp_path: Path) -> None:
    assert missed(hour, tmp_path) == []
    assert report_of(hour, tmp_path).clean_after() == 30


def test_a_machine_that_became_quicker_is_no_loss(hour: Records, tmp_path: Path) -> None:
    speed_up_the_machine(hour)
    assert missed(hour, tmp_path) == []


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_missed_and_nothing_else(hour: Records, tmp_path: Path, what: str) -> None:
    break_it, line = WRONG[what]
    break_it(hour)
    lines = missed(hour, tmp_path)
    assert len(lines) == 1, lines
    assert lines[0].startswith(line)


def test_what_the_hold_left_behind_is_no_bloat_while_it_does_not_grow(hour: Records, tmp_path: Path) -> None:
    for record in later(hour, 25):
        record["sizes"]["relations"]["jobs"][1] = 40 * MIB
    assert missed(hour, tmp_path) == []


def test_a_machine_that_is_slower_at_the_end_is_no_fault_of_ours(hour: Records, tmp_path: Path) -> None:
    for name in SERIES:
        slow_down(name)(hour)
    assert missed(hour, tmp_path) == []


def test_what_could_not_be_read_is_left_out_and_a_line_cut_short(hour: Records, tmp_path: Path) -> None:
    for record in later(hour, 0)[::3]:
        record["sizes"] = record["work"] = record["backends"] = None
        record["processes"]["http-1"] = None
    path = tmp_path / "soak.jsonl"
    path.write_text("".join(map(as_line, hour)) + '{"kind":"samp')
    assert Report.of(path).good
    assert Report.of(path).text()


def test_a_file_without_a_sample_is_no_report(hour: Records, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="nothing was measured"):
        report_of(hour[:1], tmp_path)


def test_it_is_said_when_all_was_as_before_the_hold(hour: Records, tmp_path: Path) -> None:
    for record in later(hour, 20):
        if record["at"] < 40 * MINUTE:
            record["times"]["claim"] = [2 * ms for ms in record["times"]["claim"]]
        if record["at"] <= 35 * MINUTE:
            record["sizes"]["dead"] = 50000
    report = report_of(hour, tmp_path)
    assert report.normal_after("claim") == 10 * MINUTE
    assert report.normal_after("list") == 30
    assert report.clean_after() == 5 * MINUTE + 30
    assert "| 600 s |" in report.text()


def test_percentiles_are_of_what_there_is() -> None:
    values = [float(n) for n in range(100)]
    assert [percentile(values, p) for p in (50, 95, 99)] == [50, 95, 99]
    assert percentile([7.0], 95) == 7
    assert percentile([], 50) is None


# --- what is counted, and what is read ---


@pytest.fixture
def world(engine: Engine) -> Engine:
    """Two runs of one job, over, as their clients were told; each job has its effect."""
    engine.query(ARRANGE)
    engine.put("chain", jobs=only("a"))
    for number in range(2):
        run = engine.start("chain", idempotency_key=f"key {number}")
        claim = engine.claim(worker="effects-1")
        engine.query("insert into chaos.effects values (%s)", lease_id(claim))
        engine.complete(claim)
        engine.query("insert into soak.started values (%s)", run)
        engine.query("insert into soak.accepted values (%s, 'a', 'effects-1 0')", run)
    return engine


def counts(engine: Engine) -> tuple[list[str], list[str]]:
    return count_up(engine.connection, LOST), count_up(engine.connection, TWICE)


def test_nothing_is_counted_where_nothing_is_amiss_though_all_is_pruned(world: Engine) -> None:
    assert counts(world) == ([], [])
    world.advance(1000)
    assert world.call("wfg_prune", p_older_than_secs=0)["runs"] == 2
    assert counts(world) == ([], [])


ANY_RUN = "(select id from soak.runs limit 1)"
OTHER_RUN = "(select id from soak.runs offset 1 limit 1)"
ASTRAY = {
    "was answered started": "insert into soak.started values ('no run')",
    "a run without an end": f"delete from soak.run_ends where id = {ANY_RUN}",
    "a run that ended otherwise": f"update soak.run_ends set state = 'failure' where id = {ANY_RUN}",
    "was answered success": f"insert into soak.accepted values ({ANY_RUN}::text, 'b', 'w 0')",
    "an effect without its success": f"update soak.job_ends set state = 'failure' where run_id = {ANY_RUN}",
    "a success without its effect": "truncate chaos.effects",
    "two effects": "insert into chaos.effects select lease_id from chaos.effects limit 1",
    "two ends of a job": "insert into soak.job_ends select * from soak.job_ends limit 1",
    "two ends of a run": "insert into soak.run_ends select * from soak.run_ends limit 1",
    "two runs of one key": f"update soak.runs set key = 'key 0' where id = {OTHER_RUN} or id = {ANY_RUN}",
    "two attempts were answered success": f"insert into soak.accepted values ({ANY_RUN}::text, 'a', 'w 1')",
}


def test_what_is_lost_or_twice_is_counted(world: Engine) -> None:
    for what, statement in ASTRAY.items():
        with world.connection.transaction(force_rollback=True):
            world.query(statement)
            assert what in [line.partition(":")[0] for lines in counts(world) for line in lines]


def test_a_job_that_does_not_end_is_lost(world: Engine) -> None:
    world.start("chain")
    assert {line.partition(":")[0] for line in counts(world)[0]} == {
        "a job without an end",
        "a run without an end",
    }


def test_all_that_is_counted_is_tried() -> None:
    assert {*ASTRAY, "a job without an end"} == {*LOST, *TWICE}


def test_samples_say_what_there_is(world: Engine) -> None:
    """Of a database with two ended runs, and one that waits."""
    world.start("chain")
    sizes = read_sizes(world.connection)
    assert sizes["relations"]["jobs_pkey"][0] == "index"
    assert sizes["relations"]["toast of log_chunks"][0] == "toast"
    assert sizes["wal_bytes"] > 0
    work = read_work(world.connection)
    assert (work["queue"], work["active_runs"], work["broken"]) == (1, 1, [])


def test_the_time_in_the_queue_is_from_the_start_to_the_first_claim(engine: Engine) -> None:
    engine.put("chain", jobs=only("a"))
    start = engine.query("select now() - interval '10 s' as at")[0]["at"]
    engine.set_now(start)
    engine.start("chain")
    engine.advance(2)
    engine.complete(engine.claim())
    assert read_queue_times(engine.connection, ["chain"], 5, 6) == [2000]
    assert read_queue_times(engine.connection, ["other"], 5, 6) == []
    assert read_queue_times(engine.connection, ["chain"], 5, 11) == []


def test_a_process_is_read_with_its_memory_and_its_files() -> None:
    before = read_process(os.getpid())
    with open("/dev/null"):
        ballast = b"x" * (64 * MIB)
        after = read_process(os.getpid())
    assert after["fds"] == before["fds"] + 1
    assert after["anon"] - before["anon"] > 0.9 * len(ballast)
    assert after["anon"] <= after["rss"]
    with pytest.raises(OSError):
        read_process(2**22 + 1)
