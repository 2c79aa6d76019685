"""Commands that find: runs, jobs, queue."""

import json
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TypeVar

import click
from pydantic import TypeAdapter
from rich.console import Console
from rich.text import Text

from .client import Client, path_of, server_option
from .client_answers import JOB_PAGE, QUEUE, RUN_PAGE, JobPage, KnownRun, Lane, ListedJob, RunPage
from .client_commands import run_id_of, seconds, talking_to
from .client_output import console_of, in_state, instant, print_table, shown
from .hints import hints_of, hints_of_jobs, hints_of_queue, labels_text
from .options import json_option, name_and_value, print_answer, span
from .run_screen import duration
from .transport import read_answer

PAGE = 1000
JOB_STATES = (
    "queued",
    "needs",
    "delayed",
    "held",
    "ready",
    "running",
    "success",
    "failure",
    "skipped",
    "cancelled",
)

Params = Mapping[str, str | int | bool | None]
Page = TypeVar("Page", RunPage, JobPage)

limit_option = click.option(
    "--limit", type=click.IntRange(1, PAGE), default=20, show_default=True, help="How many."
)
all_option = click.option("--all", "everything", is_flag=True, help="All there are.")


class Moment(click.ParamType[int]):
    """`2h`: so long ago; or ISO 8601, without an offset local time. As epoch milliseconds."""

    name = "time"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        ago = span(value)
        try:
            if ago is not None:
                return max(0, int((time.time() - ago.total_seconds()) * 1000))
            return max(0, int(datetime.fromisoformat(value).astimezone().timestamp() * 1000))
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time such as 2h or 2027-01-31T12:00", param, ctx)


def pages_of(
    client: Client,
    route: str,
    kind: TypeAdapter[Page],
    params: Params,
    limit: int | None,
) -> Iterator[tuple[str, Page]]:
    """Page by page, until there are so many items, or no more. A page may be short and not the last."""
    cursor: str | None = None
    left = limit
    while True:
        size = PAGE if left is None else left
        text = client.call("GET", path_of(route), params={**params, "limit": size, "cursor": cursor})
        page = read_answer(kind, text)
        yield text, page
        cursor = page.next_cursor
        if left is not None:
            left -= len(page.items)
        if cursor is None or left == 0:
            return


def tell(console: Console, hints: list[str], *, more: bool) -> None:
    """What goes below a table."""
    if more and console.is_terminal:
        console.print(Text("There are more: --limit, or --all.", style="dim"))
    for line in hints:
        click.echo(shown(line), err=True)


@click.command()
@click.option("--workflow", help="Of this workflow only.")
@click.option(
    "--state", type=click.Choice(["queued", "running", "success", "failure", "cancelled"]), help="In it only."
)
@click.option("--since", type=Moment(), metavar="TIME", help="Created 2h ago or later, or 2027-01-31T12:00.")
@click.option("--until", type=Moment(), metavar="TIME", help="Created before.")
@click.option("--input", "-i", "inputs", multiple=True, metavar="NAME=VALUE", help="With this input.")
@click.option("--label", help="With a job that requires this label.")
@click.option("--by", metavar="WHO", help="Started by.")
@click.option("--key", help="Of this idempotency key, of --workflow.")
@limit_option
@all_option
@json_option
@server_option
def runs(
    workflow: str | None,
    state: str | None,
    since: int | None,
    until: int | None,
    inputs: tuple[str, ...],
    label: str | None,
    by: str | None,
    key: str | None,
    limit: int,
    everything: bool,
    as_json: bool,
    server: str,
) -> None:
    """Find runs, newest first. With --json: a line for each page."""
    if key is not None and workflow is None:
        raise click.UsageError("--key: of which --workflow?")
    params = {
        "workflow_id": workflow,
        "state": state,
        "created_from_ms": since,
        "created_to_ms": until,
        "inputs": json.dumps(dict(map(name_and_value, inputs))) if inputs else None,
        "label": label,
        "started_by": by,
        "idempotency_key": key,
    }
    console = console_of()
    more = any_active = False
    hints: list[str] = []
    with talking_to(server) as client:
        found = pages_of(client, "runs", RUN_PAGE, params, None if everything else limit)
        for number, (text, page) in enumerate(found):
            if as_json:
                print_answer(text)
                continue
            rows = [run_row(run, console, client.now_ms()) for run in page.items]
            print_table(console, RUN_COLUMNS, rows, FREE_RUN_COLUMNS, SPARE_RUN_COLUMNS, heading=number == 0)
            more = page.next_cursor is not None
            any_active |= any(run.state in ("queued", "running") for run in page.items)
        if any_active:
            hints = hints_of_queue(client)
    tell(console, hints, more=more)


RUN_COLUMNS = ("RUN", "WORKFLOW", "STATE", "CREATED", "TOOK", "BY")
FREE_RUN_COLUMNS = ("WORKFLOW", "BY")
SPARE_RUN_COLUMNS = ("BY", "TOOK", "CREATED")


