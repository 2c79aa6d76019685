"""What the engine refuses, typed: the four fields of an error body, at every door the same."""

import json


class EngineError(Exception):
    """A call that failed. status: as HTTP would say it. message: a constant slug, such as lease_not_held.

    code: the SQLSTATE; by default that of the engine's own refusals, PT and the status.
    """

    def __init__(
        self,
        status: int,
        message: str,
        details: str | None = None,
        hint: str | None = None,
        *,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = details
        self.hint = hint
        self.code = code or f"PT{status}"

    def __str__(self) -> str:
        return self.message + (f": {self.details}" if self.details else "")

    def body(self) -> bytes:
        """As PostgREST sends it."""
        fields = {"code": self.code, "message": self.message, "details": self.details, "hint": self.hint}
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


class Unavailable(EngineError):
    """Nobody refused: the engine was not reached, or failed. The same call may succeed later.

    retry_after_secs: it asked not to be called earlier.
    """

    retry_after_secs = 0.0


class Rejected(EngineError):
    """The engine refused, and will again."""


class LeaseNotHeld(Rejected):
    """The lease is unknown, expired or superseded: stop working."""


class LeaseCancelled(Rejected):
    """The job was cancelled: stop, and acknowledge by a failure or a release."""


class AlreadyReported(Rejected):
    """This lease's report was accepted before: take it for delivered."""


class WorkerNotFound(Rejected):
    """The engine does not know the worker (any more): register again."""


BY_SLUG: dict[str, type[Rejected]] = {
    "lease_not_held": LeaseNotHeld,
    "lease_cancelled": LeaseCancelled,
    "already_reported": AlreadyReported,
    "worker_not_found": WorkerNotFound,
}


def error_of(
    status: int, message: str, details: str | None = None, hint: str | None = None, *, code: str | None = None
) -> EngineError:
    """The typed exception for an error body."""
    kind = Unavailable if status >= 500 or status in (408, 429) else BY_SLUG.get(message, Rejected)
    return kind(status, message, details, hint, code=code)
