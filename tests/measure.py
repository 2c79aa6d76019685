"""What a call of each function costs: pages, nested calls and statements, WAL, and times against each other.

`python -m tests.measure` measures on the servers that are here (or `15`, or `18`), and prints the tables of
tests/test_bars.py.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from math import ceil
from statistics import median
from typing import Any, TypeVar
from uuid import uuid4

import psycopg
from psycopg.conninfo import make_conninfo

from tests import bulk
from tests.bench import cluster
from tests.engine import Engine

SAMPLES = 9
ROUNDS = 5
FINISHED, READY, DELAYED = 100_000, 50_000, 20_000

ONE = {"run": "true"}
GRAPHS: dict[str, dict[str, Any]] = {
    "one": {"a": ONE},
    "two": {"a": ONE, "b": {"run": "true", "needs": ["a"]}},
    "diamond": {
        "first": ONE,
        **{f"middle{n}": {"run": "true", "needs": ["first"]} for n in range(6)},
        "last": {"run": "true", "needs": [f"middle{n}" for n in range(6)]},
    },
    "wide": {f"a{n}": ONE for n in range(20)},
    "retried": {"a": {"run": "true", "retries": 3, "backoff": {"fixed": 86400}}},
    "labels": {f"a{n}": {"run": "true", "labels": [f"own{n}"]} for n in range(7)},
    "theirs": {f"a{n}": {"run": "true", "labels": [f"theirs{n}"]} for n in range(10)},
}
OWN = json.dumps([f"own{n}" for n in range(7)])  # with the jobs that ask for nothing: 8 lanes

Arguments = Sequence[str | int]
Figure = TypeVar("Figure", int, float)


@dataclass(frozen=True)
class Cost:
    """What a call takes; fields in the order of the table. None: it could not be measured here."""

    pages: int  # shared buffers that it touches, in a database with nothing else in it
    pages_full: int  # the same after fill()
    functions: int  # calls of functions of ours
    writes: int  # statements that write or lock rows
    statements: int | None  # all nested statements; needs auto_explain
    wal: int  # bytes, without the commit and without images of whole pages


@dataclass(frozen=True)
class Call:
    """A call that is measured."""

    query: str
    arrange: Callable[[Engine, int], Iterable[Arguments]]  # for so many calls of it: what each is given


# --- what the calls need ---


def start(engine: Engine, workflow_id: str, runs: int) -> list[str]:
    return [engine.start(workflow_id) for _ in range(runs)]


def leases(engine: Engine, workflow_id: str, count: int) -> list[str]:
    """Leases of the first jobs of new runs."""
    start(engine, workflow_id, count)
    claims = engine.claim_many(count, worker="w", ttl=86400)
    assert len(claims) == count
    return [claim["lease"]["lease_id"] for claim in claims]


def nothing(_: Engine, times: int) -> list[Arguments]:
    return [()] * times


def ready(workflow_id: str, jobs: int = 1) -> Callable[[Engine, int], list[Arguments]]:
    """So many jobs for each call."""

    def arrange(engine: Engine, times: int) -> list[Arguments]:
        bulk.start(engine.connection, workflow_id, times * jobs)
        return [()] * times

    return arrange


def leased(workflow_id: str) -> Callable[[Engine, int], list[Arguments]]:
    return lambda engine, times: [(lease,) for lease in leases(engine, workflow_id, times)]


def last_leased(engine: Engine, times: int) -> list[Arguments]:
    """Leases of jobs with which their parent's run ends."""
    for lease in leases(engine, "two", times):
        engine.complete(lease)
    return [(claim["lease"]["lease_id"],) for claim in engine.claim_many(times, worker="w", ttl=86400)]


def hundred_reports(engine: Engine, times: int) -> list[Arguments]:
    calls = []
    for _ in range(times):
        bulk.start(engine.connection, "one", 100)
        claims = engine.claim_many(100, worker="w", ttl=86400)
        reports = [{"lease_id": claim["lease"]["lease_id"], "outcome": "success"} for claim in claims]
        assert len(reports) == 100
        calls.append((json.dumps(reports),))
    return calls


