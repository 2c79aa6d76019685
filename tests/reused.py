"""One database for one test after the other, with its session: plans stay, most of a short test's time.

When a test ends its rows go. One that did more (DDL, settings, statistics, sessions that stay, size)
has used the database up, and the next test gets a new one.
"""

from contextlib import suppress

import psycopg

from tests.engine import Engine

PREPARE = """
create schema reused;
create table reused.commands (tag text);

create function reused.note() returns event_trigger language plpgsql security definer as $$
begin
  insert into reused.commands values (tg_tag);
end;
$$;

create event trigger reused_note on ddl_command_end execute function reused.note();
"""

TABLES = """
select c.oid::regclass::text
  from pg_class c
 where c.relnamespace = 'wfg'::regnamespace
   and c.relkind = 'r'
 order by 1
"""

SIZE = """
select coalesce(sum(pg_relation_size(c.oid)), 0)::bigint
  from pg_class c
 where c.relnamespace = 'wfg'::regnamespace
"""

USED_UP = f"""
select exists (select from reused.commands)
       or exists (
            select
              from pg_db_role_setting s
              join pg_database d on d.oid = s.setdatabase
             where d.datname = current_database()
          )
       or exists (
            select
              from pg_statistic s
              join pg_class c on c.oid = s.starelid
             where c.relnamespace = 'wfg'::regnamespace
          )
       or exists (
            select
              from pg_stat_activity a
             where a.datname = current_database()
               and a.backend_type = 'client backend'
               and a.pid <> all (%s)
          )
       or ({SIZE}) > %s
"""

RESTART = """
select setval(s.seqrelid, s.seqstart, false)
  from pg_sequence s
  join pg_class c on c.oid = s.seqrelid
 where c.relnamespace = 'wfg'::regnamespace
"""

GROWTH = 2 * 1024 * 1024  # bytes, of rows that are dead


class Reused:
    """A database with wfg and nothing else, the session of its tests, and one that tidies up behind them."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.fresh = True
        self.engine = Engine(dsn)
        self.janitor = psycopg.connect(dsn, autocommit=True)
        self.janitor.execute(PREPARE)
        self.janitor.execute("set session_replication_role = replica")  # no trigger guards rows, no key
        self.janitor.execute("set lock_timeout = '10s'")
        tables = [row[0] for row in self.janitor.execute(TABLES).fetchall()]
        self.deletes = "; ".join(f"delete from {table}" for table in tables)
        self.limit = self.one(SIZE) + GROWTH
        self.janitor.execute("delete from reused.commands")

    def close(self) -> None:
        self.engine.close()
        self.janitor.close()

    def tidy(self) -> None:
        """Make it as good as new, or know that it is used up."""
        self.fresh = False
        connection = self.engine.connection
        if connection.closed or not connection.autocommit:
            return
        connection.rollback()
        connection.execute("reset session authorization")
        connection.execute("reset role")
        connection.execute("reset all; unlisten *")
        connection.execute("select pg_advisory_unlock_all()")
        if self.one(USED_UP, [[self.engine.pid, self.janitor.info.backend_pid], self.limit]):
            return
        with suppress(psycopg.errors.LockNotAvailable):  # of a session that is about to go
            self.janitor.execute(self.deletes)
            self.janitor.execute(RESTART)
            self.fresh = True

    def one(self, query: str, values: list[object] | None = None) -> int:
        row = self.janitor.execute(query, values).fetchone()  # type: ignore[arg-type]
        assert row is not None
        return row[0]
