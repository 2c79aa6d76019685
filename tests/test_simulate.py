"""`wfg simulate`: it goes as a real run would, tells why, and leaves nothing behind."""

import io
import json
import random
import re
import shlex
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import process_time
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import sql
from rich.console import Console
from wfg.cli import main
from wfg.simulate_command import simulated
from wfg.simulate_path import culprits
from wfg.simulate_report import Report
from wfg.simulate_run import JobTrace, SimulatedRunner
from wfg.simulate_scenario import Fate, Pool, Rule, Scenario, plan
from wfg.simulate_session import Session, SimulatedClaim, SimulationError, simulated_session
from wfg.simulate_spans import read_span, show_ms
from wfg.workflow_file import WorkflowFile, parse_workflow

from tests.arrange import START, chain, diamond, fan, ms, only
from tests.engine import Engine, lease_id
from tests.workers import until_sync

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "simulate.md").read_text()


def file_of(jobs: Mapping[str, Any]) -> WorkflowFile:
    return parse_workflow(Path("x.json"), json.dumps({"name": "X", "jobs": jobs}).encode())


def rules(fate: Fate, *targets: str) -> list[Rule]:
    return [Rule("test", target, fate) for target in targets]


def spans(**by_job: str) -> list[Rule]:
    return [Rule("test", job, read_span(text)) for job, text in by_job.items()]


def simulate(dsn: str, jobs: Mapping[str, Any], *given: Rule, **scenario: Any) -> Report:
    return simulated(file_of(jobs), Scenario(default=read_span("60s"), rules=given, **scenario), {}, dsn)


