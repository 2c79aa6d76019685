"""pg_cron, the real one, does the upkeep: on a server of its own, of the version of the tests' server.

Nothing else works there: no server of ours, no claim while we wait. wfg is installed as at Supabase, by a
role that is no superuser.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from wfg import embedded, shapes
from wfg.cli import main

from tests.arrange import engine_on, only
from tests.conftest import load_sql
from tests.engine import Engine
from tests.own_postgres import OwnPostgres, own_postgres
from tests.serving import serving
from tests.test_readme_examples import SHAPES, matches
from tests.workers import until_sync

HOME = "cron_home"  # the database where pg_cron is
OWNER = "deployer"
NAMES = ["wfg_prune", "wfg_purge_cron", "wfg_reap"]
CHAIN = {**only("a"), "b": {"run": "true", "needs": ["a"]}, "c": {"run": "true", "needs": ["b"]}}
FUNCTIONS = ("wfg_schedule_cron", "wfg_unschedule_cron", "wfg_list_cron")
PAGE = (Path(__file__).parent.parent / "docs" / "cron.md").read_text()


# --- servers ---


@contextmanager
def server_with_cron(server: str, **settings: str) -> Iterator[OwnPostgres]:
    """A server that has loaded pg_cron, with wfg in its home."""
    with psycopg.connect(server) as connection:
        if not connection.execute("select from pg_available_extensions where name = 'pg_cron'").fetchall():
            pytest.skip("the extension pg_cron is not on this server")
    ours = {"shared_preload_libraries": "pg_cron", "cron.database_name": HOME, "cron.host": "HOME"}
    with own_postgres(server, **ours, fsync="off", **settings) as postgres:
        with psycopg.connect(postgres.dsn, autocommit=True) as connection:
            connection.execute(f"create role {OWNER} login createrole")
            connection.execute("create role somebody login")
            connection.execute(f"create database {HOME} owner {OWNER}")
        load_sql(make_conninfo(postgres.dsn, dbname=HOME, user=OWNER))
        yield postgres


@pytest.fixture(scope="module")
def cron_server(server: str) -> Iterator[OwnPostgres]:
    with server_with_cron(server) as postgres:
        yield postgres


@contextmanager
def at_home(postgres: OwnPostgres) -> Iterator[Engine]:
    """A superuser's session where pg_cron is at home, and is allowed to the owner. Afterwards it is empty."""
    with engine_on(make_conninfo(postgres.dsn, dbname=HOME)) as engine:
        engine.query("create extension if not exists pg_cron")
        engine.query(f"grant usage on schema cron to {OWNER}, somebody")
        yield engine
        engine.query("reset session authorization")
        engine.query("create extension if not exists pg_cron")
        engine.query("select cron.unschedule(jobid) from cron.job")
        engine.query("delete from cron.job_run_details")
        engine.check()


@pytest.fixture
def cron(cron_server: OwnPostgres) -> Iterator[Engine]:
    with at_home(cron_server) as engine:
        yield engine


@pytest.fixture
def elsewhere(cron_server: OwnPostgres, cron: Engine) -> Iterator[Engine]:
    """wfg in another database of that server, installed by the superuser."""
    dsn = cron_server.new_database()
    with engine_on(dsn) as engine:
        yield engine
    cron.query(f"drop database {name_of(engine)} with (force)")


@pytest.fixture(params=[OWNER, "postgres"])
def owner(request: pytest.FixtureRequest, cron: Engine) -> Iterator[str]:
    """Whom the functions belong to: a superuser sees everybody's jobs."""
    for function in FUNCTIONS:
        cron.query(f"alter function public.{function} owner to {request.param}")
    yield request.param
    for function in FUNCTIONS:
        cron.query(f"alter function public.{function} owner to {OWNER}")


def name_of(engine: Engine) -> str:
    return str(conninfo_to_dict(engine.dsn)["dbname"])


def as_role(engine: Engine, role: str, *statements: str) -> None:
    engine.query(f"set session authorization {role}")
    try:
        for statement in statements:
            engine.query(statement)
    finally:
        engine.query("reset session authorization")


def knows_seconds(engine: Engine) -> bool:
    (row,) = engine.query("select extversion from pg_extension where extname = 'pg_cron'")
    return [int(part) for part in re.findall(r"\d+", row["extversion"])[:2]] >= [1, 5]


