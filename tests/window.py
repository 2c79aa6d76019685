"""The page in a real browser: Debian's chromium, driven by Playwright. WFG_CHROMIUM: another one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = os.environ.get("WFG_CHROMIUM") or shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

# Nothing is seen: what is drawn is drawn by the processor.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-extensions", "--disable-background-networking"]

# What axe knows of WCAG 2.2, A and AA, and what is good practice.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def context_of(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """Without motion, unless it is asked for: what turns is drawn all the time."""
    given = {"viewport": {"width": 1200, "height": 900}, "reduced_motion": "reduce", **options}
    context = browser.new_context(**given)
    yield context
    context.close()


class Window(Page):
    """For the type alone: a page, and what went wrong in it."""

    faults: list[str]


def open_page(context: BrowserContext) -> Window:
    """A page that notes its faults: exceptions, errors in its console, and what its policy forbids."""
    page: Any = context.new_page()
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(f"{error}\n{error.stack}"))
    page.on("console", lambda message: note(page, message))
    page.set_default_timeout(10_000)
    return page


def note(page: Window, message: Any) -> None:
    # A request that is refused, or a server that is gone, is none: the page says so itself.
    if message.type == "error" and not message.text.startswith("Failed to load resource"):
        page.faults.append(message.text)


def findings(page: Page) -> list[str]:
    """What axe finds serious, or worse."""
    violations = Axe().run(page, options=RULES).response["violations"]
    return [
        f"{each['id']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for each in violations
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
