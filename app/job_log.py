"""The output of one attempt on its way to the engine: numbered, in batches, one batch at a time, in order.

Trouble with the log never fails a job, and never holds it up for ever: what cannot be sent is dropped, and a
line says so.
"""

import asyncio
import json
import logging
import re
import time
from collections import deque
from dataclasses import dataclass

from .errors import EngineError, LeaseNotHeld, Unavailable
from .lease import HeldLease, StopReason
from .lines import MAX_LINE_CHARS, clean, pieces_of
from .process import Stream
from .transport import LogChunk, Transport

log = logging.getLogger("wfg.worker")

FLUSH_SECS = 0.3
BATCH_CHUNKS = 1000
BATCH_BYTES = 900_000  # of JSON; the doors take 1 MiB
# A line is a chunk; but when so many wait already, lines that follow each other share chunks.
MANY_CHUNKS = 200
# Of what waits to be sent. Above the first, reading pauses for a while; above the second, lines are dropped.
CROWDED_BYTES = 2 * 1024 * 1024
FULL_BYTES = 8 * 1024 * 1024
PATIENCE_SECS = 5.0

NEWLINE = re.compile("(?<=\n)")


@dataclass(slots=True)
class _Piece:
    """A chunk that waits. bytes: of its JSON, about."""

    sequence: int
    stream: Stream
    timestamp_ms: int
    lines: list[str]
    chars: int
    bytes: int


class JobLog:
    """write() from the event loop; close() before the report."""

    def __init__(self, lease: HeldLease, transport: Transport, *, flush_secs: float = FLUSH_SECS) -> None:
        self._lease = lease
        self._transport = transport
        self._flush_secs = flush_secs
        self._waiting: deque[_Piece] = deque()
        self._under_way = 0  # of them, in the batch that is being sent
        self._bytes = 0
        self._sequence = 0
        self._overhead = len(self._chunk(_Piece(10**6, "stdout", 10**12, [], 0, 0)).model_dump_json())
        self._dropped = 0
        self._over = False  # nobody wants more of it
        self._impatient = False  # the last wait for room was in vain
        self._written = asyncio.Event()
        self._closing = asyncio.Event()
        self._hurry = asyncio.Event()  # send now, let nothing gather
        self._room = asyncio.Event()
        self._sender = asyncio.create_task(self._send())

    def write(self, stream: Stream, text: str) -> None:
        """Log a text, line by line."""
        for line in NEWLINE.split(clean(text)):
            for piece in pieces_of(line):
                self._add(stream, piece)

    def say(self, text: str) -> None:
        """Log a remark of the worker itself."""
        self.write("stderr", f"[wfg] {text}\n")

    async def room(self) -> None:
        """Wait while too much waits to be sent, for PATIENCE_SECS, and not again until something was sent."""
        if self._bytes < CROWDED_BYTES or self._over or self._impatient:
            return
        self._room.clear()
        try:
            async with asyncio.timeout(PATIENCE_SECS):
                await self._room.wait()
        except TimeoutError:
            self._impatient = True

    async def close(self, timeout_secs: float) -> None:
        """Send what is left, as far as that is possible in time."""
        self._admit_drops()
        self._closing.set()
        self._hurry.set()
        self._written.set()
        await asyncio.wait([self._sender], timeout=timeout_secs)
        self.abandon()
        await asyncio.gather(self._sender, return_exceptions=True)

    async def flush(self) -> None:
        """Send what is there, at once. It waits for PATIENCE_SECS at most."""
        self._hurry.set()
        try:
            async with asyncio.timeout(PATIENCE_SECS):
                while self._waiting and not self._over:
                    self._room.clear()
                    await self._room.wait()
        except TimeoutError:
            pass
        if not self._closing.is_set():
            self._hurry.clear()

    def abandon(self) -> None:
        """Send nothing more."""
        self._sender.cancel()

    def _add(self, stream: Stream, data: str) -> None:
        if self._over:
            return
        if self._bytes > FULL_BYTES:
            self._dropped += 1
            return
        self._admit_drops()
        self._append(stream, data)

    def _admit_drops(self) -> None:
        if self._dropped:
            text = f"[wfg] {self._dropped} lines are missing here: the log could not be sent in time\n"
            self._dropped = 0
            self._append("stderr", text)

    def _append(self, stream: Stream, data: str) -> None:
        size = len(json.dumps(data, ensure_ascii=False).encode())
        last = self._waiting[-1] if len(self._waiting) > self._under_way + MANY_CHUNKS else None
        if last and last.stream == stream and last.chars + len(data) <= MAX_LINE_CHARS:
            last.lines.append(data)
            last.chars += len(data)
            last.bytes += size
        else:
            size += self._overhead
            now_ms = int(time.time() * 1000)
            self._waiting.append(_Piece(self._sequence, stream, now_ms, [data], len(data), size))
            self._sequence += 1
        self._bytes += size
        self._written.set()

    def _chunk(self, piece: _Piece) -> LogChunk:
        job = self._lease.claim.job
        return LogChunk(
            workflow_id=job.workflow_id,
            job_id=job.job_id,
            sequence=piece.sequence,
            data="".join(piece.lines),
            timestamp_ms=piece.timestamp_ms,
            stream=piece.stream,
        )

    async def _send(self) -> None:
        while not self._over:
            await self._written.wait()
            await self._pause(self._flush_secs)
            self._written.clear()
            while self._waiting and not self._over:
                await self._send_batch(self._batch())
            if self._closing.is_set() and not self._waiting:
                return

    def _batch(self) -> list[LogChunk]:
        """The next chunks that fit into one request. They stay in the queue until they were sent."""
        batch: list[LogChunk] = []
        size = 0
        for piece in self._waiting:
            size += piece.bytes
            if batch and (size > BATCH_BYTES or len(batch) >= BATCH_CHUNKS):
                break
            batch.append(self._chunk(piece))
        self._under_way = len(batch)
        return batch

    async def _send_batch(self, batch: list[LogChunk]) -> None:
        pause = 0.2
        while True:
            try:
                answer = await self._transport.append_logs(self._lease.claim.lease.lease_id, batch)
            except Unavailable as error:
                log.debug("%s: log not sent: %s", self._lease.claim.job.job_id, error)
                await asyncio.sleep(max(pause, min(error.retry_after_secs, 5.0)))
                pause = min(pause * 2, 5.0)
                continue
            except LeaseNotHeld:
                self._lease.stop(StopReason.LOST)
                return self._give_up()
            except EngineError as error:
                log.error("%s: %d log chunks refused: %s", self._lease.claim.job.job_id, len(batch), error)
            else:
                if answer.truncated:
                    return self._give_up()
            return self._sent(len(batch))

    def _sent(self, count: int) -> None:
        for _ in range(count):
            self._bytes -= self._waiting.popleft().bytes
        self._under_way = 0
        self._impatient = False
        if self._bytes < CROWDED_BYTES:
            self._room.set()

    def _give_up(self) -> None:
        self._over = True
        self._waiting.clear()
        self._under_way = self._bytes = 0
        self._room.set()

    async def _pause(self, secs: float) -> None:
        """Let lines gather for a while, unless the end has come."""
        try:
            async with asyncio.timeout(secs):
                await self._hurry.wait()
        except TimeoutError:
            pass
