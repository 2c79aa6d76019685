"""A lease that this worker holds: kept alive by heartbeats, until its job is reported or must stop."""

import asyncio
import logging
import random
from enum import Enum

from .errors import LeaseNotHeld, Rejected, Unavailable
from .transport import Claim, Transport

log = logging.getLogger("wfg.worker")

# A cancelled lease ends at most so many seconds later; until then it wants an acknowledgement.
CANCELLED_SECS = 60.0


class StopReason(Enum):
    """Why a job must stop before its end."""

    CANCELLED = "cancelled"  # to be acknowledged
    LOST = "lost"  # somebody else may run it already: report nothing
    TIMED_OUT = "timed out"
    GIVEN_BACK = "given back"  # by a worker that must end


class HeldLease:
    """When it ends, by our own clock; and whether its job must stop.

    claimed_at: the event loop's time before the claim was sent, so that we never believe in it for too long.
    """

    def __init__(self, claim: Claim, claimed_at: float) -> None:
        self.claim = claim
        self.reason: StopReason | None = None
        self.stopped = asyncio.Event()
        secs = claim.job.timeout_secs
        self.timeout_at = None if secs is None else claimed_at + secs
        self.ends_at = claimed_at
        self._prolong(claimed_at)
        self._hurry = asyncio.Event()

    @property
    def ttl_secs(self) -> int:
        return self.claim.lease.ttl_secs

    def stop(self, reason: StopReason) -> None:
        """The job must stop. The first reason stays, except that a lost lease is beyond all others."""
        if self.reason is None or reason is StopReason.LOST:
            self.reason = reason
        self.stopped.set()

    def ask_now(self) -> None:
        """Send the next heartbeat at once."""
        self._hurry.set()

    async def keep(self, transport: Transport) -> None:
        """Heartbeat at a third of the ttl, a little early at random, until the job must stop."""
        now = asyncio.get_running_loop().time
        pause = self._pause()
        while self.reason is not StopReason.CANCELLED:
            try:
                async with asyncio.timeout(pause):
                    await self._hurry.wait()
            except TimeoutError:
                pass
            self._hurry.clear()

            asked_at = now()
            try:
                async with asyncio.timeout(max(self.ends_at - asked_at, 0.1)):
                    renewal = await transport.renew(self.claim.lease.lease_id)
            except (Unavailable, TimeoutError) as error:
                log.warning("%s: heartbeat failed: %s", self.claim.job.job_id, error or "no answer")
                asked_for = error.retry_after_secs if isinstance(error, Unavailable) else 0.0
                pause = max(min(1.0, self.ttl_secs / 10), min(asked_for, (self.ends_at - now()) / 2))
                if now() >= self.ends_at:
                    return self.stop(StopReason.LOST)
            except LeaseNotHeld:
                return self.stop(StopReason.LOST)
            except Rejected as error:
                log.error("%s: heartbeat refused: %s", self.claim.job.job_id, error)
                return self.stop(StopReason.LOST)
            else:
                pause = self._pause()
                if renewal.stop is not None:
                    self.ends_at = min(self.ends_at, asked_at + CANCELLED_SECS)
                    return self.stop(StopReason.CANCELLED)
                self._prolong(asked_at)
        return None

    def _prolong(self, since: float) -> None:
        self.ends_at = since + self.ttl_secs
        if self.timeout_at is not None:
            self.ends_at = min(self.ends_at, self.timeout_at)

    def _pause(self) -> float:
        return self.ttl_secs / 3 * random.uniform(0.8, 1.0)
