"""The server's settings: one frozen model, read from the environment."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from .log import LogForm


class SettingsError(Exception):
    """An environment variable that cannot be meant so; the text names it."""


def _port(value: object) -> object:
    """As workflow-graph has it: what is no port means the default."""
    text = str(value).strip()
    return int(text) if text.isdecimal() and int(text) <= 65535 else 3000


def _switch(value: object) -> object:
    return value.strip().lower() in ("1", "true", "yes", "on") if isinstance(value, str) else value


def _origins(value: object) -> object:
    """`a, b`: a tuple of origins, or of a star alone. None: not said."""
    if not isinstance(value, str):
        return value
    origins = tuple(part.strip() for part in value.split(",") if part.strip())
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^\s/?#@]+", origin):
            raise ValueError(f"{origin!r} is no origin; one looks like https://app.example.com")
    return ("*",) if "*" in origins else origins or None


Switch = Annotated[bool, BeforeValidator(_switch)]


class Settings(BaseModel):
    """Each field is the environment variable that its alias names; docs/http.md has the table."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    database_url: str = Field(
        min_length=1,
        repr=False,
        alias="DATABASE_URL",
        description="postgresql://…, or whatever libpq understands.",
    )
    listen_url: str | None = Field(
        None,
        repr=False,
        alias="WFG_LISTEN_URL",
        description="For LISTEN, past a pooler. Default: DATABASE_URL.",
    )
    host: str = Field("127.0.0.1", alias="HOST", description="The address to listen on.")
    port: Annotated[int, BeforeValidator(_port)] = Field(
        3000, alias="PORT", description="If taken, the next 100 are tried, then any that is free. 0: any."
    )
    api_only: Switch = Field(False, alias="API_ONLY", description="No upkeep, and no files are loaded.")
    workflows_dir: Path = Field(
        Path("workflows"), alias="WORKFLOWS_DIR", description="Its workflow files are loaded, and reloaded."
    )
    lenient: Switch = Field(
        False, alias="WORKFLOWS_LENIENT", description="Unknown keys of files are warnings."
    )
    cors_origins: Annotated[tuple[str, ...] | None, BeforeValidator(_origins)] = Field(
        None,
        alias="CORS_ORIGINS",
        description="Comma-separated. Unset: every origin, with a token; *: without one, too.",
    )
    reap_interval_secs: float = Field(
        5.0, gt=0, le=86400, alias="REAP_INTERVAL_SECS", description="Seconds between two upkeeps."
    )
    prune_after_secs: int | None = Field(
        None,
        ge=0,
        le=3155760000,
        alias="PRUNE_AFTER_SECS",
        description="Runs that ended so many seconds ago are deleted. Unset: never.",
    )
    prune_keep_per_workflow: int = Field(
        0,
        ge=0,
        le=1000000,
        alias="PRUNE_KEEP_PER_WORKFLOW",
        description="But not the newest so many of each workflow.",
    )
    prune_logs_after_secs: int | None = Field(
        None,
        ge=0,
        le=3155760000,
        alias="PRUNE_LOGS_AFTER_SECS",
        description="Their logs are deleted before them, after so many. Unset: with their run.",
    )
    api_token: SecretStr | None = Field(
        None, alias="WFG_API_TOKEN", description="A token that may do everything."
    )
    insecure: Switch = Field(
        False, alias="WFG_INSECURE", description="Listen beyond this machine though there is no token."
    )
    db_connections: int = Field(
        10, ge=1, le=1000, alias="WFG_DB_CONNECTIONS", description="Connections for requests, at most."
    )
    requests_per_sec: int = Field(
        1000,
        ge=0,
        le=1000000,
        alias="WFG_REQUESTS_PER_SEC",
        description="Of one token; so many at once after a pause. More are answered 429. 0: any number.",
    )
    open_requests: int = Field(
        2000,
        ge=0,
        le=1000000,
        alias="WFG_OPEN_REQUESTS",
        description="Of one token at a time, streams and claims that wait too. 0: any number.",
    )
    call_timeout_secs: float = Field(
        30.0, gt=0, le=3600, alias="WFG_CALL_TIMEOUT_SECS", description="Seconds of one call of a function."
    )
    max_body_bytes: int = Field(
        2 * 1024 * 1024, ge=1024, alias="WFG_MAX_BODY_BYTES", description="Of a request."
    )
    log: LogForm = Field("plain", alias="WFG_LOG", description="json: an object a line.")
    access_log: Switch = Field(
        False, alias="WFG_ACCESS_LOG", description="A line in the log for each request."
    )

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None, **given: object) -> Self:
        """From the environment, by default ours; what is given wins. SettingsError names the variable."""
        names = {name: str(field.alias) for name, field in cls.model_fields.items()}
        found = os.environ if environment is None else environment
        values: dict[str, object] = {
            alias: found[alias] for alias in names.values() if found.get(alias, "").strip()
        }
        values |= {names[name]: value for name, value in given.items() if value is not None}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise SettingsError(f"{first['loc'][0]}: {first['msg']}") from None
