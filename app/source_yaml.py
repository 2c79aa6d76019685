"""YAML 1.2 to a tree of nodes, by the events of ruamel's parser: those keep source text and line.

Strings stay what they are: `on`, `off`, `yes` and `no` are strings, and a plain number becomes one only if
JSON writes it the same way. Anchors, aliases and merge keys are expanded; nothing may contain itself.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from ruamel.yaml import YAML, events
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scanner import Scanner

from .source_tree import MAX_DEPTH, MAX_NODES, Entry, Mapping, Node, Scalar, Sequence, SourceError, shown
from .source_tree import string_json as as_string

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
NULLS = {"", "~", "null", "Null", "NULL"}
BOOLEANS = {
    **dict.fromkeys(("true", "True", "TRUE"), "true"),
    **dict.fromkeys(("false", "False", "FALSE"), "false"),
}
# What the parser says of the usual mistakes: what to do.
ADVICE = {
    "mapping values are not allowed here": "A text with a colon and a space takes quotes.",
    "expected <block end>": "Keys of one mapping, and items of one list, begin in the same column.",
    "'\\t' that cannot start any token": "Indent by spaces.",
    "could not find expected ':'": "A key ends with a colon and a space.",
    "cannot start any token": "A text that begins with @, ` or % takes quotes.",
}
TAG = "tag:yaml.org,2002:"
MERGE = "<<"


KINDS: dict[type[events.Event], "Kind"] = {
    events.DocumentStartEvent: "document",
    events.ScalarEvent: "scalar",
    events.AliasEvent: "alias",
    events.SequenceStartEvent: "sequence",
    events.MappingStartEvent: "mapping",
    events.SequenceEndEvent: "end",
    events.MappingEndEvent: "end",
}
Kind = Literal["document", "scalar", "alias", "sequence", "mapping", "end"]


@dataclass(slots=True)
class _Event:
    """An event of ruamel's parser, typed. anchor: also the name that an alias refers to."""

    kind: Kind
    line: int
    anchor: str | None
    tag: str | None
    text: str
    plain: bool  # a scalar without quotes


class _Scanner(Scanner):
    """While a bracket may start a key, it reads on: through 1024 more, in a time that goes by the square."""

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:
        if self.flow_level >= MAX_DEPTH:
            line = cast("int", self.reader.line)  # pyright: ignore[reportUnknownMemberType]
            raise SourceError(f"nested more than {MAX_DEPTH} levels deep", line + 1)
        super().fetch_flow_collection_start(TokenClass, to_push)  # pyright: ignore[reportUnknownMemberType]


def read_yaml(text: str) -> Node | None:
    """The one document of a YAML text; None when there is none."""
    builder = _Builder()
    for event in _events(text):
        builder.take(event)
    return builder.root


def _events(text: str) -> Iterator[_Event]:
    """What ruamel reads, one by one: a deep nesting must be refused before its scanner has seen all of it."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Scanner = _Scanner
    try:
        stream = yaml.parse(text)  # pyright: ignore[reportUnknownMemberType]
        for event in cast("Iterable[events.Event]", stream):
            kind = KINDS.get(type(event))
            mark: StringMark = getattr(event, "start_mark")  # noqa: B009 - ruamel leaves it untyped
            tag: object = getattr(event, "ctag", None)
            if kind is not None:
                yield _Event(
                    kind=kind,
                    line=mark.line + 1,
                    anchor=getattr(event, "anchor", None),
                    tag=str(tag) if tag else None,
                    text=getattr(event, "value", ""),
                    plain=kind == "scalar" and getattr(event, "style", None) is None,
                )
    except MarkedYAMLError as error:
        where: StringMark | None = getattr(error, "problem_mark", None) or getattr(
            error, "context_mark", None
        )
        parts: list[str | None] = [getattr(error, "context", None), getattr(error, "problem", None)]
        line, column = (where.line + 1, where.column + 1) if where else (1, None)
        what = ", ".join(filter(None, parts)) or "not YAML"
        advice = next((f" ({advice})" for said, advice in ADVICE.items() if said in what), "")
        raise SourceError(what + advice, line, column) from None
    except ReaderError as error:
        offset: int = getattr(error, "position", 0)
        line, column = position_of(text, offset)
        code = ord(text[offset]) if offset < len(text) else 0
        raise SourceError(f"the character U+{code:04X} is not allowed in YAML", line, column) from None
    except (YAMLError, ValueError, OverflowError) as error:
        raise SourceError(str(error).partition("\n")[0] or "not YAML", 1) from None


def position_of(text: str, offset: int) -> tuple[int, int]:
    """Line and column, from 1, of an offset in a text."""
    start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, start) + 1, offset - start + 1


@dataclass(slots=True)
class _Key:
    text: str
    line: int
    merges: bool


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet. parts: of a mapping, its entries and merges in order."""

    node: Sequence | Mapping
    anchor: str | None
    key: _Key | None = None
    parts: list[tuple[_Key, Node]] = field(default_factory=list[tuple[_Key, Node]])


