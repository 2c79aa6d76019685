"""Commands that talk to a server: put, start, rerun, show, logs, cancel, workers.

Those that look for something are in find_commands.py.
"""

import difflib
import io
import json
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click
from click.shell_completion import get_completion_class
from rich.console import Console
from rich.text import Text

from .client import Client, path_of, server_option, token_of_environment
from .client_answers import (
    CANCELLED,
    DETAIL,
    INPUTS,
    NAMES,
    PUT,
    RUN,
    RUN_PAGE,
    STARTED_RUN,
    WORKERS,
    KnownJob,
    KnownWorker,
)
from .client_output import LogPrinter, console_of, in_state, instant, print_table, shown
from .errors import EngineError, error_of
from .follow import follow_log, follow_logs, follow_run, print_log
from .hints import hints_of_run
from .options import EXIT_CODES, json_option, lenient_option, name_and_value, print_answer
from .refusals import explain, warnings_of
from .run_screen import duration, headline
from .transport import read_answer
from .workflow_file import WorkflowFile, WorkflowFileError, read_workflow_file

RUN_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
STATUS_STYLES = {"idle": "green", "busy": "yellow", "offline": "dim"}

run_argument = click.argument("run", metavar="RUN")


# --- what commands share ---


@contextmanager
def talking_to(url: str) -> Generator[Client]:
    """A client for the block. What is refused becomes lines on stderr, and exit code 1."""
    try:
        with Client(url, token_of_environment()) as client:
            yield client
    except EngineError as error:
        raise refused(error) from None
    except UnicodeEncodeError:
        raise click.ClickException("an argument is not UTF-8") from None


def refused(error: EngineError, file: WorkflowFile | None = None) -> click.ClickException:
    """In the engine's words, harmless at a terminal."""
    lines = "\n".join(explain(error, file)).splitlines()
    return click.ClickException("\n".join(map(shown, lines)))


def run_id_of(client: Client, run: str) -> str:
    """A run's id as it is; a workflow's means its latest run."""
    if RUN_ID.fullmatch(run):
        return run
    latest = read_answer(
        RUN_PAGE, client.call("GET", path_of("runs"), params={"workflow_id": run, "limit": 1})
    )
    if latest.items:
        return latest.items[0].run_id
    with near_names(client, run):
        client.call("GET", path_of("workflows", run))
    raise error_of(404, "run_not_found", f"The workflow {run} has no run yet.", f"wfg start {run}")


@contextmanager
def near_names(client: Client, workflow_id: str) -> Generator[None]:
    """Say which workflows there are with nearly this name, when there is none of it; or its inputs."""
    try:
        yield
    except EngineError as error:
        if error.message == "workflow_not_found":
            names = read_answer(NAMES, client.call("GET", path_of("workflows"), params={"limit": 100}))
            near = difflib.get_close_matches(workflow_id, [each.id for each in names])
            error.hint = f"Did you mean {' or '.join(near)}?" if near else error.hint
        if error.message == "invalid_request" and "p_inputs" in (error.details or ""):
            found = read_answer(INPUTS, client.call("GET", path_of("workflows", workflow_id)))
            error.details = (error.details or "").replace("p_inputs.", "--input ")
            error.hint = f"Its inputs: {', '.join(each.name for each in found.inputs) or 'none'}."
        raise


def state_of(job: KnownJob) -> Text:
    if job.paused is not None:
        return Text(f"{shown(job.state)}, paused")
    return in_state(job.state) + Text(", kept" if job.kept else "")


def seconds(since_ms: int | None, until_ms: float) -> str:
    """How long something took, or takes by now."""
    return "" if since_ms is None else duration(max(0.0, until_ms - since_ms) / 1000)


def user() -> str:
    return os.environ.get("USER") or os.environ.get("USERNAME") or "wfg"


