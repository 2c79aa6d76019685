"""`wfg token`: make, list and revoke tokens of the HTTP door. It speaks to the database, as its owner."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import click
from pydantic import TypeAdapter

from .client_output import console_of, instant, print_table, shown
from .db import Database, Value
from .options import Duration, database_option, json_option, print_answer, required
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
@click.option("--expires", type=Duration(), metavar="30d", help="After so many s, m, h or d. Default: never.")
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
        print_answer(json.dumps({**json.loads(answer), "token": text}))
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
        print_answer(answer)
        return
    console = console_of()
    rows = [
        (
            shown(each.name),
            each.scope,
            each.state,
            *(instant(ms, console) for ms in (each.created_at_ms, each.expires_at_ms, each.last_used_at_ms)),
        )
        for each in read_answer(TOKENS, answer)
    ]
    columns = ("NAME", "SCOPE", "STATE", "CREATED", "EXPIRES", "LAST USED")
    print_table(console, columns, rows, ("NAME",), ("LAST USED", "CREATED"))


@token.command()
@click.argument("name")
@json_option
@database_option
def revoke(name: str, as_json: bool, database_url: str | None) -> None:
    """Refuse the token called NAME from now on, for good."""
    answer = ask(database_url, "wfg_revoke_token", p_name=name)
    if as_json:
        print_answer(answer)
    else:
        click.echo(f"{name}: revoked")


def ask(database_url: str | None, function: str, /, **params: Value) -> str:
    dsn = required(database_url)

    async def call() -> str:
        async with Database(dsn) as database:
            return await database.call(function, **params)

    with plain_errors():
        return asyncio.run(call())
