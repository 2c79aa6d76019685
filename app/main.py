"""The HTTP door: create_app() makes the ASGI application."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.datastructures import State
from litestar.exceptions import ValidationException
from litestar.types import ASGIApp

from .asgi import Surroundings
from .calls import ApiRequest, before_request, failed, invalid, refused
from .db import Database
from .errors import EngineError
from .limits import Limited, Limits
from .listen import Lines, Listener
from .metrics import Meters, Scrapes
from .observed import Observed
from .openapi import document
from .routes.health import Readiness, health, ready
from .routes.jobs import Jobs
from .routes.logs import Logs
from .routes.metrics import metrics
from .routes.page import asset, index
from .routes.pauses import Pauses
from .routes.queue import Queue
from .routes.rpc import Catalog, Rpc
from .routes.runs import Runs
from .routes.streams import LiveLogs, LiveRuns
from .routes.upkeep import Upkeep
from .routes.workers import Workers
from .routes.workflows import Workflows
from .settings import Settings
from .streams import Streams
from .tokens import Gate
from .visitors import Visitors


def create_app(
    settings: Settings, *, stopping: asyncio.Event | None = None, guarded: bool = False
) -> ASGIApp:
    """The application for one process. It connects when it is first called.

    stopping: set when the process is to end, so that what answers for long (state.stopping) does too.
    guarded: nobody is let in without a token, even if the database has none.
    """

    meters = Meters()
    visitors = Visitors(settings.host, settings.cors_origins, any_host=settings.insecure)
    gate = Gate(settings.api_token, visitors, guarded=guarded)
    limits = Limits(settings.requests_per_sec, settings.open_requests)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncGenerator[None]:
        async with (
            Database(
                settings.database_url,
                max_connections=settings.db_connections,
                call_timeout_secs=settings.call_timeout_secs,
            ) as database,
            Listener(
                settings.listen_url or settings.database_url,
                app.state.stopping,
                keeps_session=settings.listen_url is not None,
            ) as listener,
            Streams(database, listener) as streams,
        ):
            app.state.database = database
            app.state.gate = gate
            app.state.limits = limits
            app.state.readiness = Readiness(database)
            app.state.meters = meters
            app.state.catalog = Catalog(database)
            app.state.lines = Lines(listener)
            app.state.scrapes = Scrapes(database, meters, listener, app.state.lines)
            app.state.streams = streams
            yield

    app = Litestar(
        route_handlers=[
            Workflows,
            Runs,
            Workers,
            Jobs,
            Queue,
            Logs,
            Pauses,
            LiveRuns,
            LiveLogs,
            Upkeep,
            Rpc,
            health,
            ready,
            metrics,
            index,
            asset,
        ],
        lifespan=[lifespan],
        request_class=ApiRequest,
        before_request=before_request,
        exception_handlers={
            EngineError: refused,
            ValidationException: invalid,
            Exception: failed,
        },
        logging_config=None,
        request_max_body_size=settings.max_body_bytes,
        openapi_config=document(),
        state=State({"settings": settings, "stopping": stopping or asyncio.Event()}),
    )
    limited = Limited(app, gate, limits, meters)
    return Observed(Surroundings(limited, settings.cors_origins), meters, access_log=settings.access_log)
