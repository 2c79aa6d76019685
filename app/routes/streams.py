"""Server-sent events. Any stream may end by `error`: it fell behind, or its token is good no more."""

import json
import re
from collections.abc import AsyncGenerator
from typing import Annotated

from litestar import Controller, get
from litestar.params import HeaderParameter
from litestar.response import Stream

from ..calls import ApiRequest, PathId
from ..errors import EngineError, error_of
from ..openapi import refuses
from ..streams import START, Check, Place, Streams

EVENTS = "text/event-stream"
LastEventId = Annotated[str | None, HeaderParameter(name="Last-Event-ID")]


def stream(events: AsyncGenerator[bytes]) -> Stream:
    return Stream(events, media_type=EVENTS, headers={"cache-control": "no-cache", "x-accel-buffering": "no"})


async def log_stream(request: ApiRequest, asked: str, job_id: str, last_event_id: str | None) -> Stream:
    """From after the last event, if that is one of this log: then of its run, though there may be a later."""
    run_id, after = await resumed(request, asked, job_id, last_event_id) or (
        json.loads(await request.call("wfg_get_job", p_run_id=asked, p_job_id=job_id))["run_id"],
        START,
    )
    streams: Streams = request.app.state.streams
    return stream(streams.log(asked, run_id, job_id, after, check(request), request.account))


async def resumed(
    request: ApiRequest, asked: str, job_id: str, last_event_id: str | None
) -> tuple[str, Place] | None:
    parts = re.fullmatch(r"([0-9a-f-]{36})\.(\d{1,9})\.(\d{1,16})", last_event_id or "")
    if parts is None:
        return None
    try:
        detail = json.loads(await request.call("wfg_get_job", p_run_id=parts[1], p_job_id=job_id))
    except EngineError as error:
        if error.status == 404:
            return None
        raise
    ours = asked in (detail["run_id"], detail["workflow_id"])
    return (detail["run_id"], (int(parts[2]), int(parts[3]))) if ours else None


def check(request: ApiRequest) -> Check:
    """What is refused once the token of the request is good no more."""
    return lambda: request.call("wfg_health")


class LiveRuns(Controller):
    path = "/api"
    tags = ("streams",)

    @get("/stream", media_type=EVENTS)
    async def stream_everything(self, request: ApiRequest) -> Stream:
        """`snapshot`: {"runs": […]}, the active and the newest; then `status`: what changes."""
        await request.call("wfg_watch_runs")
        streams: Streams = request.app.state.streams
        return stream(streams.everything(check(request)))

    @get("/runs/{run_id:str}/stream", media_type=EVENTS, responses=refuses(404))
    async def stream_run(self, request: ApiRequest, run_id: PathId) -> Stream:
        """`status`: the run, first with all its jobs, then with those that changed; `end` when it is over."""
        answer = await request.call("wfg_watch_runs", p_run_ids=json.dumps([run_id]), p_with_jobs=False)
        if not (found := json.loads(answer)):
            raise error_of(404, "run_not_found", f"There is no run {run_id}.", "It may have been pruned.")
        streams: Streams = request.app.state.streams
        return stream(streams.run(found[0]["run_id"], check(request)))


class LiveLogs(Controller):
    path = "/api"
    tags = ("logs",)

    @get("/runs/{run_id:str}/jobs/{job_id:str}/logs/stream", media_type=EVENTS, responses=refuses(404))
    async def stream_run_logs(
        self, request: ApiRequest, run_id: PathId, job_id: PathId, last_event_id: LastEventId = None
    ) -> Stream:
        """`log`: each LogChunk, stored or to come; `end` when the job has ended. Resumes by Last-Event-ID."""
        return await log_stream(request, run_id, job_id, last_event_id)

    @get("/workflows/{wf_id:str}/jobs/{job_id:str}/logs/stream", media_type=EVENTS, responses=refuses(404))
    async def stream_logs(
        self, request: ApiRequest, wf_id: PathId, job_id: PathId, last_event_id: LastEventId = None
    ) -> Stream:
        """The same of a workflow's latest run by its own door; it stays with that run."""
        return await log_stream(request, wf_id, job_id, last_event_id)
