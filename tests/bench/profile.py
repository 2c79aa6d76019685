"""Where the time of a call goes: by statement and by function, one session, commits not waited for.

Three passes over the same work, since the instruments cost time themselves: bare, by function
(track_functions), by statement (pg_stat_statements, nested ones too, with planning).
"""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

from tests import bulk
from tests.bench import backlog, graphs, pgbench
from tests.bench.cluster import Cluster

DATABASE = "bench_profile"
SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "none",
    "pg_stat_statements.track_planning": "on",
    "pg_stat_statements.max": "5000",
    "synchronous_commit": "off",
    "autovacuum": "off",
}

STATEMENTS = """
select s.toplevel, s.query, s.calls, s.plans, s.total_plan_time, s.total_exec_time,
       s.shared_blks_hit + s.shared_blks_read as buffers, s.wal_bytes
  from public.pg_stat_statements s
  join pg_database d on d.oid = s.dbid
 where d.datname = current_database()
   and s.query !~* '^(begin|commit|end|set |show)'
 order by s.total_plan_time + s.total_exec_time desc
"""

FUNCTIONS = """
select f.schemaname || '.' || f.funcname as name, f.calls, f.self_time, f.total_time
  from pg_stat_user_functions f
 where f.schemaname in ('wfg', 'public')
   and f.calls > 0
 order by f.self_time desc
"""

TABLES = """
select t.relname, t.n_tup_ins, t.n_tup_upd, t.n_tup_hot_upd, t.n_tup_del
  from pg_stat_user_tables t
 where t.schemaname = 'wfg'
   and t.n_tup_ins + t.n_tup_upd + t.n_tup_del > 0
 order by t.relname
"""

BODIES = """
select n.nspname || '.' || p.proname as name, regexp_replace(p.prosrc, '\\s+', ' ', 'g') as body
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
 where n.nspname in ('wfg', 'public')
   and p.prosrc <> ''
"""

# 1,000 runs in one call.
STARTS = """
select public.wfg_start_runs('ten', b.runs)
  from (select jsonb_agg('{}'::jsonb) as runs from generate_series(1, 1000)) b;
"""


@dataclass(frozen=True)
class Work:
    """What is profiled: a script, and what loads jobs for it."""

    script: str
    load: Callable[[psycopg.Connection[Any], int], None]
    unit: str = "pair"
    each: int = 1  # units of one transaction
    labels: tuple[str, ...] = ()


def load_nothing(_connection: psycopg.Connection[Any], _jobs: int) -> None:
    """It makes its jobs itself."""


def load_alone(connection: psycopg.Connection[Any], jobs: int) -> None:
    bulk.start(connection, "alone", jobs)


def load_batches(connection: psycopg.Connection[Any], jobs: int) -> None:
    bulk.start(connection, "alone", 10 * jobs)


