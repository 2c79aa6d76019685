"""`wfg dev`: Postgres, the server with its chores, and workers, in one process."""

import asyncio
import fcntl
import logging
import os
import socket
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from pydantic import TypeAdapter

from . import embedded, migrate, own_env
from .db import Database
from .db_cli import plain_errors as plain_migration_errors
from .embedded import EmbeddedError
from .errors import Unavailable
from .log import show_log
from .options import CommaSeparated
from .refusals import plain_errors
from .serve_command import SETTINGS, read_settings, setting_options
from .settings import Settings
from .sql_transport import SqlTransport
from .transport import Wire, read_answer
from .worker import Worker

LEFT_OVER_SECS = 40  # until the Postgres of a `wfg dev` that was killed has ended
LOOK_SECS = 0.5

log = logging.getLogger("wfg.dev")


class Job(Wire):
    """A job of wfg_list_workflows, as far as it matters here."""

    required_labels: list[str]


class Workflow(Wire):
    """An item of wfg_list_workflows."""

    id: str
    jobs: list[Job]


WORKFLOWS = TypeAdapter(list[Workflow])


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".wfg"),
    show_default=True,
    help="Where the embedded Postgres keeps its data.",
)
@click.option("--workers", type=click.IntRange(0, 32), default=1, show_default=True, help="How many.")
@click.option(
    "--slots",
    type=click.IntRange(1, 256),
    default=4,
    envvar="WORKER_SLOTS",
    show_envvar=True,
    show_default=True,
    help="Jobs at a time, of each worker.",
)
@click.option(
    "--labels",
    type=CommaSeparated(),
    default=[],
    envvar="WORKER_LABELS",
    show_envvar=True,
    help="What jobs may require of the workers. Default: none.",
)
@setting_options(name for name in SETTINGS if name != "api_only")
def dev(data: Path, workers: int, slots: int, labels: list[str], **given: Any) -> None:
    """Run Postgres, the server and workers in one process.

    For development. The embedded Postgres keeps its data; with --database-url, that database is used
    instead. Either is upgraded to the newest revision. Ctrl-C lets running jobs end; a second one kills them
    and gives them back.
    """
    from . import serving

    wants_json = (given["log"] or os.environ.get("WFG_LOG")) == "json"
    show_log(logging.INFO, "json" if wants_json else "plain")
    own_env.hide()
    crew = [Worker(labels=labels, slots=slots) for _ in range(workers)]
    with ExitStack() as stack:
        stack.enter_context(plain_errors())
        postgres = None
        if not (given["database_url"] or os.environ.get("DATABASE_URL")):
            postgres = stack.enter_context(own_postgres(data.absolute()))
            given["database_url"] = postgres.dsn
        settings = read_settings({**given, "api_only": False})
        listening = serving.listen_as(settings)
        with plain_migration_errors():
            migrate.upgrade(settings.database_url)

        def kill() -> None:
            for worker in crew:
                worker.kill()

        code = serving.run(
            lambda stopping: develop(settings, listening, crew, postgres, stopping),
            kill=kill,
            loop_factory=None,  # asyncio's: what workers do with processes is tested on that
        )
    raise click.exceptions.Exit(code)


@contextmanager
def own_postgres(folder: Path) -> Generator[embedded.Server]:
    """The Postgres of a folder, which only one process may use at a time."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("*\n")
        lock = (folder / "lock").open("a+")
    except OSError as error:
        raise EmbeddedError(f"{folder}: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise EmbeddedError(
                f"Another `wfg dev` uses {folder}: process {lock.read().strip()}."
                " Use that one, or another folder: --data DIR."
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        wait_until_free(folder / "postgres")
        with embedded.running(folder / "postgres") as postgres:
            log.info("Postgres, for psql and other commands: DATABASE_URL='%s'", postgres.dsn)
            yield postgres


def wait_until_free(data_dir: Path) -> None:
    """A Postgres whose owner was killed is stopped by its watchdog, which may take a moment."""
    give_up_at = time.monotonic() + LEFT_OVER_SECS
    while True:
        try:
            return embedded.check_free(data_dir)
        except EmbeddedError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.05)


async def develop(
    settings: Settings,
    listening: socket.socket,
    crew: list[Worker],
    postgres: embedded.Server | None,
    stopping: asyncio.Event,
) -> None:
    """All of it, until stopping: then the workers drain, and the server ends after them."""
    from . import serving

    drained = asyncio.Event()

    async def announce(url: str) -> None:
        await serving.announce(url)
        await explain(settings, url, crew)

    async def stop() -> None:
        await stopping.wait()
        for worker in crew:
            worker.stop()

    async def work(worker: Worker) -> None:
        async with SqlTransport(settings.database_url, max_connections=worker.slots + 2) as transport:
            await worker.run(transport)

    async def work_all() -> None:
        await asyncio.gather(stop(), *map(work, crew))
        drained.set()
        await asyncio.Event().wait()

    async def watch(postgres: embedded.Server) -> None:
        while not postgres.has_ended:
            await asyncio.sleep(LOOK_SECS)
        raise EmbeddedError(f"Postgres has ended; {postgres.log_file} may say why.")

    serve = serving.serve(settings, listening, drained, announce)
    await serving.first_of(serve, work_all(), *([watch(postgres)] if postgres else []))


async def explain(settings: Settings, url: str, crew: list[Worker]) -> None:
    """How to go on, and what will not."""
    print(f"open the page: {url}/", flush=True)
    try:
        async with Database(settings.database_url) as database:
            workflows = read_answer(WORKFLOWS, await database.call("wfg_list_workflows", p_limit=1000))
    except Unavailable:
        return
    token = ' -H "Authorization: Bearer $WFG_API_TOKEN"' if settings.api_token else ""
    for workflow in workflows[:1]:
        print(
            f"start a run: curl -X POST {url}/api/workflows/{quote(workflow.id, safe='')}/runs"
            f"{token} -H 'Content-Type: application/json' -d '{{}}'",
            flush=True,
        )
    required = {label for workflow in workflows for job in workflow.jobs for label in job.required_labels}
    missing = sorted(required.difference(*(worker.labels for worker in crew)))
    if crew and missing:
        log.warning("jobs that require %s wait for other workers; or give --labels", ", ".join(missing))
