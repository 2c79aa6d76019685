"""What a row of the table is, and what rows do alike.

A row is a class: prepare() makes its database; each of its measures loads fresh work and measures once; its
lines say how that is shown, and what must be reached. bench.py interleaves the measures.
"""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, LiteralString

import psycopg

from tests import bulk
from tests.bench import pgbench
from tests.bench.cluster import Cluster
from tests.bench.graphs import ALONE, put

DRAIN_SECS = 600.0  # after which a drain is given up: the engine lost a job


@dataclass(frozen=True)
class Options:
    seconds: int = 3  # of a measurement
    warm: int = 1  # seconds before it, in which sessions make their plans
    clients: int = pgbench.CLIENTS  # sessions
    many: int = 32  # sessions of rows that say so
    before: int = 20  # transactions of each session before a gate opens
    rounds: int = 5
    few_rounds: int = 3  # of rows with many measures
    long_rounds: int = 2  # of rows with long ones
    floor_once: bool = False  # not anew in each round
    share: float = 1.0  # of the jobs that are drained where no option says how many
    rows: int = 100_000  # jobs that cold plans meet
    hold: int = 30  # seconds of load beside a held transaction
    recovery: int = 15  # seconds of load after it
    wide: int = 2000  # parallel jobs of one run
    flat: int = 20_000  # jobs without dependencies, in runs of 10,000 at most: the limit of a workflow
    due: int = 40_000  # jobs that fall due at once
    backlog: int = 1_000_000  # finished runs, and as many ready jobs for others
    lanes: int = 1000  # where that is; our worker takes from 8
    bursts: int = 400  # of 8 starts at once
    connections: int = 256
    disk: int = 100_000  # jobs whose bytes are counted
    requests: int = 500_000  # after which the HTTP server's memory is looked at


QUICK = Options(
    seconds=1,
    warm=0,
    clients=2,
    many=4,
    before=2,
    rounds=1,
    few_rounds=1,
    long_rounds=1,
    floor_once=True,
    share=0.05,
    rows=20_000,
    hold=1,
    recovery=1,
    wide=100,
    flat=400,
    due=500,
    backlog=2000,
    lanes=50,
    bursts=10,
    connections=6,
    disk=1000,
    requests=1000,
)


@dataclass(frozen=True)
class Figure:
    """What was measured: mostly jobs per second, and the processor time of the server's sessions for one."""

    value: float
    cpu_us: float | None = None
    fsync_ms: float | None = None  # filled in by bench.py


@dataclass(frozen=True)
class Goal:
    """What the figure must reach, or must not exceed: itself, or as a ratio."""

    bound: float
    to: str = ""  # "": the figure itself; "against", "floor": the ratio to that
    at_most: bool = False


@dataclass(frozen=True)
class Line:
    """A line of the table: a measure, and the measure that it stands against."""

    name: str
    what: str
    figure: str = "figure"
    against: str = ""  # none: only the floor counts
    against_what: str = ""
    unit: str = "pairs/s"
    goals: tuple[Goal, ...] = ()


