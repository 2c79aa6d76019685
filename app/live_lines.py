"""A block of lines on a terminal that is kept up to date: only lines that changed are written again."""

import os
from collections.abc import Sequence
from typing import IO

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
CLEAR_LINE, CLEAR_SCREEN = "\x1b[2K", "\x1b[H\x1b[2J"


class LiveLines:
    """Between frames, the cursor rests at the start of the line below the block.

    Lines must be narrower than the terminal. When its size changes, the screen is cleared and drawn anew.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._shown: list[str] = []
        self._size: os.terminal_size | None = None

    def show(self, lines: Sequence[str], size: os.terminal_size) -> None:
        """The next frame. size: of the terminal that it was made for."""
        parts: list[str] = [HIDE_CURSOR] if self._size is None else []
        if self._size not in (None, size):
            parts.append(CLEAR_SCREEN)
            self._shown = []
        self._size = size

        below = len(self._shown)
        for n, line in enumerate(lines):
            if n >= below:
                parts.append(f"\r{CLEAR_LINE}{line}\n")
            elif line != self._shown[n]:
                up = below - n
                parts.append(f"\x1b[{up}A\r{CLEAR_LINE}{line}\x1b[{up}B\r")
        self._shown = [*lines, *self._shown[len(lines) :]]
        if parts:
            self._stream.write("".join(parts))
            self._stream.flush()

    def end(self) -> None:
        """Leave the block where it is, and the cursor below it."""
        if self._size is not None:
            self._stream.write(f"\r{CLEAR_LINE}{SHOW_CURSOR}")
            self._stream.flush()
