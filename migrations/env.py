"""Alembic's environment, for `wfg db` and for plain `alembic`. The database: `-x url=…`, or $DATABASE_URL.

How long a try waits for a lock: `-x lock_timeout=SECS`.
"""

import os
import sys
import time

import psycopg
from alembic import context
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool
from wfg.migrate import UPGRADE_LOCK
from wfg.revision_locks import Patience

SCHEMA = "wfg"  # of the version table, too: PostgREST would expose it in public
POLL_SECS = 0.1

OPTIONS = {"version_table_schema": SCHEMA, "transaction_per_migration": True}


def database_url() -> str:
    url = (
        context.config.attributes.get("url")
        or context.get_x_argument(as_dictionary=True).get("url")
        or os.environ.get("DATABASE_URL")
    )
    if not url:
        raise SystemExit("Which database? Set DATABASE_URL, or give alembic -x url=postgresql://…")
    return str(url)


def patience() -> Patience:
    given = context.config.attributes.get("patience")
    timeout = context.get_x_argument(as_dictionary=True).get("lock_timeout")
    return given or (Patience(float(timeout)) if timeout else Patience())


def lock(connection: Connection) -> None:
    """Polled: a statement that waits holds a snapshot, and `create index concurrently` would wait for it."""
    said = False
    while not connection.scalar(text("select pg_try_advisory_lock(:key)"), {"key": UPGRADE_LOCK}):
        connection.rollback()
        if not said:
            print("Waiting for another upgrade of this database.", file=sys.stderr, flush=True)
            said = True
        time.sleep(POLL_SECS)
    connection.commit()


def run_online() -> None:
    url = database_url()
    context.config.attributes["patience"] = patience()
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(url, application_name="wfg-migrations"),  # any form that libpq knows
        poolclass=NullPool,
    )
    with engine.connect() as connection:
        lock(connection)
        if not connection.scalar(text("select to_regnamespace(:schema) is not null"), {"schema": SCHEMA}):
            connection.execute(text(f"create schema {SCHEMA}"))
        connection.commit()

        context.configure(connection=connection, **OPTIONS)
        with context.begin_transaction():
            context.run_migrations()


def run_offline() -> None:
    """As a script; bare: without begin and commit, for a runner that has a transaction of its own."""
    bare = context.config.attributes.get("bare", False)
    context.configure(dialect_name="postgresql+psycopg", transactional_ddl=not bare, **OPTIONS)
    context.get_context().impl.static_output(f"create schema if not exists {SCHEMA};")
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