def run_ids(workflow_id: str) -> Callable[[Engine, int], list[Arguments]]:
    return lambda engine, times: [(run_id,) for run_id in start(engine, workflow_id, times)]


def keys(engine: Engine, times: int) -> list[Arguments]:
    """Idempotency keys that were never used."""
    first = engine.query("select count(*) from wfg.runs")[0]["count"]
    return [(f"key {first + n}",) for n in range(times)]


def hundred_items(_: Engine, times: int) -> list[Arguments]:
    return [(json.dumps([{}] * 100),)] * times


def hundred_keys(engine: Engine, times: int) -> list[Arguments]:
    """Half of them are known already, the others were never used."""
    calls = []
    for _ in range(times):
        items = [{"idempotency_key": str(uuid4())} for _ in range(100)]
        engine.call("wfg_start_runs", p_workflow_id="one", p_runs=items[::2])
        calls.append((json.dumps(items),))
    return calls


def chunks(engine: Engine, times: int) -> list[Arguments]:
    """A line for each of so many leases."""
    bulk.start(engine.connection, "one", times)
    calls = []
    for claim in engine.claim_many(times, worker="w", ttl=86400):
        job = {"workflow_id": claim["job"]["workflow_id"], "job_id": claim["job"]["job_id"]}
        chunk = {**job, "sequence": 1, "stream": "stdout", "data": "hello\n", "timestamp_ms": 1}
        calls.append((claim["lease"]["lease_id"], json.dumps([chunk])))
    return calls


CLAIM = "select public.wfg_claim_job('w', '[]', 86400)"
COMPLETE = "select public.wfg_complete_job(%s)"
CLAIM_100 = "select public.wfg_claim_jobs('w', '[]', 100, 86400)"
REPORT_100 = "select public.wfg_report_jobs(%s, true)"
START = "select public.wfg_start_run('one')"
START_MANY = "select public.wfg_start_runs('one', %s)"

CALLS: dict[str, Call] = {
    "start, 1 job": Call(START, nothing),
    "start, 8 jobs": Call("select public.wfg_start_run('diamond')", nothing),
    "start, by key": Call("select public.wfg_start_run('one', p_idempotency_key => %s)", keys),
    "start many, 100": Call(START_MANY, hundred_items),
    "start many, by key": Call(START_MANY, hundred_keys),
    "claim": Call(CLAIM, ready("one")),
    "claim, 8 lanes": Call(f"select public.wfg_claim_job('w', '{OWN}', 86400)", ready("one")),
    "claim, nothing": Call(CLAIM, nothing),
    "claim 100": Call(CLAIM_100, ready("one", 100)),
    "renew": Call("select public.wfg_renew_lease(%s)", leased("one")),
    "append logs": Call("select public.wfg_append_logs(%s, %s)", chunks),
    "complete, run ends": Call(COMPLETE, leased("one")),
    "complete, 1 child": Call(COMPLETE, leased("two")),
    "complete, 6 children": Call(COMPLETE, leased("diamond")),
    "complete, last of 2": Call(COMPLETE, last_leased),
    "complete, run of 20": Call(COMPLETE, leased("wide")),
    "report 100": Call(REPORT_100, hundred_reports),
    "release": Call("select public.wfg_release_job(%s)", leased("one")),
    "fail, retried": Call("select public.wfg_fail_job(%s, 'boom', true)", leased("retried")),
    "fail, 7 skipped": Call("select public.wfg_fail_job(%s, 'boom')", leased("diamond")),
    "cancel run": Call("select public.wfg_cancel_run(%s)", run_ids("diamond")),
    "reap, nothing due": Call("select public.wfg_reap()", nothing),
    "get run": Call("select public.wfg_get_run(%s)", run_ids("diamond")),
}


# --- databases ---


def prepare(dsn: str) -> Engine:
    """A session on a database with sql/ loaded: workflows put, nothing queued, and nobody analyzes."""
    engine = Engine(dsn)
    engine.query("set statement_timeout = '120s'")
    engine.query("create temp table mark (n integer)")
    for table in engine.tables():
        engine.query(f"alter table wfg.{table} set (autovacuum_enabled = off)")
    for workflow_id, jobs in GRAPHS.items():
        engine.put(workflow_id, jobs=jobs)
    return engine


