"""House rules as queries on the catalog, and as a few looks at the text of sql/."""

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from wfg.revisions import SQL, sql_files

from tests.arrange import CRON
from tests.engine import Engine

README = (SQL / "README.md").read_text()

RPCS = """
  from pg_catalog.pg_proc p
  join pg_catalog.pg_namespace n on n.oid = p.pronamespace
 where n.nspname = 'public' and p.proname like 'wfg\\_%'
"""
INTERNAL = """
  from pg_catalog.pg_proc p
  join pg_catalog.pg_namespace n on n.oid = p.pronamespace
 where n.nspname = 'wfg'
"""
OURS = """
  from pg_catalog.pg_proc p
  join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  join pg_catalog.pg_language l on l.oid = p.prolang
 where (n.nspname = 'wfg' or n.nspname = 'public' and p.proname like 'wfg\\_%')
"""


STRANGE_ARGUMENT = "exists (select from unnest(p.proargnames[:p.pronargs]) a where a !~ '^p_')"
OVERLOADED = """
  exists (
    select from pg_proc o where o.oid <> p.oid and (o.pronamespace, o.proname) = (p.pronamespace, p.proname)
  )
"""
FOR_EVERYBODY = """
  exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0)
"""


@pytest.fixture(scope="module")
def catalog(new_database, template) -> Iterator[Engine]:
    """A session on a clone that all of these tests only read."""
    engine = Engine(new_database(template))
    yield engine
    engine.close()


def names(catalog: Engine, query: str) -> list[str]:
    """The first column of a query, as text."""
    return [str(next(iter(row.values()))) for row in catalog.query(query)]


# --- functions ---


def test_there_is_something_to_look_at(catalog):
    assert len(names(catalog, f"select p.oid {RPCS}")) >= 30
    assert len(names(catalog, f"select p.oid {INTERNAL}")) >= 30


@pytest.mark.parametrize(
    ("rule", "offends"),
    [
        ("has a comment", "pg_catalog.obj_description(p.oid, 'pg_proc') is null"),
        ("is security definer", "not p.prosecdef"),
        (
            # An empty one is not enough: pg_temp is then searched first, for types (test_attacks.py).
            "has a search_path with pg_temp at its end",
            "not coalesce(p.proconfig, '{}') @> array['search_path=pg_catalog, pg_temp']",
        ),
        ("returns something", "p.prorettype = 'void'::regtype"),
        ("is a plain function", "p.prokind <> 'f'"),
        (
            "names every argument p_…",
            STRANGE_ARGUMENT,
        ),
        ("has names for all arguments", "cardinality(coalesce(p.proargnames, '{}')) < p.pronargs"),
        ("has one signature", OVERLOADED),
        ("is not immutable: planning would run it, before the token is checked", "p.provolatile = 'i'"),
    ],
)
def test_every_rpc(catalog, rule, offends):
    assert names(catalog, f"select p.oid::regprocedure {RPCS} and {offends}") == [], rule


@pytest.mark.parametrize(
    ("rule", "offends"),
    [
        ("has a comment", "pg_catalog.obj_description(p.oid, 'pg_proc') is null"),
        (
            "is not security definer: its callers are; but servers call the check of tokens",
            "p.prosecdef <> (p.proname = 'authorize')",
        ),
        (
            "names every argument p_…",
            STRANGE_ARGUMENT,
        ),
        ("has one signature", OVERLOADED),
    ],
)
def test_every_internal_function(catalog, rule, offends):
    assert names(catalog, f"select p.oid::regprocedure {INTERNAL} and {offends}") == [], rule


def test_what_runs_as_the_owner_has_the_search_path_of_an_rpc(catalog):
    pinned = "coalesce(p.proconfig, '{}') @> array['search_path=pg_catalog, pg_temp']"
    assert names(catalog, f"select p.oid::regprocedure {OURS} and p.prosecdef and not {pinned}") == []


def test_public_can_execute_nothing(catalog):
    assert names(catalog, f"select p.oid::regprocedure {OURS} and {FOR_EVERYBODY}") == []


