"""The HTTP door from outside: what commands call it with, and what its refusals and absence mean."""

import os
import re
import time
from collections.abc import Generator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self
from urllib.parse import quote

import click
import httpx
from pydantic import TypeAdapter, ValidationError

from .errors import EngineError, Unavailable, error_of
from .transport import Wire

DEFAULT_URL = "http://localhost:3000"
# Idle connections are given up before the server does so: a call on one that just closes would fail.
KEEP_IDLE_SECS = 3.0
MAX_RETRY_AFTER_SECS = 10.0
TOO_MANY_REQUESTS = 429
PATIENCE_SECS = 30.0  # with a server that says so
NOT_OURS = "Is this the address of a wfg server?"
SAME_CLOCK_SECS = 2.0  # a date has whole seconds, and the way takes time
TOKEN_ENV = "WFG_TOKEN"  # only there: a command line is for all to see


def server_url(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """`host:port` is http; `https://host/below` is fine."""
    url = value if "://" in value else f"http://{value}"
    if "@" in url.partition("://")[2].partition("/")[0]:  # first, for what is in it must not be shown
        raise click.BadParameter(f"what proves who you are is read from {TOKEN_ENV}", context, parameter)
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise click.BadParameter(f"{value!r}: {error}", context, parameter) from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise click.BadParameter(f"{value!r} is no address such as {DEFAULT_URL}", context, parameter)
    return url.rstrip("/")


server_option = click.option(
    "--server",
    envvar="SERVER_URL",
    metavar="URL",
    default=DEFAULT_URL,
    callback=server_url,
    show_default=True,
    show_envvar=True,
    help="The server.",
)


def token_of_environment() -> str | None:
    """The token to send, if there is one."""
    token = os.environ.get(TOKEN_ENV, "").strip()
    if not re.fullmatch(r"[!-~]*", token):
        raise click.UsageError(f"{TOKEN_ENV} is no token: it has characters that none has.")
    return token or None


class Refusal(Wire):
    """The body of an error."""

    message: str
    code: str | None = None
    details: str | None = None
    hint: str | None = None


REFUSAL = TypeAdapter(Refusal)


class Client:
    """Calls routes, for commands. `with Client(url, token) as client:`"""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        self._ahead_ms = 0.0  # the server's clock of ours
        with usable_environment():
            self.http = httpx.Client(
                base_url=url,
                headers=headers_of(token),
                timeout=httpx.Timeout(40.0, connect=5.0),
                limits=httpx.Limits(keepalive_expiry=KEEP_IDLE_SECS),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str | int | bool | None] | None = None,
        json: object = None,
        content: str | None = None,
    ) -> str:
        """The text of an answer. content: JSON that is text already. EngineError when it is refused.

        It waits as long as a server with too many requests asks for, within reason: nothing was done there.
        """
        given = {name: value for name, value in (params or {}).items() if value is not None}
        give_up_at = time.monotonic() + PATIENCE_SECS
        while True:
            try:
                response = self.http.request(
                    method,
                    path,
                    params=given or None,
                    json=json,
                    content=None if content is None else content.encode(),
                    headers=None if content is None else {"content-type": "application/json"},
                )
            except httpx.HTTPError as error:
                raise unreachable(self.url, error) from error
            self._ahead_ms = clock_ahead_ms(response.headers.get("date", ""))
            secs = retry_after_secs(response.headers.get("retry-after", ""))
            if response.status_code != TOO_MANY_REQUESTS or not secs or time.monotonic() + secs > give_up_at:
                return answer_of(response)
            time.sleep(secs)

    def now_ms(self) -> float:
        """The time at the server, by its last answer: epoch."""
        return time.time() * 1000 + self._ahead_ms


@contextmanager
def usable_environment() -> Generator[None]:
    """EngineError if what httpx reads in the environment cannot be used."""
    try:
        yield
    except (ImportError, OSError, ValueError) as error:
        hint = "Look at ALL_PROXY, HTTP_PROXY, HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR."
        raise error_of(400, "unusable_environment", str(error), hint) from error


def headers_of(token: str | None) -> dict[str, str]:
    """Those of every request."""
    return {"user-agent": "wfg", **({"authorization": f"Bearer {token}"} if token else {})}


def path_of(*parts: str) -> str:
    """`/api/…`: ids may hold anything, a slash too, or be what means another folder."""
    quoted = (quote(part, safe="") for part in parts)
    return "/api/" + "/".join(part.replace(".", "%2E") if set(part) == {"."} else part for part in quoted)


def answer_of(response: httpx.Response) -> str:
    """The body of a success, which is JSON; else the refusal is raised."""
    if not response.is_success:
        raise refusal_of(response)
    kind = response.headers.get("content-type", "nothing")
    if not kind.startswith("application/json"):
        # No refusal, for the call may have arrived: a proxy says what it likes while a server is away.
        raise error_of(502, "unexpected_answer", f"{kind} of {response.request.url}", NOT_OURS)
    return response.text


def clock_ahead_ms(date: str) -> float:
    """How far a clock that has just said so is ahead of ours; one that differs by little is the same."""
    try:
        ahead = parsedate_to_datetime(date).timestamp() - time.time()
    except ValueError:
        return 0.0
    return ahead * 1000 if abs(ahead) > SAME_CLOCK_SECS else 0.0


def refusal_of(response: httpx.Response) -> EngineError:
    """The four fields; of a body without them, as proxies send it, what its status says."""
    status = response.status_code
    try:
        found = REFUSAL.validate_json(response.content)
    except ValidationError:
        hint = None if status >= 500 else NOT_OURS
        if response.has_redirect_location:
            hint = f"It sends callers to {response.headers['location']}: is that the address?"
        details = f"{status} {response.reason_phrase} of {response.request.url}"
        error = error_of(status, "unexpected_answer", details, hint)
    else:
        error = error_of(status, found.message, found.details, found.hint, code=found.code)
    if status == 401:
        error.hint = "Set WFG_TOKEN to a token of this server."
    if isinstance(error, Unavailable):
        error.retry_after_secs = retry_after_secs(response.headers.get("retry-after", ""))
    return error


def retry_after_secs(value: str) -> float:
    """What a Retry-After in seconds says, within reason. One with a date says nothing."""
    return min(float(value), MAX_RETRY_AFTER_SECS) if value.isdecimal() else 0.0


def unreachable(url: str, error: httpx.HTTPError) -> EngineError:
    """Nobody answered, or not to the end."""
    return error_of(
        503,
        "server_unreachable",
        f"{url}: {error or type(error).__name__}",
        "Start a server by `wfg dev` or `wfg serve`, or say where there is one: --server, or SERVER_URL.",
    )
