"""`wfg serve` and `wfg reaper`: the HTTP API with its chores, and the upkeep alone."""

import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from .log import LogForm, show_log
from .options import required
from .refusals import plain_errors
from .settings import Settings, SettingsError

# --- settings as options ---

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

TYPES: dict[object, click.ParamType[Any]] = {
    int: click.INT,
    int | None: click.INT,
    float: click.FLOAT,
    Path: click.Path(path_type=Path),
    LogForm: click.Choice(get_args(LogForm)),
}
# A secret is no option: everybody on a machine sees its command lines.
SETTINGS = [name for name, field in Settings.model_fields.items() if field.annotation != SecretStr | None]


UPKEEP = {
    *("database_url", "call_timeout_secs", "reap_interval_secs", "log"),
    *("prune_after_secs", "prune_keep_per_workflow", "prune_logs_after_secs"),
}


class SettingOption(click.Option):
    """Its help names the variable, but Settings reads it: what is no port is the default there."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        return None


def setting_options(names: Iterable[str]) -> Callable[[CommandT], CommandT]:
    """An option for each of these fields of Settings."""

    def add(command: CommandT) -> CommandT:
        for name in reversed([*names]):
            field = Settings.model_fields[name]
            dashed = name.replace("_", "-")
            unset = field.default in (PydanticUndefined, None, False)
            option = click.option(
                f"--{dashed}/--no-{dashed}" if field.annotation is bool else f"--{dashed}",
                cls=SettingOption,
                default=None,
                envvar=field.alias,
                show_envvar=True,
                type=click.IntRange(0, 65535) if name == "port" else TYPES.get(field.annotation),
                help=field.description if unset else f"{field.description} Default: {field.default}.",
            )
            command = option(command)
        return command

    return add


def read_settings(given: dict[str, Any]) -> Settings:
    """Options win over the environment."""
    given["database_url"] = required(given["database_url"] or os.environ.get("DATABASE_URL"))
    try:
        return Settings.read(**given)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None


# --- commands: what they need of a web server is imported when they run, for all others start faster so ---


@click.command()
@setting_options(SETTINGS)
def serve(**given: Any) -> None:
    """Serve the HTTP API, do the upkeep, load a folder's files.

    With --api-only, serve the API alone. A token that may do everything comes in WFG_API_TOKEN. SIGTERM or
    SIGINT lets requests end; a second one does not.
    """
    from . import serving

    settings = read_settings(given)
    show_log(logging.INFO, settings.log)
    with plain_errors():
        listening = serving.listen_as(settings)
        code = serving.run(
            lambda stopping: serving.serve(settings, listening, stopping, serving.announce),
        )
    raise click.exceptions.Exit(code)


@click.command()
@setting_options(name for name in SETTINGS if name in UPKEEP)
def reaper(**given: Any) -> None:
    """Do the upkeep alone, for servers with --api-only.

    It ends the leases that are over, and prunes if asked to, until a signal.
    """
    from . import serving

    settings = read_settings(given)
    show_log(logging.INFO, settings.log)
    with plain_errors():
        code = serving.run(lambda stopping: serving.reap(settings, stopping))
    raise click.exceptions.Exit(code)