def test_what_only_reads_is_stable(catalog):
    """PostgREST then allows GET, in a read-only transaction."""
    reads = "p.proname ~ '^wfg_((get|list|read|validate|is)_|(health|check|doctor|metrics)$)'"
    assert names(catalog, f"select p.oid::regprocedure {RPCS} and ({reads}) and p.provolatile <> 's'") == []


def test_sql_is_static(catalog):
    for row in catalog.query(f"select p.oid::regprocedure::text as name, p.prosrc as body {OURS}"):
        assert not re.search(r"\bexecute\b", code_of(row["body"]), re.IGNORECASE), row["name"]


def test_no_nonce_of_the_queue_is_compared_by_equality(catalog):
    """That proves it not null: the planner may read all leases that there are. Jobs and attempts may be."""
    equal = re.compile(r"\b(?!(?:j|a)\.)\w+\.lease_nonce\s*=")
    bodies = catalog.query(f"select p.oid::regprocedure::text as name, p.prosrc as body {OURS}")
    assert [row["name"] for row in bodies if equal.search(code_of(row["body"]))] == []


def test_who_forbids_scans_forbids_jit(catalog):
    """Before 18 a scan that cannot be avoided then seems so dear that each call compiles it, for 80 ms."""
    functions = catalog.query(f"select p.oid::regprocedure::text as name, p.proconfig as settings {OURS}")
    without = [
        row["name"]
        for row in functions
        if "enable_seqscan=off" in (row["settings"] or []) and "jit=off" not in row["settings"]
    ]
    assert without == []


def test_bodies_are_valid(catalog):
    """Those of language sql are not checked when sql/ is loaded: they may call what comes later."""
    with catalog.connection.transaction(force_rollback=True):
        catalog.connection.execute(CRON)
        catalog.query("set local check_function_bodies = on")
        for row in catalog.query(f"select pg_get_functiondef(p.oid) as text {OURS}"):
            catalog.query(row["text"])


def test_plpgsql_check_finds_nothing(catalog):
    if not catalog.query("select name from pg_available_extensions where name = 'plpgsql_check'"):
        pytest.skip("the extension plpgsql_check is not on this server")
    catalog.query("create extension if not exists plpgsql_check")
    with catalog.connection.transaction(force_rollback=True):
        catalog.connection.execute(CRON)
        found = catalog.query(
            f"""
            select p.oid::regprocedure::text as function, c.lineno, c.level, c.message, c.detail, c.context
              from (select p.oid {OURS} and l.lanname = 'plpgsql') p
              left join pg_trigger t on t.tgfoid = p.oid and not t.tgisinternal
              cross join lateral plpgsql_check_function_tb(
                funcoid => p.oid,
                relid => coalesce(t.tgrelid, 0),
                fatal_errors => false,
                oldtable => t.tgoldtable,
                newtable => t.tgnewtable
              ) c
            """
        )
    assert [" ".join(str(value) for value in row.values() if value) for row in found] == []


# --- tables ---


def test_public_has_no_table(catalog):
    relations = "select c.oid::regclass from pg_class c where c.relnamespace = 'public'::regnamespace"
    assert names(catalog, relations) == []


def test_every_table_has_a_primary_key(catalog):
    keyless = """
      select c.oid::regclass
        from pg_class c
       where c.relnamespace = 'wfg'::regnamespace and c.relkind in ('r', 'p')
         and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)
    """
    assert names(catalog, keyless) == []


def test_every_foreign_key_has_an_index(catalog):
    """One that starts with its columns, in any order; a partial index does not count."""
    bare = """
      select k.conrelid::regclass || '.' || k.conname
        from pg_constraint k
       where k.contype = 'f'
         and k.connamespace = 'wfg'::regnamespace
         and not exists (
               select
                 from pg_index i
                where i.indrelid = k.conrelid
                  and i.indpred is null
                  and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey
             )
    """
    assert names(catalog, bare) == []


