"""Rows of the HTTP door: one server process, against the same work over SQL."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from psycopg.conninfo import make_conninfo

from tests.bench import pgbench
from tests.bench.pgbench import percentile
from tests.bench.row import Figure, Goal, Line, Row, figure_of
from tests.servers import Process

ROOT = Path(__file__).parents[2]


@dataclass
class Doors(Row):
    """A row that has a server on its database."""

    has_floor = False
    stack: ExitStack = field(default_factory=ExitStack)

    def prepare(self) -> None:
        super().prepare()
        folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="wfg-bench-"))
        dsn = make_conninfo(self.cluster.dsn, dbname=self.database)
        settings = {"DATABASE_URL": dsn, "API_ONLY": "1", "PORT": "0"}
        self.server = self.stack.enter_context(Process(Path(folder), "serve", **settings))
        self.port = int(self.server.url().rpartition(":")[2])
        self.jobs_per_sec: dict[object, float] = {}

    def clean_up(self) -> None:
        self.stack.close()
        super().clean_up()

    def http(self, size: int, *, warm: float = 0, seconds: float = 0, count: int = 0) -> dict[str, Any]:
        """What clients did (http_load.py); with the server's processor time, in seconds."""
        arguments = (self.port, self.options.clients, size, warm, seconds, count)
        before = self.cpu_secs()
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.http_load", *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{done.stderr}\n{self.server.stderr()}")
        return {**json.loads(done.stdout), "cpu_secs": self.cpu_secs() - before}

    def cpu_secs(self) -> float:
        """Of the server process, all threads."""
        tasks = Path(f"/proc/{self.server.process.pid}/task").glob("*/schedstat")
        return sum(int(path.read_text().split()[0]) for path in tasks) / 1e9

    def memory_mib(self) -> float:
        pages = int(Path(f"/proc/{self.server.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def until_enough(self, key: object, rate: float, measure: Callable[[], Figure]) -> Figure:
        """Measure on jobs enough for that rate, or more once that was too few."""
        while True:
            self.jobs_per_sec[key] = rate = max(rate, self.jobs_per_sec.get(key, 0))
            self.load("alone", int(rate * (self.options.warm + self.options.seconds + 1)))
            figure = measure()
            self.jobs_per_sec[key] = max(rate, 1.5 * figure.value)
            if self.any_ready():
                return figure

    def over_http(self, size: int) -> Figure:
        warm, seconds = self.options.warm, self.options.seconds
        done = self.http(size, warm=warm, seconds=seconds)
        note = self.notes.setdefault(f"p50 and p99 of a unit of {size}, ms", [])
        note.append((round(done["p50"], 1), round(done["p99"], 1)))
        rate = done["jobs"] / done["seconds"]
        return Figure(rate, done["cpu_secs"] / (rate * (warm + seconds)) * 1e6)

    def over_sql(self, size: int) -> Figure:
        script = pgbench.PAIR if size == 1 else pgbench.batch(size)
        return figure_of(self.measure(script, labels="[]"), size)


@dataclass
class Http(Doors):
    """Claims and completions over HTTP."""

    name = "http"

    def lines(self) -> list[Line]:
        clients = self.options.clients
        return [
            Line(
                "http",
                f"claim 1 + complete 1 over HTTP, {clients} connections, one server process",
                "http 1",
                "sql 1",
                "over SQL",
                goals=(Goal(1200),),
            ),
            Line(
                "http, batch",
                "claim 100 + complete 100 over HTTP",
                "http 100",
                "sql 100",
                "over SQL",
                unit="jobs/s",
                goals=(Goal(12_000),),
            ),
        ]

    def measures(self) -> dict[str, Callable[[], Figure | None]]:
        return {
            f"{door} {size}": partial(self.until_enough, (door, size), rate, partial(measure, size))
            for size, rates in ((1, (2000, 6000)), (100, (15_000, 30_000)))
            for (door, measure), rate in zip(
                (("http", self.over_http), ("sql", self.over_sql)), rates, strict=True
            )
        }


@dataclass
class HttpWait(Doors):
    """From a run's start to the claim that waits for it, on a server that does nothing else."""

    name = "http_wait"
    times: dict[str, list[float]] = field(default_factory=dict)

    @property
    def rounds(self) -> int:
        return self.options.few_rounds

    def lines(self) -> list[Line]:
        what = "start to claim over HTTP, long poll"
        return [
            Line("http_wait", f"{what}, {name}", f"http {name}", f"sql {name}", "over SQL", "ms", goals)
            for name, goals in (
                ("p50", (Goal(8, at_most=True),)),
                ("p99", (Goal(30, at_most=True),)),
            )
        ]

    def measures(self) -> dict[str, Callable[[], Figure | None]]:
        return {
            "http p50": partial(self.middle, "http", self.over_http_wait),
            "http p99": lambda: Figure(percentile(self.times["http"], 0.99)),
            "sql p50": partial(self.middle, "sql", self.over_sql_wait),
            "sql p99": lambda: Figure(percentile(self.times["sql"], 0.99)),
        }

    def middle(self, door: str, measure: Callable[[], list[float]]) -> Figure:
        self.times[door] = sorted(measure())
        return Figure(percentile(self.times[door], 0.5))

    def over_http_wait(self) -> list[float]:
        return self.http(0, count=self.options.bursts)["milliseconds"]

    def over_sql_wait(self) -> list[float]:
        """A session that listens, and one that starts and claims."""
        waited: list[float] = []
        with self.connect() as listener, self.connect() as connection:
            listener.execute("listen wfg_wake")
            while len(waited) < self.options.bursts:
                begin = time.perf_counter()
                connection.execute("select public.wfg_start_run('alone')")
                next(listener.notifies(timeout=10))
                row = connection.execute("select public.wfg_claim_job('w', '[]', 3600)").fetchone()
                waited.append((time.perf_counter() - begin) * 1000)
                assert row is not None
                connection.execute("select public.wfg_complete_job(%s)", [row[0]["lease"]["lease_id"]])
        return waited


@dataclass
class HttpMemory(Doors):
    """The server's memory over very many requests."""

    name = "http_memory"
    parts: ClassVar[int] = 5

    @property
    def rounds(self) -> int:
        return 1

    def lines(self) -> list[Line]:
        requests = self.options.requests
        what = f"the server's memory after {requests:,} requests"
        against = f"after {requests // self.parts:,}"
        goals = (Goal(1.05, "against", at_most=True),)
        return [Line("http_memory", what, "last", "first", against, "MiB", goals)]

    def measures(self) -> dict[str, Callable[[], Figure | None]]:
        return {"first": partial(self.after, 1), "last": partial(self.after, self.parts - 1)}

    def after(self, parts: int) -> Figure:
        for _ in range(parts):
            count = self.options.requests // self.parts // 2  # a job is two requests
            self.load("alone", count)
            self.http(1, count=count)
            self.notes.setdefault("MiB", []).append(round(self.memory_mib(), 1))
        return Figure(self.memory_mib())
