"""What `wfg simulate` assumes: how long attempts take, which go wrong and how, and who works."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Annotated, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from .simulate_spans import MAX_MS, Span, read_span
from .transport import Wire
from .workflow_file import WorkflowFile, read_workflow_file

WITHIN_TIMEOUT = 0.9  # the share of it that a job takes whose duration nobody gave
TARGET = re.compile(r"(.+)@([1-9][0-9]{0,2})(?:-([1-9][0-9]{0,2}))?", re.DOTALL)


class ScenarioError(Exception):
    """An assumption that cannot be made; the text names the option or the place in the file."""


class Fate(StrEnum):
    """What becomes of an attempt."""

    SUCCESS = "success"
    FAIL = "fail"
    TIMEOUT = "timeout"
    LOSE = "lose"


class Backoff(Wire):
    """What retries of a job wait."""

    jitter: float = 0


class PlannedJob(Wire):
    """A job of a definition's normal form, as far as it matters here."""

    key: str
    retries: int
    lost_retries: int
    timeout_secs: int | None
    backoff: Backoff

    @property
    def max_attempts(self) -> int:
        return 1 + self.retries + self.lost_retries


@dataclass(frozen=True)
class Pool:
    """Workers with the same labels. labels: None has them all. size: None is as many as it takes."""

    labels: tuple[str, ...] | None = None
    size: int | None = None


@dataclass(frozen=True)
class Rule:
    """Something that is said of a job, or of attempts of it. source: where it is said, for errors."""

    source: str
    target: str  # JOB, JOB@2, JOB@1-3
    value: Span | Fate

    def is_beside(self, other: "Rule") -> bool:
        """Whether neither wins: two options, or two keys of a job in a file."""
        return self.source == other.source or (self.source.startswith("--") and other.source.startswith("--"))


@dataclass(frozen=True)
class Scenario:
    """A rule that names an attempt wins over one of the whole job; then the later wins."""

    default: Span
    rules: Sequence[Rule] = ()
    pools: Sequence[Pool] = (Pool(),)
    ttl_secs: int = 30
    seed: int = 0


# --- resolved for the jobs of a workflow ---


@dataclass
class Plan:
    """The scenario by job and attempt; attempts count from 1, 0 is all of them."""

    scenario: Scenario
    spans: dict[tuple[str, int], Span] = field(default_factory=dict[tuple[str, int], Span])
    fates: dict[tuple[str, int], Fate] = field(default_factory=dict[tuple[str, int], Fate])

    @property
    def loses_any(self) -> bool:
        return Fate.LOSE in self.fates.values()

    def fate(self, job: str, attempt: int) -> Fate:
        return self.fates.get((job, attempt)) or self.fates.get((job, 0)) or Fate.SUCCESS

    def duration_ms(self, job: PlannedJob, attempt: int) -> int:
        """The same each time it is asked. By default it keeps within its timeout."""
        random = Random(f"{self.scenario.seed} {attempt} {job.key}")
        span = self.spans.get((job.key, attempt)) or self.spans.get((job.key, 0))
        if span is not None:
            return span.draw(random)
        within_ms = MAX_MS if job.timeout_secs is None else int(job.timeout_secs * 1000 * WITHIN_TIMEOUT)
        return min(self.scenario.default.draw(random), within_ms)


def plan(scenario: Scenario, jobs: Iterable[PlannedJob]) -> Plan:
    """Find the jobs that the rules name. ScenarioError when there is none, or not that attempt of it."""
    known = {job.key: job for job in jobs}
    made = Plan(scenario)
    said: dict[tuple[str, int], Rule] = {}
    for rule in scenario.rules:
        job, attempts = resolve(rule, known)
        for attempt in attempts:
            if isinstance(rule.value, Span):
                made.spans[job.key, attempt] = rule.value
                continue
            other = said.get((job.key, attempt))
            if other is not None and other.value != rule.value and other.is_beside(rule):
                raise ScenarioError(f"{rule.source}: {rule.target!r} can only {other.value} or {rule.value}")
            said[job.key, attempt] = rule
            made.fates[job.key, attempt] = rule.value
    return made


