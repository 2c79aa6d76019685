"""The pictures of docs/images, of a run as people have them. WFG_PICTURES=docs/images makes them anew."""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.arrange import append, chunk
from tests.browser import chromium, context_of, needs_chromium
from tests.engine import Engine
from tests.serving import serving

pytestmark = [needs_chromium, pytest.mark.nightly]

MOST_BYTES = 120_000
README = (Path(__file__).parent.parent / "README.md").read_text()
JOBS: dict[str, dict[str, Any]] = {
    "checkout": {"name": "Check out"},
    "lint": {"name": "Lint", "needs": "checkout", "group": "Checks"},
    "types": {"name": "Types", "needs": "checkout", "group": "Checks"},
    "unit": {"name": "Unit tests", "needs": "checkout", "group": "Checks"},
    "docs": {"name": "Docs", "needs": "checkout"},
    "integration": {"name": "Integration tests", "needs": "unit", "group": "Checks"},
    "build": {"name": "Build", "needs": ["lint", "types", "unit"]},
    "wheel": {"name": "Wheel", "needs": "build", "group": "Packages"},
    "amd64": {"name": "Image, amd64", "needs": "build", "group": "Packages"},
    "arm64": {"name": "Image, arm64", "needs": "build", "group": "Packages", "retries": 1},
    "publish": {"name": "Publish", "needs": ["wheel", "amd64", "arm64", "integration"]},
    "deploy": {"name": "Deploy to staging", "needs": ["publish", "docs"]},
}
TOOK = {"checkout": 6, "lint": 21, "types": 34, "unit": 71, "docs": 48, "build": 64, "wheel": 9}
TOOK |= {"amd64": 58, "arm64": 30, "integration": 1000}
FAILS = {"arm64": "exit code 1: no space left on device"}
LOG = (
    "\x1b[1m$ make integration\x1b[0m",
    "starting 3 containers: \x1b[36mpostgres\x1b[0m, \x1b[36mredis\x1b[0m, \x1b[36mminio\x1b[0m",
    *(f"\x1b[32mPASS\x1b[0m tests/integration/test_{name}.py \x1b[90m({0.4 + place * 0.37:.2f} s)\x1b[0m"
      for place, name in enumerate(("claims", "leases", "logs", "migrations", "retries", "upload"))),
    "\x1b[33mWARN\x1b[0m test_download: the bucket was slow, trying again",
    "\x1b[32mPASS\x1b[0m tests/integration/test_download.py \x1b[90m(6.02 s)\x1b[0m",
    "\x1b[31mFAIL\x1b[0m tests/integration/test_quota.py::test_limits, run again in 5 s",
    "\x1b[32mPASS\x1b[0m tests/integration/test_quota.py \x1b[90m(1.10 s)\x1b[0m",
)  # fmt: skip


def play(engine: Engine, begin: datetime, end: datetime) -> dict[str, dict[str, Any]]:
    """Four workers take what there is, between these times; claims of what runs at the end, by job."""
    running: dict[str, tuple[datetime, dict[str, Any]]] = {}  # by worker
    at = begin
    while at < end:
        engine.set_now(at)
        for worker, (done_at, claim) in list(running.items()):
            if done_at > at:
                continue
            job = claim["job"]["job_id"]
            if job in FAILS:
                engine.fail(claim, FAILS[job], retryable=True)
            else:
                engine.complete(claim)
            del running[worker]
        for worker in (f"builder-{number}" for number in range(1, 5)):
            if worker not in running and (claim := engine.claim(worker, ttl=3600)):
                running[worker] = (at + timedelta(seconds=TOOK[claim["job"]["job_id"]]), claim)
        at += timedelta(seconds=2)
    return {claim["job"]["job_id"]: claim for _, claim in running.values()}


def arranged(engine: Engine) -> str:
    """A run that goes on; its id."""
    now = datetime.now(UTC)
    begin = now - timedelta(seconds=215)
    engine.set_now(begin - timedelta(days=1))
    jobs = {job_id: {"run": f"make {job_id}", **job} for job_id, job in JOBS.items()}
    engine.put("release", jobs=jobs, inputs={"version": {"type": "string"}})
    engine.set_now(begin)
    run_id = engine.start("release", inputs={"version": "1.9"}, started_by="ada", reason="bugs of July")
    claim = play(engine, begin, now)["integration"]
    append(engine, claim, *(chunk(claim, place, f"{line}\n") for place, line in enumerate(LOG)))
    engine.set_now(None)
    return run_id


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def test_the_pictures(browser: Browser, engine: Engine, tmp_path: Path) -> None:
    folder = Path(os.environ.get("WFG_PICTURES", tmp_path))
    run_id = arranged(engine)
    views: dict[str, tuple[str, Any]] = {
        "run": (f"runs/{run_id}", {"color_scheme": "light", "viewport": {"width": 1280, "height": 640}}),
        "job": (
            f"runs/{run_id}/jobs/integration",
            {"color_scheme": "dark", "viewport": {"width": 1280, "height": 640}},
        ),
    }
    with serving(engine.dsn) as http:
        for name, (place, options) in views.items():
            with context_of(browser, **options) as context:
                page = context.new_page()
                page.goto(f"{http.base_url}/#/{place}")
                expect(page.get_by_text("Integration tests").last).to_be_visible()
                expect(page.get_by_text("Running").first).to_be_visible()
                if name == "job":
                    expect(page.locator(".line")).to_have_count(len(LOG) + 1)
                else:
                    page.evaluate("document.querySelector('wfg-graph').settled()")
                    expect(page.locator("wfg-graph")).to_have_attribute("style", re.compile("--content"))
                    page.evaluate("document.querySelector('wfg-graph').settled()")
                page.screenshot(path=folder / f"{name}.png")
            assert (folder / f"{name}.png").stat().st_size < MOST_BYTES
            assert f"docs/images/{name}.png" in README
