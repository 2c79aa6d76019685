"""Delivers the ends of attempts: those of one moment in one call, again and again until their leases end."""

import asyncio
import logging

from .errors import AlreadyReported, EngineError, Unavailable, error_of
from .lease import HeldLease
from .transport import Report, ReportAnswer, Transport

log = logging.getLogger("wfg.worker")

BATCH = 100
PASSING = (429, 503)  # for all reports alike
FIRST_PAUSE_SECS = 0.1
LONGEST_PAUSE_SECS = 5.0


class Reporter:
    """One for all slots of a worker. While a call is under way, what ends meanwhile gathers for the next."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._waiting: list[tuple[Report, asyncio.Future[ReportAnswer]]] = []
        self._sender: asyncio.Task[None] | None = None

    async def deliver(self, report: Report, lease: HeldLease) -> str:
        """The state of the job after it.

        Rejected (LeaseNotHeld, LeaseCancelled, …) when the engine does not take it, Unavailable when it was
        out of reach until the lease ended. A repeat of what arrived before counts as delivered.
        """
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE_SECS
        while True:
            try:
                answer = await self._send(report)
            except Unavailable as error:
                if loop.time() + pause >= lease.ends_at:
                    raise
                log.warning("%s: not reported yet: %s", lease.claim.job.job_id, error)
                await asyncio.sleep(
                    max(pause, min(error.retry_after_secs, (lease.ends_at - loop.time()) / 2))
                )
                pause = min(pause * 2, LONGEST_PAUSE_SECS)
                continue
            if answer.ok:
                return answer.job or ""

            refusal = error_of(409, answer.message or "refused")
            if isinstance(refusal, AlreadyReported):
                return answer.job or "reported"
            raise refusal

    async def _send(self, report: Report) -> ReportAnswer:
        answered: asyncio.Future[ReportAnswer] = asyncio.get_running_loop().create_future()
        self._waiting.append((report, answered))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_waiting())
        return await answered

    async def _send_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            await self._send_batch(batch)

    async def _send_batch(self, batch: list[tuple[Report, asyncio.Future[ReportAnswer]]]) -> None:
        try:
            answers = await self._transport.report([report for report, _ in batch])
            if len(answers) != len(batch):
                raise Unavailable(500, "unreadable_answer", f"{len(answers)} answers to {len(batch)} reports")
        except EngineError as error:
            if error.status not in PASSING and len(batch) > 1:
                for item in batch:  # one of them spoils the call: which one, single calls tell
                    await self._send_batch([item])
                return
            for _, answered in batch:
                settle(answered, error)
        else:
            for (_, answered), answer in zip(batch, answers, strict=True):
                settle(answered, answer)


def settle(answered: "asyncio.Future[ReportAnswer]", outcome: ReportAnswer | EngineError) -> None:
    """Hand an outcome to whoever still waits for it."""
    if answered.done():
        return
    if isinstance(outcome, EngineError):
        answered.set_exception(outcome)
    else:
        answered.set_result(outcome)
