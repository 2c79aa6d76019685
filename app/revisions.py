"""The files: sql/ says what the database is, the revisions say how it gets there."""

import hashlib
import re
from pathlib import Path

from . import migrate

SQL = Path(__file__).parents[1] / "sql"  # in a checkout; an installed package has the revisions only
VERSIONS = migrate.MIGRATIONS / "versions"
RELEASED = migrate.MIGRATIONS / "released.sha256"

PYTHON = '''\
"""{message}."""

from wfg.migrations.frozen import run

revision = "{number}"
down_revision = "{previous}"


def upgrade() -> None:
    run("{name}.up.sql")


def downgrade() -> None:
    run("{name}.down.sql")
'''


class RevisionError(Exception):
    """Why a revision cannot be written or sealed."""


# --- sql/ ---


def sql_files() -> list[Path]:
    """The files of sql/ in load order: path order, as `LC_ALL=C sort` has it."""
    return sorted(SQL.rglob("*.sql"), key=lambda path: path.relative_to(SQL).as_posix().encode())


def sql_text() -> str:
    """All of sql/, byte for byte."""
    return b"".join(path.read_bytes() for path in sql_files()).decode()


def set_schema_revision(number: str) -> bool:
    """Make wfg.schema_revision() in sql/ answer number; whether it did not."""
    path = SQL / "10_schema.sql"
    text = path.read_bytes().decode()
    changed = re.sub(
        r"(function wfg\.schema_revision\(\).*?select ')\d+'", rf"\g<1>{number}'", text, count=1, flags=re.S
    )
    path.write_bytes(changed.encode())
    return changed != text


# --- revisions ---


def number(name: str) -> str:
    return name.partition("_")[0]


def sealed() -> list[str]:
    """The sealed revisions, oldest first: 0001_initial, 0002_tokens."""
    return sorted(file.removesuffix(".up.sql") for file in released() if file.endswith(".up.sql"))


def unsealed() -> str | None:
    """The revision that is still written."""
    names = {path.name.removesuffix(".up.sql") for path in VERSIONS.glob("*.up.sql")} - set(sealed())
    if len(names) > 1:
        raise RevisionError(f"One unsealed revision at a time, please: {', '.join(sorted(names))}.")
    return names.pop() if names else None


def next_name(message: str) -> str:
    """What the revision after the last sealed one is called."""
    words = re.findall(r"[a-z0-9]+", message.lower())
    if not words:
        raise RevisionError("A message has at least one word.")
    return "_".join([f"{int(number(sealed()[-1])) + 1:04}", *words])


def python_file(name: str, message: str) -> dict[str, bytes]:
    text = PYTHON.format(message=message, number=number(name), previous=number(sealed()[-1]), name=name)
    return {f"{name}.py": text.encode()}


def differing(files: dict[str, bytes]) -> list[str]:
    """Which of these files are not in versions/ with this text."""
    return [
        name
        for name, text in files.items()
        if not (VERSIONS / name).exists() or (VERSIONS / name).read_bytes() != text
    ]


def write(files: dict[str, bytes]) -> list[str]:
    """Write files into versions/; the names of those that were not so yet."""
    changed = differing(files)
    for name in changed:
        (VERSIONS / name).write_bytes(files[name])
    return changed


def remove(name: str) -> None:
    for path in VERSIONS.glob(f"{name}.*"):
        path.unlink()


# --- released files ---


def released() -> dict[str, str]:
    """File name -> sha256 of every released, and so frozen, file of versions/."""
    lines = RELEASED.read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def changed_released() -> list[str]:
    return [
        name
        for name, digest in released().items()
        if not (VERSIONS / name).exists() or sha256(name) != digest
    ]


def sha256(name: str) -> str:
    return hashlib.sha256((VERSIONS / name).read_bytes()).hexdigest()


def seal(name: str) -> None:
    """Release the SQL of a revision: from now on it does not change."""
    with RELEASED.open("a") as file:
        for sql in (f"{name}.up.sql", f"{name}.down.sql"):
            file.write(f"{sha256(sql)}  {sql}\n")
