"""What every row is measured against: no engine that stores both facts durably can be faster."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from tests.bench.row import Figure, Row, figure_of


@dataclass
class Floor(Row):
    """The two bare updates of a claim and its completion, and nothing else.

    A table of the shape of wfg.jobs, without triggers and checks, its key the only index. Each row is updated
    once by a claim and once by its completion, by primary key, in two transactions. Clients walk through rows
    of their own.
    """

    name = "floor"
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
    last: Figure | None = None

    def measures(self) -> dict[str, Callable[[], Figure | None]]:
        return {"floor": self.floor}

    def floor(self) -> Figure:
        if self.last is None or not self.options.floor_once:
            self.last = self.figure()
        return self.last

    def prepare(self) -> None:
        self.cluster.create(self.database)
        with self.connect() as connection:
            connection.execute("create schema bench")
            connection.execute(
                "create table bench.bare (like wfg.jobs including defaults) with (fillfactor = 50)"
            )
            connection.execute("alter table bench.bare add primary key (run_id, job_no)")

    def figure(self) -> Figure:
        rows = int(self.rate * (self.options.warm + self.options.seconds) * 1.5 / 8) + 1
        with self.connect() as connection:
            connection.execute("truncate bench.bare")
            connection.execute("checkpoint")
            connection.execute(
                "insert into bench.bare (run_id, job_no, parents_left)"
                " select '00000000-0000-7000-8000-000000000000', n, 0 from generate_series(1, %s) n",
                [(rows + 2) * 8],
            )
            connection.execute("vacuum analyze bench.bare")
        load = self.measure(self.script, n=0, rows=rows)
        self.rate = max(self.rate, load.rate())
        return figure_of(load)
