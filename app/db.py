"""Connections to the engine's database, and call(): the only place where SQL is built."""

import asyncio
import select
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from .errors import EngineError, error_of
from .turns import Turns

Value = str | int | bool | None

# What answers with rows, in JSON an array of objects.
SETS = frozenset({"wfg_check"})

FUNCTIONS = b"""
  select coalesce(json_object_agg(p.proname, json_build_object(
           'names', a.names,
           'needed', a.names[:p.pronargs - p.pronargdefaults],
           'json', array(
             select a.names[t.position]
               from unnest(p.proargtypes) with ordinality as t (type, position)
              where t.type in ('json'::regtype, 'jsonb'::regtype)
           ),
           'volatile', p.provolatile = 'v'
         )), '{}')::text
    from pg_catalog.pg_proc p
   cross join lateral (select coalesce(p.proargnames[:p.pronargs], '{}') as names) a
   where p.pronamespace = 'public'::regnamespace and p.proname ^@ 'wfg_' and p.prokind = 'f'
"""

UNREADABLE = "the address of the database cannot be read; one looks like postgresql://USER:PASSWORD@HOST/NAME"

# Whether there is wfg.authorize; whoever asks may have no rights to that schema.
CHECKS = b"""
  select exists (
    select from pg_catalog.pg_proc p
      join pg_catalog.pg_namespace n on n.oid = p.pronamespace
     where n.nspname = 'wfg' and p.proname = 'authorize')::text
"""
NOT_THERE = ("42501", "42883", "3F000")  # what calling it says then: no rights, no function, no schema
NO_TOKENS = "The database is at a revision before tokens, or has no wfg; this server needs them."
TOO_OLD = "Run `wfg db upgrade`."

UNPREPARED = (psycopg.errors.InvalidSqlStatementName, psycopg.errors.DuplicatePreparedStatement)
STATUS_OF_CLASS = {"08": 503, "53": 503, "57": 503, "55": 503, "40": 503, "25": 503, "XX": 500, "58": 500}
# What Postgres cannot cast, or cannot hold: an argument is wrong, and doors call that 422.
CANNOT_CAST = ("22003", "22007", "22008", "22009", "22021", "22023", "22P02", "22P03", "22P05", "54001")
STATUS_OF_STATE = {
    "42501": 403,  # insufficient_privilege
    "42883": 404,  # undefined_function
    "3F000": 404,  # invalid_schema_name
    "23505": 409,  # unique_violation
    "23503": 409,  # foreign_key_violation
}
# What we say for Postgres' own words, which go into the details: clients compare the message.
SLUG_OF_STATUS = {
    400: "invalid_request",
    403: "permission_denied",
    404: "function_not_found",
    409: "conflict",
    500: "internal_error",
    503: "unavailable",
}

# A call that an upgrade overtook: what one of our functions names is not there any more, or is of another
# shape. Nothing was done, and the same call will succeed. From the top, such a state means what it says.
OVERTAKEN = {
    "0A000",  # feature_not_supported: a cached plan must not change its result type
    "42703",  # undefined_column
    "42704",  # undefined_object, such as a type
    "42804",  # datatype_mismatch, of rows
    "42883",  # undefined_function
    "42P01",  # undefined_table
}
VANISHED = ("cache lookup failed", "could not open relation", "tuple concurrently")  # XX000
UPGRADED = "The database was upgraded meanwhile: ask again. If it goes on, say `wfg db check`."


@dataclass(frozen=True)
class Credential:
    """Who a call is made for: the holder of a token, by its SHA-256; nobody known, when that is None.

    vouched: the door knows the caller by other means.
    """

    sha256: bytes | None
    vouched: bool = False


@dataclass(frozen=True)
class Use:
    """How many connections there are now, and calls that wait for one."""

    limit: int
    busy: int
    idle: int
    waiting: int


async def connect(dsn: str) -> psycopg.AsyncConnection:
    """A connection in autocommit: one call, one transaction. A vanished peer is noticed in half a minute.

    Statements are prepared, which saves a sixth of the server's time for a claim and its completion, unless a
    pooler stands between: it hands them to another backend each time, and its own process id is not theirs.
    """
    check_address(dsn)
    connection = await psycopg.AsyncConnection.connect(
        dsn,
        autocommit=True,
        prepare_threshold=None,
        application_name="wfg",
        connect_timeout=10,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=4,
    )
    try:
        cursor = await connection.execute("select pg_backend_pid()")
        if await cursor.fetchone() == (connection.info.backend_pid,):
            connection.prepare_threshold = 0
    except BaseException:
        await connection.close()
        raise
    return connection


def check_address(dsn: str) -> None:
    """psycopg.ProgrammingError if libpq cannot read it: what that says itself may quote the password."""
    try:
        conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        raise psycopg.ProgrammingError(UNREADABLE) from None


class Session:
    """A connection, and what each call needs of it: to make that anew would be a tenth of the call."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self.connection = connection
        self.cursor = connection.cursor()
        self._poll = select.poll()
        self._poll.register(connection.fileno(), select.POLLIN)

    def was_ended(self) -> bool:
        """Whether something came while it was idle: the server's last words, or the end of the connection."""
        return bool(self._poll.poll(0))


