"""A claim and a report touch the same few buffers, by key, however many rows there are.

Also in sessions that made their plans while the database was empty, and when it was never analyzed.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import median
from typing import Any

import psycopg
import pytest

from tests import bulk
from tests.engine import Engine, lease_id

MANY = 100_000
# Tables that grow with the jobs there are or were.
LARGE = {"queue", "jobs", "runs", "job_specs", "run_slots", "join_slots", "outputs", "attempts", "log_chunks"}


def pairs(count: int, **keys: Any) -> dict[str, Any]:
    """Jobs that are ready at once, each with a child."""
    return {
        **{f"a{n}": {"run": "true", **keys} for n in range(count)},
        **{f"b{n}": {"run": "true", "needs": [f"a{n}"], **keys} for n in range(count)},
    }


# Those with a label come first for who has it: such a worker may take the plain ones too.
GRAPHS: dict[str, dict[str, Any]] = {
    "plain": pairs(8),
    "many": pairs(8, labels=["many"], priority=1),
    "big": pairs(8, labels=["big"], priority=1),  # not yet: fill() puts BIG
    "wide": {
        **{f"a{n}": {"run": "true", "labels": ["wide"], "priority": 1} for n in range(20)},
        "join": {"run": "true", "labels": ["wide"], "priority": 1, "needs": [f"a{n}" for n in range(20)]},
    },
    **{f"lane{n}": {f"a{m}": {"run": "true", "labels": [f"l{n}"]} for m in range(10)} for n in range(10)},
}
BIG = pairs(500, labels=["big"], priority=1)


@dataclass(frozen=True)
class Batch:
    """What is claimed, then reported, in one call each."""

    workflow_id: str
    size: int
    labels: list[str]

    @property
    def claim(self) -> tuple[str, list[Any]]:
        if self.size == 1:
            return "select public.wfg_claim_job('w', %s, 86400) as answer", [json.dumps(self.labels)]
        values = [json.dumps(self.labels), self.size]
        return "select public.wfg_claim_jobs('w', %s, %s, 86400) as answer", values

    def report(self, leases: list[str]) -> tuple[str, list[Any]]:
        if self.size == 1:
            return "select public.wfg_complete_job(%s)", leases
        reports = [{"lease_id": lease, "outcome": "success"} for lease in leases]
        return "select public.wfg_report_jobs(%s, true)", [json.dumps(reports)]


BATCHES = {
    "one": Batch("plain", 1, []),
    "hundred": Batch("many", 100, ["many"]),
    "one of a wide join": Batch("wide", 1, ["wide"]),
    "one of a big run": Batch("big", 1, ["big"]),
}


@dataclass
class Call:
    """What a call did."""

    buffers: int
    seq_scans: dict[str, int]  # by large table
    rows: dict[str, int]  # read, by large table


@dataclass
class Situation:
    """What the calls did in one situation, by batch and `claim` or `report`."""

    calls: dict[tuple[str, str], list[Call]] = field(default_factory=dict)
    plans: list[dict[str, Any]] = field(default_factory=list)  # of the statements inside them

    def buffers(self, batch: str, what: str) -> float:
        """Now and then a call carries upkeep: hence the median."""
        return median(call.buffers for call in self.calls[batch, what])

    def rows(self, batch: str, what: str) -> dict[str, float]:
        calls = self.calls[batch, what]
        return {table: median(call.rows[table] for call in calls) for table in LARGE}


def buffers_of(engine: Engine, query: str, values: list[Any]) -> int:
    """Make a call; how many buffers it touched."""
    (row,) = engine.query(f"explain (analyze, buffers, timing off, format json) {query}", *values)
    plan = row["QUERY PLAN"][0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


class Session:
    """A session whose calls are measured. Its first calls make its plans."""

    def __init__(self, dsn: str, arrange: Callable[[Engine, Batch], None]) -> None:
        self.engine = Engine(dsn)
        self.arrange = arrange  # what there is to claim, before each call
        for batch in BATCHES.values():
            for _ in range(10):
                arrange(self.engine, batch)
                self.run(*batch.report(self.claimed(batch)))

    def situation(self) -> Situation:
        """Measure each call five times."""
        situation = Situation()
        for name, batch in BATCHES.items():
            for _ in range(5):
                self.arrange(self.engine, batch)
                claim = self.measured(*batch.claim)
                report = self.measured(*batch.report(self.claimed(batch)))
                situation.calls.setdefault((name, "claim"), []).append(claim)
                situation.calls.setdefault((name, "report"), []).append(report)
            situation.plans += self.plans(batch)
        return situation

    def claimed(self, batch: Batch) -> list[str]:
        answer = self.run(*batch.claim)[0]["answer"]
        return [lease_id(claim) for claim in (answer if batch.size > 1 else [answer])]

    def run(self, query: str, values: list[Any]) -> list[dict[str, Any]]:
        return self.engine.connection.execute(query.encode(), values).fetchall()

    def measured(self, query: str, values: list[Any]) -> Call:
        with self.engine.connection.transaction():
            before = self.scans()
            buffers = buffers_of(self.engine, query, values)
            after = self.scans()
        return Call(
            buffers,
            {table: scans - before[table][0] for table, (scans, _) in after.items()},
            {table: rows - before[table][1] for table, (_, rows) in after.items()},
        )

    def scans(self) -> dict[str, tuple[int, int]]:
        """Sequential scans and rows read so far, by large table."""
        query = """
            select relname, seq_scan, seq_tup_read + coalesce(idx_tup_fetch, 0) as rows
              from pg_stat_xact_user_tables
             where schemaname = 'wfg'
            """
        found = {table["relname"]: (table["seq_scan"], table["rows"]) for table in self.engine.query(query)}
        return {table: found[table] for table in LARGE}

    def plans(self, batch: Batch) -> list[dict[str, Any]]:
        """The plans of the statements inside a claim and its report; none where there is no auto_explain."""
        connection, plans = self.engine.connection, []
        self.arrange(self.engine, batch)
        try:
            connection.execute("load 'auto_explain'")
        except psycopg.errors.UndefinedFile:
            return []

        def keep(notice: psycopg.errors.Diagnostic) -> None:
            _, found, plan = (notice.message_primary or "").partition("plan:\n")
            if found:
                plans.append(json.loads(plan))

        settings = {"log_level": "notice", "log_nested_statements": "on", "log_format": "json"}
        for name, value in {**settings, "log_min_duration": "0"}.items():
            connection.execute(f"set auto_explain.{name} = '{value}'".encode())
        connection.add_notice_handler(keep)
        self.run(*batch.report(self.claimed(batch)))
        connection.remove_notice_handler(keep)
        connection.execute("set auto_explain.log_min_duration = -1")
        return plans


# --- the situations ---


def drain(engine: Engine) -> None:
    """Let all that is ready or leased come to its end."""
    leases = """
        select wfg.lease_id(q.run_id, q.job_no, q.lease_nonce) as id
          from wfg.queue q
         where q.lease_nonce is not null
        """
    labels = [label for batch in BATCHES.values() for label in batch.labels]
    while engine.claim_many(1000, labels=labels) or engine.query(f"{leases} limit 1"):
        reports = [{"lease_id": lease["id"], "outcome": "success"} for lease in engine.query(leases)]
        engine.call("wfg_report_jobs", p_reports=reports, p_strict=True)


def only_these(engine: Engine, batch: Batch) -> None:
    """Nothing is queued but the first jobs of new runs: enough for two claims of a batch."""
    drain(engine)
    bulk.start(engine.connection, batch.workflow_id, 1 + 2 * batch.size // 8)


def as_it_is(engine: Engine, batch: Batch) -> None:
    """There is enough of everything."""


def fill(engine: Engine) -> None:
    """100,000 jobs ready here, delayed, finished, and ready in other lanes; a version of 1,000 jobs."""
    drain(engine)
    engine.put("big", jobs=BIG)
    bulk.start(engine.connection, "plain", MANY // 8)
    bulk.start(engine.connection, "plain", MANY // 8, delay=timedelta(days=1))
    bulk.start(engine.connection, "plain", MANY // 16, finished=True)
    bulk.start(engine.connection, "many", MANY // 16)
    bulk.start(engine.connection, "wide", MANY // 200)
    bulk.start(engine.connection, "big", 2)
    for n in range(10):
        bulk.start(engine.connection, f"lane{n}", MANY // 100)


@pytest.fixture(scope="module")
def situations(new_database: Callable[..., str], template: str) -> dict[str, Situation]:
    """By name.

    empty: never more than a little was queued; cached: the same session after 400,000 jobs came; fresh: a
    new one; analyzed: a new one after ANALYZE.
    """
    dsn = new_database(template)
    other = Engine(dsn)
    for table in other.tables():
        other.query(f"alter table wfg.{table} set (autovacuum_enabled = off)")  # it would analyze
    for workflow_id, jobs in GRAPHS.items():
        other.put(workflow_id, jobs=jobs)

    situations: dict[str, Situation] = {}
    early = Session(dsn, only_these)
    situations["empty"] = early.situation()
    fill(other)
    early.arrange = as_it_is
    situations["cached"] = early.situation()
    fresh = Session(dsn, as_it_is)
    situations["fresh"] = fresh.situation()
    other.query("analyze")
    late = Session(dsn, as_it_is)
    situations["analyzed"] = late.situation()
    for engine in (early.engine, fresh.engine, late.engine, other):
        engine.close()
    return situations


calls = pytest.mark.parametrize(
    ("batch", "what"), [(batch, what) for batch in BATCHES for what in ("claim", "report")]
)
CROWDED = ("cached", "fresh", "analyzed")


@calls
def test_buffers_do_not_grow_with_the_rows(situations: dict[str, Situation], batch: str, what: str) -> None:
    empty = situations["empty"].buffers(batch, what)
    crowded = {name: situations[name].buffers(batch, what) for name in CROWDED}

    assert max(crowded.values()) <= 1.5 * empty + 30, (empty, crowded)  # trees are a level deeper or two
    assert empty <= 120 * BATCHES[batch].size


@calls
def test_rows_are_read_by_their_keys(situations: dict[str, Situation], batch: str, what: str) -> None:
    most = 6 * BATCHES[batch].size + 10
    for name, situation in situations.items():
        rows = situation.rows(batch, what)
        assert max(rows.values()) <= most, (name, rows)


@calls
def test_no_large_table_is_scanned(situations: dict[str, Situation], batch: str, what: str) -> None:
    for name, situation in situations.items():
        for call in situation.calls[batch, what]:
            assert not any(call.seq_scans.values()), (name, call.seq_scans)


def test_nested_plans_are_nested_loops_over_index_scans(situations: dict[str, Situation]) -> None:
    if not situations["empty"].plans:
        pytest.skip("no auto_explain here: it comes with Debian's Postgres")

    for name, situation in situations.items():
        assert len(situation.plans) > 50
        for plan in situation.plans:
            bad = [node for node in nodes(plan["Plan"]) if is_bad(node)]
            assert not bad, (name, plan["Query Text"], bad)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def is_bad(node: dict[str, Any]) -> bool:
    """A scan of a large table that is not by index, or a hash or merge join that has one below it."""
    if node["Node Type"] in ("Hash Join", "Merge Join"):
        return any(child.get("Relation Name") in LARGE for child in nodes(node))
    if node["Node Type"] in ("Seq Scan", "Bitmap Heap Scan"):
        return node.get("Relation Name") in LARGE
    return False


@pytest.mark.parametrize(
    "call",
    [
        "select public.wfg_renew_lease(%s)",
        "select public.wfg_complete_job(%s)",
        "select public.wfg_fail_job(%s, 'boom', true)",
        """
        select public.wfg_report_jobs(
          jsonb_build_array(jsonb_build_object('lease_id', %s::text, 'outcome', 'success'))
        )
        """,
        "select public.wfg_append_logs(%s, '[]')",
    ],
)
def test_one_lease_is_found_among_thousands(engine: Engine, connect: Callable[[], Engine], call: str) -> None:
    """By its key, though the plan was made when hardly any was leased: their index looked small."""
    engine.put(jobs={"a": {"run": "true", "retries": 5}})
    bulk.start(engine.connection, "wf", 3000)
    engine.query("vacuum analyze wfg.queue")
    session = connect()

    def buffers() -> int:
        engine.start()
        return buffers_of(session, call, [lease_id(engine.claim())])

    alone = [buffers() for _ in range(8)][-1]
    for _ in range(2):
        engine.claim_many(1000, worker="other", ttl=86400)

    assert buffers() <= 1.5 * alone + 20


@pytest.mark.parametrize("function", ["wfg_get_run", "wfg_get_status"])
def test_a_run_is_shown_in_time_that_grows_with_its_jobs(engine: Engine, function: str) -> None:
    """Not with their square: each job is found by both columns of its key. The plan is old."""

    def buffers(count: int) -> int:
        engine.put(jobs={f"j{number}": {"run": "true"} for number in range(count)})
        return buffers_of(engine, f"select public.{function}(%s)", [engine.start()])

    buffers(1)
    assert buffers(800) <= 5 * buffers(200)


DEAD = 400


def test_dead_entries_are_not_passed_though_the_queue_was_empty_when_it_was_analyzed(
    engine: Engine, connect: Callable[[], Engine]
) -> None:
    """A transaction held open elsewhere keeps them; autoanalyze comes by meanwhile, every minute."""
    holder, fresh = connect(), connect()
    engine.put(jobs={"a": {"run": "true", "retries": 1}, "b": {"run": "true", "needs": "a"}})
    holder.query("begin isolation level repeatable read")
    holder.query("select 1")
    engine.call("wfg_start_runs", p_workflow_id="wf", p_runs=[{}] * (DEAD // 2))
    while claims := engine.claim_many(1000):
        engine.call(
            "wfg_report_jobs",
            p_reports=[{"lease_id": lease_id(claim), "outcome": "success"} for claim in claims],
        )
    engine.query("analyze wfg.queue")
    (size,) = engine.query("select reltuples from pg_class where oid = 'wfg.queue'::regclass")
    assert size["reltuples"] == 0

    for _ in range(3):
        fresh.start()
    with fresh.connection.transaction():
        first, second, *more = fresh.claim_many(9)
        assert len(more) == 1
        fresh.call("wfg_report_jobs", p_reports=[{"lease_id": lease_id(first), "outcome": "success"}])
        fresh.call(
            "wfg_report_jobs",
            p_reports=[
                {"lease_id": lease_id(second), "outcome": "failure", "error": "x", "retryable": True},
            ],
        )
        fresh.call("wfg_release_job", p_lease_id=lease_id(more[0]))
        fresh.call("wfg_cancel_run", p_run_id=first["job"]["run_id"])
        fresh.call("wfg_reap")
        (read,) = fresh.query(
            "select pg_stat_get_xact_tuples_returned('wfg.queue_pkey'::regclass) as entries,"
            " pg_stat_get_xact_numscans('wfg.queue_pkey'::regclass) as scans"
        )
    holder.query("rollback")

    assert read["scans"] > 5
    assert read["entries"] < DEAD / 2
