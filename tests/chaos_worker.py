"""A worker of few lines, in a process of its own, that notes what it was told and dies where it is told to.

    python -m tests.chaos_worker sql DSN NAME LEDGER [POINT]
    python -m tests.chaos_worker http URL NAME LEDGER [POINT]

Over SQL it writes the effect of a job in the transaction that completes the job. LEDGER gets a line for each
answer: `accepted` or `fenced`, run, job, attempt. A step is `sent` once the server has it and no answer was
read, and `done` once the answer was.
"""

import http.client
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import psycopg

TTL = 3
STEPS = {
    "sql": ("claim", "renew", "log", "begin", "effect", "report", "commit"),
    "http": ("claim", "renew", "log", "report"),
}
POINTS = {
    door: [f"{step} {when}" for step in steps for when in ("sent", "done")] for door, steps in STEPS.items()
}
PATIENCE_SECS = 10  # of one attempt to do something, connecting included
FENCED = ("lease_not_held", "lease_cancelled")


class Refused(Exception):
    """409; the text is the slug."""


class OutOfReach(Exception):
    """No answer, or one that says: try again."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Door:
    """Calls, one after another. point: where to die."""

    def __init__(self, where: str, point: str) -> None:
        self.where, self.point = where, point

    def after(self, step: str) -> None:
        if self.point == f"{step} done":
            die()


class Sql(Door):
    connection: psycopg.Connection | None = None

    def call(self, step: str, text: str, **params: Any) -> Any:
        """Dies here, if this is the point."""
        try:
            if self.connection is None:
                self.connection = psycopg.connect(self.where, autocommit=True, connect_timeout=5)
            if self.point == f"{step} sent":
                # As it is sent for us, but for the reading of the answer.
                literal = psycopg.ClientCursor(self.connection).mogrify(text.encode(), params)
                pgconn = self.connection.pgconn
                pgconn.send_query(literal.encode())
                while pgconn.flush():
                    pass
                die()
            cursor = self.connection.execute(text.encode(), params)
            row = cursor.fetchone() if cursor.description else None
        except OutOfReach:
            self.forget(hang_up=True)
            raise
        except psycopg.Error as error:
            state = error.sqlstate or ""
            if state.startswith("PT"):
                self.forget(hang_up=False)
                raise Refused(error.diag.message_primary) from None
            self.forget(hang_up=True)
            raise OutOfReach(f"{state} {error}") from None
        self.after(step)
        return row and row[0]

    def forget(self, *, hang_up: bool) -> None:
        """Whatever was begun is not to be."""
        if self.connection is None:
            return
        if not hang_up:
            try:
                self.connection.execute("rollback")
            except psycopg.Error:
                hang_up = True
        if hang_up:
            self.connection.close()
            self.connection = None

    def claim(self, worker: str) -> Any:
        return self.call("claim", f"select public.wfg_claim_job(%(w)s, '[]', {TTL}::integer)", w=worker)

    def renew(self, lease: str) -> None:
        self.call("renew", "select public.wfg_renew_lease(%(l)s)", l=lease)

    def log(self, lease: str, chunk: dict[str, Any]) -> None:
        text = "select public.wfg_append_logs(%(l)s, %(c)s::jsonb)"
        self.call("log", text, l=lease, c=json.dumps([chunk]))

    def report(self, lease: str) -> None:
        self.call("begin", "begin")
        self.call("effect", "insert into chaos.effects (lease_id) values (%(l)s)", l=lease)
        self.call("report", "select public.wfg_complete_job(%(l)s)", l=lease)
        self.call("commit", "commit")


class Http(Door):
    def call(self, step: str, path: str, body: Any) -> Any:
        """Dies here, if this is the point."""
        parts = urlsplit(self.where)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=PATIENCE_SECS)
        try:
            connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
            if self.point == f"{step} sent":
                die()
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise OutOfReach(str(error)) from None
        finally:
            connection.close()
        if response.status == 409:
            raise Refused(json.loads(text)["message"])
        if response.status not in (200, 201, 202):
            raise OutOfReach(text)
        self.after(step)
        return json.loads(text)

    def claim(self, worker: str) -> Any:
        return self.call(
            "claim", "/api/jobs/claim", {"worker_id": worker, "labels": [], "lease_ttl_secs": TTL}
        )

    def renew(self, lease: str) -> None:
        self.call("renew", f"/api/jobs/{lease}/heartbeat", {})

    def log(self, lease: str, chunk: dict[str, Any]) -> None:
        self.call("log", f"/api/jobs/{lease}/logs", {"chunks": [chunk]})

    def report(self, lease: str) -> None:
        self.call("report", f"/api/jobs/{lease}/complete", {})


def insist(what: Callable[[], Any], until: float) -> Any:
    """Again and again until it is answered. An OutOfReach when time is up."""
    while True:
        signal.alarm(PATIENCE_SECS)
        try:
            return what()
        except OutOfReach:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        finally:
            signal.alarm(0)


def work(door: Sql | Http, name: str, ledger: int) -> None:
    while True:
        claim = insist(lambda: door.claim(name), float("inf"))
        if claim is None:
            time.sleep(0.05)
            continue
        job, lease = claim["job"], claim["lease"]["lease_id"]
        chunk = {
            "workflow_id": claim["lease"]["workflow_id"],
            "job_id": claim["lease"]["job_id"],
            "sequence": 0,
            "data": "at work\n",
            "timestamp_ms": int(time.time() * 1000),
            "stream": "stdout",
        }
        until = time.monotonic() + 2 * TTL
        try:
            insist(lambda: door.renew(lease), until)  # noqa: B023
            insist(lambda: door.log(lease, chunk), until)  # noqa: B023
            insist(lambda: door.report(lease), until)  # noqa: B023
            answer = "accepted"
        except Refused as error:
            # What was reported before its answer got lost is accepted.
            answer = {**dict.fromkeys(FENCED, "fenced"), "already_reported": "accepted"}[str(error)]
        except OutOfReach:
            continue
        line = [answer, job["run_id"], job["job_id"], str(job["attempt"])]
        os.write(ledger, (" ".join(line) + "\n").encode())


def give_up(*_: object) -> None:
    raise OutOfReach("no answer")


if __name__ == "__main__":
    kind, where, name, path, *rest = sys.argv[1:]
    point = rest[0] if rest else ""
    assert not point or point in POINTS[kind], point
    signal.signal(signal.SIGALRM, give_up)
    door = {"sql": Sql, "http": Http}[kind](where, point)
    work(door, name, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