def cli(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["simulate", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def dsn(new_database, template) -> str:
    """One database for all tests here that leave nothing behind."""
    return new_database(template)


# --- it goes as a real run ---


def random_case(seed: int) -> tuple[dict[str, Any], list[Rule]]:
    """A graph of up to 24 jobs, where much goes wrong; every time in it is a multiple of 10 s."""
    dice = random.Random(seed)
    jobs: dict[str, Any] = {}
    given: list[Rule] = []
    for n in range(dice.randint(6, 24)):
        needs = dice.sample(list(jobs), min(len(jobs), dice.choice([0, 1, 1, 2, 3])))
        job: dict[str, Any] = {"run": "true", "needs": needs, "priority": dice.randint(0, 2)}
        job |= {"retries": dice.randint(0, 2), "lost_retries": dice.randint(0, 1)}
        job["backoff"] = dice.choice(
            ["none", {"fixed": 20}, {"exponential": {"base": 10, "max": 30}}, {"fixed": 10}]
        )
        name = f"j{n}"
        given += [Rule("test", name, read_span(f"{dice.randint(1, 9) * 10}s"))]
        fates = [Fate.SUCCESS, Fate.SUCCESS, Fate.FAIL, Fate.LOSE]
        if dice.random() < 0.5:
            job["timeout"] = dice.choice([20, 50, 120])
            fates.append(Fate.TIMEOUT)
        for attempt in range(1, 2 + job["retries"] + job["lost_retries"]):
            given += rules(dice.choice(fates), f"{name}@{attempt}")
        jobs[name] = job
    return jobs, given


def really(engine: Engine, jobs: Mapping[str, Any], given: Sequence[Rule], workers: int) -> dict[str, Any]:
    """The same by hand: workers that look every 10 s, with leases of 30 s."""
    said = {rule.target: rule.value for rule in given}
    engine.set_now(START)
    engine.put("real", jobs=jobs)
    run_id = engine.start("real")
    held: dict[str, tuple[str, str, int]] = {}  # lease -> job, target, claimed at
    for now in range(0, 100_000, 10):
        engine.set_now(START)
        engine.advance(now)
        engine.call("wfg_reap")
        for lease, (job, target, since) in list(held.items()):
            fate = said[target]
            over = now - since >= said[job].shortest_ms / 1000
            gone = engine.query("select count(*) as n from wfg.queue where lease_nonce = %s", lease[-32:])
            if not gone[0]["n"]:
                del held[lease]
            elif fate in (Fate.SUCCESS, Fate.FAIL) and over:
                engine.complete(lease) if fate is Fate.SUCCESS else engine.fail(lease, retryable=True)
                del held[lease]
            elif fate is not Fate.LOSE:
                engine.call("wfg_renew_lease", p_lease_id=lease)
        while len(held) < workers:
            claims = engine.claim_many(workers - len(held))
            if not claims:
                break
            for claim in claims:
                job = claim["job"]["job_id"]
                held[lease_id(claim)] = (job, f"{job}@{claim['job']['attempt'] + 1}", now)
        if engine.state(run_id) in ("success", "failure"):
            break
    run = engine.call("wfg_get_run", p_run_id=run_id)
    run["details"] = {
        job["job_id"]: engine.call("wfg_get_job", p_run_id=run_id, p_job_id=job["job_id"])["attempts"]
        for job in run["jobs"]
    }
    return run


@pytest.mark.parametrize(("seed", "workers"), [(1, 1000), (2, 2)])
def test_it_goes_as_the_same_run_in_earnest(engine: Engine, database: str, seed: int, workers: int):
    compare(engine, database, seed, workers)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(100, 140))
def test_it_goes_as_many_runs_in_earnest(engine: Engine, database: str, seed: int):
    compare(engine, database, seed, workers=random.Random(seed).choice([1, 2, 3, 1000]))


def compare(engine: Engine, dsn: str, seed: int, workers: int) -> None:
    jobs, given = random_case(seed)
    foretold = simulate(dsn, jobs, *given, pools=[Pool(size=workers)]).as_json()
    run = really(engine, jobs, given, workers)

    def since(at_ms: int | None) -> float | None:
        return None if at_ms is None else (at_ms - ms(START)) / 1000

    assert (foretold["state"], foretold["total_secs"]) == (run["state"], since(run["finished_at_ms"]))
    by_id = {job["job_id"]: job for job in foretold["jobs"]}
    assert len({job["state"] for job in run["jobs"]}) > 1, "this seed tells nothing"
    for job in run["jobs"]:
        told = by_id[job["job_id"]]
        last = told["attempts"][-1] if told["attempts"] else {"start_secs": None}
        assert (told["state"], told["end_secs"]) == (job["state"], since(job["finished_at_ms"])), job
        assert last["start_secs"] == since(job["started_at_ms"]), job
        assert [(each["attempt"], each["outcome"], each["end_secs"]) for each in told["attempts"][:-1]] == [
            (each["attempt"], each["outcome"], since(each["finished_at_ms"]))
            for each in run["details"][job["job_id"]]
        ]


def test_answer_is_the_same_where_nothing_is_rolled_back(engine: Engine, database: str):
    jobs, given = random_case(7)
    scenario = Scenario(default=read_span("60s"), rules=given)
    reports = [
        simulated(file_of(jobs), scenario, {}, database, throwaway=throwaway) for throwaway in (False, True)
    ]
    assert reports[0].as_json() == reports[1].as_json()
    assert reports[0].run.state == "failure"


def test_weeks_of_backoff_pass_at_once(dsn: str):
    jobs = only("a", retries=30, backoff={"exponential": {"base": 60, "max": 86400}})
    report = simulate(dsn, jobs, *rules(Fate.FAIL, "a@1-30"))
    waits = [min(60 * 2**n, 86400) for n in range(30)]
    assert report.as_json()["total_secs"] == 31 * 60 + sum(waits)
    (job,) = report.as_json()["jobs"]
    assert [each["next_due_secs"] - each["end_secs"] for each in job["attempts"][:-1]] == waits


def test_a_lease_is_renewed_for_weeks(dsn: str):
    told = simulate(dsn, only("a"), *spans(a="3w")).as_json()
    assert (told["state"], told["total_secs"], len(told["jobs"][0]["attempts"])) == ("success", 21 * 86400, 1)


def test_jitter_is_that_of_the_seed(dsn: str):
    jobs = only("a", retries=5, backoff={"exponential": {"base": 100, "jitter": 0.5}})
    totals = [
        simulate(dsn, jobs, *rules(Fate.FAIL, "a@1-5"), seed=seed).as_json()["total_secs"]
        for seed in (1, 1, 2)
    ]
    assert totals[0] == totals[1] != totals[2]
    assert all(360 + 0.5 * 3100 <= total <= 360 + 3100.01 for total in totals)


def test_range_is_that_of_the_seed(dsn: str):
    def durations(seed: int) -> list[float]:
        told = simulate(dsn, only("a", "b"), *spans(a="10s..20s"), seed=seed).as_json()
        return [job["end_secs"] for job in told["jobs"]]

    first, again, other = durations(1), durations(1), durations(2)
    assert first == again != other
    assert all(10 <= a <= 20 and b == 60 for a, b in (first, other))


def test_workers_take_what_their_labels_allow_by_priority(dsn: str):
    jobs = {
        **only("low", "first", labels=["gpu"]),
        **only("high", labels=["gpu", "big"], priority=5),
        **only("plain"),
    }
    pools = [Pool(("gpu", "big"), 1), Pool((), 1)]
    told = simulate(dsn, jobs, pools=pools).as_json()
    starts = {job["job_id"]: job["start_secs"] for job in told["jobs"]}
    assert starts == {"high": 0, "plain": 0, "low": 60, "first": 120}


def test_lost_workers_are_those_that_were_named_in_many_lanes(dsn: str):
    """A claim of many comes lane by lane, claims of one in the order of the queue."""
    jobs = {f"j{n}": {"run": "true", "labels": [f"l{n % 3}"], "timeout": 600} for n in range(12)}
    lost = ["j1", "j5", "j6"]
    pools = [Pool(("l0", "l1", "l2"), 12)]
    told = simulate(dsn, jobs, *rules(Fate.LOSE, *lost), pools=pools, ttl_secs=45).as_json()
    assert {job["job_id"]: job["end_secs"] for job in told["jobs"]} == {
        job: 45 if job in lost else 60 for job in jobs
    }
    outcomes = {job["attempts"][0]["outcome"] for job in told["jobs"] if job["job_id"] in lost}
    assert outcomes == {"lease_expired"}


def test_job_that_no_worker_takes_is_named(dsn: str):
    jobs = {**only("a"), **only("train", labels=["gpu"]), "b": {"run": "true", "needs": "train"}}
    report = simulate(dsn, jobs, pools=[Pool(("linux",), 3)])
    assert report.as_json()["without_worker"] == ["train"]
    text = printed(report)
    assert "train: no worker takes it; it requires gpu\n" in text
    assert "X: never ends; nothing happens after 1m  (2 queued · 1 success)" in text


def test_duration_that_nobody_gave_keeps_within_the_timeout(dsn: str):
    jobs = only("a", "b", timeout=60)
    told = simulate(dsn, jobs, *spans(b="60s")).as_json()
    assert [(job["state"], job["end_secs"]) for job in told["jobs"]] == [("success", 54), ("failure", 60)]
    assert told["jobs"][1]["attempts"][0]["outcome"] == "job_timed_out"


def test_workflow_without_jobs_succeeds(dsn: str):
    report = simulate(dsn, {})
    assert (report.run.state, report.run.ended_ms, report.path.jobs) == ("success", 0, [])
    assert printed(report) == "X: success in 0s  ()\n"


# --- why ---


def test_critical_path_adds_up_to_the_whole(dsn: str):
    jobs = diamond(3)
    jobs["m2"] |= {"retries": 1, "backoff": {"fixed": 100}}
    report = simulate(dsn, jobs, *spans(m3="2m"), *rules(Fate.FAIL, "m2@1"), pools=[Pool(size=1)])
    path = report.path
    assert path.length_ms == report.run.ended_ms == path.running_ms + path.backoff_ms + path.worker_wait_ms
    assert list(path.jobs) == ["top", "m2", "bottom"]
    # top 60; m1 60, m2 60, m3 120; m2 is due 100 s after its end, but m3 has the worker for 20 s more.
    assert (path.running_ms, path.backoff_ms, path.worker_wait_ms) == (240_000, 100_000, 80_000)


def test_critical_path_goes_over_the_need_that_ended_last(dsn: str):
    jobs = {**chain(3), **only("long"), "end": {"run": "true", "needs": ["j3", "long"]}}
    assert list(simulate(dsn, jobs).path.jobs) == ["j1", "j2", "j3", "end"]
    assert list(simulate(dsn, jobs, *spans(long="181s")).path.jobs) == ["long", "end"]


def test_skipped_job_tells_what_failed_above_it(dsn: str):
    jobs = {**chain(4), **only("other"), "both": {"run": "true", "needs": ["j4", "other"]}}
    report = simulate(dsn, jobs, *rules(Fate.FAIL, "j2", "other"))
    because = {job["job_id"]: job["skipped_because"] for job in report.as_json()["jobs"]}
    assert because == {"j1": [], "other": [], "j2": [], "j3": ["j2"], "j4": ["j2"], "both": ["j2", "other"]}
    assert report.run.state == "failure"


def test_why_ten_thousand_jobs_were_skipped_is_told_at_once():
    """Each looked for it by itself: a quarter of a minute."""
    jobs = {f"j{n}": JobTrace(f"j{n}", "", [f"j{n - 1}"], "skipped") for n in reversed(range(1, 10_000))}
    jobs["j0"] = JobTrace("j0", "", [], "failure")
    began = process_time()
    found = culprits(jobs)
    assert process_time() - began < 2
    assert len(found) == 9999
    assert all(each == ["j0"] for each in found.values())


# --- nothing is left behind ---


def everything(engine: Engine) -> dict[str, Any]:
    """Every row of every table, with the version of it; and when upkeep is due."""
    tables = {
        name: engine.query(f"select t.ctid::text, t.xmin::text, t::text from wfg.{name} t order by 1")
        for name in engine.tables()
    }
    return {**tables, "upkeep": engine.query("select last_value, is_called from wfg.upkeep_due_ms")}


def busy(engine: Engine) -> None:
    """Real work of all kinds: done, ready, leased, expired and not noticed, to be tried again, cancelled."""
    engine.put(
        jobs={**only("a", "b", "c", "d", retries=2, backoff={"fixed": 60}), **only("g", labels=["gpu"])}
    )
    engine.start()
    engine.complete(engine.claim())
    engine.fail(engine.claim(), retryable=True)
    engine.claim("fast", ttl=1)
    engine.claim("slow", ttl=3600)
    engine.start()
    engine.call("wfg_cancel_run", p_run_id=engine.start())
    engine.query("update wfg.queue set expires_at = expires_at - interval '1 hour' where worker_id = 'fast'")


def test_nothing_is_left_behind_in_a_database_where_others_work(engine: Engine, database: str, listener):
    busy(engine)
    listener()
    before = everything(engine)
    jobs = {**fan(30, retries=1), **only("lost", "slow", labels=["gpu"], timeout=10, retries=1)}
    jobs["root"]["priority"] = 3
    given = [*rules(Fate.FAIL, "leaf1", "leaf2@1"), *rules(Fate.LOSE, "lost@1"), *rules(Fate.TIMEOUT, "slow")]
    report = simulate(database, jobs, *given)

    assert report.run.state == "failure"
    assert {job.state for job in report.run.jobs.values()} == {"success", "failure"}
    assert everything(engine) == before
    assert listener() == []
    left = "select 1 from pg_stat_activity where application_name = 'wfg simulate'"
    until_sync(lambda: not engine.query(left))  # a backend ends after its client


def test_nothing_is_left_behind_when_it_fails_midway(engine: Engine, database: str, monkeypatch):
    monkeypatch.setattr("wfg.simulate_session.MAX_MS", 600_000)
    busy(engine)
    before = everything(engine)
    with pytest.raises(SimulationError, match="15 years"):
        simulate(database, only("a", retries=30), *rules(Fate.FAIL, "a"))
    assert everything(engine) == before


def test_others_work_on_while_it_lasts(engine: Engine, connect, database: str):
    """With its locks held: no call of a real worker waits, and none of its work is taken."""
    engine.put(jobs=only("a", "b", "c", retries=1))
    run_id = engine.start()
    expired = engine.claim("gone", ttl=1)
    engine.query("update wfg.queue set expires_at = expires_at - interval '1 hour' where worker_id = 'gone'")
    other = connect()
    other.query("set lock_timeout = '1s'")

    scenario = Scenario(default=read_span("60s"), rules=rules(Fate.LOSE, "a"), pools=[Pool()])
    source = file_of(only("a", "b", labels=["gpu"]))
    with simulated_session(database, 0) as session:
        definition, _ = session.put(source, lenient=False, labelled=False)
        runner = SimulatedRunner(
            session, session.start({}), plan(scenario, definition.jobs), definition.jobs, None
        )
        assert runner.run().state == "failure"  # it has claimed, reaped and reported

        claim = other.claim("real")
        assert claim["job"]["run_id"] == run_id
        other.call("wfg_renew_lease", p_lease_id=lease_id(claim))
        other.complete(claim)
        assert other.call("wfg_reap") == {"retried": 1, "failed": 0, "cancelled": 0}
        other.fails("wfg_complete_job", status=409, slug="lease_not_held", p_lease_id=lease_id(expired))
        started = other.start()
        assert other.jobs(started) == {"a": "queued", "b": "queued", "c": "queued"}
        other.put(jobs=only("changed"))
    assert sorted(engine.jobs(run_id).values()) == ["queued", "queued", "success"]


def test_role_that_may_not_set_the_clock_is_told(engine: Engine, database: str, monkeypatch):
    role = f"wfg_test_{uuid.uuid4().hex[:8]}"
    connect = psycopg.connect

    def as_role(*arguments: Any, **options: Any) -> psycopg.Connection:
        connection = connect(*arguments, **options)
        connection.execute(sql.SQL("set session authorization {}").format(sql.Identifier(role)))
        return connection

    engine.query(f"create role {role}")
    try:
        engine.query(f"grant wfg_operator to {role}")
        with monkeypatch.context() as patched:
            patched.setattr("wfg.simulate_session.psycopg.connect", as_role)
            result = cli("--database-url", database, str(CI))
    finally:
        engine.query(f"drop role {role}")
    assert result.exit_code == 1
    assert "Only a member of the role that owns schema wfg may set the clock" in result.stderr


def test_it_gives_up_when_others_would_wait_for_long(engine: Engine, database: str, monkeypatch):
    monkeypatch.setattr("wfg.simulate_command.TRANSACTION_SECS", -1)
    with pytest.raises(SimulationError, match="too long"):
        simulate(database, only("a"))


# --- the command ---

CI = ROOT / "workflows" / "ci.yml"


def printed(report: Report, **console: Any) -> str:
    output = io.StringIO()
    report.print(Console(file=output, highlight=False, **console))
    return output.getvalue()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--fail buld", "--fail: there is no job 'buld'; did you mean 'build'?"),
        ("--lose nobody@1", "--lose: there is no job 'nobody'"),
        ("--duration build", "--duration: 'build' is not of the form JOB=TIME"),
        ("--duration build=soon", "--duration: 'soon' is no time such as 90s, 1h30m or 250ms"),
        ("--duration build=2m..1m", "--duration: '2m..1m' begins with the longer one"),
        ("--duration build=60w", "--duration: '60w' is longer than a year"),
        ("--default-duration -1s", "--default-duration: '-1s' is no time"),
        ("--fail lint@2", "--fail: 'lint' has one attempt, by its retries"),
        ("--fail flaky@2-4", "--fail: 'flaky' has 3 attempts at most, by its retries"),
        ("--fail flaky@2-1", "--fail: 'flaky@2-1' begins with the later attempt"),
        ("--timeout lint", "--timeout: 'lint' has no timeout"),
        ("--fail flaky@1 --lose flaky@1", "--lose: 'flaky@1' can only fail or lose"),
        ("--fail flaky@1-2 --lose flaky@2", "--lose: 'flaky@2' can only fail or lose"),
        ("--workers gpu", "--workers: 'gpu' is not of the form N or LABEL,LABEL=N"),
        ("--workers 0", "--workers: '0' is not of the form"),
        ("--input who", "'who' is not of the form NAME=VALUE"),
    ],
)
def test_what_cannot_be_assumed_is_refused_by_the_name_of_its_option(dsn: str, arguments: str, message: str):
    result = cli(str(CI), "--database-url", dsn, *arguments.split())
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jobs:\n  lint: {fial: true}\n", "s.yml:2: jobs.lint.fial: unknown key"),
        (
            "jobs:\n  lint: {}\n  buld: {fail: true}\n",
            "s.yml:3: there is no job 'buld'; did you mean 'build'?",
        ),
        ("jobs:\n  lint: {duration: long}\n", "s.yml:2: 'long' is no time"),
        (
            "jobs:\n  lint: {fail: often}\n",
            "s.yml:2: jobs.lint.fail: must be true, an attempt such as 1 or 1-3",
        ),
        ("jobs:\n  flaky: {fail: [1], lose: 1}\n", "s.yml:2: 'flaky@1' can only fail or lose"),
        ("ttl: 0\n", "s.yml:1: ttl: "),
        ("workers: gpu\n", "s.yml: workers: 'gpu' is not of the form"),
        ("default_duration: never\n", "s.yml: default_duration: 'never' is no time"),
        ("jobs: [\n", "s.yml:2"),
        ("[]\n", "s.yml:1: the file: "),
    ],
)
def test_scenario_file_is_refused_by_its_line(dsn: str, tmp_path: Path, text: str, message: str):
    (tmp_path / "s.yml").write_text(text)
    result = cli(str(CI), "--database-url", dsn, "--with", str(tmp_path / "s.yml"))
    assert result.exit_code in (1, 2)
    assert message in result.stderr


