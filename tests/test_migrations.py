"""sql/ says what the database is, migrations/ how it gets there: they meet."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

import psycopg
import pytest
from click.testing import CliRunner
from wfg import db_cli, migrate, revisions
from wfg.revision_locks import NoLocks, Patience, lost_a_race

from tests.engine import Engine
from tests.postgres import dump, program, run

ROOT = revisions.SQL.parent
CHAIN = [path.name[:4] for path in sorted(revisions.VERSIONS.glob("*.up.sql"))]
UPGRADE = "import sys; from wfg import migrate; migrate.upgrade(sys.argv[1])"


@pytest.fixture
def empty(new_database) -> str:
    """The DSN of an empty database."""
    return new_database()


@pytest.fixture
def fresh(template, new_database) -> str:
    """The dump of a database that sql/ was loaded into."""
    return dump(new_database(template))


def cli(*arguments: str, url: str | None = None):
    return CliRunner().invoke(db_cli.db, arguments, env={"DATABASE_URL": url})


def psql(dsn: str, script: str) -> None:
    command = [program("psql", dsn), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={dsn}"]
    run(command, stdin=script)


# --- the revisions and sql/ ---


def test_revisions_lead_to_sql(server):
    assert db_cli.schema_problems(server) == []


def test_sealed_files_were_not_changed():
    assert revisions.changed_released() == []


# --- the equalities ---


def test_fresh_is_upgraded(fresh, empty):
    migrate.upgrade(empty)

    assert dump(empty) == fresh


def test_engine_knows_its_revision(engine):
    assert engine.query("select wfg.schema_revision() as revision") == [{"revision": migrate.head()}]


def test_up_then_down_is_what_was_before(empty):
    with psycopg.connect(empty) as connection:
        connection.execute("create schema wfg")
    before = dump(empty)

    migrate.upgrade(empty)
    with psycopg.connect(empty) as connection:
        connection.execute("insert into wfg.workflows values ('', 'ci', 1, now(), now())")
    migrate.downgrade(empty, "base")

    assert dump(empty) == before
    assert migrate.current(empty) is None


def test_every_revision_goes_back_to_the_one_before(empty):
    with psycopg.connect(empty) as connection:
        connection.execute("create schema wfg")
    before = []
    for revision in CHAIN:
        before.append(dump(empty))
        migrate.upgrade(empty, revision)

    for revision in reversed(["base", *CHAIN[:-1]]):
        migrate.downgrade(empty, revision)
        assert dump(empty) == before.pop(), revision


def test_down_then_up_is_upgraded(fresh, empty):
    migrate.upgrade(empty)
    migrate.downgrade(empty, "base")
    migrate.upgrade(empty)

    assert dump(empty) == fresh


def test_offline_script_through_psql_is_online(fresh, empty):
    script = StringIO()
    migrate.upgrade_script(output=script)
    psql(empty, script.getvalue())

    assert dump(empty) == fresh
    assert migrate.current(empty) == migrate.head()
    migrate.upgrade(empty)  # carries on where the script ended


def test_offline_downgrade_through_psql_is_online(new_database, empty):
    other = new_database()
    for dsn in (empty, other):
        migrate.upgrade(dsn)

    script = StringIO()
    migrate.downgrade_script(f"{migrate.head()}:base", output=script)
    psql(empty, script.getvalue())
    migrate.downgrade(other, "base")

    assert dump(empty) == dump(other)
    assert migrate.current(empty) is None


def test_script_is_the_revisions_byte_for_byte():
    script = StringIO()
    migrate.upgrade_script(output=script)

    for path in revisions.VERSIONS.glob("*.up.sql"):
        assert path.read_bytes().decode() in script.getvalue()


# --- rows ---


def test_work_goes_on_after_an_upgrade(empty):
    """In the same session, too: it has plans of what the functions were."""
    migrate.upgrade(empty, revisions.sealed()[-1][:4])
    engine = Engine(empty)
    engine.put(jobs={"a": {"run": "true", "retries": 1}, "b": {"run": "true", "needs": "a"}})
    finished = engine.start()
    while claim := engine.claim():
        engine.complete(claim)
    retried = engine.start()
    engine.fail(engine.claim(), retryable=True)
    running = engine.start()
    leases = engine.claim_many(2, ttl=3600)
    runs = (finished, retried, running)
    states = [engine.jobs(run) for run in runs]
    assert [state["a"] for state in states] == ["success", "running", "running"]

    migrate.upgrade(empty)

    assert [engine.jobs(run) for run in runs] == states
    for lease in leases:
        engine.complete(lease)
    while claim := engine.claim():
        engine.complete(claim)
    assert {engine.state(run) for run in runs} == {"success"}
    engine.check()
    engine.close()


def test_what_was_paused_is_handed_out_after_a_downgrade(empty):
    """And a database with workflows knows after the upgrade that it is the one that they are of."""
    migrate.upgrade(empty, "0002")
    engine = Engine(empty)
    engine.put(jobs={"a": {"run": "true"}})
    engine.start()
    migrate.upgrade(empty)
    assert len(engine.query("select 1 as one from wfg.homes")) == 1
    engine.call("wfg_pause_workflow", p_workflow_id="wf")
    assert engine.query("select 1 as one from wfg.queue where lane_id < 0")
    assert engine.claim() is None
    engine.call("wfg_freeze")

    migrate.downgrade(empty, "0002")

    engine.check()
    assert engine.claim() is not None
    engine.close()


# --- locks ---


@contextmanager
def held(dsn: str, relation: str) -> Iterator[psycopg.Connection]:
    """A transaction that has read a table, and goes on."""
    with psycopg.connect(dsn, application_name="nightly report") as connection:
        connection.execute(f"select from wfg.{relation} limit 1".encode())
        yield connection


def upgrading(dsn: str, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "wfg", "db", "upgrade", "0003", "--database-url", dsn, *options]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


@pytest.mark.nightly
def test_an_upgrade_that_waits_for_a_long_transaction_lets_others_pass(empty):
    """Whoever waits for a table has all that come later wait behind it."""
    migrate.upgrade(empty, "0002")
    engine = Engine(empty)
    engine.put(jobs={"a": {"run": "true"}})
    with held(empty, "runs") as holder:
        pid = holder.info.backend_pid
        process = upgrading(empty, "--lock-timeout", "0.3")
        assert process.stderr is not None
        said = process.stderr.readline()
        engine.start()  # the table is read and written
        claim = engine.claim()
        assert claim is not None
        engine.complete(claim)
        assert migrate.current(empty) == "0002"
        assert process.poll() is None
        holder.rollback()
        rest = process.communicate(timeout=60)[1]

    assert process.returncode == 0, said + rest
    assert said.startswith(
        "0003_operations.up.sql: canceling statement due to lock timeout; tables are held by"
        f" pid {pid} (nightly report), whose transaction is "
    )
    assert " old and idle in transaction: select from wfg.runs limit 1. Trying again in 0.3 s." in said
    assert migrate.current(empty) == "0003"
    engine.check()
    engine.close()


def test_an_upgrade_without_locks_gives_up_and_has_done_nothing(empty):
    migrate.upgrade(empty, "0002")
    before = dump(empty)
    with held(empty, "lanes"), pytest.raises(NoLocks, match="nightly report") as caught:
        migrate.upgrade(empty, "0003", Patience(timeout_secs=0.05, secs=0.2))
    assert "Given up; nothing of it was done." in str(caught.value)
    assert (dump(empty), migrate.current(empty)) == (before, "0002")


@pytest.mark.nightly
def test_plain_alembic_lets_others_pass_too(empty):
    migrate.upgrade(empty, "0003")
    engine = Engine(empty)
    command = [sys.executable, "-m", "alembic", "--config", str(ROOT / "pyproject.toml")]
    with held(empty, "runs") as holder:
        process = subprocess.Popen(
            [*command, "-x", f"url={empty}", "-x", "lock_timeout=0.3", "downgrade", "0002"],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert "0003_operations.down.sql: " in process.stderr.readline()
        assert engine.claim() is None
        holder.rollback()
        process.communicate(timeout=60)
    assert (process.returncode, migrate.current(empty)) == (0, "0002")
    engine.close()


@pytest.mark.parametrize(
    ("state", "message", "lost"),
    [
        ("55P03", "canceling statement due to lock timeout", True),
        ("40P01", "deadlock detected", True),
        ("XX000", "tuple concurrently updated", True),
        ("XX000", "cache lookup failed for type 1", False),
        ("42P07", "relation exists", False),
    ],
)
def test_what_is_tried_again(engine, state, message, lost):
    with pytest.raises(psycopg.Error) as caught:
        engine.query(f"do $$ begin raise sqlstate '{state}' using message = '{message}'; end $$")
    assert lost_a_race(caught.value) is lost


# --- runners ---


def test_upgrades_at_once_do_no_harm(fresh, empty):
    runners = [
        subprocess.Popen([sys.executable, "-c", UPGRADE, empty], stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    errors = [runner.communicate()[1] for runner in runners]

    assert [runner.returncode for runner in runners] == [0, 0, 0], errors
    assert dump(empty) == fresh


def test_plain_alembic_does_it_too(fresh, empty):
    command = [sys.executable, "-m", "alembic", "--config", str(ROOT / "pyproject.toml")]

    run([*command, "upgrade", "head"], DATABASE_URL=empty)
    assert dump(empty) == fresh

    run([*command, "-x", f"url={empty}", "downgrade", "base"], DATABASE_URL="")
    assert migrate.current(empty) is None


def test_command_line_upgrades_and_downgrades(empty, tmp_path, monkeypatch):
    monkeypatch.setattr(revisions, "SQL", tmp_path / "sql")  # as in an installed package
    head = migrate.head()
    assert f"the database is at revision base, not at {head}" in cli("check", url=empty).output

    assert cli("upgrade", url=empty).output == f"The database is at revision {head}.\n"
    assert cli("upgrade", url=empty).output == f"The database is at revision {head}.\n"
    assert cli("check", url=empty).output == "All is well.\n"

    assert cli("downgrade", "base", url=empty).output == "The database is at revision base.\n"
    assert cli("check", url="nonsense").output.startswith('Error: missing "=" after "nonsense"')


def test_command_line_prints_scripts():
    assert "create table wfg.queue" in cli("upgrade", "--sql").output
    assert "wfg.queue" in cli("downgrade", "0001:base", "--sql").output


@pytest.mark.parametrize(
    ("arguments", "url", "sentence"),
    [
        (["upgrade"], None, "Set DATABASE_URL"),
        (["upgrade"], "postgresql:///?host=/nonexistent", "connection"),
        (["upgrade", "0815"], "$empty", "0815"),
        (["downgrade", "0815"], "$empty", "0815"),
    ],
)
def test_command_line_says_what_is_wrong(empty, arguments, url, sentence):
    answer = cli(*arguments, url=empty if url == "$empty" else url)

    assert answer.exit_code in (1, 2)
    assert sentence in answer.output
    assert "Traceback" not in answer.output
