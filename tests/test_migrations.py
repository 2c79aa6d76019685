"""sql/ says what the database is, migrations/ how it gets there: they meet."""

import subprocess
import sys
from io import StringIO

import psycopg
import pytest
from click.testing import CliRunner
from wfg import db_cli, migrate

from tests.postgres import dump, program, run

ROOT = db_cli.SQL.parent
UPGRADE = "import sys; from wfg import migrate; migrate.upgrade(sys.argv[1])"


@pytest.fixture
def empty(new_database) -> str:
    """The DSN of an empty database."""
    return new_database()


@pytest.fixture
def fresh(template, new_database) -> str:
    """The dump of a database that sql/ was loaded into."""
    if db_cli.stale():
        pytest.skip("0001 is not what sql/ says, which has a test of its own")
    return dump(new_database(template))


def cli(*arguments: str, url: str | None = None):
    return CliRunner().invoke(db_cli.db, arguments, env={"DATABASE_URL": url})


def psql(dsn: str, script: str) -> None:
    command = [program("psql", dsn), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={dsn}"]
    run(command, stdin=script)


# --- revision 0001 and sql/ ---


def test_initial_revision_is_the_text_of_sql():
    assert db_cli.stale() == [], "run `wfg db build`"


def test_released_files_were_not_changed():
    assert db_cli.changed_released() == []


def test_build_is_stable_and_check_tells_when_it_is_due(tmp_path, monkeypatch):
    """As long as 0001 is not released."""
    monkeypatch.setattr(db_cli, "VERSIONS", tmp_path)
    monkeypatch.setattr(db_cli, "RELEASED", tmp_path / "released.sha256")
    (tmp_path / "released.sha256").touch()
    assert cli("check").exit_code == 1
    assert "wfg db build" in cli("check").output

    assert cli("build").output == "wrote 0001_initial.up.sql\nwrote 0001_initial.down.sql\n"
    assert cli("build").output == ""
    assert cli("check").exit_code == 0

    up = tmp_path / "0001_initial.up.sql"
    up.write_bytes(up.read_bytes() + b"\n")
    assert "0001_initial.up.sql is not what sql/ says" in cli("check").output


def test_released_revision_is_not_built_again(tmp_path, monkeypatch):
    monkeypatch.setattr(db_cli, "VERSIONS", tmp_path)
    monkeypatch.setattr(db_cli, "RELEASED", tmp_path / "released.sha256")
    (tmp_path / "0001_initial.up.sql").write_text("select 1;\n")
    (tmp_path / "released.sha256").write_text(
        "dc3a7ec6d9e32b4cc1ae09022f8281eb2d70a98bd6af4c3d0e8a9f0e8a1a5c3f  0001_initial.up.sql\n"
    )

    assert "released" in cli("build").output
    assert "0001_initial.up.sql is released, but was changed" in cli("check").output


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


def test_script_is_the_revision_byte_for_byte():
    script = StringIO()
    migrate.upgrade_script(output=script)

    assert (db_cli.VERSIONS / "0001_initial.up.sql").read_bytes().decode() in script.getvalue()


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


def test_command_line_upgrades_and_downgrades(empty):
    assert "the database is at revision base, not at 0001" in cli("check", url=empty).output

    assert cli("upgrade", url=empty).output == "The database is at revision 0001.\n"
    assert cli("upgrade", url=empty).output == "The database is at revision 0001.\n"
    assert "the database" not in cli("check", url=empty).output

    assert cli("downgrade", "base", url=empty).output == "The database is at revision base.\n"


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
