"""`wfg db revision`, `seal` and `check` on a small sql/ of their own, of which revision 0001 is sealed."""

from shutil import copy

import psycopg
import pytest
from click.testing import CliRunner
from wfg import db_cli, migrate, revisions

from tests.postgres import dump

SMALL = {
    "10_schema.sql": """\
-- Functions call each other.
set check_function_bodies = off;
create schema if not exists wfg;

comment on schema wfg is 'Small.';


create or replace function wfg.schema_revision()
  returns text
  language sql
as $$
  select '0001'::text;
$$;
""",
    "20_tables/10_jobs.sql": "create table wfg.jobs (\n  id integer not null,\n  state text\n);\n",
    "25_types.sql": """\
-- Types that functions hand to each other.

-- Of a job.
create type wfg.ref as (
  id integer
);
""",
    "30_internal/greet.sql": """\
create or replace function wfg.greet(p_name text)
  returns text
  language plpgsql
as $$
begin
\t-- A tab, :word, %%, 'one; quote' and $1.
  return format('%s :word %%', p_name) || $1;
end;
$$;

comment on function wfg.greet(text) is
'Greets; says "it''s fine".';
""",
    "30_internal/ref_of.sql": """\
create or replace function wfg.ref_of(p_refs wfg.ref[])
  returns wfg.ref
  language sql
as $$
  select p_refs[1];
$$;

comment on function wfg.ref_of(wfg.ref[]) is 'The first.';
""",
    "30_internal/tg_jobs__guard.sql": """\
create or replace function wfg.tg_jobs__guard()
  returns trigger
  language plpgsql
as $$
begin
  return new;
end;
$$;
""",
    "40_triggers.sql": """\
-- Every trigger.

-- Guards.
create trigger _100_guard
  before update on wfg.jobs
  for each row
  execute function wfg.tg_jobs__guard();
""",
    "50_rpc/wfg_hello.sql": """\
-- GET /hello
create or replace function public.wfg_hello(p_name text default 'you')
  returns text
  language sql
  security definer
  set search_path = pg_catalog, pg_temp
as $function$
  select wfg.greet(p_name);
$function$;

comment on function public.wfg_hello(text) is
$$Hello.

p_name: who; %s.$$;
""",
    "80_grants.sql": """\
-- Who may call what.
do $$
begin
  create role wfg_worker nologin;
exception
  when duplicate_object or unique_violation then null;
end;
$$;

revoke execute on all functions in schema wfg from public;

revoke execute on function
  public.wfg_hello
from public;

grant execute on function
  public.wfg_hello
to wfg_worker;
""",
}


class Tree:
    """A checkout, and what the command line does with it."""

    def __init__(self, root, server, new_database):
        self.sql, self.versions = root / "sql", root / "migrations" / "versions"
        self.server, self.new_database = server, new_database

    def write(self, name, text):
        path = self.sql / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def change(self, name, *pairs):
        """Replace text in a file of sql/, or of the revision."""
        path = next(path for path in (self.sql / name, self.versions / name) if path.exists())
        text = path.read_text()
        for old, new in pairs:
            assert old in text, (old, text)
            text = text.replace(old, new)
        path.write_text(text)

    def up(self):
        return next(self.versions.glob("0002_*.up.sql")).read_text()

    def down(self):
        return next(self.versions.glob("0002_*.down.sql")).read_text()

    def cli(self, *arguments):
        return CliRunner().invoke(db_cli.db, arguments)

    def revision(self, message="change"):
        message = ["-m", message] if message else []
        return self.cli("revision", *message, "--server-url", self.server)

    def problems(self):
        return db_cli.schema_problems(self.server)

    def generate(self):
        """Write the revision; nothing may be open. Then prove it with alembic and the tests' own dump."""
        answer = self.revision()
        assert answer.exit_code == 0, answer.output

        upgraded, fresh = self.new_database(), self.new_database()
        migrate.upgrade(upgraded, "0001")
        before = dump(upgraded)
        migrate.upgrade(upgraded)
        with psycopg.connect(fresh) as connection:
            connection.execute(revisions.sql_text().encode())
        assert dump(upgraded) == dump(fresh)
        migrate.downgrade(upgraded, "0001")
        assert dump(upgraded) == before


