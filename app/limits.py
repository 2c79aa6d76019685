"""Who calls too often is told to wait, before anything of the call is read; others are not slowed by it.

Counted in this process: each token by itself, and together all those of an address who have shown none that
was accepted, for of guesses there are any number.
"""

import asyncio
import ipaddress
import time
from collections.abc import Callable
from functools import lru_cache
from math import ceil
from typing import Any, cast

from litestar.types import ASGIApp, Receive, Scope, Send

from .asgi import JSON_TYPE, answer
from .db import Credential
from .errors import EngineError, error_of
from .metrics import Meters
from .tokens import TOKEN_HEADERS, Gate

# What calls the engine. All else is answered from memory, and costs no more than to refuse it.
CALLS = ("/api/", "/rest/", "/metrics")
# About leases: who begins too much must not lose by it what was begun.
LEASES = (
    *("/heartbeat", "/complete", "/fail", "/release", "/report-many"),
    *("/wfg_renew_lease", "/wfg_complete_job", "/wfg_fail_job", "/wfg_release_job", "/wfg_report_jobs"),
)

BURST_SECS = 1.0
TINY_SECS = 1e-6  # what adding many of 1 / rate may be wrong by
MAX_ACCOUNTS = 10_000  # of tokens, and of addresses
TIDY_SECS = 10.0
OPEN_RETRY_SECS = 1.0
HOLD_SECS = 1.0
HELD_RATE = 1000  # where none is set


class Account:
    """What a token uses, or all strangers of an address.

    open: requests under way. rested_at: when all that was used is there again. calm_at: the same of refusals.
    """

    __slots__ = ("calm_at", "limited", "open", "rested_at")

    def __init__(self, *, limited: bool = True) -> None:
        self.limited = limited
        self.open = 0
        self.rested_at = 0.0
        self.calm_at = 0.0


