"""`wfg token`: make, list and revoke tokens of the HTTP door. It speaks to the database, as its owner."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import click
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Column, Table

from .db import Database, Value
from .db_cli import database_option, required
from .refusals import plain_errors
from .tokens import new_token
from .transport import Wire, read_answer


class Token(Wire):
    """An item of wfg_list_tokens."""

    name: str
    scope: str
    state: str
    created_at_ms: int
    expires_at_ms: int | None
    last_used_at_ms: int | None


TOKENS = TypeAdapter(list[Token])

UNITS = {"m": "minutes", "h": "hours", "d": "days"}

json_option = click.option("--json", "as_json", is_flag=True, help="Print the engine's answer.")


class Duration(click.ParamType[timedelta]):
    """`12h`: a number of minutes, hours or days."""

    name = "duration"

    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"([0-9]{1,5})([mhd])", value)
        if found is None or not int(found[1]):
            self.fail(f"{value!r} is no time such as 45m, 12h or 30d", param, ctx)
        return timedelta(**{UNITS[found[2]]: int(found[1])})


@click.group()
def token() -> None:
    """Make, list and revoke tokens of the HTTP door."""


@token.command()
@click.argument("name")
@click.option(
    "--scope",
    required=True,
    type=click.Choice(["worker", "operator", "reader"]),
    help="worker: claim and report jobs. reader: look. operator: everything but making tokens.",
)
@click.option("--expires", type=Duration(), metavar="30d", help="After so many m, h or d. Default: never.")
@json_option
@database_option
def create(name: str, scope: str, expires: timedelta | None, as_json: bool, database_url: str | None) -> None:
    """Make a token called NAME. It is shown once: the database keeps its SHA-256 only."""
    text = new_token()
    answer = ask(
        database_url,
        "wfg_create_token",
        p_name=name,
        p_scope=scope,
        p_sha256=sha256(text.encode()).hexdigest(),
        p_expires_at=(datetime.now(UTC) + expires).isoformat() if expires else None,
    )
    if as_json:
        click.echo(json.dumps({**json.loads(answer), "token": text}))
        return
    click.echo(text)
    click.echo("Keep it: it is not shown again. Send it as Authorization: Bearer TOKEN.", err=True)


@token.command("list")
@json_option
@database_option
def list_(as_json: bool, database_url: str | None) -> None:
    """List all tokens, without their texts, which nobody has."""
    answer = ask(database_url, "wfg_list_tokens")
    if as_json:
        click.echo(answer)
        return
    table = Table(
        Column("NAME", overflow="fold"), "SCOPE", "STATE", "CREATED", "EXPIRES", "LAST USED", box=None
    )
    for each in read_answer(TOKENS, answer):
        times = (each.created_at_ms, each.expires_at_ms, each.last_used_at_ms)
        table.add_row(each.name, each.scope, each.state, *(time_of(ms) for ms in times))
    Console(markup=False, emoji=False).print(table)


@token.command()
@click.argument("name")
@json_option
@database_option
def revoke(name: str, as_json: bool, database_url: str | None) -> None:
    """Refuse the token called NAME from now on, for good."""
    answer = ask(database_url, "wfg_revoke_token", p_name=name)
    click.echo(answer if as_json else f"{name}: revoked")


def ask(database_url: str | None, function: str, /, **params: Value) -> str:
    dsn = required(database_url)

    async def call() -> str:
        async with Database(dsn) as database:
            return await database.call(function, **params)

    with plain_errors():
        return asyncio.run(call())


def time_of(epoch_ms: int | None) -> str:
    return "-" if epoch_ms is None else f"{datetime.fromtimestamp(epoch_ms / 1000, UTC):%Y-%m-%d %H:%M}Z"
