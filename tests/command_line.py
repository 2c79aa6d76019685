"""`wfg` as it is typed, in this process: much sooner there than a process of its own."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner, Result
from wfg.cli import main

OURS = ("DATABASE_URL", "SERVER_URL", "WFG_TOKEN", "FORCE_COLOR", "NO_COLOR")


def run_wfg(*arguments: str, cwd: Path | None = None, env: dict[str, str | None] | None = None) -> Result:
    """What it printed, and its exit code. Any other exception is raised: it would be a traceback."""
    environment = {**dict.fromkeys(OURS), "USER": "ada", **(env or {})}
    with unchanged_process(), contextlib.chdir(cwd or os.getcwd()):
        result = CliRunner().invoke(main, arguments, env=environment, prog_name="wfg")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@contextmanager
def unchanged_process() -> Iterator[None]:
    """Commands set up the log and the module path of a process that they take for theirs."""
    log, path = logging.getLogger("wfg"), [*sys.path]
    before = (log.handlers, log.level, log.propagate)
    try:
        yield
    finally:
        log.handlers, log.level, log.propagate = before
        sys.path[:] = path
