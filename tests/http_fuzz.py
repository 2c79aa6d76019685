"""Requests that schemathesis makes of the OpenAPI document, to a real server, and who judges the answers.

Hypothesis makes them, no more: each depends on what those before it left behind, so nothing is shrunk.
What is wrong about answers is collected, each kind of it once, with the curl that asked for it.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import FlakyStrategyDefinition, Unsatisfiable
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup

from tests.arrange import chunk
from tests.engine import Engine
from tests.fuzz import DEFINITION

TIMEOUT = 20
LONGEST_WAIT_SECS = 0.05
STREAMS = "text/event-stream"
OPEN = {"health", "ready"}  # which want no token

CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "unsupported_method",
    "allow_header_conformance",
    "missing_required_header",
)

QUICK = settings(
    database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


class World:
    """What there is in the database, so that ids in requests are of something; put back as it is used up."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.ids: dict[str, list[str]] = {}
        self.used = 0
        self.refill()

    def refill(self) -> None:
        engine = self.engine
        engine.call("wfg_thaw")
        for pause in engine.call("wfg_list_pauses")["items"]:
            if pause["kind"] == "labels":
                engine.call("wfg_resume_labels", p_labels=pause["labels"])
        engine.call("wfg_put_workflow", p_workflow_id="wf", p_definition=DEFINITION)
        engine.put("other", jobs={"a": {"run": "true", "labels": ["linux"]}, "b": {"run": "true"}})
        for workflow_id in ("wf", "other"):
            engine.call("wfg_resume_workflow", p_workflow_id=workflow_id)
        runs = [engine.start("wf"), engine.start("wf"), engine.start("other")]
        ended = engine.start("other")
        engine.call("wfg_cancel_run", p_run_id=ended)
        engine.call("wfg_run_workflow", p_workflow_id="other")
        claims = engine.claim_many(6, worker="w1", labels=["linux", "gpu"], ttl=600)
        assert claims, "nothing to claim"
        first = claims.pop()
        engine.call("wfg_append_logs", p_lease_id=first["lease"]["lease_id"], p_chunks=[chunk(first, 0)])
        engine.complete(first, {"coverage": "94%"})
        self.claims = {claim["lease"]["lease_id"]: claim for claim in claims}
        self.ids = {
            "workflow_id": ["wf", "other"],
            "wf_id": ["wf", "other", runs[0], first["lease"]["run_id"]],
            "run_id": [*runs, ended, first["lease"]["run_id"]],
            "job_id": ["a", "b"],
            "worker_id": ["w1"],
            "lease_id": list(self.claims),
            "label": ["linux"],
            "state": ["queued", "running", "success"],
            "function": ["wfg_health", "wfg_list_runs", "wfg_get_workflow", "wfg_reap"],
        }
        self.used = 0

    def use(self) -> None:
        """Called once a case."""
        self.used += 1
        if self.used > 25:
            self.refill()


class Tally(Counter[tuple[str, str]]):
    """How many cases of an operation had an answer of a class: 2xx, 4xx, 5xx."""

    def table(self) -> str:
        labels = sorted({label for label, _ in self}, key=lambda label: label.partition(" ")[::-1])
        rows = [
            f"| `{label}` | {self.cases(label)} | "
            + " | ".join(str(self[label, kind]) for kind in ("2xx", "4xx", "5xx"))
            + " |"
            for label in labels
        ]
        return "\n".join(["| operation | cases | 2xx | 4xx | 5xx |", "|---|---|---|---|---|", *rows])

    def cases(self, label: str) -> int:
        return sum(count for (each, _), count in self.items() if each == label)


