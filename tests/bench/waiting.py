"""Rows of work that somebody waits for: jobs that fall due, wakeups, bursts."""

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

import psycopg

from tests.bench.graphs import chain, put
from tests.bench.row import Figure, Goal, Line, Row

# A waiting worker's protocol, as in app/worker.py.
SOON_SECS = (0.010, 0.050, 0.250)
POLL_SECS = 1.0


@dataclass
class Due(Row):
    """Jobs that fall due while 32 sessions ask for them, against as many that were ready all along."""

    name = "due"

    @property
    def rounds(self) -> int:
        return self.options.long_rounds

    def lines(self) -> list[Line]:
        what = f"{self.options.due:,} jobs falling due at once, {self.options.many} sessions"
        return [Line("due", what, "due", "ready", "ready all along", goals=(Goal(0.8, "against"),))]

    def measures(self) -> dict[str, Callable[[], Figure | None]]:
        return {"due": self.due, "ready": self.ready}

    def due(self) -> Figure:
        """The rate from the moment that the last of them falls due."""
        delay = timedelta(seconds=0.3 + self.options.due / 8000)

        def load() -> None:
            self.load("alone", self.options.due, delay)
            if self.ask("select max(q.ready_at) <= clock_timestamp() from wfg.queue q"):
                self.notes["due before anybody asked"] = self.notes.get("due before anybody asked", 0) + 1

        begin = "select greatest(max(q.ready_at), clock_timestamp()) from wfg.queue q"
        return self.drain("alone", load, clients=self.options.many, begin=begin)

    def ready(self) -> Figure:
        return self.drain("alone", partial(self.load, "alone", self.options.due), clients=self.options.many)


@dataclass
class Chains(Row):
    """Pairs in 32 sessions on chains of five: most completions make a job ready, and say so."""

    name = "chains"

    def prepare(self) -> None:
        super().prepare()
        with self.connect() as connection:
            put(connection, "chain", chain(5))
            connection.execute("vacuum analyze")

    def pairs(self) -> Figure:
        runs = max(int(2500 * self.options.seconds * self.options.share / 5), 2 * self.options.many)
        return self.drain("chain", partial(self.load, "chain", runs), clients=self.options.many)


@dataclass
class Silent(Chains):
    """The engine, but it says nothing: nobody is told, nothing is locked."""

    name = "silent"

    def prepare(self) -> None:
        super().prepare()
        count = "select count(*) from pg_proc"
        functions = self.ask(count)
        with self.connect() as connection:
            connection.execute(
                """
                create or replace function wfg.announce(p_channel text, p_number integer)
                  returns void
                  language plpgsql
                as $$ begin end; $$
                """
            )
        if self.ask(count) != functions:
            raise RuntimeError("the engine says it elsewhere than in wfg.announce(text, integer)")


@dataclass
class Wakeups(Chains):
    """Chains with as many listeners as sessions, as workers have, against silence and against no listener."""

    name = "wakeups"
    silent: Silent | None = None

    @property
    def rounds(self) -> int:
        return self.options.few_rounds

    def lines(self) -> list[Line]:
        goals = (Goal(0.85, "against"),)
        what = f"pairs in {self.options.many} sessions, chains of 5, {self.options.many} listeners"
        return [
            Line("wakeups", what, "heard", "unheard", "no listener", goals=goals),
            Line("wakeups", what, "heard", "silent", "nothing is announced", goals=goals),
        ]

    def measures(self) -> dict[str, Callable[[], Figure | None]]:
        return {
            "heard": self.heard,
            "unheard": self.pairs,
            "silent": lambda: self.silent and self.silent.pairs(),
        }

    def prepare(self) -> None:
        super().prepare()
        self.silent = Silent(self.cluster, self.options)
        self.silent.prepare()

    def clean_up(self) -> None:
        super().clean_up()
        if self.silent:
            self.silent.clean_up()

    def heard(self) -> Figure:
        with listeners(self, self.options.many) as heard:
            figure = self.pairs()
        if not heard:
            raise RuntimeError("no listener heard anything")
        return figure


