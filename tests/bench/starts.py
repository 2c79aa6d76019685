"""The row of starting runs: nobody claims."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.bench.graphs import ALONE, diamond, put
from tests.bench.row import Figure, Goal, Line, Row, figure_of

ONE = "select public.wfg_start_run(:workflow);"
MANY = "select public.wfg_start_runs(:workflow, r.runs) from bench.requests r;"
JOBS = {"one": 1, "ten": 10}  # workflows, and how many jobs each has


@dataclass
class Start(Row):
    """Single calls, and one call with many inputs: 1,000 of them, all different, in one session."""

    name = "start"

    @property
    def rounds(self) -> int:
        return self.options.few_rounds

    def lines(self) -> list[Line]:
        single = "wfg_start_run, a run of one job"
        many = f"wfg_start_runs, {self.calls:,} inputs a call, 1 session"
        goals, clients = (Goal(100_000),), self.options.clients
        return [
            Line(
                "start",
                f"{single}, {clients} sessions",
                "many",
                unit="runs/s",
                goals=(Goal(6000),),
            ),
            Line("start", f"{single}, 1 session", "one", unit="runs/s"),
            Line("start, many", f"{many}, 1-8-1", "calls, ten", unit="jobs/s", goals=goals),
            Line("start, many", f"{many}, one job", "calls, one", unit="jobs/s", goals=goals),
        ]

    def measures(self) -> dict[str, Callable[[], Figure | None]]:
        return {
            "many": partial(self.single, self.options.clients),
            "one": partial(self.single, 1),
            "calls, ten": partial(self.many, "ten"),
            "calls, one": partial(self.many, "one"),
        }

    @property
    def calls(self) -> int:
        return max(int(1000 * self.options.share), 10)

    def prepare(self) -> None:
        """Nothing: each measurement makes the database anew, or the queue of one would burden the next."""

    def new_database(self) -> None:
        self.cluster.create(self.database)
        inputs = {"n": {"type": "number", "default": 0}}
        requests = [{"inputs": {"n": n}} for n in range(self.calls)]
        with self.connect() as connection:
            put(connection, "one", ALONE, inputs)
            put(connection, "ten", diamond(8), inputs)
            connection.execute("create schema bench")
            connection.execute("create table bench.requests (runs jsonb)")
            connection.execute("insert into bench.requests values (%s::jsonb)", [json.dumps(requests)])
            connection.execute("vacuum analyze")
            connection.execute("checkpoint")

    def single(self, clients: int) -> Figure:
        self.new_database()
        return figure_of(self.measure(ONE, clients=clients, workflow="one"))

    def many(self, workflow_id: str) -> Figure:
        self.new_database()
        load = self.measure(MANY, clients=1, workflow=workflow_id)
        return figure_of(load, self.calls * JOBS[workflow_id])
