"""`wfg simulate FILE`: the run as it would go, weeks in milliseconds."""

import json
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from .client_output import console_of
from .errors import EngineError
from .options import EXIT_CODES, file_argument, lenient_option, name_and_value
from .refusals import explain, plain_errors
from .run_command import throwaway_database
from .simulate_report import Report
from .simulate_run import SimulatedRunner
from .simulate_scenario import (
    Fate,
    Pool,
    Rule,
    Scenario,
    ScenarioError,
    ScenarioFile,
    duration_rule,
    plan,
    pool_of,
    read_scenario,
    span_of,
)
from .simulate_session import SimulationError, all_labels, simulated_session
from .simulate_spans import Span
from .workflow_file import WorkflowFile, read_workflow_file

DEFAULT_DURATION = "60s"
TTL_SECS = 30  # of our own worker
TRANSACTION_SECS = 30  # in a database where others work


@click.command()
@file_argument
@click.option("--input", "-i", "inputs", multiple=True, metavar="NAME=VALUE", help="An input of the run.")
@click.option(
    "--duration",
    "durations",
    multiple=True,
    metavar="JOB=TIME",
    help="How long a job runs: 90s, 1h30m, 10s..2m.",
)
@click.option(
    "--default-duration", metavar="TIME", help=f"How long the others run. Default: {DEFAULT_DURATION}."
)
@click.option("--fail", multiple=True, metavar="JOB", help="It fails.")
@click.option("--timeout", multiple=True, metavar="JOB", help="It runs longer than its timeout.")
@click.option("--lose", multiple=True, metavar="JOB", help="Its worker is never heard of again.")
@click.option(
    "--workers", multiple=True, metavar="[LABELS=]N", help="How many there are. Default: as many as it takes."
)
@click.option(
    "--ttl",
    type=click.IntRange(1, 86400),
    metavar="SECS",
    help=f"Of leases, for --lose. Default: {TTL_SECS}.",
)
@click.option("--seed", type=int, metavar="N", help="Of what is left to chance: ranges, jitter. Default: 0.")
@click.option(
    "--with",
    "scenario",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read all this from a file. Options win.",
)
@lenient_option
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@click.option(
    "--database-url",
    metavar="URL",
    help="Simulate in this database, in a transaction that is rolled back. Default: an embedded one.",
)
def simulate(
    file: Path,
    inputs: tuple[str, ...],
    durations: tuple[str, ...],
    default_duration: str | None,
    fail: tuple[str, ...],
    timeout: tuple[str, ...],
    lose: tuple[str, ...],
    workers: tuple[str, ...],
    ttl: int | None,
    seed: int | None,
    scenario: Path | None,
    lenient: bool,
    as_json: bool,
    database_url: str | None,
) -> None:
    """Show how a run of a workflow FILE would go.

    Its order, times, retries, and what is skipped. No command is run: the engine itself runs the graph, on a
    clock that jumps from event to event. JOB may name attempts: build@1 is the first, build@1-3 the
    first three.

    Exit code: 0 success, 1 failure, or a job that no worker takes.
    """
    with plain_errors(), plain_assumptions():
        source = read_workflow_file(file)
        read, rules = (ScenarioFile(), list[Rule]()) if scenario is None else read_scenario(scenario)
        rules += [duration_rule("--duration", text) for text in durations]
        rules += [
            Rule(f"--{fate}", target, fate)
            for fate, targets in ((Fate.FAIL, fail), (Fate.TIMEOUT, timeout), (Fate.LOSE, lose))
            for target in targets
        ]
        assumed = Scenario(
            default=the_default(default_duration, read, scenario),
            rules=rules,
            pools=the_pools(workers, read, scenario),
            ttl_secs=ttl or read.ttl or TTL_SECS,
            seed=next((given for given in (seed, read.seed) if given is not None), 0),
        )
        given = {**read.inputs, **dict(name_and_value(text) for text in inputs)}
        with database(database_url) as dsn:
            try:
                report = simulated(
                    source, assumed, given, dsn, lenient=lenient, throwaway=database_url is None
                )
            except EngineError as error:
                raise click.ClickException("\n".join(explain(error, source))) from None

    if as_json:
        click.echo(json.dumps(report.as_json(), ensure_ascii=False, indent=2))
    else:
        report.print(console_of())
    raise click.exceptions.Exit(EXIT_CODES.get(report.run.state, 1))


def the_default(option: str | None, read: ScenarioFile, path: Path | None) -> Span:
    if option is None and read.default_duration is not None:
        return span_of(f"{path}: default_duration", read.default_duration)
    return span_of("--default-duration", option or DEFAULT_DURATION)


def the_pools(options: Sequence[str], read: ScenarioFile, path: Path | None) -> list[Pool]:
    if options or not read.workers:
        return [pool_of("--workers", text) for text in options] or [Pool()]
    return [pool_of(f"{path}: workers", text) for text in read.workers]


@contextmanager
def database(url: str | None) -> Generator[str]:
    if url is not None:
        yield url
        return
    with throwaway_database(Console(stderr=True)) as dsn:
        yield dsn


def simulated(
    source: WorkflowFile,
    scenario: Scenario,
    inputs: Mapping[str, str],
    dsn: str,
    *,
    lenient: bool = False,
    throwaway: bool = False,
) -> Report:
    """Simulate a run of a file, and leave no trace of it, unless the database is there only for it."""
    give_up_at = None if throwaway else time.monotonic() + TRANSACTION_SECS
    labelled = any(pool.labels is not None for pool in scenario.pools)
    with simulated_session(dsn, scenario.seed, throwaway=throwaway) as session:
        definition, warnings = session.put(source, lenient=lenient, labelled=labelled)
        for line in warnings:
            print(line, file=sys.stderr, flush=True)
        planned = plan(scenario, definition.jobs)
        run = session.start(inputs)
        trace = SimulatedRunner(session, run, planned, definition.jobs, give_up_at).run()
    return Report(trace, all_labels(source.root))


@contextmanager
def plain_assumptions() -> Generator[None]:
    """What cannot be assumed, or simulated, as a line on stderr."""
    try:
        yield
    except ScenarioError as error:
        raise click.UsageError(str(error)) from None
    except SimulationError as error:
        raise click.ClickException(str(error)) from None
