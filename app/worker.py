"""A worker: claims jobs for its free slots, runs them, and drains when it is told to stop.

    worker = Worker(labels=["linux"], slots=4)

    @worker.handler("mail")
    def send(job: Job[Mail]) -> dict[str, str]:
        job.log(f"to {job.inputs.to}")
        return {"sent": "yes"}

    async with SqlTransport(dsn) as transport:
        await worker.run(transport)

Jobs that require the label of a handler go to it; all others are shell commands.
"""

import asyncio
import logging
import os
import random
import socket
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from . import own_env
from .errors import EngineError, Unavailable, WorkerNotFound
from .execution import Execution, JobSettings
from .handlers import Handler, HandlerFunction, Job, PermanentError
from .lease import HeldLease
from .log import about
from .reporter import Reporter
from .tracing import Tracing, tracing_of
from .transport import Claim, Transport

__all__ = ["Job", "PermanentError", "Worker"]

log = logging.getLogger("wfg.worker")

InputsT = TypeVar("InputsT")

# After a hint, and after every claim that found something, look again so soon: hints are coalesced.
SOON_SECS = (0.010, 0.050, 0.250)
RETRY_SECS = (0.5, 10.0)  # first and longest pause while the engine is out of reach
# Jobs that must stop may take so long beyond the grace until they are killed, and then until they are left.
STOP_SECS = 20.0
GOODBYE_SECS = 10.0
TOO_MANY_REQUESTS = 429
GRANT_SECS = 0.1  # from the grant of a lease to us, by an engine that is well


