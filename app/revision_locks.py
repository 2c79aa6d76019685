"""How a revision gets its locks: it waits for a moment only, gives way to the work, and tries again.

Whoever waits for a table has all that come later wait behind it. So a transaction that holds a table for a
minute would hold up every claim for a minute, if a revision waited for it.
"""

import sys
import time
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

# Longer than deadlock_timeout, which is 1 s as Postgres comes: after that, an autovacuum gives way to us.
LOCK_TIMEOUT_SECS = 2.0
PATIENCE_SECS = 600.0
LONGEST_PAUSE = 5  # lock timeouts
SHOWN = 3

LOST_A_RACE = ("55P03", "40P01")  # lock_not_available, deadlock_detected
TUPLE_RACE = "tuple concurrently"  # XX000: two changed the same row of the catalog, such as a role's

HOLDERS = """
  select a.pid, a.application_name, a.state, a.query,
         extract(epoch from clock_timestamp() - a.xact_start)::float8 as secs
    from (
           select distinct l.pid
             from pg_catalog.pg_locks l
             join pg_catalog.pg_database d on d.oid = l.database
             join pg_catalog.pg_class c on c.oid = l.relation
            where l.granted
              and d.datname = current_database()
              and l.pid is distinct from pg_backend_pid()
              and c.relnamespace = 'wfg'::regnamespace
         ) h
    left join pg_catalog.pg_stat_activity a on a.pid = h.pid
   where a.xact_start is null
      or a.xact_start <= clock_timestamp() - make_interval(secs => %s)
   order by a.xact_start nulls last
   limit %s
"""


class NoLocks(Exception):
    """A revision did not get its locks, however often it tried."""


@dataclass(frozen=True)
class Patience:
    """timeout_secs: how long one try waits for a lock, and has others wait. secs: how long it is tried."""

    timeout_secs: float = LOCK_TIMEOUT_SECS
    secs: float = PATIENCE_SECS


def run_with_locks(connection: "psycopg.Connection[Any]", text: str, name: str, patience: Patience) -> None:
    """Run a revision's SQL in the open transaction. A try that waits too long leaves nothing."""
    deadline = time.monotonic() + patience.secs
    pause = patience.timeout_secs
    while True:
        connection.execute("savepoint wfg_revision")
        try:
            limit = sql.Literal(f"{round(patience.timeout_secs * 1000)}ms")
            connection.execute(sql.SQL("set local lock_timeout = {}").format(limit))
            connection.execute(text.encode())  # without parameters: no rewriting
        except psycopg.Error as error:
            if not lost_a_race(error):
                raise
            connection.execute("rollback to savepoint wfg_revision")
            why = f"{name}: {error.diag.message_primary}; {held_by(connection, patience.timeout_secs)}"
            if time.monotonic() + pause >= deadline:
                raise NoLocks(f"{why}. Given up; nothing of it was done.") from error
            print(f"{why}. Trying again in {pause:g} s.", file=sys.stderr, flush=True)
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE * patience.timeout_secs)
        else:
            connection.execute("release savepoint wfg_revision")
            return


def lost_a_race(error: psycopg.Error) -> bool:
    """Whether the same may succeed later, when others have done what they do."""
    message = error.diag.message_primary or ""
    return error.sqlstate in LOST_A_RACE or (error.sqlstate == "XX000" and message.startswith(TUPLE_RACE))


def held_by(connection: "psycopg.Connection[Any]", secs: float) -> str:
    """Who has been holding tables of ours for so long, for people."""
    rows = connection.execute(HOLDERS, (secs, SHOWN)).fetchall()
    if not rows:
        return "no transaction has held a table for long, but many come and go"
    return "tables are held by " + ", ".join(holder(*row) for row in rows)


def holder(pid: int | None, name: str, state: str | None, query: str, secs: float | None) -> str:
    if pid is None:
        return "a prepared transaction (pg_prepared_xacts)"
    who = f"pid {pid}" + (f" ({name})" if name else "")
    if secs is None:  # another role's, and we may not see more
        return who
    said = " ".join(query.split())
    shown = said if len(said) <= 60 else said[:59] + "…"
    return f"{who}, whose transaction is {secs:.0f} s old and {state}: {shown}"
