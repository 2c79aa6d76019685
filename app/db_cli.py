"""`wfg db`: the schema, from sql/ to a revision, and from the revisions to a database."""

import hashlib
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import click
import psycopg
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from . import migrate

SQL = Path(__file__).parents[1] / "sql"  # in a checkout; an installed package has the revisions only
VERSIONS = migrate.MIGRATIONS / "versions"
RELEASED = migrate.MIGRATIONS / "released.sha256"
INITIAL_UP = "0001_initial.up.sql"
INITIAL_DOWN = "0001_initial.down.sql"

database_option = click.option(
    "--database-url",
    envvar="DATABASE_URL",
    metavar="URL",
    help="The database: postgresql://…, or whatever libpq understands. Default: $DATABASE_URL.",
)


# --- commands ---


@click.group()
def db() -> None:
    """Install and upgrade wfg in a database."""


@db.command()
@click.argument("revision", default="head")
@click.option("--sql", is_flag=True, help="Print the script instead of running it.")
@database_option
def upgrade(revision: str, sql: bool, database_url: str | None) -> None:
    """Upgrade a database to REVISION, by default the newest."""
    with plain_errors():
        if sql:
            migrate.upgrade_script(revision)
            return

        url = required(database_url)
        migrate.upgrade(url, revision)
        click.echo(f"The database is at revision {migrate.current(url)}.")


@db.command()
@click.argument("revision")
@click.option("--sql", is_flag=True, help="Print the script instead; REVISION is a range, such as 0001:base.")
@database_option
def downgrade(revision: str, sql: bool, database_url: str | None) -> None:
    """Take a database back to REVISION. `base` removes wfg and all its rows."""
    with plain_errors():
        if sql:
            migrate.downgrade_script(revision)
            return

        url = required(database_url)
        migrate.downgrade(url, revision)
        click.echo(f"The database is at revision {migrate.current(url) or 'base'}.")


@db.command()
def build() -> None:
    """Write the files of revision 0001 from sql/. For a checkout, and until 0001 is released."""
    if not SQL.is_dir():
        raise click.ClickException("There is no sql/ beside this package: this command is for a checkout.")
    if {INITIAL_UP, INITIAL_DOWN} & released().keys():
        raise click.ClickException("Revision 0001 is released, and does not change any more.")

    for name, text in initial_revision().items():
        path = VERSIONS / name
        if not path.exists() or path.read_bytes() != text:
            path.write_bytes(text)
            click.echo(f"wrote {path.name}")


@db.command()
@database_option
def check(database_url: str | None) -> None:
    """Fail if 0001 is not what sql/ says, a released file was changed, or the database is not at head."""
    problems = [f"{name} is released, but was changed" for name in changed_released()]
    if SQL.is_dir() and not {INITIAL_UP, INITIAL_DOWN} & released().keys():
        problems += [f"{name} is not what sql/ says: run `wfg db build`" for name in stale()]

    if database_url:
        with plain_errors():
            current, head = migrate.current(database_url), migrate.head()
        if current != head:
            at = current or "base"
            problems.append(f"the database is at revision {at}, not at {head}: run `wfg db upgrade`")

    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise click.exceptions.Exit(1)
    click.echo("All is well.")


# --- revision 0001 ---


def initial_revision() -> dict[str, bytes]:
    """File name -> text of revision 0001, as sql/ has it now."""
    up = b"".join(path.read_bytes() for path in sql_files())
    return {INITIAL_UP: up, INITIAL_DOWN: drops(up.decode()).encode()}


def sql_files() -> list[Path]:
    """The files of sql/ in load order: path order, as `LC_ALL=C sort` has it."""
    return sorted(SQL.rglob("*.sql"), key=lambda path: path.relative_to(SQL).as_posix().encode())


def drops(up: str) -> str:
    """Drop what up creates, by name: no function has two signatures. Roles are the cluster's, and stay."""

    def named(kind: str) -> list[str]:
        names = re.findall(rf"^create (?:or replace |unlogged )*{kind} ([\w.]+)", up, re.M)
        return list(dict.fromkeys(names))

    functions = named("function")
    triggers = [name for name in functions if name.startswith("wfg.tg_")]  # theirs go after the tables
    groups = [
        ("function", [name for name in functions if name not in triggers]),
        ("view", named("view")),
        ("table", named("table")),
        ("sequence", named("sequence")),
        ("function", triggers),
        ("type", named("type")),
    ]
    text = "-- Loses every row of wfg. Schema wfg stays: alembic's own table is in it.\n"
    for kind, names in groups:
        if names:
            text += f"\ndrop {kind}\n  " + ",\n  ".join(names) + ";\n"
    text += "\ncomment on schema wfg is null;\n"
    for schema, roles in re.findall(r"^grant usage on schema (\w+) to ([\w, ]+);", up, re.M):
        text += f"revoke usage on schema {schema} from {roles};\n"
    return text


def stale() -> list[str]:
    """The files of revision 0001 that differ from what sql/ says."""
    return [
        name
        for name, text in initial_revision().items()
        if not (VERSIONS / name).exists() or (VERSIONS / name).read_bytes() != text
    ]


# --- released files ---


def released() -> dict[str, str]:
    """File name -> sha256 of every released, and so frozen, file of versions/."""
    lines = RELEASED.read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def changed_released() -> list[str]:
    return [
        name
        for name, digest in released().items()
        if not (VERSIONS / name).exists()
        or hashlib.sha256((VERSIONS / name).read_bytes()).hexdigest() != digest
    ]


# --- errors ---


def required(url: str | None) -> str:
    if not url:
        raise click.UsageError("Which database? Set DATABASE_URL, or give --database-url.")
    return url


@contextmanager
def plain_errors() -> Generator[None]:
    """A sentence instead of a traceback, for what users can put right."""
    try:
        yield
    except (CommandError, psycopg.OperationalError) as error:
        raise click.ClickException(str(error).strip()) from error
    except DBAPIError as error:
        raise click.ClickException(str(error.orig or error).strip()) from error
