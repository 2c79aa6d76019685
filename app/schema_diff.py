"""The schema of a database as a mapping of statements, and the script that leads from one schema to another.

What keeps no rows is scripted: functions, row types, triggers, comments, grants. Tables and what belongs to
them are not guessed.
"""

import difflib
import re
import subprocess
from dataclasses import dataclass
from itertools import chain

from . import embedded

# The name of an object, as `drop` and `comment on` take it -> its statement. A statement that names none of
# ours stands for itself. Functions go without arguments, for each has one signature.
Schema = dict[str, str]

TOKENS = re.compile(
    r"""--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|"[^"]*"|(\$(?:[A-Za-z_]\w*)?\$).*?\1|[^-/'"$;]+|.""", re.S
)
NAMES = [
    (re.compile(pattern, re.I), name)
    for pattern, name in (
        (r"create (?:or replace )?function ([\w.]+)", "function {}"),
        (r"create type ([\w.]+)", "type {}"),
        (r"create trigger (\w+) .*? on ([\w.]+)", "trigger {} on {}"),
        (r"comment on (.+?)(?:\(.*?\))? is (?:'|\$|null)", "comment on {}"),
        (r"grant all on function ([\w.]+)\(.*\) to (\w+)", "grant on function {} to {}"),
        (r"revoke all on function ([\w.]+)\(.*\) from (\w+)", "revoke on function {} from {}"),
    )
]
DROPPED = ("trigger ", "function ", "type ")  # in this order
SCRIPTED = (*DROPPED, "comment on ")
RIGHTS = ("grant on function ", "revoke on function ")


@dataclass(frozen=True)
class State:
    """A database to come from, or to get to."""

    schema: Schema
    texts: Schema  # what its objects are to be made with
    grants: str  # what gives all functions their rights
    dsn: str

    def is_same(self, other: "State") -> bool:
        return self.schema == other.schema and self.grants == other.grants


def dump(dsn: str) -> Schema:
    """The schema of a database, but for alembic's own table."""
    program = embedded.find_binaries() / "pg_dump"
    command = [program, "--schema-only", "--no-owner", "--exclude-table=wfg.alembic_version", dsn]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return parse(re.sub(r"^\\(un)?restrict .*\n", "", text, flags=re.M))


def parse(text: str) -> Schema:
    """The statements of a script by name, each with the comment right above it."""
    schema: Schema = {}
    start = 0
    for token in TOKENS.finditer(text):
        if token[0] != ";":
            continue
        statement = text[start : token.end()]
        above = re.match(r"(?:\s|--[^\n]*\n)*", statement)
        assert above is not None
        bare = statement[above.end() :]
        schema[name_of(bare)] = above[0].rpartition("\n\n")[2].lstrip("\n") + bare
        start = token.end()
    return schema


def name_of(statement: str) -> str:
    flat = " ".join(statement.split())
    for pattern, name in NAMES:
        if found := pattern.match(flat):
            return name.format(*found.groups()).lower()
    return statement


def script(now: Schema, goal: State, *, regrant: bool) -> str:
    """What leads from now to goal, as far as it is scripted. regrant: even if no right is seen to differ."""
    changed = {name for name in now.keys() | goal.schema.keys() if now.get(name) != goal.schema.get(name)}
    types = [name.removeprefix("type ") for name in changed if name.startswith("type ")]

    def goes(name: str) -> bool:
        """Whether an object is dropped, be it to be made anew."""
        if name.startswith("function "):
            signature = signature_of(now[name])
            return (
                name not in goal.schema
                or signature != signature_of(goal.schema[name])
                or any(re.search(rf"\b{re.escape(type_)}\b", signature) for type_ in types)
            )
        return name in changed and name.startswith(("trigger ", "type "))

    gone = {name for name in now if goes(name)}
    made = [
        text
        for name, text in goal.texts.items()
        if name in goal.schema
        and name.startswith(SCRIPTED)
        and (name in changed or name in gone or name.removeprefix("comment on ") in gone)
    ]
    silenced = [
        name
        for name in sorted(now.keys() - goal.schema.keys())
        if name.startswith("comment on ") and name.removeprefix("comment on ") not in gone
    ]
    # Given anew from the start, so that they come in the same order as in a fresh database.
    moved = {rights_of(name) for name in changed if name.startswith(RIGHTS)} - gone
    revoked = [
        f"revoke all on {rights_of(name)} from {name.rpartition(' ')[2]};"
        for name in now
        if name.startswith("grant on ") and rights_of(name) in moved
    ]
    regrant = regrant or bool(moved) or any(n.startswith("function ") and n in goal.schema for n in gone)

    parts = chain(
        (f"drop {name};" for kind in DROPPED for name in sorted(gone) if name.startswith(kind)),
        (re.sub(r"\ACREATE FUNCTION", "CREATE OR REPLACE FUNCTION", text) for text in made),
        (f"{name} is null;" for name in silenced),
        revoked,
        [goal.grants] if regrant else [],
    )
    return "".join(f"\n{part}\n" for part in parts)


def unscripted(schema: Schema) -> Schema:
    """Tables, and what belongs to them."""
    return {name: text for name, text in schema.items() if not name.startswith((*SCRIPTED, *RIGHTS))}


def rights_of(name: str) -> str:
    """Whose rights a grant or revoke is about."""
    return " ".join(name.split(" ")[2:4])


def signature_of(function: str) -> str:
    """Arguments and return type, as pg_dump has them."""
    return function.partition("\n    LANGUAGE ")[0]


def differences(found: Schema, wanted: Schema) -> str:
    """The statements that differ, as a diff; empty when there are none."""
    old, new = (
        [
            line
            for name in sorted(schema)
            if found.get(name) != wanted.get(name)
            for line in schema[name].splitlines()
        ]
        for schema in (found, wanted)
    )
    return "\n".join(difflib.unified_diff(old, new, "found", "wanted", n=1000, lineterm=""))
