"""The RPC door says what the function says: every function, with right and wrong arguments, in every form."""

import json
import random
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import httpx
import psycopg
import pytest
from wfg.calls import refuse_constant

from tests.arrange import chunk
from tests.engine import Engine, as_text
from tests.fuzz import Function, Target, sample
from tests.http_fuzz import World
from tests.serving import serving

RPC = "/rest/v1/rpc/"
FORM = "application/x-www-form-urlencoded"
LONGEST_QUERY = 8000

# What the door refuses before it looks for a function, or could call it.
READ_ONLY = (405, "25006")
NO_JSON = (400, "PGRST102")
NO_FUNCTION = (404, "PGRST202")
FORBIDDEN = (403, "PT403 scope_missing")
OWNERS = {"wfg_create_token", "wfg_list_tokens", "wfg_revoke_token", "wfg_set_limit"}  # no token is for these


class Door:
    """A server, and the functions behind it: what both say is compared."""

    def __init__(self, dsn: str, http: httpx.Client, number: int) -> None:
        self.http = http
        self.random = random.Random(number)
        self.target = Target(dsn)
        self.engine = Engine(dsn)
        self.world = World(self.engine)
        self.volatile = {
            row["name"]
            for row in self.engine.query(
                "select p.proname as name from pg_proc p"
                " where p.pronamespace = 'public'::regnamespace and p.provolatile = 'v'"
            )
        }
        self.verdicts: Counter[tuple[int, str]] = Counter()
        self.objections: dict[tuple[str, ...], str] = {}

    def close(self) -> None:
        self.target.engine.close()
        self.engine.close()

    def right(self, function: Function) -> dict[str, Any]:
        """Arguments that are right now: ids of what is there."""
        self.world.use()
        lease = self.world.ids["lease_id"][0]
        now = {
            "p_lease_id": lease,
            "p_run_id": self.world.ids["run_id"][0],
            "p_run_ids": self.world.ids["run_id"],
            "p_chunks": [chunk(self.world.claims[lease], 1)],
            "p_reports": [{"lease_id": lease, "outcome": "success"}],
        }
        right = self.target.right(function)
        if function.name == "wfg_rerun_run":
            now["p_run_id"] = self.world.ids["run_id"][3]
        return {**right, **{name: now[name] for name in right.keys() & now.keys()}}

    def try_right(self, function: Function) -> None:
        for form in FORMS:
            self.compare(function, self.right(function), form)
        optional = self.random.sample(sorted(function.optional), len(function.optional) // 2)
        left = {name: value for name, value in self.right(function).items() if name not in optional}
        self.compare(function, left, self.random.choice(list(FORMS)))

    def try_wrong(self, function: Function, count: int) -> None:
        seed = self.random.random()
        for name, title, make in sample(
            list(self.target.one_wrong(function)), f"{function.name} {seed}", count
        ):
            arguments = {**self.right(function), name: make()}
            self.compare(function, arguments, self.random.choice(list(FORMS)), f"{name} {title}")
        for name in function.arguments:
            left = {key: value for key, value in self.right(function).items() if key != name}
            self.compare(function, left, self.random.choice(list(FORMS)), f"without {name}")

    def compare(self, function: Function, arguments: Mapping[str, Any], form: str, title: str = "") -> None:
        """The same call of the function itself, undone, and at the door."""
        given = {name: as_text(value) for name, value in arguments.items()}
        if form == "json":  # where null is NULL
            given = {name: None if is_null(function, name, value) else value for name, value in given.items()}
        sent = FORMS[form](function, given)
        if sent is None:
            return
        own = self.verdict(function, given, reading=form == "query")
        if form == "json" and has_half_pairs(sent["content"]):
            own = NO_JSON
        response = self.http.request(url=RPC + function.name, **sent)
        try:
            answer = response.json()
            found = (response.status_code, "" if response.status_code == 200 else answer["code"])
            if found[0] != 200:
                assert list(answer) == ["code", "message", "details", "hint"]
                if found[1].startswith("PT"):
                    found = (found[0], f"{found[1]} {answer['message']}")
        except (ValueError, KeyError, AssertionError) as error:
            found = (response.status_code, f"no JSON of ours: {error!r}")
        self.verdicts[found] += 1
        if found != own or found[0] >= 500:
            kind = (function.name, form, str(own), str(found))
            where = f"{title} {str(sent)[:500]}"
            self.objections.setdefault(kind, f"{' | '.join(kind)}\n{where}\n{response.text[:300]}")

    def verdict(
        self, function: Function, given: Mapping[str, str | None], *, reading: bool
    ) -> tuple[int, str]:
        """What the function says, as the door is to say it."""
        if not set(function.arguments) - function.optional <= given.keys():
            return NO_FUNCTION
        if reading and function.name in self.volatile:
            return READ_ONLY
        try:
            with self.engine.connection.transaction(force_rollback=True):
                self.engine.call(function.name, **given)
        except psycopg.Error as error:
            state, message = error.sqlstate or "22P05", error.diag.message_primary
            if not state.startswith("PT"):
                return 400, state  # before it is asked who calls
            found = int(state[2:]), f"{state} {message}"
        else:
            found = 200, ""
        return FORBIDDEN if function.name in OWNERS else found


def as_json(function: Function, given: Mapping[str, str | None]) -> dict[str, Any] | None:
    """JSON arguments as they are, the others as texts; only what is JSON can be in JSON."""
    members = []
    for name, value in given.items():
        if value is not None and function.arguments[name] in ("json", "jsonb"):
            try:
                json.loads(value, parse_constant=refuse_constant)
            except (ValueError, RecursionError):
                return None
        else:
            value = json.dumps(value, ensure_ascii=False)
        members.append(f"{json.dumps(name)}: {value}")
    body = f"{{{', '.join(members)}}}"
    return {"method": "POST", "content": body.encode(), "headers": {"content-type": "application/json"}}


def is_null(function: Function, name: str, value: str | None) -> bool:
    return value is None or (value == "null" and function.arguments[name] in ("json", "jsonb"))


def has_half_pairs(body: bytes) -> bool:
    """Which JSON of Postgres may have, and that of the door may not."""
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def as_query(_: Function, given: Mapping[str, str | None]) -> dict[str, Any] | None:
    """There is no null in a query."""
    query = urlencode({name: value for name, value in given.items() if value is not None})
    if None in given.values() or len(query) > LONGEST_QUERY:
        return None
    return {"method": "GET", "params": query}


def as_form(_: Function, given: Mapping[str, str | None]) -> dict[str, Any] | None:
    if None in given.values():
        return None
    return {"method": "POST", "content": urlencode(given).encode(), "headers": {"content-type": FORM}}


FORMS: dict[str, Callable[[Function, Mapping[str, str | None]], dict[str, Any] | None]] = {
    "json": as_json,
    "query": as_query,
    "form": as_form,
}


@pytest.fixture
def make_door(new_database: Callable[..., str], template: str) -> Iterator[Callable[[int], Door]]:
    """make_door(seed)"""
    dsn = new_database(template)
    doors = []
    with serving(dsn, api_token="fuzz", max_body_bytes=2**24) as http:
        http.headers["authorization"] = "Bearer fuzz"

        def make(seed: int) -> Door:
            print(f"seed {seed}")
            doors.append(Door(dsn, http, seed))
            return doors[-1]

        yield make
    for door in doors:
        door.engine.check()
        door.close()


def compare_all(door: Door, count: int) -> None:
    for function in door.target.functions.values():
        door.try_right(function)
        door.try_wrong(function, count)
    print(f"{door.verdicts.total()} calls: {dict(door.verdicts.most_common())}")
    assert not door.objections, "\n\n".join(["", *door.objections.values()])
    assert {status for status, _ in door.verdicts} >= {200, 400, 404, 405, 409, 422}


def test_door_says_what_the_function_says(make_door: Callable[[int], Door]) -> None:
    compare_all(make_door(int(datetime.now(UTC).strftime("%Y%m%d"))), 2)


@pytest.mark.nightly
def test_door_says_what_the_function_says_at_length(make_door: Callable[[int], Door]) -> None:
    compare_all(make_door(secrets.randbelow(10**8)), 150)
