"""The engine's hints: one connection that listens for them, and who waits for them."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Generator, Hashable, Iterable
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import LiteralString, NamedTuple, Self, TypeVar
from weakref import WeakSet, WeakValueDictionary

import psycopg

from .db import connect, engine_error

log = logging.getLogger("wfg.listen")

LISTEN_RETRY_SECS = 1.0

T = TypeVar("T")


async def listen(
    dsn: str,
    statements: Iterable[LiteralString],
    heard: Callable[[str], None],
    *,
    lost: Callable[[], None] = lambda: None,
    keeps_session: bool = False,
) -> None:
    """Call heard with the channel of each notification, and with "" after connecting; reconnect for ever.

    lost: called when a connection has ended.

    What is lost meanwhile, polling finds. A pooler may give the session that listens to others, who would
    keep every hint in memory: nobody listens through one, unless it is known to be in session mode.
    """
    while True:
        try:
            async with await connect(dsn) as connection:
                if connection.prepare_threshold is None and not keeps_session:
                    log.info("no hints come through a pooler: new work is found by polling")
                    return
                for statement in statements:
                    await connection.execute(statement)
                heard("")
                async for notification in connection.notifies():
                    heard(notification.channel)
        except psycopg.Error as error:
            log.debug("not listening for hints, only polling: %s", engine_error(error))
        lost()
        await asyncio.sleep(LISTEN_RETRY_SECS)


class Signal:
    """Wakes all who wait, and counts: who compares counts misses nothing."""

    def __init__(self) -> None:
        self.count = 0
        self._sent = asyncio.Event()

    def send(self) -> None:
        self.count += 1
        self._sent.set()
        self._sent = asyncio.Event()

    async def wait(self, seen: int, secs: float) -> bool:
        """Until it was sent after that count, or the time is over: False."""
        if self.count == seen:
            with suppress(TimeoutError):
                async with asyncio.timeout(secs):
                    await self._sent.wait()
        return self.count != seen


class Listener:
    """The connection on which a server process listens; made when it is first needed.

    wake: there may be work. news: something about runs may have changed. When stopping is set, all signals
    are sent: nobody waits any more.
    """

    def __init__(self, dsn: str, stopping: asyncio.Event, *, keeps_session: bool = False) -> None:
        self.stopping = stopping
        self._dsn = dsn
        self._keeps_session = keeps_session
        self.listening = False
        self._started = False
        self._tasks: list[asyncio.Task[None]] = []
        self._signals: WeakSet[Signal] = WeakSet()
        self.wake = self.signal()
        self.news = self.signal()

    async def __aenter__(self) -> Self:
        self._tasks.append(asyncio.create_task(self._stop()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def start(self) -> None:
        if not self._started:
            self._started = True
            statements = ("listen wfg_wake", "listen wfg_runs")
            hearing = listen(
                self._dsn, statements, self._heard, lost=self._lost, keeps_session=self._keeps_session
            )
            self._tasks.append(asyncio.create_task(hearing))

    def _lost(self) -> None:
        self.listening = False

    def _heard(self, channel: str) -> None:
        self.listening = True
        self.news.send()
        if channel != "wfg_runs":
            self.wake.send()

    def signal(self) -> Signal:
        """One that is also sent when the server stops."""
        signal = Signal()
        self._signals.add(signal)
        return signal

    async def _stop(self) -> None:
        await self.stopping.wait()
        for signal in list(self._signals):
            signal.send()


class Waiting(NamedTuple):
    """A claim that waits. gone: the worker does not wait any more. over: what it got was given back."""

    gone: asyncio.Future[None]
    over: asyncio.Event


class Lines:
    """Who waits for work. Of those who want the same, the first looks; when it got something, the next."""

    # Hints are coalesced in the database, so after each come looks at 10, 50 and 250 ms; then each second.
    LEAST_PAUSE_SECS = 0.01
    PAUSES_AFTER_HINT = (0.0, 0.03, 0.19)
    PAUSE_SECS = 0.99

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._firsts: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()
        self._waiting: defaultdict[Hashable, set[Waiting]] = defaultdict(set)

    def __len__(self) -> int:
        """How many claims wait."""
        return sum(map(len, self._waiting.values()))

    @contextmanager
    def waiting(self, worker: Hashable) -> Generator[asyncio.Future[None]]:
        """For the block, which gives back what it got if the future is done then: the worker has gone."""
        waiting = Waiting(asyncio.get_running_loop().create_future(), asyncio.Event())
        self._waiting[worker].add(waiting)
        try:
            yield waiting.gone
        finally:
            waiting.over.set()
            self._waiting[worker].discard(waiting)
            if not self._waiting[worker]:
                del self._waiting[worker]

    async def dismiss(self, worker: Hashable) -> None:
        """Nothing waits for this worker any more, and nothing was got for it, when this returns."""
        waiting = list(self._waiting.get(worker, ()))
        for each in waiting:
            if not each.gone.done():
                each.gone.set_result(None)
        for each in waiting:
            await each.over.wait()

    async def wait(
        self,
        line: Hashable,
        look: Callable[[], Awaitable[T]],
        found: Callable[[T], bool],
        *,
        secs: float,
        gone: asyncio.Future[None],
    ) -> T:
        """What look answers, as soon as it found something, or the time is over, or the worker has gone."""
        self._listener.start()
        seen = self._listener.wake.count
        answer = await look()
        if found(answer):
            return answer
        first = self._firsts.setdefault(line, asyncio.Lock())
        turn = asyncio.create_task(self._turn(first, look, found, answer, -1 if first.locked() else seen))
        await asyncio.wait({turn, gone}, timeout=secs, return_when=asyncio.FIRST_COMPLETED)
        turn.cancel()
        with suppress(asyncio.CancelledError):
            return await turn
        return answer

    async def _turn(
        self,
        first: asyncio.Lock,
        look: Callable[[], Awaitable[T]],
        found: Callable[[T], bool],
        answer: T,
        seen: int,
    ) -> T:
        wake = self._listener.wake
        pauses = iter(self.PAUSES_AFTER_HINT[1:])  # there may have been a hint just before
        async with first:
            while True:
                if await wake.wait(seen, next(pauses, self.PAUSE_SECS)):
                    pauses = iter(self.PAUSES_AFTER_HINT)
                if self._listener.stopping.is_set():
                    return answer
                seen = wake.count
                looking = asyncio.ensure_future(look())
                try:
                    answer = await asyncio.shield(looking)
                except asyncio.CancelledError:  # in the middle of a claim: what it brings must not be lost
                    return await looking
                if found(answer):
                    return answer
                await asyncio.sleep(self.LEAST_PAUSE_SECS)
