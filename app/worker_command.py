"""`wfg worker`: a worker as a process of its own."""

import asyncio
import importlib
import logging
import os
import signal
import sys
from functools import partial
from typing import get_args

import click
from click.core import ParameterSource

from . import own_env
from .client import server_option, token_of_environment
from .http_transport import HttpTransport
from .log import LogForm, show_log
from .options import CommaSeparated, database_option
from .refusals import plain_errors
from .signals import exit_code, handling_signals
from .sql_transport import SqlTransport
from .worker import Worker

MAX_CONNECTIONS = 10

log = logging.getLogger("wfg.worker")


POSITIVE = click.FloatRange(0.01, 86400)
NOT_NEGATIVE = click.FloatRange(0, 7 * 86400)


setting = partial(click.option, show_envvar=True)


@click.command()
@server_option
@database_option
@click.option("--module", metavar="MODULE:NAME", help="A Worker with handlers, such as my.handlers:worker.")
@setting(
    "--labels", envvar="WORKER_LABELS", type=CommaSeparated(), help="What jobs may require. Default: none."
)
@setting("--slots", envvar="WORKER_SLOTS", type=click.IntRange(1, 1000), help="Jobs at a time. Default: 1.")
@setting("--worker-id", envvar="WORKER_ID", help="Default: host, process and a random part.")
@setting(
    "--ttl",
    "ttl_secs",
    envvar="WORKER_TTL_SECS",
    type=click.IntRange(1, 86400),
    help="Seconds of a lease. Default: 30.",
)
@setting(
    "--poll",
    "poll_secs",
    envvar="WORKER_POLL_SECS",
    type=POSITIVE,
    help="Seconds between looks for work when idle. Default: 1.",
)
@setting(
    "--drain",
    "drain_secs",
    envvar="WORKER_DRAIN_SECS",
    type=NOT_NEGATIVE,
    help="Seconds that running jobs have after the first signal. Default: all they need.",
)
@setting(
    "--grace",
    "grace_secs",
    envvar="WORKER_GRACE_SECS",
    type=NOT_NEGATIVE,
    help="Seconds between TERM and KILL. Default: 5.",
)
@setting(
    "--permanent-exit-codes",
    envvar="WORKER_PERMANENT_EXIT_CODES",
    type=CommaSeparated(numbers=True),
    help="Failures that are not tried again. Default: 126,127.",
)
@click.option(
    "--pass-env",
    "passed",
    envvar="WORKER_PASS_ENV",
    show_envvar=True,
    type=CommaSeparated(),
    default=[],
    metavar="NAMES",
    help="What commands see of the worker's own secrets, such as DATABASE_URL. Default: none of them.",
)
@setting(
    "--log",
    "form",
    envvar="WFG_LOG",
    type=click.Choice(get_args(LogForm)),
    default="plain",
    help="json: an object a line. Default: plain.",
)
@click.pass_context
def worker(
    context: click.Context,
    server: str,
    database_url: str | None,
    module: str | None,
    passed: list[str],
    form: LogForm,
    **settings: object,
) -> None:
    """Claim jobs and run them, until a signal.

    Jobs come from a server, or straight from a database. An option wins over the environment, and there
    SERVER_URL over DATABASE_URL. A token of the server is read from WFG_TOKEN.

    SIGTERM or SIGINT drains: what runs may end, nothing new is claimed. A second one kills at once, and gives
    the jobs back. Options win over what a Worker of --module says itself.
    """
    show_log(logging.INFO, form)
    dsn = database_url if is_over_sql(context) else None
    worker = load_worker(module) if module else Worker()
    for name, value in settings.items():
        if value is not None:
            setattr(worker, name, value)
    if worker.env is None:
        worker.env = own_env.for_commands(passed=passed)
    own_env.hide()

    log.info("jobs come from %s", "the database" if dsn else server)
    with plain_errors():
        code = asyncio.run(work(worker, server, dsn))
    raise click.exceptions.Exit(code)


def is_over_sql(context: click.Context) -> bool:
    """Whether jobs come straight from a database."""
    server, database = (context.get_parameter_source(name) for name in ("server", "database_url"))
    if server is database is ParameterSource.COMMANDLINE:
        raise click.UsageError("--server and --database-url: give one of them.")
    if ParameterSource.COMMANDLINE in (server, database):
        return database is ParameterSource.COMMANDLINE
    return database is ParameterSource.ENVIRONMENT and server is not ParameterSource.ENVIRONMENT


def load_worker(name: str) -> Worker:
    """The worker that `package.module:attribute` names. The current directory is on the path."""
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise click.BadParameter(f"{name!r} is not of the form package.module:worker", param_hint="--module")

    sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not f"{module_name}.".startswith(f"{error.name}."):
            raise  # something that the user's own module imports
        raise click.BadParameter(f"there is no module {error.name}", param_hint="--module") from None
    found: object = getattr(module, attribute, None)
    if not isinstance(found, Worker):
        raise click.BadParameter(f"{module_name} has no Worker named {attribute}", param_hint="--module")
    return found


async def work(worker: Worker, server: str, dsn: str | None) -> int:
    """Until a signal; the exit code. The first one drains, the second kills."""

    def drain(number: signal.Signals) -> None:
        log.info("%s: draining; a second signal kills", number.name)
        worker.stop()

    connections = min(worker.slots + 2, MAX_CONNECTIONS)
    with handling_signals(drain, worker.kill) as received:
        async with (
            SqlTransport(dsn, max_connections=connections)
            if dsn
            else HttpTransport(server, token_of_environment(), max_connections=connections)
        ) as transport:
            await worker.run(transport)
    return exit_code(received)