class Database:
    """Up to max_connections connections, opened when needed, kept while they work.

    No pool stands behind it that reconnects by a schedule of its own: a call on a dead server fails at once,
    with the reason. A connection that broke, or was ended while idle, takes the idle ones with it.
    """

    def __init__(self, dsn: str, *, max_connections: int = 4, call_timeout_secs: float = 30.0) -> None:
        self.dsn = dsn
        self._limit = max_connections
        self._turns = Turns(max_connections)
        self._idle: list[Session] = []
        self._busy = 0
        self._calls = 0
        self._call_timeout_secs = call_timeout_secs
        self._closed = False
        self._prepares = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def call(
        self,
        function: str,
        credential: Credential | None = None,
        holder: Hashable = None,
        /,
        **params: Value,
    ) -> str:
        """Call public.<function> with named arguments; its answer's text, untouched. JSON travels as text.

        credential: for whom; the engine refuses what this does not allow. None: for ourselves.
        holder: whose turn at the connections it takes, see turns.py. None: our own.
        EngineError when it is refused or cannot be made; Unavailable when it may succeed later.
        """
        query = query_of(function, tuple(params), checked=credential is not None)
        values = [value if value is None else text_of(value) for value in params.values()]
        if credential is None:
            return await self._ask(query, values, holder)
        try:
            return await self._ask(query, [credential.sha256, credential.vouched, *values], holder)
        except EngineError as error:
            if error.code in NOT_THERE and await self._ask(CHECKS, []) == "false":
                raise error_of(503, "database_too_old", NO_TOKENS, TOO_OLD) from error
            raise

    def use(self) -> Use:
        return Use(self._limit, self._busy, len(self._idle), self._calls - self._busy)

    async def functions(self) -> str:
        """What the catalog says of public.wfg_*, as a JSON object by name."""
        return await self._ask(FUNCTIONS, [])

    async def _ask(
        self, query: bytes, values: Sequence[str | bool | bytes | None], holder: Hashable = None
    ) -> str:
        self._calls += 1
        try:
            async with asyncio.timeout(self._call_timeout_secs):
                await self._turns.take(holder)
                self._busy += 1
                try:
                    return await self._answer(query, values)
                except UNPREPARED:  # a pooler that passes for Postgres; nothing was executed
                    return await self._answer(query, values)
                finally:
                    self._busy -= 1
                    self._turns.give_back(holder)
        except TimeoutError:
            raise error_of(503, "timeout", f"no answer in {self._call_timeout_secs:g} s") from None
        except psycopg.Error as error:
            raise engine_error(error) from error
        except UnicodeEncodeError as error:
            raise error_of(422, "invalid_request", f"a text is not Unicode: {error}") from None
        finally:
            self._calls -= 1

    async def _answer(self, query: bytes, params: Sequence[Value | bytes]) -> str:
        if self._idle and self._idle[-1].was_ended():
            await self._close_idle()
        session = self._idle.pop() if self._idle else Session(await connect(self.dsn))
        connection, cursor = session.connection, session.cursor
        if not self._prepares:
            connection.prepare_threshold = None
        try:
            await cursor.execute(query, params)
            row = await cursor.fetchone()
        except UNPREPARED:
            self._prepares = False
            raise
        finally:
            if connection.pgconn.transaction_status == TransactionStatus.IDLE and not self._closed:
                self._idle.append(session)
            else:
                await connection.close()
                await self._close_idle()
        return "null" if row is None or row[0] is None else str(row[0])

    async def close(self) -> None:
        """Close what is idle now, and the rest as it returns."""
        self._closed = True
        await self._close_idle()

    async def _close_idle(self) -> None:
        while self._idle:
            await self._idle.pop().connection.close()


@lru_cache(maxsize=1000)
def query_of(function: str, names: tuple[str, ...], *, checked: bool) -> bytes:
    """checked: after the check of a credential, which refuses by an error, so that nothing follows."""
    call = sql.SQL("public.{}({})").format(
        sql.Identifier(function),
        sql.SQL(", ").join(sql.SQL("{} => %s").format(sql.Identifier(name)) for name in names),
    )
    if function in SETS:
        call = sql.SQL("(select coalesce(json_agg(r), '[]') from {} r)").format(call)
    query = sql.SQL("select {}::text").format(call)
    if checked:
        check = sql.SQL("with t as materialized (select wfg.authorize(%s, {}, %s))").format(
            sql.Literal(function)
        )
        query = check + sql.SQL(" ") + query + sql.SQL(" from t")
    return query.as_bytes()


def text_of(value: str | int | bool) -> str:
    """Postgres casts it to what the function wants, or says that it cannot: no number is too large."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def engine_error(error: psycopg.Error) -> EngineError:
    """A psycopg error as the engine's four fields, by PostgREST's table of statuses."""
    state = error.sqlstate or ""
    diag = error.diag
    message = diag.message_primary or str(error).strip() or type(error).__name__
    if state.startswith("PT"):
        return error_of(int(state[2:]), message, diag.message_detail, diag.message_hint, code=state)
    details = f"{message}: {diag.message_detail}" if diag.message_detail else message
    if state in CANNOT_CAST or (not state and isinstance(error, psycopg.DataError)):  # such as NUL in a text
        return error_of(422, "invalid_request", message, diag.message_hint)
    if not state and not isinstance(error, psycopg.ProgrammingError):
        # Nobody refused: the connection failed. Of a result that says so psycopg makes a DatabaseError.
        return error_of(503, SLUG_OF_STATUS[503], details)
    if was_overtaken(error):
        return error_of(503, SLUG_OF_STATUS[503], details, UPGRADED, code=state)
    status = STATUS_OF_STATE.get(state) or STATUS_OF_CLASS.get(state[:2], 400)
    return error_of(status, SLUG_OF_STATUS[status], details, diag.message_hint, code=state or None)


def was_overtaken(error: psycopg.Error) -> bool:
    """Whether an upgrade came between: see OVERTAKEN. In the midst of a function there is a context."""
    if error.sqlstate == "XX000":
        return (error.diag.message_primary or "").startswith(VANISHED)
    return error.sqlstate in OVERTAKEN and bool(error.diag.context)
