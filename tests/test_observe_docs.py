"""docs/observe.md and docs/grafana-dashboard.json: commands are run, every metric that they name is there."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML
from wfg import embedded

from tests.arrange import engine_on, only
from tests.serving import serving
from tests.workers import until_sync

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "observe.md").read_text()
DASHBOARD: dict[str, Any] = json.loads((DOCS / "grafana-dashboard.json").read_text())
NAME = re.compile(r"\bwfg_[a-z_]+")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def database_url(new_database, template) -> str:
    return new_database(template)


@pytest.fixture(scope="module")
def http(database_url) -> Iterator[httpx.Client]:
    with serving(database_url) as client:
        yield client


@pytest.fixture(scope="module")
def families(http, database_url) -> dict[str, Metric]:
    """All there are: each has happened once. By the names of the page, with _total."""
    with engine_on(database_url) as engine:
        engine.put(jobs=only("a"))
        engine.start()
    http.post("/api/jobs/claim", json={"worker_id": "w", "labels": []})
    found = text_string_to_metric_families(http.get("/metrics").text)
    return {f"{each.name}_total" if each.type == "counter" else each.name: each for each in found}


def labels_of(family: Metric) -> set[str]:
    return {name for sample in family.samples for name in sample.labels} - {"le"}


def environment(database_url: str, http: httpx.Client) -> dict[str, str]:
    binaries = "" if shutil.which("psql") else f":{embedded.find_binaries()}"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}{binaries}"
    return {
        **os.environ,
        "PATH": path,
        "DATABASE_URL": database_url,
        "SERVER_URL": str(http.base_url).rstrip("/"),
    }


def test_the_commands_of_the_page_work(families, http, database_url):
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", "\n".join(blocks("sh"))],
        env=environment(database_url, http),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("wfg_runs_active 1\n{")
    assert done.stdout.endswith('"traceparent":"00-4bf92f35\n')


@pytest.mark.nightly
def test_the_commands_of_the_page_that_go_on_work(http, database_url, tmp_path):
    commands = [line for block in blocks("bash") for line in block.splitlines()]
    assert len(commands) == 3
    for command in commands:
        stdout, stderr = tmp_path / "stdout", tmp_path / "stderr"
        with stdout.open("w") as out, stderr.open("w") as err:
            process = subprocess.Popen(
                ["bash", "-c", f"exec env {command}"],
                env={**environment(database_url, http), "PORT": "0", "API_ONLY": "1"},
                stdout=out,
                stderr=err,
            )
        told, wanted = (stdout, "listening on") if "serve" in command else (stderr, "labels none")
        until_sync(lambda told=told, wanted=wanted: wanted in told.read_text())
        process.terminate()
        assert process.wait(30) == 0, stderr.read_text()
        lines = stderr.read_text().splitlines()
        assert lines
        assert all(line.startswith("{") for line in lines) == ("WFG_LOG=json" in command)


def test_the_table_is_what_the_server_tells(families):
    rows = re.findall(r"^\| `(wfg_\w+)` \| (\w+) \|(.*?)\| ", PAGE, re.MULTILINE)
    assert {name: kind for name, kind, _ in rows} == {name: each.type for name, each in families.items()}
    written = {name: set(re.findall(r"`(\w+)`", labels)) for name, _, labels in rows}
    assert written == {name: labels_of(each) for name, each in families.items()}


def test_files_for_prometheus_are_valid_and_name_what_there_is(families):
    scrape, rules = (YAML(typ="safe").load(text) for text in blocks("yaml"))
    assert scrape["scrape_configs"][0]["static_configs"]
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    assert len(alerts) == 6
    for alert in alerts:
        names = NAME.findall(alert["expr"])
        assert names
        assert set(names) <= families.keys(), alert


def test_a_line_of_the_log_is_json():
    (line,) = blocks("json")
    assert json.loads(line)["logger"] == "wfg.access"


def queries() -> Iterator[tuple[str, str]]:
    """Panel and expression."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def test_the_dashboard_queries_only_what_there_is(families):
    samples = {sample.name for family in families.values() for sample in family.samples} | families.keys()
    assert len(list(queries())) >= 25
    for panel, query in queries():
        names = NAME.findall(query)
        assert len(names) == 1, (panel, query)
        assert names[0] in samples, (panel, query)
        selected = re.findall(r"(\w+)=~?\"", query)
        grouped = [name.strip() for each in re.findall(r"by \((.*?)\)", query) for name in each.split(",")]
        family = families.get(names[0]) or families[names[0].removesuffix("_bucket")]
        assert {*selected, *grouped} <= labels_of(family) | {"job", "le"}, (panel, query)
        legend = next(
            target["legendFormat"]
            for each in DASHBOARD["panels"]
            for target in each.get("targets", ())
            if target["expr"] == query
        )
        assert set(re.findall(r"{{(\w+)}}", legend)) <= labels_of(family) | {"instance"}, (panel, legend)


def test_the_dashboard_shows_every_metric(families):
    shown = {name.removesuffix("_bucket") for _, query in queries() for name in NAME.findall(query)}
    left_out = {
        "wfg_queue_other_lanes",
        "wfg_queue_capped",
        "wfg_server_info",
        "wfg_server_start_time_seconds",
    }
    assert families.keys() - shown == left_out


def test_the_dashboard_can_be_imported():
    assert DASHBOARD["schemaVersion"] >= 38  # Grafana 10
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert [each["name"] for each in DASHBOARD["templating"]["list"]] == ["datasource", "job"]
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