def fill(engine: Engine) -> None:
    """What must not matter: finished jobs, jobs ready for others, jobs that are not due."""
    bulk.start(engine.connection, "diamond", FINISHED // 10, finished=True)
    bulk.start(engine.connection, "one", FINISHED // 5, finished=True)
    bulk.start(engine.connection, "theirs", READY // 10)
    bulk.start(engine.connection, "one", DELAYED, delay=timedelta(days=1))
    # Else the map of free space still offers pages that are full by now, and writers look into each.
    engine.query("vacuum wfg.runs")
    engine.query("vacuum wfg.jobs")


def drain(engine: Engine) -> None:
    """Let all that is leased, or ready for our worker, come to its end."""
    leased = """
        select wfg.lease_id(q.run_id, q.job_no, q.lease_nonce) as id
          from wfg.queue q
         where q.lease_nonce is not null
         limit 1000
        """
    own = json.loads(OWN)
    while (held := engine.query(leased)) or engine.claim_many(1000, worker="w", labels=own, ttl=86400):
        reports = [{"lease_id": lease["id"], "outcome": "failure", "error": "drained"} for lease in held]
        if reports:
            engine.call("wfg_report_jobs", p_reports=reports)


# --- costs ---


def costs(empty: Engine, full: Engine) -> dict[str, Cost]:
    """What each call costs, by name; its plans were made when nothing was queued."""
    for engine in (empty, full):
        for call in CALLS.values():  # first calls make plans, and touch the pages after a checkpoint
            samples(engine, call, 2)
    fill(full)
    return {name: cost(empty, full, call) for name, call in CALLS.items()}


def cost(empty: Engine, full: Engine, call: Call) -> Cost:
    here, there = samples(empty, call, SAMPLES), samples(full, call, SAMPLES)
    return Cost(
        pages=usual(here, "pages"),
        pages_full=usual(there, "pages"),
        functions=usual(here, "functions"),
        writes=usual(here, "writes"),
        statements=statements(empty, call),
        wal=usual([sample for sample in here if not sample["images"]] or here, "wal"),
    )


def usual(samples: list[dict[str, int]], what: str) -> int:
    """The lower quartile: now and then a call carries upkeep, often when the machine is slow."""
    return lower_quartile(sample[what] for sample in samples)


def lower_quartile(figures: Iterable[Figure]) -> Figure:
    ordered = sorted(figures)
    return ordered[len(ordered) // 4]


def samples(engine: Engine, call: Call, times: int) -> list[dict[str, int]]:
    """So many calls, one right after the other."""
    given = list(call.arrange(engine, times))
    taken = [sample(engine, call.query, arguments) for arguments in given]
    drain(engine)
    return taken


def sample(engine: Engine, query: str, arguments: Arguments) -> dict[str, int]:
    if (
        "wfg_claim" in query
    ):  # it passes what died since the mark of its lane was set: more or less, by chance
        engine.query("vacuum wfg.queue")
    with engine.connection.transaction():
        engine.query("set local track_functions = 'all'")
        if "wfg_claim_job(" in query:  # the vacuum may have made its plans invalid
            with engine.connection.transaction(force_rollback=True):
                engine.query(query, *arguments)
        functions, writes = calls_so_far(engine), commands_so_far(engine)
        plan = explained(
            engine, f"explain (analyze, buffers, wal, timing off, format json) {query}", arguments
        )
        writes = commands_so_far(engine) - writes - 1
        functions = calls_so_far(engine) - functions
    return {
        "pages": plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"],
        "functions": functions,
        "writes": writes,
        "wal": plan["Plan"]["WAL Bytes"],
        "images": plan["Plan"]["WAL FPI"],
    }


def explained(engine: Engine, query: str, arguments: Arguments) -> dict[str, Any]:
    return engine.query(query, *arguments)[0]["QUERY PLAN"][0]


def calls_so_far(engine: Engine) -> int:
    """Of functions of ours, in this transaction. Those of SQL that Postgres inlines are not counted."""
    query = "select coalesce(sum(calls), 0)::int as calls from pg_stat_xact_user_functions"
    return engine.query(query)[0]["calls"]


def commands_so_far(engine: Engine) -> int:
    """The number of this statement in its transaction; only those that write or lock rows have one."""
    return int(engine.query("insert into pg_temp.mark values (1) returning cmin::text")[0]["cmin"])


def statements(engine: Engine, call: Call) -> int | None:
    """The nested statements that a call runs; None where there is no auto_explain."""
    connection, found = engine.connection, 0
    try:
        connection.execute("load 'auto_explain'")
    except psycopg.errors.UndefinedFile:
        return None

    def count(notice: psycopg.errors.Diagnostic) -> None:
        nonlocal found
        found += "plan:\n" in (notice.message_primary or "")

    counts = []
    settings = {"log_level": "notice", "log_nested_statements": "on", "log_min_duration": "0"}
    given = list(call.arrange(engine, 5))
    connection.add_notice_handler(count)
    for arguments in given:
        with connection.transaction():
            for name, value in settings.items():
                connection.execute(f"set local auto_explain.{name} = '{value}'".encode())
            found = 0
            engine.query(call.query, *arguments)
            counts.append(found - 1)
            assert counts[-1] > 0, "auto_explain says nothing"
    connection.remove_notice_handler(count)
    drain(engine)
    return lower_quartile(counts)


# --- times ---

BARE = """
create table bare (
  run_id uuid default gen_random_uuid(), job_no integer primary key, state text default 'queued',
  lease_nonce uuid, worker_id text, started_at timestamptz, finished_at timestamptz
)
with (fillfactor = 50)
"""
BARE_CLAIM = """
update bare
   set state = 'running', lease_nonce = gen_random_uuid(), worker_id = 'w', started_at = clock_timestamp()
 where job_no = %s
"""
BARE_COMPLETE = "update bare set state = 'success', finished_at = clock_timestamp() where job_no = %s"
BARE_ROWS = 500


def ratios(empty: Engine, full: Engine) -> dict[str, float]:
    """Times against each other, interleaved: more is better. After costs(), whose plans these are."""
    for engine in (empty, full):
        for name, value in {"log_min_messages": "fatal", "client_min_messages": "log"}.items():
            engine.query(f"set {name} = '{value}'")
        engine.query("set log_statement_stats = on")
    empty.query(BARE)
    empty.query("insert into bare (job_no) select generate_series(1, %s)", BARE_ROWS)
    rounds = [ratios_of_round(empty, full) for _ in range(ROUNDS)]
    empty.query("drop table bare")
    for engine in (empty, full):
        for name in ("log_statement_stats", "client_min_messages", "log_min_messages"):
            engine.query(f"reset {name}")
    return {name: median(found[name] for found in rounds) for name in rounds[0]}


def ratios_of_round(empty: Engine, full: Engine) -> dict[str, float]:
    times = 25
    bare, one, other, batch = [], [], [], []
    bulk.start(empty.connection, "one", times + 700)
    bulk.start(full.connection, "one", times)
    for n in range(times):
        bare.append((time_of(empty, BARE_CLAIM, n + 1), time_of(empty, BARE_COMPLETE, n + 1)))
        one.append(timed_pair(empty))
        other.append(timed_pair(full))
        if n % 4 == 0:
            batch.append(timed_batch(empty))
    drain(empty)
    drain(full)
    bare_time, time, time_full, batch_time = (
        tuple(lower_quartile(column) for column in zip(*rows, strict=True))
        for rows in (bare, one, other, batch)
    )
    return {
        "bare update, claim": bare_time[0] / time[0],
        "bare update, complete": bare_time[1] / time[1],
        "claim when empty, when full": time[0] / time_full[0],
        "complete when empty, when full": time[1] / time_full[1],
        "claim by ones, by 100": 100 * time[0] / batch_time[0],
        "complete by ones, by 100": 100 * time[1] / batch_time[1],
    }


def timed_pair(engine: Engine) -> tuple[float, float]:
    claim = time_of(engine, CLAIM)
    return claim, time_of(engine, COMPLETE, *held(engine))


def timed_batch(engine: Engine) -> tuple[float, float]:
    claim = time_of(engine, CLAIM_100)
    reports = [{"lease_id": lease, "outcome": "success"} for lease in held(engine)]
    assert len(reports) == 100
    return claim, time_of(engine, REPORT_100, json.dumps(reports))


def held(engine: Engine) -> list[str]:
    query = """
        select wfg.lease_id(q.run_id, q.job_no, q.lease_nonce) as id
          from wfg.queue q
         where q.lease_nonce is not null
        """
    return [row["id"] for row in engine.query(query)]


def time_of(engine: Engine, query: str, *arguments: str | int) -> float:
    """Of execution on a processor, in microseconds, as the server says: it does not wait for others to go
    first, and neither the way there, nor planning, nor the commit is in it."""
    found = []

    def read(notice: psycopg.errors.Diagnostic) -> None:
        if notice.message_primary == "EXECUTE MESSAGE STATISTICS":
            user_and_system = re.search(r"([\d.]+) s user, ([\d.]+) s system", notice.message_detail or "")
            assert user_and_system is not None, notice.message_detail
            found.append(1e6 * sum(map(float, user_and_system.groups())))

    engine.connection.add_notice_handler(read)
    engine.connection.execute(query.encode(), arguments, prepare=True)
    engine.connection.remove_notice_handler(read)
    assert len(found) == 1, found
    return found[0]


# --- the tables ---

COUNTED = ("functions", "writes", "statements")


def bar(what: str, figure: int) -> int:
    """Counts repeat themselves: a twentieth above, nothing for a few. Of the rest a tenth above, and three
    pages, or a record of WAL: a page is split or pruned, the server is of the other version."""
    if what in COUNTED:
        return figure + figure // 20
    return ceil(figure * 1.1) + (64 if what == "wal" else 3)


def cost_table(measured: Sequence[dict[str, Cost]]) -> str:
    """The worst of the servers, and bars above it."""
    columns = [["", *(f'"{name}":' for name in measured[0])]]
    for field in fields(Cost):
        columns.append([field.name])
        for name in measured[0]:
            found = [v for costs in measured if (v := getattr(costs[name], field.name)) is not None]
            pair = (max(found), bar(field.name, max(found))) if found else None
            columns[-1].append(str(pair))

    widths = [max(map(len, column)) for column in columns]
    lines = []
    for name, *cells in zip(*columns, strict=True):
        padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        if name:
            lines.append(f"    {name.ljust(widths[0])} ({', '.join(padded)}),")
        else:
            lines.append(f"    #{' ' * widths[0]} {'  '.join(padded)}")
    return "\n".join(lines)


def ratio_table(measured: Sequence[dict[str, float]]) -> str:
    """The worst of the servers, and 0.6 of it."""
    lines = []
    for name in measured[0]:
        worst = min(ratios[name] for ratios in measured)
        lines.append(f'    "{name}": ({worst:.3g}, {0.6 * worst:.2g}),')
    return "\n".join(lines)


def measure(server: cluster.Cluster) -> tuple[dict[str, Cost], dict[str, float]]:
    names = server.create("measure_empty"), server.create("measure_full")
    empty, full = (prepare(make_conninfo(server.dsn, dbname=name)) for name in names)
    try:
        return costs(empty, full), ratios(empty, full)
    finally:
        empty.close()
        full.close()


def main() -> None:
    servers = sys.argv[1:] or (["15", "18"] if (cluster.DEBIAN / "initdb").exists() else ["18"])
    measured = []
    for server in servers:
        settings = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "128MB"}
        with cluster.running(server, settings=settings) as running:
            measured.append(measure(running))

    print(
        f"# {datetime.now(UTC):%Y-%m-%d}, Postgres {' and '.join(servers)}: the worse of each, and its bar."
    )
    print("COSTS: dict[str, tuple[Bar, ...]] = {")
    print(cost_table([costs for costs, _ in measured]))
    print("}\nRATIOS: dict[str, tuple[float, float]] = {")
    print(ratio_table([ratios for _, ratios in measured]))
    print("}")


if __name__ == "__main__":
    main()
