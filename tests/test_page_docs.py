"""docs/page.md: its commands are run, its views are there."""

import os
import re
import subprocess
from pathlib import Path

from wfg.page import STATIC

from tests.arrange import only
from tests.serving import serving

PAGE = (Path(__file__).parent.parent / "docs" / "page.md").read_text()


def test_the_commands_of_the_page_work(engine, tmp_path: Path) -> None:
    engine.put("report", jobs=only("a"))
    (block,) = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    with serving(engine.dsn) as http:
        env = {**os.environ, "SERVER_URL": str(http.base_url).rstrip("/")}
        done = subprocess.run(
            ["bash", "-ec", block], env=env, cwd=tmp_path, capture_output=True, text=True, check=True
        )
    assert "content-security-policy: default-src 'none'" in done.stdout.lower()
    assert '"workflow_id" : "report"' in done.stdout
    assert (tmp_path / "app.js").read_bytes() == (STATIC / "page" / "app.js").read_bytes()


def test_views_are_those_of_the_page() -> None:
    told = set(re.findall(r"^\| [^|]+ \| `#(/[^`]*)`", PAGE, re.MULTILINE))
    views = re.findall(r"^  \[/\^(.*)\$/, \w+\]", (STATIC / "page" / "app.js").read_text(), re.MULTILINE)
    patterns = [re.compile(view.replace("\\/", "/")) for view in views]
    assert len(told) == 7
    assert len(patterns) == 8  # an empty address is that of workflows
    for place in told:
        assert sum(pattern.fullmatch(place) is not None for pattern in patterns) == 1, place
