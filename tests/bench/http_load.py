"""Clients of the HTTP door that cost next to nothing: keep-alive connections in a process of their own.

    python -m tests.bench.http_load PORT CONNECTIONS SIZE WARM SECONDS COUNT

Each connection claims SIZE jobs and completes them, again and again, for SECONDS after WARM, or until COUNT
jobs are done: the other one is 0. With SIZE 0 claims wait for a run that is started meanwhile, COUNT times.
What was measured is printed as a JSON object.
"""

import asyncio
import json
import re
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import uvloop

from tests.bench.pgbench import percentile

LEASES = re.compile(rb'"lease_id" ?: ?"([^"]+)"')
PAUSE_SECS = 0.02  # before a run is started, so that the claim waits


class Connection(asyncio.Protocol):
    """One request at a time; the answer's body."""

    transport: asyncio.Transport
    answer: asyncio.Future[bytes]

    @classmethod
    async def open(cls, port: int) -> "Connection":
        _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return connection

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def post(self, path: str, body: bytes) -> asyncio.Future[bytes]:
        self.answer = asyncio.get_running_loop().create_future()
        self.received = b""
        head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        self.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return self.answer

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        if length and len(body) < int(length[1]):
            return
        if head[9:10] == b"2":
            self.answer.set_result(body)
        else:
            self.answer.set_exception(RuntimeError(self.received.decode()))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc or ConnectionError("closed"))


@dataclass
class Load:
    size: int
    begin: float
    end: float
    count: int
    jobs: int = 0  # completed after begin
    all_jobs: int = 0
    milliseconds: list[float] = field(default_factory=list)  # of each claim and its completion
    last: float = 0.0

    async def work(self, connection: Connection, name: str) -> None:
        claim, path = {"worker_id": name, "labels": [], "lease_ttl_secs": 3600}, "/api/jobs/claim"
        if self.size > 1:
            claim, path = {**claim, "limit": self.size}, "/api/jobs/claim-many"
        body = json.dumps(claim).encode()
        while (now := time.time()) < self.end and (not self.count or self.all_jobs < self.count):
            leases = LEASES.findall(await connection.post(path, body))
            if not leases:
                continue
            if self.size == 1:
                await connection.post(f"/api/jobs/{leases[0].decode()}/complete", b"{}")
            else:
                reports = b",".join(b'{"lease_id":"%s","outcome":"success"}' % lease for lease in leases)
                await connection.post("/api/jobs/report-many", b'{"reports":[%s],"strict":true}' % reports)
            self.all_jobs += len(leases)
            if now >= self.begin:
                self.last = time.time()
                self.jobs += len(leases)
                self.milliseconds.append((self.last - now) * 1000)


async def wait_for_work(port: int, count: int) -> list[float]:
    """From the start of a run to the claim that waited for it, in milliseconds."""
    claimer, starter = await Connection.open(port), await Connection.open(port)
    waited: list[float] = []
    while len(waited) < count:
        claim = b'{"worker_id":"waiting","labels":[],"lease_ttl_secs":3600,"wait_secs":20}'
        claimed = claimer.post("/api/jobs/claim", claim)
        await asyncio.sleep(PAUSE_SECS)
        begin = time.perf_counter()
        started = starter.post("/api/workflows/alone/runs", b"{}")
        leases = LEASES.findall(await claimed)
        waited.append((time.perf_counter() - begin) * 1000)
        await started
        await claimer.post(f"/api/jobs/{leases[0].decode()}/complete", b"{}")
    return waited


async def main(port: int, connections: int, size: int, warm: float, seconds: float, count: int) -> object:
    if size == 0:
        return {"milliseconds": await wait_for_work(port, count)}
    begin = time.time() + warm
    load = Load(size, begin, begin + seconds if seconds else float("inf"), count)
    opened = [await Connection.open(port) for _ in range(connections)]
    await asyncio.gather(*(load.work(each, f"w{n}") for n, each in enumerate(opened)))
    times = sorted(load.milliseconds)
    middle, late = percentile(times, 0.5), percentile(times, 0.99)
    return {"jobs": load.jobs, "seconds": load.last - begin, "p50": middle, "p99": late}


if __name__ == "__main__":
    given = sys.argv[1:]
    numbers = (*map(int, given[:3]), *map(float, given[3:5]), int(given[5]))
    print(json.dumps(uvloop.run(main(*numbers))))  # type: ignore[arg-type]