# --- workflows ---


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@click.option("--id", "workflow_id", help="The workflow's id. Default: the file's name without .yml.")
@lenient_option
@json_option
@server_option
def put(files: tuple[Path, ...], workflow_id: str | None, lenient: bool, as_json: bool, server: str) -> None:
    """Store workflow FILEs. What says something new becomes a new version."""
    if workflow_id is not None and len(files) > 1:
        raise click.UsageError("--id: of one file only.")
    failed = False
    with talking_to(server) as client:
        for path in files:
            try:
                put_file(client, path, workflow_id, lenient=lenient, as_json=as_json)
            except (click.ClickException, WorkflowFileError) as error:
                click.echo(
                    error.format_message() if isinstance(error, click.ClickException) else error, err=True
                )
                failed = True
    if failed:
        raise click.exceptions.Exit(1)


def put_file(client: Client, path: Path, workflow_id: str | None, *, lenient: bool, as_json: bool) -> None:
    file = read_workflow_file(path)
    name = workflow_id or file.workflow_id
    try:
        answer = client.call(
            "PUT", path_of("workflows", name), params={"lenient": lenient}, content=file.definition
        )
    except EngineError as error:
        if error.status != 422:
            raise
        raise refused(error, file) from None
    for line in warnings_of(file, answer):
        click.echo(shown(line), err=True)
    if as_json:
        print_answer(answer)
        return
    stored = read_answer(PUT, answer)
    click.echo(f"{shown(name)}: version {stored.version}{'' if stored.changed else ', as before'}")


# --- runs ---


