"""What goes on beside requests: leases that are over, what is long over, and what fails again and again."""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Self

from pydantic import TypeAdapter

from . import migrate
from .db import Database, Value
from .errors import EngineError, error_of
from .settings import Settings
from .transport import Wire, read_answer

log = logging.getLogger("wfg.upkeep")

LIMIT = 1000
RETRY_SECS = 1.0
REPEAT_SECS = 30.0
PRUNE_INTERVAL_SECS = 60.0
FOR_EVER_SECS = 3155760000  # a century


class Reaped(Wire):
    """wfg_reap."""

    retried: int
    failed: int
    cancelled: int

    @property
    def total(self) -> int:
        return self.retried + self.failed + self.cancelled


class Pruned(Wire):
    """wfg_prune: one call, or several added up."""

    runs: int = 0
    log_chunks: int = 0
    versions: int = 0
    workflows: int = 0
    workers: int = 0
    label_sets: int = 0
    more: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """By their names for people."""
        return {
            "runs": self.runs,
            "pieces of logs": self.log_chunks,
            "versions": self.versions,
            "workflows": self.workflows,
            "workers": self.workers,
            "label sets": self.label_sets,
        }

    def __add__(self, other: Self) -> "Pruned":
        return Pruned(
            runs=self.runs + other.runs,
            log_chunks=self.log_chunks + other.log_chunks,
            versions=self.versions + other.versions,
            workflows=self.workflows + other.workflows,
            workers=self.workers + other.workers,
            label_sets=self.label_sets + other.label_sets,
            more=other.more,
        )


class Revision(Wire):
    """wfg_health, as far as it matters here."""

    revision: str


NOTHING = Pruned()
REAPED = TypeAdapter(Reaped)
PRUNED = TypeAdapter(Pruned)
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


@dataclass(frozen=True)
class Retention:
    """How long what is over stays. None: logs stay with their run."""

    older_than_secs: int
    keep_per_workflow: int
    logs_older_than_secs: int | None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        after = settings.prune_after_secs
        return cls(
            older_than_secs=FOR_EVER_SECS if after is None else after,
            keep_per_workflow=settings.prune_keep_per_workflow,
            logs_older_than_secs=settings.prune_logs_after_secs,
        )

    @property
    def params(self) -> dict[str, Value]:
        """Of wfg_prune."""
        return {
            "p_older_than_secs": self.older_than_secs,
            "p_keep_per_workflow": self.keep_per_workflow,
            "p_logs_older_than_secs": self.logs_older_than_secs,
        }


async def prune_for_ever(database: Database, retention: Retention) -> None:
    """Delete what is long over, every minute; in steps, and as long a rest after each as it took."""
    trouble = Trouble("pruning")
    while True:
        rest_secs = PRUNE_INTERVAL_SECS
        begun = time.monotonic()
        try:
            pruned = read_answer(PRUNED, await database.call("wfg_prune", **retention.params))
            trouble.over()
            if said := ", ".join(f"{count} {name}" for name, count in pruned.counts.items() if count):
                log.info("pruned: %s", said)
            if pruned.more:
                rest_secs = time.monotonic() - begun
        except EngineError as error:
            trouble.say(error)
        await asyncio.sleep(rest_secs)


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
