"""The worker of nightly-etl.yml: a job's rows and its end are one transaction.

DATABASE_URL=… wfg worker --module nightly_etl:worker
"""

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from wfg.worker import Job, PermanentError, Worker

COLUMNS = ("order_id", "day", "product", "amount")

worker = Worker(slots=2)


@dataclass
class Inputs:
    """Of a run. One that does not fit fails the job for good."""

    day: date
    folder: Path


@contextmanager
def exactly_once(job: Job[Any]) -> Iterator[tuple[psycopg.Connection, dict[str, str]]]:
    """A transaction that ends with the job's completion: both are committed, or neither.

    A worker that lost its lease, or whose job was cancelled, gets an error from wfg_complete_job, and its
    rows are rolled back. What the worker reports after this is a repeat, which the engine knows and ignores.
    """
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        outputs: dict[str, str] = {}
        yield connection, outputs
        job.flush_log()  # nobody takes its lines once the job has ended
        connection.execute("select public.wfg_complete_job(%s, %s)", (job.lease_id, Jsonb(outputs)))


@worker.handler("etl-extract")
def extract(job: Job[Inputs]) -> None:
    """While there is no file it fails, and is tried again; a file that cannot be read fails it for good."""
    day = job.inputs.day
    path = job.inputs.folder / f"{day}.csv"
    try:
        with path.open(newline="") as file, exactly_once(job) as (connection, outputs):
            connection.execute("delete from staged_orders where file_day = %s", (day,))
            cursor = connection.cursor()
            with cursor.copy(
                "copy staged_orders (file_day, order_id, day, product, amount) from stdin"
            ) as copy:
                for row in csv.DictReader(file):
                    copy.write_row((day, *(row[column] for column in COLUMNS)))
            outputs["rows"] = str(cursor.rowcount)
            job.log(f"{cursor.rowcount} rows from {path.name}")
    except (KeyError, UnicodeDecodeError, psycopg.DataError) as error:
        raise PermanentError(f"{path.name}: {error}") from None


@worker.handler("etl-check")
def check(job: Job[Inputs]) -> dict[str, str]:
    """It writes nothing, so it needs no transaction: what it returns are its outputs."""
    with psycopg.connect(os.environ["DATABASE_URL"], row_factory=dict_row) as connection:
        row = connection.execute(
            """
            select count(*) as rows,
                   count(*) - count(distinct s.order_id) as doubles,
                   count(o.order_id) as loaded_before,
                   count(*) filter (where s.day <> s.file_day) as of_other_days,
                   count(*) filter (where s.amount <= 0) as not_positive
              from staged_orders s left join orders o using (order_id)
             where s.file_day = %s
            """,
            (job.inputs.day,),
        ).fetchone()
    assert row is not None
    wrong = {name: count for name, count in row.items() if name != "rows" and count}
    if wrong or row["rows"] == 0:
        raise PermanentError(f"{row['rows']} rows, but {wrong or 'there must be some'}")
    return {"rows": str(row["rows"])}


@worker.handler("etl-load")
def load(job: Job[Inputs]) -> None:
    with exactly_once(job) as (connection, outputs):
        row = connection.execute(
            """
            with moved as (
              delete from staged_orders where file_day = %s returning order_id, day, product, amount
            ), loaded as (
              insert into orders select * from moved returning product, amount
            ), added as (
              insert into totals as t
              select product, count(*), sum(amount) from loaded group by product order by product
              on conflict (product) do update
                set orders = t.orders + excluded.orders, amount = t.amount + excluded.amount
            )
            select count(*), coalesce(sum(amount), 0) from loaded
            """,
            (job.inputs.day,),
        ).fetchone()
        assert row is not None
        outputs["orders"], outputs["amount"] = map(str, row)
        job.log(f"{row[0]} orders loaded")
