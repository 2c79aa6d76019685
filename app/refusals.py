"""What went wrong, as lines for people: no traceback for what users can put right."""

from collections.abc import Generator
from contextlib import contextmanager

import click
from pydantic import TypeAdapter

from .errors import EngineError
from .transport import Wire, read_answer
from .workflow_file import PROBLEMS, Problem, WorkflowFile, WorkflowFileError


class Findings(Wire):
    """What answers of wfg_put_workflow and wfg_validate_workflow say about a definition."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


FINDINGS = TypeAdapter(Findings)


def problems_of(file: WorkflowFile, answer: str) -> list[str]:
    """The problems in an answer, as `ci.yml:12: jobs.build: message (hint)`."""
    return file.describe_all(read_answer(FINDINGS, answer).problems)


def warnings_of(file: WorkflowFile, answer: str) -> list[str]:
    """The warnings in an answer."""
    return [f"warning: {line}" for line in file.describe_all(read_answer(FINDINGS, answer).warnings)]


def explain(error: EngineError, file: WorkflowFile | None = None) -> list[str]:
    """A refusal: the problems of a file line by line, else what and why, and the advice."""
    if error.message == "invalid_workflow" and error.details and file is not None:
        return file.describe_all(PROBLEMS.validate_json(error.details))
    if error.message == "function_not_found":
        return ["wfg is not installed in this database, or is older than this command: run `wfg db upgrade`."]
    text = error.details if error.message == "invalid_request" and error.details else str(error)
    return [text, error.hint] if error.hint else [text]


@contextmanager
def plain_errors() -> Generator[None]:
    """Turn what users can put right into a line on stderr and exit code 1."""
    import psycopg

    from .embedded import EmbeddedError

    try:
        yield
    except EngineError as error:
        raise click.ClickException("\n".join(explain(error))) from None
    except (WorkflowFileError, EmbeddedError) as error:
        raise click.ClickException(str(error)) from None
    except psycopg.Error as error:
        raise click.ClickException(str(error).strip()) from None
