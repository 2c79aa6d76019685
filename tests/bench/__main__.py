"""python -m tests.bench prints a table and writes bench.json; with `profile pairs`: where the time goes."""

import json
import subprocess
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import click

from tests.bench import cluster
from tests.bench.bench import run_rows, table
from tests.bench.profile import SETTINGS, WORKS, profile
from tests.bench.row import QUICK, Options
from tests.bench.rows import ROWS

OUTPUT = Path(__file__).parents[2] / "bench.json"
DEFAULT = Options()

server_option = click.option(
    "--server",
    default="auto",
    help="15 (Debian's), 18 (the embedded one) or a bin directory. Default: 15 if here.",
)
dir_option = click.option(
    "--dir",
    "base",
    type=click.Path(exists=True),
    help="Where the cluster is: on a disk that matters. Default: $TMPDIR.",
)
set_option = click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the cluster."
)


@click.group(invoke_without_command=True)
@server_option
@dir_option
@set_option
@click.option("--only", metavar="ROW,…", help=f"Some of {', '.join(row.name for row in ROWS)}.")
@click.option("--seconds", type=int, help=f"Of one measurement. Default: {DEFAULT.seconds}.")
@click.option("--rounds", type=int, help=f"Default: {DEFAULT.rounds}, fewer of long rows.")
@click.option("--rows", type=int, help=f"Jobs that cold plans meet. Default: {DEFAULT.rows}.")
@click.option("--hold", type=int, help=f"Seconds that a transaction is held. Default: {DEFAULT.hold}.")
@click.option("--backlog", type=int, help=f"Finished runs, and jobs for others. Default: {DEFAULT.backlog}.")
@click.option("--bursts", type=int, help=f"Of 8 starts at once. Default: {DEFAULT.bursts}.")
@click.option("--quick", is_flag=True, help="All rows, as short as can be: for a look whether they run.")
@click.option("--output", type=click.Path(path_type=Path), default=OUTPUT, help="Default: bench.json.")
@click.pass_context
def main(
    context: click.Context,
    server: str,
    base: str | None,
    settings: tuple[str, ...],
    only: str | None,
    quick: bool,
    output: Path,
    **given: int | None,
) -> None:
    """Measure the rows, each interleaved with its floor, on a throwaway cluster with fsync on."""
    if context.invoked_subcommand:
        return

    options = replace(QUICK if quick else DEFAULT, **{k: v for k, v in given.items() if v is not None})
    if given["rounds"]:
        options = replace(options, few_rounds=given["rounds"], long_rounds=given["rounds"])
    names = only.split(",") if only else [row.name for row in ROWS]
    if unknown := set(names) - {row.name for row in ROWS}:
        raise click.ClickException(f"There is no row {', '.join(sorted(unknown))}.")

    with cluster.running(server, base=base, settings=pairs(settings)) as running:
        machine = running.describe()
        for name, value in machine.items():
            click.echo(f"{name:>18}  {value}")
        results = run_rows(running, [row for row in ROWS if row.name in names], options, say)

    click.echo("\n" + table(results))
    for result in results:
        for name, note in result["notes"].items():
            click.echo(f"{result['name']}, {name}: {note}")
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine,
        "options": asdict(options),
        "rows": results,
    }
    output.write_text(json.dumps(document, indent=1) + "\n")


@main.command("profile")
@click.argument("name", type=click.Choice(sorted(WORKS)), default="pairs")
@click.option("--seconds", type=int, default=4, help="Of each of the passes.")
@server_option
@dir_option
@set_option
def profile_command(
    name: str, seconds: int, server: str, base: str | None, settings: tuple[str, ...]
) -> None:
    """Where the time of a call goes, by statement and by function.

    Needs pg_stat_statements, which Debian's server has and the embedded one has not.
    """
    with cluster.running(server, base=base, settings={**SETTINGS, **pairs(settings)}) as running:
        click.echo(profile(running, name, seconds))


def say(text: str) -> None:
    click.echo(text, err=True)


def pairs(settings: tuple[str, ...]) -> dict[str, str]:
    return dict(setting.split("=", 1) for setting in settings)


def commit() -> str | None:
    """The commit that was measured, with a + when files differ from it."""
    command = ["git", "describe", "--always", "--dirty=+"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=OUTPUT.parent)
    return done.stdout.strip() or None


if __name__ == "__main__":
    main(prog_name="python -m tests.bench")