def jobs(engine: Engine) -> list[dict[str, Any]]:
    """All that pg_cron has, as the superuser sees it."""
    return engine.query(
        "select jobid, jobname::text as name, schedule, command, database, username, active"
        " from cron.job order by 2, 5, 6"
    )


def names(engine: Engine) -> list[str]:
    return [job["name"] for job in jobs(engine)]


def alter(engine: Engine, name: str, what: str) -> None:
    engine.query(f"select cron.alter_job(jobid, {what}) from cron.job where jobname::text = %s", name)


def listed(engine: Engine, name: str) -> dict[str, Any]:
    (job,) = [job for job in engine.call("wfg_list_cron")["items"] if job["name"] == name]
    return job


# --- by cron alone ---


def ends(engine: Engine, within: float) -> None:
    """A run whose first job was leased an hour ago, by a worker that was not heard of since: we look on."""
    engine.put("chain", jobs=CHAIN)
    engine.set_now(engine.now() - timedelta(hours=1))
    run_id = engine.start("chain")
    assert engine.claim() is not None
    engine.set_now(None)
    assert engine.jobs(run_id) == {"a": "running", "b": "queued", "c": "queued"}

    begun = time.monotonic()
    until_sync(lambda: engine.state(run_id) == "failure", within)
    print(f"pg_cron ended the run after {time.monotonic() - begun:.1f} s")
    assert engine.jobs(run_id) == {"a": "failure", "b": "skipped", "c": "skipped"}
    assert engine.query("select from wfg.queue") == []


def test_an_expired_lease_ends_its_run_within_15_seconds(cron: Engine):
    """Read now, what pg_cron does is the README's example."""
    if not knows_seconds(cron):
        pytest.skip("this pg_cron knows no seconds")
    cron.call("wfg_schedule_cron")
    ends(cron, 15)
    until_sync(lambda: listed(cron, "wfg_reap")["last_status"] == "succeeded")
    assert matches(SHAPES["CronJob"], json.dumps(listed(cron, "wfg_reap")))


@pytest.mark.nightly
def test_an_expired_lease_ends_its_run_within_75_seconds(cron: Engine):
    """By the job of a minute, which older versions have; here on any."""
    cron.call("wfg_schedule_cron")
    if knows_seconds(cron):
        alter(cron, "wfg_reap", "schedule := '* * * * *'")
    assert listed(cron, "wfg_reap")["schedule"] == "* * * * *"
    ends(cron, 75)


@pytest.mark.nightly
def test_it_works_with_background_workers_too(server: str):
    with (
        server_with_cron(server, **{"cron.use_background_workers": "on"}) as postgres,
        at_home(postgres) as cron,
    ):
        cron.call("wfg_schedule_cron")
        ends(cron, 75)


@pytest.mark.nightly
def test_an_expired_lease_ends_its_run_in_another_database(cron: Engine, elsewhere: Engine):
    hint = elsewhere.fails("wfg_schedule_cron", status=409, slug="cron_unavailable").message_hint
    cron.query(str(hint).partition("create ")[2].join(("create ", "")))
    ends(elsewhere, 75)


# --- what is scheduled ---


def test_what_is_scheduled_is_the_owners_and_does_its_work(cron: Engine):
    answer = cron.call("wfg_schedule_cron", p_keep_per_workflow=5, p_logs_older_than_secs=604800)
    assert [job["name"] for job in answer["items"]] == NAMES
    assert {(job["database"], job["username"], job["active"]) for job in jobs(cron)} == {(HOME, OWNER, True)}
    prune, purge, reap = (job["command"] for job in jobs(cron))
    assert prune == (
        "select public.wfg_prune(p_older_than_secs => 2592000, p_limit => 10000, p_keep_per_workflow => 5,"
        " p_logs_older_than_secs => 604800)"
    )
    as_role(cron, OWNER, prune, purge, reap)
    seconds = knows_seconds(cron)
    assert reap == ("select public.wfg_reap()" if seconds else "select public.wfg_reap(10000)")
    assert listed(cron, "wfg_reap")["schedule"] == ("10 seconds" if seconds else "* * * * *")