@dataclass
class Row:
    cluster: Cluster
    options: Options

    name: ClassVar[str]
    has_floor: ClassVar[bool] = True  # a rate of jobs, so that the floor says something
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def database(self) -> str:
        return f"bench_{self.name}"

    @property
    def rounds(self) -> int:
        return self.options.rounds

    def lines(self) -> list[Line]:
        raise NotImplementedError

    def measures(self) -> dict[str, Callable[[], Figure | None]]:
        """By name, in the order of a round. None: it cannot be measured here; the notes say why."""
        raise NotImplementedError

    def prepare(self) -> None:
        self.make_database()

    def clean_up(self) -> None:
        self.cluster.drop(self.database)

    # --- what rows do ---

    def make_database(self) -> None:
        """Anew, with the workflow of one job."""
        self.cluster.create(self.database)
        with self.connect() as connection:
            put(connection, "alone", ALONE)

    def connect(self) -> psycopg.Connection:
        return self.cluster.connect(self.database)

    def ask(self, query: LiteralString, *values: object) -> Any:
        """The one value that a query answers."""
        with self.connect() as connection:
            row = connection.execute(query, values).fetchone()
        assert row is not None
        return row[0]

    def load(self, workflow_id: str, runs: int, delay: timedelta | None = None) -> None:
        """So many more runs, ready."""
        with self.connect() as connection:
            connection.execute("checkpoint")  # before the load: what it writes will need no full-page images
            bulk.start(connection, workflow_id, runs, delay=delay)

    def any_ready(self) -> bool:
        """Whether a measurement left jobs; else its clients went round for nothing."""
        return self.ask("select exists (select from wfg.queue q where q.lease_nonce is null)")

    def measure(
        self,
        script: str,
        *,
        database: str = "",
        clients: int = 0,
        options: tuple[str, ...] = (),
        to_end: bool = False,
        **variables: object,
    ) -> pgbench.Load:
        """What a script does in so many seconds, once its sessions are warm.

        to_end: pgbench is not stopped, but ends by itself: what it logs is whole.
        """
        seconds, warm = self.options.seconds, self.options.warm
        with pgbench.started(
            self.cluster,
            database or self.database,
            script,
            *("-T", str(warm + seconds + (2 if to_end else 60)), *options),
            clients=clients or self.options.clients,
            variables=variables,
        ) as client:
            load = client.measure(seconds, time.time() + warm if warm else 0)
            if to_end:
                client.finish_alone()
            return load

    @contextmanager
    def gated(
        self,
        script: str,
        *,
        clients: int = 0,
        before: int = 0,
        batch: int = 1,
        **variables: object,
    ) -> Generator["Gate"]:
        """Sessions that have made their plans, on jobs of their own, and wait until the gate is opened."""
        clients = clients or self.options.clients
        before = before or self.options.before
        self.load("alone", before * clients * batch)
        waiting = pgbench.gated(script, before)
        with self.connect() as keeper:
            keeper.execute("select pg_advisory_lock(%s)", [pgbench.GATE])
            with pgbench.started(
                self.cluster,
                self.database,
                waiting,
                "-T",
                "3600",
                clients=clients,
                variables={**variables, "n": 0},
            ) as client:
                query = "select count(*) from pg_locks l where l.locktype = 'advisory' and not l.granted"
                while self.ask(query) < clients:
                    client.must_work()
                    time.sleep(0.01)
                yield Gate(client, keeper)

    def drain(
        self,
        workflow_id: str,
        load: Callable[[], None],
        script: str = pgbench.PAIR,
        *,
        clients: int = 0,
        batch: int = 1,
        part: float = 0.95,
        begin: LiteralString = "select clock_timestamp()",
        labels: str = "[]",
    ) -> Figure:
        """How fast sessions work off what is loaded.

        The rate is read from the history: of that part of the ends, so that the last jobs, which keep few
        sessions busy, do not count. It begins when the sessions are let loose, or when `begin` says.
        """
        before = self.options.before if batch == 1 and clients <= 32 else 2  # plans are made at the first
        with self.gated(script, clients=clients, before=before, batch=batch, labels=labels) as gate:
            since = self.ask("select clock_timestamp()")
            load()
            begun, cpu_before = self.ask(begin), gate.client.cpu_secs()
            gate.open()
            self.wait_until_empty(gate.client)
            cpu_after = gate.client.cpu_secs()

        jobs, secs = self.ended(workflow_id, since, begun, part)
        cpu_us = None if cpu_before is None or cpu_after is None else (cpu_after - cpu_before) / jobs * 1e6
        return Figure(part * jobs / secs, cpu_us)

    def wait_until_empty(self, client: pgbench.Client) -> None:
        """Until the last run has ended, then all others."""
        last = self.ask("select max(r.id::text) from wfg.runs r")
        end = time.monotonic() + DRAIN_SECS
        with self.connect() as connection:
            for query, values in (
                ("select r.state = 'active' from wfg.runs r where r.id = %s", [last]),
                ("select exists (select from wfg.queue)", []),
            ):
                while connection.execute(query, values).fetchone() == (True,):
                    client.must_work()
                    if time.monotonic() > end:
                        raise RuntimeError(f"{self.name}: jobs are left that nobody can claim")
                    time.sleep(0.02)

    def ended(self, workflow_id: str, since: datetime, begun: datetime, part: float) -> tuple[int, float]:
        """How many jobs of a workflow have ended since an instant, and how long that part of them took."""
        jobs, secs = self.ask(
            """
            select array[
                     count(*)::float8,
                     extract(
                       epoch from percentile_disc(%s) within group (order by j.finished_at) - %s
                     )::float8
                   ]
              from wfg.runs r
              join wfg.jobs j on j.run_id = r.id
             where r.workflow_id = %s
               and j.state = 'success'
               and j.finished_at > %s
            """,
            part,
            begun,
            workflow_id,
            since,
        )
        if not jobs:
            raise RuntimeError(f"{self.name}: no job of {workflow_id} has ended")
        return int(jobs), secs


@dataclass(frozen=True)
class Gate:
    """Sessions that wait, and who lets them go."""

    client: pgbench.Client
    keeper: psycopg.Connection

    def open(self) -> None:
        self.keeper.execute("select pg_advisory_unlock(%s)", [pgbench.GATE])


def figure_of(load: pgbench.Load, each: int = 1) -> Figure:
    """A load as a figure; each: jobs of one transaction."""
    return Figure(load.rate() * each, load.cpu_us and load.cpu_us / each)
