"""Prometheus' text format: counters and histograms of a process, and how families of samples are written."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

CONTENT_TYPE = "text/plain; version=0.0.4"  # the charset is added to it

Labels: TypeAlias = tuple[str, ...]
Number: TypeAlias = int | float
# The end of a sample's name, its labels, its value.
Sample: TypeAlias = tuple[str, Mapping[str, str], Number]

ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True)
class Family:
    """Samples of one name, which says the unit: _seconds, _total for what is counted."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    samples: Sequence[Sample]

    def text(self) -> str:
        lines = [f"# HELP {self.name} {self.help}", f"# TYPE {self.name} {self.kind}"]
        for suffix, labels, value in self.samples:
            written = ",".join(f'{name}="{text.translate(ESCAPES)}"' for name, text in labels.items())
            lines.append(
                f"{self.name}{suffix}{{{written}}} {value}" if written else f"{self.name}{suffix} {value}"
            )
        return "\n".join(lines) + "\n"


def exposition(families: Iterable[Family]) -> str:
    return "".join(family.text() for family in families)


def gauge(name: str, help: str, value: Number) -> Family:
    return Family(name, "gauge", help, [("", {}, value)])


def by(label: str, values: Mapping[str, Number]) -> list[Sample]:
    """A sample for each value of a label."""
    return [("", {label: name}, value) for name, value in values.items()]


@dataclass
class Counts:
    """A counter by labels, whose values must be few."""

    name: str
    help: str
    labels: Labels
    counts: Counter[Labels] = field(default_factory=Counter[Labels])

    def add(self, *values: str) -> None:
        self.counts[values] += 1

    def family(self) -> Family:
        samples = [("", dict(zip(self.labels, values, strict=True)), n) for values, n in self.counts.items()]
        return Family(self.name, "counter", self.help, samples)


class Histogram:
    """Durations by labels, in seconds."""

    BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

    def __init__(self, name: str, help: str, labels: Labels) -> None:
        self.name, self.help, self.labels = name, help, labels
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, secs: float, *values: str) -> None:
        counts = self._counts.setdefault(values, [0] * (len(self.BOUNDS) + 1))
        counts[bisect_left(self.BOUNDS, secs)] += 1
        self._sums[values] = self._sums.get(values, 0.0) + secs

    def family(self) -> Family:
        samples: list[Sample] = []
        for values, counts in self._counts.items():
            labels = dict(zip(self.labels, values, strict=True))
            total = 0
            for bound, count in zip((*map(str, self.BOUNDS), "+Inf"), counts, strict=True):
                total += count
                samples.append(("_bucket", {**labels, "le": bound}, total))
            samples += [("_sum", labels, self._sums[values]), ("_count", labels, total)]
        return Family(self.name, "histogram", self.help, samples)
