"""docs/pause.md: its commands are run, and what they say is what the page says."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.arrange import only
from tests.serving import serving

PAGE = (Path(__file__).parent.parent / "docs" / "pause.md").read_text()


def test_the_commands_of_the_page_work(engine, database: str):
    engine.put("report", jobs=only("a"))
    said: list[str] = []
    with serving(database) as http:
        url = str(http.base_url).rstrip("/")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
            done = subprocess.run(
                ["bash", "-eo", "pipefail", "-c", block],
                env={**os.environ, "SERVER_URL": url, "PATH": path, "USER": "ada"},
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            said.append(done.stdout)

    paused, frozen, copied = said
    assert paused.startswith("report: paused by ada, the warehouse is down\ngpu: paused by ada\nKIND\t")
    assert paused.endswith("report: resumed\ngpu: resumed\n")
    assert '"paused" : "all"' in frozen
    assert '"reason" : "moving house"' in frozen
    assert frozen.endswith("everything: resumed\n")
    assert copied == "KIND\tWHAT\tSINCE\tBY\tREASON\neverything: was not paused\n"