def test_refusals_of_the_engine_name_line_and_input(dsn: str, tmp_path: Path):
    (tmp_path / "bad.yml").write_text("name: x\njobs:\n  a: {run: 'true', needs: b, labels: [x]}\n")
    bad = cli(str(tmp_path / "bad.yml"), "--database-url", dsn)
    assert (bad.exit_code, f"{tmp_path}/bad.yml:3: jobs.a.needs" in bad.stderr) == (1, True)
    assert (
        "p_inputs.nobody: the workflow has no such input"
        in cli(str(CI), "--database-url", dsn, "-i", "nobody=1").stderr
    )


def test_options_win_over_the_file(dsn: str, tmp_path: Path):
    (tmp_path / "s.yml").write_text(
        "default_duration: 90\nseed: 3\nworkers: 4\nttl: 60\ninputs: {who: 1.5}\n"
        "jobs:\n  lint: {duration: 10}\n  flaky: {fail: [1, 2]}\n  typecheck: {lose: true}\n"
    )
    file = ("--with", str(tmp_path / "s.yml"))

    def ends(*options: str) -> dict[str, float]:
        told = json.loads(cli(str(CI), "--database-url", dsn, *file, "--json", *options).stdout)
        return {job["job_id"]: job["end_secs"] for job in told["jobs"]}

    first = ends()
    assert (first["lint"], first["unit-tests"], first["flaky"], first["typecheck"]) == (10, 90, 272, 60)
    second = ends("--duration", "lint=20s", "--default-duration", "30s", "--ttl", "15", "--workers", "1")
    assert (second["lint"], second["unit-tests"], second["typecheck"]) == (20, 50, 95)