class Fuzzer:
    """Sends cases as an operator, some of them first as nobody, and collects what is wrong about answers."""

    def __init__(self, url: str, token: str, engine: Engine, number: int) -> None:
        load_all_checks()
        self.url = url
        self.session = requests.Session()
        self.token = token
        self.world = World(engine)
        self.random = random.Random(number)
        self.number = number
        self.tally = Tally()
        self.objections: dict[tuple[str, ...], str] = {}
        self.excused: Counter[str] = Counter()
        self.rightness = 0.7
        document = self.session.get(f"{url}/schema/openapi.json", timeout=TIMEOUT).json()
        self.schema = schemathesis.openapi.from_dict(document)
        self.schema.config.update(base_url=url)
        self.schema.config.output.sanitization.update(enabled=False)  # the curl is to be run
        self.operations = [found.ok() for found in self.schema.get_all_operations()]
        self.checks = [CHECKS.get_one(name) for name in CHECKED]

    # --- what is sent ---

    def coverage(self, operation: Any) -> list[Case]:
        """What schemathesis makes without chance: each limit, type and field, methods, media types."""
        return list(
            self.schema.iter_coverage_cases(
                operation,
                generation_modes=list(GenerationMode),
                generation_config=self.schema.config.generation_for(operation=operation),
            )
        )

    def by_chance(self, operation: Any, mode: GenerationMode, count: int) -> Iterator[Case]:
        found: list[Case] = []
        if mode.is_negative and not (operation.body or operation.query):
            return iter(found)  # all it takes are texts, in its path

        @seed(self.number)
        @settings(QUICK, max_examples=count)
        @given(operation.as_strategy(generation_mode=mode))
        def collect(case: Case) -> None:
            found.append(case)

        with suppress(Unsatisfiable):
            collect()
        return iter(found)

    def with_ids(self, case: Case) -> Case:
        """Most ids in the path are of something."""
        for name in case.path_parameters:
            if name in self.world.ids and self.random.random() < self.rightness:
                case.path_parameters[name] = quote(self.random.choice(self.world.ids[name]), safe="")
        return case

    def with_values(self, case: Case) -> Case:
        """Some of what is right by its type is made right by what it says, too. Nothing waits for long."""
        chance = self.random.random
        if case.meta is None or case.meta.generation.mode.is_positive:
            for name in list(case.query):
                if name in self.world.ids and chance() < self.rightness - 0.3:
                    case.query[name] = self.random.choice(self.world.ids[name])
            if isinstance(case.body, dict) and chance() < self.rightness - 0.1:
                is_file = name_of(case) in ("put_workflow", "validate_workflow")
                case.body = DEFINITION if is_file else {**case.body, **self.right_fields(case)}
        if isinstance(case.body, dict):
            wait = case.body.get("wait_secs")
            if isinstance(wait, int | float) and LONGEST_WAIT_SECS < wait <= 30:
                case.body = {**case.body, "wait_secs": LONGEST_WAIT_SECS}
        return case

    def right_fields(self, case: Case) -> dict[str, Any]:
        """What the engine takes, besides having the right type."""
        lease = self.random.choice(self.world.ids["lease_id"])
        claim = self.world.claims[lease]
        match name_of(case):
            case "claim_job" | "claim_jobs" | "register_worker":
                some = {"worker_id": "w1", "labels": ["linux"], "lease_ttl_secs": 60, "limit": 2}
                return {key: value for key, value in some.items() if key in case.body}
            case "report_jobs":
                return {"reports": [{"lease_id": lease, "outcome": "success"}], "strict": False}
            case "append_logs":
                case.path_parameters["lease_id"] = lease
                return {"chunks": [chunk(claim, 0), chunk(claim, 1)]}
            case "complete_job":
                return {"outputs": {"a": "1"}}
            case "start_run" | "run_workflow":
                return {"inputs": {}, "start_at": "2031-01-01T00:00:00Z"}
            case "start_runs":
                return {"runs": [{}, {"idempotency_key": "k"}]}
            case "rerun_run":
                return {"jobs": self.random.choice(["all", "failed"]), "from_job_id": None}
            case "create_workflow":
                return {"name": "n", "trigger": "manual", "jobs": []}
            case "pause_labels" | "resume_labels":
                return {"labels": ["linux"]}
            case "prune" | "schedule_cron":
                some = {"older_than_secs": 10**6, "keep_per_workflow": 1, "limit": 10}
                return {key: value for key, value in some.items() if key in case.body}
            case _:
                return {}

    # --- how it is judged ---

    def send(self, case: Case, headers: dict[str, str]) -> requests.Response:
        """Of what may go on for ever, the head is enough."""
        kwargs = case.as_transport_kwargs(base_url=self.url, headers=headers)
        response = self.session.request(**kwargs, timeout=TIMEOUT, stream=True, allow_redirects=False)
        if response.headers.get("content-type", "").startswith(STREAMS):
            response._content = b""
            response.close()
        return response

    def ask(self, case: Case, *, as_nobody: bool = False) -> Response:
        """The answer to an operator; who has no token, or one that is none, may have asked before."""
        self.world.use()
        case = self.with_values(case)
        try:
            refusals = [self.send(case, wrong) for wrong in NOBODY] if as_nobody else []
            response = Response.from_requests(
                self.send(case, {"authorization": f"Bearer {self.token}"}), verify=True
            )
        except requests.RequestException as error:
            self.object((case.operation.label, "no answer", type(error).__name__), str(error), case)
            raise
        for refusal in refusals:
            self.count(case, refusal.status_code)
            self.judge_nobody(case, refusal, response)
        self.count(case, response.status_code)
        return response

    def count(self, case: Case, status: int) -> None:
        self.tally[case.operation.label, f"{status // 100}xx"] += 1

    def judge(self, case: Case, response: Response) -> None:
        try:
            case.validate_response(response, checks=self.checks)
        except FailureGroup as group:
            for failure in group.exceptions:
                reason = excuse(case, response, type(failure).__name__)
                if reason:
                    self.excused[reason] += 1
                    continue
                kind = (case.operation.label, type(failure).__name__, str(response.status_code))
                self.object(kind, f"{failure}\n{response.status_code} {response.text[:500]}", case)

    def judge_nobody(self, case: Case, refusal: requests.Response, response: Response) -> None:
        """Who has no token learns nothing, but what is said of a request before anybody is asked for one."""
        status = refusal.status_code
        if refusal.request.method == "OPTIONS" or name_of(case) in OPEN:
            return
        if status == response.status_code and is_said_to_anybody(refusal):
            return
        if status != 401 or refusal.headers.get("www-authenticate") != "Bearer":
            kind = (case.operation.label, "nobody", str(status))
            self.object(
                kind, f"{status} {refusal.text[:200]}, and to an operator {response.status_code}", case
            )

    def object(self, kind: tuple[str, ...], text: str, case: Case) -> None:
        if kind not in self.objections:
            curl = case.as_curl_command(headers={"authorization": "Bearer $TOKEN"}, base_url=self.url)
            mode = case.meta and case.meta.generation.mode.value
            self.objections[kind] = f"{' | '.join(kind)} ({mode})\n{text}\n{curl}"

    # --- all of it ---

    def run(self, coverage: int | None, right: int, wrong: int) -> None:
        """Of each operation so many cases: of schemathesis' own list (None: all), and by chance."""
        for operation in self.operations:
            listed = self.coverage(operation)
            if coverage is not None and len(listed) > coverage:
                listed = self.random.sample(listed, coverage)
            modes = ((GenerationMode.POSITIVE, right), (GenerationMode.NEGATIVE, wrong))
            drawn = [case for mode, count in modes for case in self.by_chance(operation, mode, count)]
            for number, case in enumerate([*listed, *drawn]):
                self.try_case(case, as_nobody=number % 10 == 0)
            if not self.tally[operation.label, "2xx"]:
                self.insist(operation)

    def insist(self, operation: Any) -> None:
        """Chance has not brought anything that is right: what has all values right is."""
        self.world.refill()
        self.rightness, before = 1.4, self.rightness
        for case in self.by_chance(operation, GenerationMode.POSITIVE, 20):
            self.try_case(case)
            if self.tally[operation.label, "2xx"]:
                break
        self.rightness = before

    def try_case(self, case: Case, *, as_nobody: bool = False) -> None:
        with suppress(requests.RequestException):  # told of already
            self.judge(case, self.ask(self.with_ids(case), as_nobody=as_nobody))

    def run_sequences(self, count: int, steps: int) -> None:
        """So many times up to so many requests, of which later ones take ids from answers to earlier ones."""
        fuzzer = self

        class Sequences(self.schema.as_state_machine()):
            def call(self, case: Case, **_: Any) -> Response:
                return fuzzer.ask(case)

            def validate_response(self, response: Response, case: Case, **_: Any) -> None:
                fuzzer.judge(case, response)

        few = settings(QUICK, max_examples=3, stateful_step_count=steps)
        for number in range(count // 3):
            # What the same beginning leads to depends on answers; Hypothesis gives up when it sees that.
            with suppress(FlakyStrategyDefinition, requests.RequestException):
                seed(self.number + number)(type("Sequences", (Sequences,), {})).run(settings=few)


NOBODY: Iterable[dict[str, str]] = ({}, {"authorization": "Bearer wfg_x"})


def is_said_to_anybody(refusal: requests.Response) -> bool:
    """What the request itself is refused for, and nothing of what there is in the database."""
    answer = refusal.json()
    match refusal.status_code:
        case 404:
            return answer["message"] == "not_found" or answer["code"] == "PGRST202"
        case 422:
            return answer["message"] == "invalid_request" and not answer["details"].startswith("p_")
        case status:
            return status in (400, 405, 413, 415)


def name_of(case: Case) -> str:
    return case.operation.definition.raw["operationId"]


# --- what the document says and the server does not, with the reason ---

REJECTED, ACCEPTED = "RejectedPositiveData", "AcceptedNegativeData"

# By the failure, the status, the message and the details of the answer.
EXCUSES: dict[str, tuple[str, int, str, str]] = {
    "rules are the engine's, the document has the types": (REJECTED, 422, "invalid_request", r"p_\w+"),
    "a workflow file is an object, or YAML, to the document": (REJECTED, 422, "invalid_workflow", ""),
    "any text is YAML to the document": (REJECTED, 400, "invalid_yaml", ""),
    "1.0 is an integer to JSON Schema, not to us": (
        REJECTED,
        422,
        "invalid_request",
        r"[\w.]+: Input should be a valid integer(; [\w.]+: Input should be a valid integer)*$",
    ),
    "Postgres does not store NUL": (
        REJECTED,
        422,
        "invalid_request",
        r".*\bNUL\b|unsupported Unicode escape sequence",
    ),
    "nor in a workflow file": (REJECTED, 400, "invalid_json", r".*\bNUL\b"),
    "no pattern says which days there are": (
        REJECTED,
        422,
        "invalid_request",
        "(date/time field value|time zone displacement) out of range|invalid input syntax for type timestamp",
    ),
    "JSON in a query is a text to the document": (
        REJECTED,
        422,
        "invalid_request",
        "invalid input syntax for type json",
    ),
    "which functions only read is not in the document": (REJECTED, 405, "cannot execute", ""),
    "what is wrong with a file is the answer of validate": (ACCEPTED, 200, "", ""),
}


def excuse(case: Case, response: Response, failure: str) -> str | None:
    """Why an answer is right though the document seems to say otherwise."""
    with suppress(ValueError):
        answer = json.loads(response.content)
        for reason, (kind, status, message, details) in EXCUSES.items():
            if (kind, status) != (failure, response.status_code):
                continue
            if status == 200:
                if name_of(case) == "validate_workflow" and not answer["valid"]:
                    return reason
            elif answer["message"].startswith(message) and re.match(details, str(answer["details"])):
                return reason
    return None