def run_row(run: KnownRun, console: Console, now_ms: float) -> tuple[str | Text, ...]:
    return (
        shown(run.run_id),
        shown(run.workflow_id),
        in_state(run.state),
        instant(run.created_at_ms, console),
        seconds(run.started_at_ms, run.finished_at_ms or now_ms),
        shown(run.started_by),
    )


@click.command()
@click.argument("run", metavar="RUN", required=False)
@click.option("--workflow", help="Of this workflow only.")
@click.option(
    "--state",
    type=click.Choice(JOB_STATES),
    help="In it only. Ended ones, and those that need others first: of a RUN.",
)
@click.option("--worker", help="Which this worker holds, or of a RUN has ended.")
@click.option("--label", help="Which require this label.")
@limit_option
@all_option
@json_option
@server_option
def jobs(
    run: str | None,
    workflow: str | None,
    state: str | None,
    worker: str | None,
    label: str | None,
    limit: int,
    everything: bool,
    as_json: bool,
    server: str,
) -> None:
    """List the jobs of a RUN, or all that are active.

    Without a RUN: those that are queued or running, of all runs. A workflow's id means
    its latest run. With --json: a line for each page.
    """
    console = console_of()
    more = False
    lonely: list[ListedJob] = []
    with talking_to(server) as client:
        params = {
            "run_id": None if run is None else run_id_of(client, run),
            "workflow_id": workflow,
            "state": state,
            "worker_id": worker,
            "label": label,
        }
        found = pages_of(client, "jobs", JOB_PAGE, params, None if everything else limit)
        for number, (text, page) in enumerate(found):
            if as_json:
                print_answer(text)
                continue
            rows = [job_row(job) for job in page.items]
            spare = SPARE_JOB_COLUMNS if run is None else ("RUN", "WORKFLOW", *SPARE_JOB_COLUMNS)
            print_table(console, JOB_COLUMNS, rows, FREE_JOB_COLUMNS, spare, heading=number == 0)
            more = page.next_cursor is not None
            lonely += [job for job in page.items if job.no_worker]
    tell(console, list(hints_of_jobs(lonely)), more=more)


JOB_COLUMNS = ("RUN", "WORKFLOW", "JOB", "STATE", "WHY", "ATTEMPTS", "WAITED", "RAN", "WORKER", "LABELS")
FREE_JOB_COLUMNS = ("WORKFLOW", "JOB", "WORKER", "LABELS")
SPARE_JOB_COLUMNS = ("ATTEMPTS", "WORKER", "RAN", "WAITED", "LABELS", "RUN")


def job_row(job: ListedJob) -> tuple[str | Text, ...]:
    return (
        shown(job.run_id),
        shown(job.workflow_id),
        shown(job.job_id),
        in_state(job.state),
        why(job),
        str(job.attempts),
        elapsed(job.wait_ms),
        elapsed(job.run_ms),
        shown(job.worker_id),
        shown(", ".join(job.required_labels)),
    )


def why(job: ListedJob) -> Text:
    """What a queued job waits for."""
    if job.paused:
        return Text("paused", style="bold")
    if job.no_worker and job.waits == "ready":
        return Text("no worker", style="bold red")
    return Text(shown(job.waits))


def elapsed(ms: int | None) -> str:
    return "" if ms is None else duration(ms / 1000)


@click.command()
@json_option
@server_option
def queue(as_json: bool, server: str) -> None:
    """Show what waits for which labels, and who could take it.

    How long it waits, too; trouble comes first.
    """
    console = console_of()
    with talking_to(server) as client:
        text = client.call("GET", path_of("queue"))
        if as_json:
            print_answer(text)
            return
        found = read_answer(QUEUE, text)
    rows = [lane_row(lane) for lane in found.items]
    print_table(console, LANE_COLUMNS, rows, FREE_LANE_COLUMNS, SPARE_LANE_COLUMNS)
    tell(console, list(hints_of(found)), more=False)


LANE_COLUMNS = ("LABELS", "PRIORITY", "READY", "OLDEST", "DELAYED", "HELD", "RUNNING", "WORKERS", "IDLE")
FREE_LANE_COLUMNS = ("LABELS",)
SPARE_LANE_COLUMNS = ("HELD", "DELAYED", "IDLE", "PRIORITY")


def lane_row(lane: Lane) -> tuple[str | Text, ...]:
    plus = "+" if lane.at_least else ""
    trouble = "bold red" if lane.no_worker else ""
    return (
        Text(shown(labels_text(lane.required_labels)), style=trouble),
        str(lane.priority),
        f"{lane.ready}{plus if lane.ready else ''}",
        elapsed(lane.oldest_wait_ms),
        f"{lane.delayed}{plus if lane.delayed else ''}",
        f"{lane.held}{plus if lane.held else ''}",
        str(lane.running),
        Text(str(lane.workers), style=trouble),
        str(lane.idle),
    )