def load_chains(connection: psycopg.Connection[Any], jobs: int) -> None:
    bulk.start(connection, "chain", jobs // 5)


def load_lanes(connection: psycopg.Connection[Any], jobs: int) -> None:
    bulk.start(connection, "lanes", jobs // 1000 + 1)


def load_wide(connection: psycopg.Connection[Any], jobs: int) -> None:
    """Runs of 2,000 parallel jobs, which are ready."""
    runs = jobs // 2000 + 1
    bulk.start(connection, "wide", runs)
    graphs.complete(connection, graphs.claim(connection, runs))


WORKS = {
    "pairs": Work(pgbench.PAIR, load_alone),
    "chain": Work(pgbench.PAIR, load_chains),
    "wide": Work(pgbench.PAIR, load_wide),
    "batch": Work(pgbench.batch(100), load_batches, "job", 100),
    "lanes": Work(pgbench.CLAIM, load_lanes, "claim", labels=tuple(backlog.labels(1000))),
    "start": Work("select public.wfg_start_run('alone');", load_nothing, "run"),
    "starts": Work(STARTS, load_nothing, "run", 1000),
}


def profile(cluster: Cluster, name: str, seconds: int) -> str:
    """The profile as text."""
    work = WORKS[name]
    cluster.create(DATABASE)
    with cluster.connect(DATABASE) as connection:
        connection.execute("create extension pg_stat_statements schema public")
        graphs.put(connection, "alone", graphs.ALONE)
        graphs.put(connection, "ten", graphs.diamond(8))
        graphs.put(connection, "chain", graphs.chain(5))
        graphs.put(connection, "wide", graphs.diamond(2000))
        graphs.put(connection, "lanes", backlog.lanes(0, 1000))
        connection.execute("vacuum analyze")

    bare = measure(cluster, work, seconds, {})
    instrumented = measure(cluster, work, seconds, {"track_functions": "all"})
    functions, tables = read(cluster, FUNCTIONS), read(cluster, TABLES)
    measure(cluster, work, seconds, {"pg_stat_statements.track": "all"})
    statements = read(cluster, STATEMENTS)
    bodies = {row[0]: row[1] for row in read(cluster, BODIES)}

    top = [row for row in statements if row[0]]
    calls = max(row[2] for row in top if "wfg_" in row[1]) * work.each
    rate, unit = bare.rate() * work.each, work.unit
    lines = [
        f"{name}, one session, commits not waited for: {1e6 / rate:.1f} µs a {unit}",
        f"{(bare.cpu_us or 0) / work.each:.1f} µs of it on a processor; {rate:,.0f} {unit}s/s",
        "",
        "By call (pg_stat_statements, which costs time itself):",
        f"{'calls':>7} {'plans':>6} {'plan µs':>8} {'µs':>8} {'buffers':>8} {'WAL B':>7}  statement",
        *(statement_line(row, calls, "") for row in top if row[2] >= calls / work.each / 2),
        "",
        f"By nested statement, per {unit}; `plans` above 0 is planning in each call:",
        f"{'calls':>7} {'plans':>6} {'plan µs':>8} {'µs':>8} {'buffers':>8} {'WAL B':>7}  statement",
    ]
    least = 0.0005e6 / rate  # µs; what takes less is not shown
    nested = [row for row in statements if not row[0] and (row[4] + row[5]) / calls * 1000 >= least]
    lines += [statement_line(row, calls, function_of(row[1], bodies)) for row in nested]
    spent = sum(row[4] + row[5] for row in nested) / calls * 1000
    lines += [
        f"{'':>23} {spent:8.1f} all nested statements (those inside others count twice)",
        "",
        f"By function, per {unit} (track_functions; {1e6 / instrumented.rate() / work.each:.1f} µs with it):",
        f"{'calls':>7} {'self µs':>8} {'µs':>8}  function",
    ]
    done = max(row[1] for row in functions if row[0].startswith("public.wfg_")) * work.each
    lines += [
        f"{row[1] / done:7.2f} {row[2] / done * 1000:8.1f} {row[3] / done * 1000:8.1f}  {row[0]}"
        for row in functions
        if row[2] / done * 1000 >= least
    ]
    lines += [
        "",
        f"By table, rows per {unit}; what is updated but not hot gets new index entries:",
        f"{'insert':>7} {'update':>7} {'hot':>7} {'delete':>7}  table",
        *(f"{' '.join(f'{n / done:7.2f}' for n in row[1:])}  {row[0]}" for row in tables),
    ]
    return "\n".join(lines)


def statement_line(row: tuple[Any, ...], calls: int, function: str) -> str:
    _, query, times, plans, plan_ms, exec_ms, buffers, wal = row
    text = " ".join(query.split())
    return (
        f"{times / calls:7.2f} {plans / calls:6.2f} {plan_ms / calls * 1000:8.1f}"
        f" {exec_ms / calls * 1000:8.1f} {buffers / calls:8.1f} {wal / calls:7.0f}"
        f"  {function + ': ' if function else ''}{text[:110]}"
    )


def function_of(query: str, bodies: dict[str, str]) -> str:
    """The function that a nested statement stands in: its text, but for the constants, is there."""
    parts = [re.escape(part) for part in re.split(r"\$\d+", " ".join(query.split()))]
    pattern = re.compile(".{0,60}?".join(parts), re.IGNORECASE)
    return next((name for name, body in bodies.items() if pattern.search(body)), "")


def measure(cluster: Cluster, work: Work, seconds: int, settings: dict[str, str]) -> pgbench.Load:
    """What one warm session does with these settings."""
    with cluster.connect(DATABASE) as connection:
        for name in ("track_functions", "pg_stat_statements.track"):
            connection.execute(f"alter database {DATABASE} set {name} to '{settings.get(name, 'none')}'")
        work.load(connection, (seconds + 3) * 4000)
        connection.execute("vacuum analyze")
        connection.execute("select pg_stat_force_next_flush()")
        connection.execute("select pg_stat_reset(), public.pg_stat_statements_reset()")

    options = ("-T", str(1 + seconds + 60))
    with pgbench.started(
        cluster, DATABASE, work.script, *options, clients=1, variables={"labels": json.dumps(work.labels)}
    ) as client:
        return client.measure(seconds, time.time() + 1)


def read(cluster: Cluster, query: str) -> list[tuple[Any, ...]]:
    with cluster.connect(DATABASE) as connection:
        return connection.execute(query).fetchall()
