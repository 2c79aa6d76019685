"""Spans of time as people write and read them: `90s`, `1h 30m`, `10s..2m`."""

import re
from dataclasses import dataclass
from random import Random

UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
MAX_MS = 52 * UNITS["w"]
PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?(ms|s|m|h|d|w)")


@dataclass(frozen=True)
class Span:
    """How long something takes: as long each time, or anything between two lengths."""

    shortest_ms: int
    longest_ms: int

    def draw(self, random: Random) -> int:
        return random.randint(self.shortest_ms, self.longest_ms)


def read_span(text: str) -> Span:
    """`90s`, `1h30m`, `2.5` (seconds), `10s..2m`. ValueError says what is wrong with it."""
    first, dots, last = text.partition("..")
    shortest = read_ms(first)
    longest = read_ms(last) if dots else shortest
    if shortest > longest:
        raise ValueError(f"{text!r} begins with the longer one")
    return Span(shortest, longest)


def read_ms(text: str) -> int:
    text = text.strip()
    written = f"{text}s" if re.fullmatch(r"[0-9.]+", text) else text
    rest = PART.sub("", written).strip()
    parts = PART.findall(written)
    if rest or not parts:
        raise ValueError(f"{text!r} is no time such as 90s, 1h30m or 250ms")
    ms = round(sum(float(number) * UNITS[unit] for number, unit in parts))
    if ms > MAX_MS:
        raise ValueError(f"{text!r} is longer than a year")
    return ms


def show_ms(ms: int) -> str:
    """`0s`, `1.5s`, `1m 30s`, `2d 3h`. Fractions of a second are shown below a minute only."""
    if ms < UNITS["m"]:
        return f"{ms / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    rest, parts = round(ms / 1000) * 1000, list[str]()
    for unit in ("w", "d", "h", "m", "s"):
        number, rest = divmod(rest, UNITS[unit])
        if number:
            parts.append(f"{number}{unit}")
    return " ".join(parts)
