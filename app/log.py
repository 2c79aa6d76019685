"""The log of a process: lines for people, or a JSON object a line; and what the lines of a task are about."""

import json
import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

LogForm = Literal["plain", "json"]

# What a line may say beside its message, in this order: ids, states and measures. No lease is among them, for
# who has one may report its job; and no token.
FIELDS = (
    *("request_id", "method", "route", "status", "ms"),
    *("workflow_id", "run_id", "job_id", "attempt", "outcome", "worker_id"),
)

_about: ContextVar[Mapping[str, object]] = ContextVar("wfg_log_about", default={})  # noqa: B039


@contextmanager
def about(**fields: object) -> Generator[None]:
    """What every line is about that this task logs meanwhile, and the tasks it starts."""
    token = _about.set({**_about.get(), **fields})
    try:
        yield
    finally:
        _about.reset(token)


class JsonLines(logging.Formatter):
    """One object a line: at, level, logger, message; what it is about; error, the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        known = {**_about.get(), **vars(record)}
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: known[name] for name in FIELDS if known.get(name) is not None},
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def show_log(level: int, form: LogForm = "plain") -> None:
    """Let the package's own log go to stderr, and the complaints of OpenTelemetry."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonLines()
        if form == "json"
        else logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
    )
    ours = logging.getLogger("wfg")
    ours.handlers = [handler]
    ours.setLevel(level)
    ours.propagate = False
    theirs = logging.getLogger("opentelemetry")
    theirs.handlers = [handler]
    theirs.propagate = False
