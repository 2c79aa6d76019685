"""docs/pause.md: its commands are run, and what they say is what the page says."""

import json
import re
import shlex
import subprocess
from pathlib import Path

from click.testing import CliRunner
from wfg.cli import main

from tests.arrange import only
from tests.serving import serving

PAGE = (Path(__file__).parent.parent / "docs" / "pause.md").read_text()


def run(line: str, url: str) -> str:
    """A command of ours in this process, any other in a shell."""
    if line.startswith("wfg "):
        done = CliRunner().invoke(main, shlex.split(line)[1:], env={"SERVER_URL": url, "USER": "ada"})
        assert done.exit_code == 0, done.output
        return done.stdout
    return subprocess.run(
        ["bash", "-ec", line], env={"SERVER_URL": url}, capture_output=True, text=True, check=True
    ).stdout


def test_the_commands_of_the_page_work(engine, database: str):
    engine.put("report", jobs=only("a"))
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    with serving(database) as http:
        said = [
            [run(line, str(http.base_url).rstrip("/")) for line in block.splitlines()] for block in blocks
        ]

    paused, frozen, copied = said
    assert paused[:2] == ["report: paused by ada, the warehouse is down\n", "gpu: paused by ada\n"]
    assert len(paused[2].splitlines()) == 3
    assert paused[3:] == ["report: resumed\n", "gpu: resumed\n"]
    assert [each["paused"] for each in json.loads(frozen[2])["items"]] == ["all"]
    assert [each["reason"] for each in json.loads(frozen[3])["items"]] == ["moving house"]
    assert frozen[4] == "everything: resumed\n"
    assert copied == ["KIND\tWHAT\tSINCE\tBY\tREASON\n", "everything: was not paused\n"]
