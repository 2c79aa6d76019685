"""`wfg validate FILE`: what the engine has against a file."""

import asyncio
from pathlib import Path

import click
from rich.console import Console

from .db import Database
from .options import database_option, file_argument, lenient_option
from .refusals import plain_errors, problems_of, warnings_of
from .run_command import throwaway_database
from .workflow_file import WorkflowFile, read_workflow_file


@click.command()
@file_argument
@lenient_option
@database_option
def validate(file: Path, lenient: bool, database_url: str | None) -> None:
    """Say what is wrong with a workflow FILE.

    The engine says it: that of --database-url, else an embedded one that is gone afterwards.
    """
    with plain_errors():
        source = read_workflow_file(file)
        if database_url:
            answer = asyncio.run(ask(database_url, source, lenient))
        else:
            with throwaway_database(Console(stderr=True)) as dsn:
                answer = asyncio.run(ask(dsn, source, lenient))

        problems = problems_of(source, answer)
        for line in [*warnings_of(source, answer), *problems]:
            click.echo(line, err=True)
    if problems:
        raise click.exceptions.Exit(1)
    click.echo(f"{file}: valid")


async def ask(dsn: str, file: WorkflowFile, lenient: bool) -> str:
    """The answer of wfg_validate_workflow."""
    async with Database(dsn) as database:
        return await database.call("wfg_validate_workflow", p_definition=file.definition, p_lenient=lenient)
