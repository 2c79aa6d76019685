"""Around every request: its id, its line in the log, and what is counted of it."""

import logging
import re
import time
import uuid
from functools import lru_cache
from typing import Any

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from . import log as logs
from .metrics import Meters

log = logging.getLogger("wfg.access")

SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
NO_ROUTE = "none"
IDS = {"workflow_id": "workflow_id", "wf_id": "workflow_id", "run_id": "run_id", "job_id": "job_id"}


class Observed:
    """A request's id is what X-Request-Id says, else a new one; the answer tells it.

    Routes are counted and logged, paths are not: there may be any number of them, and a lease may be in one.
    """

    def __init__(self, app: ASGIApp, meters: Meters, *, access_log: bool) -> None:
        self.app = app
        self.meters = meters
        self.access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        began_at = time.perf_counter()
        request_id = id_of(scope)
        status = 0
        is_stream = False

        async def send_with_id(message: Message) -> None:
            nonlocal status, is_stream
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], (b"x-request-id", request_id.encode())]
                message["headers"] = headers
                is_stream = any(
                    n == b"content-type" and v.startswith(b"text/event-stream") for n, v in headers
                )
                self.meters.streams += is_stream
            await send(message)

        self.meters.in_progress += 1
        with logs.about(request_id=request_id):
            try:
                await self.app(scope, receive, send_with_id)
            finally:
                self.meters.in_progress -= 1
                self.meters.streams -= is_stream
                self._tell(scope, status, time.perf_counter() - began_at, is_stream=is_stream)

    def _tell(self, scope: Any, status: int, secs: float, *, is_stream: bool) -> None:
        """status 0: it was not answered, for the client had gone."""
        method = scope["method"] if scope["method"] in METHODS else "other"
        routed = scope.get("wfg.routed", {})
        route = route_of(routed.get("path_template") or NO_ROUTE)
        self.meters.requests.add(method, route, str(status))
        if not is_stream:
            self.meters.durations.observe(secs, method, route)
        if self.access_log:
            params = routed.get("path_params", {})
            ids = {known: params[name] for name, known in IDS.items() if name in params}
            measured = {"method": method, "route": route, "status": status, "ms": round(secs * 1000, 1)}
            log.info("%s %s %d %.1f ms", method, route, status, secs * 1000, extra={**measured, **ids})


@lru_cache
def route_of(template: str) -> str:
    return re.sub(r":\w+}", "}", template)


def id_of(scope: Any) -> str:
    """A sane one is taken over: what others have logged by it is found by it."""
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given.decode() if SANE_ID.fullmatch(given) else uuid.uuid4().hex