class Instant(click.ParamType[str]):
    """ISO 8601. Without an offset it is local time."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return datetime.fromisoformat(value).astimezone().isoformat()
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time such as 2027-01-31T12:00", param, ctx)


@click.command()
@click.argument("workflow")
@click.option("--input", "-i", "inputs", multiple=True, metavar="NAME=VALUE", help="An input of the run.")
@click.option("--key", help="Idempotency key: once a run of it is there, it is that which is meant.")
@click.option("--at", type=Instant(), metavar="TIME", help="Not before; such as 2027-01-31T12:00.")
@click.option("--reason", help="Why, for those who look at the run.")
@click.option("--wait", "-w", is_flag=True, help="Follow it to its end.")
@json_option
@server_option
def start(
    workflow: str,
    inputs: tuple[str, ...],
    key: str | None,
    at: str | None,
    reason: str | None,
    wait: bool,
    as_json: bool,
    server: str,
) -> None:
    """Start a run of a WORKFLOW, and print its id.

    Exit code with --wait: 0 success, 1 failure, 130 cancelled. Ctrl-C leaves the run alone.
    """
    body = {
        "inputs": dict(map(name_and_value, inputs)),
        "idempotency_key": key,
        "start_at": at,
        "started_by": user(),
        "reason": reason,
    }
    with talking_to(server) as client:
        with near_names(client, workflow):
            answer = client.call("POST", path_of("workflows", workflow, "runs"), json=body)
        tell_started(client, answer, wait=wait, as_json=as_json)


@click.command()
@run_argument
@click.option("--failed", is_flag=True, help="Only what did not succeed. The other jobs are kept.")
@click.option(
    "--from", "from_job", metavar="JOB", help="Only this job, what follows, and what did not succeed."
)
@click.option("--key", help="Idempotency key: once a run of it is there, it is that which is meant.")
@click.option("--reason", help="Why, for those who look at the run.")
@click.option("--wait", "-w", is_flag=True, help="Follow it to its end.")
@json_option
@server_option
def rerun(
    run: str,
    failed: bool,
    from_job: str | None,
    key: str | None,
    reason: str | None,
    wait: bool,
    as_json: bool,
    server: str,
) -> None:
    """Run a RUN that has ended again, as a new run.

    Its id is printed. A workflow's id means its latest run. Same version, same inputs.
    Exit code with --wait: as of start.
    """
    if failed and from_job is not None:
        raise click.UsageError("--failed or --from, not both.")
    body = {
        "jobs": "failed" if failed else "all",
        "from_job_id": from_job,
        "idempotency_key": key,
        "started_by": user(),
        "reason": reason,
    }
    with talking_to(server) as client:
        answer = client.call("POST", path_of("runs", run_id_of(client, run), "rerun"), json=body)
        tell_started(client, answer, wait=wait, as_json=as_json)


def tell_started(client: Client, answer: str, *, wait: bool, as_json: bool) -> None:
    """Print what was started, and follow it if asked to."""
    started = read_answer(STARTED_RUN, answer)
    if as_json:
        print_answer(answer)
    else:
        click.echo(started.run_id)
    if not started.created:
        click.echo("This key has started it before.", err=True)
    if wait:
        raise click.exceptions.Exit(wait_for(client, started.run_id, as_json=as_json))


def wait_for(client: Client, run_id: str, *, as_json: bool) -> int:
    """Follow a run; the exit code."""
    console = Console(file=io.StringIO()) if as_json else console_of()
    try:
        state = follow_run(client, run_id, console)
    except KeyboardInterrupt:
        click.echo(f"The run goes on. To end it: wfg cancel {run_id}", err=True)
        return EXIT_CODES["cancelled"]
    if as_json:
        print_answer(client.call("GET", path_of("runs", run_id)))
    return EXIT_CODES[state]


@click.command()
@run_argument
@json_option
@server_option
def show(run: str, as_json: bool, server: str) -> None:
    """Show a RUN with its jobs. A workflow's id means its latest run."""
    console = console_of()
    with talking_to(server) as client:
        answer = client.call("GET", path_of("runs", run_id_of(client, run)))
        if as_json:
            print_answer(answer)
            return
        found = read_answer(RUN, answer)
        now_ms = client.now_ms()
        hints = hints_of_run(client, found)

    facts = {
        "run": found.run_id,
        "workflow": f"{found.workflow_id}, version {found.version}",
        "name": found.name,
        "re-run of": found.rerun_of,
        "state": found.state,
        "created": instant(found.created_at_ms, console),
        "starts": instant(found.start_at_ms, console),
        "started": instant(found.started_at_ms, console),
        "finished": instant(found.finished_at_ms, console),
        "took": seconds(found.started_at_ms, found.finished_at_ms or now_ms),
        "by": found.started_by,
        "reason": found.reason,
        "paused": found.paused and f"{found.paused}: wfg pauses",
        "cancelled by": found.cancelled_by,
        "cancelled for": found.cancel_reason,
        "logs pruned": instant(found.logs_pruned_at_ms, console),
        "inputs": json.dumps(found.inputs, ensure_ascii=False) if found.inputs else "",
    }
    for name, value in facts.items():
        if value:
            text = in_state(value) if name == "state" else Text(shown(value))
            console.print(Text.assemble((f"{name}: ", "dim"), text), soft_wrap=True)
    console.print()
    rows = [
        (
            shown(job.job_id),
            state_of(job),
            str(job.attempt + 1) if job.started_at_ms is not None else "",
            instant(job.started_at_ms, console),
            seconds(job.started_at_ms, job.finished_at_ms or now_ms),
            shown(job.worker_id),
            shown(headline(job.error or "")),
        )
        for job in found.jobs or []
    ]
    columns = ("JOB", "STATE", "ATTEMPT", "STARTED", "TOOK", "WORKER", "ERROR")
    print_table(console, columns, rows, ("JOB", "WORKER", "ERROR"), ("WORKER", "STARTED", "ATTEMPT"))
    for line in hints:
        click.echo(shown(line), err=True)


