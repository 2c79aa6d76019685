"""One job from its claim to its report: run, watched, logged, stopped if it must be, reported."""

import asyncio
import errno
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from . import own_env
from .errors import EngineError, LeaseCancelled, LeaseNotHeld, Rejected, Unavailable
from .handlers import Handler, failed
from .job_log import JobLog
from .lease import HeldLease, StopReason
from .lines import OutputParser, Tail, clean
from .process import Exit, ShellProcess, Stream
from .reporter import Reporter
from .tracing import JobTrace
from .transport import Report, Transport

log = logging.getLogger("wfg.worker")

TRACE_ENV = ("TRACEPARENT", "TRACESTATE")
CLOSE_LOG_SECS = 30.0
RELEASE_TRIES = 3


@dataclass(frozen=True)
class JobSettings:
    """How jobs are run. env: what commands inherit. grace_secs: between TERM and KILL."""

    worker_id: str
    env: Mapping[str, str] = field(default_factory=own_env.for_commands)
    grace_secs: float = 5.0
    permanent_exit_codes: frozenset[int] = frozenset({126, 127})


class Execution:
    """An attempt under way. stop() makes it end early; run() returns when all is said and done."""

    def __init__(
        self,
        lease: HeldLease,
        settings: JobSettings,
        transport: Transport,
        reporter: Reporter,
        handler: Handler | None,
    ) -> None:
        self.lease = lease
        self.claim = lease.claim
        self._settings = settings
        self._transport = transport
        self._reporter = reporter
        self._handler = handler
        self._grace_secs = settings.grace_secs
        self._process: ShellProcess | None = None
        self._killed = asyncio.Event()
        self._tail = Tail()
        self._outputs = OutputParser()

    @property
    def name(self) -> str:
        """For people: job, run, attempt."""
        job = self.claim.job
        return f"{job.job_id} (run {job.run_id}, attempt {job.attempt})"

    def stop(self) -> None:
        """End it early, and give it back: TERM, then KILL."""
        self.lease.stop(StopReason.GIVEN_BACK)

    def kill(self) -> None:
        """As stop, without any grace."""
        self._grace_secs = 0
        self._killed.set()
        self.stop()
        if self._process is not None:
            self._process.kill()

    async def run(self, trace: JobTrace) -> str:
        """What became of the job: its state, or why nothing was reported."""
        self._trace = trace
        if self.lease.reason is not None:
            return await self._conclude(None)  # it never started

        self._log = JobLog(self.lease, self._transport)
        heartbeat = asyncio.create_task(self.lease.keep(self._transport))
        timer = None
        if self.lease.timeout_at is not None:
            loop = asyncio.get_running_loop()
            timer = loop.call_at(self.lease.timeout_at, self.lease.stop, StopReason.TIMED_OUT)

        work = asyncio.create_task(self._run_handler(self._handler) if self._handler else self._run_shell())
        stopped = asyncio.create_task(self.lease.stopped.wait())
        try:
            await asyncio.wait([work, stopped], return_when=asyncio.FIRST_COMPLETED)
            report = await self._outcome(work)
            await self._close_log()
            heartbeat.cancel()  # a report that is never taken must not keep the lease for ever
            outcome = await self._conclude(report)
            await self._leave(work)
            return outcome
        finally:
            if timer is not None:
                timer.cancel()
            if self._process is not None:
                self._process.kill()
            self._log.abandon()
            for task in (heartbeat, stopped, work):
                task.cancel()
            await asyncio.wait([heartbeat, stopped, work], timeout=1.0)

    # --- work ---

    async def _run_shell(self) -> Report:
        with self._trace.part("wfg.command"):
            return await self._run_command()

    async def _run_command(self) -> Report:
        try:
            self._process = await ShellProcess.start(
                self.claim.job.script, self._environment(), self._take_lines, grace_secs=self._grace_secs
            )
        except (OSError, ValueError) as error:
            permanent = isinstance(error, ValueError) or error.errno == errno.E2BIG
            return failed(self.claim, f"could not be started: {error}", retryable=not permanent)

        end = await self._process.wait()
        self._outputs.end()
        if end.lingered:
            self._log.say("processes in the background kept the output open after the end, and were stopped")
        for reason in self._outputs.refused:
            self._log.say(reason)
        return self._report_of(end)

    def _environment(self) -> dict[str, str]:
        job = self.claim.job
        traceparent = self._trace.traceparent()
        return {
            # Whatever started this worker did not start the job.
            **{name: value for name, value in self._settings.env.items() if name not in TRACE_ENV},
            **({} if traceparent is None else {"TRACEPARENT": traceparent}),
            **job.env,
            "WFG_RUN_ID": job.run_id,
            "WFG_WORKFLOW_ID": job.workflow_id,
            "WFG_JOB_ID": job.job_id,
            "WFG_ATTEMPT": str(job.attempt),
            "WFG_WORKER_ID": self._settings.worker_id,
        }

    async def _take_lines(self, stream: Stream, lines: list[str]) -> None:
        for line in lines:
            self._tail.add(line)
            if stream == "stdout":
                self._outputs.feed(line)
            self._log.write(stream, line)
        await self._log.room()

    def _report_of(self, end: Exit) -> Report:
        if end.code == 0:
            return Report(
                lease_id=self.claim.lease.lease_id, outcome="success", outputs=self._outputs.outputs
            )
        text = f"{end.describe()}: {self._tail.read().strip()}".removesuffix(": ")
        return failed(self.claim, text, retryable=end.code not in self._settings.permanent_exit_codes)

    async def _run_handler(self, handler: Handler) -> Report:
        def write(text: str) -> None:
            self._log.write("stdout", text)

        with self._trace.part("wfg.handler"):
            return await handler.run(
                self.claim, write, self._log.flush, self.lease.stopped, self._trace.traceparent()
            )

    # --- end ---

    async def _outcome(self, work: "asyncio.Task[Report]") -> Report | None:
        """What the work reports; None when it was stopped before its end."""
        if work.cancelled():
            return failed(self.claim, "the handler was cancelled, by itself", retryable=True)
        if work.done():
            return work.result()
        if self._process is None:
            await self._stop_handler(work)
        else:
            await self._process.stop(self._grace_secs)
            await asyncio.wait([work])
        return None

    async def _stop_handler(self, work: "asyncio.Task[Report]") -> None:
        """An async handler is cancelled. A sync one sees job.cancelled, and may take the grace."""
        if self._handler is None or self._handler.is_async:
            work.cancel()
        killed = asyncio.create_task(self._killed.wait())
        await asyncio.wait([work, killed], timeout=self._grace_secs, return_when=asyncio.FIRST_COMPLETED)
        killed.cancel()

    async def _leave(self, work: "asyncio.Task[Report]") -> None:
        """A function that does not stop keeps its slot, unless the worker must end."""
        if not work.done():
            log.warning("%s: its handler does not stop", self.name)
            killed = asyncio.create_task(self._killed.wait())
            await asyncio.wait([work, killed], return_when=asyncio.FIRST_COMPLETED)
            killed.cancel()

    async def _close_log(self) -> None:
        """What is given back loses its log, and a lost lease cannot add to it."""
        if self.lease.reason in (StopReason.LOST, StopReason.GIVEN_BACK):
            self._log.abandon()
            return
        left = self.lease.ends_at - asyncio.get_running_loop().time()
        await self._log.close(max(1.0, min(CLOSE_LOG_SECS, left / 2)))

    async def _conclude(self, report: Report | None) -> str:
        """Tell the engine. The reason to stop may have come only now, while the log was sent."""
        match self.lease.reason:
            case StopReason.LOST:
                return "lease lost, nothing reported"
            case StopReason.CANCELLED:
                return await self._deliver(failed(self.claim, "cancelled", retryable=False))
            case StopReason.TIMED_OUT if report is None:
                secs = self.claim.job.timeout_secs
                text = f"timed out after {secs} s: {self._tail.read().strip()}".removesuffix(": ")
                return await self._deliver(failed(self.claim, text, retryable=True))
            case _ if report is None:
                return await self._release()
            case _:
                return await self._deliver(report)

    async def _deliver(self, report: Report) -> str:
        try:
            with self._trace.part("wfg.report"):
                return await self._reporter.deliver(report, self.lease)
        except LeaseCancelled:
            return await self._deliver(failed(self.claim, "cancelled", retryable=False))
        except LeaseNotHeld:
            return "lease lost, report refused"
        except Rejected as error:
            if report.outcome == "failure":
                return f"report refused: {error}"
            text = clean(f"its outputs were refused: {error.details or error.message}")
            return await self._deliver(failed(self.claim, text, retryable=False))
        except Unavailable as error:
            return f"not reported until the lease ended: {error}"

    async def _release(self) -> str:
        for attempt in range(RELEASE_TRIES):
            try:
                with self._trace.part("wfg.report"):
                    async with asyncio.timeout(5.0):
                        await self._transport.release(self.claim.lease.lease_id)
                return "given back"
            except (Unavailable, TimeoutError) as error:
                asked_for = error.retry_after_secs if isinstance(error, Unavailable) else 0.0
                await asyncio.sleep(max(asked_for, 0.2 * (attempt + 1)))
            except EngineError as error:
                return f"not given back: {error}"
        return "not given back: the engine is out of reach"