@pytest.fixture
def tree(tmp_path, monkeypatch, server, new_database):
    tree = Tree(tmp_path, server, new_database)
    tree.versions.mkdir(parents=True)
    for name in ("env.py", "versions/0001_initial.py"):
        copy(migrate.MIGRATIONS / name, tmp_path / "migrations" / name)

    monkeypatch.setattr(migrate, "MIGRATIONS", tmp_path / "migrations")
    monkeypatch.setattr("wfg.migrations.frozen.VERSIONS", tree.versions)
    monkeypatch.setattr(revisions, "SQL", tree.sql)
    monkeypatch.setattr(revisions, "VERSIONS", tree.versions)
    monkeypatch.setattr(revisions, "RELEASED", tmp_path / "migrations" / "released.sha256")
    revisions.RELEASED.touch()
    for name, text in SMALL.items():
        tree.write(name, text)
    revisions.write({"0001_initial.up.sql": revisions.sql_text().encode(), "0001_initial.down.sql": b""})
    revisions.seal("0001_initial")
    return tree


# --- what is generated ---


def test_changed_body_takes_the_text_of_sql(tree):
    tree.change("30_internal/greet.sql", ("-- A tab", "-- Still a tab"), ("|| $1", "|| $1 || '$2;'"))
    tree.generate()

    assert tree.up().count(tree.sql.joinpath("30_internal/greet.sql").read_text().partition("\n\n")[0]) == 1
    assert "\t-- A tab, :word, %%, 'one; quote' and $1." in tree.down()
    assert "comment on" not in tree.up().lower()
    assert "grant " not in tree.up() + tree.down()
    assert "wfg_hello" not in tree.up()


@pytest.mark.nightly
def test_changed_comment_is_all_that_is_written(tree):
    tree.change("50_rpc/wfg_hello.sql", ("who; %s", "who; :word %% 'x'"))
    tree.change("10_schema.sql", ("'Small.'", "'Still small.'"))
    tree.change("30_internal/ref_of.sql", ("comment on function wfg.ref_of(wfg.ref[]) is 'The first.';", ""))
    tree.write("90_comments.sql", "comment on column wfg.jobs.id is 'A number;';\n")
    assert tree.revision().exit_code == 0

    assert "function public.wfg_hello(p_name" not in tree.up()
    assert "comment on function wfg.ref_of is null;" in tree.up()
    assert "comment on column wfg.jobs.id is null;" in tree.down()


def test_new_function_has_its_rights_and_goes_again(tree):
    tree.write(
        "50_rpc/wfg_bye.sql",
        "-- GET /bye\n"
        "create or replace function public.wfg_bye()\n  returns text\n  language sql\n"
        "as $$\n  select 'bye';\n$$;\n"
        "\ncomment on function public.wfg_bye() is 'Bye.';\n",
    )
    tree.change("80_grants.sql", ("  public.wfg_hello\n", "  public.wfg_hello,\n  public.wfg_bye\n"))
    tree.generate()

    assert tree.sql.joinpath("50_rpc/wfg_bye.sql").read_text() in tree.up()
    assert tree.up().endswith(tree.sql.joinpath("80_grants.sql").read_text())
    assert "drop function public.wfg_bye;" in tree.down()


@pytest.mark.nightly
def test_dropped_function_comes_back_with_its_comment_and_rights(tree):
    tree.sql.joinpath("50_rpc/wfg_hello.sql").unlink()
    tree.write("80_grants.sql", SMALL["80_grants.sql"].partition("revoke execute on function")[0])
    tree.generate()

    assert "drop function public.wfg_hello;" in tree.up()
    assert tree.down().endswith(SMALL["80_grants.sql"])


