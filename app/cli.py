"""The command line: `wfg`."""

import click

from .client_commands import CLIENT_COMMANDS
from .db_cli import db
from .dev_command import dev
from .run_command import run
from .serve_command import reaper, serve
from .token_command import token
from .validate_command import validate
from .worker_command import worker


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wfg")
def main() -> None:
    """Workflows inside Postgres."""


for command in (dev, run, validate, serve, reaper, worker, token, db):
    main.add_command(command)
for command in CLIENT_COMMANDS:
    main.add_command(command)
