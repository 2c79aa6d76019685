"""The row of what a finished job leaves on disk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from tests.bench import pgbench
from tests.bench.graphs import ALONE, Jobs, diamond
from tests.bench.row import Figure, Goal, Line
from tests.bench.shapes import Shapes


@dataclass
class Disk(Shapes):
    """Bytes of wfg.jobs with its index for each job, as the engine leaves them; the notes add its run's.

    Claimed and completed in batches; no outputs, errors or logs; the names of workers as long as ours are.
    """

    name = "disk"
    has_floor = False
    worker: ClassVar[str] = "worker-1.example.net-12345-0123abcd"
    workflows: ClassVar[Mapping[str, Jobs]] = {"ten": diamond(8), "one": ALONE}

    @property
    def rounds(self) -> int:
        return 1

    def lines(self) -> list[Line]:
        what = "bytes per finished job with its index, runs"
        goals = (Goal(300, at_most=True),)
        return [
            Line("disk", f"{what} 1-8-1", "ten", unit="bytes", goals=goals),
            Line("disk", f"{what} of one job", "one", unit="bytes", goals=goals),
        ]

    def measures(self) -> dict[str, Callable[[], Figure | None]]:
        return {name: partial(self.bytes_per_job, name) for name in self.workflows}

    def bytes_per_job(self, name: str) -> Figure:
        super().prepare()
        script = pgbench.batch(100, worker=self.worker)
        self.drain_runs(name, self.options.disk // len(self.workflows[name]), script, batch=100)
        jobs, runs, of_jobs, of_runs, of_queue = self.ask(
            """
            select array[
                     (select count(*) from wfg.jobs), (select count(*) from wfg.runs),
                     pg_total_relation_size('wfg.jobs'), pg_total_relation_size('wfg.runs'),
                     pg_total_relation_size('wfg.queue')
                   ]::float8[]
            """
        )
        self.notes[name] = {
            "jobs": int(jobs),
            "bytes of jobs, for each": round(of_jobs / jobs),
            "bytes of runs, for each job": round(of_runs / runs / len(self.workflows[name])),
            "bytes of the empty queue, in all": int(of_queue),
        }
        return Figure(of_jobs / jobs)

    def prepare(self) -> None:
        """Nothing: each measurement makes the database anew."""
