"""Server-sent events: the states of runs, and the logs of jobs, as they come.

Nothing is queued for anybody: each watcher asks for what has changed since it last took something. Who reads
slowly gets fewer and larger pieces.
"""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Hashable, Iterable
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self, TypeAlias

from .db import Database
from .errors import EngineError, Unavailable
from .listen import Listener, Signal

log = logging.getLogger("wfg.streams")

# A log's place: attempt and sequence.
Place = tuple[int, int]

# Refuses a watcher whose token is good no more.
Check: TypeAlias = Callable[[], Awaitable[object]]

ENDED = ("success", "failure", "skipped", "cancelled")
START: Place = (0, -1)
RETRY_SECS = 1.0


def dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def event(name: str, data: str, event_id: str | None = None) -> bytes:
    text = f"event: {name}\n" + (f"id: {event_id}\n" if event_id else "") + f"data: {data}\n\n"
    return text.encode("utf-8", "replace")


class Streams:
    """What one server process watches for all its clients."""

    KEEP_ALIVE_SECS = 15.0

    def __init__(self, database: Database, listener: Listener) -> None:
        self._database = database
        self._listener = listener
        self._runs = RunStates(database, listener)
        self._logs: dict[tuple[str, str, str], Log] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [task for task in (self._runs.task, *(each.task for each in self._logs.values())) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def run(self, run_id: str, check: Check) -> AsyncGenerator[bytes]:
        """`status`: the whole run, then what changes; `end`."""
        with self._runs.watching(run_id):
            seen = -1

            async def news() -> tuple[bytes, bool]:
                nonlocal seen
                run = self._runs.known.get(run_id)
                if run is None or not (run.ended or run.changed_at > seen):
                    return b"", False
                text = run.event(seen) if run.changed_at > seen else b""
                seen = run.changed_at
                return text + (run.end() if run.ended else b""), run.ended

            async for text in self._live(self._runs.changed, news, check):
                yield text

    async def everything(self, check: Check) -> AsyncGenerator[bytes]:
        """`snapshot`: the active runs and the newest; `status`: what changes; `error` to who fell behind."""
        runs = self._runs
        with runs.watching(None):
            seen = -1

            async def news() -> tuple[bytes, bool]:
                nonlocal seen
                if not runs.complete:
                    return b"", False
                first, since, seen = seen < 0, seen, runs.changed.count
                if first:
                    texts = (run.text(-1) for run in runs.known.values())
                    return event("snapshot", f'{{"runs":[{",".join(texts)}]}}'), False
                if since < runs.forgotten_at:
                    return event("error", '{"message":"fell_behind"}'), True
                changed = [run.event(since) for run in runs.known.values() if run.changed_at > since]
                return b"".join(changed), False

            async for text in self._live(runs.changed, news, check):
                yield text

    async def log(
        self, asked: str, run_id: str, job_id: str, after: Place, check: Check, holder: Hashable
    ) -> AsyncGenerator[bytes]:
        """`log`: each chunk after that place; `end` when the job has ended, and all was sent.

        asked: the id that the client asked with, which its chunks carry. holder: whose calls the reading is,
        unless somebody else watches it already.
        """
        key = (asked, run_id, job_id)
        shared = self._logs.get(key)
        if shared is None or shared.stopped:
            shared = self._logs[key] = Log(self._database, self._listener, *key, holder)
        with shared.watching():
            rewound = len(shared.rewound)

            async def news() -> tuple[bytes, bool]:
                nonlocal after, rewound
                after = min([after, *shared.rewound[rewound:]])
                rewound = len(shared.rewound)
                if after < shared.at:
                    entries = await shared.between(after)
                    after = entries[-1][0] if entries else shared.at
                    return b"".join(text for _, text in entries), False
                return (event("end", dumps({"state": shared.ended})), True) if shared.ended else (b"", False)

            try:
                async for text in self._live(shared.changed, news, check):
                    yield text
            finally:
                self._logs = {key: each for key, each in self._logs.items() if not each.stopped}

    async def _live(
        self, signal: Signal, news: Callable[[], Awaitable[tuple[bytes, bool]]], check: Check
    ) -> AsyncGenerator[bytes]:
        """What news answers, at once and after each signal, until it says that this was all.

        `error`, and no more, when the check says that the watcher may not see this any more.
        """
        alive_until = check_at = time.monotonic() + self.KEEP_ALIVE_SECS
        while not self._listener.stopping.is_set():
            if time.monotonic() >= check_at:
                check_at = time.monotonic() + self.KEEP_ALIVE_SECS
                try:
                    await check()
                except Unavailable as error:
                    log.debug("cannot check who watches: %s", error)
                except EngineError as error:
                    yield event("error", error.body().decode())
                    return
            seen = signal.count
            try:
                text, over = await news()
            except Unavailable:
                text, over, seen = b"", False, -1
                await asyncio.sleep(RETRY_SECS)
            except EngineError:  # such as a run that was pruned
                return
            if not text and not over and not await signal.wait(seen, alive_until - time.monotonic()):
                text = b": alive\n\n"
            if text:
                yield text
                alive_until = time.monotonic() + self.KEEP_ALIVE_SECS
            if over:
                return


class Run:
    """What is known of a run, and when it changed: counted in looks that found something new."""

    def __init__(self, run_id: str, workflow_id: str) -> None:
        self.run_id = run_id
        self.workflow_id = workflow_id
        self.state: str | None = None
        self.jobs: dict[str, Any] | None = None
        self.changed_at = -1
        self.ended = False
        self.keep_until = 0.0
        self._job_changed_at: dict[str, int] = {}
        self._texts: dict[int, str] = {}

    def update(self, state: str, jobs: Iterable[Any] | None, at: int) -> bool:
        """Whether anything is new. jobs: none means not told."""
        changed = {job["job_id"]: job for job in jobs or () if (self.jobs or {}).get(job["job_id"]) != job}
        if state == self.state and not changed:
            return False
        self.state = state
        self.changed_at = at
        self.ended = state in ENDED
        if jobs is not None:
            self.jobs = {**(self.jobs or {}), **changed}
        self._job_changed_at.update(dict.fromkeys(changed, at))
        self._texts.clear()
        return True

    def text(self, since: int) -> str:
        """The run, with those of its jobs that changed since; made once for all who saw the same."""
        if since not in self._texts:
            jobs = self.jobs and [job for key, job in self.jobs.items() if self._job_changed_at[key] > since]
            run = {"run_id": self.run_id, "workflow_id": self.workflow_id, "state": self.state, "jobs": jobs}
            self._texts[since] = dumps(run)
        return self._texts[since]

    def event(self, since: int) -> bytes:
        return event("status", self.text(since))

    def end(self) -> bytes:
        return event("end", dumps({"state": self.state}))


class RunStates:
    """One task looks at the watched runs, and at all that are active if anybody watches everything."""

    PAUSE_SECS = 0.25  # at least, between looks; and three times what a look takes
    IDLE_SECS = 1.0  # between looks when nothing is heard: claims are not announced
    NEWEST = 100
    RUNS_PER_CALL = 50
    KEEP_SECS = 60.0  # an ended run, for those who watch everything and read slowly

    def __init__(self, database: Database, listener: Listener) -> None:
        self.known: dict[str, Run] = {}
        self.changed = listener.signal()
        self.complete = False  # everything is known, not only what was asked for by id
        self.forgotten_at = -1
        self.task: asyncio.Task[None] | None = None
        self._database = database
        self._listener = listener
        self._watched: Counter[str | None] = Counter()  # None: everything

    @contextmanager
    def watching(self, run_id: str | None) -> Generator[None]:
        self._watched[run_id] += 1
        self._listener.start()
        self._listener.news.send()
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            self._watched[run_id] -= 1
            if not self._watched[run_id]:
                del self._watched[run_id]

    async def _follow(self) -> None:
        while self._watched:
            began_at = time.monotonic()
            heard = self._listener.news.count
            try:
                await self._look()
            except EngineError as error:
                log.debug("cannot look at runs: %s", error)
            took = time.monotonic() - began_at
            await asyncio.sleep(max(self.PAUSE_SECS - took, 3 * took))
            await self._listener.news.wait(heard, self.IDLE_SECS - self.PAUSE_SECS)
        self.known.clear()
        self.complete = False

    async def _look(self) -> None:
        everything = None in self._watched
        found = await self._ask(p_newest=self.NEWEST) if everything else {}
        # By their ids: what is watched, and what was active, but is not told (whole) any more.
        wanted = {run_id for run_id in self._watched if run_id and not self._has_ended(run_id)}
        if everything:
            for run_id, run in self.known.items():
                if not run.ended and (run_id not in found or (run.jobs and found[run_id]["jobs"] is None)):
                    wanted.add(run_id)
        ids = sorted(wanted)
        for first in range(0, len(ids), self.RUNS_PER_CALL):
            found |= await self._ask(p_run_ids=dumps(ids[first : first + self.RUNS_PER_CALL]))

        at = self.changed.count + 1
        news = everything and not self.complete
        self.complete = everything
        for run_id, entry in found.items():
            run = self.known.setdefault(run_id, Run(run_id, entry["workflow_id"]))
            if run.update(entry["state"], entry["jobs"], at):
                news = True
                run.keep_until = time.monotonic() + self.KEEP_SECS
        for run_id in wanted - found.keys():  # pruned meanwhile
            self.known.setdefault(run_id, Run(run_id, "")).ended = news = True
        for run_id, run in list(self.known.items()):
            if run_id not in found and run_id not in self._watched:
                if everything and run.keep_until > time.monotonic():
                    continue
                del self.known[run_id]
                self.forgotten_at = max(self.forgotten_at, run.changed_at)
        if news:
            self.changed.send()

    def _has_ended(self, run_id: str) -> bool:
        return run_id in self.known and self.known[run_id].ended

    async def _ask(self, **params: str | int) -> dict[str, Any]:
        answer: list[Any] = json.loads(await self._database.call("wfg_watch_runs", **params))
        return {run["run_id"]: run for run in answer}


class Log:
    """One task reads a job's log for all who watch it, in order, up to a gap in its sequence."""

    PAUSE_SECS = 0.25
    IDLE_SECS = 1.0
    IDLE_AFTER_SECS = 2.0
    GAP_SECS = 5.0  # how long to wait for what is missing, while its attempt goes on
    PAGE = 500

    def __init__(
        self,
        database: Database,
        listener: Listener,
        asked: str,
        run_id: str,
        job_id: str,
        holder: Hashable,
    ) -> None:
        self.at = START  # all up to here is known, in order
        self.ended: str | None = None  # the job's last state; then nothing comes after `at`
        self.rewound: list[Place] = []
        self.changed = listener.signal()
        self.task: asyncio.Task[None] | None = None
        self._database = database
        self._asked = asked
        self._run_id = run_id
        self._job_id = job_id
        self._holder = holder
        self._watchers = 0
        self._recent: list[tuple[Place, bytes]] = []  # all from _recent_after to `at`
        self._recent_after = START
        self._job: dict[str, Any] = {"state": "queued", "attempt": 0, "started_at_ms": None}
        self._gap: tuple[Place, float] | None = None

    @property
    def stopped(self) -> bool:
        return self.task is not None and self.task.done()

    @contextmanager
    def watching(self) -> Generator[None]:
        self._watchers += 1
        if self.task is None:
            self.task = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            self._watchers -= 1

    async def between(self, after: Place) -> list[tuple[Place, bytes]]:
        """What comes after a place, in order, as far as it may be told: what was read last, else a page."""
        if after >= self._recent_after:
            return [entry for entry in self._recent if entry[0] > after]
        at = self.at
        return [entry for entry in await self._read(after) if entry[0] <= at]

    async def _read(self, after: Place) -> list[tuple[Place, bytes]]:
        answer = await self._database.call(
            "wfg_read_logs",
            None,
            self._holder,
            p_workflow_id=self._run_id,
            p_job_id=self._job_id,
            p_cursor=f"{after[0]}.{after[1]}",
            p_limit=self.PAGE,
        )
        return [self._entry(chunk) for chunk in json.loads(answer)["items"]]

    def _entry(self, chunk: dict[str, Any]) -> tuple[Place, bytes]:
        place = (chunk.pop("attempt"), chunk["sequence"])
        event_id = f"{self._run_id}.{place[0]}.{place[1]}"
        return place, event("log", dumps({**chunk, "workflow_id": self._asked}), event_id)

    async def _follow(self) -> None:
        news_at = time.monotonic()
        with suppress(EngineError):  # else an attempt given back right after the first reading is not noticed
            await self._job_changed()
        while self._watchers:
            try:
                entries = await self._read(self.at)
                news = self._in_order(entries)
                if news:
                    self._recent_after, self._recent, self.at = self.at, news, news[-1][0]
                    self.changed.send()
                    news_at = time.monotonic()
                elif self._job["state"] in ENDED:
                    self._end(self._job["state"])
                    break
                # What it says of the job was true before the next reading: nothing comes after the last one.
                if await self._job_changed() or len(news) == self.PAGE:
                    continue
            except Unavailable as error:
                log.debug("cannot read a log: %s", error)
            except EngineError as error:  # the run was pruned
                log.debug("the log is gone: %s", error)
                self._end("gone")
                break
            idle = time.monotonic() - news_at > self.IDLE_AFTER_SECS
            await asyncio.sleep(self.IDLE_SECS if idle else self.PAUSE_SECS)

    def _in_order(self, entries: list[tuple[Place, bytes]]) -> list[tuple[Place, bytes]]:
        """What may be told: all before a gap of an attempt that goes on, until it was waited for."""
        before = self.at
        for index, (place, _) in enumerate(entries):
            expected = before[1] + 1 if place[0] == before[0] else 0
            goes_on = (
                self._job["state"] not in ENDED and self._job["attempt"] <= place[0] == entries[-1][0][0]
            )
            if place[1] != expected and goes_on and not self._waited(before):
                return entries[:index]
            before = place
        return entries

    def _waited(self, place: Place) -> bool:
        """Whether what is missing after a place was waited for long enough."""
        if self._gap is None or self._gap[0] != place:
            self._gap = (place, time.monotonic())
        return time.monotonic() - self._gap[1] >= self.GAP_SECS

    async def _job_changed(self) -> bool:
        """Whether the job moved on. An attempt that was given back starts over, its log deleted."""
        answer = await self._database.call(
            "wfg_get_job", None, self._holder, p_run_id=self._run_id, p_job_id=self._job_id
        )
        detail: dict[str, Any] = json.loads(answer)["job"]
        before, self._job = self._job, {key: detail[key] for key in self._job}
        if (
            self._job["attempt"] == before["attempt"] == self.at[0]
            and before["started_at_ms"] not in (None, self._job["started_at_ms"])
            and (self._job["started_at_ms"] or self._job["state"] == "queued")
        ):
            self.at = self._recent_after = (self.at[0], -1)
            self._recent = []
            self.rewound.append(self.at)
        return self._job != before

    def _end(self, state: str) -> None:
        self.ended = state
        self.changed.send()
