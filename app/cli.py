"""The command line: `wfg`."""

import difflib
import errno
import sys
from collections.abc import Callable
from importlib import import_module

import click

# Command -> its module, which is imported when it is wanted: each needs something large that others do not.
COMMANDS = {
    "dev": "dev_command",
    "run": "run_command",
    "simulate": "simulate_command",
    "validate": "validate_command",
    "serve": "serve_command",
    "reaper": "serve_command",
    "worker": "worker_command",
    "token": "token_command",
    "db": "db_cli",
    "put": "client_commands",
    "start": "client_commands",
    "rerun": "client_commands",
    "show": "client_commands",
    "logs": "client_commands",
    "cancel": "client_commands",
    "workers": "client_commands",
    "runs": "find_commands",
    "jobs": "find_commands",
    "queue": "find_commands",
    "top": "top_command",
    "pause": "pause_commands",
    "resume": "pause_commands",
    "freeze": "pause_commands",
    "thaw": "pause_commands",
    "pauses": "pause_commands",
    "doctor": "upkeep_commands",
    "limits": "limits_command",
    "prune": "upkeep_commands",
    "cron": "cron_commands",
    "completion": "client_commands",
}


class Commands(click.Group):
    """Those of COMMANDS."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except OSError as error:
            # Where the output goes: files that are read have no such trouble. A closed pipe, click knows.
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise
            raise click.ClickException(f"the output cannot be written: {error.strerror}") from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return getattr(import_module(f".{COMMANDS[cmd_name]}", __package__), cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        near = difflib.get_close_matches(args[0], COMMANDS)
        if args[0] not in COMMANDS and near:
            ctx.fail(f"No such command '{args[0]}'. Did you mean {' or '.join(near)}?")
        return super().resolve_command(ctx, args)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wfg")
def main() -> None:
    """Workflows inside Postgres."""
    reconfigure: Callable[..., None] | None = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")  # workflows and jobs may say what this terminal cannot
