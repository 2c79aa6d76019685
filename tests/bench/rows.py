"""The rows of the table: each measures a figure, and what it stands against. bench.py interleaves the two.

A row is a class: prepare() makes its database, figure() and against() load fresh work and measure once.
"""

import json
import time
from dataclasses import dataclass, field
from statistics import mean
from typing import Any, ClassVar, LiteralString

import psycopg

from tests import bulk
from tests.bench import pgbench
from tests.bench.cluster import Cluster

WARM_SECS = 1  # sessions make their plans; not counted


@dataclass(frozen=True)
class Options:
    seconds: int = 3  # of a measurement
    rounds: int = 5
    rows: int = 100_000  # jobs that cold plans meet
    hold: int = 30  # seconds of load beside a held transaction
    hold_rounds: int = 2
    wide: int = 2000  # parallel jobs of one run


QUICK = Options(seconds=1, rounds=1, rows=20_000, hold=2, hold_rounds=1, wide=200)


@dataclass(frozen=True)
class Rate:
    """What was measured: pairs per second, and the processor time of the server's sessions for one."""

    per_sec: float
    cpu_us: float | None = None
    fsync_ms: float | None = None  # filled in by bench.py


@dataclass
class Row:
    cluster: Cluster
    options: Options

    name: ClassVar[str]
    what: ClassVar[str]  # the figure
    against_what: ClassVar[str] = ""  # what the ratio is to; nothing: only the floor counts
    unit: ClassVar[str] = "pairs/s"
    goal: ClassVar[float | None] = None  # of the ratio, or of the ratio to the floor when there is no other
    notes: dict[str, Any] = field(default_factory=dict)
    jobs_per_sec: float = 6000  # loaded for a measurement; more once that was too few

    @property
    def database(self) -> str:
        return f"bench_{self.name}"

    @property
    def rounds(self) -> int:
        return self.options.rounds

    def prepare(self) -> None:
        self.make_database()

    def figure(self) -> Rate:
        raise NotImplementedError

    def against(self) -> Rate | None:
        return None

    def clean_up(self) -> None:
        self.cluster.drop(self.database)

    # --- what rows do ---

    def make_database(self) -> None:
        """Anew, with the workflow of one job."""
        self.cluster.create(self.database)
        with self.connect() as connection:
            put(connection, "alone", {"a": {"run": "true"}})

    def connect(self) -> psycopg.Connection:
        return self.cluster.connect(self.database)

    def load_alone(self, jobs: int) -> None:
        """So many more runs of one job, ready."""
        with self.connect() as connection:
            connection.execute("checkpoint")  # before the load: what it writes will need no full-page images
            bulk.start(connection, "alone", jobs)

    def measure(self, script: str, seconds: int, **variables: object) -> pgbench.Load:
        """What a script does, once its sessions are warm."""
        options = ("-T", str(WARM_SECS + seconds + 60))
        with pgbench.started(self.cluster, self.database, script, *options, variables=variables) as client:
            return client.measure(seconds, time.time() + WARM_SECS)

    def measure_pairs(self, seconds: int) -> pgbench.Load:
        """The load of claim 1 + complete 1 on enough jobs of one-job runs."""
        while True:
            self.load_alone(int(self.jobs_per_sec * (WARM_SECS + seconds + 1)))
            load = self.measure(pgbench.PAIR, seconds, labels="[]")
            self.jobs_per_sec = max(self.jobs_per_sec, 1.5 * max(load.per_second))
            if self.any_ready():
                return load

    def any_ready(self) -> bool:
        """Whether a measurement left jobs; else its clients went round for nothing."""
        return self.ask("select exists (select from wfg.queue q where q.lease_nonce is null)")

    def ask(self, query: LiteralString, *values: object) -> Any:
        """The one value that a query answers."""
        with self.connect() as connection:
            row = connection.execute(query, values).fetchone()
        assert row is not None
        return row[0]


