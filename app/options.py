"""Options and arguments that several commands have."""

import re
from datetime import timedelta
from pathlib import Path

import click

EXIT_CODES = {"success": 0, "failure": 1, "cancelled": 130}

file_argument = click.argument("file", type=click.Path(path_type=Path))
lenient_option = click.option(
    "--lenient", is_flag=True, help="Warn of unknown keys instead of refusing them."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the answer as it is.")
database_option = click.option(
    "--database-url",
    envvar="DATABASE_URL",
    metavar="URL",
    help="The database: postgresql://…, or whatever libpq understands. Default: $DATABASE_URL.",
)


UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def span(text: str) -> timedelta | None:
    """`12h`: a number of seconds, minutes, hours or days."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    try:
        return None if found is None else timedelta(**{UNITS[found[2]]: int(found[1])})
    except OverflowError:
        return None


class Duration(click.ParamType[timedelta]):
    """As span has it."""

    name = "duration"

    def __init__(self, *, zero: bool = False) -> None:
        self._zero = zero

    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        found = value if isinstance(value, timedelta) else span(value)
        if found is None or not (found or self._zero):
            self.fail(f"{value!r} is no time such as 45m, 12h or 30d", param, ctx)
        return found


class CommaSeparated(click.ParamType["list[str] | list[int]"]):
    """`a,b`: a list of texts, or of whole numbers."""

    name = "list"

    def __init__(self, *, numbers: bool = False) -> None:
        self._numbers = numbers

    def convert(
        self, value: str | list[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> list[str] | list[int]:
        if isinstance(value, list):
            return value
        parts = [part.strip() for part in value.split(",") if part.strip()]
        if not self._numbers:
            return parts
        try:
            return [int(part) for part in parts]
        except ValueError:
            self.fail(f"{value!r} is no list of whole numbers", param, ctx)


def required(url: str | None) -> str:
    if not url:
        raise click.UsageError("Which database? Set DATABASE_URL, or give --database-url.")

    import psycopg  # here: commands that ask a server start without it

    from .db import check_address

    try:
        check_address(url)
    except psycopg.ProgrammingError as error:
        raise click.UsageError(f"DATABASE_URL: {error}") from None
    return url


def name_and_value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name):
        raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE", param_hint="--input")
    return name, value


def print_answer(answer: str) -> None:
    """JSON as it came: UTF-8, whatever the terminal's encoding."""
    click.echo(answer.encode())
