"""The row of pruning beside work."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

from tests import bulk
from tests.bench.graphs import ALONE, put
from tests.bench.pairs import PairsRow
from tests.bench.pgbench import percentile
from tests.bench.row import Figure, Goal, Line, figure_of

CALL = "select (p ->> 'runs')::integer, (p ->> 'more')::boolean from public.wfg_prune() p"
LOGS = """
insert into wfg.log_chunks (run_id, job_no, attempt, sequence, timestamp_ms, stream, data)
select r.id, 1, 0, n, 0, 'stdout', repeat('line of a log ', 15)
  from wfg.runs r
 cross join generate_series(0, 9) n
 where r.workflow_id = 'finished'
   and hashtext(r.id::text) % 10 = 0
"""


@dataclass
class Pruning:
    """What the calls did: runs, and milliseconds, of each."""

    runs: list[int] = field(default_factory=list)
    times_ms: list[float] = field(default_factory=list)
    secs: float = 0.0

    @property
    def rate(self) -> float:
        return sum(self.runs) / self.secs


@dataclass
class Prune(PairsRow):
    """Claim 1 + complete 1 beside one session that prunes; against the same alone."""

    name = "prune"
    has_floor = False
    beside_it: Figure | None = None  # runs that beside() pruned, per second

    @property
    def rounds(self) -> int:
        return self.options.few_rounds

    def lines(self) -> list[Line]:
        return [
            Line(
                "prune",
                f"pairs beside pruning, of {self.options.backlog:,} runs",
                "beside",
                "alone",
                "without it",
                goals=(Goal(0.8, "against"),),
            ),
            Line("prune, rate", "runs pruned beside pairs", "pruned", "idle", "beside nothing", "runs/s"),
        ]

    def measures(self) -> dict[str, Callable[[], Figure | None]]:
        return {
            "alone": lambda: figure_of(self.measure_pairs()),
            "beside": self.beside,
            "pruned": lambda: self.beside_it,
            "idle": self.idle,
        }

    def prepare(self) -> None:
        super().prepare()
        with self.connect() as connection:
            put(connection, "finished", ALONE)
            connection.execute("select set_config('wfg.fake_now', (now() - interval '40 days')::text, false)")
            bulk.start(connection, "finished", self.options.backlog, finished=True)
            connection.execute(LOGS)
        with self.connect() as connection:
            connection.execute("vacuum analyze")

    def beside(self) -> Figure:
        with self.pruning("beside") as pruning:
            figure = figure_of(self.measure_pairs())
        self.beside_it = Figure(pruning.rate)
        return figure

    def idle(self) -> Figure | None:
        with self.pruning("idle") as pruning:
            time.sleep(self.options.seconds)
        return Figure(pruning.rate) if any(pruning.runs) else None  # nothing was left

    @contextmanager
    def pruning(self, name: str) -> Generator[Pruning]:
        """One session that prunes as long as the block lasts."""
        done, stop = Pruning(), Event()

        def work() -> None:
            with self.connect() as connection:
                more = True
                begun = time.perf_counter()
                while more and not stop.is_set():
                    called = time.perf_counter()
                    row = connection.execute(CALL).fetchone()
                    assert row is not None
                    runs, more = row
                    done.runs.append(runs)
                    done.times_ms.append((time.perf_counter() - called) * 1000)
                done.secs = time.perf_counter() - begun

        thread = Thread(target=work)
        thread.start()
        try:
            yield done
        finally:
            stop.set()
            thread.join()
        said = {"runs": sum(done.runs), "seconds": done.secs, "calls": len(done.runs)}
        times = {"p50 ms": percentile(done.times_ms, 0.5), "max ms": max(done.times_ms)}
        self.notes.setdefault(name, []).append({**said, **times})