@dataclass
class Floor(Row):
    """The two bare updates of a claim and its completion, and nothing else.

    A table of the shape of wfg.jobs, without triggers and checks, its key the only index. Each row is updated
    once by a claim and once by its completion, by primary key, in two transactions. Clients walk through rows
    of their own.
    """

    name = "floor"
    what = "two bare updates by key, in two transactions"
    script: ClassVar[str] = """
\\set n :n % :rows + 1
update bench.bare
   set state = 'running', attempt = attempt + 1, lease_nonce = gen_random_uuid(),
       worker_id = 'w' || :client_id, started_at = clock_timestamp()
 where run_id = '00000000-0000-7000-8000-000000000000' and job_no = :n * 8 + :client_id
returning lease_nonce as lease, 1 as got \\gset
\\if :got
update bench.bare
   set state = 'success', finished_at = clock_timestamp()
 where run_id = '00000000-0000-7000-8000-000000000000' and job_no = :n * 8 + :client_id
   and lease_nonce = :lease::uuid;
\\endif
"""
    rate: float = 8000

    def prepare(self) -> None:
        self.cluster.create(self.database)
        with self.connect() as connection:
            connection.execute("create schema bench")
            connection.execute(
                "create table bench.bare (like wfg.jobs including defaults) with (fillfactor = 50)"
            )
            connection.execute("alter table bench.bare add primary key (run_id, job_no)")

    def figure(self) -> Rate:
        rows = int(self.rate * (WARM_SECS + self.options.seconds) * 1.5 / pgbench.CLIENTS) + 1
        with self.connect() as connection:
            connection.execute("truncate bench.bare")
            connection.execute("checkpoint")
            connection.execute(
                "insert into bench.bare (run_id, job_no, parents_left)"
                " select '00000000-0000-7000-8000-000000000000', n, 0 from generate_series(1, %s) n",
                [(rows + 2) * pgbench.CLIENTS],
            )
            connection.execute("vacuum analyze bench.bare")
        load = self.measure(self.script, self.options.seconds, n=0, rows=rows)
        self.rate = max(self.rate, load.rate())
        return rate_of(load)


@dataclass
class Pairs(Row):
    """Claim 1, complete 1: runs of one job each, so that nothing is shared but the lane."""

    name = "pairs"
    what = "claim 1 + complete 1, independent jobs"
    goal = 0.65

    def prepare(self) -> None:
        super().prepare()
        self.load_alone(1000)
        with self.connect() as connection:
            connection.execute("vacuum analyze")

    def figure(self) -> Rate:
        return rate_of(self.measure_pairs(self.options.seconds))


@dataclass
class Wide(Row):
    """One run 1 → 2,000 → 1, against as many jobs in chains of two. Several such runs, one after the other.

    The same pairs. The rate is read from the history: of the jobs' ends, the first 95 %, so that neither the
    sessions' first calls, on jobs of their own, nor their last count.
    """

    name = "wide"
    what = "one run 1 → {wide} → 1"
    against_what = "two-job chains"
    goal = 0.9
    warm: ClassVar[int] = 50 * pgbench.CLIENTS

    def prepare(self) -> None:
        super().prepare()
        with self.connect() as connection:
            put(connection, "chain", {"a": {"run": "true"}, "b": {"run": "true", "needs": ["a"]}})
            put(connection, "wide", wide(self.options.wide))
            connection.execute("vacuum analyze")

    def figure(self) -> Rate:
        runs = self.options.seconds
        with self.connect() as connection:
            connection.execute("checkpoint")
            bulk.start(connection, "wide", runs)
            leases = claim(connection, runs)
            bulk.start(connection, "alone", self.warm)
            complete(connection, leases)
        return self.drain("wide", runs * self.options.wide)

    def against(self) -> Rate:
        runs = self.options.seconds * (self.options.wide + 2) // 2
        with self.connect() as connection:
            connection.execute("checkpoint")
            bulk.start(connection, "alone", self.warm)
            bulk.start(connection, "chain", runs)
        return self.drain("chain", 2 * runs)

    def drain(self, workflow_id: str, jobs: int) -> Rate:
        begun = self.ask("select clock_timestamp()")
        each = (self.warm + jobs) // pgbench.CLIENTS
        variables = {"labels": "[]"}
        with pgbench.started(
            self.cluster, self.database, pgbench.PAIR, "-t", str(each), variables=variables
        ) as client:
            load = client.measure_rest(time.time() + WARM_SECS)
            while client.read():
                pass
        ended, secs = self.ask(
            """
            select array[
                     count(*)::float8,
                     extract(
                       epoch from
                         percentile_disc(0.95) within group (order by j.finished_at) - min(j.finished_at)
                     )::float8
                   ]
              from wfg.runs r
              join wfg.jobs j on j.run_id = r.id
             where r.workflow_id = %s
               and j.finished_at > %s
            """,
            workflow_id,
            begun,
        )
        if ended < 0.98 * jobs:
            raise RuntimeError(f"{ended:.0f} of {jobs} jobs were done: clients found nothing to claim")
        return Rate(0.95 * ended / secs, load.cpu_us)


