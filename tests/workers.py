"""Workers for tests: in this event loop or as processes, and transports that fail on purpose."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from wfg.errors import EngineError, error_of
from wfg.http_transport import HttpTransport
from wfg.sql_transport import SqlTransport
from wfg.transport import Claim, LogChunk, LogsAnswer, Renewal, Report, ReportAnswer
from wfg.worker import Worker

from tests.engine import Engine

TIMEOUT = 30.0


async def until(condition: Callable[[], Any], timeout: float = TIMEOUT) -> Any:
    """Wait until the condition holds; its value."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.02)
    return value


def until_sync(condition: Callable[[], Any], timeout: float = TIMEOUT) -> Any:
    """As until, without an event loop."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
    return value


def unavailable() -> EngineError:
    return error_of(503, "unavailable", "on purpose")


class FailingTransport:
    """Before a real one: calls fail on purpose while faults say so, and all are counted.

    faults: method name -> how often it still fails.
    lost: method name -> how often the call still arrives, but its answer does not.
    """

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.faults: dict[str, float] = {}
        self.lost: dict[str, float] = {}
        self.calls: list[tuple[str, Any]] = []
        self.after_claim: Callable[[list[Claim]], None] | None = None

    def count(self, method: str) -> int:
        return sum(name == method for name, _ in self.calls)

    async def _through(self, method: str, detail: Any, call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        self.calls.append((method, detail))
        if self.faults.get(method, 0) > 0:
            self.faults[method] -= 1
            raise unavailable()
        answer = await call()
        if self.lost.get(method, 0) > 0:
            self.lost[method] -= 1
            raise unavailable()
        return answer

    async def register(self, worker_id: str, labels: Sequence[str]) -> None:
        call = super().register
        await self._through("register", list(labels), lambda: call(worker_id, labels))

    async def claim(
        self, worker_id: str, labels: Sequence[str], limit: int, ttl_secs: int, stop: asyncio.Event
    ) -> list[Claim]:
        call = super().claim
        claims = await self._through("claim", limit, lambda: call(worker_id, labels, limit, ttl_secs, stop))
        if claims and self.after_claim is not None:
            self.after_claim(claims)
        return claims

    async def renew(self, lease_id: str) -> Renewal:
        call = super().renew
        return await self._through("renew", lease_id, lambda: call(lease_id))

    async def release(self, lease_id: str) -> None:
        call = super().release
        await self._through("release", lease_id, lambda: call(lease_id))

    async def report(self, reports: Sequence[Report]) -> list[ReportAnswer]:
        call = super().report
        return await self._through("report", list(reports), lambda: call(reports))

    async def append_logs(self, lease_id: str, chunks: Sequence[LogChunk]) -> LogsAnswer:
        call = super().append_logs
        return await self._through("append_logs", list(chunks), lambda: call(lease_id, chunks))


class FailingSql(FailingTransport, SqlTransport):
    pass


class FailingHttp(FailingTransport, HttpTransport):
    pass


# The address of a server, while tests run over HTTP: the fixture `both_ways` of tests/test_worker.py.
door: str | None = None


def transport_to(dsn: str) -> FailingTransport:
    """By SQL, or to a server of that database, if tests run over HTTP."""
    return FailingHttp(door) if door else FailingSql(dsn)


@asynccontextmanager
async def working(dsn: str, worker: Worker) -> AsyncIterator[FailingTransport]:
    """A worker at work; at the end of the block it drains."""
    async with transport_to(dsn) as transport:
        task = asyncio.create_task(worker.run(transport))
        try:
            yield transport
        except BaseException:
            worker.kill()
            raise
        finally:
            worker.stop()
            await asyncio.wait_for(task, TIMEOUT)


def run_to_end(
    engine: Engine, run_id: str, worker: Worker, prepare: Callable[[FailingTransport], None] | None = None
) -> FailingTransport:
    """Let a worker run until the run has ended; the transport that it used."""

    async def body() -> FailingTransport:
        async with working(engine.dsn, worker) as transport:
            if prepare is not None:
                prepare(transport)
            await until(lambda: engine.state(run_id) not in ("queued", "running"))
        return transport

    return asyncio.run(body())


def log_of(engine: Engine, run_id: str, job: str = "a", stream: str | None = None) -> str:
    """A job's log as one text."""
    chunks = engine.call("wfg_list_logs", p_workflow_id=run_id, p_job_id=job)
    return "".join(chunk["data"] for chunk in chunks if stream in (None, chunk["stream"]))


def job_of(engine: Engine, run_id: str, job: str = "a") -> dict[str, Any]:
    """A job as wfg_get_run has it."""
    jobs = engine.call("wfg_get_run", p_run_id=run_id)["jobs"]
    return next(each for each in jobs if each["job_id"] == job)


def attempts_of(engine: Engine, run_id: str, job: str = "a") -> list[dict[str, Any]]:
    """The attempts that did not end the job."""
    return engine.call("wfg_get_job", p_run_id=run_id, p_job_id=job)["attempts"]


class WorkerProcess:
    """`wfg worker` as a process of its own."""

    def __init__(self, dsn: str, log_path: Path, *options: str, env: dict[str, str] | None = None) -> None:
        self.log_path = log_path
        with log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "wfg", "worker", *options],
                env={
                    **os.environ,
                    **({"SERVER_URL": door, "DATABASE_URL": ""} if door else {"DATABASE_URL": dsn}),
                    **(env or {}),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=log_path.parent,
            )

    def __enter__(self) -> "WorkerProcess":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def log(self) -> str:
        return self.log_path.read_text()

    def wait(self) -> int:
        """Until it ends by itself; the exit code."""
        return self.process.wait(TIMEOUT)