def test_exit_code_is_that_of_the_run(dsn: str):
    assert cli(str(CI), "--database-url", dsn).exit_code == 0
    assert cli(str(CI), "--database-url", dsn, "--fail", "lint").exit_code == 1


def test_bars_are_as_wide_as_the_terminal(dsn: str):
    report = simulate(dsn, chain(3, retries=1, backoff={"fixed": 60}), *rules(Fate.FAIL, "j1@1", "j2"))
    lines = printed(report, force_terminal=True, width=48, color_system=None).splitlines()
    assert lines[:4] == [
        "* j1 " + "▒" * 7 + "·" * 7 + "█" * 7,
        "* j2 " + " " * 21 + "▒" * 7 + "·" * 7 + "▒" * 7,
        "  j3 " + " " * 41 + "⊘",
        "     0s" + " " * 38 + "6m",
    ]
    assert max(map(len, lines[:4])) < 48


def test_marks_are_ascii_where_the_terminal_is(dsn: str):
    report = simulate(dsn, chain(2, retries=1, backoff={"fixed": 60}), *rules(Fate.FAIL, "j1@1", "j2"))
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    report.print(Console(file=output))
    output.seek(0)
    bars = output.read().splitlines()[:2]
    assert [re.sub(r"(.)\1+", r"\1", bar.split()[2]) for bar in bars] == ["x.#", "x.x"]


