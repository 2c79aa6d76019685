"""A workflow file (.yml, .yaml, .json) as the JSON that wfg_put_workflow takes, and where its parts stand."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from .source_json import read_json
from .source_tree import Node, SourceError, line_of, to_json
from .source_yaml import position_of, read_yaml

MAX_BYTES = 2 * 1024 * 1024
READERS = {".yml": read_yaml, ".yaml": read_yaml, ".json": read_json}


class WorkflowFileError(Exception):
    """The file cannot be read as a document; the text says where and why."""


class Problem(BaseModel):
    """One finding of the engine about a definition. path: as in `jobs.build.needs[0]`."""

    path: str = ""
    message: str
    hint: str | None = None


PROBLEMS = TypeAdapter(list[Problem])


@dataclass(frozen=True)
class WorkflowFile:
    """A file that could be read. Whether it is a good workflow, the engine says."""

    path: Path
    definition: str  # JSON text, keys in the order of the file
    root: Node

    @property
    def workflow_id(self) -> str:
        """The file's name without its last extension: ci.prod.yml is ci.prod."""
        return self.path.stem

    def line_of(self, path: str) -> int:
        """The line of what a path names, or of the nearest thing above it that is there."""
        return line_of(self.root, path)

    def describe(self, problem: Problem) -> str:
        """`ci.yml:12: jobs.build.needs[0]: message (hint)`"""
        where = f"{self.path}:{self.line_of(problem.path)}: "
        what = f"{problem.path}: {problem.message}" if problem.path else problem.message
        return where + what + (f" ({problem.hint})" if problem.hint else "")

    def describe_all(self, problems: Iterable[Problem]) -> list[str]:
        """One line for each, in the order of the file."""
        return [self.describe(p) for p in sorted(problems, key=lambda problem: self.line_of(problem.path))]


def read_workflow_file(path: Path) -> WorkflowFile:
    """Read a file from disk. WorkflowFileError when it is no document."""
    if path.suffix.lower() not in READERS:
        raise WorkflowFileError(f"{path}: a workflow file ends in .yml, .yaml or .json")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise WorkflowFileError(f"{path}: {error.strerror or error}") from None
    except ValueError:
        raise WorkflowFileError(f"{str(path)!r} is no name of a file") from None
    return parse_workflow(path, content)


def parse_workflow(path: Path, content: bytes) -> WorkflowFile:
    """As read_workflow_file, of content that is here already; path gives format, id and name."""
    if len(content) > MAX_BYTES:
        raise WorkflowFileError(f"{path}: larger than {MAX_BYTES // 1024 // 1024} MiB")
    try:
        root = READERS[path.suffix.lower()](_decode(content))
        if root is None:
            raise SourceError("the file is empty", 1)
        return WorkflowFile(path, to_json(root), root)
    except SourceError as error:
        place = f"{error.line}:{error.column}" if error.column else str(error.line)
        raise WorkflowFileError(f"{path}:{place}: {error.message}") from None


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        line, column = position_of(before, len(before))
        raise SourceError(f"the byte 0x{content[error.start]:02x} is not UTF-8", line, column) from None
