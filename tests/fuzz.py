"""Hostile arguments for any function of the API, and the caller that judges what came of them."""

import json
import random
import re
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from hypothesis import strategies as st

from tests.arrange import CANNOT_CAST, NO_IDS, START, chunk, no_leases, run_workflow
from tests.engine import Engine, Raw, as_text, lease_id

# A value as sent, made when it is needed: all of them would be a gigabyte.
Value = Callable[[], str | None]

# Where in a document.
Place = tuple[str | int, ...]

README = Path(__file__).parent.parent / "sql" / "README.md"

# What Postgres itself says of an argument; also of a time zone, and of JSON too deep for its parser's stack.
CAST = CANNOT_CAST | {"22009", "54001"}

MEGABYTE = 1_000_000

# Within so many seconds any call with a hostile value is answered. The slowest, a definition with a key of a
# megabyte, takes a tenth of that.
SECONDS = 5

# What does not compress finds what is put into an index without a limit.
NOISE = "".join(random.Random(0).choices(string.ascii_letters, k=MEGABYTE))

# --- texts ---

TEXTS: dict[str, str] = {
    **{name: value for name, value in NO_IDS.items() if value is not None},
    "a space": " ",
    "control characters": "".join(chr(code) for code in range(1, 32)) + "\x7f\x80\x9f",
    "line ends": "a\r\nb\u2028c\u2029d\u0085e",
    "right to left": "\u202eabc\u202c \u05d0\u05d1 \u0627\u0644",
    "combining": "e\u0301\u0327" + "\u0308" * 50,
    "a flag, a family": "\U0001f1eb\U0001f1f7 \U0001f469\u200d\U0001f469\u200d\U0001f467",
    "the last plane": "\U0010fffd\U000f0000\ufffe\uffff",
    "quotes": "'\"`$$ $(id) \\ ' -- /* */ {}",
    "a null in text": "\\u0000 \\x00",
    "formats": "%s %I %1$s {0} ${x}",
    "a megabyte of emoji": "\U0001f600" * (MEGABYTE // 4),
    "a megabyte of noise": NOISE,
    "3000 characters of noise": NOISE[:3000],
    "zero": "0",
    "a huge number": "9" * 1000,
    "not a number": "NaN",
    "a word of JSON": "null",
    "a byte order mark": "\ufeff",
    "a word of state": "active",
}

# --- JSON, as text: most of it no JSON library would write ---

VALUES: dict[str, str] = {
    "null": "null",
    "true": "true",
    "0": "0",
    "-1": "-1",
    "0.5": "0.5",
    "-0.0": "-0.0",
    "1.0": "1.0",
    "2147483648": "2147483648",
    "9223372036854775808": "9223372036854775808",
    "1e400": "1e400",
    "1e-400": "1e-400",
    "1e20000": "1e20000",
    "a thousand digits": "1" * 1000,
    "130000 digits": "1" * 130_000,
    "a number as a text": '"3"',
    "empty": '""',
    "empty object": "{}",
    "empty array": "[]",
    "array of arrays": "[[[]]]",
    "object of objects": '{"a":{"a":{"a":{}}}}',
    "empty key": '{"":""}',
    "the same key twice": '{"a":"1","a":{"b":[]},"a":"3"}',
    "strange keys": json.dumps({value: "x" for value in list(TEXTS.values()) if len(value) < 1000}),
    "a key of a megabyte": json.dumps({"k" * MEGABYTE: "x"}),
    "a megabyte of noise": json.dumps(NOISE),
    "noise for a key and a value": json.dumps({NOISE[:3000]: NOISE[:3000]}),
    "noise in an array": json.dumps([NOISE[:3000]]),
    "a text of a megabyte": json.dumps("x" * MEGABYTE),
    "10000 items": "[" + ",".join(["{}"] * 10_000) + "]",
    "10001 texts": json.dumps([str(number) for number in range(10_001)]),
    "10001 keys": json.dumps({str(number): "x" for number in range(10_001)}),
    "a null character": '"a\\u0000b"',
    "a null character in a key": '{"a\\u0000":"b"}',
    "half a surrogate pair": '"\\ud800"',
    "half a surrogate pair in a key": '{"\\ud83d":1}',
    "the wrong half first": '"\\udc00\\ud800"',
    "an emoji escaped": '"\\ud83d\\ude00"',
    "control characters escaped": '"\\u0001\\u001b\\u007f\\u0085"',
    "right to left": json.dumps(TEXTS["right to left"]),
    "combining": json.dumps(TEXTS["combining"], ensure_ascii=False),
    "quotes": json.dumps(TEXTS["quotes"]),
    "1000 deep": "[" * 1000 + "]" * 1000,
    "1000 deep objects": '{"a":' * 1000 + "1" + "}" * 1000,
    "10000 deep": "[" * 10_000 + "]" * 10_000,
    "10000 deep objects": '{"a":' * 10_000 + "1" + "}" * 10_000,
}

NO_JSON: dict[str, str] = {
    "nothing": "",
    "half": '{"a":',
    "two": "{} {}",
    "a comma too many": '{"a":1,}',
    "one quote": "{'a':1}",
    "not a number": "NaN",
    "infinity": "-Infinity",
    "a comment": "{} // x",
    "a raw line end in a text": '"a\nb"',
    "a megabyte of brackets": "[" * MEGABYTE,
    "a byte order mark": "\ufeff{}",
}

# --- the other types ---

INTEGERS = {
    **{str(n): str(n) for n in (0, -1, 1, 2**31 - 1, -(2**31), 2**31, 2**63 - 1, -(2**63), 2**63)},
    **{text: text for text in ("1e3", "1.5", "0x10", "1_000", "", " 7 ", "NaN", "\u0661", "9" * 1000)},
}
TIMES = {
    text: text
    for text in (
        "infinity",
        "-infinity",
        "294276-12-31T23:59:59.999999Z",
        "294277-01-01T00:00:00Z",
        "4713-01-01T00:00:00Z BC",
        "4714-01-01T00:00:00Z BC",
        "1970-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01T25:00:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00+99:99",
        "now",
        "tomorrow",
        "epoch",
        "allballs",
        "",
        "x",
        "1893456000000",
    )
}
BOOLEANS = {text: text for text in ("true", "false", "t", "on", "1", "", "maybe", "null", "2")}

NASTY: dict[str, dict[str, str]] = {
    "text": TEXTS,
    "json": VALUES | NO_JSON,
    "jsonb": VALUES | NO_JSON,
    "integer": INTEGERS,
    "bigint": INTEGERS,
    "boolean": BOOLEANS,
    "timestamp with time zone": TIMES,
}

# --- what is right, of which one thing at a time is made wrong ---

DEFINITION = {
    "name": "Full",
    "on": "push",
    "inputs": {
        "who": {"type": "string", "default": "Ada", "required": True, "description": "Whom to greet"},
        "n": {"type": "number"},
        "level": {"type": "choice", "options": ["low", "high"], "default": "low"},
        "dry": {"type": "boolean", "default": False},
    },
    "env": {"TOP": "1"},
    "jobs": {
        "a": {
            "name": "First",
            "steps": [{"name": "say", "id": "s1", "run": "echo", "env": {"STEP": "1"}}],
            "labels": ["linux", "gpu"],
            "retries": 2,
            "lost_retries": 1,
            "backoff": {"exponential": {"base": 2, "max": 60, "jitter": 0.5}},
            "timeout": 60,
            "priority": 5,
            "group": "g",
            "metadata": {"any": ["thing", 1]},
            "env": {"JOB": "1"},
        },
        "b": {"run": "true", "needs": ["a"], "backoff": {"fixed": 5}},
        "c": {"run": "true", "needs": "b", "backoff": "none"},
    },
}
JOB_LIST = [
    {
        "id": "a",
        "name": "A",
        "status": "queued",
        "command": "true",
        "depends_on": [],
        "required_labels": ["linux"],
        "retry_policy": {"max_retries": 1, "backoff": {"Exponential": {"base_secs": 1, "max_secs": 60}}},
        "metadata": {"any": [1]},
        "ports": [{"id": "p"}],
        "children": None,
        "collapsed": False,
        "attempt": 0,
        "duration_secs": 1.5,
        "started_at": 1,
    },
    {"id": "b", "name": "B", "status": "queued", "command": "true", "depends_on": ["a"]},
]


@dataclass(frozen=True)
class Function:
    name: str
    arguments: dict[str, str]  # their types, by name
    optional: frozenset[str]  # those with a default


def functions(engine: Engine) -> dict[str, Function]:
    """The API, as the catalog has it."""
    rows = engine.query(
        "select p.proname as name, p.pronargdefaults as defaults, p.proargnames[1:p.pronargs] as names,"
        "       array(select format_type(t.oid, null)"
        "               from unnest(p.proargtypes::oid[]) with ordinality t (oid, n) order by t.n) as types"
        "  from pg_proc p where p.pronamespace = 'public'::regnamespace and p.proname ^@ 'wfg_'"
        " order by 1"
    )
    found = {}
    for row in rows:
        names = row["names"] or []
        optional = frozenset(names[len(names) - row["defaults"] :])
        found[row["name"]] = Function(row["name"], dict(zip(names, row["types"], strict=True)), optional)
    return found


class Target:
    """A database with a little of everything; each call leaves it as it was."""

    def __init__(self, dsn: str) -> None:
        self.engine = engine = Engine(dsn)
        engine.set_now(START)
        engine.query(f"set statement_timeout = '{SECONDS}s'")
        engine.put("wf", **{"on_" if key == "on" else key: value for key, value in DEFINITION.items()})
        engine.put("old", jobs={"a": {"run": "true"}})
        self.ended_id = run_workflow(engine, "old")
        engine.claim()
        engine.call("wfg_cancel_run", p_run_id="old")
        self.run_id = run_workflow(engine, "wf")
        claim = engine.claim(labels=["linux", "gpu"])
        assert claim is not None
        self.lease = lease_id(claim)
        engine.call("wfg_append_logs", p_lease_id=self.lease, p_chunks=[chunk(claim, 0)])
        self.functions = functions(engine)
        self.slugs = documented_slugs()
        self.valid: dict[str, Any] = {
            "p_all": True,
            "p_cancelled_by": "me",
            "p_chunks": [chunk(claim, 1), chunk(claim, 2, "x", stream="stderr")],
            "p_created_from_ms": 0,
            "p_created_to_ms": 1893456000000,
            "p_cursor": "0.0",
            "p_definition": DEFINITION,
            "p_dry_run": False,
            "p_error": "boom",
            "p_from_job_id": "a",
            "p_function": "wfg_health",
            "p_expires_at": "2031-01-01T00:00:00Z",
            "p_frozen_by": "me",
            "p_idempotency_key": "key",
            "p_inputs": {"who": "Eve", "n": 3, "level": "high", "dry": True},
            "p_job_id": "a",
            "p_keep_per_workflow": 1,
            "p_jobs": JOB_LIST,
            "p_label": "linux",
            "p_labels": ["linux", "gpu"],
            "p_lease_id": self.lease,
            "p_lenient": False,
            "p_limit": 10,
            "p_logs_older_than_secs": 0,
            "p_name": "made",
            "p_newest": 5,
            "p_offset": 0,
            "p_older_than_secs": 0,
            "p_outputs": {"coverage": "94%", "text": "x" * 2000},
            "p_paused_by": "me",
            "p_reason": "because",
            "p_reports": [
                {"lease_id": self.lease, "outcome": "success", "outputs": {"a": "1"}},
                {"lease_id": "x", "outcome": "failure", "error": "boom", "retryable": True},
            ],
            "p_retryable": True,
            "p_revision": "0001",
            "p_run_id": self.run_id,
            "p_run_ids": [self.run_id],
            "p_runs": [{"inputs": {"who": "Eve"}, "idempotency_key": "k", "start_at_ms": 1893456000000}, {}],
            "p_scope": "worker",
            "p_sha256": "0" * 64,
            "p_start_at": "2031-01-01T00:00:00Z",
            "p_started_by": "me",
            "p_state": "running",
            "p_status": "queued",
            "p_strict": True,
            "p_traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "p_trigger": "manual",
            "p_ttl_secs": 30,
            "p_value": 20_000,
            "p_version": 1,
            "p_with_jobs": True,
            "p_worker_id": "w1",
            "p_workflow_id": "wf",
        }

    def right(self, function: Function) -> dict[str, Any]:
        """Arguments that this function takes; a name that is not known here must be added above."""
        unknown = set(function.arguments) - set(self.valid)
        assert not unknown, f"{function.name}: no value is known for {unknown}: add it to tests/fuzz.py"
        values = {name: self.valid[name] for name in function.arguments}
        if function.name in ("wfg_list_runs", "wfg_list_jobs", "wfg_list_attempts"):
            values["p_cursor"] = None  # one is of its filters: see tests/test_find.py
        if function.name == "wfg_rerun_run":
            values |= {"p_run_id": self.ended_id, "p_jobs": "all"}
        if function.name == "wfg_set_limit":
            values["p_name"] = "jobs_per_workflow"
        if function.name == "wfg_list_pauses":
            values["p_cursor"] = "1"
        if function.name == "wfg_authorize":
            values["p_sha256"] = None  # either it, or a scope
        return values

    def one_wrong(self, function: Function) -> Iterator[tuple[str, str, Value]]:
        """Of each argument every hostile value: its name, what it is, and what makes the value."""
        right = self.right(function)
        for name, type_ in function.arguments.items():
            yield name, "null", lambda: None
            for title, value in NASTY[type_].items():
                yield name, title, partial(str, value)
            if type_ in ("json", "jsonb"):
                yield from ((name, title, value) for title, value in twisted(right[name]))
            if name == "p_lease_id":
                for title, value in no_leases(self.lease).items():
                    yield name, title, lambda value=value: value
                for place in range(0, len(self.lease), 5):
                    head, tail = self.lease[:place], self.lease[place + 1 :]
                    flipped = chr(ord(self.lease[place]) ^ 1)
                    yield name, f"bit flipped at {place}", partial(str, head + flipped + tail)
                    yield name, f"cut at {place}", partial(str, head)

    def call(self, function: Function, arguments: Mapping[str, Any], wrong: str | None = None) -> str | None:
        """Make the call, and undo it. What is not right about it: null when all is.

        wrong: the only argument that is not right, if one is: an invalid_request must name it.
        """
        try:
            try:
                broken = self.undone(function, arguments)
            except psycopg.errors.QueryCanceled:
                # A machine that was busy gets a second chance, a slow call does not.
                broken = self.undone(function, arguments)
        except psycopg.Error as error:
            return self.objection(function, error, wrong)
        except (UnicodeError, json.JSONDecodeError) as error:
            return f"an answer that is no JSON: {error}"
        return f"broken by it: {broken}" if broken else None

    def undone(self, function: Function, arguments: Mapping[str, Any]) -> list[Any]:
        """Make the call, and undo it. What wfg_check said in between."""
        with self.engine.connection.transaction(force_rollback=True):
            self.engine.call(function.name, **{name: as_sent(value) for name, value in arguments.items()})
            return self.engine.call("wfg_check", p_all=True)

    def objection(self, function: Function, error: psycopg.Error, wrong: str | None) -> str | None:
        """Why this error must not be; null when it is a documented one."""
        code, diag = str(error.sqlstate), error.diag
        inside = "PL/pgSQL function" in (diag.context or "") or "SQL function" in (diag.context or "")
        text = f"{code} {diag.message_primary} | {str(diag.message_detail)[:200]} | {str(diag.context)[:300]}"
        if code in CAST:
            return f"raised inside: {text}" if inside else None
        if (code[2:], diag.message_primary) not in self.slugs or not code.startswith("PT4"):
            return f"not documented: {text}"
        if not diag.message_detail or not diag.message_hint:
            return f"no detail or no hint: {text}"
        if diag.message_primary == "invalid_workflow":
            problems = json.loads(diag.message_detail)
            return None if problems and all(p["message"] for p in problems) else f"no problems: {text}"
        if len(diag.message_detail) > 5000:
            return f"a detail of {len(diag.message_detail)} characters: {text}"
        if diag.message_primary == "invalid_request":
            named = re.match(r"p_[a-z0-9_]+", diag.message_detail)
            if not named or named[0] not in function.arguments or (wrong and named[0] != wrong):
                return f"names {named and named[0]}, not {wrong or 'an argument'}: {text}"
        return None

    def checksum(self) -> dict[str, str]:
        """Of each table all it holds."""
        query = "select md5(coalesce(string_agg(t::text, ',' order by t::text), '')) as sum from wfg.{} t"
        return {table: self.engine.query(query.format(table))[0]["sum"] for table in self.engine.tables()}


def as_sent(value: Any) -> Any:
    """Text goes as it is, and is not taken for JSON to be written."""
    return Raw(value) if isinstance(value, str) else value


def documented_slugs() -> set[tuple[str, str]]:
    """Status and slug of each error in the table of sql/README.md."""
    rows = re.findall(r"^\| `([a-z_]+)` \| (\d{3}) \|", README.read_text(), re.MULTILINE)
    assert len(rows) > 10
    return {(status, slug) for slug, status in rows}


# --- one thing wrong in a document ---

HERE = "@here@"


def twisted(document: Any) -> Iterator[tuple[str, Value]]:
    """What makes the document, as text, with one place replaced, or a key left out or strangely named."""
    whole = json.dumps(document)
    for path in places(document):
        place = ".".join(map(str, path))
        for title, value in VALUES.items():
            yield f"{title} at {place}", partial(with_value, document, path, value)
        if isinstance(path[-1], str):
            yield f"without {place}", partial(with_key, document, path, None)
            for title, key in TEXTS.items():
                yield f"{title} for the key {place}", partial(with_key, document, path, key)
    yield "all of it twice", lambda: f"[{whole},{whole}]"
    if isinstance(document, dict):
        yield "each key twice", lambda: f"{whole[:-1]},{whole[1:]}"
    yield "with spaces", lambda: json.dumps(document, indent=20)


def with_value(document: Any, path: Place, value: str) -> str:
    """Another value at this place, given as text: no JSON library would write it."""
    return json.dumps(replaced(document, path, HERE)).replace(f'"{HERE}"', value)


def with_key(document: Any, path: Place, key: str | None) -> str:
    """Another key for the value at this place, or neither."""
    copy = json.loads(json.dumps(document))
    parent = copy
    for part in path[:-1]:
        parent = parent[part]
    value = parent.pop(path[-1])
    if key is not None:
        parent[key] = value
    return json.dumps(copy)


def places(document: Any, path: Place = ()) -> Iterator[Place]:
    """The path of every value in it."""
    for key, value in document.items() if isinstance(document, dict) else enumerate(document):
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def replaced(document: Any, path: Place, value: Any) -> Any:
    """A copy of the document with another value at this place."""
    copy = json.loads(json.dumps(document))
    parent = copy
    for part in path[:-1]:
        parent = parent[part]
    parent[path[-1]] = value
    return copy


# --- at random ---

# Anything but NUL, which a text of Postgres cannot hold, and lone surrogates, which UTF-8 cannot.
unicode = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | unicode,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(unicode, inner, max_size=5),
    max_leaves=30,
)