def test_no_index_is_the_beginning_of_another(catalog):
    """The longer one answers what the shorter one does. Unique ones are there for their promise."""
    short = """
      select i.indexrelid::regclass || ' by ' || o.indexrelid::regclass
        from pg_index i
        join pg_index o on o.indrelid = i.indrelid and o.indexrelid <> i.indexrelid
        join pg_class c on c.oid = i.indrelid and c.relnamespace = 'wfg'::regnamespace
       where not i.indisunique
         and o.indkey::text like i.indkey::text || '%'
         and pg_get_expr(i.indpred, i.indrelid) is not distinct from pg_get_expr(o.indpred, o.indrelid)
    """
    assert names(catalog, short) == []


# --- sql/README.md ---


def test_readme_lists_every_function_with_its_signature(catalog):
    listed = re.findall(r"^\| `(wfg_\w+\(.*?\))` \|", README, re.MULTILINE)
    query = f"select p.proname as name, pg_get_function_arguments(p.oid) as arguments {RPCS}"
    found = [f"{row['name']}({plain_arguments(row['arguments'])})" for row in catalog.query(query)]

    assert sorted(found) == sorted(listed)


def test_readme_lists_every_error(catalog):
    """Each slug that a function raises, with its status; and none that no function knows."""
    listed = dict(re.findall(r"^\| `(\w+)` \| (\d{3}) \|", README, re.MULTILINE))
    bodies = "\n".join(names(catalog, f"select p.prosrc {OURS}"))
    raised = re.findall(r"sqlstate\s+'PT(\d{3})'\s+using\s+message\s*=\s*'([^']*)'", bodies)

    assert [(slug, status) for status, slug in raised if listed.get(slug) != status] == []
    assert [slug for slug in listed if f"'{slug}'" not in bodies] == []


def test_error_messages_are_constants(catalog):
    """`message` is a slug: no ids, no user text. Values go in the detail, advice in the hint."""
    for row in catalog.query(f"select p.oid::regprocedure::text as name, p.prosrc as body {OURS}"):
        for raised in re.findall(r"raise\s+sqlstate\s+'PT\d{3}'\s+using((?:[^;']|'[^']*')*);", row["body"]):
            assert re.search(r"message\s*=\s*('[a-z_]+'|\w+(\.\w+)*)\s*(,|$)", raised), (row["name"], raised)


# --- the text ---


def test_a_function_lives_in_the_file_of_its_name():
    for path in sql_files():
        if path.parent.name not in ("30_internal", "50_rpc"):
            continue
        schema = {"30_internal": "wfg", "50_rpc": "public"}[path.parent.name]
        created = re.findall(r"^create or replace function ([\w.]+)\(", path.read_text(), re.MULTILINE)
        assert created == [f"{schema}.{path.stem}"], path


def test_tables_and_types_say_what_one_row_is():
    for path in sql_files():
        lines = ["", *path.read_text().splitlines()]
        for above, line in pairwise(lines):
            if re.match(r"create (unlogged )?(table|type|sequence)\b", line):
                assert above.startswith("-- "), f"{path}: {line}"


def test_text_is_tidy():
    for path in sql_files():
        text = path.read_text()
        assert text.endswith("\n"), path
        for number, line in enumerate(text.splitlines(), start=1):
            place = f"{path.relative_to(SQL)}:{number}"
            assert "\t" not in line, place
            assert line == line.rstrip(), place
            assert len(line) <= 120, place


def code_of(body: str) -> str:
    """A function body without its comments and string literals."""
    return re.sub(r"--.*|/\*.*?\*/|'(?:[^']|'')*'", " ", body)


def plain_arguments(arguments: str) -> str:
    """pg_get_function_arguments, as people write it."""
    text = re.sub(r"::[a-z ]+(\[\])?", "", arguments)
    for ours, theirs in (
        (" DEFAULT ", " = "),
        ("NULL", "null"),
        ("timestamp with time zone", "timestamptz"),
    ):
        text = text.replace(ours, theirs)
    return text
