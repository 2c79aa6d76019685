"""What a worker keeps from the commands that it runs: the secrets by which it came to its jobs."""

import ctypes
import os
import sys
from collections.abc import Container, Mapping

PRIVATE = frozenset(
    {
        "DATABASE_URL",
        "WFG_LISTEN_URL",
        "PGPASSWORD",
        "WFG_TOKEN",
        "WFG_API_TOKEN",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    }
)
PR_SET_DUMPABLE = 4


def for_commands(environment: Mapping[str, str] | None = None, passed: Container[str] = ()) -> dict[str, str]:
    """An environment, by default ours, without what is private, but for the names that are to be passed."""
    ours = os.environ if environment is None else environment
    return {name: value for name, value in ours.items() if name not in PRIVATE or name in passed}


def hide() -> None:
    """From processes of the same user, as commands are: /proc/PID/environ, memory, descriptors, core dumps.

    On Linux. Who may trace any process still can: root, where containers leave it that capability.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
