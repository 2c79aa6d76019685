"""What goes on beside requests: ending leases that are over, and what fails again and again."""

import asyncio
import logging
import time

from pydantic import TypeAdapter

from . import migrate
from .db import Database
from .errors import EngineError, error_of
from .transport import Wire, read_answer

log = logging.getLogger("wfg.upkeep")

LIMIT = 1000
RETRY_SECS = 1.0
REPEAT_SECS = 30.0


class Reaped(Wire):
    """wfg_reap."""

    retried: int
    failed: int
    cancelled: int

    @property
    def total(self) -> int:
        return self.retried + self.failed + self.cancelled


class Revision(Wire):
    """wfg_health, as far as it matters here."""

    revision: str


REAPED = TypeAdapter(Reaped)
REVISION = TypeAdapter(Revision)


class Trouble:
    """What fails again and again: a warning for each new reason, the same reason now and then."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._reason = ""
        self._said_at = 0.0

    def say(self, error: Exception) -> None:
        reason, now = str(error), time.monotonic()
        if reason != self._reason or now >= self._said_at + REPEAT_SECS:
            self._reason, self._said_at = reason, now
            log.warning("%s: %s; trying again", self._what, reason)

    def over(self) -> None:
        if self._reason:
            log.warning("%s: it works again", self._what)
        self._reason = ""


async def reap_for_ever(database: Database, interval_secs: float) -> None:
    """End leases that are over, every so many seconds. A failure is logged, and tried again."""
    trouble = Trouble("upkeep")
    while True:
        try:
            while await reap(database) >= LIMIT:
                pass
            trouble.over()
        except EngineError as error:
            trouble.say(error)
        await asyncio.sleep(interval_secs)


async def reap(database: Database) -> int:
    reaped = read_answer(REAPED, await database.call("wfg_reap", p_limit=LIMIT))
    if reaped.total:
        log.info(
            "leases ended: %d tried again, %d failed, %d cancelled",
            reaped.retried,
            reaped.failed,
            reaped.cancelled,
        )
    return reaped.total


async def check_installed(database: Database) -> None:
    """Rejected when wfg is not in the database, or is older than this package. Newer is all right."""
    found = read_answer(REVISION, await database.call("wfg_health")).revision
    if found < migrate.head():
        raise error_of(
            409,
            "database_too_old",
            f"the database is at revision {found}, this package needs {migrate.head()}",
            "run `wfg db upgrade`",
        )
