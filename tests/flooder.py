"""A client in a process of its own, that asks again as soon as it is answered, whatever the answer.

    python -m tests.flooder PORT TOKEN CONNECTIONS SECONDS PAUSE

Each connection asks for runs, and pauses. Printed as a JSON object: how many answers of each status, the
longest retry-after, the milliseconds of each request that was not refused, and how long all took.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import uvloop

ROOT = Path(__file__).parents[1]


def start(port: int, token: str, connections: int, secs: float, pause: float = 0) -> subprocess.Popen[str]:
    """result() waits for it."""
    arguments = map(str, (port, token, connections, secs, pause))
    command = [sys.executable, "-m", "tests.flooder", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def result(process: "subprocess.Popen[str]") -> dict[str, Any]:
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return json.loads(printed)


class Connection(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.received = b""

    def ask(self, token: str) -> asyncio.Future[tuple[int, int]]:
        self.answer: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()
        head = f"GET /api/runs?limit=1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n"
        self.transport.write(head.encode())
        return self.answer

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head)
        if end and length and len(body) >= int(length[1]):
            after = re.search(rb"retry-after: *(\d+)", head)
            self.received = b""
            self.answer.set_result((int(head[9:12]), int(after[1]) if after else 0))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc or ConnectionError("closed"))


async def main(port: int, token: str, connections: int, secs: float, pause: float) -> object:
    statuses: Counter[int] = Counter()
    milliseconds: list[float] = []
    longest = 0
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    until = began + secs

    async def work() -> None:
        nonlocal longest
        _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
        while (begin := time.perf_counter()) < until:
            status, retry_after = await connection.ask(token)
            statuses[status] += 1
            longest = max(longest, retry_after)
            if status != 429:
                milliseconds.append((time.perf_counter() - begin) * 1000)
            await asyncio.sleep(pause)
        connection.transport.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    took = time.perf_counter() - began
    return {"statuses": statuses, "retry_after": longest, "ms": milliseconds, "secs": took}


if __name__ == "__main__":
    given = sys.argv[1:]
    figures = main(int(given[0]), given[1], int(given[2]), float(given[3]), float(given[4]))
    print(json.dumps(uvloop.run(figures)))  # type: ignore[arg-type]