@pytest.mark.nightly
def test_changed_signature_drops_the_old_one(tree):
    """One more parameter, another name of one, another type of the answer."""
    tree.change("30_internal/greet.sql", ("(p_name text)", "(p_name text, p_more text default ':x')"))
    tree.change("30_internal/greet.sql", ("greet(text) is", "greet(text, text) is"))
    tree.change("30_internal/ref_of.sql", ("p_refs", "p_all"))
    tree.change("50_rpc/wfg_hello.sql", ("returns text", "returns varchar"))
    tree.generate()

    for text in (tree.up(), tree.down()):
        for name in ("wfg.greet", "wfg.ref_of", "public.wfg_hello"):
            assert text.index(f"drop function {name};") < text.lower().index(f"function {name}(")
    assert tree.up().endswith(SMALL["80_grants.sql"])


@pytest.mark.nightly
def test_moved_rights_are_revoked_and_given_in_the_order_of_a_fresh_database(tree):
    tree.change("80_grants.sql", ("to wfg_worker", "to wfg_operator, wfg_worker"))
    tree.generate()

    assert "revoke all on function public.wfg_hello from wfg_worker;" in tree.up()
    assert "revoke all on function public.wfg_hello from wfg_operator;" in tree.down()


@pytest.mark.nightly
def test_grants_that_only_other_servers_see_are_written_too(tree):
    guarded = (
        "do $$\nbegin\n  if false then\n    grant create on schema public to anon;\n  end if;\nend;\n$$;\n"
    )
    tree.change("80_grants.sql", ("to wfg_worker;\n", f"to wfg_worker;\n\n{guarded}"))
    assert tree.revision().exit_code == 0

    assert tree.up().endswith(guarded)
    assert tree.down().endswith(SMALL["80_grants.sql"])


def test_changed_type_takes_its_functions_along(tree):
    tree.change("25_types.sql", ("  id integer\n", "  no bigint,\n  id integer\n"))
    tree.write(
        "30_internal/tg_jobs__tell.sql", SMALL["30_internal/tg_jobs__guard.sql"].replace("guard", "tell")
    )
    tree.change("40_triggers.sql", ("before update", "before insert or update of state"))
    tree.change("40_triggers.sql", ("tg_jobs__guard", "tg_jobs__tell"))
    tree.sql.joinpath("30_internal/tg_jobs__guard.sql").unlink()
    tree.generate()

    up = tree.up()
    steps = [
        "drop trigger _100_guard on wfg.jobs;\n",
        "drop function wfg.ref_of;\n",
        "drop type wfg.ref;\n",
        "-- Of a job.\ncreate type wfg.ref as",
        "function wfg.ref_of(",
        "\n-- Guards.\ncreate trigger _100_guard",
    ]
    assert [up.index(step) for step in steps] == sorted(up.index(step) for step in steps)
    assert "-- Types that" not in up
    assert "greet" not in up


@pytest.mark.nightly
def test_altered_type_is_left_alone(tree):
    """What was done by hand is not generated."""
    tree.change("25_types.sql", ("  id integer\n", "  id integer,\n  no bigint\n"))
    tree.revision()
    tree.change("0002_change.up.sql", ("\n\n", "\n\nalter type wfg.ref add attribute no bigint;\n\n"))
    tree.change("0002_change.down.sql", ("\n\n", "\n\nalter type wfg.ref drop attribute no;\n\n"))
    tree.generate()

    assert "ref_of" not in tree.up() + tree.down()


# --- what is written by hand ---


