"""The page in a real browser, against a real server: what people do with it, and what must not happen."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.arrange import chunk, only
from tests.browser import chromium, complaints, context_of, findings, needs_chromium
from tests.engine import Engine, lease_id
from tests.servers import free_port, server_process
from tests.serving import serving
from tests.test_tokens import make_token
from tests.workers import until_sync

pytestmark = needs_chromium

IMAGE = "<img src=x onerror=alert(1)>"
HOSTILE = f"{IMAGE} \u202egnp.exe \x1b[31m"
INPUTS = {
    "who": {"type": "string", "required": True, "description": "Whom to greet"},
    "times": {"type": "number", "default": 3},
    "dry": {"type": "boolean"},
    "where": {"type": "choice", "options": ["dev", "prod"], "default": "dev"},
}
CI = {
    "test": {"name": "Unit tests", "run": "make test"},
    "lint": {"name": "Lint", "run": "make lint"},
    "build": {"name": "Build", "run": "make", "needs": ["test", "lint"]},
}


@dataclass
class World:
    """A server, its database, a browser. faults: of the pages that the test has opened."""

    engine: Engine
    url: str
    browser: Browser
    contexts: ExitStack
    faults: list[list[str]] = field(default_factory=list)

    def open(self, place: str = "", **context: Any) -> Page:
        window = self.contexts.enter_context(context_of(self.browser, **context)).new_page()
        self.faults.append(complaints(window))
        window.goto(f"{self.url}/#/{place}")
        return window

    def claim(self, **labels: Any) -> dict[str, Any]:
        claim = self.engine.claim(ttl=600, **labels)
        assert claim is not None
        return claim


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def world(browser: Browser, engine: Engine) -> Iterator[World]:
    """When the test ends, no page of it may have had a fault."""
    with serving(engine.dsn) as http, ExitStack() as contexts:
        world = World(engine, str(http.base_url).rstrip("/"), browser, contexts)
        yield world
        assert [fault for found in world.faults for fault in found] == []


def append(engine: Engine, claim: dict[str, Any], *texts: str, first: int = 0, **more: Any) -> None:
    chunks = [chunk(claim, first + place, text, **more) for place, text in enumerate(texts)]
    engine.call("wfg_append_logs", p_lease_id=lease_id(claim), p_chunks=chunks)


def heading(window: Page) -> Any:
    return window.get_by_role("heading", level=1)


def run_of(window: Page) -> str:
    """The id of the run that is shown."""
    window.wait_for_url(re.compile(r"#/runs/[0-9a-f-]{36}$"))
    return window.url.rpartition("/")[2]


# --- from the start of a run to its end ---


def test_a_run_is_started_and_watched_to_its_end(world: World) -> None:
    world.engine.put("ci", jobs=CI, inputs=INPUTS)
    window = world.open("workflows")
    window.get_by_role("button", name="Start ci").click()
    dialog = window.get_by_role("dialog", name="Start ci")
    expect(dialog.get_by_label("times")).to_have_value("3")
    dialog.get_by_role("button", name="Start").click()
    expect(dialog).to_be_visible()  # what is required is missing
    dialog.get_by_label("who").fill("Ada")
    dialog.get_by_label("where").select_option("prod")
    dialog.get_by_label("Reason").fill("to see")
    dialog.get_by_role("button", name="Start").dblclick()

    run_id = run_of(window)
    run = world.engine.call("wfg_get_run", p_run_id=run_id)
    assert run["inputs"] == {"who": "Ada", "times": 3, "where": "prod"}
    assert run["reason"] == "to see"
    assert len(world.engine.call("wfg_list_runs")["items"]) == 1

    expect(heading(window)).to_contain_text("Queued")
    window.locator("wfg-graph").get_by_text("Lint", exact=True).click()
    expect(heading(window)).to_contain_text("Lint")
    window.go_back()
    window.get_by_role("link", name="Jobs").click()
    row = window.get_by_role("row")
    claims = [world.claim(), world.claim()]
    expect(row.filter(has_text="Lint")).to_contain_text("Running")
    expect(heading(window)).to_contain_text("Running")
    world.engine.complete(claims[0])
    world.engine.complete(claims[1])
    world.engine.complete(world.claim())
    expect(row.filter(has_text="Build")).to_contain_text("Success")
    expect(heading(window)).to_contain_text("Success")
    expect(window).to_have_title("Success: ci · wfg")
    expect(window.get_by_text("The run has ended: Success")).to_be_attached()

    window.get_by_role("link", name="Timeline").click()
    expect(window.get_by_role("img", name=re.compile("waited for other jobs .*success"))).to_be_visible()
    window.go_back()
    expect(row.filter(has_text="Build")).to_be_visible()
    window.get_by_role("link", name="Workflows").click()
    expect(window.get_by_role("row").filter(has_text="100 %")).to_be_visible()


def test_what_is_loaded_before_the_stream_tells_it_is_announced_and_stays(world: World) -> None:
    world.engine.put("ci", jobs=only("a"))
    run_id = world.engine.start("ci")
    window = world.open()
    late = 'event: snapshot\ndata: {"state": "queued", "jobs": [{"job_id": "a", "state": "queued"}]}\n\n'
    window.route("**/stream", lambda route: route.fulfill(content_type="text/event-stream", body=late))
    window.goto(f"{world.url}/#/runs/{run_id}?view=jobs")
    expect(heading(window)).to_contain_text("Queued")
    world.engine.complete(world.claim())
    expect(window.get_by_text("The run has ended: Success")).to_be_attached()
    window.evaluate(
        """() => {
          window.wentBack = false
          const isSuccess = () => document.querySelector('h1').textContent.includes('Success')
          const options = { subtree: true, childList: true, characterData: true }
          new MutationObserver(() => { window.wentBack ||= !isSuccess() }).observe(document.body, options)
        }"""
    )
    with window.expect_response("**/stream"):
        pass
    with window.expect_response(f"**/runs/{run_id}"):
        pass
    assert not window.evaluate("window.wentBack")


def test_what_the_form_is_refused_is_said_in_it(world: World) -> None:
    world.engine.put("ci", jobs=only("a"), inputs={"n": {"type": "number", "required": True}})
    window = world.open("workflows/ci")
    window.get_by_role("button", name="Start", exact=True).click()
    dialog = window.get_by_role("dialog")
    dialog.get_by_label("n", exact=False).first.fill("1")
    world.engine.call("wfg_delete_workflow", p_workflow_id="ci")
    dialog.get_by_role("button", name="Start").click()
    expect(dialog.get_by_role("alert")).to_contain_text("workflow_not_found")
    world.engine.put("ci", jobs=only("a"), inputs={"n": {"type": "number", "required": True}})
    dialog.get_by_role("button", name="Start").click()
    run_of(window)


def test_cancel_and_run_again_what_failed(world: World) -> None:
    world.engine.put("ci", jobs=CI)
    run_id = world.engine.start("ci")
    window = world.open(f"runs/{run_id}?view=jobs")
    window.get_by_role("button", name="Cancel run").click()
    dialog = window.get_by_role("dialog", name="Cancel this run")
    dialog.get_by_role("button", name="Back").click()
    expect(dialog).to_be_hidden()
    assert world.engine.state(run_id) == "queued"
    window.get_by_role("button", name="Cancel run").click()
    expect(dialog).to_be_visible()
    window.evaluate("location.hash = '#/workers'")
    expect(heading(window)).to_have_text("Workers")
    expect(dialog).to_be_hidden()  # nobody cancels what is not seen
    window.go_back()
    window.get_by_role("button", name="Cancel run").click()
    dialog.get_by_label("Reason").fill("seen enough")
    dialog.get_by_role("button", name="Cancel the run").click()
    expect(heading(window)).to_contain_text("Cancelled")
    expect(window.get_by_text("seen enough")).to_be_visible()
    assert world.engine.call("wfg_get_run", p_run_id=run_id)["cancel_reason"] == "seen enough"

    failed = world.engine.start("ci")
    world.engine.complete(world.claim())
    world.engine.fail(world.claim(), "exit code 2")
    window.goto(f"{world.url}/#/runs/{failed}?view=jobs")
    expect(window.get_by_role("row").filter(has_text="Lint")).to_contain_text("exit code 2")
    window.get_by_role("button", name="Re-run failed jobs").dblclick()
    window.wait_for_url(lambda url: failed not in url)
    again = run_of(window)
    jobs = {job["job_id"]: job for job in world.engine.call("wfg_get_run", p_run_id=again)["jobs"]}
    assert (jobs["test"]["kept"], jobs["lint"]["state"]) == (True, "queued")
    assert len(world.engine.call("wfg_list_runs", p_workflow_id="ci")["items"]) == 3
    window.get_by_role("link", name="Jobs").click()
    expect(window.get_by_role("row").filter(has_text="Unit tests")).to_contain_text("kept")


def test_pause_and_resume(world: World) -> None:
    world.engine.put("ci", jobs=only("a"))
    world.engine.put("gpu", jobs=only("b", labels=["gpu"]))
    world.engine.start("gpu")
    window = world.open("workflows/ci")
    window.get_by_role("button", name="Pause", exact=True).click()
    window.get_by_role("dialog").get_by_label("Reason").fill("a bad release")
    window.get_by_role("dialog").get_by_role("button", name="Pause").click()
    expect(window.get_by_role("button", name="Resume")).to_be_visible()

    window.get_by_role("link", name="Queue").click()
    stuck = window.get_by_role("region", name="Jobs that no worker can take")
    expect(stuck.get_by_role("link", name="gpu / b")).to_be_visible()
    expect(window.get_by_text("no worker can take it")).to_be_visible()
    expect(window.get_by_role("region", name="Pauses")).to_contain_text("a bad release")
    window.get_by_role("button", name="Pause everything").click()
    window.get_by_role("dialog").get_by_role("button", name="Pause everything").click()
    resume = window.get_by_role("button", name="Resume", exact=True)
    expect(resume).to_be_visible()
    assert world.engine.claim(labels=["gpu"]) is None
    resume.click()
    expect(resume).to_be_hidden()
    window.get_by_role("button", name="Resume ci").click()
    until_sync(lambda: world.engine.call("wfg_list_pauses")["items"] == [])
    world.engine.complete(world.engine.claim("w9", labels=["gpu"]))
    window.get_by_role("link", name="Workers").click()
    expect(window.get_by_role("row").filter(has_text="w9")).to_contain_text("idle")


@pytest.mark.nightly
def test_runs_are_filtered_and_new_ones_appear(world: World) -> None:
    world.engine.put("ci", jobs=only("a"))
    world.engine.put("other", jobs=only("a"))
    world.engine.start("other")
    world.engine.call("wfg_cancel_run", p_run_id=world.engine.start("ci"))
    window = world.open("runs")
    rows = window.get_by_role("region", name="Runs").get_by_role("row")
    expect(rows).to_have_count(3)
    window.get_by_label("State").select_option("cancelled")
    expect(rows).to_have_count(2)
    assert window.url.endswith("#/runs?state=cancelled")
    window.get_by_label("State").select_option("")
    window.get_by_label("Workflow").fill("other")
    window.get_by_label("Workflow").press("Enter")
    expect(rows).to_have_count(2)
    run_id = world.engine.start("other")
    expect(rows).to_have_count(3)
    world.engine.call("wfg_cancel_run", p_run_id=run_id)
    expect(rows.nth(1)).to_contain_text("Cancelled")
    window.go_back()
    window.go_back()
    expect(window.get_by_label("State")).to_have_value("cancelled")


# --- the log ---


def test_the_log_is_live_searched_and_plain_text(world: World) -> None:
    world.engine.put("ci", jobs={"a": {"run": "x", "retries": 1}})
    run_id = world.engine.start("ci")
    claim = world.claim()
    append(world.engine, claim, "one\n\x1b[1;31mred\x1b[0m and ", f"plain {IMAGE}\n")
    window = world.open(f"runs/{run_id}/jobs/a")
    log = window.get_by_role("log")
    lines = log.locator(".line-text")
    expect(lines).to_have_text(["one", f"red and plain {IMAGE}"])
    expect(log.locator(".a-bold.a-colour-1")).to_have_text("red")

    append(world.engine, claim, "10%\r100%\n", "\x01\x07\u202eabc\n", "x" * 1_000_000 + "\n", first=2)
    append(world.engine, claim, *(f"line {number}\n" for number in range(500)), first=5)
    expect(lines.last).to_have_text("line 499")  # it follows
    box = log.evaluate("node => [node.scrollTop + node.clientHeight, node.scrollHeight]")
    assert abs(box[0] - box[1]) < 30
    assert lines.count() < 150

    search = window.get_by_role("searchbox", name="Search the log")
    search.fill("LINE 7")
    expect(window.locator(".log-found")).to_have_text("1 of 11")
    expect(log.locator("mark").first).to_have_text("line 7")
    search.press("Enter")
    expect(log.locator(".current")).to_contain_text("line 70")
    search.fill("no such thing")
    expect(window.locator(".log-found")).to_have_text("not found")
    search.fill("")
    for top in (900, 300, 0):  # rows that are still seen stay: the new ones stand above them
        log.evaluate("(node, top) => { node.scrollTop = top }", top)
        expect(log.locator(".line").filter(has_text=f"line {top // 20 - 5 if top else 0}")).not_to_have_count(
            0
        )
    numbers = log.locator(".line-number").all_inner_texts()
    assert numbers == sorted(numbers, key=int)
    expect(window.get_by_label("Follow")).not_to_be_checked()
    expect(lines.nth(2)).to_have_text("100%")
    expect(lines.nth(3)).to_have_text("\u2401\u2407\ufffdabc")
    expect(lines.nth(4)).to_contain_text("995,000 more characters")
    assert len(lines.nth(4).inner_text()) < 6000
    window.get_by_label("Times").check()
    expect(log.locator(".line-time").first).to_have_text(re.compile(r"\d\d:\d\d:\d\d\.\d{3}"))

    with window.expect_download() as download:
        window.get_by_role("button", name="Download").click()
    text = Path(download.value.path()).read_text()
    assert download.value.suggested_filename == "ci-a.log"
    assert "x" * 1_000_000 in text
    assert text.endswith("line 499\n")

    world.engine.fail(claim, HOSTILE, retryable=True)
    claim = world.claim()
    append(world.engine, claim, "second\n")
    window.get_by_label("Follow").check()
    expect(log.locator(".attempt").last).to_have_text("Attempt 2")
    expect(lines.last).to_have_text("second")
    expect(window.get_by_role("region", name="Attempts")).to_contain_text(IMAGE)
    world.engine.complete(claim, {"version": IMAGE})
    expect(heading(window)).to_contain_text("Success")
    expect(window.locator(".pairs")).to_contain_text(IMAGE)


def test_names_are_text(world: World) -> None:
    jobs = {f"a/b?#%\u202e{IMAGE}": {"name": HOSTILE, "run": "x", "labels": [IMAGE], "group": IMAGE}}
    name = f"w/{IMAGE}"
    world.engine.put(name, name=HOSTILE, jobs=jobs, inputs={IMAGE: {"type": "string", "default": IMAGE}})
    run_id = world.engine.start(name, started_by=IMAGE, reason=IMAGE)
    world.engine.call("wfg_pause_labels", p_labels=[IMAGE], p_reason=IMAGE)
    world.engine.call("wfg_register_worker", p_worker_id=IMAGE, p_labels=[IMAGE])
    window = world.open("workflows")
    window.get_by_role("link", name=name).click()
    expect(heading(window)).to_contain_text(IMAGE)
    for tab in ("Jobs", "Inputs", "Definition", "Runs"):
        window.get_by_role("navigation", name="Of this workflow").get_by_role("link", name=tab).click()
        expect(window.locator(f"section:has-text('{IMAGE}')").first).to_be_visible()
    window.get_by_role("button", name="Start", exact=True).click()
    expect(window.get_by_role("dialog")).to_contain_text(IMAGE)
    window.keyboard.press("Escape")
    for view in ("runs", f"runs/{run_id}?view=jobs", f"runs/{run_id}?view=timeline", "queue", "workers"):
        window.goto(f"{world.url}/#/{view}")
        expect(window.locator("main")).to_contain_text(IMAGE)
    window.goto(f"{world.url}/#/runs/{run_id}?view=jobs")
    window.get_by_role("rowheader").get_by_role("link").click()
    expect(heading(window)).to_contain_text("\ufffdgnp.exe \u241b[31m")
    assert window.locator("main img").count() == 0
    world.engine.call("wfg_resume_labels", p_labels=[IMAGE])


# --- trouble ---


def test_the_token_is_asked_for_once(browser: Browser, engine: Engine) -> None:
    engine.put("ci", jobs=only("a"))
    token = make_token(engine, "looks", "reader")
    with serving(engine.dsn) as http, context_of(browser) as context:
        window = context.new_page()
        faults = complaints(window)
        requests: list[Any] = []
        window.on("request", lambda request: requests.append(request))
        window.goto(f"{http.base_url}/#/queue")
        dialog = window.get_by_role("dialog", name="Token")
        expect(dialog).to_be_visible()
        window.keyboard.press("Escape")
        expect(window.get_by_role("alert")).to_contain_text("token_missing")
        window.get_by_role("button", name="Try again").click()
        dialog.get_by_label("Token").fill("wrong")
        dialog.get_by_role("button", name="Continue").click()
        expect(dialog).to_contain_text("token_invalid")
        expect(window.get_by_role("dialog")).to_have_count(1)
        dialog.get_by_label("Token").fill(token)
        dialog.get_by_role("button", name="Continue").click()
        expect(window.get_by_text("Nothing waits")).to_be_visible()
        window.reload()
        expect(window.get_by_text("Nothing waits")).to_be_visible()
        window.get_by_role("link", name="Workflows").click()
        window.get_by_role("button", name="Start ci").click()
        window.get_by_role("dialog").get_by_role("button", name="Start").click()
        alert = window.get_by_role("dialog").get_by_role("alert")
        expect(alert).to_contain_text("scope_missing")  # a reader's
        assert not [each.url for each in requests if token in each.url or "wrong" in each.url]
        assert window.evaluate("Object.keys(localStorage).length") == 0
        other = window.context.new_page()
        other.goto(f"{http.base_url}/#/queue")
        expect(other.get_by_role("dialog", name="Token")).to_be_visible()
        assert faults == []


def test_it_says_that_the_server_is_gone_and_catches_up(
    browser: Browser, engine: Engine, tmp_path: Path
) -> None:
    engine.put("ci", jobs=CI)
    run_id = engine.start("ci")
    claim = engine.claim(ttl=600)
    assert claim is not None
    append(engine, claim, "before\n")
    port = free_port()
    with context_of(browser) as context:
        window = context.new_page()
        faults = complaints(window)
        lost = window.get_by_text("Connection lost, trying again")
        with server_process(engine.dsn, tmp_path, port):
            window.goto(f"http://127.0.0.1:{port}/#/runs/{run_id}/jobs/{claim['job']['job_id']}")
            lines = window.locator(".line-text")
            expect(lines).to_have_text(["before"])
        expect(lost).to_be_visible()
        append(engine, claim, "after\n", first=1)
        window.get_by_role("link", name="Runs", exact=True).click()
        expect(window.get_by_role("alert")).to_contain_text("The server does not answer.")
        window.go_back()
        expect(window.get_by_role("alert")).to_contain_text("The server does not answer.")
        engine.complete(claim)
        with server_process(engine.dsn, tmp_path, port):
            expect(lines).to_have_text(["before", "after"], timeout=20_000)
            expect(heading(window)).to_contain_text("Success")
            expect(lost).to_be_hidden()
        assert faults == []


NOT_THERE = {
    "runs/01943a5c-0000-7000-8000-000000000000": "run_not_found",
    "runs/nobody/jobs/x": "workflow_not_found",
    "workflows/nobody": "workflow_not_found",
    "nothing/here": "There is no such view.",
    "runs/%": "There is no such view.",
    "runs/x/jobs/..": "There is no such view.",  # it would be the run's
}


@pytest.mark.nightly
def test_what_is_not_there_is_said(world: World) -> None:
    window = world.open()
    for place, says in NOT_THERE.items():
        window.goto(f"{world.url}/#/{place}")
        expect(window.locator("main")).to_contain_text(says)
        expect(heading(window)).to_be_visible()
    window.goto(f"{world.url}/#/workflows/ci")
    expect(window.get_by_role("alert")).to_contain_text("workflow_not_found")
    world.engine.put("ci", jobs=only("a"))
    window.get_by_role("button", name="Try again").click()
    expect(window.get_by_role("button", name="Start")).to_be_visible()
    world.engine.put("..", jobs=only("a"))
    window.get_by_role("link", name="Workflows").first.click()
    window.get_by_role("button", name="Start ..").click()
    expect(window.get_by_role("alert")).to_contain_text("No browser can ask for this id.")


# --- for all ---


def test_everything_is_done_by_keyboard(world: World) -> None:
    """From the first Tab to a run that is cancelled; the focus is always somewhere, and is seen."""
    world.engine.put("ci", jobs=CI)
    window = world.open("workflows")
    expect(window.get_by_role("row").filter(has_text="ci")).to_be_visible()

    def focused() -> str:
        seen = window.evaluate(
            "() => { const it = document.activeElement; const style = getComputedStyle(it);"
            " return [it.matches(':focus-visible') && style.outlineStyle !== 'none' || it === document.body,"
            " it.getAttribute('aria-label') || it.innerText || it.name || it.tagName] }"
        )
        assert seen[0], seen
        return str(seen[1]).strip()

    def tab_to(text: str, key: str = "Tab") -> None:
        passed = []
        for _ in range(40):
            window.keyboard.press(key)
            passed.append(focused())
            if text in passed[-1]:
                return
        raise AssertionError(f"{text} is not reached, but {passed}")

    window.keyboard.press("Tab")
    assert focused() == "Skip to the content"
    window.keyboard.press("Enter")
    assert window.evaluate("document.activeElement.id") == "main"
    tab_to("Start")
    window.keyboard.press("Enter")
    expect(window.get_by_role("dialog")).to_be_visible()
    window.keyboard.press("Escape")
    assert focused().startswith("Start")  # where it was
    window.keyboard.press("Enter")
    expect(window.get_by_role("dialog")).to_be_visible()
    tab_to("Start")
    window.keyboard.press("Enter")
    run_id = run_of(window)
    expect(heading(window)).to_be_focused()
    tab_to("Cancel run")
    tab_to("Jobs (3)")
    window.keyboard.press("Enter")
    expect(window.get_by_role("region", name="Jobs")).to_be_visible()
    tab_to("Lint")
    window.keyboard.press("Enter")
    expect(heading(window)).to_contain_text("Lint")
    expect(heading(window)).to_be_focused()
    tab_to("Log")
    tab_to("run", "Shift+Tab")
    window.keyboard.press("Enter")
    expect(heading(window)).to_be_focused()
    tab_to("Cancel run")
    window.keyboard.press("Enter")
    tab_to("Cancel the run")
    window.keyboard.press("Enter")
    expect(heading(window)).to_contain_text("Cancelled")
    assert world.engine.state(run_id) == "cancelled"
    window.goto(f"{world.url}/#/workflows")
    tab_to("Cancelled")  # the strip of outcomes
    window.keyboard.press("Enter")
    expect(heading(window)).to_contain_text("Cancelled")


def arranged(engine: Engine) -> dict[str, str]:
    """Something of everything; the places of all views."""
    engine.put("ci", jobs={**CI, "gpu": {"run": "x", "labels": ["gpu"]}}, inputs=INPUTS)
    engine.put("never", jobs=only("a"))
    failed = engine.start("ci", inputs={"who": "Ada"}, started_by="ada")
    claim = engine.claim()
    append(engine, claim, "".join(f"\x1b[{30 + code % 8}mcolour {code}\x1b[0m\n" for code in range(16)))
    engine.complete(claim, {"version": "1"})
    engine.fail(engine.claim(), "exit code 2")
    engine.call("wfg_cancel_run", p_run_id=failed)
    run_id = engine.start("ci", inputs={"who": "Eve"})
    engine.claim(ttl=600)
    engine.call("wfg_pause_labels", p_labels=["arm"])
    return {
        "workflows": "workflows",
        "workflow": "workflows/ci",
        "inputs": "workflows/ci?tab=inputs",
        "runs": "runs",
        "run": f"runs/{run_id}",
        "jobs": f"runs/{run_id}?view=jobs",
        "timeline": f"runs/{run_id}?view=timeline",
        "job": f"runs/{failed}/jobs/test",
        "workers": "workers",
        "queue": "queue",
    }


@contextmanager
def each_view(world: World, places: dict[str, str], **context: Any) -> Iterator[Iterator[tuple[str, Page]]]:
    window = world.open(**context)

    def views() -> Iterator[tuple[str, Page]]:
        for name, place in places.items():
            window.goto(f"{world.url}/#/{place}")
            expect(window.locator("main table, main .timeline, main .log, wfg-graph").first).to_be_visible()
            yield name, window

    yield views()


WIDE = """() => [...document.querySelectorAll('body *')]
  .filter((it) => it.getBoundingClientRect().right > innerWidth + 1 && !it.closest('.scrolls, .log, .tabs'))
  .map((it) => `wide: ${it.outerHTML.slice(0, 200)}`)"""
PHONE = {"width": 360, "height": 720}
SCHEMES: dict[str, dict[str, Any]] = {
    "phone": {"color_scheme": "light", "viewport": PHONE},
    "phone, dark": {"color_scheme": "dark", "viewport": PHONE},
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "more contrast": {"contrast": "more"},
    "forced colours": {"forced_colors": "active"},
}


@pytest.mark.parametrize(
    "scheme",
    [name if name == "phone" else pytest.param(name, marks=pytest.mark.nightly) for name in SCHEMES],
)
def test_axe_finds_nothing_and_all_is_seen(world: World, scheme: str) -> None:
    """Nothing is wider than the screen but what scrolls by itself."""
    found: dict[str, list[str]] = {}
    places = arranged(world.engine)
    if scheme == "phone":  # by day, those that differ most
        places = {name: places[name] for name in ("workflows", "run", "timeline", "job", "queue")}
    with each_view(world, places, **SCHEMES[scheme]) as views:
        for name, window in views:
            found[name] = findings(window) + window.evaluate(WIDE)
        window.goto(f"{world.url}/#/workflows/ci")
        window.get_by_role("button", name="Start", exact=True).click()
        expect(window.get_by_role("dialog")).to_be_visible()
        found["dialog"] = findings(window)
    assert {name: each for name, each in found.items() if each} == {}


def test_what_is_moved_keeps_the_focus_and_midnight_is_zero(world: World) -> None:
    window = world.open(timezone_id="Europe/Berlin", locale="en-US")
    assets = window.locator("script[type=module]").get_attribute("src").rpartition("/")[0]  # type: ignore[union-attr]
    assert window.evaluate(
        """async (assets) => {
          const { h, render } = await import(`./${assets}/dom.js`)
          const { clock } = await import(`./${assets}/format.js`)
          const root = document.body.appendChild(document.createElement('div'))
          const rows = (keys) => render(root, keys.map((key) => h('button', { key }, key)))
          rows(['a', 'b', 'c'])
          root.lastChild.focus()
          rows(['c', 'a', 'b'])
          return [root.textContent, document.activeElement.textContent, clock(Date.UTC(2026, 0, 1, 23, 5))]
        }""",
        assets,
    ) == ["cab", "c", "00:05:00.000"]


@pytest.mark.nightly
def test_the_theme_is_kept(world: World) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    window = world.open("workers", color_scheme="light")
    light = window.evaluate(ground)
    window.get_by_label("Theme").select_option("dark")
    dark = window.evaluate(ground)
    assert dark != light
    window.reload()
    assert window.evaluate(ground) == dark
    expect(window.get_by_label("Theme")).to_have_value("dark")
    window.get_by_label("Theme").select_option("")
    assert window.evaluate(ground) == light
    window.emulate_media(color_scheme="dark")
    assert window.evaluate(ground) == dark


@pytest.mark.nightly
def test_100000_lines_scroll(world: World) -> None:
    world.engine.put("ci", jobs=only("a"))
    run_id = world.engine.start("ci")
    claim = world.claim()
    for part in range(20):
        lines = "".join(
            f"\x1b[3{number % 8}mline {number}\x1b[0m of a log\n"
            for number in range(part * 5000, (part + 1) * 5000)
        )
        append(world.engine, claim, lines, first=part)
    window = world.open(f"runs/{run_id}/jobs/a")
    expect(window.get_by_text("100,000 lines")).to_be_visible(timeout=30_000)
    slowest = window.get_by_role("log").evaluate(
        """async (node) => {
          let slowest = 0
          for (let step = 0; step < 120; step++) {
            node.scrollTop = (node.scrollHeight * ((step * 37) % 120)) / 120
            const began = performance.now()
            await new Promise(requestAnimationFrame)
            await new Promise(requestAnimationFrame)
            slowest = Math.max(slowest, performance.now() - began)
          }
          return slowest
        }"""
    )
    print(f"slowest two frames: {slowest:.0f} ms")
    assert slowest < 250
    assert window.locator(".line").count() < 150
    window.get_by_role("searchbox", name="Search the log").fill("line 99999 ")
    expect(window.locator(".log-found")).to_have_text("1 of 1")
    expect(window.locator(".current")).to_contain_text("line 99999 of a log")
    world.engine.complete(claim)


@pytest.mark.nightly
def test_the_timeline_of_1000_jobs_is_smooth_while_it_is_live(world: World) -> None:
    world.engine.put("ci", jobs={f"j{number}": {"run": "x"} for number in range(1000)})
    run_id = world.engine.start("ci")
    window = world.open(f"runs/{run_id}?view=timeline")
    window.get_by_role("button", name="Show more").click()
    expect(window.locator(".timeline li")).to_have_count(1000)
    window.evaluate(
        """() => {
          window.frames_ = []
          let last = performance.now()
          requestAnimationFrame(function each(now) {
            frames_.push(now - last)
            last = now
            scrollBy(0, 7)
            requestAnimationFrame(each)
          })
        }"""
    )
    for _ in range(20):
        for claim in world.engine.claim_many(10, ttl=600):
            world.engine.complete(claim)
        window.wait_for_timeout(200)
    frames = sorted(window.evaluate("frames_"))
    print(f"median {frames[len(frames) // 2]:.0f} ms, longest {frames[-5:]} ms of {len(frames)}")
    assert frames[len(frames) // 2] < 20
    assert frames[-2] < 150