def resolve(rule: Rule, known: Mapping[str, PlannedJob]) -> tuple[PlannedJob, Iterable[int]]:
    name, attempts = rule.target, range(1)
    found = TARGET.fullmatch(rule.target)
    if name not in known and found is not None:
        name = found[1]
        attempts = range(int(found[2]), int(found[3] or found[2]) + 1)
    job = known.get(name)
    if job is None:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ScenarioError(f"{rule.source}: there is no job {name!r}{hint}")
    if not attempts:
        raise ScenarioError(f"{rule.source}: {rule.target!r} begins with the later attempt")
    if attempts[-1] > job.max_attempts:
        most = "one attempt" if job.max_attempts == 1 else f"{job.max_attempts} attempts at most"
        raise ScenarioError(f"{rule.source}: {name!r} has {most}, by its retries")
    if rule.value is Fate.TIMEOUT and job.timeout_secs is None:
        raise ScenarioError(f"{rule.source}: {name!r} has no timeout")
    return job, attempts


# --- options ---


def duration_rule(option: str, text: str) -> Rule:
    """`JOB=90s`, `JOB@1=5s..10s`."""
    target, equals, span = text.rpartition("=")
    if not (equals and target):
        raise ScenarioError(f"{option}: {text!r} is not of the form JOB=TIME")
    return Rule(option, target, span_of(option, span))


def span_of(source: str, text: str) -> Span:
    try:
        return read_span(text)
    except ValueError as error:
        raise ScenarioError(f"{source}: {error}") from None


def pool_of(source: str, text: str) -> Pool:
    """`4`: so many workers with all labels. `linux,gpu=2`: so many that have these."""
    labels, equals, size = text.rpartition("=")
    if not re.fullmatch(r"[1-9][0-9]{0,4}", size):
        raise ScenarioError(
            f"{source}: {text!r} is not of the form N or LABEL,LABEL=N, with N from 1 to 99999"
        )
    if not equals:
        return Pool(size=int(size))
    return Pool(tuple(label.strip() for label in labels.split(",") if label.strip()), int(size))


# --- a file ---


def _text(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _attempts(value: object) -> object:
    """`true`, `2`, `1-3` or a list of these, as what follows the job's name in an option."""
    if isinstance(value, bool):
        return [""] if value else []
    listed = cast("list[object]", value) if isinstance(value, list) else [value]
    if not all(re.fullmatch(r"[1-9][0-9]{0,2}(-[1-9][0-9]{0,2})?", str(_text(each))) for each in listed):
        raise ValueError("must be true, an attempt such as 1 or 1-3, or a list of these")
    return [f"@{each}" for each in listed]


Text = Annotated[str, BeforeValidator(_text)]
Attempts = Annotated[list[str], BeforeValidator(_attempts)]


class JobSection(BaseModel):
    """A job in a scenario file."""

    model_config = ConfigDict(extra="forbid")
    duration: Text | None = None
    fail: Attempts = []
    timeout: Attempts = []
    lose: Attempts = []


class ScenarioFile(BaseModel):
    """What `--with` reads."""

    model_config = ConfigDict(extra="forbid")
    default_duration: Text | None = None
    workers: list[Text] = []
    ttl: int | None = Field(default=None, ge=1, le=86400)
    seed: int | None = None
    inputs: dict[str, Text] = {}
    jobs: dict[str, JobSection] = {}

    @field_validator("workers", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return cast("list[object]", value) if isinstance(value, list) else [value]

    @field_validator("inputs", mode="before")
    @classmethod
    def _booleans_as_written(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        given = cast("dict[str, object]", value)
        return {name: str(each).lower() if isinstance(each, bool) else each for name, each in given.items()}


def read_scenario(path: Path) -> tuple[ScenarioFile, list[Rule]]:
    """A file and its rules. ScenarioError or WorkflowFileError names the line."""
    file = read_workflow_file(path)
    try:
        content = ScenarioFile.model_validate_json(file.definition)
    except ValidationError as error:
        raise ScenarioError("\n".join(_problems(file, error))) from None

    rules: list[Rule] = []
    for job, section in content.jobs.items():
        source = f"{path}:{file.line_of(f'jobs.{job}')}"
        if section.duration is not None:
            rules.append(Rule(source, job, span_of(source, section.duration)))
        fates = {Fate.FAIL: section.fail, Fate.TIMEOUT: section.timeout, Fate.LOSE: section.lose}
        rules += [Rule(source, job + attempts, fate) for fate, listed in fates.items() for attempts in listed]
    return content, rules


def _problems(file: WorkflowFile, error: ValidationError) -> Iterable[str]:
    for problem in error.errors():
        path = ".".join(str(part) for part in problem["loc"] if isinstance(part, str))
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "unknown key"
        yield f"{file.path}:{file.line_of(path)}: {path or 'the file'}: {message}"
