"""The answer of `wfg simulate`: for people, and as JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from .client_output import in_state, print_table, shown
from .run_screen import LOOKS
from .run_view import ENDED
from .simulate_path import CriticalPath, backoff_ms, critical_path, culprits, last_need, worker_wait_ms
from .simulate_run import Attempt, JobTrace, RunTrace
from .simulate_spans import show_ms
from .simulate_timeline import timeline

REASONS = {"failure": "failed", "job_timed_out": "timed out", "lease_expired": "lost its worker"}


class Report:
    """What is told of a simulated run. labels: what each job requires, as written."""

    def __init__(self, run: RunTrace, labels: Mapping[str, Sequence[str]]) -> None:
        self.run = run
        self.path = critical_path(run)
        self.ordered = in_order(run)
        self._critical = set(self.path.jobs)
        self._culprits = culprits(run.jobs)
        self.stuck = stuck(run)
        self._stuck = {job.job_id for job in self.stuck}
        self._labels = labels

    # --- JSON ---

    def as_json(self) -> dict[str, Any]:
        """Times in seconds since the start of the run."""
        return {
            "name": self.run.name,
            "state": self.run.state,
            "total_secs": self.run.ended_ms / 1000,
            "critical_path": {
                "jobs": list(self.path.jobs),
                "length_secs": self.path.length_ms / 1000,
                "running_secs": self.path.running_ms / 1000,
                "backoff_secs": self.path.backoff_ms / 1000,
                "worker_wait_secs": self.path.worker_wait_ms / 1000,
            },
            "without_worker": [job.job_id for job in self.stuck],
            "jobs": [self._job_json(job) for job in self.ordered],
        }

    def _job_json(self, job: JobTrace) -> dict[str, Any]:
        need = last_need(job, self.run.jobs) if job.attempts else None
        return {
            "job_id": job.job_id,
            "name": job.name,
            "state": job.state,
            "critical": job.job_id in self._critical,
            "start_secs": secs(job.attempts[0].started_ms if job.attempts else None),
            "end_secs": secs(job.ended_ms),
            "waited_for": None if need is None else need.job_id,
            "worker_wait_secs": worker_wait_ms(job) / 1000,
            "backoff_secs": backoff_ms(job) / 1000,
            "skipped_because": self._culprits.get(job.job_id, []),
            "attempts": [attempt_json(attempt) for attempt in job.attempts],
        }

    # --- text ---

    def print(self, console: Console) -> None:
        if self.ordered:
            for line in timeline(self.run, self.ordered, self._critical, console):
                console.print(line, soft_wrap=True)
            console.print()
            columns = ["JOB", "STATE", "ATTEMPTS", "START", "END", "WAITED FOR"]
            rows = [self._row(job) for job in self.ordered]
            print_table(console, columns, rows, ("JOB", "WAITED FOR"), ("ATTEMPTS", "WAITED FOR"))
            self._print_retries(console)
            console.print()
            console.print(self._path_line(), soft_wrap=True)
        for job in self.stuck:
            labels = ", ".join(map(shown, self._labels.get(job.job_id, ())))
            console.print(
                Text(f"{shown(job.job_id)}: no worker takes it; it requires {labels}", "red"), soft_wrap=True
            )
        console.print(self._outcome(), soft_wrap=True)

    def _row(self, job: JobTrace) -> list[str | Text]:
        return [
            shown(job.job_id),
            in_state(job.state),
            str(len(job.attempts)),
            show_ms(job.attempts[0].started_ms) if job.attempts else "",
            "" if job.ended_ms is None else show_ms(job.ended_ms),
            self._waited_for(job),
        ]

    def _waited_for(self, job: JobTrace) -> str:
        if job.state == "skipped":
            return f"skipped: {', '.join(map(shown, self._culprits[job.job_id]))} did not succeed"
        if not job.attempts:
            return "a worker" if job.job_id in self._stuck else ""
        need = last_need(job, self.run.jobs)
        parts = [] if need is None else [shown(need.job_id)]
        if wait := worker_wait_ms(job):
            parts.append(f"a worker for {show_ms(wait)}")
        if wait := backoff_ms(job):
            parts.append(f"retries for {show_ms(wait)}")
        return ", ".join(parts)

    def _print_retries(self, console: Console) -> None:
        """Attempts that did not succeed, in the order of their ends."""
        bad = [
            (attempt.ended_ms, job, attempt)
            for job in self.ordered
            for attempt in job.attempts
            if attempt.ended_ms is not None and attempt.outcome != "success"
        ]
        if bad:
            console.print()
        for ended_ms, job, attempt in sorted(bad, key=lambda each: each[0]):
            line = f"{show_ms(ended_ms)}  {shown(job.job_id)}: attempt {attempt.number} "
            line += REASONS[attempt.outcome or "failure"]
            if attempt.next_due_ms is None:
                line += "; no retries left"
            else:
                wait_ms = attempt.next_due_ms - ended_ms
                due = f"at {show_ms(attempt.next_due_ms)}, after {show_ms(wait_ms)}" if wait_ms else "at once"
                line += f"; due again {due}"
            console.print(Text(line), soft_wrap=True)

    def _path_line(self) -> Text:
        text = Text("critical path: ", style="bold")
        text.append(" → ".join(map(shown, self.path.jobs)) or "none", style="not bold")
        return text.append(f"\n  {path_length(self.path)}", style="not bold")

    def _outcome(self) -> Text:
        counts = Counter(job.state for job in self.run.jobs.values())
        parts = [Text(f"{counts[state]} {state}", style=LOOKS[state][2]) for state in LOOKS if counts[state]]
        how = f"{self.run.state} in" if self.run.state in ENDED else "never ends; nothing happens after"
        style = LOOKS["failure" if self.stuck else self.run.state][2]
        text = Text.assemble((f"{shown(self.run.name)}: {how}", style), f" {show_ms(self.run.ended_ms)}  (")
        return text.append_text(Text(" · ").join(parts)).append(")")


def stuck(run: RunTrace) -> list[JobTrace]:
    """Jobs that no worker takes, in the order of the file: nothing happens any more."""
    waiting = [job for job in run.jobs.values() if job.state not in ENDED]
    return [job for job in waiting if all(run.jobs[need].state == "success" for need in job.needs)]


def path_length(path: CriticalPath) -> str:
    """`5m: runs 4m, waits 1m to be tried again`"""
    parts = [f"runs {show_ms(path.running_ms)}"]
    if path.backoff_ms:
        parts.append(f"waits {show_ms(path.backoff_ms)} to be tried again")
    if path.worker_wait_ms:
        parts.append(f"waits {show_ms(path.worker_wait_ms)} for workers")
    return f"{show_ms(path.length_ms)}: {', '.join(parts)}"


def attempt_json(attempt: Attempt) -> dict[str, Any]:
    """attempt: from 0, as everywhere on the wire."""
    return {
        "attempt": attempt.number - 1,
        "outcome": attempt.outcome,
        "ready_secs": attempt.ready_ms / 1000,
        "start_secs": attempt.started_ms / 1000,
        "end_secs": secs(attempt.ended_ms),
        "next_due_secs": secs(attempt.next_due_ms),
    }


def secs(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


def in_order(run: RunTrace) -> list[JobTrace]:
    """As they start or are skipped, then as in the file; last what never does."""

    def at(job: JobTrace) -> float:
        if job.attempts:
            return job.attempts[0].started_ms
        return float("inf") if job.ended_ms is None else job.ended_ms

    return sorted(run.jobs.values(), key=at)
