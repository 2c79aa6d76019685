"""What tests/soak.py reads off the machine and off Postgres, again and again."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row, tuple_row

TICK_SECS = 1 / os.sysconf("SC_CLK_TCK")

RELATIONS = """
select c.relname as name, case c.relkind when 'i' then 'index' else 'table' end as kind,
       pg_relation_size(c.oid) as bytes
  from pg_class c
 where c.relnamespace = 'wfg'::regnamespace and c.relkind in ('r', 'i')
union all
select 'toast of ' || c.relname, 'toast', pg_total_relation_size(c.reltoastrelid)
  from pg_class c
 where c.relnamespace = 'wfg'::regnamespace and c.relkind = 'r' and c.reltoastrelid <> 0
"""
TABLES = """
select coalesce(sum(t.n_live_tup), 0)::bigint as live, coalesce(sum(t.n_dead_tup), 0)::bigint as dead,
       coalesce(sum(t.autovacuum_count), 0)::bigint as autovacuums,
       coalesce(sum(t.autoanalyze_count), 0)::bigint as autoanalyzes,
       jsonb_object_agg(t.relname, t.n_dead_tup) as dead_of
  from pg_stat_user_tables t
 where t.schemaname = 'wfg'
"""
SERVER = """
select (select coalesce(max(age(a.backend_xmin)), 0) from pg_stat_activity a) as xmin_age,
       (select coalesce(sum(w.size), 0)::bigint from pg_ls_waldir() w) as wal_files_bytes,
       pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint as wal_bytes,
       pg_database_size(current_database()) as database_bytes
"""
WORK = """
select (select count(*) from wfg.queue q) as queue,
       (select count(*) from wfg.queue q where q.lease_nonce is null and q.ready_at <= now()) as ready,
       (select count(*) from wfg.runs r where r.state = 'active') as active_runs,
       (select coalesce(s.last_value, 0) from pg_sequences s
         where s.schemaname = 'wfg' and s.sequencename = 'total_jobs_success') as jobs
"""
CHECK = "select * from public.wfg_check()"
# From the start of a run to the first claim of a job of it; a while ago, for the time is noted when it ends.
QUEUE_TIMES = """
select (extract(epoch from min(j.started_at) - r.created_at) * 1000)::float8
  from wfg.runs r
  join wfg.jobs j on j.run_id = r.id and j.started_at is not null
 where r.created_at >= now() - make_interval(secs => %(lag)s::float8 + %(secs)s)
   and r.created_at < now() - make_interval(secs => %(lag)s)
   and r.workflow_id = any (%(of)s) and r.rerun_of is null
 group by r.id
"""
BACKENDS = """
select a.pid, case when a.usename = %s then 'sessions' else coalesce(a.backend_type, 'other') end
  from pg_stat_activity a
 where a.pid <> pg_backend_pid()
"""


def read_process(pid: int) -> dict[str, float]:
    """Bytes, counts, seconds. pss: shared pages are divided by who shares them. Gone: OSError."""
    home = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (home / "status").read_text().splitlines() if ":" in line)
    # After the name, which may contain anything.
    stat = (home / "stat").read_text().rpartition(")")[2].split()
    found = {
        "rss": kilobytes(status.get("VmRSS", "0")),
        "anon": kilobytes(status.get("RssAnon", "0")),
        "threads": int(status["Threads"]),
        "fds": len(os.listdir(home / "fd")),
        "cpu": (int(stat[11]) + int(stat[12])) * TICK_SECS,
        "cpu_of_children": (int(stat[13]) + int(stat[14])) * TICK_SECS,
    }
    with suppress(OSError):  # it is not everywhere
        rollup = (home / "smaps_rollup").read_text().splitlines()
        found["pss"] = next(kilobytes(line.split(":")[1]) for line in rollup if line.startswith("Pss:"))
    return found


def kilobytes(text: str) -> int:
    return int(text.split()[0]) * 1024


def read_backends(connection: psycopg.Connection, user: str, postmaster: int) -> dict[str, Any]:
    """Of each role: how many, and their memory; and the seconds of CPU of all there ever were."""
    roles: dict[str, dict[str, float]] = {}
    first = read_process(postmaster)
    cpu = first["cpu"] + first["cpu_of_children"]
    add(roles, "postmaster", first)
    rows = connection.cursor(row_factory=tuple_row).execute(BACKENDS, (user,)).fetchall()
    for pid, role in rows:
        with suppress(OSError):  # it has ended
            found = read_process(pid)
            cpu += found["cpu"]
            add(roles, role, found)
    return {"roles": roles, "cpu": cpu}


def add(roles: dict[str, dict[str, float]], role: str, found: Mapping[str, float]) -> None:
    sums = roles.setdefault(role, {"count": 0, "anon": 0, "pss": 0, "fds": 0, "largest_anon": 0})
    sums["count"] += 1
    for name in ("anon", "pss", "fds"):
        sums[name] += found.get(name, 0)
    sums["largest_anon"] = max(sums["largest_anon"], found["anon"])


def read_sizes(connection: psycopg.Connection) -> dict[str, Any]:
    """Of what is stored, and what autovacuum did about it."""
    cursor = connection.cursor(row_factory=dict_row)
    relations = {row["name"]: [row["kind"], row["bytes"]] for row in cursor.execute(RELATIONS)}
    tables, server = cursor.execute(TABLES).fetchone(), cursor.execute(SERVER).fetchone()
    assert tables is not None
    assert server is not None
    return {"relations": relations, **tables, **server}


def read_work(connection: psycopg.Connection) -> dict[str, Any]:
    """What waits, and what is broken."""
    cursor = connection.cursor(row_factory=dict_row)
    work = cursor.execute(WORK).fetchone()
    assert work is not None
    return {**work, "broken": [str(row) for row in cursor.execute(CHECK)]}


def read_queue_times(
    connection: psycopg.Connection, workflows: list[str], secs: float, lag: float
) -> list[float]:
    """Milliseconds, of runs that were started within so many seconds, so long ago."""
    cursor = connection.cursor(row_factory=tuple_row)
    return [row[0] for row in cursor.execute(QUEUE_TIMES, {"of": workflows, "secs": secs, "lag": lag})]
