"""Upgrade and downgrade a database: alembic, with the revisions that ship inside the package.

alembic is imported when it is needed: it takes longer to load than all the rest of a command.
"""

import sys
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import psycopg

from .revision_locks import Patience

if TYPE_CHECKING:
    from alembic.config import Config

UPGRADE_LOCK = 0x77666700  # an advisory lock: one upgrade of a database at a time
MIGRATIONS = Path(import_module(".migrations", __package__).__path__[0])


def upgrade(dsn: str, revision: str = "head", patience: Patience | None = None) -> None:
    """Bring a database to a revision. Two at once do no harm: one waits for the other.

    NoLocks when a revision did not get its locks; those before it are done.
    """
    from alembic import command

    command.upgrade(configure(dsn, patience=patience), revision)


def downgrade(dsn: str, revision: str, patience: Patience | None = None) -> None:
    """Take a database back to a revision, or to `base`. NoLocks as for upgrade."""
    from alembic import command

    command.downgrade(configure(dsn, patience=patience), revision)


def upgrade_script(revision: str = "head", output: TextIO | None = None) -> None:
    """Write what upgrade would run, by default to stdout. A range a:b starts at a, else from nothing."""
    from alembic import command

    command.upgrade(configure(output=output), revision, sql=True)


def downgrade_script(revisions: str, output: TextIO | None = None) -> None:
    """Write what downgrade would run, by default to stdout. revisions is a range, a:b."""
    from alembic import command

    command.downgrade(configure(output=output), revisions, sql=True)


def bare_script(revisions: str) -> str:
    """What upgrade would run from a to b, of a range a:b, without begin and commit."""
    from alembic import command

    output = StringIO()
    config = configure(output=output)
    config.attributes["bare"] = True
    command.upgrade(config, revisions, sql=True)
    return output.getvalue()


def head() -> str:
    """The newest revision that this package knows. Its number is how its files begin."""
    return max(path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py")).partition("_")[0]


def current(dsn: str) -> str | None:
    """The revision that a database is at; None when wfg is not installed there."""
    with psycopg.connect(dsn) as connection:
        found = connection.execute("select to_regclass('wfg.alembic_version') is not null").fetchone()
        if found != (True,):
            return None
        row = connection.execute("select version_num from wfg.alembic_version").fetchone()
        return None if row is None else str(row[0])


def configure(
    dsn: str | None = None, *, output: TextIO | None = None, patience: Patience | None = None
) -> "Config":
    from alembic.config import Config

    stream = output or sys.stdout
    config = Config(stdout=stream, output_buffer=stream)
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = dsn
    config.attributes["patience"] = patience
    return config
