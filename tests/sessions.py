"""Several sessions at once: races from a common start, waits for a lock, and that no deadlock came of it."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from tests.engine import Engine


@contextmanager
def sessions(connect: Callable[[], Engine], count: int) -> Iterator[list[Engine]]:
    """So many engines. A deadlock is found after 10 ms, and there must be none; nothing waits for ever."""
    engines = [connect() for _ in range(count)]
    for engine in engines:
        engine.query("set deadlock_timeout = '10ms'")
        engine.query("set statement_timeout = '60s'")

    yield engines

    for engine in engines:
        engine.connection.rollback()
        engine.query("select pg_stat_force_next_flush()")
    met = connect().query("select deadlocks from pg_stat_database where datname = current_database()")
    assert met == [{"deadlocks": 0}]


def side_by_side(*calls: Callable[[], Any]) -> list[Any]:
    """Make all calls at the same time, each in a thread; their answers. The first error is raised."""
    with ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(call) for call in calls]
    errors = [error for future in futures if (error := future.exception())]
    errors.sort(key=lambda error: isinstance(error, threading.BrokenBarrierError))
    if errors:
        raise errors[0]
    return [future.result() for future in futures]


def race(
    rounds: Sequence[Any], *racers: Callable[[Any], Any], prepare: Callable[[Any], Any] = lambda _: None
) -> list[tuple[Any, ...]]:
    """Let all racers go at once in each round, each in a thread of its own; their answers, by round.

    prepare(round) comes before each round, alone.
    """
    left = iter(rounds)
    start = threading.Barrier(len(racers), action=lambda: prepare(next(left)))

    def run(racer: Callable[[Any], Any]) -> list[Any]:
        answers = []
        try:
            for round_ in rounds:
                start.wait(timeout=60)
                answers.append(racer(round_))
        except BaseException:
            start.abort()
            raise
        return answers

    return list(zip(*side_by_side(*(lambda racer=racer: run(racer) for racer in racers)), strict=True))


def often(count: int) -> int:
    """How many rounds a race has: so many by night, by day a quarter of them."""
    return count if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else count // 4


@contextmanager
def in_background(call: Callable[..., Any], *args: Any, **params: Any) -> Iterator[Future[Any]]:
    """Make a call in a thread, and wait for it at the end of the block."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(call, *args, **params)


def wait_until_blocked(observer: Engine, engine: Engine, by: Engine | None = None) -> None:
    """Until this session waits for a lock of another one (or of a certain one). It must, within 20 s."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        blockers = observer.query("select pg_blocking_pids(%s) as pids", engine.pid)[0]["pids"]
        if blockers and (by is None or by.pid in blockers):
            return
    raise AssertionError("it does not wait for a lock")