class Limits:
    """What accounts may use, and whose they are. A tenth of each is kept for calls about leases.

    rate: requests per second. at_once: requests under way. 0: any number. clock: seconds.
    """

    def __init__(self, rate: int, at_once: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self.at_once = at_once
        self._clock = clock
        self._step = 1 / rate if rate else 0.0
        self._burst_secs = BURST_SECS + TINY_SECS
        self._kept_secs = max(rate // 10, 1) * self._step if rate > 1 else 0.0
        self._known: dict[bytes | None, Account] = {b"": Account()}
        self._strangers: dict[str, Account] = {}
        self._crowd = Account()  # of all addresses beyond those that are told apart
        self._tidy_at = 0.0

    def account_of(self, credential: Credential, peer: tuple[str, int] | None) -> Account:
        account = self._known.get(key_of(credential))
        if account is None:
            address = address_of(peer[0] if peer else "")
            account = self._strangers.get(address)
            if account is None:
                account = Account() if self._has_place(self._strangers) else self._crowd
                if account is not self._crowd:
                    self._strangers[address] = account
        return account

    def judged(self, credential: Credential, refusal: EngineError | None) -> None:
        """The engine said what it thinks of a credential; one that it refused is a stranger's, as before."""
        key = key_of(credential)
        if refusal is None or (refusal.status < 500 and refusal.status != 401):
            if key not in self._known and self._has_place(self._known):
                self._known[key] = Account(limited=key is not None)  # no token is needed, as there are none
        elif refusal.status == 401:
            self._known.pop(key, None)

    def wait_secs(self, account: Account, *, for_lease: bool) -> float:
        """0: one more request is made. Else in how many seconds it may be."""
        if not (self.rate and account.limited):
            return 0.0
        now = self._clock()
        rested_at = max(account.rested_at, now) + self._step
        wait_secs = rested_at - now - self._burst_secs + (0.0 if for_lease else self._kept_secs)
        if wait_secs > 0:
            return wait_secs
        account.rested_at = rested_at
        return 0.0

    def hold_secs(self, account: Account) -> float:
        """How long to keep a refusal back: at once come as many in a second as there may be requests.

        Who asks again at each answer would else have a whole process at work with refusals.
        """
        now = self._clock()
        calm_at = max(account.calm_at, now) + (self._step or 1 / HELD_RATE)
        account.calm_at = min(calm_at, now + BURST_SECS + HOLD_SECS)
        return max(account.calm_at - now - self._burst_secs, 0.0)

    def has_room(self, account: Account, *, for_lease: bool) -> bool:
        """For one more request under way."""
        if not (self.at_once and account.limited):
            return True
        return account.open < self.at_once - (0 if for_lease else self.at_once // 10)

    def _has_place(self, accounts: dict[Any, Account]) -> bool:
        """For one more. Strangers who rest are forgotten soon, tokens only when there are very many."""
        now = self._clock()
        if now >= self._tidy_at:
            self._tidy_at = now + TIDY_SECS
            forget_resting(self._strangers, now)
            if len(self._known) >= MAX_ACCOUNTS:
                forget_resting(self._known, now)
        return len(accounts) < MAX_ACCOUNTS


def forget_resting(accounts: dict[Any, Account], now: float) -> None:
    for key in [k for k, each in accounts.items() if k and not each.open and each.rested_at <= now]:
        del accounts[key]


def key_of(credential: Credential) -> bytes | None:
    """b"": the bootstrap token. None: no token."""
    return b"" if credential.vouched else credential.sha256


@lru_cache(maxsize=1000)
def address_of(host: str) -> str:
    """Who has one address of IPv6 has 2^64 of them."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return host
    mapped = address.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.ip_network((address, 64), strict=False))


class Limited:
    """Around the routes: who calls, in the scope as wfg.credential and wfg.account, and whether they may."""

    def __init__(self, app: ASGIApp, gate: Gate, limits: Limits, meters: Meters) -> None:
        self.app = app
        self.gate = gate
        self.limits = limits
        self.meters = meters
        whose = "of one token, or of one address without a good one"
        self._too_often = error_of(
            429,
            "too_many_requests",
            f"WFG_REQUESTS_PER_SEC: {limits.rate} a second {whose}",
            "Wait for as long as retry-after says. Claim and report many jobs by one call.",
        ).body()
        self._too_many = error_of(
            429,
            "too_many_requests",
            f"WFG_OPEN_REQUESTS: {limits.at_once} at a time {whose}",
            "Wait for answers, and close streams that nobody reads.",
        ).body()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(CALLS):
            await self.app(scope, receive, send)
            return

        limits = self.limits
        credential = self.gate.credential(token_headers(scope))
        account = limits.account_of(credential, scope["client"])
        for_lease = scope["path"].endswith(LEASES)
        if not limits.has_room(account, for_lease=for_lease):
            await self._refuse(account, send, "open", self._too_many, OPEN_RETRY_SECS)
            return
        if secs := limits.wait_secs(account, for_lease=for_lease):
            await self._refuse(account, send, "rate", self._too_often, secs)
            return

        cast("Any", scope).update({"wfg.credential": credential, "wfg.account": account})
        account.open += 1
        try:
            await self.app(scope, receive, send)
        finally:
            account.open -= 1

    async def _refuse(self, account: Account, send: Send, limit: str, body: bytes, secs: float) -> None:
        self.meters.refused.add(limit)
        if hold_secs := self.limits.hold_secs(account):
            await asyncio.sleep(hold_secs)
        headers = [
            JSON_TYPE,
            (b"content-length", str(len(body)).encode()),
            (b"retry-after", str(ceil(secs)).encode()),
        ]
        await answer(send, 429, headers, body)


def token_headers(scope: Any) -> dict[str, str]:
    """Of each name the first."""
    return {
        name.decode(): value.decode("latin-1")
        for name, value in reversed(scope["headers"])
        if name in TOKEN_HEADERS
    }
