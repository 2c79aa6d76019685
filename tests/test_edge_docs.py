"""supabase/functions/README.md: what it says can be done is done."""

import json
import re
import subprocess
import tomllib
from hashlib import sha256

import psycopg
from wfg.revisions import SQL

from tests.deno import FUNCTIONS, deno, environment
from tests.edge import SERVICE_KEY, functions, needs_deno
from tests.engine import Engine
from tests.postgres import run
from tests.serving import serving
from tests.test_tokens import make_token

README = (FUNCTIONS / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PROJECT = "https://PROJECT.supabase.co"


def blocks(kind: str) -> list[str]:
    return [text for name, text in BLOCKS if name == kind]


def source() -> str:
    return "\n".join(path.read_text() for path in sorted(FUNCTIONS.rglob("*.ts")))


def test_every_variable_is_in_the_table():
    read = set(re.findall(r'(?:[sS]etting|needed)\(\s*"(\w+)"', source()))
    ours = {name for name in read if not name.startswith(("SUPABASE_", "SB_"))}
    assert ours == set(re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE))


def test_every_route_is_in_the_table():
    routes = (FUNCTIONS / "workflow-api" / "routes.ts").read_text()
    paths = set(re.findall(r'"(/[^"]+)"', routes))
    written = {re.sub(r"\{(\w+)\}", r":\1", path) for path in re.findall(r"(/[a-z][\w/{}-]*)`", README)}
    assert paths <= written


def test_every_function_is_deployed_and_locked():
    folders = {path.parent.name for path in FUNCTIONS.glob("*/index.ts")}
    assert folders == set(re.findall(r"^\| `([a-z-]+)` \| [^|]+ \|$", README, re.MULTILINE))
    deployed = re.search(r"supabase functions deploy ([a-z -]+?) --", README)
    assert deployed
    assert set(deployed[1].split()) <= folders
    config = tomllib.loads((FUNCTIONS.parent / "config.toml").read_text())
    assert config["functions"] == {name: {"verify_jwt": False} for name in folders}
    for name in folders:
        config = json.loads((FUNCTIONS / name / "deno.json").read_text())
        if not config["imports"]:
            continue
        lock = json.loads((FUNCTIONS / name / "deno.lock").read_text())
        assert lock["version"] == "4", "what Supabase's runtime reads"
        assert set(lock["specifiers"]) == set(config["imports"].values())
        assert all(re.search(r"@\d+\.\d+\.\d+$", each) for each in config["imports"].values())
        assert all("integrity" in package for package in lock["npm"].values())


def test_slugs_are_documented():
    """Of the doors, or here."""
    slugs = set(re.findall(r'new Refusal\(\s*\d+,\s*"(\w+)"', source()))
    elsewhere = (SQL / "README.md").read_text() + (SQL.parent / "docs" / "http.md").read_text()
    assert {slug for slug in slugs if f"`{slug}`" not in README + elsewhere} == set()


@needs_deno
def test_commands_and_programs(new_database, template, tmp_path):
    """Both calls by curl, the program in TypeScript, and the handler, which must be one."""
    engine = Engine(new_database(template))
    token = make_token(engine, "edge", "worker")
    engine.put("docs", jobs={"a": {"run": "true", "labels": ["linux"]}})
    engine.start("docs")
    curl, again, program = [*blocks("bash")[1:], blocks("ts")[0]]
    with (
        serving(engine.dsn, api_token=SERVICE_KEY) as server,
        functions(tmp_path / "edge", "workflow-api", "worker", url=server.base_url) as edge,
    ):
        here = str(edge.base_url)

        def shell(command: str) -> str:
            return run(["bash", "-c", command.replace(PROJECT, here)], WFG_TOKEN=token)

        claim = json.loads(shell(curl))
        assert claim["job"]["job_id"] == "a"
        engine.call("wfg_release_job", p_lease_id=claim["lease"]["lease_id"])

        (tmp_path / "program.ts").write_text(program)
        done = subprocess.run(
            [
                *(deno(), "run", "--quiet", "--cached-only", "--check", "--allow-net", "--allow-env"),
                *(f"--config={FUNCTIONS / 'workflow-api' / 'deno.json'}", "program.ts"),
            ],
            env={**environment(), "PROJECT_URL": here, "PROJECT_KEY": "sb_publishable_x", "WFG_TOKEN": token},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.stdout == 'a { job: "success", run: "success" }\n', done.stderr

        summary = shell(again)
        assert list(json.loads(summary)) == list(json.loads(blocks("json")[0]))

    handler = blocks("ts")[1].replace("./job.ts", (FUNCTIONS / "worker" / "job.ts").as_uri())
    (tmp_path / "handlers.ts").write_text(handler)
    subprocess.run([deno(), "check", "--quiet", "handlers.ts"], env=environment(), cwd=tmp_path, check=True)
    engine.close()


# As they are on Supabase: pg_cron, pg_net, the vault.
STAND_INS = """
  create schema cron;
  create table cron.job (jobname text, schedule text, command text);
  create function cron.schedule(job_name text, schedule text, command text) returns bigint
    language sql as 'insert into cron.job values ($1, $2, $3) returning 1';
  create schema vault;
  create table vault.decrypted_secrets (name text, decrypted_secret text);
  create function vault.create_secret(new_secret text, new_name text) returns void
    language sql as 'insert into vault.decrypted_secrets values ($2, $1)';
  create schema net;
  create table net.request (url text, body jsonb, params jsonb, headers jsonb, timeout integer);
  create function net.http_post(
    url text, body jsonb default '{}', params jsonb default '{}',
    headers jsonb default '{"Content-Type": "application/json"}', timeout_milliseconds integer default 5000
  ) returns bigint language sql as 'insert into net.request values ($1, $2, $3, $4, $5) returning 1';
"""


def test_the_schedule(database):
    """What the job of pg_cron would send, by stand-ins with the signatures of the real ones."""
    with psycopg.connect(database) as connection:
        connection.execute(STAND_INS.encode())
        connection.execute(blocks("sql")[1].encode())
        (scheduled,) = connection.execute("select jobname, schedule, command from cron.job").fetchall()
        assert scheduled[:2] == ("wfg_edge_worker", "10 seconds")
        connection.execute(scheduled[2].encode())
        (request,) = connection.execute("select url, headers from net.request").fetchall()
    assert request == (f"{PROJECT}/functions/v1/worker?background=true", {"Authorization": "Bearer TOKEN"})


def test_a_token_by_sql_alone(database):
    with psycopg.connect(database) as connection:
        token, made = connection.execute(blocks("sql")[0].encode()).fetchall()[0]
        (digest,) = connection.execute("select sha256 from wfg.tokens").fetchall()[0]
    assert re.fullmatch("wfg_[0-9a-f]{64}", token)
    assert (made["name"], made["scope"]) == ("edge", "worker")
    assert digest == sha256(token.encode()).digest()