def test_scheduling_again_replaces(cron: Engine):
    cron.call("wfg_schedule_cron")
    first = jobs(cron)
    cron.call("wfg_schedule_cron")
    assert jobs(cron) == first
    cron.call("wfg_schedule_cron", p_older_than_secs=86400)
    assert [job["jobid"] for job in jobs(cron)] == [job["jobid"] for job in first]
    assert "p_older_than_secs => 86400," in listed(cron, "wfg_prune")["command"]


def test_what_was_switched_off_is_on_again(cron: Engine):
    cron.call("wfg_schedule_cron")
    alter(cron, "wfg_reap", "active := false")
    assert not listed(cron, "wfg_reap")["active"]
    answer = cron.call("wfg_schedule_cron")
    assert [(job["name"], job["active"]) for job in answer["items"]] == [(name, True) for name in NAMES]


def test_all_at_once_schedule_it_once(cron: Engine):
    def schedule(_: int) -> int:
        with closing(Engine(cron.dsn)) as engine:
            for _ in range(5):
                answer = engine.call("wfg_schedule_cron")
                engine.call("wfg_unschedule_cron")
            return len(answer["items"])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(schedule, range(4))) == [3] * 4
    assert jobs(cron) == []


def test_jobs_of_others_are_left_alone(cron: Engine, elsewhere: Engine, owner: str):
    """Somebody's of the same name, ours without one, and ours for another database that has the name."""
    as_role(cron, "somebody", *(f"select cron.schedule('{name}', '* * * * *', 'select 1')" for name in NAMES))
    as_role(cron, owner, "select cron.schedule('* * * * *', 'select 2')")
    there = name_of(elsewhere)
    cron.query(f"select cron.schedule_in_database('wfg_reap', '* * * * *', 'select 3', '{there}', '{owner}')")
    others = jobs(cron)
    assert cron.call("wfg_list_cron")["items"] == []

    for _ in range(2):
        answer = cron.call("wfg_schedule_cron")
        assert [job["name"] for job in answer["items"]] == [f"{name}_{HOME}" for name in NAMES]
    assert [job for job in jobs(cron) if job in others] == others
    assert len(jobs(cron)) == len(others) + 3
    assert cron.call("wfg_unschedule_cron") == {"unscheduled": [f"{name}_{HOME}" for name in NAMES]}
    assert jobs(cron) == others
    assert cron.call("wfg_unschedule_cron") == {"unscheduled": []}


def test_jobs_get_their_names_back(cron: Engine, elsewhere: Engine):
    """When the other database's are gone, what is scheduled under the longer names goes, too."""
    there = name_of(elsewhere)
    cron.query(f"select cron.schedule_in_database('wfg_reap', '* * * * *', 'select 3', '{there}', '{OWNER}')")
    cron.call("wfg_schedule_cron")
    cron.query(f"select cron.unschedule(jobid) from cron.job where database = '{there}'")
    cron.call("wfg_schedule_cron")
    assert names(cron) == NAMES


def note(engine: Engine, job_id: int, days: int, command: str, username: str = OWNER) -> None:
    engine.query(
        "insert into cron.job_run_details (jobid, command, username, database, status, start_time, end_time)"
        " values (%s, %s, %s, current_database(), 'succeeded',"
        " now() - %s * interval '1 day', now() - %s * interval '1 day')",
        *(job_id, command, username, days, days),
    )


def noted(engine: Engine) -> list[str]:
    return [row["command"] for row in engine.query("select command from cron.job_run_details order by runid")]


def test_only_old_notes_about_our_jobs_are_purged(cron: Engine, owner: str):
    as_role(cron, "somebody", "select cron.schedule('wfg_reap', '* * * * *', 'select 1')")
    (other,) = jobs(cron)
    cron.call("wfg_schedule_cron")
    ours = [job["jobid"] for job in jobs(cron) if job["username"] == owner]
    cron.query(
        "insert into cron.job_run_details (jobid, command, username, database, status)"
        " values (%s, 'cut off', %s, current_database(), 'failed')",
        *(ours[0], owner),
    )
    for job_id in ours:
        note(cron, job_id, 8, "old", owner)
    note(cron, other["jobid"], 8, "of somebody", "somebody")
    note(cron, ours[0], 6, "young", owner)
    (purge,) = [job["command"] for job in jobs(cron) if job["name"] == "wfg_purge_cron"]
    as_role(cron, owner, purge)
    assert noted(cron) == ["of somebody", "young"]
    cron.call("wfg_unschedule_cron")
    assert noted(cron) == ["of somebody"]


