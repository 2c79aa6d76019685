"""`wfg run FILE`: one workflow file to its end, on a Postgres that is there only for it."""

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
from pydantic import TypeAdapter
from rich.console import Console

from . import embedded, migrate
from .db import Database
from .errors import EngineError
from .log import show_log
from .options import EXIT_CODES, file_argument, lenient_option, name_and_value
from .refusals import explain, plain_errors, warnings_of
from .run_screen import is_plain, print_summary, screen_for
from .run_view import ENDED, RUN, Run, RunView, WatchedTransport
from .signals import handling_signals, interrupted_afterwards
from .sql_transport import SqlTransport
from .transport import Wire, read_answer
from .worker import Worker
from .workflow_file import WorkflowFile, read_workflow_file

TICK_SECS = 0.1
REFRESH_SECS = 0.5  # how often the engine is asked, or rarer when its answer takes long
REFRESH_SHARE = 0.1  # of the time that may go into asking
POLL_SECS = 0.25


class NormalJob(Wire):
    """A job of a definition's normal form, as far as it matters here."""

    labels: tuple[str, ...]


class Definition(Wire):
    """wfg_get_workflow."""

    jobs: list[NormalJob]


class Started(Wire):
    """wfg_start_run."""

    run_id: str


DEFINITION = TypeAdapter(Definition)
STARTED = TypeAdapter(Started)


@click.command()
@file_argument
@click.option("--input", "-i", "inputs", multiple=True, metavar="NAME=VALUE", help="An input of the run.")
@click.option("--slots", type=click.IntRange(1, 256), default=4, show_default=True, help="Jobs at a time.")
@lenient_option
def run(file: Path, inputs: tuple[str, ...], slots: int, lenient: bool) -> None:
    """Run a workflow FILE to its end, on an embedded Postgres.

    That is gone afterwards. Exit code: 0 success, 1 failure, 130 cancelled. Ctrl-C cancels the run, a second
    one kills its commands.
    """
    console = Console()
    show_log(logging.WARNING if is_plain(console) else logging.CRITICAL)
    given = dict(name_and_value(text) for text in inputs)
    with plain_errors():
        source = read_workflow_file(file)
        try:
            with throwaway_database(console) as dsn:
                code = asyncio.run(LocalRun(source, console).run(dsn, given, lenient=lenient, slots=slots))
        except EngineError as error:
            raise click.ClickException("\n".join(explain(error, source))) from None
        except KeyboardInterrupt:
            code = EXIT_CODES["cancelled"]
    raise click.exceptions.Exit(code)


@contextmanager
def throwaway_database(console: Console) -> Generator[str]:
    """The DSN of an embedded Postgres with wfg installed, gone at the end of the block."""
    with ExitStack() as stack:
        with console.status("Starting Postgres…"), interrupted_afterwards():
            server = stack.enter_context(embedded.running())
            migrate.upgrade(server.dsn)
        yield server.dsn


class LocalRun:
    """A run, its worker and its screen, in one event loop."""

    def __init__(self, file: WorkflowFile, console: Console) -> None:
        self._file = file
        self._console = console
        self._interrupted = asyncio.Event()

    async def run(self, dsn: str, inputs: Mapping[str, str], *, lenient: bool, slots: int) -> int:
        """Put the file, start a run of it, see it through. EngineError when the engine refuses."""
        began_at = time.monotonic()
        async with SqlTransport(dsn, max_connections=slots + 2) as transport:
            database = transport.database
            labels = await self._put(database, lenient)
            view = await self._start(database, inputs)
            worker = Worker(
                labels=labels,
                slots=slots,
                worker_id=f"local-{os.getpid()}",
                poll_secs=POLL_SECS,
                env=os.environ,  # all of it: whoever runs their own file, as with make
            )

            screen = screen_for(view, self._console)
            working = asyncio.create_task(worker.run(WatchedTransport(transport, view)))
            try:
                with handling_signals(lambda _: self._interrupted.set(), worker.kill) as signals:
                    await self._follow(database, view, worker, working)
                    worker.stop()
                    await working
                    view.update(await self._run(database, view.run_id))
            finally:
                screen.end()
                worker.kill()
                await asyncio.gather(working, return_exceptions=True)

        print_summary(view, self._console, time.monotonic() - began_at)
        return EXIT_CODES["cancelled" if signals else view.state]

    async def _put(self, database: Database, lenient: bool) -> list[str]:
        """Store the definition; the labels of its jobs."""
        workflow_id = self._file.workflow_id
        answer = await database.call(
            "wfg_put_workflow",
            p_workflow_id=workflow_id,
            p_definition=self._file.definition,
            p_lenient=lenient,
        )
        for line in warnings_of(self._file, answer):
            print(line, file=sys.stderr, flush=True)
        definition = read_answer(
            DEFINITION, await database.call("wfg_get_workflow", p_workflow_id=workflow_id)
        )
        return list(dict.fromkeys(label for job in definition.jobs for label in job.labels))

    async def _start(self, database: Database, inputs: Mapping[str, str]) -> RunView:
        answer = await database.call(
            "wfg_start_run",
            p_workflow_id=self._file.workflow_id,
            p_inputs=json.dumps(dict(inputs)),
            p_started_by="wfg run",
        )
        return RunView(await self._run(database, read_answer(STARTED, answer).run_id))

    async def _run(self, database: Database, run_id: str) -> Run:
        return read_answer(RUN, await database.call("wfg_get_run", p_run_id=run_id))

    async def _follow(
        self, database: Database, view: RunView, worker: Worker, working: "asyncio.Task[None]"
    ) -> None:
        """Until the run has ended. The engine is asked now and then; between, the screen's clocks go on."""
        loop = asyncio.get_running_loop()
        ask_at = loop.time()
        while view.state not in ENDED:
            if working.done():
                return working.result()
            if self._interrupted.is_set():
                self._interrupted.clear()
                await self._cancel(database, view.run_id, worker)
            if loop.time() >= ask_at or view.seems_over:
                asked_at = loop.time()
                view.update(await self._run(database, view.run_id))
                took = loop.time() - asked_at
                ask_at = loop.time() + max(REFRESH_SECS, took / REFRESH_SHARE)
            if view.screen is not None:
                view.screen.tick()
            try:
                async with asyncio.timeout(TICK_SECS):
                    await self._interrupted.wait()
            except TimeoutError:
                pass
        return hurry(worker)

    async def _cancel(self, database: Database, run_id: str, worker: Worker) -> None:
        """Cancel the run where it lives."""
        await database.call(
            "wfg_cancel_run", p_run_id=run_id, p_cancelled_by="wfg run", p_reason="interrupted"
        )
        hurry(worker)


def hurry(worker: Worker) -> None:
    """Let a worker learn of a cancellation at once, instead of by its next heartbeats."""
    for lease in worker.leases:
        lease.ask_now()
