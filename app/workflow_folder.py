"""The files of WORKFLOWS_DIR: stored at start, and again when they change."""

import asyncio
import logging
from pathlib import Path
from typing import TypeAlias

from pydantic import TypeAdapter

from .db import Database
from .errors import Rejected, Unavailable
from .refusals import explain, warnings_of
from .transport import Wire, read_answer
from .upkeep import Trouble
from .workflow_file import WorkflowFileError, read_workflow_file

log = logging.getLogger("wfg.workflows")

SUFFIXES = (".yml", ".yaml", ".json")
LOOK_SECS = 0.5

Signature: TypeAlias = tuple[int, int, int]  # another one means: the file has changed


def printable(text: object) -> str:
    """Names of files may hold bytes that are no Unicode."""
    return str(text).encode(errors="backslashreplace").decode()


class Stored(Wire):
    """wfg_put_workflow."""

    version: int
    changed: bool


STORED = TypeAdapter(Stored)


class WorkflowFolder:
    """Looks at the folder again and again, for no notification reaches through every kind of mount.

    A file's workflow has the file's name, without its last extension. A bad file is reported and skipped, and
    looked at again when it changes. Several servers on one folder do no harm: to store the same again is
    nothing.
    """

    def __init__(self, path: Path, database: Database, *, lenient: bool = False) -> None:
        self._path = path
        self._database = database
        self._lenient = lenient
        self._seen: dict[Path, Signature] = {}  # at the last look
        self._taken: dict[Path, Signature] = {}  # what was stored, or refused, as it was then
        self._doubles: set[Path] = set()  # reported already
        self.stored: set[str] = set()

    async def load(self) -> None:
        """All files; or the sample, if that makes none and the database has none. Unavailable: try again."""
        if not self._path.is_dir():
            log.info("%s: no such folder, so no files are loaded", self._path)
        await self._look(wait_for_writers=False)
        if not self.stored and await self._database.call("wfg_list_workflows", p_limit=1) == "[]":
            await self._database.call("wfg_create_sample_workflow")
            log.info("no workflows yet: there is the sample ci-1")

    async def watch(self) -> None:
        """Store what is new or changed, for ever."""
        trouble = Trouble(str(self._path))
        while True:
            await asyncio.sleep(LOOK_SECS)
            try:
                await self._look(wait_for_writers=True)
                trouble.over()
            except Unavailable as error:
                trouble.say(error)

    async def _look(self, *, wait_for_writers: bool) -> None:
        """wait_for_writers: a changed file is taken when two looks have seen it the same."""
        before, self._seen = self._seen, await asyncio.to_thread(signatures, self._path)
        files = self._by_id()
        for path, signature in files.items():
            settled = not wait_for_writers or before.get(path) == signature
            if settled and self._taken.get(path) != signature:
                await self._take(path)
                self._taken[path] = signature

        for path in self._taken.keys() - files.keys():
            del self._taken[path]
            if path not in self._seen:
                log.info("%s is gone; its workflow stays: DELETE /api/workflows/%s", path, path.stem)

    def _by_id(self) -> dict[Path, Signature]:
        """Of files that name the same workflow, the first counts."""
        first: dict[str, Path] = {}
        for path in sorted(self._seen):
            if first.setdefault(path.stem, path) != path and path not in self._doubles:
                self._doubles.add(path)
                log.error("%s: skipped, for %s is workflow %s already", path, first[path.stem], path.stem)
        self._doubles &= self._seen.keys() - first.values()
        return {path: self._seen[path] for path in first.values()}

    async def _take(self, path: Path) -> None:
        """Store one file, or report what is wrong with it."""
        try:
            file = await asyncio.to_thread(read_workflow_file, path)
        except WorkflowFileError as error:
            log.error("%s", printable(error))
            return
        try:
            answer = await self._database.call(
                "wfg_put_workflow",
                p_workflow_id=file.workflow_id,
                p_definition=file.definition,
                p_lenient=self._lenient,
            )
        except Rejected as error:
            for line in explain(error, file):
                log.error("%s", printable(line if line.startswith(str(path)) else f"{path}: {line}"))
            return
        for line in warnings_of(file, answer):
            log.warning("%s", printable(line))
        stored = read_answer(STORED, answer)
        self.stored.add(file.workflow_id)
        if stored.changed:
            log.info("%s: stored as version %d", path, stored.version)


def signatures(folder: Path) -> dict[Path, Signature]:
    """Of every workflow file in a folder. Hidden ones are those of editors."""
    found: dict[Path, Signature] = {}
    try:
        paths = [path for path in folder.iterdir() if path.suffix in SUFFIXES and path.name[0] != "."]
    except OSError:  # no such folder, today
        return found
    for path in paths:
        try:
            status = path.stat()
        except OSError:  # gone meanwhile, or a link to nothing
            continue
        if not path.is_dir():
            found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found
