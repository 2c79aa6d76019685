"""What comes to lie below the low-water mark of a busy lane is claimed within 10 s all the same.

An entry's ready_at is read before it is committed. Claims meanwhile go on, and the mark with them; nobody
tells it of the entry. The lane is busy all the time, with more ready than its workers take: nothing but a
look below the mark can find it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tests.arrange import START, only
from tests.engine import Engine, lease_id
from tests.sessions import sessions, side_by_side

WORKERS = 3
BACKLOG = 20


class BusyLane:
    """Workers that claim and complete, and a session that starts as many runs, each once in every tick."""

    def __init__(self, engines: list[Engine], step: float) -> None:
        self.starter, *self.workers = engines
        self.step = timedelta(seconds=step)
        self.now = START
        self.claimed_at: dict[tuple[str, int], datetime] = {}  # by run and attempt

    def tick(self) -> None:
        self.now += self.step
        side_by_side(self.start, *(lambda worker=worker: self.work(worker) for worker in self.workers))

    def go_on(self, seconds: float) -> None:
        end = self.now + timedelta(seconds=seconds)
        while self.now < end:
            self.tick()

    def start(self) -> None:
        self.starter.set_now(self.now)
        for _ in self.workers:
            self.starter.start()

    def work(self, worker: Engine) -> None:
        worker.set_now(self.now)
        claim = worker.claim(f"w{worker.pid}", ttl=86400)
        assert claim is not None, "the lane must be busy"
        self.claimed_at[claim["job"]["run_id"], claim["job"]["attempt"]] = self.now
        worker.complete(claim)

    def mark(self) -> dict[str, datetime]:
        (mark,) = self.starter.query("select low_water_at, scanned_at from wfg.lane_marks where lane_id <> 0")
        return mark

    def until_it_was_looked_below(self) -> None:
        """The next look is as far away as can be."""
        before = self.mark()["scanned_at"]
        for _ in range(200):
            self.tick()
            if self.mark()["scanned_at"] != before:
                return
        raise AssertionError("nobody looks below the mark")

    def fill(self) -> None:
        self.starter.set_now(self.now)
        for _ in range(BACKLOG):
            self.starter.start()

    def waits_from_now(self, *jobs: tuple[str, int]) -> list[float | None]:
        """In seconds, until they are claimed; None: not within 20 s."""
        since = self.now
        while not self.claimed_at.keys() >= set(jobs) and self.now - since < timedelta(seconds=20):
            self.tick()
        return [
            (self.claimed_at[job] - since).total_seconds() if job in self.claimed_at else None for job in jobs
        ]


def begin_at(engine: Engine, at: datetime) -> None:
    engine.set_now(at)
    engine.query("begin")


@pytest.mark.parametrize("step", [0.25, 0.3])
def test_late_commits_below_the_mark_of_a_busy_lane_are_claimed_within_10_s(
    engine: Engine, connect: Callable[[], Engine], step: float
) -> None:
    engine.put(jobs=only("a", retries=1))
    with sessions(connect, 3 + WORKERS) as (late, failing, *busy):
        failing.set_now(START)
        failed = failing.start()
        lease = lease_id(failing.claim("failing", ttl=86400))
        begin_at(late, START)
        begin_at(failing, START)
        started = late.start()
        failing.fail(lease, retryable=True)

        lane = BusyLane(busy, step)
        lane.fill()
        lane.go_on(12)
        lane.until_it_was_looked_below()
        assert lane.mark()["low_water_at"] > START

        late.query("commit")
        failing.query("commit")
        waits = lane.waits_from_now((started, 0), (failed, 1))

    assert all(wait is not None and wait <= 10 for wait in waits), waits


def test_late_commit_of_a_release_on_a_busy_lane_is_claimed_within_10_s(
    engine: Engine, connect: Callable[[], Engine]
) -> None:
    """It lowers the mark, so it holds the mark's row until it commits. Claims go on all the same."""
    engine.put(jobs=only("a"))
    with sessions(connect, 2 + WORKERS) as (releasing, *busy):
        releasing.set_now(START)
        released = releasing.start()
        lease = lease_id(releasing.claim("releasing", ttl=86400))
        lane = BusyLane(busy, 0.25)
        lane.fill()
        lane.go_on(8)
        assert lane.mark()["low_water_at"] > START

        begin_at(releasing, lane.now)
        releasing.call("wfg_release_job", p_lease_id=lease)
        lane.go_on(12)
        releasing.query("commit")
        waits = lane.waits_from_now((released, 0))

    assert all(wait is not None and wait <= 10 for wait in waits), waits


def test_late_commit_to_the_last_of_many_lanes_is_claimed(
    engine: Engine, connect: Callable[[], Engine]
) -> None:
    """One claim refreshes 16 marks at most. Those of all lanes get their turn, also when claims are rare."""
    labels = [f"l{n:02}" for n in range(20)]
    engine.put(jobs={label: {"run": "true", "labels": [label]} for label in labels})
    engine.put("late", jobs={"a": {"run": "true", "labels": labels[-1:]}})
    with sessions(connect, 2) as (late, worker):
        begin_at(late, START)
        started = late.start("late")

        worker.set_now(START + timedelta(seconds=2))
        for _ in range(20):
            worker.start()
        assert worker.claim("narrow", labels[-1:]) is not None
        late.query("commit")

        claimed = []
        while started not in claimed and len(claimed) < 20:
            worker.advance(1.5)
            claim = worker.claim("broad", labels, ttl=86400)
            assert claim is not None
            claimed.append(claim["job"]["run_id"])

    assert started in claimed


def test_idle_workers_look_below_the_mark_when_it_is_time(
    engine: Engine, connect: Callable[[], Engine]
) -> None:
    engine.put(jobs=only("a"))
    with sessions(connect, 2) as (late, worker):
        begin_at(late, START)
        started = late.start()
        worker.set_now(START)
        for _ in range(2):  # a mark, then a look from the bottom
            worker.advance(2)
            worker.start()
            assert worker.claim() is not None
            assert worker.claim() is None
        late.query("commit")
        (mark,) = worker.query("select look_at, low_water_at from wfg.lane_marks where lane_id <> 0")
        assert mark["low_water_at"] > START
        assert timedelta(seconds=1) <= mark["look_at"] - worker.now() <= timedelta(seconds=8)

        worker.set_now(mark["look_at"] - timedelta(milliseconds=1))
        assert worker.claim() is None
        worker.set_now(mark["look_at"])
        claim = worker.claim()

    assert claim is not None
    assert claim["job"]["run_id"] == started


@pytest.mark.parametrize(("took", "pause"), [(0, 1), (0.05, 1), (0.2, 4), (0.4, 8), (60, 8)])
def test_the_longer_a_look_takes_the_longer_is_the_pause(engine: Engine, took: float, pause: float) -> None:
    """It takes long under a transaction held open: all that died since is passed."""
    (answer,) = engine.query("select wfg.pause_after_look(%s) as pause", timedelta(seconds=took))
    assert answer["pause"] == timedelta(seconds=pause)