def test_names_are_harmless_at_a_terminal(dsn: str):
    report = simulate(dsn, {"a": {"run": "true", "name": "\x1b[2Jevil\u202e"}})
    assert "\x1b[2J" not in printed(report)
    assert "\u202e" not in printed(report)


def test_by_default_it_happens_on_a_postgres_that_is_there_for_it_only():
    done = subprocess.run(
        [sys.executable, "-m", "wfg", "simulate", str(CI), "--json", "--duration", "unit-tests=2w"],
        env={"PATH": "/usr/bin:/bin", "DATABASE_URL": "postgresql://nobody@nowhere.invalid/none"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["critical_path"]["jobs"][:2] == ["unit-tests", "build"]
    assert told["total_secs"] == 14 * 86400 + 54 + 60 + 60


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("90", "1m 30s"),
        ("1h30m", "1h 30m"),
        ("1h 30m", "1h 30m"),
        ("250ms", "0.25s"),
        ("0", "0s"),
        ("1.5", "1.5s"),
        ("10d", "1w 3d"),
        ("59.9996s", "1m"),
    ],
)
def test_times_are_read_and_shown(text: str, shown: str):
    assert show_ms(read_span(text).shortest_ms) == shown


def test_one_that_is_lost_does_not_slow_down_the_others(dsn: str, monkeypatch):
    claims: list[int] = []
    claim = Session.claim

    def counted(session: Session, pool: Pool, limit: int, ttl_secs: int) -> list[SimulatedClaim]:
        claims.append(limit)
        return claim(session, pool, limit, ttl_secs)

    monkeypatch.setattr(Session, "claim", counted)
    jobs = {f"j{n}": {"run": "true", "retries": 1} for n in range(100)}
    report = simulate(dsn, jobs, *rules(Fate.LOSE, "j50@1"))
    assert [job.job_id for job in report.ordered if len(job.attempts) > 1] == ["j50"]
    assert len(claims) < 60


