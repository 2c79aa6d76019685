"""Whether the server lives, and whether it can work. Who asks needs no token, and is not limited."""

import asyncio

from litestar import get

from .. import shapes
from ..calls import ApiRequest
from ..db import Database


class Readiness:
    """One call of the database, for all who ask while it is under way."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked: asyncio.Task[str] | None = None

    async def check(self) -> None:
        """EngineError when the database does not answer."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.create_task(self._database.call("wfg_health"))
            self._asked.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(self._asked)


@get("/health", tags=["health"])
async def health() -> shapes.Health:
    """The process answers."""
    return shapes.Health(status="ok")


@get("/ready", tags=["health"])
async def ready(request: ApiRequest) -> shapes.Health:
    """The database answers, too. Whoever asks learns no more than that."""
    readiness: Readiness = request.app.state.readiness
    await readiness.check()
    return shapes.Health(status="ok")
