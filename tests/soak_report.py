"""The table and the verdict of tests/soak.py, from its file alone."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from tests.soak_load import SERIES

MIB = 1024 * 1024
SMALL_BYTES = 256 * 1024  # of a relation: what is smaller is a matter of a few pages
SMALL_MS = 1.0  # a difference that is no matter
HOUR = 1800  # seconds from which a run is judged by the bars of the hour


@dataclass(frozen=True)
class Bars:
    """Ratios, at most; fds: so many more."""

    memory: float = 1.1
    sessions: float = 1.5  # they keep the plans of what they were asked for, one after another
    sizes: float = 1.5
    growth: float = 1.1  # beyond what the hold has left behind
    small_bytes: int = SMALL_BYTES
    latency: float = 1.3
    hold: float = 3.0  # of latencies, while the transaction is held open
    backlog: float = 2.0
    fds: int = 8


# Of minutes: nothing has settled by a sixth of it, and a percentile is of few calls.
BARS = Bars()
BARS_OF_MINUTES = Bars(
    memory=1.5, sessions=4.0, small_bytes=16 * MIB, latency=5.0, hold=10.0, backlog=5.0, fds=30
)


@dataclass(frozen=True)
class Line:
    """Of the verdict."""

    good: bool
    text: str


@dataclass
class Report:
    begin: dict[str, Any] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)
    holds: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] | None = None

    @classmethod
    def of(cls, path: Path) -> "Report":
        """A last line that was cut short is none."""
        report = cls()
        for line in path.read_text().splitlines():
            try:
                report.add(json.loads(line))
            except json.JSONDecodeError:
                continue
        if not report.begin or not report.samples:
            raise SystemExit(f"{path}: nothing was measured")
        return report

    def add(self, record: dict[str, Any]) -> None:
        match record["kind"]:
            case "begin":
                self.begin = record
            case "sample":
                self.samples.append(record)
            case "hold":
                self.holds.append(record)
            case "error":
                self.errors.append(record)
            case "end":
                self.end = record

    # --- when ---

    @property
    def bars(self) -> Bars:
        return BARS if self.begin["secs"] >= HOUR else BARS_OF_MINUTES

    @property
    def minute(self) -> float:
        """Of the hour that this stands for, in seconds."""
        return self.begin["secs"] / 60

    @property
    def points(self) -> dict[str, float]:
        """The moments of the table."""
        return {
            "minute 5": 5 * self.minute,
            "minute 10": 10 * self.minute,
            "before the hold": self.begin["hold_from"],
            "end of the hold": self.begin["hold_to"],
            "10 min later": self.begin["hold_to"] + 10 * self.minute,
            "end": self.samples[-1]["at"],
        }

    def during(self, start: float, stop: float) -> list[dict[str, Any]]:
        return [sample for sample in self.samples if start < sample["at"] <= stop]

    def until(self, point: str) -> list[dict[str, Any]]:
        """The three minutes before a moment, or the one sample that is nearest before it."""
        at = self.points[point]
        found = self.during(at - 3 * self.minute, at + 0.01)
        return found or [sample for sample in self.samples if sample["at"] <= at][-1:] or self.samples[:1]

    def at(self, point: str, read: Callable[[dict[str, Any]], float | None]) -> float | None:
        """The median of what was read of the samples before a moment."""
        values = [value for sample in self.until(point) if (value := read(sample)) is not None]
        return median(values) if values else None

    # --- what ---

    @property
    def processes(self) -> list[str]:
        return sorted({name for sample in self.samples for name in sample.get("processes") or ()})

    def of_process(self, point: str, name: str, what: str) -> float | None:
        return self.at(point, lambda sample: (sample["processes"].get(name) or {}).get(what))

    def of_role(self, point: str, role: str, what: str) -> float | None:
        def read(sample: dict[str, Any]) -> float | None:
            roles = (sample.get("backends") or {}).get("roles", {})
            return roles[role].get(what) if role in roles else None

        return self.at(point, read)

    def of_a_session(self, point: str) -> float | None:
        return ratio(self.of_role(point, "sessions", "anon"), self.of_role(point, "sessions", "count"))

    def of_all_backends(self, point: str) -> float | None:
        """Memory of Postgres; what is shared counts once."""

        def read(sample: dict[str, Any]) -> float | None:
            roles = (sample.get("backends") or {}).get("roles", {})
            return sum(role["pss"] for role in roles.values()) if roles else None

        return self.at(point, read)

    def size(self, point: str, relation: str) -> float | None:
        """The last one before the moment, not a median: it only grows."""
        for sample in reversed([s for s in self.samples if s["at"] <= self.points[point] + 0.01]):
            if relation in relations(sample):
                return relations(sample)[relation][1]
        return None

    def of_sizes(self, point: str, what: str) -> float | None:
        return self.at(point, lambda sample: (sample.get("sizes") or {}).get(what))

    def of_work(self, samples: Iterable[dict[str, Any]], what: str) -> float | None:
        values = [sample["work"][what] for sample in samples if sample.get("work")]
        return median(values) if values else None

    def times(self, series: str, start: float, stop: float) -> list[float]:
        """Milliseconds, of so many seconds; sorted. The time in the queue is known some time later."""
        if series == "queue time":
            lag = min(self.begin["lag_secs"], self.samples[-1]["at"] - stop)
            start, stop = start + lag, stop + lag
        return sorted(
            ms for sample in self.during(start, stop) for ms in (sample.get("times") or {}).get(series, ())
        )

    @property
    def windows(self) -> dict[str, tuple[float, float]]:
        last, five = self.samples[-1]["at"], 5 * self.minute
        return {
            "first": (self.minute, self.minute + five),  # when all were there, and had warmed up a little
            "before": (self.begin["hold_from"] - five, self.begin["hold_from"]),
            "hold": (self.begin["hold_to"] - five, self.begin["hold_to"]),
            "last": (last - five, last),
        }

    def p(self, percent: float, series: str, window: str) -> float | None:
        return percentile(self.times(series, *self.windows[window]), percent)

    def slower(self, series: str, window: str = "last", than: str = "first") -> float | None:
        """The 95th percentile of the end, against that of the start."""
        return ratio(self.p(95, series, window), self.p(95, series, than))

    def slower_than_control(self, series: str, window: str = "last", than: str = "first") -> float | None:
        return ratio(self.slower(series, window, than), self.slower("control", window, than))

    def normal_after(self, series: str) -> float | None:
        """Seconds from the end of the hold until half a minute was as fast as before it, over control."""
        usual, usual_control = self.p(95, series, "before"), self.p(95, "control", "before")
        for sample in self.during(self.begin["hold_to"], self.samples[-1]["at"]):
            window = sample["at"] - self.minute / 2, sample["at"]
            now = percentile(self.times(series, *window), 95)
            grown = ratio(now, usual)
            control = ratio(percentile(self.times("control", *window), 95), usual_control)
            if now is None or usual is None or grown is None or control is None:
                continue
            if grown <= self.bars.latency * control or now <= usual * control + SMALL_MS:
                return sample["at"] - self.begin["hold_to"]
        return None

    def clean_after(self) -> float | None:
        """Seconds from the end of the hold until there were as few dead rows as before it."""
        usual, begun = self.of_sizes("before the hold", "dead"), self.begin["hold_to"]
        for sample in self.during(begun, self.samples[-1]["at"]):
            if sample.get("sizes") and usual is not None and sample["sizes"]["dead"] <= 1.5 * usual:
                return sample["at"] - begun
        return None

    def cpu_a_minute(self, name: str) -> float | None:
        """Seconds of CPU of a process itself, in a minute of the second half."""
        found = [
            (sample["at"], sample["processes"][name]["cpu"])
            for sample in self.samples[len(self.samples) // 2 :]
            if sample["processes"].get(name)
        ]
        (begun, before), (ended, after) = (found[0], found[-1]) if found else ((0, 0), (0, 0))
        return ratio(60 * (after - before), ended - begun)

    def cpu_per_job(self, kind: str, window: str) -> float | None:
        """Milliseconds of CPU, of all processes of a kind, commands of workers included."""
        samples = [s for s in self.during(*self.windows[window]) if s.get("work") and s.get("backends")]
        if len(samples) < 2 or not (jobs := samples[-1]["work"]["jobs"] - samples[0]["work"]["jobs"]):
            return None

        def cpu(sample: dict[str, Any]) -> float:
            if kind == "Postgres":
                return sample["backends"]["cpu"]
            found = [p for name, p in sample["processes"].items() if kind_of(name) == kind and p]
            return sum(p["cpu"] + p["cpu_of_children"] for p in found)

        return (cpu(samples[-1]) - cpu(samples[0])) * 1000 / jobs

    # --- the verdict ---

    def verdict(self) -> list[Line]:
        return [
            *self.verdict_of_counts(),
            self.verdict_of_memory(),
            self.verdict_of_sessions(),
            self.verdict_of_fds(),
            self.verdict_of_sizes(),
            *self.verdict_of_latencies(),
            self.verdict_of_backlog(),
        ]

    @property
    def good(self) -> bool:
        return all(line.good for line in self.verdict())

    def verdict_of_counts(self) -> list[Line]:
        end = self.end
        if end is None:
            return [
                Line(False, f"it did not come to its end: the last sample is of {self.points['end']:.0f} s")
            ]
        broken = [
            *end["broken"],
            *(row for s in self.samples for row in (s.get("work") or {}).get("broken", ())),
        ]
        ill = [f for f in end["doctor"] if f["severity"] == "error"]
        return [
            counted("lost", end["lost"]),
            counted("done twice", end["twice"]),
            counted("rows of `wfg_check`", broken),
            counted("errors of `wfg doctor`", [f["message"] for f in ill]),
            counted("processes that ended by themselves", end["ended"]),
            Line(end["drained"] is not None, f"all came to its end: {shown(end['drained'], ' s')}"),
            self.verdict_of_calls(end),
        ]

    def verdict_of_calls(self, end: dict[str, Any]) -> Line:
        """A claim may be refused for a lock, and the machine may stand still for a while."""
        failed = sum(end["noted"].values())
        which = "; ".join(f"{name}: {n}" for name, n in end["noted"].items())
        return Line(
            failed <= end["runs"] / 1000, f"calls that failed: {failed}" + (f" ({which})" if which else "")
        )

    def verdict_of_memory(self) -> Line:
        """Of each process of ours. What is not ours: the worker of the tests."""
        grown = {
            name: ratio(self.of_process("end", name, "anon"), self.of_process("minute 10", name, "anon"))
            for name in self.processes
            if kind_of(name) != "effects"
        }
        return most("memory at the end, to minute 10", grown, self.bars.memory)

    def verdict_of_sessions(self) -> Line:
        """Memory of its own that a session of Postgres has."""
        grown = ratio(self.of_a_session("end"), self.of_a_session("minute 10"))
        return most("memory of sessions at the end, to minute 10", {"each": grown}, self.bars.sessions)

    def verdict_of_fds(self) -> Line:
        more = {
            name: (self.of_process("end", name, "fds") or 0)
            - (self.of_process("minute 10", name, "fds") or 0)
            for name in self.processes
        }
        name = max(more, key=lambda name: more[name])
        text = f"open files: {more[name]:+.0f} at most since minute 10 ({name}); bar {self.bars.fds:+d}"
        return Line(more[name] <= self.bars.fds, text)

    def verdict_of_sizes(self) -> Line:
        """A file does not shrink: what was needed while nothing could be vacuumed stays, for use."""
        bars, grown = self.bars, []
        for relation in relations(self.samples[-1]):
            points = ("before the hold", "10 min later", "end")
            before, later, end = (self.size(point, relation) or 0 for point in points)
            if end > max(bars.small_bytes, bars.sizes * before, bars.growth * later):
                grown.append(f"{relation} {mib(before)}, {mib(later)}, {mib(end)}")
        what = (
            f"tables and indexes beyond {bars.sizes} x before the hold, and {bars.growth} x 10 min after it"
        )
        return counted(what, grown)

    def verdict_of_latencies(self) -> list[Line]:
        bars = self.bars
        compared = (
            ("at the end to the start", "last", "first", bars.latency),
            ("in the hold to before it", "hold", "before", bars.hold),
        )
        return [
            self.verdict_of(series, *each) for series in SERIES if series != "control" for each in compared
        ]

    def verdict_of(self, series: str, what: str, window: str, than: str, bar: float) -> Line:
        """Missed when it is slower as it is and also over control: the machine may have become quicker."""
        as_it_is = self.slower(series, window, than)
        over_control = self.slower_than_control(series, window, than)
        end, start = self.p(95, series, window), self.p(95, series, than)
        if as_it_is is None or over_control is None or end is None or start is None:
            return Line(False, f"{series}, p95 {what}: not measured")
        got = min(as_it_is, over_control)
        good = got <= bar or end <= start * (self.slower("control", window, than) or 1) + SMALL_MS
        return Line(good, f"{series}, p95 {what}: {got:.2f}; bar {bar}")

    def verdict_of_backlog(self) -> Line:
        first, last = (self.of_work(self.during(*self.windows[w]), "queue") for w in ("first", "last"))
        if first is None or last is None:
            return Line(False, "the queue: not measured")
        good = last <= self.bars.backlog * first + 20
        return Line(good, f"jobs in the queue: {first:.0f} at the start, {last:.0f} at the end")

    # --- the text ---

    def text(self) -> str:
        begin = self.begin
        load = median(sample["load"] for sample in self.samples)
        hold = f"{begin['hold_from'] / 60:g} to {begin['hold_to'] / 60:g}"
        about = (
            f"{begin['server']}, Python {begin['python']}, {begin['cores']} cores with a load of {load:.1f}."
            f" {begin['secs'] / 60:g} minutes, {begin['rate']:g} runs a second; a transaction is held open"
            f" from minute {hold}; runs are kept for {begin['kept_secs']} s."
        )
        parts = [
            about,
            self.counts_text(),
            self.memory_text(),
            self.cpu_text(),
            self.sizes_text(),
            self.latency_text(),
            self.recovery_text(),
            "\n".join(f"- {'good' if line.good else '**MISSED**'}: {line.text}" for line in self.verdict()),
        ]
        if self.errors:
            seen = Counter(error["error"] for error in self.errors)
            parts.append("\n".join(f"- noted: {name}" for name in seen))
        return "\n\n".join(parts) + "\n"

    def counts_text(self) -> str:
        if self.end is None:
            return "It has not come to its end."
        end = self.end
        found = [f"{f['severity']}: {f['message']}" for f in end["doctor"]]
        heads = ("runs", "jobs", "lost", "twice", "fenced", "`wfg_check`", "`wfg doctor`")
        cells = (
            end["runs"],
            end["jobs"],
            len(end["lost"]),
            len(end["twice"]),
            end["fenced"],
            "NOT EMPTY" if end["broken"] else "empty",
            "; ".join(found) or "nothing",
        )
        return table(heads, [cells])

    def memory_text(self) -> str:
        points = ("minute 5", "minute 10", "before the hold", "end of the hold", "end")
        rows = []
        for name in self.processes:
            got = [self.of_process(point, name, "anon") for point in points]
            rss, fds, threads = (self.of_process("end", name, what) for what in ("rss", "fds", "threads"))
            row = (name, *map(mib, got), times(got[-1], got[1]), mib(rss), shown(fds, "", 0))
            rows.append((*row, shown(threads, "", 0), shown(self.cpu_a_minute(name), "")))
        for what, read in {
            "Postgres, all, shared once": self.of_all_backends,
            "its sessions of ours, each": self.of_a_session,
            "its largest session": lambda point: self.of_role(point, "sessions", "largest_anon"),
        }.items():
            got = [read(point) for point in points]
            rows.append((what, *map(mib, got), times(got[-1], got[1]), "", "", "", ""))
        more = ("end : minute 10", "RSS", "files", "threads", "CPU, s a minute")
        heads = ("memory of its own, MiB", *points, *more)
        return table(heads, rows)

    def cpu_text(self) -> str:
        rows = []
        for kind in ("wfg serve", "worker, HTTP", "worker, SQL", "Postgres"):
            got = [self.cpu_per_job(kind, window) for window in ("first", "hold", "last")]
            rows.append((kind, *(shown(value, "") for value in got), times(got[2], got[0])))
        return table(
            ("CPU, ms per job", "minutes 2 to 6", "last 5 of the hold", "last 5", "end : start"), rows
        )

    def sizes_text(self) -> str:
        points = ("minute 5", "before the hold", "end of the hold", "10 min later", "end")
        rows = []
        for relation, (kind, _) in relations(self.samples[-1]).items():
            got = [self.size(point, relation) for point in points]
            if max(size or 0 for size in got) >= SMALL_BYTES:
                rows.append(
                    (f"`{relation}`", kind, *map(mib, got), times(got[4], got[1]), times(got[4], got[3]))
                )
        rows.sort(key=lambda row: -float(row[6]))
        dead = [self.of_sizes(point, "dead") for point in points]
        rows.append(("dead rows", "", *(shown(n, "", 0) for n in dead), times(dead[4], dead[1]), ""))
        vacuums = [self.of_sizes(point, "autovacuums") for point in points]
        rows.append(("autovacuums so far", "", *(shown(n, "", 0) for n in vacuums), "", ""))
        heads = ("size, MiB", "", *points, "end : before", "end : later")
        return table(heads, rows)

    def latency_text(self) -> str:
        windows = ("first", "hold", "last")
        rows = []
        for series in SERIES:
            cells = [
                " / ".join(shown(self.p(percent, series, window), "") for percent in (50, 95, 99))
                for window in windows
            ]
            control = times(self.slower(series), self.slower("control"))
            rows.append((series, *cells, times(self.slower(series), 1.0), control, shown_secs(self, series)))
        heads = (
            "ms, p50 / p95 / p99",
            "minutes 2 to 6",
            "last 5 of the hold",
            "last 5",
            "p95, end : start",
            "over control",
            "normal after the hold",
        )
        return table(heads, rows)

    def recovery_text(self) -> str:
        xmin = max((s["sizes"]["xmin_age"] for s in self.samples if s.get("sizes")), default=None)
        wal = [s["sizes"]["wal_bytes"] for s in self.samples if s.get("sizes")]
        jobs = [s["work"]["jobs"] for s in self.samples if s.get("work")]
        per_job = (wal[-1] - wal[0]) / (jobs[-1] - jobs[0]) / 1024 if jobs and jobs[-1] > jobs[0] else None
        files = max((s["sizes"]["database_bytes"] for s in self.samples if s.get("sizes")), default=None)
        return (
            f"Dead rows as few as before: {shown(self.clean_after(), ' s')} after the end of the hold."
            f" The oldest snapshot was {xmin} transactions behind. WAL: {shown(per_job, ' KiB')} a job."
            f" The database, with what the test itself notes: {mib(files)} MiB."
        )


# --- small things ---


def kind_of(name: str) -> str:
    kinds = {"http": "worker, HTTP", "sql": "worker, SQL"}
    first = name.rpartition(" ")[0] or name.partition("-")[0]
    return kinds.get(first, first)


def relations(sample: dict[str, Any]) -> dict[str, tuple[str, int]]:
    return (sample.get("sizes") or {}).get("relations", {})


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Of sorted values."""
    return values[min(len(values) - 1, int(len(values) * percent / 100))] if values else None


def ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


def most(what: str, ratios: dict[str, float | None], bar: float) -> Line:
    """All at most that; what was not measured is not."""
    missing = [name for name, value in ratios.items() if value is None]
    if missing or not ratios:
        return Line(False, f"{what}: not measured of {', '.join(missing) or 'anything'}")
    name, value = max(((name, value or 0) for name, value in ratios.items()), key=lambda pair: pair[1])
    return Line(value <= bar, f"{what}: {value:.2f} at most ({name}); bar {bar}")


def counted(what: str, found: Sequence[str]) -> Line:
    some = "; ".join(found[:5])
    return Line(not found, f"{what}: {len(found)}" + (f" ({some})" if found else ""))


def mib(size: float | None) -> str:
    return "-" if size is None else f"{size / MIB:.1f}"


def shown(value: float | None, unit: str, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}{unit}"


def times(one: float | None, other: float | None) -> str:
    return shown(ratio(one, other), "", 2)


def shown_secs(report: Report, series: str) -> str:
    return shown(report.normal_after(series), " s", 0)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