@pytest.mark.nightly
def test_new_table_is_written_by_hand_and_kept(tree):
    tokens = "create table wfg.tokens (\n  id integer not null\n);\n"
    function = (
        "create or replace function wfg.tokens()\n  returns setof wfg.tokens\n  language sql\nas $$\n"
        "  select t.* from wfg.tokens t;\n$$;\n"
    )
    tree.write("20_tables/20_tokens.sql", tokens)
    tree.write("30_internal/tokens.sql", function)
    tree.change("20_tables/10_jobs.sql", ("  state text\n", "  state text,\n  note text\n"))
    answer = tree.revision("Tokens: a table.")

    assert answer.exit_code == 1
    assert 'type "wfg.tokens" does not exist' in answer.output
    assert "+CREATE TABLE wfg.tokens (" in answer.output
    assert "+    note text" in answer.output
    assert "FUNCTION" not in answer.output
    assert "Tokens: a table." in (tree.versions / "0002_tokens_a_table.py").read_text()
    assert len(tree.problems()) == 2

    up, down = "0002_tokens_a_table.up.sql", "0002_tokens_a_table.down.sql"
    tree.change(up, ("\n\n", f"\n\n{tokens}alter table wfg.jobs add column note text;\n\n"))
    tree.change(
        down,
        ("-- By hand", "-- Loses all tokens.\n-- By hand"),
        ("\n\n", "\n\ndrop function wfg.tokens;\ndrop table wfg.tokens;\n\n"),
    )
    answer = tree.revision(None)
    assert answer.exit_code == 1
    assert f"head of {down}" in answer.output
    assert f"head of {up}" not in answer.output
    assert "-    note text" in answer.output

    tree.change(down, ("drop table", "alter table wfg.jobs drop column note;\ndrop table"))
    tree.generate()
    assert {path.name.partition(".")[0] for path in tree.versions.glob("0002*")} == {"0002_change"}
    assert tree.down().startswith("-- Loses all tokens.\n")
    assert tree.up().count("drop table") == tree.up().count("create table wfg.tokens") - 1 == 0
    assert tree.problems() == []


@pytest.mark.nightly
def test_what_fails_by_hand_is_named(tree):
    tree.change("30_internal/greet.sql", ("-- A tab", "-- Still a tab"))
    tree.revision()
    tree.change("0002_change.up.sql", ("\n\n", "\n\nalter table wfg.nothing add x text;\n\n"))

    answer = tree.revision(None)
    assert answer.exit_code == 1
    assert 'The head of 0002_change.up.sql fails: relation "wfg.nothing" does not exist' in answer.output

    (tree.versions / "0002_change.up.sql").write_text("select 1;\n")
    assert "has lost the line" in tree.revision(None).output


# --- when ---


def test_nothing_to_do_writes_nothing(tree):
    assert tree.revision().output == "Nothing to do: sql/ is what 0001_initial says.\n"
    assert tree.problems() == []
    assert "'0001'" in (tree.sql / "10_schema.sql").read_text()
    assert sorted(path.name for path in tree.versions.glob("0002*")) == []


@pytest.mark.nightly
def test_sealing_ends_a_revision_and_the_next_begins(tree):
    tree.change("30_internal/greet.sql", ("-- A tab", "-- Still a tab"))
    assert "run `wfg db revision -m …`" in tree.problems()[0]
    assert "Give -m" in tree.revision(None).output

    assert tree.revision().output.splitlines() == [
        "wrote the number of the revision into sql/10_schema.sql",
        "wrote 0002_change.up.sql",
        "wrote 0002_change.down.sql",
        "wrote 0002_change.py",
        "Nothing is open: up leads to sql/, and down leads back.",
    ]
    tree.change("30_internal/greet.sql", ("-- Still a tab", "-- A tab for ever"))
    stale = "0002_change.up.sql is not what sql/ says: run `wfg db revision`"
    assert stale in tree.cli("seal", "--server-url", tree.server).output
    assert tree.revision(None).output.startswith("wrote 0002_change.up.sql\nNothing is open")
    assert tree.cli("seal", "--server-url", tree.server).output == "sealed 0002_change\n"
    assert revisions.sealed() == ["0001_initial", "0002_change"]
    assert "no unsealed revision" in tree.cli("seal").output

    tree.change("30_internal/greet.sql", ("for ever", "again"))
    assert tree.revision("more").exit_code == 0
    assert 'down_revision = "0002"' in (tree.versions / "0003_more.py").read_text()
    assert "for ever" in (tree.versions / "0003_more.down.sql").read_text()

    tree.change("0002_change.up.sql", ("for ever", "once"))
    assert "0002_change.up.sql is sealed, but was changed" in tree.cli("check").output


@pytest.mark.nightly
def test_check_brings_its_own_server(tree):
    assert tree.cli("check").output == "All is well.\n"