@click.command()
@run_argument
@click.argument("job", required=False)
@click.option("--follow", "-f", is_flag=True, help="Wait for more, until the job has ended.")
@json_option
@server_option
def logs(run: str, job: str | None, follow: bool, as_json: bool, server: str) -> None:
    """Print the log of a RUN's JOB, or those of all its jobs. A workflow's id means its latest run.

    With --json: the chunks there are, a line for each job.
    """
    if follow and as_json:
        raise click.UsageError("--json: of what there is, without --follow.")
    with talking_to(server) as client:
        run_id = run_id_of(client, run)
        found = read_answer(RUN, client.call("GET", path_of("runs", run_id)))
        known = found.jobs or []
        chosen = [each for each in known if job in (None, each.job_id)]
        jobs = [each.job_id for each in chosen]
        if job is not None and not jobs:
            near = difflib.get_close_matches(job, [each.job_id for each in known])
            hint = f"Did you mean {' or '.join(near)}?" if near else "wfg show lists them."
            raise error_of(404, "job_not_found", f"The run has no job {job}.", hint)
        if found.logs_pruned_at_ms is not None:
            at = instant(found.logs_pruned_at_ms, console_of())
            click.echo(f"Logs of this run were pruned at {at}.", err=True)
        if as_json:
            for each in jobs:
                print_answer(client.call("GET", path_of("workflows", run_id, "jobs", each, "logs")))
            return

        if job is not None and chosen[0].kept:
            detail = read_answer(DETAIL, client.call("GET", path_of("runs", run_id, "jobs", job)))
            click.echo(f"{shown(job)} is kept: its log is that of run {shown(detail.ran_in)}", err=True)
        printer = LogPrinter(console_of(), with_job=len(jobs) > 1)
        try:
            if not follow:
                for each in jobs:
                    print_log(client, run_id, each, printer)
            elif len(jobs) == 1:
                follow_log(client, run_id, jobs[0], printer)
            else:
                follow_logs(client, run_id, printer)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(EXIT_CODES["cancelled"]) from None
        finally:
            printer.end()


@click.command()
@run_argument
@click.argument("job", required=False)
@click.option("--reason", help="Why, for those who look at the run.")
@json_option
@server_option
def cancel(run: str, job: str | None, reason: str | None, as_json: bool, server: str) -> None:
    """Cancel a RUN, or one JOB of it.

    What needs that job is skipped. A workflow's id means its latest run.
    """
    with talking_to(server) as client:
        run_id = run_id_of(client, run)
        if job is None:
            body = {"cancelled_by": user(), "reason": reason}
            answer = client.call("POST", path_of("runs", run_id, "cancel"), json=body)
        else:
            answer = client.call("POST", path_of("runs", run_id, "jobs", job, "cancel"))
        if as_json:
            print_answer(answer)
            return
        found = read_answer(CANCELLED, answer)
        state, what = (found.run, run_id) if found.job is None else (found.job, f"{run_id}, {job}")
        click.echo(
            f"{shown(what)}: {'cancelled' if state == 'cancelled' else f'has ended before: {shown(state)}'}"
        )


@click.command()
@json_option
@server_option
def workers(as_json: bool, server: str) -> None:
    """List the workers that are known. Offline: not heard of for a minute."""
    console = console_of()
    with talking_to(server) as client:
        answer = client.call("GET", path_of("workers"))
        if as_json:
            print_answer(answer)
            return
        rows = [worker_row(worker, console) for worker in read_answer(WORKERS, answer)]
    print_table(console, WORKER_COLUMNS, rows, FREE_WORKER_COLUMNS, SPARE_WORKER_COLUMNS)


WORKER_COLUMNS = ("WORKER", "STATUS", "LABELS", "JOB", "LAST HEARD")
FREE_WORKER_COLUMNS = ("WORKER", "LABELS", "JOB")
SPARE_WORKER_COLUMNS = ("LAST HEARD",)


def worker_row(worker: KnownWorker, console: Console) -> tuple[str | Text, ...]:
    return (
        shown(worker.worker_id),
        Text(shown(worker.status), style=STATUS_STYLES.get(worker.status, "")),
        shown(", ".join(worker.labels)),
        shown(worker.current_job),
        instant(worker.last_heartbeat_ms, console),
    )


# --- the shell ---


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes commands in a SHELL.

    Commands and options, that is; such as: source <(wfg completion bash)
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "wfg", "_WFG_COMPLETE").source())
