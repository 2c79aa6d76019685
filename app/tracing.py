"""The trace of a job: handed on to what it starts, and its spans, if the worker makes any (otel.py)."""

import logging
import sys
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from .transport import Claim

log = logging.getLogger("wfg.worker")

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class JobTrace:
    """Of an attempt, without spans."""

    def __init__(self, claim: Claim) -> None:
        self._given = claim.job.traceparent

    def part(self, name: str) -> AbstractContextManager[object]:
        """A span for a part of the work, in the task that does it."""
        return nullcontext()

    def traceparent(self) -> str | None:
        """For what is started now: the span that is open, else what the run was started with."""
        return self._given

    def ended(self, outcome: str) -> None:
        """What became of it: the state of the job, or why nothing was reported."""


class Tracing:
    """Of a worker, without spans."""

    @contextmanager
    def job(self, claim: Claim, worker_id: str) -> Generator[JobTrace]:
        """From a claim to its report."""
        yield JobTrace(claim)

    def close(self) -> None:
        """Send what is left; it may take some seconds."""


def tracing_of(environment: Mapping[str, str]) -> Tracing:
    """With spans when the standard variables ask for them, or the program has a provider of its own."""

    def said(name: str) -> str:
        return environment.get(name, "").strip().lower()

    exporter = said("OTEL_TRACES_EXPORTER")
    if said("OTEL_SDK_DISABLED") == "true" or exporter == "none":
        return Tracing()
    may_export = exporter == "otlp" or (not exporter and any(map(said, ENDPOINTS)))
    if not may_export and "opentelemetry.sdk.trace" not in sys.modules:
        return Tracing()
    try:
        from . import otel

        return otel.tracing(may_export=may_export)
    except ImportError as error:
        log.warning("no traces, for which OTEL_* variables ask: %s; pip install 'wfg[otel]'", error)
        return Tracing()
