"""JSON to a tree of nodes that know their line. Stricter than json.loads: no duplicate keys, no NaN."""

import json
import re
from bisect import bisect_right
from typing import NoReturn

from .source_tree import MAX_DEPTH, Mapping, Node, Scalar, Sequence, SourceError, storable, string_json

SPACE = re.compile(r"[ \t\n\r]*")
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
WORDS = ("true", "false", "null")


def read_json(text: str) -> Node | None:
    """The one value of a JSON text; None when there is none."""
    scanner = _Scanner(text)
    start = scanner.skip(0)
    if start == len(text):
        return None

    root, end = scanner.value(start, 0)
    end = scanner.skip(end)
    if end != len(text):
        scanner.refuse("the document ends before this", end)
    return root


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.line_starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self.decoder = json.JSONDecoder()

    def value(self, at: int, depth: int) -> tuple[Node, int]:
        if depth > MAX_DEPTH:
            self.refuse(f"nested more than {MAX_DEPTH} levels deep", at)

        line = self.line(at)
        match self.text[at : at + 1]:
            case "{":
                return self._object(at, line, depth)
            case "[":
                return self._array(at, line, depth)
            case '"':
                string, end = self._string(at)
                return Scalar(line, string, string_json(string, line)), end
            case _:
                word = next((word for word in WORDS if self.text.startswith(word, at)), None)
                if word is None:
                    number = NUMBER.match(self.text, at)
                    word = number.group() if number else self.refuse("a value is missing, or is no JSON", at)
                return Scalar(line, word, word), at + len(word)

    def _object(self, at: int, line: int, depth: int) -> tuple[Node, int]:
        node = Mapping(line)
        at = self.skip(at + 1)
        if self.text[at : at + 1] == "}":
            return node, at + 1
        while True:
            if self.text[at : at + 1] != '"':
                self.refuse("a key in double quotes is missing", at)
            key_line = self.line(at)
            key, at = self._string(at)
            at = self._expect(":", self.skip(at))
            value, at = self.value(self.skip(at), depth + 1)
            node.add(key, key_line, value)
            at = self.skip(at)
            if self.text[at : at + 1] == "}":
                return node, at + 1
            at = self.skip(self._expect(",", at, " or }"))

    def _array(self, at: int, line: int, depth: int) -> tuple[Node, int]:
        node = Sequence(line)
        at = self.skip(at + 1)
        if self.text[at : at + 1] == "]":
            return node, at + 1
        while True:
            value, at = self.value(at, depth + 1)
            node.items.append(value)
            at = self.skip(at)
            if self.text[at : at + 1] == "]":
                return node, at + 1
            at = self.skip(self._expect(",", at, " or ]"))

    def _string(self, at: int) -> tuple[str, int]:
        try:
            string, end = self.decoder.raw_decode(self.text, at)
        except json.JSONDecodeError as error:
            raise SourceError(error.msg.rstrip(" at"), error.lineno, error.colno) from None
        return storable(str(string), self.line(at)), end

    def _expect(self, token: str, at: int, otherwise: str = "") -> int:
        if self.text[at : at + 1] != token:
            self.refuse(f"{token}{otherwise} is missing", at)
        return at + 1

    def skip(self, at: int) -> int:
        found = SPACE.match(self.text, at)
        return found.end() if found else at

    def line(self, at: int) -> int:
        return bisect_right(self.line_starts, at)

    def refuse(self, message: str, at: int) -> NoReturn:
        line = self.line(at)
        raise SourceError(message, line, at - self.line_starts[line - 1] + 1)
