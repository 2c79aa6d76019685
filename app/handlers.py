"""Python functions as jobs: what they get, how they are called, and what becomes of their result."""

import asyncio
import contextlib
import contextvars
import inspect
import json
import threading
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Generic, TypeAlias, get_args, get_origin, get_type_hints

from pydantic import JsonValue, TypeAdapter, ValidationError
from typing_extensions import TypeVar

from .lines import TAIL_CHARS, clean
from .transport import Claim, Report

InputsT = TypeVar("InputsT", default=dict[str, JsonValue])
Returned: TypeAlias = Mapping[str, object] | None


class PermanentError(Exception):
    """Raise it in a handler when trying again is useless: the job fails, whatever its retries."""


class Job(Generic[InputsT]):
    """What a handler gets.

    inputs: of the run. Annotate the parameter as Job[MyInputs], with a pydantic model or a dataclass, and
    they are validated into it; else they are a dict.
    outputs: set them here, or return a dict.
    cancelled: set when the job must stop; an async handler is cancelled besides.
    traceparent: W3C trace context for what it starts, where there is a trace.
    attempt: counts from 0. script: the job's `run` or steps, which nobody runs.
    """

    def __init__(
        self,
        claim: Claim,
        inputs: InputsT,
        log: Callable[[str], None],
        flush: Callable[[], None],
        traceparent: str | None = None,
    ) -> None:
        self.job_id = claim.job.job_id
        self.workflow_id = claim.job.workflow_id
        self.run_id = claim.job.run_id
        self.lease_id = claim.lease.lease_id
        self.attempt = claim.job.attempt
        self.labels = claim.job.required_labels
        self.script = claim.job.script
        self.env = claim.job.env
        self.inputs = inputs
        self.upstream_outputs = claim.job.upstream_outputs
        self.outputs: dict[str, str] = {}
        self.cancelled = threading.Event()
        self.traceparent = traceparent
        self._log = log
        self._flush = flush

    def log(self, text: str) -> None:
        """Add to the job's log. From any thread."""
        self._log(text if text.endswith("\n") else text + "\n")

    def flush_log(self) -> None:
        """Wait until what was logged so far has been sent, for some seconds at most.

        For a function that completes its job itself: afterwards no line is taken any more. From any thread
        but the event loop's: an async handler awaits asyncio.to_thread(job.flush_log).
        """
        self._flush()


HandlerFunction: TypeAlias = Callable[[Job[InputsT]], Returned | Awaitable[Returned]]


class Handler:
    """A registered function."""

    def __init__(self, function: HandlerFunction[InputsT]) -> None:
        self.is_async = inspect.iscoroutinefunction(function)
        self._call: Callable[[Job[Any]], object] = function
        self._inputs = inputs_of(function)

    async def run(
        self,
        claim: Claim,
        log: Callable[[str], None],
        flush: Callable[[], Coroutine[Any, Any, None]],
        cancelled: asyncio.Event,
        traceparent: str | None = None,
    ) -> Report:
        """Call it, in a thread unless it is async. cancelled: set when it must stop.

        It returns when the function does. An async one is to be cancelled from outside.
        """
        loop = asyncio.get_running_loop()
        ours = threading.get_ident()

        def log_from_anywhere(text: str) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the worker gave the job up
                loop.call_soon_threadsafe(log, text)

        def flush_from_a_thread() -> None:
            if threading.get_ident() == ours:
                raise RuntimeError("in an async handler: await asyncio.to_thread(job.flush_log)")
            with contextlib.suppress(RuntimeError):
                asyncio.run_coroutine_threadsafe(flush(), loop).result()

        try:
            inputs = (
                claim.job.inputs if self._inputs is None else self._inputs.validate_python(claim.job.inputs)
            )
        except ValidationError as error:
            return failed(claim, f"the inputs do not fit: {error}", retryable=False)

        job: Job[Any] = Job(claim, inputs, log_from_anywhere, flush_from_a_thread, traceparent)
        watcher = asyncio.create_task(pass_on(cancelled, job.cancelled))
        try:
            return await (
                self._run_async(claim, job) if self.is_async else in_thread(self._run_sync, claim, job)
            )
        finally:
            watcher.cancel()

    async def _run_async(self, claim: Claim, job: Job[Any]) -> Report:
        try:
            returned = self._call(job)
            assert inspect.isawaitable(returned)
            return succeeded(claim, job, await returned)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # SystemExit too: it ends the job, not the worker
            return raised(claim, error)

    def _run_sync(self, claim: Claim, job: Job[Any]) -> Report:
        try:
            return succeeded(claim, job, self._call(job))
        except BaseException as error:
            return raised(claim, error)


def inputs_of(function: Callable[..., object]) -> TypeAdapter[object] | None:
    """What the function's first parameter says about inputs; None when it says nothing."""
    parameters = list(inspect.signature(function).parameters)
    if not parameters:
        raise TypeError(f"{function!r} takes no parameter; a handler gets the job")
    hint: object = get_type_hints(function).get(parameters[0])
    if get_origin(hint) is not Job:
        return None
    return TypeAdapter[object](get_args(hint)[0])


def succeeded(claim: Claim, job: Job[Any], returned: object) -> Report:
    """The report of a function that returned. What is no string goes out as JSON."""
    if returned is not None and not isinstance(returned, Mapping):
        raise TypeError(f"a handler returns a dict of outputs or None, not {type(returned).__name__}")
    outputs: dict[object, object] = {**job.outputs, **(returned or {})}
    return Report(
        lease_id=claim.lease.lease_id,
        outcome="success",
        outputs={
            clean(str(name)): clean(value if isinstance(value, str) else json.dumps(value))
            for name, value in outputs.items()
        },
    )


def raised(claim: Claim, error: BaseException) -> Report:
    """The report of a function that raised: its traceback from the function on."""
    ours = error.__traceback__
    text = "".join(traceback.format_exception(type(error), error, ours.tb_next if ours else None))
    return failed(claim, text.rstrip()[-TAIL_CHARS:], retryable=not isinstance(error, PermanentError))


def failed(claim: Claim, error: str, *, retryable: bool) -> Report:
    """The report of a failure."""
    return Report(lease_id=claim.lease.lease_id, outcome="failure", error=clean(error), retryable=retryable)


async def pass_on(event: asyncio.Event, to: threading.Event) -> None:
    await event.wait()
    to.set()


P = TypeVar("P")


async def in_thread(function: Callable[[Claim, Job[Any]], P], claim: Claim, job: Job[Any]) -> P:
    """As asyncio.to_thread, in a daemon thread: a function that never returns must not hold up our exit."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[P] = loop.create_future()

    def set_result(result: P) -> None:
        if not done.done():
            done.set_result(result)

    def work() -> None:
        result = context.run(function, claim, job)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(set_result, result)

    context = contextvars.copy_context()
    threading.Thread(target=work, name=f"wfg-{job.job_id}", daemon=True).start()
    return await done
