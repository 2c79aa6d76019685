"""Server (embedded, or $WFG_TEST_DSN) -> template database -> clones: per test, or for one after the other.

The process that the user started owns server and template; the workers of xdist get the DSN from it.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext

import hypothesis
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pytest_postgresql.janitor import DatabaseJanitor
from wfg import embedded
from wfg.revisions import SQL, sql_files

from tests.engine import Engine
from tests.reused import Reused

hypothesis.settings.register_profile("default", deadline=None, max_examples=30)
hypothesis.settings.register_profile("nightly", deadline=None, max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

server_key = pytest.StashKey[embedded.Server]()
janitor_key = pytest.StashKey[DatabaseJanitor]()
dsn_key = pytest.StashKey[str]()
template_key = pytest.StashKey[str]()


def load_sql(dsn: str) -> None:
    """Load sql/ into an empty database, all of it or nothing."""
    with psycopg.connect(dsn) as connection:
        for path in sql_files():
            try:
                connection.execute(path.read_bytes())
            except psycopg.Error as error:
                error.add_note(f"while loading sql/{path.relative_to(SQL)}")
                raise


def janitor_of(dsn: str, dbname: str) -> DatabaseJanitor:
    """pytest-postgresql's maker and dropper of a template database."""
    options = conninfo_to_dict(dsn)
    return DatabaseJanitor(
        host=str(options.get("host") or "localhost"),
        port=str(options.get("port") or 5432),
        user=str(options.get("user") or "postgres"),
        password=str(options["password"]) if options.get("password") else None,
        maintenance_dbname=str(options.get("dbname") or "postgres"),
        dbname=dbname,
        as_template=True,
    )


# --- the session: server and template ---


def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    if hasattr(config, "workerinput"):
        config.stash[dsn_key] = config.workerinput["wfg_dsn"]
        config.stash[template_key] = config.workerinput["wfg_template"]
        return
    if config.option.collectonly:
        return

    dsn = os.environ.get("WFG_TEST_DSN")
    if not dsn:
        config.stash[server_key] = embedded.start(in_memory=True)
        dsn = config.stash[server_key].dsn

    template = f"wfg_template_{uuid.uuid4().hex[:8]}"
    janitor = janitor_of(dsn, template)
    janitor.init()
    config.stash[janitor_key] = janitor
    config.stash[dsn_key] = dsn
    config.stash[template_key] = make_conninfo(dsn, dbname=template)
    try:
        load_sql(config.stash[template_key])
    except psycopg.Error as error:
        pytest.exit("\n".join([f"sql/ does not load: {error}", *error.__notes__]), returncode=3)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    node.workerinput["wfg_dsn"] = node.config.stash[dsn_key]
    node.workerinput["wfg_template"] = node.config.stash[template_key]


def pytest_unconfigure(config: pytest.Config) -> None:
    if janitor_key in config.stash:
        config.stash[janitor_key].drop()
    if server_key in config.stash:
        config.stash[server_key].stop()


# --- what tests use ---


@pytest.fixture(scope="session")
def template(pytestconfig: pytest.Config) -> str:
    """The DSN of the template database: sql/ loaded, nothing else. Nobody may stay connected to it."""
    return pytestconfig.stash[template_key]


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> str:
    """The superuser's DSN of the server: $WFG_TEST_DSN, or the embedded one's."""
    return pytestconfig.stash[dsn_key]


class Databases:
    """Makes and drops this process's databases, over one connection.

    Dropping is put off until the next is made: a backend needs a moment to leave, and DROP DATABASE looks
    again only after 100 ms.
    """

    def __init__(self, server: str) -> None:
        self.server = server
        self.connection = psycopg.connect(server, autocommit=True)
        self.discarded: list[str] = []
        fsync = self.connection.execute("show fsync").fetchone()
        # Twice as quick, but for the checkpoints that it asks for.
        self.strategy = sql.SQL("file_copy" if fsync == ("off",) else "wal_log")

    def make(self, template: str = "template0") -> str:
        """The DSN of a new database: a clone of the template with that DSN or name, by default empty."""
        self.drop_discarded()
        name = f"wfg_{uuid.uuid4().hex[:12]}"
        source = str(conninfo_to_dict(template)["dbname"]) if "=" in template else template
        query = sql.SQL("create database {} template {} strategy {}")
        self.connection.execute(query.format(sql.Identifier(name), sql.Identifier(source), self.strategy))
        return make_conninfo(self.server, dbname=name)

    def discard(self, dsn: str) -> None:
        """Drop a database some time later."""
        self.discarded.append(str(conninfo_to_dict(dsn)["dbname"]))

    def drop_discarded(self) -> None:
        for name in self.discarded:
            query = sql.SQL("drop database if exists {} with (force)")
            self.connection.execute(query.format(sql.Identifier(name)))
        self.discarded.clear()

    def close(self) -> None:
        self.drop_discarded()
        self.connection.close()


@pytest.fixture(scope="session")
def databases(server: str) -> Iterator[Databases]:
    databases = Databases(server)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def new_database(databases: Databases) -> Iterator[Callable[..., str]]:
    """new_database() makes an empty one, new_database(template) a clone; dropped with the session."""
    made: list[str] = []

    def make(template: str = "template0") -> str:
        made.append(databases.make(template))
        return made[-1]

    yield make

    for dsn in made:
        databases.discard(dsn)


@pytest.fixture
def database(databases: Databases, template: str) -> Iterator[str]:
    """The DSN of this test's own database."""
    dsn = databases.make(template)
    yield dsn
    databases.discard(dsn)


@pytest.fixture
def connect(database: str) -> Iterator[Callable[[], Engine]]:
    """connect() is one more Engine on this test's database, with a connection of its own."""
    engines: list[Engine] = []

    def make() -> Engine:
        engines.append(Engine(database))
        return engines[-1]

    yield make

    for engine in engines:
        engine.close()


@pytest.fixture(scope="session")
def reused(databases: Databases, template: str) -> Iterator[Callable[[], Reused]]:
    """reused() is the database that one test after the other uses: a new one, once it is used up."""
    kept: list[Reused] = []

    def give() -> Reused:
        if not (kept and kept[0].fresh):
            discard()
            kept.append(Reused(databases.make(template)))
        return kept[0]

    def discard() -> None:
        while kept:
            last = kept.pop()
            last.close()
            databases.discard(last.dsn)

    yield give
    discard()


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """The engine. When the test ends, wfg_check must find nothing.

    On this test's own database, if it asks for that, or for `connect`; else on one that others had before,
    without a trace of them.
    """
    alone = {"database", "connect"} & set(request.fixturenames)
    shared = None if alone else request.getfixturevalue("reused")()
    engine = shared.engine if shared else request.getfixturevalue("connect")()
    try:
        yield engine

        if not request.node.get_closest_marker("broken_on_purpose"):
            with closing(Engine(engine.dsn)) if engine.connection.closed else nullcontext(engine) as checked:
                checked.connection.rollback()
                checked.check()
    finally:
        if shared:
            shared.tidy()


@pytest.fixture
def listener(connect: Callable[[], Engine]) -> Callable[[], list[tuple[str, str]]]:
    """listener() is what was announced since it was last called, as (channel, payload)."""
    ears = connect().connection
    ears.execute("listen wfg_wake")
    ears.execute("listen wfg_runs")

    def heard() -> list[tuple[str, str]]:
        # What was committed is delivered before the answer of the next statement.
        ears.execute("select 1")
        return [(notify.channel, notify.payload) for notify in ears.notifies(timeout=0)]

    return heard
