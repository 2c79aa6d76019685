"""What many tests arrange alike: graphs, doors, ids that mean nothing, and bad input."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from string import ascii_letters
from typing import Any
from uuid import UUID

import psycopg

from tests.engine import Engine, lease_id

START = datetime(2030, 1, 1, tzinfo=UTC)

# The form of a run id, and no run.
NO_RUN = "01943a5c-0000-7000-8000-000000000000"

# Ids that are no workflow's and no run's.
NO_IDS: dict[str, str | None] = {
    "null": None,
    "empty": "",
    "unknown": "nobody",
    "a run that is not there": NO_RUN,
    "a run in upper case": NO_RUN.upper(),
    "a uuid of version 4": "6f1c1d6e-3b0e-4f0a-9d2c-0f1e2d3c4b5a",
    "a pattern": "%",
    "SQL": "'; drop table wfg.jobs; --",
    "a path": "../../etc/passwd",
    "more than a line": "wf\n",
    "an emoji": "\U0001f600",
    "a megabyte": "w" * 1_000_000,
}

# JSON that is no object, as sent.
NO_OBJECTS = ["[]", '"text"', "1", "true", "null", "[{}]"]

DOORS = ("run", "workflow")

# Of each type.
INPUTS = {
    "who": {"type": "string", "required": True},
    "count": {"type": "number", "default": 3},
    "dry": {"type": "boolean"},
    "env": {"type": "choice", "options": ["dev", "prod"], "default": "dev"},
}

# What pg_cron has, as far as it is looked at, where it is not installed. The real one: test_cron.py.
CRON = """
create schema cron;
create table cron.job (
  jobid bigint, schedule text, command text, database text, username text, active boolean, jobname text
);
create table cron.job_run_details (
  jobid bigint, runid bigint, status text, return_message text, start_time timestamptz
);
create function cron.schedule(job_name text, schedule text, command text) returns bigint
  return 1;
create function cron.unschedule(job_id bigint) returns boolean
  return true;
"""


def ms(at: datetime) -> int:
    """Epoch milliseconds, as on the wire."""
    return int(at.timestamp() * 1000)


def after(seconds: float) -> datetime:
    """So long after START."""
    return START + timedelta(seconds=seconds)


def only(*names: str, **keys: Any) -> dict[str, dict[str, Any]]:
    """Jobs without dependencies."""
    return {name: {"run": "true", **keys} for name in names}


def chain(length: int, **keys: Any) -> dict[str, dict[str, Any]]:
    """j1 <- j2 <- …"""
    return {
        f"j{n}": {"run": "true", **({"needs": [f"j{n - 1}"]} if n > 1 else {}), **keys}
        for n in range(1, length + 1)
    }


def diamond(width: int, **keys: Any) -> dict[str, dict[str, Any]]:
    """1-width-1: top, m1 and so on, bottom."""
    middle = {f"m{n}": {"run": "true", "needs": ["top"], **keys} for n in range(1, width + 1)}
    return {**only("top", **keys), **middle, "bottom": {"run": "true", "needs": list(middle), **keys}}


def fan(width: int, **keys: Any) -> dict[str, dict[str, Any]]:
    """root <- leaf1, leaf2, …"""
    leaves = {f"leaf{n}": {"run": "true", "needs": ["root"], **keys} for n in range(1, width + 1)}
    return {"root": {"run": "true", **keys}, **leaves}


def join(width: int, **keys: Any) -> dict[str, dict[str, Any]]:
    """p1, p2, … <- sink"""
    parents = only(*(f"p{n}" for n in range(1, width + 1)), **keys)
    return {**parents, "sink": {"run": "true", "needs": list(parents), **keys}}


def incompressible(count: int, length: int) -> list[str]:
    """So many distinct labels of so many characters, which Postgres cannot compress."""
    chance = random.Random(1)
    return ["".join(chance.choices(ascii_letters, k=length)) for _ in range(count)]


def run_workflow(engine: Engine, workflow_id: str = "wf", **params: Any) -> str:
    """Run at the workflow door; the run's id."""
    return engine.call("wfg_run_workflow", p_workflow_id=workflow_id, **params)["run_id"]


def run_by(engine: Engine, door: str, workflow_id: str = "wf") -> str:
    """Run by either door; the run's id."""
    return engine.start(workflow_id) if door == "run" else run_workflow(engine, workflow_id)


def cancel(engine: Engine, any_id: str) -> dict[str, Any]:
    return engine.call("wfg_cancel_run", p_run_id=any_id)


def resume_all(engine: Engine) -> None:
    """End every pause."""
    for pause in engine.call("wfg_list_pauses", p_limit=1000)["items"]:
        match pause["kind"]:
            case "workflow":
                engine.call("wfg_resume_workflow", p_workflow_id=pause["workflow_id"])
            case "labels":
                engine.call("wfg_resume_labels", p_labels=pause["labels"])
            case _:
                engine.call("wfg_thaw")


