"""The way from a worker to the engine over HTTP."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import httpx

from .client import KEEP_IDLE_SECS, answer_of, headers_of, path_of, unreachable, usable_environment
from .errors import EngineError
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

WAIT_SECS = 20  # of a long poll; proxies give up after 30 or 60
ANSWER_SECS = 40.0  # the server itself gives up after 30
CONNECT_SECS = 10.0
CALL_OFF_SECS, CALLED_OFF_SECS = 2.0, 0.25  # for the server to hear of it, and then for its answer
MAX_CHUNKS_BYTES = 1_500_000  # of a request; the server takes 2 MiB


class HttpTransport:
    """Calls the server's routes. When there is nothing to claim, the server answers when there is.

    `async with HttpTransport(url, token) as transport:`
    """

    def __init__(
        self, url: str, token: str | None = None, *, max_connections: int = 4, wait_secs: int = WAIT_SECS
    ) -> None:
        self.url = url
        self._wait_secs = wait_secs
        self._waited = False
        self._log_turns = asyncio.Semaphore(max(1, max_connections - 2))  # heartbeats must not wait for logs
        with usable_environment():
            self._http = httpx.AsyncClient(
                base_url=url,
                headers=headers_of(token),
                limits=httpx.Limits(
                    max_connections=max_connections + 1,  # one waits for work
                    keepalive_expiry=KEEP_IDLE_SECS,
                ),
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def register(self, worker_id: str, labels: Sequence[str]) -> None:
        body = {"worker_id": worker_id, "labels": list(labels)}
        await self._call("POST", path_of("workers", "register"), json.dumps(body).encode())

    async def deregister(self, worker_id: str) -> None:
        await self._call("DELETE", path_of("workers", worker_id))

    async def claim(
        self, worker_id: str, labels: Sequence[str], limit: int, ttl_secs: int, stop: asyncio.Event
    ) -> list[Claim]:
        body = {
            "worker_id": worker_id,
            "labels": list(labels),
            "limit": limit,
            "lease_ttl_secs": ttl_secs,
            "wait_secs": self._wait_secs,
        }
        now = asyncio.get_running_loop().time
        asked_at = now()
        asked = asyncio.create_task(
            self._call(
                "POST",
                path_of("jobs", "claim-many"),
                json.dumps(body).encode(),
                timeout_secs=self._wait_secs + ANSWER_SECS,
            )
        )
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([asked, stopped], return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                await self._call_off(asked, worker_id, labels)
        finally:
            stopped.cancel()
            asked.cancel()  # if it does not answer, it sees us hang up
        await asyncio.wait([asked])
        self._waited = now() - asked_at >= self._wait_secs / 2
        return [] if asked.cancelled() else read_answer(CLAIMS, asked.result())

    async def _call_off(self, claiming: "asyncio.Task[str]", worker_id: str, labels: Sequence[str]) -> None:
        """Have a claim that waits answered: if we just hang up, what is granted meanwhile might be lost.

        The server does so when we register anew. Another one, behind the same address, cannot.
        """
        with suppress(EngineError, TimeoutError):
            async with asyncio.timeout(CALL_OFF_SECS):
                await self.register(worker_id, labels)
        await asyncio.wait([claiming], timeout=CALLED_OFF_SECS)

    async def renew(self, lease_id: str) -> Renewal:
        return read_answer(RENEWAL, await self._call("POST", path_of("jobs", lease_id, "heartbeat")))

    async def release(self, lease_id: str) -> None:
        await self._call("POST", path_of("jobs", lease_id, "release"))

    async def report(self, reports: Sequence[Report]) -> list[ReportAnswer]:
        body = b'{"reports":%b}' % REPORTS.dump_json(list(reports))
        return read_answer(REPORT_ANSWERS, await self._call("POST", path_of("jobs", "report-many"), body))

    async def append_logs(self, lease_id: str, chunks: Sequence[LogChunk]) -> LogsAnswer:
        body = b'{"chunks":%b}' % LOG_CHUNKS.dump_json(list(chunks))
        if len(body) > MAX_CHUNKS_BYTES and len(chunks) > 1:
            half = len(chunks) // 2
            await self.append_logs(lease_id, chunks[:half])
            return await self.append_logs(lease_id, chunks[half:])
        async with self._log_turns:
            return read_answer(LOGS_ANSWER, await self._call("POST", path_of("jobs", lease_id, "logs"), body))

    async def wait_for_work(self, timeout_secs: float) -> bool:
        """The claim has waited already, unless this server does not know how to."""
        if not self._waited:
            await asyncio.sleep(timeout_secs)
        return self._waited

    async def _call(
        self, method: str, path: str, body: bytes | None = None, *, timeout_secs: float = ANSWER_SECS
    ) -> str:
        try:
            response = await self._http.request(
                method,
                path,
                content=body,
                headers=None if body is None else {"content-type": "application/json"},
                timeout=httpx.Timeout(timeout_secs, connect=CONNECT_SECS),
            )
        except httpx.HTTPError as error:
            raise unreachable(self.url, error) from error
        return answer_of(response)
