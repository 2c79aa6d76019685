"""The revisions as migrations of the Supabase CLI: a file each, which says what alembic would run."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from . import migrate

OPTIONAL = migrate.MIGRATIONS / "optional"
FOLDER = Path("supabase", "migrations")

# The CLI runs a file in one transaction, and shows the statement that failed: not the whole revision, please.
FILE = """\
-- Revision {number} of wfg, for `supabase db push`. Written by `wfg db export`: do not edit.
-- What is between the two marks is what `wfg db upgrade` runs, byte for byte. Where that was first, nothing
-- is run: the CLI only notes that this file is done.
set wfg.migration = $migration${script}$migration$;

do $$
begin
  perform pg_advisory_xact_lock({lock});   -- alembic's: one upgrade of a database at a time

  if to_regclass('wfg.alembic_version') is not null then
    if exists (select from wfg.alembic_version v where v.version_num >= '{number}') then
      return;
    end if;
  end if;

  execute current_setting('wfg.migration');
end;
$$;

-- Supabase's advisor asks for a search_path of every function. Those of schema wfg run below one that has it,
-- and inherit it; one of their own changes nothing but costs up to 2 microseconds a call, so only here.
do $$
declare
  v_function regprocedure;
begin
  for v_function in
    select p.oid::regprocedure
      from pg_catalog.pg_proc p
     where p.pronamespace = 'wfg'::regnamespace
       and not exists (select from unnest(p.proconfig) s (setting) where s.setting like 'search\\_path=%')
  loop
    execute format('alter function %s set search_path = pg_catalog, pg_temp', v_function);
  end loop;
end;
$$;

reset wfg.migration;
reset check_function_bodies;
"""


def committed() -> Path:
    """The folder of a checkout; an installed package has none."""
    return migrate.MIGRATIONS.parent / FOLDER


def chain() -> list[str]:
    """The revisions, oldest first: 0001_initial, 0002_tokens."""
    return sorted(path.stem for path in (migrate.MIGRATIONS / "versions").glob("[0-9]*.py"))


def texts() -> dict[str, str]:
    """Revision -> the text of its file."""
    files: dict[str, str] = {}
    previous = "base"
    for name in chain():
        number = name.partition("_")[0]
        script = migrate.bare_script(f"{previous}:{number}")
        files[name] = FILE.format(number=number, lock=migrate.UPGRADE_LOCK, script=script)
        previous = number
    return files


def file_of(folder: Path, name: str) -> Path | None:
    """The file of a revision, whatever its time and however the revision was called when it was written."""
    return next(folder.glob(f"*_wfg_{name.partition('_')[0]}_*.sql"), None)


def stale(folder: Path) -> dict[str, str]:
    """The revisions whose file is not there, or has another text or name; and what it should say."""
    return {
        name: text
        for name, text in texts().items()
        if (path := file_of(folder, name)) is None
        or not path.stem.endswith(f"_wfg_{name}")
        or path.read_bytes() != text.encode()
    }


def optional() -> list[str]:
    """What may be had besides: names for export."""
    return sorted(path.stem for path in OPTIONAL.glob("*.sql"))


def write_optional(folder: Path, name: str) -> list[Path]:
    """Write an optional file if it is not there, or has another text."""
    text = (OPTIONAL / f"{name}.sql").read_bytes()
    path = next(folder.glob(f"*_wfg_{name}.sql"), folder / f"{next_version(folder)}_wfg_{name}.sql")
    if path.exists() and path.read_bytes() == text:
        return []
    path.write_bytes(text)
    return [path]


def write(folder: Path) -> list[Path]:
    """Write the files that are stale. A new one comes after all others: the CLI runs them in that order."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for name, text in stale(folder).items():
        old = file_of(folder, name)
        version = old.name.partition("_")[0] if old else next_version(folder)
        if old:
            old.unlink()
        path = folder / f"{version}_wfg_{name}.sql"
        path.write_bytes(text.encode())
        written.append(path)
    return written


def next_version(folder: Path) -> str:
    """The time now, as the CLI begins the names of its files; later than that of every file in the folder."""
    times = [int(match[0]) for path in folder.glob("*.sql") if (match := re.match(r"\d{14}(?=_)", path.name))]
    now = datetime.now(UTC).replace(microsecond=0)
    if times and int(now.strftime("%Y%m%d%H%M%S")) <= max(times):
        now = datetime.strptime(str(max(times)), "%Y%m%d%H%M%S").replace(tzinfo=UTC) + timedelta(seconds=1)
    return now.strftime("%Y%m%d%H%M%S")