# --- where it cannot be ---


def test_without_the_extension_the_hint_says_how_to_get_it(cron: Engine):
    cron.query("drop extension pg_cron")
    refusal = cron.fails("wfg_schedule_cron", status=409, slug="cron_unavailable")
    assert "create extension pg_cron; If that is refused, first put " in str(refusal.message_hint)
    cron.query(f"grant pg_read_all_settings to {OWNER}")
    refusal = cron.fails("wfg_schedule_cron", status=409, slug="cron_unavailable")
    cron.query(f"revoke pg_read_all_settings from {OWNER}")
    assert refusal.message_hint == "As a superuser: create extension pg_cron;"
    assert cron.call("wfg_list_cron") == {"items": [], "next_cursor": None}
    assert cron.call("wfg_unschedule_cron") == {"unscheduled": []}

    cron.query(str(refusal.message_hint).partition(": ")[2])
    for function in FUNCTIONS:
        refusal = cron.fails(function, status=409, slug="cron_unavailable")
        assert refusal.message_hint == f"As a superuser: grant usage on schema cron to {OWNER};"
    cron.query(str(refusal.message_hint).partition(": ")[2])
    assert len(cron.call("wfg_schedule_cron")["items"]) == 3


def test_in_another_database_the_hint_says_what_to_call_where_pg_cron_is(cron: Engine, elsewhere: Engine):
    there = name_of(elsewhere)
    parameters = {"p_older_than_secs": 86400, "p_logs_older_than_secs": 3600}
    refusal = elsewhere.fails("wfg_schedule_cron", status=409, slug="cron_unavailable", **parameters)
    assert refusal.message_detail == f"pg_cron of this server is at home in the database {HOME}."
    statements = str(refusal.message_hint).removeprefix("There, as a superuser: ")
    for _ in range(2):
        cron.query(statements)

    assert names(cron) == [f"{name}_{there}" for name in NAMES]
    prune, purge, reap = jobs(cron)
    assert [job["database"] for job in (prune, purge, reap)] == [there, HOME, there]
    for job in (prune, reap):
        elsewhere.query(job["command"])
    for job in (prune, purge, reap):
        note(cron, job["jobid"], 8, "old", "postgres")
    as_role(cron, purge["username"], purge["command"])
    assert noted(cron) == []
    assert "86400" in prune["command"]
    assert "3600" in prune["command"]
    # These are not of this database.
    assert cron.call("wfg_list_cron")["items"] == []


def test_who_may_not_see_the_settings_is_told_both(cron: Engine, elsewhere: Engine):
    elsewhere.query(f"alter function public.wfg_schedule_cron owner to {OWNER}")
    elsewhere.query(f"grant usage on schema wfg to {OWNER}")
    elsewhere.query(f"grant execute on all functions in schema wfg to {OWNER}")
    refusal = elsewhere.fails("wfg_schedule_cron", status=409, slug="cron_unavailable")
    assert f"cron.database_name = '{name_of(elsewhere)}'" in str(refusal.message_hint)


@pytest.mark.parametrize(
    "wrong",
    [
        {"p_older_than_secs": -1},
        {"p_older_than_secs": None},
        {"p_keep_per_workflow": None},
        {"p_logs_older_than_secs": -1},
    ],
)
def test_what_makes_no_sense_is_refused(engine: Engine, wrong: dict[str, int | None]):
    refusal = engine.fails("wfg_schedule_cron", status=422, slug="invalid_request", **wrong)
    assert next(iter(wrong)) in str(refusal.message_detail)


# --- doctor ---


def said(engine: Engine) -> list[tuple[str, str, str]]:
    found = [each for each in engine.call("wfg_doctor")["findings"] if each["check"] == "cron"]
    return [(each["severity"], each["message"], each["fix"]) for each in found]


