"""What SIGINT and SIGTERM do to a process: the first one asks, the second one does not wait."""

import asyncio
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def handling_signals(
    first: Callable[[signal.Signals], object], second: Callable[[], object]
) -> Generator[list[signal.Signals]]:
    """What the first and the second one do, the third is beyond us; those received so far."""
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []

    def on_signal(number: signal.Signals) -> None:
        received.append(number)
        if len(received) == 1:
            first(number)
        else:
            ignore()
            second()

    def ignore() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield received
    finally:
        ignore()


@contextmanager
def interrupted_afterwards() -> Generator[None]:
    """An interrupt in the block is raised at its end, a second one at once.

    Raised where it happens to come, Python may drop it, and print that: amid an import, in a callback of a
    weak reference.
    """
    pressed = 0

    def on_interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        pressed += 1
        if pressed > 1:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    except Exception:
        if not pressed:
            raise
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


def exit_code(received: list[signal.Signals]) -> int:
    """0 for an end in order; else that of a process that a signal killed."""
    return 128 + received[-1] if len(received) > 1 else 0
