"""The text of a workflow file as a tree of nodes that know their line, and that tree as JSON.

Nothing is converted that JSON can say itself: a number goes out as it was written, so 1.10 stays 1.10.
"""

import json
from dataclasses import dataclass, field
from typing import TypeAlias

MAX_DEPTH = 100
MAX_NODES = 500_000
MAX_JSON_CHARS = 8 * 1024 * 1024


class SourceError(Exception):
    """The text is not a usable document. Line and column count from 1."""

    def __init__(self, message: str, line: int, column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


@dataclass(slots=True)
class Scalar:
    """text: what was written, without quotes. json: the same as a JSON value."""

    line: int
    text: str
    json: str


@dataclass(slots=True)
class Sequence:
    line: int
    items: "list[Node]" = field(default_factory=list["Node"])


@dataclass(slots=True)
class Entry:
    line: int  # of the key
    value: "Node"


@dataclass(slots=True)
class Mapping:
    line: int
    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])

    def add(self, key: str, line: int, value: "Node") -> None:
        """Add an entry; a second one of the same key is an error that names both lines."""
        known = self.entries.get(key)
        if known is not None:
            raise SourceError(f"duplicate key {shown(key)}; it stands in line {known.line} already", line)
        self.entries[key] = Entry(line, value)


Node: TypeAlias = Scalar | Sequence | Mapping


def string_json(text: str, line: int) -> str:
    """A string as JSON, refusing what Postgres cannot store in text."""
    return json.dumps(storable(text, line), ensure_ascii=False)


def storable(text: str, line: int) -> str:
    """The text, with escaped surrogate pairs joined; a NUL or half a pair is an error."""
    if "\0" in text:
        raise SourceError("a NUL character, which Postgres cannot store", line)
    if text.isascii():
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise SourceError("half a surrogate pair, which is no character", line) from None


def to_json(root: Node) -> str:
    """The tree as one JSON text. Aliases may have made it a graph that is much larger than its source."""
    writer = _Writer()
    writer.write(root, 0)
    return "".join(writer.parts)


class _Writer:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self.nodes = 0
        self.chars = 0

    def write(self, node: Node, depth: int) -> None:
        self.nodes += 1
        if depth > MAX_DEPTH:
            raise SourceError(f"nested more than {MAX_DEPTH} levels deep", node.line)
        if self.nodes > MAX_NODES or self.chars > MAX_JSON_CHARS:
            raise SourceError("too large with its aliases expanded", node.line)

        match node:
            case Scalar():
                self._put(node.json)
            case Sequence():
                self._put("[")
                for n, item in enumerate(node.items):
                    if n:
                        self._put(",")
                    self.write(item, depth + 1)
                self._put("]")
            case Mapping():
                self._put("{")
                for n, (key, entry) in enumerate(node.entries.items()):
                    if n:
                        self._put(",")
                    self._put(string_json(key, entry.line))
                    self._put(":")
                    self.write(entry.value, depth + 1)
                self._put("}")

    def _put(self, text: str) -> None:
        self.parts.append(text)
        self.chars += len(text)


def line_of(root: Node, path: str) -> int:
    """The line of what a path such as `jobs.build.needs[0]` names, or of the nearest thing above it.

    Keys may hold dots and brackets themselves: the longest key that fits is taken.
    """
    node, line, rest = root, root.line, path
    while rest:
        rest = rest.removeprefix(".")
        match node:
            case Mapping():
                found = _longest_key(node, rest)
                if found is None:
                    return line
                line, node = node.entries[found].line, node.entries[found].value
                rest = rest[len(found) :]
            case Sequence():
                number, bracket, after = rest.removeprefix("[").partition("]")
                if not (rest.startswith("[") and bracket and number.isdecimal() and number.isascii()):
                    return line
                if len(number) > 9 or int(number) >= len(node.items):
                    return line
                node = node.items[int(number)]
                line, rest = node.line, after
            case Scalar():
                return line
    return line


def _longest_key(node: Mapping, path: str) -> str | None:
    """The longest key of node that path starts with, up to a dot, a bracket or the end."""
    for end in range(len(path), 0, -1):
        if (end == len(path) or path[end] in ".[") and path[:end] in node.entries:
            return path[:end]
    return None


def shown(text: str) -> str:
    """A piece of the file in a message: quoted, printable and short."""
    cut = text if len(text) <= 60 else text[:57] + "..."
    return json.dumps(cut, ensure_ascii=not cut.isprintable())
