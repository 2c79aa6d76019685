"""A database as Supabase hands it out, as far as wfg meets it: roles, default privileges, no superuser.

`python -m tests.supabase_project` prints who may call what there, as each role finds it.
"""

import uuid

import psycopg
from psycopg.conninfo import make_conninfo
from wfg import supabase

from tests.engine import Engine

API_ROLES = ("anon", "authenticated", "service_role")
OUR_ROLES = ("wfg_worker", "wfg_reader", "wfg_operator", "wfg_server")
ROLES = API_ROLES + OUR_ROLES
MARKS = {True: "yes", False: "-"}

# As github.com/supabase/postgres has it in migrations/db: initial-schema, demote-postgres,
# alter_api_roles_for_inherit, grant_with_admin_to_postgres_16_and_above. There, too, supabase_admin is who
# made the cluster.
RENAME = "alter role postgres rename to supabase_admin"
PROJECT = """
create role postgres login createdb createrole replication bypassrls;
grant all on database postgres to postgres;
alter database postgres owner to postgres;

create role anon          nologin inherit;
create role authenticated nologin inherit;
create role service_role  nologin inherit bypassrls;
create role authenticator login noinherit;
grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to postgres with admin option;
alter role postgres set search_path = "$user", public, extensions;
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';

grant usage on schema public to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on tables to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on functions to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on sequences to postgres, anon, authenticated, service_role;

create schema extensions;
grant usage on schema extensions to postgres, anon, authenticated, service_role;
"""

FUNCTIONS = """
  select n.nspname as schema, p.proname as name, p.pronargs as arguments, p.oid
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
   where (n.nspname = 'wfg' or n.nspname = 'public' and p.proname like 'wfg\\_%')
     and p.prorettype <> 'trigger'::regtype
   order by n.nspname, p.proname
"""


def prepare(dsn: str) -> str:
    """Make a project of the server with this superuser's DSN; the DSN of its postgres, who is none."""
    helper = f"helper_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(dsn) as connection:
        connection.execute(f"create role {helper} superuser login")
    with psycopg.connect(make_conninfo(dsn, user=helper)) as connection:
        connection.execute(RENAME)
    with psycopg.connect(make_conninfo(dsn, user="supabase_admin")) as connection:
        connection.execute(f"drop role {helper}")
        connection.execute(PROJECT)
    return make_conninfo(dsn, user="postgres")


def push(dsn: str) -> None:
    """Run the exported files as the Supabase CLI does: in the order of their names, each in a transaction."""
    for path in sorted(supabase.committed().glob("*.sql")):
        with psycopg.connect(dsn) as connection:
            connection.execute(path.read_bytes())


def login(dsn: str, role: str) -> Engine:
    """A session of one who logged in: with an API role by PostgREST's login, with ours as a member of it."""
    if role in API_ROLES:
        engine = Engine(make_conninfo(dsn, user="authenticator"))
        engine.query(f"set role {role}")
        return engine
    with psycopg.connect(dsn) as connection:  # postgres, who made the role
        connection.execute(f"create role {role}_login login in role {role}")
    return Engine(make_conninfo(dsn, user=f"{role}_login"))


def is_refused(session: Engine, statement: str) -> bool:
    """Whether a statement is refused for want of a right, and for nothing else."""
    try:
        with session.connection.transaction(force_rollback=True):
            session.connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return True
    except psycopg.Error:
        return False
    return False


def matrix(dsn: str) -> dict[str, dict[str, bool]]:
    """Function -> role -> whether it may call it, tried."""
    owner = Engine(dsn)
    functions = owner.query(FUNCTIONS)
    owner.close()
    rows: dict[str, dict[str, bool]] = {f"{f['schema']}.{f['name']}": {} for f in functions}
    for role in ROLES:
        session = login(dsn, role)
        for function in functions:
            name = f"{function['schema']}.{function['name']}"
            nulls = ", ".join(["null"] * function["arguments"])
            # The catalog, too: a strict function of nulls is not called at all, so nobody is asked.
            granted = session.query(
                "select has_function_privilege(%s::oid, 'execute') as may", function["oid"]
            )
            rows[name][role] = granted[0]["may"] and not is_refused(session, f"select {name}({nulls})")
        session.close()
    return rows


def table(rows: dict[str, dict[str, bool]]) -> str:
    """The rows of schema public, and of what else anybody may call."""
    shown = {name: may for name, may in rows.items() if name.startswith("public.") or any(may.values())}
    lines = [["function", *ROLES]] + [
        [name.removeprefix("public."), *(MARKS[may[role]] for role in ROLES)] for name, may in shown.items()
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(ROLES) + 1)]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


if __name__ == "__main__":
    from wfg import embedded

    with embedded.running(in_memory=True) as server:
        project = prepare(server.dsn)
        push(project)
        print(table(matrix(project)))
