""".ci/audit, with registries of our own: what it says of a hole, and of a registry that does not answer."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

import pytest

AUDIT = Path(__file__).parent.parent / ".ci" / "audit"


class Registry(BaseHTTPRequestHandler):
    """Of PyPI and of npm: a hole of click and one of jose, if has_holes."""

    has_holes = False

    def do_GET(self) -> None:
        _, _, name, _, _ = self.path.split("/")
        hole = {
            "id": "PYSEC-1",
            "aliases": ["CVE-1"],
            "link": "https://x",
            "fixed_in": ["99"],
            "withdrawn": None,
        }
        past = {**hole, "id": "PYSEC-0", "aliases": [], "withdrawn": "2026-01-01T00:00:00Z"}
        self.answer({"vulnerabilities": [hole, past] if self.has_holes and name == "click" else []})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert asked["jose"]
        assert asked["@supabase/supabase-js"]
        assert all(re.fullmatch(r"\d[\w.+-]*", each) for versions in asked.values() for each in versions)
        hole = {"id": 7, "url": "https://x/GHSA-1", "title": "bad", "severity": "high"}
        self.answer({"jose": [hole]} if self.has_holes else {})

    def answer(self, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def registry(has_holes: bool) -> Iterator[str]:
    class This(Registry):
        pass

    This.has_holes = has_holes
    with ThreadingHTTPServer(("127.0.0.1", 0), This) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def audit(pypi: str, npm: str, ignored: Path) -> tuple[int, str]:
    command = [sys.executable, str(AUDIT), "--pypi", pypi, "--npm", npm, "--ignored", str(ignored)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def ignored(tmp_path: Path) -> Path:
    path = tmp_path / "ignored"
    path.write_text("# none\n")
    return path


@pytest.mark.nightly
def test_a_known_hole_fails_the_audit(ignored: Path) -> None:
    with registry(has_holes=False) as url:
        assert audit(url, url, ignored)[0] == 0
    with registry(has_holes=True) as url:
        code, said = audit(url, url, ignored)
        assert code == 1
        assert f"click {version('click')}: CVE-1 PYSEC-1: fixed in 99; https://x" in said
        assert "GHSA-1: high: bad" in said
        assert "PYSEC-0" not in said

        ignored.write_text("CVE-1 we do not call it\nGHSA-1 nor this\nCVE-2 gone\n")
        code, said = audit(url, url, ignored)
        assert code == 0
        assert "CVE-2 is not met, or not any more" in said


def test_a_registry_that_does_not_answer_is_no_clean_bill(ignored: Path) -> None:
    with registry(has_holes=False) as url:
        code, said = audit(url, "http://127.0.0.1:1", ignored)
        assert (code, "NOT AUDITED: http://127.0.0.1:1" in said) == (3, True)
        code, said = audit("http://127.0.0.1:1", url, ignored)
        assert (code, "NOT AUDITED: http://127.0.0.1:1" in said) == (3, True)
