<<<<<<<< HEAD:tests/browser.py
"""Debian's chromium, driven by Playwright, and a server of static files as strict as ours."""
========
"""The page in a real browser: Debian's chromium, driven by Playwright. WFG_CHROMIUM: another one."""
>>>>>>>> 231e55f (Tests of the page: a node of the graph leads to its job; the browser is in tests/window.py):tests/window.py

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

<<<<<<<< HEAD:tests/browser.py
STATIC = Path(__file__).parent.parent / "app" / "static"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
========
CHROMIUM = os.environ.get("WFG_CHROMIUM") or shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
>>>>>>>> 231e55f (Tests of the page: a node of the graph leads to its job; the browser is in tests/window.py):tests/window.py

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Sandboxes need rights that a container does not have.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


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


def complaints(page: Page) -> list[str]:
    """What goes wrong in a page from now on: exceptions, and what its policy refuses."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda message: message.type == "error" and found.append(message.text))
    return found