class _Builder:
    def __init__(self) -> None:
        self.root: Node | None = None
        self.documents = 0
        self.stack: list[_Open] = []
        self.anchors: dict[str, Node | None] = {}  # None: not at its end yet
        self.merged = 0

    def take(self, event: _Event) -> None:
        match event.kind:
            case "document":
                self.documents += 1
                if self.documents > 1:
                    raise SourceError("a second document starts here; a file holds one workflow", event.line)
            case "scalar":
                self._add(self._scalar(event), event.line, event.anchor, plain=event.plain)
            case "alias":
                self._add(self._alias(str(event.anchor), event.line), event.line)
            case "sequence" | "mapping":
                self._open(event)
            case "end":
                self._close()

    def _scalar(self, event: _Event) -> Scalar:
        text, line = event.text, event.line
        if event.tag is None and event.plain:
            return Scalar(line, text, plain_json(text, line))

        match (event.tag or "!").removeprefix(TAG):
            case "!" | "str":
                return Scalar(line, text, as_string(text, line))
            case "int" | "float" if NUMBER.fullmatch(text):
                return Scalar(line, text, text)
            case "bool" if text in BOOLEANS:
                return Scalar(line, text, BOOLEANS[text])
            case "null" if text in NULLS:
                return Scalar(line, text, "null")
            case tag:
                raise SourceError(f"the tag {shown(tag)} does not fit {shown(text)}; leave it out", line)

    def _alias(self, name: str, line: int) -> Node:
        if name not in self.anchors:
            raise SourceError(f"no anchor &{name} above this alias", line)
        node = self.anchors[name]
        if node is None:
            raise SourceError(f"*{name} stands inside its own anchor, so it would contain itself", line)
        return node

    def _open(self, event: _Event) -> None:
        mapping = event.kind == "mapping"
        if event.tag not in (None, "!", TAG + ("map" if mapping else "seq")):
            raise SourceError(f"the tag {shown(event.tag)} is unknown; leave it out", event.line)
        if len(self.stack) >= MAX_DEPTH:
            raise SourceError(f"nested more than {MAX_DEPTH} levels deep", event.line)
        if self.stack and isinstance(self.stack[-1].node, Mapping) and self.stack[-1].key is None:
            raise SourceError("a key is a word, not a list or a mapping", event.line)

        if event.anchor is not None:
            self.anchors[event.anchor] = None
        node = Mapping(event.line) if mapping else Sequence(event.line)
        self.stack.append(_Open(node, event.anchor))

    def _close(self) -> None:
        done = self.stack.pop()
        if isinstance(done.node, Mapping):
            self._fill(done.node, done.parts)
        self._add(done.node, done.node.line, done.anchor)

    def _add(self, node: Node, line: int, anchor: str | None = None, *, plain: bool = False) -> None:
        """Put a finished node where it belongs. line: where it stands, or its alias."""
        if anchor is not None:
            self.anchors[anchor] = node
        if not self.stack:
            self.root = node
            return

        top = self.stack[-1]
        if isinstance(top.node, Sequence):
            top.node.items.append(node)
        elif top.key is not None:
            top.parts.append((top.key, node))
            top.key = None
        elif isinstance(node, Scalar):
            top.key = _Key(node.text, line, merges=plain and node.text == MERGE)
        else:
            raise SourceError("a key is a word, not a list or a mapping", line)

    def _fill(self, mapping: Mapping, parts: list[tuple[_Key, Node]]) -> None:
        """Entries in the order of the file: own ones win over merged ones, earlier merges over later."""
        if not any(key.merges for key, _ in parts):
            for key, value in parts:
                mapping.add(key.text, key.line, value)
            return

        own = Mapping(mapping.line)
        for key, value in parts:
            if not key.merges:
                own.add(key.text, key.line, value)
        for key, value in parts:
            if not key.merges:
                mapping.entries[key.text] = own.entries[key.text]
                continue
            for name, entry in self._merged(key, value):
                if name not in own.entries:
                    mapping.entries.setdefault(name, entry)

    def _merged(self, key: _Key, value: Node) -> Iterable[tuple[str, Entry]]:
        for source in value.items if isinstance(value, Sequence) else [value]:
            if not isinstance(source, Mapping):
                raise SourceError("<< takes a mapping, or a list of mappings", key.line)
            self.merged += len(source.entries)
            if self.merged > MAX_NODES:
                raise SourceError("too large with its merge keys expanded", key.line)
            yield from source.entries.items()


def plain_json(text: str, line: int) -> str:
    """A scalar without quotes and tag, by the YAML 1.2 core schema, as far as JSON can say it."""
    if text in NULLS:
        return "null"
    if text in BOOLEANS:
        return BOOLEANS[text]
    if NUMBER.fullmatch(text):
        return text
    return as_string(text, line)
