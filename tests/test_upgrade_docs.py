"""docs/upgrade.md: its commands are run, what it says of locks and of SQLSTATEs is so."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict
from wfg import migrate, revisions
from wfg.cli import main
from wfg.db import OVERTAKEN

from tests.engine import Engine
from tests.postgres import program
from tests.upgrades import CHAIN, TRIED_AGAIN

PAGE = (Path(__file__).parents[1] / "docs" / "upgrade.md").read_text()
SEALED = [name[:4] for name in revisions.sealed()]
HELD = """
  select relation::bigint
    from pg_catalog.pg_locks
   where pid = pg_backend_pid()
     and mode = 'AccessExclusiveLock'
     and locktype = 'relation'
"""
TABLES = """
  select oid::bigint, relname
    from pg_catalog.pg_class
   where relnamespace = 'wfg'::regnamespace
     and relkind = 'r'
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_commands_of_the_page_work(new_database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`wfg` in this process, all else in a shell."""
    dsn = new_database()
    monkeypatch.setattr(revisions, "SQL", tmp_path / "sql")  # as in an installed package
    monkeypatch.chdir(tmp_path)
    programs = Path(program("pg_dump", dsn)).parent
    env = {**os.environ, "DATABASE_URL": dsn, "PATH": f"{programs}:{os.environ['PATH']}"}

    def run(line: str) -> str:
        if not line.startswith("wfg "):
            command = ["bash", "-ec", line]
            return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
        command, _, file = line.partition(" > ")
        done = CliRunner().invoke(main, shlex.split(command)[1:], env={"DATABASE_URL": dsn})
        assert done.exit_code == 0, done.output
        if file:
            Path(file).write_text(done.stdout)
        return done.stdout

    head = f"The database is at revision {migrate.head()}.\n"
    upgrade, hasty, script, back = ([*block.splitlines()] for block in blocks("bash"))
    migrate.upgrade(dsn, "0003")
    assert [run(line) for line in upgrade] == ["", head, "All is well.\n"]
    assert Path("before.dump").read_bytes().startswith(b"PGDMP")
    assert [run(line) for line in back] == ["The database is at revision 0003.\n"]
    for line in script:
        run(line)
    assert migrate.current(dsn) == migrate.head()
    assert [run(line) for line in hasty] == [head]


def test_the_lock_timeout_of_a_role_survives_what_the_supabase_cli_resets(engine: Engine) -> None:
    """Here it is of this database alone."""
    (block,) = blocks("sql")
    with psycopg.connect(engine.dsn, autocommit=True) as connection:
        name = psycopg.sql.Identifier(str(conninfo_to_dict(engine.dsn)["dbname"])).as_string(connection)
        given, reset = (line for line in block.splitlines() if line.startswith("alter"))
        here = "alter role current_user in database " + name
        connection.execute(given.replace("alter role postgres in database postgres", here).encode())
    shown = []
    for statement in ("reset all", reset.replace("alter role postgres in database postgres", here)):
        with psycopg.connect(engine.dsn, autocommit=True) as connection:
            connection.execute(statement.encode())
            shown += connection.execute("show lock_timeout").fetchone() or []
    assert shown == ["2s", "2s"]
    with psycopg.connect(engine.dsn) as connection:
        assert connection.execute("show lock_timeout").fetchone() == ("0",)


def test_what_is_locked_is_what_the_page_says(new_database) -> None:
    """Of tables that were there before: exclusively, until the commit."""
    said = {
        (revision, way): re.findall("`([a-z_]+)`", holds)
        for revision, ways, holds in re.findall(r"^\| (\d{4}), ([a-z ]+) \| ([^|]*) \|", PAGE, re.MULTILINE)
        for way in ways.split(" and ")
    }
    dsn = new_database()
    migrate.upgrade(dsn, CHAIN[0])
    for revision in SEALED[1:]:
        assert held(dsn, revision, "up") == said[revision, "up"], revision
        migrate.upgrade(dsn, revision)
        assert held(dsn, revision, "down") == said[revision, "down"], revision


def held(dsn: str, revision: str, way: str) -> list[str]:
    """The tables that the script of a revision takes for itself; it is rolled back."""
    (path,) = revisions.VERSIONS.glob(f"{revision}_*.{way}.sql")
    with psycopg.connect(dsn) as connection:
        tables = dict(connection.execute(TABLES.encode()).fetchall())
        connection.execute(path.read_bytes())
        taken = {tables.get(relation) for (relation,) in connection.execute(HELD.encode())}
        connection.rollback()
    return sorted(taken - {None})


def test_what_is_to_be_asked_again_is_what_our_code_asks_again() -> None:
    rows = re.findall(r"^\| ((?:`[0-9A-Z]{5}`(?:, )?)+) \|", PAGE, re.MULTILINE)
    said = {state for row in rows for state in re.findall("`(.....)`", row)}
    assert OVERTAKEN | {"55P03", "40P01", "XX000"} == said
    assert said <= {*TRIED_AGAIN}