def drain(engine: Engine, **claim: Any) -> list[str]:
    """Claim and complete until there is nothing; the ids of the jobs, in that order."""
    done = []
    while claims := engine.claim_many(1000, **claim):
        reports = [{"lease_id": lease_id(c), "outcome": "success"} for c in claims]
        answers = engine.call("wfg_report_jobs", p_reports=reports)
        assert all(answer["ok"] for answer in answers), answers
        done += [c["job"]["job_id"] for c in claims]
    return done


def chunk(
    claim: Mapping[str, Any], number: int = 0, text: str = "line\n", /, **changes: Any
) -> dict[str, Any]:
    """A log chunk of a claim, as a worker sends it."""
    return {
        "workflow_id": claim["lease"]["workflow_id"],
        "job_id": claim["lease"]["job_id"],
        "sequence": number,
        "data": text,
        "timestamp_ms": 1893456000000,
        "stream": "stdout",
        **changes,
    }


def append(engine: Engine, claim: Mapping[str, Any], *chunks: dict[str, Any]) -> dict[str, Any]:
    """Append chunks under the lease of a claim."""
    return engine.call("wfg_append_logs", p_lease_id=lease_id(claim), p_chunks=list(chunks))


def no_leases(lease: str) -> dict[str, str | None]:
    """What is not a lease id, beside one that is: each must be answered lease_not_held, and nothing else."""
    run, job, nonce = lease.split(".")
    other = "0" * 8 + nonce[8:]
    return {
        "null": None,
        "empty": "",
        "blank": " ",
        "a word": "nonsense",
        "the word null": "null",
        "dots": "..",
        "a uuid": nonce,
        "no nonce": f"{run}.{job}.",
        "no job": f"{run}..{nonce}",
        "no run": f".{job}.{nonce}",
        "too many parts": f"{lease}.{nonce}",
        "another nonce": f"{run}.{job}.{other}",
        "another job": f"{run}.99.{nonce}",
        "another run": f"{NO_RUN.replace('-', '')}.{job}.{nonce}",
        "parts in another order": f"{nonce}.{job}.{run}",
        "job 0": f"{run}.0.{nonce}",
        "job -1": f"{run}.-1.{nonce}",
        "job 1.0": f"{run}.1.0.{nonce}",
        "job 01": f"{run}.01.{nonce}",
        "job +1": f"{run}.+1.{nonce}",
        "job 0x1": f"{run}.0x1.{nonce}",
        "job in Arabic digits": f"{run}.\u0661.{nonce}",
        "job in full-width digits": f"{run}.\uff11.{nonce}",
        "a job beyond int": f"{run}.2147483648.{nonce}",
        "a job beyond bigint": f"{run}.{'9' * 40}.{nonce}",
        "cut short": lease[:-1],
        "one longer": lease + "0",
        "a newline after": lease + "\n",
        "a space before": " " + lease,
        "a letter that is no hex digit": lease[:-1] + "g",
        "in upper case": lease.upper(),
        "in braces": f"{{{run}}}.{job}.{{{nonce}}}",
        "with dashes": f"{UUID(run)}.{job}.{UUID(nonce)}",
        "dashes for dots": lease.replace(".", "-"),
        "twice": f"{lease},{lease}",
        "as JSON": f'{{"lease_id":"{lease}"}}',
        "SQL": "'; drop table wfg.queue; --",
        "a pattern": "%",
        "a format": "%s %1$s",
        "a path": "../../etc/passwd",
        "an emoji": "\U0001f600",
        "right to left": "\u202e" + lease,
        "a byte order mark": "\ufeff" + lease,
        "a megabyte": "a" * 1_000_000,
        "a megabyte of digits": f"{run}.{'1' * 1_000_000}.{nonce}",
    }


def sqlstate_of(engine: Engine, function: str, /, **params: Any) -> str | None:
    """The SQLSTATE that a call fails with; null if it does not."""
    try:
        engine.call(function, **params)
    except psycopg.Error as error:
        return error.sqlstate
    return None


# What Postgres itself says of an argument that it cannot cast; the doors make it 422 invalid_request.
CANNOT_CAST = {"22P02", "22003", "22023", "22P05", "22007", "22008"}


@contextmanager
def engine_on(dsn: str) -> Iterator[Engine]:
    """An engine for the block. Nothing may be broken when it ends."""
    engine = Engine(dsn)
    try:
        yield engine
        engine.check()
    finally:
        engine.close()


@contextmanager
def starting_nothing(dsn: str) -> Iterator[Engine]:
    """Such an engine with a workflow that takes INPUTS, and a plain one; no run may have started."""
    with engine_on(dsn) as engine:
        engine.put(jobs=only("a"), inputs=INPUTS)
        engine.put("plain", jobs=only("a"))
        yield engine
        assert engine.call("wfg_list_runs")["items"] == []