@contextmanager
def listeners(row: Row, count: int) -> Generator[set[int]]:
    """Sessions that listen as our worker does. What comes is thrown away unread, which costs next to nothing.

    Yields a set that is not empty once any of them heard something.
    """
    stop, heard = threading.Event(), set[int]()
    with ExitStack() as stack:
        connections = [stack.enter_context(row.connect()) for _ in range(count)]
        for connection in connections:
            connection.execute("listen wfg_wake")
        sockets = [socket.socket(fileno=os.dup(connection.fileno())) for connection in connections]

        def read() -> None:
            while not stop.wait(0.01):
                for ready in select.select(sockets, [], [], 0)[0]:
                    if ready.recv(1 << 20):
                        heard.add(ready.fileno())

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield heard
        finally:
            stop.set()
            thread.join()
            for each in sockets:
                each.close()


# --- bursts ---


@dataclass
class Bursts(Row):
    """8 runs of one job started at once, by 8 sessions, again and again, for 8 workers that wait for them.

    A worker keeps to the design's protocol: it listens; after a wakeup, and after each claim that found
    something, it asks again after 10, 50 and 250 ms, then each second. The figure is the share of jobs that
    waited more than 100 ms from their start to their claim.
    """

    name = "bursts"
    has_floor = False
    size: ClassVar[int] = 8
    pause_secs: ClassVar[float] = 0.1  # between bursts; some workers are back at asking each second only

    @property
    def rounds(self) -> int:
        return 1

    def lines(self) -> list[Line]:
        what = f"jobs that wait over 100 ms, {self.options.bursts} bursts of {self.size}"
        return [Line("bursts", what, unit="%", goals=(Goal(0.1, at_most=True),))]

    def measures(self) -> dict[str, Callable[[], Figure | None]]:
        return {"figure": self.figure}

    def figure(self) -> Figure:
        stop = threading.Event()
        starts = threading.Barrier(self.size)
        with ThreadPoolExecutor(2 * self.size) as pool:
            workers = [pool.submit(self.work, f"w{n}", stop) for n in range(self.size)]
            starters = [pool.submit(self.start_runs, starts) for _ in range(self.size)]
            try:
                for starter in starters:
                    starter.result()
                end = time.monotonic() + 30
                while self.ask("select exists (select from wfg.queue)") and time.monotonic() < end:
                    time.sleep(0.1)
            finally:
                starts.abort()
                stop.set()
            for worker in workers:
                worker.result()

        late, jobs, longest = self.ask(
            """
            select array[
                     count(*) filter (where w.ms > 100), count(*), max(w.ms)
                   ]::float8[]
              from wfg.jobs j
              join wfg.runs r on r.id = j.run_id
             cross join lateral (select extract(epoch from j.started_at - r.created_at) * 1000) w (ms)
             where j.state = 'success'
            """
        )
        if jobs < self.options.bursts * self.size:
            raise RuntimeError(f"{jobs:.0f} of {self.options.bursts * self.size} jobs were done")
        self.notes["late"] = f"{late:.0f} of {jobs:.0f} jobs; the longest wait was {longest:.0f} ms"
        return Figure(late / jobs * 100)

    def start_runs(self, together: threading.Barrier) -> None:
        with self.connect() as connection:
            for _ in range(self.options.bursts):
                together.wait(timeout=60)
                connection.execute("select public.wfg_start_run('alone')")
                time.sleep(self.pause_secs)

    def work(self, name: str, stop: threading.Event) -> None:
        with self.connect() as connection, self.connect() as listener:
            listener.execute("listen wfg_wake")
            tries = len(SOON_SECS)
            while not stop.is_set():
                pause = SOON_SECS[tries] if tries < len(SOON_SECS) else POLL_SECS
                if self.claim_and_complete(connection, name) or heard(listener, pause):
                    tries = 0
                else:
                    tries += 1

    def claim_and_complete(self, connection: psycopg.Connection[Any], name: str) -> bool:
        """Whether there was anything."""
        row = connection.execute("select public.wfg_claim_job(%s, '[]', 3600)", [name]).fetchone()
        if not row or not row[0]:
            return False
        connection.execute("select public.wfg_complete_job(%s)", [row[0]["lease"]["lease_id"]])
        return True


def heard(listener: psycopg.Connection[Any], secs: float) -> bool:
    """Whether a word came within so many seconds."""
    return any(True for _ in listener.notifies(timeout=secs, stop_after=1))
