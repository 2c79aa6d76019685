"""A process that serves: its address, its chores beside the requests, and its end."""

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

import click
import uvloop

from .db import Database
from .errors import Unavailable, error_of
from .http_server import is_loopback, listen, resolve, serve_http, url_of
from .main import create_app
from .settings import Settings
from .signals import exit_code, handling_signals
from .tokens import has_tokens
from .upkeep import RETRY_SECS, Retention, Trouble, check_installed, prune_for_ever, reap_for_ever
from .workflow_folder import WorkflowFolder

FIRST_TRY_SECS = 5  # that a server waits for its database and its files, before it answers without them

HOW_TO_GUARD = (
    "Make a token (wfg token create), or set WFG_API_TOKEN; or WFG_INSECURE=1, if all who reach it may."
)

log = logging.getLogger("wfg.serve")


# --- the address ---


def listen_as(settings: Settings) -> socket.socket:
    """The socket that settings ask for."""
    try:
        listening = listen(*resolve(settings.host), settings.port)
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {settings.host}, port {settings.port}: {error}"
        ) from None
    if settings.port not in (0, listening.getsockname()[1]):
        log.warning("port %d is taken", settings.port)
    return listening


def wants_tokens(settings: Settings, listening: socket.socket) -> bool:
    """Whether others reach this server, and only tokens in the database could keep them out."""
    return not (is_loopback(listening.getsockname()[0]) or settings.api_token or settings.insecure)


async def announce(url: str) -> None:
    """What scripts wait for."""
    print(f"listening on {url}", flush=True)


# --- the process ---


Body: TypeAlias = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


def run(
    body: Body,
    *,
    kill: Callable[[], None] | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = uvloop.new_event_loop,
) -> int:
    """Run body(stopping), which ends when stopping is set; the exit code.

    The first signal sets stopping, the second calls kill, or else cancels, the third is beyond us.
    """

    async def until_signals() -> int:
        stopping = asyncio.Event()
        task = asyncio.create_task(body(stopping))

        def stop(number: signal.Signals) -> None:
            log.info("%s: stopping; a second signal does not wait", number.name)
            stopping.set()

        with handling_signals(stop, kill or task.cancel) as received:
            await asyncio.wait([task])
        if not task.cancelled():
            task.result()
        return exit_code(received)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(until_signals())


# --- what runs in it ---


async def reap(settings: Settings, stopping: asyncio.Event) -> None:
    """`wfg reaper`."""

    async def work() -> None:
        async with database_of(settings) as database:
            await prepare(database)
            log.info("ending leases that are over, every %g s", settings.reap_interval_secs)
            await upkeep(settings, database)

    await first_of(work(), stopping.wait())


async def upkeep(settings: Settings, database: Database) -> None:
    """What the database needs of us, for ever."""
    reaping = reap_for_ever(database, settings.reap_interval_secs)
    if settings.prune_after_secs is None and settings.prune_logs_after_secs is None:
        await reaping
    else:
        await asyncio.gather(reaping, prune_for_ever(database, Retention.of(settings)))


async def serve(
    settings: Settings,
    listening: socket.socket,
    stopping: asyncio.Event,
    announce: Callable[[str], Awaitable[None]],
) -> None:
    """`wfg serve`: it answers when its database does and its files are loaded. Without the database, at once;
    but a server that only tokens protect does not, for there may be none.

    Rejected, at once or when the database is there, if wfg is not in it, or no token.
    """
    guarded = wants_tokens(settings, listening)
    may_answer = asyncio.Event()

    async def answer() -> None:
        wait_secs = None if guarded else FIRST_TRY_SECS
        await first_of(may_answer.wait(), stopping.wait(), timeout=wait_secs)
        if not stopping.is_set():
            await serve_http(
                create_app(settings, stopping=stopping, guarded=guarded),
                listening,
                stopping=stopping,
                started=lambda: announce(url_of(listening)),
                max_body_bytes=settings.max_body_bytes,
            )

    await first_of(answer(), do_chores(settings, may_answer, guarded=guarded))


async def do_chores(settings: Settings, may_answer: asyncio.Event, *, guarded: bool) -> None:
    """What an all-in-one server does beside requests, for ever."""
    async with database_of(settings) as database:
        folder = None
        if not settings.api_only:
            folder = WorkflowFolder(settings.workflows_dir, database, lenient=settings.lenient)

        async def first_steps() -> None:
            if guarded and not await has_tokens(database):
                raise error_of(
                    403, "no_token", f"Whoever reaches {settings.host} could do everything.", HOW_TO_GUARD
                )
            if folder is not None:
                await folder.load()

        await prepare(database, first_steps, on_trouble=(lambda: None) if guarded else may_answer.set)
        may_answer.set()
        if folder is None:
            await asyncio.Event().wait()
        else:
            await asyncio.gather(folder.watch(), upkeep(settings, database))


async def prepare(
    database: Database,
    first_steps: Callable[[], Awaitable[None]] | None = None,
    on_trouble: Callable[[], None] = lambda: None,
) -> None:
    """Wait for the database, and take the first steps. Rejected when wfg is not in it, or too old."""
    trouble = Trouble("the database")
    while True:
        try:
            await check_installed(database)
            if first_steps is not None:
                await first_steps()
        except Unavailable as error:
            trouble.say(error)
            on_trouble()
            await asyncio.sleep(RETRY_SECS)
        else:
            trouble.over()
            return


def database_of(settings: Settings) -> Database:
    """For the chores. Requests have connections of their own."""
    return Database(settings.database_url, max_connections=2, call_timeout_secs=settings.call_timeout_secs)


async def first_of(*bodies: Coroutine[Any, Any, object], timeout: float | None = None) -> None:
    """Run all of them until one ends, or fails, which is raised; the others are cancelled."""
    tasks = [asyncio.create_task(body) for body in bodies]
    try:
        done, _ = await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
