"""Tokens: what they look like, and what of one is kept: its SHA-256. The text never reaches the database."""

import hmac
import secrets
from collections.abc import Mapping
from hashlib import sha256

from pydantic import SecretStr

from .db import Credential, Database
from .errors import EngineError, error_of
from .visitors import Visitors

PREFIX = "wfg_"  # so that people, and scanners of repositories, know one when they see it
TOKEN_HEADERS = (b"authorization", b"apikey")


def new_token() -> str:
    """256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def bearer_of(headers: Mapping[str, str]) -> bytes | None:
    """The token of a request: of Authorization, else of apikey, which clients of Supabase send."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        token = headers.get("apikey", "")
    return token.strip().encode("latin-1") or None


class Gate:
    """Whom requests are made for.

    bootstrap: WFG_API_TOKEN, which no table knows. visitors: who needs no token while there is none.
    guarded: nobody is let in without a token.
    """

    def __init__(
        self, bootstrap: SecretStr | None, visitors: Visitors | None = None, *, guarded: bool = False
    ) -> None:
        self._visitors = visitors or Visitors()
        self._guarded = guarded or bootstrap is not None
        self._bootstrap = sha256(bootstrap.get_secret_value().encode()).digest() if bootstrap else None

    def credential(self, headers: Mapping[str, str]) -> Credential:
        """Not yet checked, but for the bootstrap token: wfg.authorize does, in the statement of the call."""
        token = bearer_of(headers)
        if token is None:
            return Credential(None)
        digest = sha256(token).digest()
        if self._bootstrap is not None and hmac.compare_digest(digest, self._bootstrap):
            return Credential(None, vouched=True)
        return Credential(digest)

    def check(self, credential: Credential, headers: Mapping[str, str]) -> None:
        """Refuse who carries no token, and is not let in without one.

        On a guarded server that is everybody: the table of tokens may be empty, as it is after a downgrade to
        a revision before it, and then lets all in. On others it is strangers.
        """
        if credential != Credential(None):
            return
        if self._guarded:
            raise error_of(
                401,
                "token_missing",
                "The request carries no token.",
                "Send the header Authorization: Bearer TOKEN.",
            )
        if objection := self._visitors.objection(headers):
            raise error_of(
                401,
                "token_missing",
                f"The request carries no token. {objection}",
                "Send the header Authorization: Bearer TOKEN; or name the origin in CORS_ORIGINS.",
            )


async def has_tokens(database: Database) -> bool:
    """Whether requests without a token are refused: there is one, or there was."""
    try:
        await database.call("wfg_health", Credential(None))
    except EngineError as error:
        if error.message == "token_missing":
            return True
        raise
    return False
