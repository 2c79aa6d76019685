"""Every answer that a test sees is held against what the OpenAPI document says of it."""

import copy
import re
from typing import Any

import httpx
from jsonschema import Draft202012Validator

ERROR = ["code", "message", "details", "hint"]


class Witness:
    """Watches a client. seen: the operation ids and statuses of its answers."""

    def __init__(self, client: httpx.Client) -> None:
        self.document: dict[str, Any] = client.get("/schema/openapi.json").json()
        self.components = copy.deepcopy(self.document["components"])
        for schema in self.components["schemas"].values():
            if "properties" in schema:
                schema["additionalProperties"] = False
        self.routes = [
            (method.upper(), re.compile(re.sub(r"{\w+}", "[^/]+", path)), operation)
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
        ]
        # /api/jobs/claim before /api/jobs/{lease_id}
        self.routes.sort(key=lambda route: route[1].pattern.count("[^/]+"))
        self.seen: set[tuple[str, int]] = set()
        client.event_hooks = {"response": [self.watch]}

    def watch(self, response: httpx.Response) -> None:
        request, status = response.request, response.status_code
        if request.method in ("HEAD", "OPTIONS") or not response.headers["content-type"].startswith(
            "application/json"
        ):
            return
        answer = response.read() and response.json()
        if status >= 400:
            assert list(answer) == ERROR, answer
            assert "Traceback" not in response.text
        operation = self.operation(request)
        if operation is None or status == 405:
            assert status in (404, 405), f"{request.method} {request.url} is not documented"
            return

        where = f"{operation['operationId']} {status}"
        assert str(status) in operation["responses"], f"{where} is not documented: {answer}"
        schema = operation["responses"][str(status)]["content"]["application/json"]["schema"]
        for problem in Draft202012Validator({**schema, "components": self.components}).iter_errors(answer):
            raise AssertionError(f"{where} {problem.json_path}: {problem.message}")
        self.seen.add((operation["operationId"], status))

    def operation(self, request: httpx.Request) -> dict[str, Any] | None:
        path = request.url.raw_path.decode().partition("?")[0]
        for method, pattern, operation in self.routes:
            if method == request.method and pattern.fullmatch(path):
                return operation
        return None
