"""The other door: what `wfg db export` writes, and who may do what in a project of Supabase."""

import re
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import make_conninfo
from wfg import db_cli, embedded, migrate, revisions, supabase

from tests import supabase_project as project
from tests.engine import Engine
from tests.postgres import dump
from tests.test_grants import MAY, OWNER_ONLY


def export(folder: Path) -> str:
    done = CliRunner().invoke(db_cli.db, ["export", str(folder)])
    assert done.exit_code == 0, done.output
    return done.output


def without_pins(text: str) -> str:
    """A dump without what the export sets and alembic does not: the search_path of internal functions."""
    inner = re.compile(r"(?<=\nCREATE FUNCTION wfg\.)(?:(?!\n    AS ).)*", re.DOTALL)
    return inner.sub(lambda head: re.sub(r"\n +SET search_path TO [^\n]*", "", head[0]), text)


# --- the files ---


def test_committed_files_are_what_the_revisions_say():
    """The unsealed one, too. `wfg db revision` and `wfg db export` write them."""
    assert db_cli.export_problems() == []
    assert len(list(supabase.committed().glob("*.sql"))) == len(supabase.chain())


def test_a_file_that_was_changed_is_told(tmp_path, monkeypatch):
    export(tmp_path)
    monkeypatch.setattr(supabase, "committed", lambda: tmp_path)
    changed = max(tmp_path.iterdir())
    changed.write_text(changed.read_text() + "\n")

    (problem,) = db_cli.export_problems()
    assert supabase.chain()[-1] in problem


def test_a_file_is_what_alembic_runs_byte_for_byte():
    for name, text in supabase.texts().items():
        assert f"$migration${migrate.bare_script(range_of(name))}$migration$" in text
        assert text.count("$migration$") == 2
        assert (revisions.VERSIONS / f"{name}.up.sql").read_bytes().decode() in text


def range_of(name: str) -> str:
    names = ["base", *supabase.chain()]
    return f"{names[names.index(name) - 1][:4]}:{name[:4]}"


def test_a_bare_script_is_the_script_without_its_transactions():
    script = StringIO()
    migrate.upgrade_script(f"{revisions.sealed()[0][:4]}:head", output=script)
    bare = migrate.bare_script(f"{revisions.sealed()[0][:4]}:head")

    assert re.sub(r"^(BEGIN|COMMIT);\n\n", "", script.getvalue(), flags=re.MULTILINE) == bare


