"""`wfg cron`: pg_cron does the upkeep. Over a server or straight on the database."""

from datetime import timedelta

import click
from pydantic import TypeAdapter

from .client import server_option
from .client_output import console_of, instant, print_table, shown
from .options import Duration, database_option, json_option, print_answer
from .transport import Wire, read_answer
from .upkeep import FOR_EVER_SECS
from .upkeep_commands import asking, seconds


class CronJob(Wire):
    name: str
    schedule: str
    command: str
    active: bool
    last_run_at_ms: int | None
    last_status: str | None
    last_message: str | None


class CronJobs(Wire):
    items: list[CronJob]


class Unscheduled(Wire):
    unscheduled: list[str]


JOBS = TypeAdapter(CronJobs)
UNSCHEDULED = TypeAdapter(Unscheduled)


@click.group()
def cron() -> None:
    """Let pg_cron do the upkeep: no process of ours need run.

    Who is asked: as for doctor.
    """


@cron.command()
@click.option(
    "--older-than",
    type=Duration(zero=True),
    default="30d",
    show_default=True,
    metavar="30d",
    help="Delete, each night, runs that ended so many s, m, h or d ago.",
)
@click.option("--keep-all", is_flag=True, help="Delete no runs.")
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
@json_option
@server_option
@database_option
@click.pass_context
def schedule(
    context: click.Context,
    older_than: timedelta,
    keep_all: bool,
    keep: int,
    logs_older_than: timedelta | None,
    as_json: bool,
    server: str,
    database_url: str | None,
) -> None:
    """End what is over every 10 seconds (every minute before pg_cron 1.5), and prune in the night.

    It replaces what was scheduled before.
    """
    with asking(context, server, database_url) as ask:
        answer = ask(
            "wfg_schedule_cron",
            p_older_than_secs=FOR_EVER_SECS if keep_all else seconds(older_than),
            p_keep_per_workflow=keep,
            p_logs_older_than_secs=None if logs_older_than is None else seconds(logs_older_than),
        )
    print_jobs(answer, as_json=as_json)


@cron.command()
@json_option
@server_option
@database_option
@click.pass_context
def unschedule(context: click.Context, as_json: bool, server: str, database_url: str | None) -> None:
    """Take it back."""
    with asking(context, server, database_url) as ask:
        answer = ask("wfg_unschedule_cron")
    if as_json:
        print_answer(answer)
        return
    names = read_answer(UNSCHEDULED, answer).unscheduled
    click.echo(f"unscheduled: {', '.join(map(shown, names)) or 'nothing'}")


@cron.command()
@json_option
@server_option
@database_option
@click.pass_context
def show(context: click.Context, as_json: bool, server: str, database_url: str | None) -> None:
    """Show what is scheduled, and how it last ran."""
    with asking(context, server, database_url) as ask:
        answer = ask("wfg_list_cron")
    print_jobs(answer, as_json=as_json)


def print_jobs(answer: str, *, as_json: bool) -> None:
    if as_json:
        print_answer(answer)
        return
    jobs = read_answer(JOBS, answer).items
    if not jobs:
        click.echo("pg_cron runs nothing for this database: wfg cron schedule", err=True)
        return
    console = console_of()
    rows = [
        (
            shown(job.name),
            shown(job.schedule) if job.active else "switched off",
            instant(job.last_run_at_ms, console),
            shown(job.last_status),
            shown(job.last_message),
            shown(job.command),
        )
        for job in jobs
    ]
    columns = ("NAME", "SCHEDULE", "LAST RUN", "STATUS", "MESSAGE", "COMMAND")
    print_table(console, columns, rows, free=("MESSAGE", "COMMAND"))
