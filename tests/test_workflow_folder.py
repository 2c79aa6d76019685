"""The folder of workflow files: what is loaded, what is reported, and what a change does."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from wfg import workflow_folder
from wfg.db import Database
from wfg.workflow_folder import WorkflowFolder

from tests.engine import Engine
from tests.workers import until

GOOD = "name: x\njobs: {a: {run: 'true'}}\n"


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "wfg")
    return caplog


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow_folder, "LOOK_SECS", 0.02)


def load(folder: Path, dsn: str, *, lenient: bool = False) -> None:
    async def body() -> None:
        async with Database(dsn) as database:
            await WorkflowFolder(folder, database, lenient=lenient).load()

    asyncio.run(body())


@asynccontextmanager
async def watched(folder: Path, dsn: str) -> AsyncIterator[None]:
    async with Database(dsn) as database:
        ours = WorkflowFolder(folder, database)
        await ours.load()
        watching = asyncio.create_task(ours.watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


def workflows(engine: Engine) -> list[str]:
    return sorted(each["id"] for each in engine.call("wfg_list_workflows"))


def command(engine: Engine, workflow_id: str = "ci") -> str:
    """The script of job a."""
    definition = engine.call("wfg_get_workflow", p_workflow_id=workflow_id)["definition"]
    return definition["jobs"]["a"]["run"]


def replace(path: Path, text: str) -> None:
    """As editors do it."""
    (path.parent / "new").write_text(text)
    (path.parent / "new").rename(path)


# --- what is loaded ---


def test_a_file_is_a_workflow_of_its_name(engine, database: str, tmp_path: Path):
    (tmp_path / "ci.yml").write_text(GOOD)
    (tmp_path / "ci.prod.yaml").write_text(GOOD)
    (tmp_path / "deploy.json").write_text('{"name": "x", "jobs": {"a": {"run": "true"}}}')
    load(tmp_path, database)
    assert workflows(engine) == ["ci", "ci.prod", "deploy"]


def test_what_is_no_workflow_file_is_left_alone(engine, database: str, tmp_path: Path, log):
    (tmp_path / "ci.yml").write_text(GOOD)
    (tmp_path / "below.yml").mkdir()
    (tmp_path / "below.yml" / "other.yml").write_text(GOOD)
    (tmp_path / ".#ci.yml").symlink_to("nowhere")  # an editor's lock
    for name in (".hidden.yml", "upper.YML", "README.md", "yml"):
        (tmp_path / name).write_text("{")
    load(tmp_path, database)
    assert workflows(engine) == ["ci"]
    assert [record.levelname for record in log.records] == ["INFO"]


def test_a_link_to_a_file_is_that_file(engine, database: str, tmp_path: Path):
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "x").write_text(GOOD)
    (tmp_path / "ci.yml").symlink_to("hidden/x")
    load(tmp_path, database)
    assert workflows(engine) == ["ci"]


def test_of_two_files_of_one_name_the_first_counts(engine, database: str, tmp_path: Path, log):
    (tmp_path / "ci.yml").write_text(GOOD.replace("true", "second"))
    (tmp_path / "ci.yaml").write_text(GOOD.replace("true", "first"))
    load(tmp_path, database)
    assert command(engine) == "first"
    assert f"{tmp_path}/ci.yml: skipped, for {tmp_path}/ci.yaml is workflow ci already" in log.text


def test_bad_files_are_reported_by_line_and_the_others_loaded(engine, database: str, tmp_path: Path, log):
    (tmp_path / "a.yml").write_text("name: x\njobs: {a: {\n")
    (tmp_path / "b.yml").write_text("name: x\njobs:\n  a:\n    run: x\n    needs: [c]\n")
    (tmp_path / "c.yml").write_text(GOOD)
    (tmp_path / "d.json").write_bytes(b"\xff")
    load(tmp_path, database)
    assert workflows(engine) == ["c"]
    errors = [record.getMessage() for record in log.records if record.levelno == logging.ERROR]
    assert [error.removeprefix(f"{tmp_path}/").split(": ")[0] for error in errors] == [
        "a.yml:3:1",
        "b.yml:5",
        "d.json:1:1",
    ]


def test_a_name_that_is_no_id_is_reported(engine, database: str, tmp_path: Path, log):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.yml")).write_text(GOOD)
    (tmp_path / "ci.yml").write_text(GOOD)
    load(tmp_path, database)
    assert workflows(engine) == ["ci"]
    assert "not Unicode" in log.text


def test_lenient_makes_unknown_keys_warnings(engine, database: str, tmp_path: Path, log):
    (tmp_path / "ci.yml").write_text(GOOD + "concurrent: 1\n")
    load(tmp_path, database, lenient=True)
    assert workflows(engine) == ["ci"]
    assert f"warning: {tmp_path}/ci.yml:3: concurrent" in log.text


# --- the sample ---


@pytest.mark.parametrize("content", [None, "{"], ids=["no folder", "a bad file"])
def test_nothing_at_all_makes_the_sample(engine, database: str, tmp_path: Path, content: str | None):
    if content:
        (tmp_path / "ci.yml").write_text(content)
    load(tmp_path if content else tmp_path / "none", database)
    assert workflows(engine) == ["ci-1"]


def test_what_is_stored_already_needs_no_sample(engine, database: str, tmp_path: Path):
    engine.put("mine", jobs={"a": {"run": "true"}})
    load(tmp_path, database)
    assert workflows(engine) == ["mine"]


# --- changes ---


def test_a_changed_file_is_the_next_version(engine, database: str, tmp_path: Path):
    (tmp_path / "ci.yml").write_text(GOOD)

    async def body() -> None:
        async with watched(tmp_path, database):
            replace(tmp_path / "ci.yml", GOOD.replace("true", "next"))
            (tmp_path / "new.yml").write_text(GOOD)
            await until(lambda: command(engine) == "next" and workflows(engine) == ["ci", "new"])

    asyncio.run(body())


def test_a_bad_change_is_reported_once_and_keeps_the_version(engine, database: str, tmp_path: Path, log):
    (tmp_path / "ci.yml").write_text(GOOD)

    async def body() -> None:
        async with watched(tmp_path, database):
            replace(tmp_path / "ci.yml", "jobs: [\n")
            await until(lambda: "ci.yml:2" in log.text)
            (tmp_path / "new.yml").write_text(GOOD)
            await until(lambda: workflows(engine) == ["ci", "new"])
            assert command(engine) == "true"
            assert log.text.count("ERROR") == 1
            replace(tmp_path / "ci.yml", GOOD.replace("true", "next"))
            await until(lambda: command(engine) == "next")

    asyncio.run(body())


def test_a_file_that_is_being_written_is_not_taken(engine, database: str, tmp_path: Path, log):
    (tmp_path / "ci.yml").write_text(GOOD)

    async def body() -> None:
        async with watched(tmp_path, database):
            with (tmp_path / "ci.yml").open("w") as file:
                file.write("name: x\njobs: {a: {\n")
                for _ in range(20):
                    file.write("#\n")
                    file.flush()
                    await asyncio.sleep(0.01)
                file.write("run: 'next'}}\n")
            await until(lambda: command(engine) == "next")

    asyncio.run(body())
    assert "ERROR" not in log.text


def test_a_deleted_file_leaves_its_workflow(engine, database: str, tmp_path: Path, log):
    (tmp_path / "ci.yml").write_text(GOOD)

    async def body() -> None:
        async with watched(tmp_path, database):
            (tmp_path / "ci.yml").unlink()
            await until(lambda: "its workflow stays: DELETE /api/workflows/ci" in log.text)
            (tmp_path / "ci.yml").write_text(GOOD.replace("true", "next"))
            await until(lambda: command(engine) == "next")

    asyncio.run(body())


def test_the_second_of_two_follows_when_the_first_goes(engine, database: str, tmp_path: Path):
    (tmp_path / "ci.yaml").write_text(GOOD)
    (tmp_path / "ci.yml").write_text(GOOD.replace("true", "second"))

    async def body() -> None:
        async with watched(tmp_path, database):
            assert command(engine) == "true"
            (tmp_path / "ci.yaml").unlink()
            await until(lambda: command(engine) == "second")

    asyncio.run(body())


def test_a_database_that_is_away_gets_the_change_later(
    engine, database: str, server: str, tmp_path: Path, log
):
    (tmp_path / "ci.yml").write_text(GOOD)
    admin = Engine(server)
    name = sql.Identifier(str(conninfo_to_dict(database)["dbname"]))

    async def body() -> None:
        async with watched(tmp_path, database):
            admin.connection.execute(sql.SQL("alter database {} allow_connections false").format(name))
            engine.query(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and application_name = 'wfg'"
            )
            replace(tmp_path / "ci.yml", GOOD.replace("true", "next"))
            await until(lambda: "trying again" in log.text)
            admin.connection.execute(sql.SQL("alter database {} allow_connections true").format(name))
            await until(lambda: command(engine) == "next")
            await until(lambda: "it works again" in log.text)

    asyncio.run(body())
    admin.close()


def test_several_servers_on_one_folder_store_it_once(engine, database: str, tmp_path: Path):
    for name in "abc":
        (tmp_path / f"{name}.yml").write_text(GOOD)

    async def body() -> None:
        async with Database(database) as first, Database(database) as second:
            folders = [WorkflowFolder(tmp_path, each) for each in (first, second, first)]
            await asyncio.gather(*(folder.load() for folder in folders))

    asyncio.run(body())
    versions = [engine.call("wfg_get_workflow", p_workflow_id=name)["version"] for name in "abc"]
    assert versions == [1, 1, 1]