def test_files_keep_their_times_and_new_ones_come_last(tmp_path):
    (tmp_path / "20991231235959_of_the_user.sql").write_text("select 1;")
    export(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name.partition("_wfg_")[2] for name in names[1:]] == [f"{name}.sql" for name in supabase.chain()]
    assert names[0] == "20991231235959_of_the_user.sql"
    assert names[1] == f"21000101000000_wfg_{supabase.chain()[0]}.sql"

    assert "wrote" not in export(tmp_path)
    renamed = tmp_path / names[1].replace("initial", "old_name")
    (tmp_path / names[1]).rename(renamed)
    export(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == names


# --- either runner ---


def test_pushed_is_upgraded(new_database, template):
    pushed = new_database()
    project.push(pushed)

    assert without_pins(dump(pushed)) == without_pins(dump(new_database(template)))
    assert migrate.current(pushed) == migrate.head()
    before = dump(pushed)
    migrate.upgrade(pushed)  # finds nothing to do
    assert dump(pushed) == before
    migrate.downgrade(pushed, "base")
    assert migrate.current(pushed) is None


def test_a_push_finds_nothing_to_do_after_alembic(new_database):
    dsn = new_database()
    migrate.upgrade(dsn)
    before = dump(dsn)
    project.push(dsn)

    assert without_pins(dump(dsn)) == without_pins(before)
    project.push(dsn)  # and again


@pytest.mark.nightly
def test_a_push_carries_on_where_alembic_ended(new_database, template):
    dsn = new_database()
    migrate.upgrade(dsn, supabase.chain()[0][:4])
    project.push(dsn)

    assert without_pins(dump(dsn)) == without_pins(dump(new_database(template)))
    assert migrate.current(dsn) == migrate.head()


def test_a_push_leaves_the_session_as_it_was(new_database):
    with psycopg.connect(new_database()) as connection:
        for path in sorted(supabase.committed().glob("*.sql")):
            connection.execute(path.read_bytes())
        assert connection.execute("show check_function_bodies").fetchone() == ("on",)
        assert connection.execute("select current_setting('wfg.migration', true)").fetchone() == ("",)


def test_every_function_of_a_push_has_a_search_path(new_database):
    dsn = new_database()
    project.push(dsn)
    engine = Engine(dsn)
    bare = "not exists (select from unnest(proconfig) s where s like 'search\\_path=%')"
    assert (
        engine.query(f"select proname from pg_proc where pronamespace = 'wfg'::regnamespace and {bare}") == []
    )

    engine.put(jobs={"a": {"run": "true"}, "b": {"run": "true", "needs": "a"}})
    run_id = engine.start()
    while claim := engine.claim():
        engine.complete(claim)
    assert engine.state(run_id) == "success"
    assert engine.call("wfg_check", p_all=True) == []
    engine.close()


# --- who may what ---


@pytest.fixture(scope="module")
def hosted():
    """A server of their own, for roles belong to the cluster: wfg installed by the postgres of a project."""
    with embedded.running(in_memory=True) as server:
        dsn = project.prepare(server.dsn)
        project.push(dsn)
        yield dsn


@pytest.fixture(scope="module")
def matrix(hosted):
    return project.matrix(hosted)


def test_the_project_is_like_one_of_supabase(hosted):
    """Without wfg's grants, a new function and a new table would be open to everybody."""
    owner = Engine(hosted)
    (me,) = owner.query(
        "select rolsuper, rolcreaterole, rolbypassrls from pg_roles where rolname = current_user"
    )
    assert me == {"rolsuper": False, "rolcreaterole": True, "rolbypassrls": True}

    with owner.connection.transaction(force_rollback=True):
        owner.query("create function public.open() returns integer language sql as 'select 1'")
        owner.query("create table public.open ()")
        assert owner.query(
            "select has_function_privilege('anon', 'public.open()', 'execute') as calls,"
            " has_table_privilege('anon', 'public.open', 'select') as reads"
        ) == [{"calls": True, "reads": True}]
    owner.close()


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_those_who_use_the_api_can_do_nothing(matrix, role):
    assert len(matrix) > 200
    assert [name for name, may in matrix.items() if may[role]] == []


def test_the_service_role_can_call_the_public_functions_and_nothing_else(matrix):
    allowed = {name for name, may in matrix.items() if may["service_role"]}
    public = {name for name in matrix if name.startswith("public.")}

    assert public - allowed == {f"public.{name}" for name in OWNER_ONLY}
    assert allowed <= public


@pytest.mark.parametrize("role", MAY)
def test_our_roles_can_call_what_they_need_and_no_more(matrix, role):
    allowed = {name for name, may in matrix.items() if may[role]}
    expected = {
        name for name in matrix if name.startswith("public.") and MAY[role](name.removeprefix("public."))
    }

    assert allowed == expected | ({"wfg.authorize"} if role == "wfg_server" else set())


@pytest.mark.parametrize("role", project.ROLES)
def test_nobody_has_a_right_to_a_table(hosted, role):
    owner = Engine(hosted)
    relations = owner.query(
        "select oid, oid::regclass::text as name from pg_class"
        " where relnamespace = 'wfg'::regnamespace and relkind in ('r', 'v', 'm', 'p')"
    )
    owner.close()
    assert len(relations) >= 12
    session = Engine(make_conninfo(hosted, user="supabase_admin"))
    session.query(f"set session authorization {role}")
    for statement in ("select * from {}", "insert into {} default values", "delete from {}", "truncate {}"):
        open_to = [
            r["name"] for r in relations if not project.is_refused(session, statement.format(r["name"]))
        ]
        assert open_to == []
    assert (
        session.query(
            "select relname from pg_class where relnamespace = 'wfg'::regnamespace and relkind in ('r', 'v')"
            " and has_any_column_privilege(oid, 'select, insert, update, references')"
        )
        == []
    )
    session.close()


def test_a_service_role_runs_a_workflow_through_the_login_of_the_api(hosted):
    session = Engine(make_conninfo(hosted, user="authenticator"))
    session.query("set role service_role")
    session.put(jobs={"a": {"run": "true"}, "b": {"run": "true", "needs": "a"}})
    run_id = session.start()
    while claim := session.claim():
        session.complete(claim)
    assert session.state(run_id) == "success"
    session.close()


def test_the_owner_is_no_superuser_and_the_doctor_is_content(hosted):
    owner = Engine(hosted)
    found = owner.call("wfg_doctor")["findings"]
    owner.close()
    assert [f for f in found if f["check"] in ("grants", "functions", "triggers", "schema")] == []


def test_the_owner_can_take_wfg_away_and_bring_it_back(hosted):
    """The roles belong to the cluster, and stay."""
    migrate.downgrade(hosted, "base")
    migrate.upgrade(hosted)
    assert migrate.current(hosted) == migrate.head()
