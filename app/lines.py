"""Bytes of a command's output to lines, `::set-output` to outputs, and the tail that an error keeps."""

import codecs
import re

MAX_LINE_CHARS = 16 * 1024  # of one log chunk; a longer line is logged in pieces
MAX_OUTPUT_CHARS = 1024 * 1024  # of one ::set-output line
TAIL_CHARS = 4096

SET_OUTPUT = "::set-output "
SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """Text that Postgres can store: NUL and lone surrogates become U+FFFD."""
    return SURROGATE.sub("\ufffd", text.replace("\0", "\ufffd"))


class LineSplitter:
    """Bytes in, lines out. Lines keep their newline; what is not UTF-8, and NUL, becomes U+FFFD."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes) -> list[str]:
        """The lines that are complete now, and pieces of a line that is too long."""
        return self._split(self._decoder.decode(data))

    def end(self) -> list[str]:
        """What is left when the stream has ended."""
        lines = self._split(self._decoder.decode(b"", final=True))
        return [*lines, self._rest] if self._rest else lines

    def _split(self, text: str) -> list[str]:
        lines = (self._rest + text.replace("\0", "\ufffd")).split("\n")
        self._rest = lines.pop()
        pieces = [piece for line in lines for piece in pieces_of(line + "\n")]
        *whole, self._rest = pieces_of(self._rest) or [""]
        return pieces + whole


def pieces_of(line: str) -> list[str]:
    """A line in pieces of at most MAX_LINE_CHARS."""
    if len(line) <= MAX_LINE_CHARS:
        return [line] if line else []
    return [line[at : at + MAX_LINE_CHARS] for at in range(0, len(line), MAX_LINE_CHARS)]


class OutputParser:
    """Finds lines `::set-output NAME=VALUE` in the pieces of a stream. The last one of a name wins."""

    def __init__(self) -> None:
        self.outputs: dict[str, str] = {}
        self.refused: list[str] = []  # why a line was not taken
        self._line: list[str] = []  # the pieces so far of a line that may be one
        self._chars = 0
        self._at_start = True

    def feed(self, piece: str) -> None:
        if (self._at_start and piece.startswith(SET_OUTPUT)) or self._line:
            self._chars += len(piece)
            if self._chars <= MAX_OUTPUT_CHARS:
                self._line.append(piece)

        self._at_start = piece.endswith("\n")
        if self._at_start:
            self.end()

    def end(self) -> None:
        """The line is over, by its newline or by the end of the stream."""
        if self._line:
            self._take("".join(self._line))
        self._line, self._chars = [], 0

    def _take(self, line: str) -> None:
        name, equals, value = line.removeprefix(SET_OUTPUT).rstrip("\r\n").partition("=")
        if self._chars > MAX_OUTPUT_CHARS:
            self.refused.append(f"an output is longer than {MAX_OUTPUT_CHARS} characters: {name[:60]}")
        elif not equals or not name.strip():
            self.refused.append(f"no output, because NAME=VALUE is missing: {line.strip()[:200]}")
        else:
            self.outputs[name.strip()] = value


class Tail:
    """The last TAIL_CHARS characters of what was added."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._chars = 0

    def add(self, text: str) -> None:
        self._parts.append(text)
        self._chars += len(text)
        if self._chars > 16 * TAIL_CHARS:
            self._parts = [self.read()]
            self._chars = len(self._parts[0])

    def read(self) -> str:
        return "".join(self._parts)[-TAIL_CHARS:]
