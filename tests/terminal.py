"""A small terminal: a program runs on a pty, and its screen can be read."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence

CONTROL = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])|\r|\n")


def take_terminal() -> None:
    """As a shell starts a program: Ctrl-C reaches it, though it may be ignored here, in the background."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A program on a pty. screen(): its lines as a person sees them, those that scrolled off included."""

    def __init__(
        self, command: Sequence[str], *, columns: int = 100, rows: int = 30, env: Mapping[str, str]
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.rows = rows
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**env, "TERM": "xterm-256color"},
            preexec_fn=take_terminal,
            start_new_session=True,
        )
        os.close(theirs)
        self._bytes = b""

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)

    @property
    def text(self) -> str:
        """All that was written so far, as it was written."""
        return self._bytes.decode(errors="replace")

    def press(self, keys: bytes) -> None:
        """Type: b"\\x03" is Ctrl-C."""
        os.write(self._ours, keys)

    def resize(self, *, columns: int, rows: int) -> None:
        """As when somebody pulls at the window."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.rows = max(self.rows, rows)  # frames made for the old size are in the text

    def wait_until(self, seen: Callable[[list[str]], bool], timeout: float = 30) -> list[str]:
        """Read on until the screen is as wished."""
        deadline = time.monotonic() + timeout
        while not seen(self.screen()):
            assert time.monotonic() < deadline, "\n".join(self.screen())
            assert self._read(), "\n".join(["it ended:", *self.screen()])
        return self.screen()

    def wait(self, timeout: float = 60) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + timeout
        while self._read():
            assert time.monotonic() < deadline, "\n".join(self.screen())
        return self.process.wait(timeout)

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], 0.2)[0]:
            return True
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # the other end is closed
            data = b""
        self._bytes += data
        return bool(data)

    def screen(self) -> list[str]:
        """The lines, without colours."""
        lines, row, column = [""], 0, 0
        text, at = self.text, 0
        while at < len(text):
            found = CONTROL.match(text, at)
            if found is None:
                line = lines[row].ljust(column)
                lines[row] = line[:column] + text[at] + line[column + 1 :]
                column, at = column + 1, at + 1
                continue
            at = found.end()
            number = int(found[2]) if found[2] and found[2].isdigit() else 1
            match found[3] or found[0]:
                case "\r":
                    column = 0
                case "\n" | "B":
                    row += number if found[3] else 1
                    lines += [""] * (row + 1 - len(lines))
                case "A":
                    row -= number
                    assert row >= max(0, len(lines) - self.rows), "moved above the top of the screen"
                case "K":
                    lines[row] = "" if found[2] == "2" else lines[row][:column]
                case "J":
                    lines, row = [""], 0
                case "H":
                    column = 0
                case "m" | "h" | "l":
                    pass
                case other:
                    raise AssertionError(f"unknown control sequence {found[0]!r} {other}")
        return lines
