"""Rows of claim 1 + complete 1 on runs of one job each: nothing is shared but the lane."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import mean
from typing import ClassVar, LiteralString

from tests.bench import pgbench
from tests.bench.row import Figure, Goal, Line, Row, figure_of


@dataclass
class PairsRow(Row):
    jobs_per_sec: float = 6000  # loaded for a measurement; more once that was too few

    def measure_pairs(self) -> pgbench.Load:
        """The load of claim 1 + complete 1 on enough jobs of one-job runs."""
        seconds = self.options.warm + self.options.seconds
        while True:
            self.load("alone", int(self.jobs_per_sec * (seconds + 1)))
            load = self.measure(pgbench.PAIR, labels="[]")
            self.jobs_per_sec = max(self.jobs_per_sec, 1.5 * max(load.per_second))
            if self.any_ready():
                return load


@dataclass
class Pairs(PairsRow):
    """Claim 1, complete 1."""

    name = "pairs"

    def lines(self) -> list[Line]:
        goals = (Goal(5000), Goal(0.65, "floor"))
        return [Line("pairs", "claim 1 + complete 1, independent jobs", goals=goals)]

    def measures(self) -> dict[str, Callable[[], Figure | None]]:
        return {"figure": lambda: figure_of(self.measure_pairs())}

    def prepare(self) -> None:
        super().prepare()
        self.load("alone", 1000)
        with self.connect() as connection:
            connection.execute("vacuum analyze")


@dataclass
class Connections(Row):
    """The same in many sessions, which have made their plans. As many jobs for each measure."""

    name = "connections"

    @property
    def rounds(self) -> int:
        return self.options.few_rounds

    def lines(self) -> list[Line]:
        what, against = f"pairs in {self.options.connections} sessions", f"in {self.few}"
        return [Line(self.name, what, "many", "few", against, goals=(Goal(0.8, "against"),))]

    def measures(self) -> dict[str, Callable[[], Figure | None]]:
        return {
            "many": lambda: self.pairs_in(self.options.connections),
            "few": lambda: self.pairs_in(self.few),
        }

    @property
    def few(self) -> int:
        return min(16, self.options.connections // 2)

    def pairs_in(self, clients: int) -> Figure:
        jobs = int(self.options.seconds * 5000 * self.options.share)
        return self.drain("alone", lambda: self.load("alone", jobs), clients=clients)


@dataclass
class Cold(Row):
    """Sessions made their plans on an empty database, never analyzed, then meet 100,000 jobs.

    Against fresh sessions after ANALYZE.
    """

    name = "cold"

    def lines(self) -> list[Line]:
        what = f"never analyzed, plans made while empty, then {self.options.rows:,} jobs"
        goals = (Goal(0.8, "against"),)
        return [Line(self.name, what, "cold", "analyzed", "analyzed, fresh sessions", goals=goals)]

    def measures(self) -> dict[str, Callable[[], Figure | None]]:
        return {"cold": self.cold, "analyzed": self.analyzed}

    def prepare(self) -> None:
        """Nothing: each round makes the database anew."""

    def cold(self) -> Figure:
        self.make_database()
        self.no_autovacuum()
        with self.gated(pgbench.PAIR, labels="[]") as gate:
            self.load("alone", self.options.rows)
            gate.open()
            load = gate.client.measure(self.options.seconds, time.time() + 1)
        return self.figure_if_enough(load)

    def analyzed(self) -> Figure:
        with self.connect() as connection:
            connection.execute("analyze")
        self.load("alone", self.options.rows - self.ask("select count(*)::int from wfg.queue"))
        return self.figure_if_enough(self.measure(pgbench.PAIR, labels="[]"))

    def figure_if_enough(self, load: pgbench.Load) -> Figure:
        if not self.any_ready():
            raise RuntimeError(f"{self.options.rows} rows are too few for {self.options.seconds} seconds")
        return figure_of(load)

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


@dataclass
class Held(PairsRow):
    """Pairs beside a transaction that holds a snapshot, at the end of N seconds; against as long without it.

    Nothing dead can be removed meanwhile, so the heads of the indexes fill. The same sessions go on when the
    transaction has ended. The notes give the rates by 5 seconds.
    """

    name = "held"
    step: ClassVar[int] = 5
    after_it: Figure | None = None  # what held() found after the transaction

    @property
    def rounds(self) -> int:
        return self.options.long_rounds

    def lines(self) -> list[Line]:
        held = f"pairs beside a held snapshot, at the end of {self.options.hold} s"
        after = f"the same sessions, {self.options.recovery} s after it"
        return [
            Line("held", held, "held", "free", "without it", goals=(Goal(0.7, "against"),)),
            Line("held, after", after, "after", "free", "without it", goals=(Goal(0.9, "against"),)),
        ]

    def measures(self) -> dict[str, Callable[[], Figure | None]]:
        return {"held": self.held, "after": self.after, "free": self.free}

    def prepare(self) -> None:
        """Nothing: each measurement makes the database anew."""

    def held(self) -> Figure:
        query = "begin isolation level repeatable read; select 1 from wfg.queue limit 1"
        held, self.after_it = self.at_end("with", query)
        return held

    def after(self) -> Figure | None:
        return self.after_it

    def free(self) -> Figure:
        return self.at_end("without", "select 1")[0]

    def at_end(self, name: str, first: LiteralString) -> tuple[Figure, Figure]:
        """The last seconds beside another session's statements, and the last after it has gone."""
        self.make_database()
        self.load("alone", 1000)
        times = (self.options.hold, self.options.recovery)
        while True:
            with self.connect() as other:
                other.execute("vacuum analyze")
                self.load("alone", int(self.jobs_per_sec * (sum(times) + self.options.warm + 1)))
                other.execute(first)
                loads = self.loads(times, other.close)
            self.jobs_per_sec = max(self.jobs_per_sec, 1.5 * max(max(load.per_second) for load in loads))
            if self.any_ready():
                break

        for which, load in zip((name, f"after {name}"), loads, strict=True):
            rates = load.per_second
            steps = [round(mean(rates[n : n + self.step])) for n in range(0, len(rates), self.step)]
            self.notes.setdefault(which, []).append(steps)
        held, after = (replace(figure_of(load), value=mean(load.per_second[-self.step :])) for load in loads)
        return held, after

    def loads(self, times: tuple[int, int], between: Callable[[], object]) -> list[pgbench.Load]:
        """What the same sessions do before and after something."""
        labels = {"labels": "[]"}
        with pgbench.started(
            self.cluster, self.database, pgbench.PAIR, "-T", str(sum(times) + 60), variables=labels
        ) as client:
            begin = time.time() + self.options.warm if self.options.warm else 0
            before = client.measure(times[0], begin)
            between()
            return [before, client.measure(times[1], 0)]
