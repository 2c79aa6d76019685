"""`wfg doctor` and `wfg prune`: what operators look after, over a server or straight on the database."""

import asyncio
import json
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Literal, TypeAlias

import click
from pydantic import TypeAdapter
from rich.text import Text

from . import migrate
from .client import Client, path_of, server_option, token_of_environment
from .client_output import console_of, shown
from .db import Database, Value
from .options import Duration, database_option, json_option, print_answer
from .refusals import plain_errors
from .transport import Wire, read_answer
from .upkeep import FOR_EVER_SECS, NOTHING, PRUNED, Retention
from .worker_command import is_over_sql

Ask: TypeAlias = Callable[..., str]

LOOKS = {"error": "bold red", "warning": "yellow", "info": "dim"}
PRUNE_AFTER_SECS = 30 * 86400
ROUTES = {
    "wfg_doctor": ("GET", "doctor"),
    "wfg_prune": ("POST", "prune"),
    "wfg_list_cron": ("GET", "cron"),
    "wfg_schedule_cron": ("PUT", "cron"),
    "wfg_unschedule_cron": ("DELETE", "cron"),
}
MOST = 100_000  # of p_limit: what a dry run looks at


class Finding(Wire):
    check: str
    severity: Literal["error", "warning", "info"]
    message: str
    fix: str


class Diagnosis(Wire):
    """wfg_doctor."""

    status: Literal["ok", "warning", "error"]
    findings: list[Finding]


DIAGNOSIS = TypeAdapter(Diagnosis)


@contextmanager
def asking(context: click.Context, server: str, database_url: str | None) -> Generator[Ask]:
    """ask(function, **params): its answer, by the way that options and environment name."""
    with plain_errors():
        if is_over_sql(context) and database_url:
            with asyncio.Runner() as runner:
                database = Database(database_url, max_connections=1)

                def call(function: str, /, **params: Value) -> str:
                    return runner.run(database.call(function, **params))

                try:
                    yield call
                finally:
                    runner.run(database.close())
            return

        with Client(server, token_of_environment()) as client:

            def ask(function: str, /, **params: Value) -> str:
                method, path = ROUTES[function]
                if method == "GET":
                    return client.call(method, path_of(path))
                body = {name.removeprefix("p_"): value for name, value in params.items()}
                return client.call(method, path_of(path), json=body or None)

            yield ask


@click.command()
@json_option
@server_option
@database_option
@click.pass_context
def doctor(context: click.Context, as_json: bool, server: str, database_url: str | None) -> None:
    """Say what is wrong with the database, and what helps.

    It asks a server, or the database itself: an option wins over the environment, and there SERVER_URL over
    DATABASE_URL. Exit code 1 when there is an error; warnings are none.
    """
    with asking(context, server, database_url) as ask:
        answer = ask("wfg_doctor", p_revision=migrate.head())
    found = read_answer(DIAGNOSIS, answer)
    if as_json:
        print_answer(answer)
    else:
        print_findings(found.findings)
    if found.status == "error":
        raise click.exceptions.Exit(1)


def print_findings(findings: list[Finding]) -> None:
    """For people with colours and the fix below; for programs a line each, with tabs."""
    console = console_of()
    if not console.is_terminal:
        for each in findings:
            cells = (each.severity, each.check, each.message, each.fix)
            console.file.write("\t".join(map(shown, cells)) + "\n")
        return
    for each in findings:
        severity = (f"{each.severity:8}", LOOKS[each.severity])
        console.print(
            Text.assemble(severity, (f"{each.check}: ", "bold"), shown(each.message)), soft_wrap=True
        )
        if each.fix:
            console.print(Text(f"        {shown(each.fix)}", "cyan"), soft_wrap=True)
    if all(each.severity == "info" for each in findings):
        console.print(Text("All is well.", "green"))


@click.command()
@click.option(
    "--older-than",
    type=Duration(zero=True),
    metavar="30d",
    help="Runs that ended so many s, m, h or d ago. Default: 30d; none with --logs-older-than alone.",
)
@click.option(
    "--keep",
    type=click.IntRange(0, 1_000_000),
    default=0,
    show_default=True,
    help="But not the newest so many ended runs of each workflow.",
)
@click.option(
    "--logs-older-than",
    type=Duration(zero=True),
    metavar="7d",
    help="Logs of runs that ended so long ago, though the runs stay. Default: they stay with their run.",
)
@click.option("--dry-run", is_flag=True, help="Say what would go, and delete nothing.")
@json_option
@server_option
@database_option
@click.pass_context
def prune(
    context: click.Context,
    older_than: timedelta | None,
    keep: int,
    logs_older_than: timedelta | None,
    dry_run: bool,
    as_json: bool,
    server: str,
    database_url: str | None,
) -> None:
    """Delete runs that are long over, with all that hangs on them.

    It goes in small steps, until all of it is gone. Versions that no run uses, workflows that were deleted,
    and workers not heard of go with them, a day after it at the earliest. Who is asked: as for doctor.
    """
    if older_than is not None:
        older_than_secs = seconds(older_than)
    else:
        older_than_secs = PRUNE_AFTER_SECS if logs_older_than is None else FOR_EVER_SECS
    retention = Retention(
        older_than_secs=older_than_secs,
        keep_per_workflow=keep,
        logs_older_than_secs=None if logs_older_than is None else seconds(logs_older_than),
    )
    total = NOTHING
    with asking(context, server, database_url) as ask:
        if dry_run:
            total = read_answer(PRUNED, ask("wfg_prune", **retention.params, p_limit=MOST, p_dry_run=True))
        else:
            more = True
            while more:
                step = read_answer(PRUNED, ask("wfg_prune", **retention.params))
                total, more = total + step, step.more
                if more and sys.stderr.isatty():
                    click.echo(f"{total.runs} runs, {total.log_chunks} pieces of logs …", err=True)

    if as_json:
        click.echo(json.dumps(total.model_dump()))
        return
    what = ", ".join(f"{count} {name}" for name, count in total.counts.items() if count) or "nothing"
    verb = "would delete" if dry_run else "deleted"
    click.echo(f"{verb}: {what}{', or more' if dry_run and total.more else ''}")


def seconds(duration: timedelta) -> int:
    return int(duration.total_seconds())