def anything(type_: str) -> st.SearchStrategy[str | None]:
    """Any text that may be sent for an argument of this type."""
    fixed = st.sampled_from([None, *NASTY[type_].values()])
    match type_:
        case "json" | "jsonb":
            return fixed | documents.map(json.dumps) | unicode
        case "integer" | "bigint":
            return fixed | st.integers(-(2**64), 2**64).map(str)
        case "timestamp with time zone":
            return fixed | st.datetimes().map(str) | st.text(string.printable, max_size=20)
        case _:
            return fixed | unicode


@st.composite
def calls(draw: st.DrawFn, target: Target) -> tuple[Function, dict[str, Any]]:
    """A function and its arguments, right or hostile as it comes; those with a default also left out."""
    function = draw(st.sampled_from(list(target.functions.values())))
    arguments = {}
    for name, right in target.right(function).items():
        how = draw(st.sampled_from(["right", "right", "hostile", "twisted", "out"]))
        if how == "hostile":
            arguments[name] = draw(anything(function.arguments[name]))
        elif how == "twisted" and isinstance(right, dict | list):
            path = draw(st.sampled_from(list(places(right)) or [()]))
            value = draw(documents)
            arguments[name] = json.dumps(replaced(right, path, value) if path else value)
        elif how != "out" or name not in function.optional:
            arguments[name] = as_text(right)
    return function, arguments


def sample(wrongs: list[Any], seed: str, count: int | None) -> list[Any]:
    """So many of them, always the same; null: all."""
    if count is None or len(wrongs) <= count:
        return wrongs
    return random.Random(seed).sample(wrongs, count)
