"""The files of the page: what they are sent with, and what they must not have."""

import re
from pathlib import Path

import httpx
import pytest
from wfg.page import STATIC, Page

from tests.serving import serving

POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "worker-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
}
# Of others: they are not held to our rules.
OURS = [
    path for path in STATIC.rglob("*") if path.is_file() and "vendor" not in path.relative_to(STATIC).parts
]
SCRIPTS = [path for path in OURS if path.suffix == ".js"]


@pytest.fixture(scope="module")
def http(new_database, template):
    """A server that wants a token for everything else."""
    with serving(new_database(template), api_token="secret") as client:
        yield client


def parts(html: str) -> list[str]:
    return re.findall(r'(?:src|href)="(assets/[^"]+)"', html)


def test_the_page_needs_no_token_and_its_parts_are_kept_for_ever(http: httpx.Client) -> None:
    index = http.get("/")
    assert (index.status_code, index.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert index.headers["cache-control"] == "no-cache"
    assert len(parts(index.text)) == 4
    for each in parts(index.text):
        answer = http.get(f"/{each}")
        assert answer.status_code == 200, each
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-encoding"] == "gzip"
    assert http.get("/api/workflows").status_code == 401


@pytest.mark.parametrize("path", ["/", "/assets/page/app.js", "/assets/page/page.css"])
def test_every_file_has_the_policy_and_a_tag(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert set(answer.headers["content-security-policy"].split("; ")) == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-cache"
    for tag in (answer.headers["etag"], f'"x", W/{answer.headers["etag"]}'):
        again = http.get(path, headers={"if-none-match": tag})
        assert (again.status_code, again.content) == (304, b"")
    assert http.get(path, headers={"if-none-match": '"x"'}).content == answer.content
    plain = http.get(path, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content
    head = http.head(path)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", answer.headers["etag"])


@pytest.mark.parametrize(
    "path",
    [
        *(
            "page",
            "page/nothing.js",
            "index.html/x",
            "../main.py",
            "%2e%2e/main.py",
            "page/..%2f..%2fmain.py",
        ),
        *("0123456789abcdef/page/app.js", "vendor.json", "/etc/passwd", "page/app.js%00"),
    ],
)
def test_nothing_else_is_served(http: httpx.Client, path: str) -> None:
    answer = http.get(f"/assets/{path}")
    assert (answer.status_code, answer.json()["message"]) == (404, "not_found")


def test_a_change_of_any_file_changes_all_names(tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "index.html").write_text('<script src="assets/page/app.js"></script>')
    (tmp_path / "page" / "app.js").write_text("1")
    (tmp_path / "page" / "other.js").write_text("1")
    (tmp_path / "secret.py").write_text("1")
    before = Page(tmp_path)
    assert before.index.body.decode() == f'<script src="assets/{before.digest}/page/app.js"></script>'
    assert before.find(f"{before.digest}/page/other.js") is not None
    assert before.find("secret.py") is None
    (tmp_path / "page" / "other.js").write_text("2")
    after = Page(tmp_path)
    assert after.digest != before.digest
    assert after.find(f"{before.digest}/page/app.js") is None


def test_no_text_becomes_markup() -> None:
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|setHTML|createContextualFragment"
        r"|\beval\(|new Function|srcdoc"
    )
    assert len(SCRIPTS) > 20
    for path in SCRIPTS:
        assert not forbidden.search(path.read_text()), path.relative_to(STATIC)


def test_no_foreign_host_is_named() -> None:
    for path in OURS:
        if path.suffix in (".js", ".css", ".html", ".svg"):
            hosts = set(re.findall(r"(?:https?:)?//([\w-]+\.[\w.-]+)", path.read_text()))
            assert hosts <= {"www.w3.org"}, path.relative_to(STATIC)


def test_modules_import_what_is_there() -> None:
    """All but the graph, which the page does without when it is not there."""
    for path in SCRIPTS:
        for name in re.findall(r"^(?:import|\}) [^'\n]*'([^']+)'", path.read_text(), re.MULTILINE):
            assert name.startswith("."), (path, name)
            assert (path.parent / name).is_file(), (path, name)


def test_the_page_is_no_part_of_the_api(http: httpx.Client) -> None:
    paths = http.get("/schema/openapi.json").json()["paths"]
    assert not [path for path in paths if path == "/" or path.startswith("/assets")]
