"""wfg_doctor: nothing is wrong with a healthy database; of what is broken it says what, and what helps."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.conninfo import make_conninfo
from wfg import embedded, migrate
from wfg.cli import main
from wfg.revisions import SQL, sql_files

from tests import bulk
from tests.arrange import CRON, only
from tests.conftest import load_sql
from tests.engine import Engine
from tests.serving import serving
from tests.test_grants import MAY

Finding = dict[str, str]


def findings(engine: Engine, **params: Any) -> list[Finding]:
    return engine.call("wfg_doctor", **params)["findings"]


def of(engine: Engine, check: str) -> list[Finding]:
    return [found for found in findings(engine) if found["check"] == check]


def is_cured(engine: Engine, check: str) -> bool:
    """Whether the fixes of a check, pasted, leave nothing of it."""
    for found in of(engine, check):
        engine.query(found["fix"])
    return of(engine, check) == []


@pytest.fixture(scope="module")
def session(new_database: Callable[..., str], template: str) -> Iterator[Engine]:
    engine = Engine(new_database(template))
    yield engine
    engine.close()


@pytest.fixture
def broken(session: Engine) -> Iterator[Engine]:
    """What a test breaks is whole again after it."""
    with session.connection.transaction(force_rollback=True):
        yield session
    session.set_now(None)


# --- on a server of its own: the others have no fsync ---


@pytest.fixture(scope="module")
def own() -> Iterator[Engine]:
    """A server as it should be, with few connections."""
    settings = {
        "max_connections": "20",
        "max_prepared_transactions": "2",
        "superuser_reserved_connections": "3",
    }
    with embedded.running(durable=True, settings=settings) as server:
        load_sql(server.dsn)
        engine = Engine(server.dsn)
        yield engine
        engine.close()


def test_a_healthy_database_has_nothing_wrong(own: Engine):
    own.put(jobs=only("a"))
    own.start()
    claim = own.claim()
    own.start()
    answer = own.call("wfg_doctor", p_revision=own.call("wfg_health")["revision"])
    assert answer["status"] == "ok"
    assert [found for found in answer["findings"] if found["severity"] != "info"] == []
    assert list(answer) == ["status", "findings", "revision", "postgres", "now_ms"]
    assert claim is not None
    own.complete(claim)
    own.complete(own.claim())


def test_it_needs_no_superuser(own: Engine):
    """Owned by somebody with no rights beyond: what cannot be seen is said, and all is well."""
    own.query("create role plain login")
    own.query("create database plain owner plain")
    plain = Engine(make_conninfo(own.dsn, dbname="plain"))
    with plain.connection.transaction():
        plain.query("grant create on schema public to plain")
        plain.query("set local role plain")
        load_into(plain)
    other = Engine(plain.dsn)
    plain.query("set session authorization plain")
    answer = plain.call("wfg_doctor")
    assert answer["status"] == "ok"
    with ExitStack() as stack:
        for _ in range(13):
            stack.enter_context(psycopg.connect(own.dsn))
        assert "connections" in [found["check"] for found in plain.call("wfg_doctor")["findings"]]
    (said,) = [found for found in answer["findings"] if found["check"] == "transactions"]
    assert (said["severity"], said["fix"]) == ("info", "grant pg_read_all_stats to plain;")
    other.query(said["fix"])
    assert of(plain, "transactions") == []
    plain.close()
    other.close()


def load_into(engine: Engine) -> None:
    for path in sql_files():
        engine.connection.execute(path.read_bytes())


@pytest.mark.parametrize(
    ("setting", "value", "severity"),
    [
        ("fsync", "off", "error"),
        ("full_page_writes", "off", "error"),
    ],
)
def test_a_server_that_may_lose_the_database(own: Engine, setting: str, value: str, severity: str):
    own.query(f"alter system set {setting} = {value}")
    own.query("select pg_reload_conf()")
    until(lambda: own.query(f"show {setting}")[0][setting] == value)
    (found,) = of(own, "settings")
    assert found["severity"] == severity
    for statement in found["fix"].split(";"):
        if statement.strip():
            own.query(statement)
    until(lambda: own.query(f"show {setting}")[0][setting] == "on")
    assert of(own, "settings") == []


def test_autovacuum_of_the_server(own: Engine):
    own.query("alter system set autovacuum = off")
    own.query("select pg_reload_conf()")
    until(lambda: own.query("show autovacuum")[0]["autovacuum"] == "off")
    (found,) = of(own, "autovacuum")
    assert (found["severity"], found["message"]) == ("error", "autovacuum is off: tables grow for ever.")
    own.query("alter system reset autovacuum")
    own.query("select pg_reload_conf()")
    until(lambda: own.query("show autovacuum")[0]["autovacuum"] == "on")
    assert of(own, "autovacuum") == []


def sessions(engine: Engine) -> int:
    return len(engine.query("select 1 from pg_stat_activity where backend_type = 'client backend'"))


def until(holds: Callable[[], bool]) -> None:
    end = monotonic() + 20
    while not holds():
        assert monotonic() < end


def test_connections_run_short(own: Engine):
    until(lambda: sessions(own) == 1)
    with ExitStack() as stack:
        for _ in range(13):
            stack.enter_context(psycopg.connect(own.dsn))
        (found,) = of(own, "connections")
        assert (found["severity"], found["message"]) == ("warning", "14 of 17 connections are in use.")
        for _ in range(3):
            stack.enter_context(psycopg.connect(own.dsn))
        (found,) = of(own, "connections")
        assert found["severity"] == "error"
    until(lambda: of(own, "connections") == [])


def test_a_prepared_transaction_that_was_forgotten(own: Engine):
    own.query("begin")
    own.query("insert into wfg.workers values ('', 'forgotten', '{}', now(), now())")
    own.query("prepare transaction 'lost'")
    try:
        assert of(own, "prepared_transactions") == []
        own.advance(400)
        (found,) = of(own, "prepared_transactions")
        assert (found["severity"], "'lost'" in found["message"]) == ("warning", True)
        own.advance(3600)
        assert of(own, "prepared_transactions")[0]["severity"] == "error"
        assert is_cured(own, "prepared_transactions")
    finally:
        own.set_now(None)


def test_a_replication_slot_that_nobody_uses(own: Engine):
    own.query("select pg_create_physical_replication_slot('left_over', true)")
    (found,) = of(own, "replication_slots")
    assert found["severity"] == "warning"
    assert "left_over is used by nobody, and holds back" in found["message"]
    assert is_cured(own, "replication_slots")


# --- the server ---


@pytest.mark.parametrize(
    ("setting", "value", "severity"),
    [
        ("synchronous_commit", "off", "warning"),
        ("default_transaction_read_only", "on", "error"),
        ("default_transaction_isolation", "serializable", "warning"),
    ],
)
def test_a_setting_of_the_database(engine, connect, database: str, setting: str, value: str, severity: str):
    before = findings(engine)
    name = engine.query("select current_database() as name")[0]["name"]
    engine.query(f"alter database {name} set {setting} = {value!r}")
    other = connect()
    (found,) = [found for found in findings(other) if found not in before]
    assert (found["check"], found["severity"]) == ("settings", severity)
    engine.query(found["fix"])
    assert findings(connect()) == before


def test_an_old_postgres(broken):
    query = "select severity from wfg.doctor_server(%s) d where d.about = 'postgres'"
    assert broken.query(query, 140012) == [{"severity": "error"}]
    assert broken.query(query, 150000) == []


def test_a_clock_that_was_set(engine, connect):
    assert of(engine, "clock") == []
    name = engine.query("select current_database() as name")[0]["name"]
    engine.query(f"alter database {name} set wfg.fake_now = '2030-01-01'")
    other = connect()
    (found,) = of(other, "clock")
    assert (found["severity"], found["fix"]) == ("error", f"alter database {name} reset wfg.fake_now;")
    other.query(found["fix"])
    assert of(connect(), "clock") == []


def test_revisions(broken):
    here = broken.call("wfg_health")["revision"]

    def said(revision: str | None) -> list[tuple[str, str]]:
        found = findings(broken, p_revision=revision)
        return [(each["severity"], each["fix"]) for each in found if each["check"] == "revision"]

    assert said(None) == said(here) == []
    assert said("9999") == [("error", "wfg db upgrade")]
    assert said("0001") == [("warning", "pip install --upgrade wfg")]


# --- what holds back vacuum ---


def test_an_old_transaction(engine, connect):
    old = connect()
    old.query("begin isolation level repeatable read")
    old.query("select 1")
    engine.advance(200)
    assert of(engine, "transactions") == []
    engine.advance(200)
    (found,) = of(engine, "transactions")
    assert (found["severity"], found["fix"]) == ("warning", f"select pg_terminate_backend({old.pid});")
    assert "idle in transaction" in found["message"]
    engine.advance(3600)
    assert of(engine, "transactions")[0]["severity"] == "error"
    old.query("rollback")
    assert of(engine, "transactions") == []


@pytest.mark.nightly
def test_dead_rows_that_no_vacuum_takes_away(engine):
    engine.query("alter table wfg.workers set (autovacuum_enabled = off)")
    engine.query(
        "insert into wfg.workers select '', n::text, '{}', now(), now() from generate_series(1, 200001) n"
    )
    engine.query("delete from wfg.workers")
    engine.query("select pg_stat_force_next_flush()")
    (found,) = of(engine, "dead_rows")
    assert found["severity"] == "warning"
    assert "wfg.workers has 200001 dead rows and 0 living ones, and was never vacuumed." in found["message"]
    assert is_cured(engine, "dead_rows")


# --- grants ---


@pytest.mark.parametrize("role", MAY)
def test_a_role_that_lost_a_function(broken, role: str):
    broken.query(f"revoke execute on function public.wfg_health from {role}")
    (found,) = of(broken, "grants")
    assert (found["severity"], found["fix"]) == (
        "error",
        f"grant execute on function public.wfg_health() to {role};",
    )
    assert is_cured(broken, "grants")


@pytest.mark.parametrize(
    ("statement", "severity"),
    [
        ("grant execute on function public.wfg_check to public", "error"),
        ("grant execute on function public.wfg_check to wfg_reader", "warning"),
        ("grant execute on function public.wfg_list_tokens to wfg_operator", "warning"),
        ("grant execute on function wfg.claim to wfg_worker", "error"),
        ("grant execute on function wfg.now to public", "error"),
        ("grant select on wfg.tokens to wfg_reader", "error"),
        ("grant select on wfg.jobs to public", "error"),
        ("revoke usage on schema public from public, wfg_worker", "error"),
        ("revoke usage on schema wfg from wfg_server", "error"),
        ("grant create on schema public to public", "error"),
        ("grant create on schema public to wfg_worker", "error"),
    ],
)
def test_a_right_too_much_or_too_few(broken, statement: str, severity: str):
    broken.query(statement)
    found = of(broken, "grants")
    assert {each["severity"] for each in found} == {severity}
    assert is_cured(broken, "grants")


def test_who_may_call_what_is_what_the_grants_say(broken):
    """Every function of the API, also those to come: wfg.roles_of and 80_grants.sql go together."""
    assert of(broken, "grants") == []


def test_a_role_of_supabase_and_a_role_that_is_gone(own: Engine):
    own.query("create role anon")
    try:
        own.query("grant execute on function public.wfg_get_run to anon")
        (found,) = of(own, "grants")
        assert (found["severity"], found["fix"]) == (
            "error",
            "revoke execute on function public.wfg_get_run(text) from anon;",
        )
        assert is_cured(own, "grants")
    finally:
        own.query("drop owned by anon")
        own.query("drop role anon")
    with own.connection.transaction(force_rollback=True):
        own.query("alter role wfg_reader rename to elsewhere")
        found = of(own, "grants")
        assert "create role wfg_reader nologin;" in "".join(each["fix"] for each in found)


# --- functions and triggers ---


@pytest.mark.parametrize(
    "statement",
    [
        "alter function public.wfg_claim_job security invoker",
        "alter function public.wfg_claim_job reset search_path",
        "alter function public.wfg_claim_job set search_path = public",
        "alter function wfg.authorize set search_path = ''",
    ],
)
def test_a_function_that_was_changed(broken, statement: str):
    broken.query(statement)
    (found,) = of(broken, "functions")
    assert found["severity"] == "error"
    assert is_cured(broken, "functions")


def test_a_function_of_another_owner(broken):
    broken.query("alter function public.wfg_claim_job owner to wfg_worker")
    assert [found["severity"] for found in of(broken, "functions")] == ["error"]
    assert is_cured(broken, "functions")


@pytest.mark.parametrize("table", ["jobs", "runs"])
@pytest.mark.parametrize(
    "statement",
    [
        "alter table wfg.{} disable trigger _100_guard_move",
        "alter table wfg.{} disable trigger user",
        "drop trigger _100_guard_move on wfg.{}",
    ],
)
def test_a_guard_that_is_gone(broken, table: str, statement: str):
    broken.query(statement.format(table))
    (found,) = of(broken, "triggers")
    assert found["severity"] == "error"
    assert is_cured(broken, "triggers")
    with broken.connection.transaction(force_rollback=True):
        broken.put(jobs=only("a"))
        broken.start()
        broken.complete(broken.claim())
        with pytest.raises(psycopg.Error, match="illegal_move"):
            broken.query(f"update wfg.{table} set state = 'failure'")


# --- tables ---


def test_indexes_are_those_of_the_tables(broken):
    """All of them, and what is said to make them does."""
    query = (
        "select c.relname as name, pg_get_indexdef(c.oid) as text from pg_class c"
        " where c.relnamespace = 'wfg'::regnamespace and c.relkind = 'i' order by 1"
    )
    before = broken.query(query)
    assert [row["name"] for row in broken.query("select name from wfg.expected_indexes() order by 1")] == [
        row["name"] for row in before
    ]
    broken.query("create schema kept")
    constraints = broken.query(
        "select conrelid::regclass::text as table, conname as name from pg_constraint"
        " where connamespace = 'wfg'::regnamespace and contype in ('f', 'p', 'u')"
        " order by contype"
    )
    for each in constraints:
        broken.query(f"alter table {each['table']} drop constraint {each['name']}")
    for row in broken.query(query):
        broken.query(f"drop index wfg.{row['name']}")
    assert len(of(broken, "indexes")) == len(before)
    assert is_cured(broken, "indexes")
    assert broken.query(query) == before


def test_an_index_that_is_invalid(broken):
    broken.query("update pg_index set indisvalid = false where indexrelid = 'wfg.queue_ready'::regclass")
    (found,) = of(broken, "indexes")
    assert (found["severity"], found["fix"]) == ("error", "reindex index wfg.queue_ready;")
    assert is_cured(broken, "indexes")


def test_settings_of_tables_are_those_of_the_files(broken):
    named = broken.query("select name, options from wfg.expected_options() order by 1")
    there = broken.query(
        "select relname as name, reloptions as options from pg_class"
        " where relnamespace = 'wfg'::regnamespace and reloptions is not null order by 1"
    )
    assert named == there


@pytest.mark.parametrize(
    ("statement", "severity"),
    [
        ("alter table wfg.queue reset (autovacuum_vacuum_threshold, fillfactor)", "warning"),
        ("alter table wfg.queue set (autovacuum_vacuum_scale_factor = 0.2)", "warning"),
        ("alter table wfg.jobs reset (fillfactor)", "warning"),
        ("alter table wfg.jobs set (autovacuum_enabled = off)", "error"),
    ],
)
def test_settings_of_tables_that_were_lost(broken, statement: str, severity: str):
    broken.query(statement)
    (found,) = of(broken, "autovacuum")
    assert found["severity"] == severity
    assert is_cured(broken, "autovacuum")


# --- work ---


def test_leases_that_nobody_ends(broken):
    broken.put(jobs=only("a", retries=1))
    broken.start()
    broken.claim(ttl=30)
    broken.advance(89)
    assert of(broken, "leases") == []
    broken.advance(2)
    (found,) = of(broken, "leases")
    assert found["severity"] == "error"
    assert found["message"].startswith("1 leases have been over")
    assert is_cured(broken, "leases")


def test_a_run_that_cannot_end(broken):
    broken.put(jobs=only("a", "b"))
    run_id = broken.start()
    broken.start()
    assert of(broken, "stuck_runs") == []
    broken.query("delete from wfg.queue where run_id = %s", run_id)
    (found,) = of(broken, "stuck_runs")
    assert (found["severity"], run_id in found["message"]) == ("error", True)
    assert is_cured(broken, "stuck_runs")


def test_jobs_that_nobody_takes(engine):
    engine.put(jobs={"a": {"run": "true", "labels": ["gpu", "linux"]}, "b": {"run": "true"}})
    engine.start()
    assert of(engine, "takers") == []
    engine.advance(31)
    plain, gpu = sorted(found["fix"] for found in of(engine, "takers"))
    assert (plain, gpu) == ("wfg worker", "wfg worker --labels 'gpu,linux'")
    engine.call("wfg_register_worker", p_worker_id="w", p_labels=[])
    assert [found["fix"] for found in of(engine, "takers")] == [gpu]
    engine.call("wfg_register_worker", p_worker_id="w", p_labels=["linux", "gpu", "big"])
    assert of(engine, "takers") == []
    engine.advance(61)
    assert len(of(engine, "takers")) == 2  # it was not heard of
    engine.claim("w", ["linux", "gpu"], ttl=86400)
    engine.advance(61)
    assert [found["fix"] for found in of(engine, "takers")] in ([gpu], [plain], [])


def test_the_fix_for_jobs_that_nobody_takes_can_be_pasted_whatever_the_labels_are(broken):
    label = r"it's a \"test\" of \\, $HOME and `id`"
    broken.put(jobs=only("a", labels=[label]))
    broken.start()
    broken.advance(31)
    (found,) = of(broken, "takers")
    assert shlex.split(found["fix"]) == ["wfg", "worker", "--labels", label]


def test_a_job_for_later_waits_for_nobody(broken):
    broken.put(jobs=only("a"))
    broken.start(start_at=broken.now().replace(year=2100))
    broken.advance(3600)
    assert of(broken, "takers") == []


@pytest.mark.parametrize(
    ("check", "statement"),
    [
        (
            "lanes",
            """
            insert into wfg.lanes (namespace, labels, priority)
            select '', array[n::text], 0 from generate_series(1, {}) n
            """,
        ),
        (
            "label_sets",
            """
            insert into wfg.label_sets (namespace, labels, lane_ids, priorities, used_at)
            select '', array[n::text], '{{}}', '{{}}', now() from generate_series(1, {}) n
            """,
        ),
    ],
)
def test_too_many_labels(broken, check: str, statement: str):
    broken.query(statement.format(2000))
    assert of(broken, check) == []
    broken.query(f"delete from wfg.{check}")
    broken.query(statement.format(2001))
    (found,) = of(broken, check)
    assert found["severity"] == "warning"
    assert broken.query(found["fix"]) != []


def test_logs_that_take_much_room(broken):
    query = "select severity from wfg.doctor_logs(wfg.now(), %s)"
    broken.put(jobs=only("a"))
    run_id = broken.start()
    broken.query("insert into wfg.log_chunks values (%s, 1, 0, 0, 0, 'stdout', 'x')", run_id)
    assert broken.query(query, 10**9) == []
    assert broken.query(query, 0) == [{"severity": "info"}]
    broken.advance(31 * 86400)
    assert broken.query(query, 0) == [{"severity": "warning"}]


def test_pg_cron(broken):
    """Its tables, as far as they are looked at."""
    assert [found["severity"] for found in of(broken, "cron")] == ["info"]
    for statement in filter(str.strip, CRON.split(";")):
        broken.query(statement)
    (found,) = of(broken, "cron")
    assert (found["severity"], "no job of it" in found["message"]) == ("info", True)

    broken.query(
        "insert into cron.job values"
        " (1, '* * * * *', 'select public.wfg_reap()', current_database(), 'me', true, 'wfg_reap'),"
        " (2, '* * * * *', 'select public.wfg_reap()', 'elsewhere', 'me', false, 'other')"
    )

    def said() -> list[tuple[str, str]]:
        return [(found["severity"], found["message"]) for found in of(broken, "cron")]

    assert said() == [("warning", "The job wfg_reap of pg_cron last ran at no time.")]
    broken.query("insert into cron.job_run_details values (1, 1, 'failed', 'boom', now())")
    assert said() == [("warning", "The job wfg_reap of pg_cron failed: boom")]
    broken.query("insert into cron.job_run_details values (1, 2, 'succeeded', '', now())")
    assert said() == []
    broken.query("update cron.job set active = false")
    assert said() == [("warning", "The job wfg_reap of pg_cron is switched off.")]
    broken.query("update cron.job set active = true")
    broken.advance(2 * 86400)
    assert [severity for severity, _ in said()] == ["warning"]


# --- all of it ---


def test_the_worst_comes_first(broken):
    broken.query("alter table wfg.jobs reset (fillfactor)")
    broken.query("alter function public.wfg_claim_job security invoker")
    answer = broken.call("wfg_doctor")
    order = [("error", "warning", "info").index(found["severity"]) for found in answer["findings"]]
    assert order == sorted(order)
    assert set(order) == {0, 1, 2}
    assert answer["status"] == "error"


@pytest.mark.nightly
def test_it_takes_a_second_at_most_with_a_million_runs(engine):
    engine.put(jobs=only("a"))
    with psycopg.connect(engine.dsn, autocommit=True) as connection:
        bulk.start(connection, "wf", 1_000_000, finished=True)
    times = []
    for _ in range(3):
        begun = perf_counter()
        findings(engine)
        times.append(perf_counter() - begun)
    assert min(times) < 1


# --- the command, and the route ---


def run(*arguments: str, **env: str | None) -> Result:
    clean = {"DATABASE_URL": None, "SERVER_URL": None, "FORCE_COLOR": None, "NO_COLOR": None}
    result = CliRunner().invoke(main, ["doctor", *arguments], env={**clean, **env})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_command_prints_each_finding_with_its_fix_and_says_by_its_code_that_there_is_an_error(
    own: Engine,
):
    revision = {"p_revision": migrate.head()}
    if own.call("wfg_doctor", **revision)["status"] == "error":
        pytest.skip("the revisions are behind sql/")
    assert run(DATABASE_URL=own.dsn).exit_code == 0
    own.query("alter function public.wfg_claim_job security invoker")
    done = run("--database-url", own.dsn)
    assert done.exit_code == 1
    assert done.stdout.splitlines()[0].split("\t") == [
        "error",
        "functions",
        "public.wfg_claim_job(text,jsonb,integer) does not run as its owner: nobody else can use it.",
        "alter function public.wfg_claim_job(text,jsonb,integer) security definer;",
    ]
    assert is_cured(own, "functions")

    own.query("alter table wfg.jobs reset (fillfactor)")
    done = run("--json", DATABASE_URL=own.dsn)
    assert (done.exit_code, json.loads(done.stdout)["status"]) == (0, "warning")
    assert is_cured(own, "autovacuum")


def test_the_command_asks_a_server_too(own: Engine):
    with serving(own.dsn) as http:
        url = str(http.base_url)
        over_http = json.loads(run("--json", SERVER_URL=url).stdout)
        direct = http.get("/api/doctor").json()
    straight = json.loads(run("--json", DATABASE_URL=own.dsn).stdout)
    assert over_http["findings"] == direct["findings"] == straight["findings"]


def test_a_database_without_wfg_is_a_sentence(new_database):
    done = run(DATABASE_URL=new_database())
    assert done.exit_code == 1
    assert "wfg db upgrade" in done.stderr


# --- docs/doctor.md ---

PAGE = (Path(__file__).parents[1] / "docs" / "doctor.md").read_text()


def test_the_commands_of_the_page_work(own: Engine):
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    bin_dir = Path(sys.executable).parent
    with serving(own.dsn) as http:
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", "\n".join(blocks)],
            env={
                **os.environ,
                "PATH": f"{bin_dir}:{os.environ['PATH']}:{embedded.find_binaries()}",
                "DATABASE_URL": own.dsn,
                "SERVER_URL": str(http.base_url).rstrip("/"),
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    (example,) = re.findall(r'^\{"status".*\}$', PAGE, re.MULTILINE)
    answers = re.findall(r'\{"status".*?"now_ms" : \d+\}', done.stdout, re.DOTALL)
    assert len(answers) == 3
    for answer in answers:
        assert list(json.loads(answer)) == list(json.loads(example))
        for found in json.loads(answer)["findings"]:
            assert list(found) == list(json.loads(example)["findings"][0])


def test_the_page_has_every_check():
    named = re.findall(r"^\| (`.*?`) \|", PAGE, re.MULTILINE)
    listed = {name for cell in named for name in re.findall(r"`(\w+)`", cell)}
    files = [*(SQL / "30_internal").glob("doctor_*.sql"), SQL / "50_rpc" / "wfg_doctor.sql"]
    made = {
        name
        for file in files
        for name in re.findall(r"^ *select '(\w+)',(?: |$)", file.read_text(), re.MULTILINE)
    }
    assert listed == made
