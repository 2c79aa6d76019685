"""`wfg limits`: how large what may be. It speaks to the database, as its owner."""

import click
from pydantic import TypeAdapter

from .client_output import console_of, print_table, shown
from .options import database_option, json_option, print_answer
from .token_command import ask
from .transport import Wire, read_answer


class Limit(Wire):
    """An item of wfg_list_limits."""

    name: str
    value: int
    default: int
    least: int
    most: int
    description: str


class Limits(Wire):
    items: list[Limit]


COMMANDLINE = click.core.ParameterSource.COMMANDLINE
LIMIT = TypeAdapter(Limit)
LIMITS = TypeAdapter(Limits)


@click.group(invoke_without_command=True)
@json_option
@database_option
@click.pass_context
def limits(context: click.Context, as_json: bool, database_url: str | None) -> None:
    """List the limits: how many jobs, how many bytes. Set one, or reset it to its default."""
    if context.invoked_subcommand is not None:
        given = [name for name in context.params if context.get_parameter_source(name) is COMMANDLINE]
        if given:
            raise click.UsageError(f"write the options after {context.invoked_subcommand}")
        return
    answer = ask(database_url, "wfg_list_limits")
    if as_json:
        print_answer(answer)
        return
    rows = [
        (
            shown(each.name),
            *(str(number) for number in (each.value, each.default, each.least, each.most)),
            shown(each.description),
        )
        for each in read_answer(LIMITS, answer).items
    ]
    columns = ("NAME", "VALUE", "DEFAULT", "LEAST", "MOST", "WHAT")
    print_table(console_of(), columns, rows, ("WHAT",), ("LEAST", "DEFAULT"))


@limits.command("set")
@click.argument("name")
@click.argument("value", type=int)
@json_option
@database_option
def set_(name: str, value: int, as_json: bool, database_url: str | None) -> None:
    """Let the limit called NAME be VALUE, from the next call on."""
    change(database_url, name, value, as_json)


@limits.command()
@click.argument("name")
@json_option
@database_option
def reset(name: str, as_json: bool, database_url: str | None) -> None:
    """Let the limit called NAME be its default again."""
    change(database_url, name, None, as_json)


def change(database_url: str | None, name: str, value: int | None, as_json: bool) -> None:
    answer = ask(database_url, "wfg_set_limit", p_name=name, p_value=value)
    if as_json:
        print_answer(answer)
    else:
        click.echo(f"{name}: {read_answer(LIMIT, answer).value}")
