"""A real browser: Debian's chromium, driven by Playwright, and a server of static files as strict as ours.

WFG_CHROMIUM: another browser.
"""

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from vendor import fetch

STATIC = Path(__file__).parent.parent / "app" / "static"
CHROMIUM = os.environ.get("WFG_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
# Sandboxes need rights that a container does not have. Nothing is seen: the processor draws.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-extensions", "--disable-background-networking"]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


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


class Files(http.server.SimpleHTTPRequestHandler):
    policy = POLICY
    pages: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        text = self.pages.get(self.path)
        if text is None:
            super().do_GET()
            return
        body = text.encode()
        self.send_response(200)
        self.send_header(
            "Content-Type", "text/css" if self.path.endswith(".css") else "text/html; charset=utf-8"
        )
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        if self.policy:
            self.send_header("Content-Security-Policy", self.policy)
        super().end_headers()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving_files(folder: Path, pages: dict[str, str] | None = None, policy: str = POLICY) -> Iterator[str]:
    """The address of a server of a folder, and of the pages given by path."""
    handler = type("Handler", (Files,), {"pages": pages or {}, "policy": policy})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# --- what is wrong with a page ---


def complaints(page: Page) -> list[str]:
    """What goes wrong in a page from now on: exceptions, and what its policy refuses."""
    found: list[str] = []

    def said(message: ConsoleMessage) -> None:
        # A request that is refused, or a server that is gone, is none: the page says so itself.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            found.append(message.text)

    page.on("pageerror", lambda error: found.append(f"{error}\n{error.stack}"))
    page.on("console", said)
    return found


def findings(page: Page, **options: Any) -> list[str]:
    """What axe finds. options: of axe."""
    (script,) = fetch(Path(__file__).parent / "vendor.json")
    if not page.evaluate("'axe' in window"):
        page.evaluate(script.read_text())
    result = page.evaluate("options => axe.run(options)", {"resultTypes": ["violations"], **options})
    return [
        f"{violation['id']} ({violation['impact']}): {node['html'][:200]} {node.get('failureSummary', '')}"
        for violation in result["violations"]
        for node in violation["nodes"]
    ]