@pytest.mark.nightly
def test_thousand_jobs_take_a_few_seconds(dsn: str):
    dice = random.Random(1)
    jobs = {
        f"j{n}": {
            "run": "true",
            "needs": sorted({f"j{dice.randrange(max(0, n - 50), n)}" for _ in range(3)}) if n else [],
            "retries": 2,
        }
        for n in range(1000)
    }
    report = simulate(
        dsn, jobs, *rules(Fate.FAIL, *(f"j{n}@1" for n in range(0, 1000, 7))), pools=[Pool(size=10)]
    )
    assert report.run.state == "success"
    assert report.path.length_ms == report.run.ended_ms


# --- the page ---


def test_the_commands_of_the_page_answer_as_it_says(dsn: str, tmp_path: Path, monkeypatch):
    def blocks(language: str) -> list[str]:
        return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

    def told(command: str) -> str:
        arguments = shlex.split(command.partition("||")[0].replace("$DATABASE_URL", dsn))
        assert arguments[:2] == ["wfg", "simulate"]
        if "--database-url" not in arguments:
            arguments += ["--database-url", dsn]  # which starts quicker
        result = cli(*arguments[2:])
        assert result.exit_code == (1 if "||" in command else 0), result.output
        return result.stdout

    etl, scenario = blocks("yaml")
    (tmp_path / "etl.yml").write_text(etl)
    (tmp_path / "black-friday.yml").write_text(scenario)
    monkeypatch.chdir(tmp_path)
    retried, failed, as_json, elsewhere = blocks("sh")
    one, two = blocks("text")
    assert told(retried).split() == one.split()
    assert told(failed).split() == two.split()
    (shortened,) = blocks("json")
    assert json.loads(shortened).items() <= json.loads(told(as_json)).items()
    assert "ETL: success in 3m" in told(elsewhere)


def test_the_page_names_every_option():
    result = CliRunner().invoke(main, ["simulate", "--help"])
    options = set(re.findall(r"(--[a-z-]+)", result.output)) - {"--help", "--lenient"}
    assert len(options) > 10
    assert {option for option in options if f"`{option}" not in PAGE and f" {option} " not in PAGE} == set()