@dataclass
class Cold(Row):
    """Sessions made their plans on an empty database, never analyzed, then meet 100,000 jobs.

    Against fresh sessions after ANALYZE.
    """

    name = "cold"
    what = "never analyzed, plans made while empty, then {rows} jobs"
    against_what = "analyzed, fresh sessions"
    goal = 0.8

    # After 20 pairs each session waits at the gate.
    gate: ClassVar[int] = 77
    before: ClassVar[int] = 20
    script: ClassVar[str] = f"""
\\set n :n + 1
\\if :n = {before} + 1
select pg_advisory_xact_lock_shared({gate});
\\endif
{pgbench.PAIR}"""

    def prepare(self) -> None:
        """Nothing: each round makes the database anew."""

    def figure(self) -> Rate:
        self.make_database()
        self.no_autovacuum()
        self.load_alone(self.before * pgbench.CLIENTS)
        variables = {"labels": "[]", "n": 0}
        started = pgbench.started(self.cluster, self.database, self.script, "-T", "600", variables=variables)
        with self.connect() as gate:
            gate.execute("select pg_advisory_lock(%s)", [self.gate])
            with started as client:
                self.wait_at_gate()
                self.load_alone(self.options.rows)
                gate.execute("select pg_advisory_unlock(%s)", [self.gate])
                load = client.measure(self.options.seconds, time.time() + 1)
        return self.rate_if_enough(load)

    def against(self) -> Rate:
        with self.connect() as connection:
            connection.execute("analyze")
        self.load_alone(self.options.rows - self.ask("select count(*)::int from wfg.queue"))
        return self.rate_if_enough(self.measure(pgbench.PAIR, self.options.seconds, labels="[]"))

    def rate_if_enough(self, load: pgbench.Load) -> Rate:
        if not self.any_ready():
            raise RuntimeError(f"{self.options.rows} rows are too few for {self.options.seconds} seconds")
        return rate_of(load)

    def no_autovacuum(self) -> None:
        """It would analyze."""
        with self.connect() as connection:
            connection.execute(
                """
                do $$
                declare
                  v_table regclass;
                begin
                  for v_table in
                    select c.oid
                      from pg_class c
                     where c.relnamespace = 'wfg'::regnamespace
                       and c.relkind = 'r'
                  loop
                    execute format('alter table %s set (autovacuum_enabled = off)', v_table);
                  end loop;
                end $$
                """
            )

    def wait_at_gate(self) -> None:
        query = "select count(*) from pg_locks l where l.locktype = 'advisory' and not l.granted"
        while self.ask(query) < pgbench.CLIENTS:
            time.sleep(0.01)


@dataclass
class Held(Row):
    """Pairs beside a transaction that holds a snapshot, at the end of N seconds; against as long without it.

    Nothing dead can be removed meanwhile, so the heads of the indexes fill. The notes give the rates by 5
    seconds.
    """

    name = "held"
    what = "pairs beside a held snapshot, at the end of {hold} s"
    against_what = "without it"
    goal = 0.7
    step: ClassVar[int] = 5

    @property
    def rounds(self) -> int:
        return self.options.hold_rounds

    def prepare(self) -> None:
        """Nothing: each measurement makes the database anew."""

    def figure(self) -> Rate:
        return self.rate_at_end(
            "with", "begin isolation level repeatable read; select 1 from wfg.queue limit 1"
        )

    def against(self) -> Rate:
        return self.rate_at_end("without", "select 1")

    def rate_at_end(self, name: str, first: LiteralString) -> Rate:
        self.make_database()
        self.load_alone(1000)
        with self.connect() as other:
            other.execute("vacuum analyze")
            other.execute(first)
            load = self.measure_pairs(self.options.hold)
        rates = load.per_second
        steps = [round(mean(rates[n : n + self.step])) for n in range(0, len(rates), self.step)]
        self.notes.setdefault(name, []).append(steps)
        return Rate(mean(rates[-self.step :]), load.cpu_us)


ROWS: tuple[type[Row], ...] = (Pairs, Wide, Cold, Held)


def rate_of(load: pgbench.Load) -> Rate:
    return Rate(load.rate(), load.cpu_us)


def wide(parallel: int) -> dict[str, Any]:
    """One job, then so many, then one."""
    middle = {f"b{n}": {"run": "true", "needs": ["a"]} for n in range(parallel)}
    return {"a": {"run": "true"}, **middle, "c": {"run": "true", "needs": list(middle)}}


def put(connection: psycopg.Connection[Any], workflow_id: str, jobs: dict[str, Any]) -> None:
    connection.execute(
        "select public.wfg_put_workflow(%s, %s::json)", [workflow_id, json.dumps({"jobs": jobs})]
    )


def claim(connection: psycopg.Connection[Any], limit: int) -> list[str]:
    """Claim so many jobs; their lease ids."""
    row = connection.execute("select public.wfg_claim_jobs('bench', '[]', %s, 3600)", [limit]).fetchone()
    assert row is not None
    return [claim["lease"]["lease_id"] for claim in row[0]]


def complete(connection: psycopg.Connection[Any], leases: list[str]) -> None:
    """Complete all of them, in one transaction."""
    reports = [{"lease_id": lease, "outcome": "success"} for lease in leases]
    connection.execute("select public.wfg_report_jobs(%s::jsonb, true)", [json.dumps(reports)])
