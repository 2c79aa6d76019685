"""The row of a database that is full of what this worker must not notice."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from tests import bulk
from tests.bench import pgbench
from tests.bench.graphs import Jobs, put
from tests.bench.row import Figure, Goal, Line, Row

# A lane for each pair of an a and a b: 1,000 lanes of 65 labels, since a worker may have 100 at most.
A = 25
EIGHT = [f"a{n}" for n in range(8)] + ["b0"]
SESSIONS = 2  # as many as cores, so that a claim does not wait for a core
CLAIMS_PER_SEC = 5000  # at most, of all sessions

READY = """
select count(*)::int
  from wfg.lanes l
  join wfg.queue q on q.lane_id = l.id
 where l.labels <@ %s
   and q.lease_nonce is null
   and q.ready_at <= now()
"""


def lanes(first: int, last: int) -> Jobs:
    """A job for each of these lanes, counted from 0; our worker serves the first eight."""
    pairs = [(n % A, n // A) for n in range(first, last)]
    return {f"j{a}-{b}": {"run": "true", "labels": [f"a{a}", f"b{b}"]} for a, b in pairs}


def labels(count: int) -> list[str]:
    """Of a worker that serves so many lanes, all of them."""
    return [f"a{n}" for n in range(A)] + [f"b{n}" for n in range(-(-count // A))]


@dataclass
class Backlog(Row):
    """The time of a claim, and nothing else, out of eight lanes of 1,000, against that in an empty database.

    Full: so many finished runs (of jobs for our lanes), as many ready jobs in the other lanes, and a tenth of
    that delayed in ours. Then the same with a worker that serves all lanes.
    """

    name = "backlog"
    has_floor = False

    @property
    def rounds(self) -> int:
        return self.options.few_rounds

    def lines(self) -> list[Line]:
        lanes, jobs = self.options.lanes, self.options.backlog
        what = f"claim p99, 8 of {lanes:,} lanes, {jobs:,} finished, as many for others"
        goals = (Goal(1.3, "against", at_most=True),)
        everything = f"the same, a worker of all {lanes:,} lanes"
        return [
            Line("backlog", what, "full", "empty", "an empty database", "ms", goals),
            Line("backlog, all lanes", everything, "all lanes", "full", "of 8 lanes", "ms"),
        ]

    def measures(self) -> dict[str, Callable[[], Figure | None]]:
        return {
            "full": partial(self.claims, "full", self.database, EIGHT),
            "empty": partial(self.claims, "empty", self.empty, EIGHT),
            "all lanes": partial(self.claims, "all lanes", self.database, labels(self.options.lanes)),
        }

    @property
    def empty(self) -> str:
        return "bench_empty"

    def prepare(self) -> None:
        others = self.options.lanes - 8
        for database in (self.empty, self.database):
            self.cluster.create(database)
            with self.cluster.connect(database) as connection:
                put(connection, "mine", lanes(0, 8))
                put(connection, "others", lanes(8, self.options.lanes))
                put(connection, "finished", {"a": {"run": "true", "labels": EIGHT[:1] + EIGHT[-1:]}})
                connection.execute("vacuum analyze")

        count, delay = self.options.backlog, timedelta(days=1)
        with self.connect() as connection:
            bulk.start(connection, "finished", count, finished=True)
            bulk.start(connection, "others", -(-count // others))
            bulk.start(connection, "mine", -(-count // 10 // 8), delay=delay)
            connection.execute("vacuum analyze")
            connection.execute("checkpoint")

    def clean_up(self) -> None:
        super().clean_up()
        self.cluster.drop(self.empty)

    def claims(self, name: str, database: str, worker_labels: list[str]) -> Figure:
        """The 99th percentile of a claim's time in milliseconds."""
        self.fill_up(database)
        with pgbench.logged() as (options, directory):
            load = self.measure(
                pgbench.CLAIM,
                database=database,
                clients=SESSIONS,
                options=options,
                to_end=True,
                labels=json.dumps(worker_labels),
            )
            times = pgbench.latencies_ms(directory, load.ends[0] - 1, load.ends[-1])
        if not self.ready(database):
            raise RuntimeError("too few jobs: claims found nothing")
        said = {"p50 ms": pgbench.percentile(times, 0.5), "p99 ms": pgbench.percentile(times, 0.99)}
        self.notes.setdefault(name, []).append({**said, "claims": len(times)})
        return Figure(said["p99 ms"], load.cpu_us)

    def fill_up(self, database: str) -> None:
        """As many ready jobs in our lanes as claims may take."""
        options = self.options
        wanted = CLAIMS_PER_SEC * (options.seconds + options.warm + 1) - self.ready(database)
        with self.cluster.connect(database) as connection:
            if wanted > 0:
                bulk.start(connection, "mine", -(-wanted // 8))
            connection.execute("checkpoint")

    def ready(self, database: str) -> int:
        """Jobs ready in our lanes."""
        with self.cluster.connect(database) as connection:
            row = connection.execute(READY, [EIGHT]).fetchone()
        assert row is not None
        return row[0]