class Worker:
    """Settings may be changed until run(), which is called once. Durations are in seconds.

    slots: jobs at a time.
    ttl_secs: of a lease, 1 to 86400; heartbeats come at a third of it.
    poll_secs: how often an idle worker looks for work that no hint told of.
    drain_secs: how long running jobs may go on after stop(); None: for as long as they take.
    grace_secs: between TERM and KILL.
    permanent_exit_codes: failures that are not tried again.
    env: what commands inherit; by default our own environment, without our own secrets (own_env.py).
    """

    def __init__(
        self,
        *,
        labels: Iterable[str] = (),
        slots: int = 1,
        worker_id: str | None = None,
        ttl_secs: int = 30,
        poll_secs: float = 1.0,
        drain_secs: float | None = None,
        grace_secs: float = 5.0,
        permanent_exit_codes: Iterable[int] = (126, 127),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.labels = list(dict.fromkeys(labels))
        self.slots = slots
        self.worker_id = worker_id or f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.ttl_secs = ttl_secs
        self.poll_secs = poll_secs
        self.drain_secs = drain_secs
        self.grace_secs = grace_secs
        self.permanent_exit_codes = frozenset(permanent_exit_codes)
        self.env = env
        self._handlers: dict[str, Handler] = {}
        self._tracing = Tracing()
        self._running: dict[asyncio.Task[None], Execution] = {}
        self._stopping = asyncio.Event()
        self._killed = asyncio.Event()
        self._news = asyncio.Event()  # a slot became free, or it is time to stop

    def handler(self, label: str) -> Callable[[HandlerFunction[InputsT]], HandlerFunction[InputsT]]:
        """Register a function for the jobs that require this label. The worker gets the label."""

        def register(function: HandlerFunction[InputsT]) -> HandlerFunction[InputsT]:
            if label in self._handlers:
                raise ValueError(f"there is a handler for {label!r} already")
            self._handlers[label] = Handler(function)
            return function

        return register

    @property
    def all_labels(self) -> list[str]:
        """Its own labels, and those of its handlers."""
        return list(dict.fromkeys([*self.labels, *self._handlers]))

    @property
    def leases(self) -> list[HeldLease]:
        """What it holds now."""
        return [execution.lease for execution in self._running.values()]

    def stop(self) -> None:
        """Drain: claim nothing more, let run what runs, then let run() return."""
        self._stopping.set()
        self._news.set()

    def kill(self) -> None:
        """Kill the commands at once, give their jobs back, let run() return."""
        self.stop()
        self._killed.set()
        for execution in self._running.values():
            execution.kill()

    async def run(self, transport: Transport) -> None:
        """Work until stop(). Rejected (errors.py) when the engine refuses this worker."""
        settings = JobSettings(
            self.worker_id,
            own_env.for_commands() if self.env is None else dict(self.env),
            self.grace_secs,
            self.permanent_exit_codes,
        )
        reporter = Reporter(transport)
        self._tracing = tracing_of(os.environ)
        with about(worker_id=self.worker_id):
            try:
                await self._work(transport, settings, reporter)
            finally:
                await self._drain()
                await self._say_goodbye(transport)
                await asyncio.to_thread(self._tracing.close)

    # --- claiming ---

    async def _work(self, transport: Transport, settings: JobSettings, reporter: Reporter) -> None:
        pauses = Pauses(self.poll_secs)
        trouble = Trouble()
        registered = False
        now = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            self._news.clear()
            free = self.slots - len(self._running)
            if free <= 0:
                await self._news.wait()
                continue

            asked_at = now()
            try:
                if not registered:
                    await transport.register(self.worker_id, self.all_labels)
                    registered = True
                    log.info("worker %s, labels %s", self.worker_id, ", ".join(self.all_labels) or "none")
                claims = await transport.claim(
                    self.worker_id, self.all_labels, free, self.ttl_secs, self._stopping
                )
            except (Unavailable, WorkerNotFound) as error:
                registered = registered and error.status == TOO_MANY_REQUESTS
                await self._pause(trouble.pause(error))
                continue
            trouble.over()

            if claims:
                # A claim that waited for work was granted just before it was answered.
                claimed_at = max(asked_at, now() - GRANT_SECS)
                for claim in claims:
                    self._start(HeldLease(claim, claimed_at), settings, transport, reporter)
                pauses.restart()
            elif await self._hint_or_news(transport, pauses.next()):
                pauses.restart()
                # Hints for other workers' lanes may come in any number.
                await asyncio.sleep(asked_at + SOON_SECS[0] - now())

    def _start(
        self, lease: HeldLease, settings: JobSettings, transport: Transport, reporter: Reporter
    ) -> None:
        execution = Execution(lease, settings, transport, reporter, self._handler_of(lease.claim))
        if self._stopping.is_set():
            execution.stop()  # claimed while we were told to stop: it never starts
        task = asyncio.create_task(self._run(execution))
        self._running[task] = execution
        task.add_done_callback(self._ended)

    def _handler_of(self, claim: Claim) -> Handler | None:
        for label in claim.job.required_labels:
            if label in self._handlers:
                return self._handlers[label]
        return None

    async def _run(self, execution: Execution) -> None:
        job = execution.claim.job
        with about(workflow_id=job.workflow_id, run_id=job.run_id, job_id=job.job_id, attempt=job.attempt):
            log.info("%s: started", execution.name)
            try:
                with self._tracing.job(execution.claim, self.worker_id) as trace:
                    outcome = await execution.run(trace)
                    trace.ended(outcome)
                log.info("%s: %s", execution.name, outcome, extra={"outcome": outcome})
            except Exception:
                log.exception("%s: the worker failed; its lease will run out", execution.name)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        del self._running[task]
        self._news.set()

    async def _hint_or_news(self, transport: Transport, timeout_secs: float) -> bool:
        """Sleep until there may be something to claim; False when nothing says so."""
        hint = asyncio.create_task(transport.wait_for_work(timeout_secs))
        news = asyncio.create_task(self._news.wait())
        try:
            await asyncio.wait([hint, news], return_when=asyncio.FIRST_COMPLETED)
            return news.done() or hint.result()
        finally:
            hint.cancel()
            news.cancel()

    async def _pause(self, secs: float) -> None:
        try:
            async with asyncio.timeout(secs):
                await self._stopping.wait()
        except TimeoutError:
            pass

    # --- the end ---

    async def _drain(self) -> None:
        """Wait for what runs. When its time is up, stop it; when that takes too long, kill it."""
        self._stopping.set()
        if not self._running:
            return
        log.info("draining: %d running", len(self._running))
        all_done = asyncio.gather(*self._running, return_exceptions=True)
        killed = asyncio.create_task(self._killed.wait())

        async def wait(secs: float | None) -> None:
            await asyncio.wait([all_done, killed], timeout=secs, return_when=asyncio.FIRST_COMPLETED)

        await wait(self.drain_secs)
        if not all_done.done() and not killed.done():
            for execution in self._running.values():
                execution.stop()
            await wait(self.grace_secs + STOP_SECS)
        if not all_done.done():
            self.kill()
            await asyncio.wait([all_done], timeout=GOODBYE_SECS)
        killed.cancel()
        all_done.cancel()

    async def _say_goodbye(self, transport: Transport) -> None:
        try:
            async with asyncio.timeout(GOODBYE_SECS):
                while True:
                    try:
                        return await transport.deregister(self.worker_id)
                    except Unavailable as error:
                        if error.status != TOO_MANY_REQUESTS:
                            raise
                        await asyncio.sleep(max(error.retry_after_secs, RETRY_SECS[0]))
        except (EngineError, TimeoutError) as error:
            log.debug("not deregistered: %s", error)


class Pauses:
    """How long to sleep between claims that find nothing."""

    def __init__(self, poll_secs: float) -> None:
        self._poll_secs = poll_secs
        self._n = len(SOON_SECS)

    def restart(self) -> None:
        """There is work about: look again soon."""
        self._n = 0

    def next(self) -> float:
        if self._n >= len(SOON_SECS):
            return self._poll_secs
        self._n += 1
        return min(SOON_SECS[self._n - 1], self._poll_secs)


class Trouble:
    """The engine is out of reach: longer and longer pauses, and one warning for each new reason."""

    def __init__(self) -> None:
        self._secs = RETRY_SECS[0]
        self._reason = ""

    def pause(self, error: EngineError) -> float:
        if str(error) != self._reason:
            self._reason = str(error)
            log.warning("no claims: %s", self._reason)
        secs, self._secs = self._secs, min(self._secs * 2, RETRY_SECS[1])
        asked_for = error.retry_after_secs if isinstance(error, Unavailable) else 0.0
        return max(secs, asked_for * random.uniform(1.0, 1.25))  # many may have been told the same

    def over(self) -> None:
        if self._reason:
            log.warning("claiming again")
        self._secs, self._reason = RETRY_SECS[0], ""
