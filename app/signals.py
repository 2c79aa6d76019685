"""What SIGINT and SIGTERM do to a process: the first one asks, the second one does not wait."""

import asyncio
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager


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


def exit_code(received: list[signal.Signals]) -> int:
    """0 for an end in order; else that of a process that a signal killed."""
    return 128 + received[-1] if len(received) > 1 else 0
