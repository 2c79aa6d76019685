"""`wfg db`: the schema, from sql/ to a revision, and from the revisions to a database."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import click
import psycopg

from . import draft, migrate, revisions, supabase
from .embedded import EmbeddedError
from .options import database_option, required
from .revision_locks import LOCK_TIMEOUT_SECS, PATIENCE_SECS, NoLocks, Patience
from .revisions import RevisionError

server_option = click.option(
    "--server-url",
    metavar="URL",
    help="A server whose superuser you are: databases are made there, and dropped. Default: an embedded one.",
)
lock_option = click.option(
    "--lock-timeout",
    metavar="SECS",
    type=click.FloatRange(0.01, 3600),
    default=LOCK_TIMEOUT_SECS,
    show_default=True,
    help=(
        "How long a try waits for a lock, and has others wait behind it. It is tried again for "
        f"{PATIENCE_SECS / 60:g} minutes, with longer and longer pauses."
    ),
)


# --- commands ---


@click.group()
def db() -> None:
    """Install and upgrade wfg in a database."""


@db.command()
@click.argument("revision", default="head")
@click.option("--sql", is_flag=True, help="Print the script instead of running it.")
@lock_option
@database_option
def upgrade(revision: str, sql: bool, lock_timeout: float, database_url: str | None) -> None:
    """Upgrade a database to REVISION, by default the newest."""
    with plain_errors():
        if sql:
            migrate.upgrade_script(revision)
            return

        url = required(database_url)
        migrate.upgrade(url, revision, Patience(lock_timeout))
        click.echo(f"The database is at revision {migrate.current(url)}.")


@db.command()
@click.argument("revision")
@click.option("--sql", is_flag=True, help="Print the script instead; REVISION is a range, such as 0001:base.")
@lock_option
@database_option
def downgrade(revision: str, sql: bool, lock_timeout: float, database_url: str | None) -> None:
    """Take a database back to REVISION. `base` removes wfg and all its rows."""
    with plain_errors():
        if sql:
            migrate.downgrade_script(revision)
            return

        url = required(database_url)
        migrate.downgrade(url, revision, Patience(lock_timeout))
        click.echo(f"The database is at revision {migrate.current(url) or 'base'}.")


@db.command()
@click.argument(
    "folder",
    metavar="[DIR]",
    default=supabase.FOLDER,
    type=click.Path(file_okay=False, path_type=Path),
)
@click.option(
    "--with",
    "extras",
    multiple=True,
    type=click.Choice(supabase.optional()),
    help="What is off unless asked for; each file says in its head what it does, and how to take it away.",
)
def export(folder: Path, extras: tuple[str, ...]) -> None:
    """Write the revisions into DIR for the Supabase CLI; by default into supabase/migrations.

    A file per revision. One that is there keeps its time; a new one comes after all that are there.
    `supabase db push` then does what `wfg db upgrade` does, and each carries on where the other ended.
    """
    with plain_errors():
        written = supabase.write(folder)
        for extra in extras:
            written += supabase.write_optional(folder, extra)
        for path in written:
            click.echo(f"wrote {path}")
    click.echo(f"{folder} has all revisions, up to {migrate.head()}.")


@db.command()
@click.option("-m", "--message", help="What it is about; gives the files their name. Needed at first.")
@server_option
def revision(message: str | None, server_url: str | None) -> None:
    """Write, or write anew, the revision after the last sealed one: what leads to sql/, and back.

    Functions, row types, triggers, comments and grants are generated. What happens to tables is written by
    hand, into the head of both .sql files, where it is kept. What is still open is told.
    """
    with plain_errors():
        require_checkout()
        old = revisions.unsealed()

        with draft.databases(server_url) as make:
            before, after = draft.sealed_state(make), draft.living_state(make)
            if not old and after.is_same(before):
                click.echo(f"Nothing to do: sql/ is what {revisions.sealed()[-1]} says.")
                return
            name = revisions.next_name(message) if message else old
            if not name:
                raise click.UsageError("What is it about? Give -m.")

            if revisions.set_schema_revision(revisions.number(name)):
                click.echo("wrote the number of the revision into sql/10_schema.sql")
                after = draft.living_state(make)
            written = draft.draft(make, before, after, old)

        files = written.files(name)
        if message and name != old:
            files |= revisions.python_file(name, message)
        for file in revisions.write(files):
            click.echo(f"wrote {file}")
        if old and old != name:
            revisions.remove(old)
        export_to_checkout()

    for file, differences in written.still_open(name).items():
        click.echo(f"Still to be done by hand, in the head of {file}:\n{differences}", err=True)
    if written.still_open(name):
        raise click.exceptions.Exit(1)
    click.echo("Nothing is open: up leads to sql/, and down leads back.")


@db.command()
@server_option
def seal(server_url: str | None) -> None:
    """Release the unsealed revision: from now on its SQL does not change."""
    with plain_errors():
        require_checkout()
        name = revisions.unsealed()
        if not name:
            raise RevisionError("There is no unsealed revision.")
        if problems := schema_problems(server_url):
            raise RevisionError("\n".join(problems))

        revisions.seal(name)
        click.echo(f"sealed {name}")


@db.command()
@database_option
def check(database_url: str | None) -> None:
    """Fail if the revisions do not lead to sql/, a sealed one was changed, or the database is not at head."""
    with plain_errors():
        problems = [f"{name} is sealed, but was changed" for name in revisions.changed_released()]
        if revisions.SQL.is_dir() and not problems:
            problems = schema_problems() + export_problems()

        if database_url:
            current, head = migrate.current(database_url), migrate.head()
            if current != head:
                at = current or "base"
                problems.append(f"the database is at revision {at}, not at {head}: run `wfg db upgrade`")

    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise click.exceptions.Exit(1)
    click.echo("All is well.")


def schema_problems(server: str | None = None) -> list[str]:
    """Why the revisions do not lead to sql/."""
    name = revisions.unsealed()
    with draft.databases(server) as make:
        before, after = draft.sealed_state(make), draft.living_state(make)
        if not name:
            problem = f"sql/ is not what {revisions.sealed()[-1]} says: run `wfg db revision -m …`"
            return [] if after.is_same(before) else [problem]
        written = draft.draft(make, before, after, name)

    stale = revisions.differing(written.files(name))
    return [f"{file} is not what sql/ says: run `wfg db revision`" for file in stale] + [
        f"{file} leaves something open: `wfg db revision` tells what" for file in written.still_open(name)
    ]


def export_to_checkout() -> None:
    if supabase.committed().is_dir():
        for path in supabase.write(supabase.committed()):
            click.echo(f"wrote {path.name}")


def export_problems() -> list[str]:
    """Why supabase/migrations of this checkout is not what the revisions say."""
    folder = supabase.committed()
    if not folder.is_dir():
        return []
    stale = supabase.stale(folder)
    return [f"supabase/migrations has not {name} as it is: run `wfg db export`" for name in stale]


# --- errors ---


def require_checkout() -> None:
    if not revisions.SQL.is_dir():
        raise RevisionError("There is no sql/ beside this package: this command is for a checkout.")


@contextmanager
def plain_errors() -> Generator[None]:
    """A sentence instead of a traceback, for what users can put right."""
    from alembic.util import CommandError
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except (CommandError, EmbeddedError, NoLocks, RevisionError, psycopg.Error) as error:
        raise click.ClickException(str(error).strip()) from error
    except DBAPIError as error:
        raise click.ClickException(str(error.orig or error).strip()) from error
