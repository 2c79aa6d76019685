"""Spans of a worker, by OpenTelemetry. Imported only where that is installed, and wanted.

A job's span has as parent who started its run, if that sent a traceparent. Else it is a root, and the id of
its trace is the run's without the dashes: so all jobs of a run are in one trace.
"""

import os
import uuid
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .tracing import JobTrace, Tracing
from .transport import Claim

FLUSH_MS = 5000
WELL = ("success", "cancelled", "given back")

# Whose root span is being started.
_run_id: ContextVar[str | None] = ContextVar("wfg_run_id", default=None)


class RunIds(RandomIdGenerator):
    def generate_trace_id(self) -> int:
        run_id = _run_id.get()
        return super().generate_trace_id() if run_id is None else uuid.UUID(run_id).int


def tracing(*, may_export: bool) -> Tracing:
    """By the program's own provider; else by one that the OTEL_* variables describe."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        return Spans(provider)
    if not may_export:
        return Tracing()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    provider = TracerProvider(resource=resource(), id_generator=RunIds())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return Spans(provider)


def resource() -> Resource:
    is_named = "OTEL_SERVICE_NAME" in os.environ or SERVICE_NAME in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    return Resource.create({} if is_named else {SERVICE_NAME: "wfg-worker"})


class Spans(Tracing):
    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("wfg.worker")

    @contextmanager
    def job(self, claim: Claim, worker_id: str) -> Generator[JobTrace]:
        job = claim.job
        carrier = {"traceparent": job.traceparent} if job.traceparent else {}
        token = _run_id.set(job.run_id)
        try:
            span = self._tracer.start_span(
                "wfg.job",
                # Of the W3C form whatever OTEL_PROPAGATORS says: so the engine keeps it.
                context=TraceContextTextMapPropagator().extract(
                    carrier, trace.set_span_in_context(trace.INVALID_SPAN)
                ),
                kind=SpanKind.CONSUMER,
                attributes={
                    "wfg.run_id": job.run_id,
                    "wfg.workflow_id": job.workflow_id,
                    "wfg.job_id": job.job_id,
                    "wfg.attempt": job.attempt,
                    "wfg.worker_id": worker_id,
                },
            )
        finally:
            _run_id.reset(token)
        with trace.use_span(span, end_on_exit=True):
            yield SpannedJob(claim, self._tracer, span)

    def close(self) -> None:
        self._provider.force_flush(FLUSH_MS)


class SpannedJob(JobTrace):
    def __init__(self, claim: Claim, tracer: trace.Tracer, span: trace.Span) -> None:
        super().__init__(claim)
        self._tracer = tracer
        self._span = span

    def part(self, name: str) -> AbstractContextManager[object]:
        return self._tracer.start_as_current_span(name)

    def traceparent(self) -> str | None:
        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier)
        return carrier.get("traceparent") or super().traceparent()

    def ended(self, outcome: str) -> None:
        self._span.set_attribute("wfg.outcome", outcome)
        if outcome not in WELL:
            self._span.set_status(Status(StatusCode.ERROR, outcome))
