"""Rows of graphs and of batches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from tests.bench import pgbench
from tests.bench.graphs import Jobs, chain, diamond, flat, put
from tests.bench.row import Figure, Goal, Line, Row

JOBS_OF_A_WORKFLOW = 10_000  # at most


@dataclass
class Shapes(Row):
    """A row whose measures drain runs of certain graphs."""

    workflows: ClassVar[Mapping[str, Jobs]] = {}

    @property
    def rounds(self) -> int:
        return self.options.few_rounds

    def graphs(self) -> Mapping[str, Jobs]:
        return self.workflows

    def prepare(self) -> None:
        super().prepare()
        with self.connect() as connection:
            for workflow_id, jobs in self.graphs().items():
                put(connection, workflow_id, jobs)
            connection.execute("vacuum analyze")

    def drain_runs(
        self, workflow_id: str, runs: int, script: str = pgbench.PAIR, *, batch: int = 1, part: float = 0.95
    ) -> Figure:
        load = partial(self.load, workflow_id, runs)
        return self.drain(workflow_id, load, script, batch=batch, part=part)

    def runs_for(self, jobs_per_sec: float, each: int) -> int:
        """How many runs of so many jobs last a measurement's time at that speed."""
        return max(int(jobs_per_sec * self.options.seconds * self.options.share / each), 8)


@dataclass
class Batch(Shapes):
    """Claim 100, complete 100: runs of one job each."""

    name = "batch"

    def lines(self) -> list[Line]:
        what = "claim 100 + complete 100, independent jobs"
        return [Line(self.name, what, unit="jobs/s", goals=(Goal(30_000),))]

    def measures(self) -> dict[str, Callable[[], Figure | None]]:
        return {"figure": self.figure}

    def figure(self) -> Figure:
        runs = self.runs_for(20_000, 1)
        return self.drain_runs("alone", runs, pgbench.batch(100), batch=100)


@dataclass
class Graphs(Shapes):
    """Graphs in batches, and one job at a time. All runs are there from the start: they advance together."""

    name = "graphs"
    workflows: ClassVar[Mapping[str, Jobs]] = {
        "chain of 5": chain(5),
        "diamond 1-8-1": diamond(8),
        "fan 1-100-1": diamond(100),
    }

    def lines(self) -> list[Line]:
        return [
            Line(f"graphs, {how}", f"{shape}, {text}", f"{shape}, {how}", unit="jobs/s", goals=(Goal(goal),))
            for how, text, goal in (("50", "batches of 50", 25_000), ("1", "one at a time", 3500))
            for shape in self.workflows
        ]

    def measures(self) -> dict[str, Callable[[], Figure | None]]:
        return {
            f"{shape}, {size}": partial(self.figure, shape, size)
            for size in (50, 1)
            for shape in self.workflows
        }

    def figure(self, shape: str, size: int) -> Figure:
        # The joins of all runs come last: all must count.
        runs = self.runs_for(15_000 if size > 1 else 2500, len(self.workflows[shape]))
        if size == 1:
            return self.drain_runs(shape, runs, part=0.99)
        return self.drain_runs(shape, runs, pgbench.batch(size), batch=size, part=0.99)


@dataclass
class Wide(Shapes):
    """Runs 1 → 2,000 → 1, one after the other, against as many jobs in chains of two."""

    name = "wide"

    @property
    def rounds(self) -> int:
        return self.options.rounds

    def lines(self) -> list[Line]:
        what = f"one run 1 → {self.options.wide:,} → 1"
        return [Line("wide", what, "wide", "chains", "two-job chains", goals=(Goal(0.9, "against"),))]

    def measures(self) -> dict[str, Callable[[], Figure | None]]:
        # Several runs, as many as seconds: each alone is too short.
        runs = self.options.seconds
        chains = runs * (self.options.wide + 2) // 2
        return {
            "wide": partial(self.drain_runs, "wide", runs),
            "chains": partial(self.drain_runs, "chain", chains),
        }

    def graphs(self) -> Mapping[str, Jobs]:
        return {"wide": diamond(self.options.wide), "chain": chain(2)}


@dataclass
class Flat(Shapes):
    """Jobs without dependencies in one run (or the fewest that hold them), against runs of ten."""

    name = "flat"

    def lines(self) -> list[Line]:
        what = f"flat runs of {self.jobs:,} jobs, {self.options.flat:,} in all"
        goals = (Goal(0.9, "against"),)
        return [Line("flat", what, "flat", "small", "as many in flat runs of 10", goals=goals)]

    def measures(self) -> dict[str, Callable[[], Figure | None]]:
        return {
            "flat": partial(self.drain_runs, "flat", self.options.flat // self.jobs),
            "small": partial(self.drain_runs, "small", self.options.flat // 10),
        }

    def graphs(self) -> Mapping[str, Jobs]:
        return {"flat": flat(self.jobs), "small": flat(10)}

    @property
    def jobs(self) -> int:
        return min(self.options.flat, JOBS_OF_A_WORKFLOW)
