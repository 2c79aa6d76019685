"""docs/http.md: its commands are run, its tables compared with what they tell of."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined
from wfg.settings import Settings

from tests.serving import serving

PAGE = (Path(__file__).parent.parent / "docs" / "http.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its first two lines."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| (.*) \|$", section, re.MULTILINE)[1:]
    return [[cell.strip() for cell in line.split(" | ")] for line in lines]


@pytest.fixture(scope="module")
def http(new_database, template):
    with serving(new_database(template)) as client:
        yield client


def test_the_commands_of_the_page_work(http):
    """One shell for all blocks: what one has set, the next uses."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", "echo; ".join(blocks)],
        env={**os.environ, "SERVER_URL": str(http.base_url).rstrip("/")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr

    answers = []
    rest = done.stdout.strip()
    while rest:
        answer, end = json.JSONDecoder().raw_decode(rest)
        answers.append(answer)
        rest = rest[end:].lstrip()
    put, started, claim, renewed, appended, completed, run, log, another, runs, cancelled = answers
    assert (put["id"], put["changed"]) == ("report", True)
    assert started["created"] is True
    assert claim["job"]["job_id"] == "extract"
    assert renewed["stop"] is None
    assert appended["accepted"] == 1
    assert completed == {"job": "success", "run": "running"}
    assert (run["run_id"], run["inputs"]) == (started["run_id"], {"day": "monday"})
    assert [item["data"] for item in log["items"]] == ["42 rows\n"]
    assert [each["run_id"] for each in runs["items"]] == [another["run_id"]]
    assert cancelled == {"run_id": started["run_id"], "run": "cancelled"}


def test_routes_are_those_of_the_document(http):
    document = http.get("/schema/openapi.json").json()
    served = {
        f"`{method.upper()} {path}`": min(operation["responses"], key=int)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    for path in ("workflows/{workflow_id}/runs", "runs/{run_id}/rerun"):
        served[f"`POST /api/{path}`"] = "201"  # and 200, for the key's first run
    assert {route: status for route, status, *_ in rows("Routes")} == served


def test_settings_are_those_of_the_server():
    def shown(default: object) -> str:
        if default is PydanticUndefined:
            return "required"
        if default is None:
            return ""
        return (
            "off" if default is False else f"`{default:g}`" if isinstance(default, float) else f"`{default}`"
        )

    fields = Settings.model_fields.values()
    assert rows("Settings") == [[f"`{f.alias}`", shown(f.default), f.description] for f in fields]
