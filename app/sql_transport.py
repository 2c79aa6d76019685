"""The direct way from a worker to the engine: SQL."""

import asyncio
import json
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from .db import Database
from .listen import listen
from .transport import (
    CLAIMS,
    LOG_CHUNKS,
    LOGS_ANSWER,
    RENEWAL,
    REPORT_ANSWERS,
    REPORTS,
    Claim,
    LogChunk,
    LogsAnswer,
    Renewal,
    Report,
    ReportAnswer,
    read_answer,
)


class SqlTransport:
    """Calls the engine's functions, and listens for its hints on a connection of its own.

    `async with SqlTransport(dsn) as transport:`
    """

    def __init__(self, dsn: str, *, max_connections: int = 4) -> None:
        self.database = Database(dsn, max_connections=max_connections)
        self._log_turns = asyncio.Semaphore(max(1, max_connections - 2))  # heartbeats must not wait for logs
        self._hint = asyncio.Event()
        self._listener: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._listener = asyncio.create_task(
            listen(self.database.dsn, ("listen wfg_wake",), lambda _: self._hint.set())
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        await self.database.close()

    async def register(self, worker_id: str, labels: Sequence[str]) -> None:
        await self.database.call(
            "wfg_register_worker", p_worker_id=worker_id, p_labels=json.dumps(list(labels))
        )

    async def deregister(self, worker_id: str) -> None:
        await self.database.call("wfg_deregister_worker", p_worker_id=worker_id)

    async def claim(
        self, worker_id: str, labels: Sequence[str], limit: int, ttl_secs: int, stop: asyncio.Event
    ) -> list[Claim]:
        answer = await self.database.call(
            "wfg_claim_jobs",
            p_worker_id=worker_id,
            p_labels=json.dumps(list(labels)),
            p_limit=limit,
            p_ttl_secs=ttl_secs,
        )
        return read_answer(CLAIMS, answer)

    async def renew(self, lease_id: str) -> Renewal:
        return read_answer(RENEWAL, await self.database.call("wfg_renew_lease", p_lease_id=lease_id))

    async def release(self, lease_id: str) -> None:
        await self.database.call("wfg_release_job", p_lease_id=lease_id)

    async def report(self, reports: Sequence[Report]) -> list[ReportAnswer]:
        answer = await self.database.call(
            "wfg_report_jobs", p_reports=REPORTS.dump_json(list(reports)).decode()
        )
        return read_answer(REPORT_ANSWERS, answer)

    async def append_logs(self, lease_id: str, chunks: Sequence[LogChunk]) -> LogsAnswer:
        text = LOG_CHUNKS.dump_json(list(chunks)).decode()
        async with self._log_turns:
            answer = await self.database.call("wfg_append_logs", p_lease_id=lease_id, p_chunks=text)
        return read_answer(LOGS_ANSWER, answer)

    async def wait_for_work(self, timeout_secs: float) -> bool:
        try:
            async with asyncio.timeout(timeout_secs):
                await self._hint.wait()
        except TimeoutError:
            return False
        self._hint.clear()
        return True