def test_the_doctor_knows_what_is_scheduled(cron: Engine):
    ((severity, _, fix),) = said(cron)
    assert (severity, fix) == ("info", "select public.wfg_schedule_cron();")
    cron.query(fix)
    reap = listed(cron, "wfg_reap")
    assert all("last ran at no time" in message for _, message, _ in said(cron))
    (job_id,) = [job["jobid"] for job in jobs(cron) if job["name"] == "wfg_reap"]
    note(cron, job_id, 0, reap["command"])
    assert said(cron) == []
    cron.advance(3600)
    assert {severity for severity, _, _ in said(cron)} == {"warning"}


def test_the_doctor_says_when_the_owner_may_not_look(cron: Engine):
    cron.query(f"revoke usage on schema cron from {OWNER}")
    ((severity, message, fix),) = said(cron)
    assert (severity, message) == ("info", "What pg_cron does cannot be seen.")
    cron.query(fix)
    assert "no job of it" in said(cron)[0][1]


# --- from outside ---


def wfg(*arguments: str, **env: str | None) -> Result:
    clean = {"DATABASE_URL": None, "SERVER_URL": None, "FORCE_COLOR": None, "NO_COLOR": None}
    return CliRunner().invoke(main, arguments, env={**clean, **env}, catch_exceptions=False)


def test_the_command_over_a_server_and_without_one(cron: Engine):
    with serving(cron.dsn) as http:
        for env in ({"SERVER_URL": str(http.base_url)}, {"DATABASE_URL": cron.dsn}):
            done = wfg("cron", "schedule", "--keep-all", "--logs-older-than", "7d", "--keep", "3", **env)
            assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["NAME", *NAMES]
            command = listed(cron, "wfg_prune")["command"]
            assert "p_older_than_secs => 3155760000," in command
            assert command.endswith("p_keep_per_workflow => 3, p_logs_older_than_secs => 604800)")
            assert json.loads(wfg("cron", "show", "--json", **env).stdout) == cron.call("wfg_list_cron")
            alter(cron, "wfg_reap", "active := false")
            assert "\nwfg_reap\tswitched off\t" in wfg("cron", "show", **env).stdout
            assert wfg("cron", "unschedule", **env).stdout == f"unscheduled: {', '.join(NAMES)}\n"
            assert wfg("cron", "unschedule", **env).stdout == "unscheduled: nothing\n"
            assert "wfg cron schedule" in wfg("cron", "show", **env).stderr


def test_the_command_without_pg_cron_says_what_helps(database: str):
    done = wfg("cron", "schedule", DATABASE_URL=database)
    assert done.exit_code == 1
    assert "cron_unavailable" in done.stderr
    assert "postgresql.conf" in done.stderr or "create extension pg_cron" in done.stderr


def test_the_route_takes_what_the_function_takes(cron: Engine):
    with serving(cron.dsn) as http:
        body = {"older_than_secs": 86400, "keep_per_workflow": 2, "logs_older_than_secs": 3600}
        answer = http.put("/api/cron", json=body)
        assert (answer.status_code, answer.json()) == (200, http.get("/api/cron").json())
        assert [job.name for job in shapes.CronJobs.model_validate(answer.json()).items] == NAMES
        assert listed(cron, "wfg_prune")["command"].endswith(
            "(p_older_than_secs => 86400, p_limit => 10000, p_keep_per_workflow => 2,"
            " p_logs_older_than_secs => 3600)"
        )
        assert http.put("/api/cron").status_code == 200
        assert "=> 2592000," in listed(cron, "wfg_prune")["command"]
        assert http.delete("/api/cron").json() == {"unscheduled": NAMES}


def test_the_route_without_pg_cron_says_what_helps(database: str):
    with serving(database) as http:
        answer = http.put("/api/cron")
        assert (answer.status_code, answer.json()["message"]) == (409, "cron_unavailable")
        assert answer.json()["hint"]


def test_the_commands_of_the_page_work(cron: Engine):
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:{embedded.find_binaries()}"
    with serving(cron.dsn) as http:
        url = str(http.base_url).rstrip("/")
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", "\n".join(blocks)],
            env={**os.environ, "PATH": path, "DATABASE_URL": cron.dsn, "SERVER_URL": url},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall("^NAME", done.stdout, re.MULTILINE)) == 2
    assert done.stdout.count('"next_cursor"') == 3
    assert done.stdout.endswith(f"unscheduled: {', '.join(NAMES)}\n")
    assert [name for name in NAMES if f"`{name}`" not in PAGE] == []
