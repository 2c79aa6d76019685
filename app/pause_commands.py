"""Commands that pause and resume, on a server: pause, resume, freeze, thaw, pauses."""

import click
from pydantic import TypeAdapter
from rich.text import Text

from .client import Client, path_of, server_option
from .client_commands import near_names, talking_to, user
from .client_output import console_of, instant, print_table, shown
from .options import CommaSeparated, json_option, print_answer
from .transport import Wire, read_answer

PAGE = 1000


class KnownPause(Wire):
    kind: str
    workflow_id: str | None = None
    labels: list[str] | None = None
    paused_at_ms: int
    paused_by: str | None = None
    reason: str | None = None

    @property
    def what(self) -> str:
        return shown(self.workflow_id or ", ".join(self.labels or []) or "everything")


class PausePage(Wire):
    items: list[KnownPause]
    next_cursor: str | None


class Ended(Wire):
    """Whether there was a pause: resumed, or thawed."""

    resumed: bool = False
    thawed: bool = False


PAUSE = TypeAdapter(KnownPause)
PAUSE_PAGE = TypeAdapter(PausePage)
ENDED = TypeAdapter(Ended)

workflow_argument = click.argument("workflow", required=False)
labels_option = click.option(
    "--labels", type=CommaSeparated(), metavar="A,B", help="Jobs that require all of these labels."
)
reason_option = click.option("--reason", help="Why, for those who look at what waits.")


def change(
    client: Client, workflow: str | None, labels: list[str] | None, verb: str, body: dict[str, object]
) -> str:
    """Pause or resume the one that was named; the server's answer."""
    if (workflow is None) == (labels is None):
        everything = "wfg freeze pauses" if verb == "pause" else "wfg thaw resumes"
        raise click.UsageError(f"a WORKFLOW, or --labels; {everything} everything")
    if labels is not None:
        return client.call("POST", path_of("labels", verb), json={"labels": labels, **body})
    assert workflow is not None
    with near_names(client, workflow):
        return client.call("POST", path_of("workflows", workflow, verb), json=body or None)


def say_paused(answer: str, as_json: bool) -> None:
    if as_json:
        print_answer(answer)
        return
    found = read_answer(PAUSE, answer)
    by, why = f" by {shown(found.paused_by)}" if found.paused_by else "", shown(found.reason)
    click.echo(f"{found.what}: paused{by}{f', {why}' if why else ''}")


def say_resumed(what: str, answer: str, as_json: bool) -> None:
    if as_json:
        print_answer(answer)
        return
    found = read_answer(ENDED, answer)
    click.echo(f"{shown(what)}: {'resumed' if found.resumed or found.thawed else 'was not paused'}")


@click.command()
@workflow_argument
@labels_option
@reason_option
@json_option
@server_option
def pause(
    workflow: str | None, labels: list[str] | None, reason: str | None, as_json: bool, server: str
) -> None:
    """Hand out no job of a WORKFLOW, or that requires some labels. What runs goes on."""
    with talking_to(server) as client:
        body: dict[str, object] = {"paused_by": user(), "reason": reason}
        say_paused(change(client, workflow, labels, "pause", body), as_json)


@click.command()
@workflow_argument
@labels_option
@json_option
@server_option
def resume(workflow: str | None, labels: list[str] | None, as_json: bool, server: str) -> None:
    """End the pause of a WORKFLOW, or of some labels."""
    with talking_to(server) as client:
        answer = change(client, workflow, labels, "resume", {})
        say_resumed(workflow or ", ".join(labels or ()), answer, as_json)


@click.command()
@reason_option
@json_option
@server_option
def freeze(reason: str | None, as_json: bool, server: str) -> None:
    """Hand out no job at all. What runs goes on, and runs may be started."""
    with talking_to(server) as client:
        body = {"frozen_by": user(), "reason": reason}
        say_paused(client.call("POST", path_of("freeze"), json=body), as_json)


@click.command()
@json_option
@server_option
def thaw(as_json: bool, server: str) -> None:
    """Hand out jobs again. In a copy of a database: for the first time."""
    with talking_to(server) as client:
        say_resumed("everything", client.call("POST", path_of("thaw")), as_json)


@click.command()
@json_option
@server_option
def pauses(as_json: bool, server: str) -> None:
    """List what is paused, since when, by whom and why."""
    console = console_of()
    with talking_to(server) as client:
        answer = client.call("GET", path_of("pauses"), params={"limit": PAGE})
        if as_json:
            print_answer(answer)
            return
        page = read_answer(PAUSE_PAGE, answer)
    rows = [
        (each.kind, each.what, instant(each.paused_at_ms, console), shown(each.paused_by), shown(each.reason))
        for each in page.items
    ]
    print_table(
        console, ("KIND", "WHAT", "SINCE", "BY", "REASON"), rows, ("WHAT", "BY", "REASON"), ("SINCE",)
    )
    if page.next_cursor is not None and console.is_terminal:
        console.print(Text("There are more: GET /api/pauses has pages.", style="dim"))
