"""Two sessions, every order of their steps.

A step is what a session does between two barriers. `instrument` puts a barrier before every statement of
the engine (of any volatile plpgsql function of it) that touches a table or an advisory lock. It finds them
in the text of the functions: none is known here by name. At a barrier a session says by a notice where it is,
then waits for an advisory lock, until the Scheduler lets it pass. Commit is a step too. Who waits for a lock
of the other one is passed over until that has let go of it.

`explore` walks the tree of schedules depth first, each from the same state again. Two orders that differ only
in neighbours that cannot see each other (they touch different tables, or one reads what the other has not
committed) are one and the same: of those it takes one (dynamic partial order reduction with sleep sets:
Flanagan and Godefroid 2005). With a bound it takes the orders with at most so many preemptions (as CHESS
does; with reduction: Coons, Musuvathi and McKinley 2013).
"""

import queue
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import psycopg

from tests.engine import Engine

# --- what a statement touches ---

Tables = frozenset[str]
NOTHING: Tables = frozenset()
COMMIT = "commit"


@dataclass(frozen=True)
class Access:
    """The tables that a step reads, locks (writing is locking) and writes; whether it gives up locks."""

    reads: Tables = NOTHING
    locks: Tables = NOTHING
    writes: Tables = NOTHING
    undoes: bool = False

    def __or__(self, other: "Access") -> "Access":
        return Access(
            self.reads | other.reads,
            self.locks | other.locks,
            self.writes | other.writes,
            self.undoes or other.undoes,
        )

    def __bool__(self) -> bool:
        return bool(self.reads or self.locks or self.undoes)


NO_ACCESS = Access()

LEXEME = re.compile(
    r"""(?P<skip> \s+ | --[^\n]* | /\*.*?\*/)
      | (?P<text> '(?:[^']|'')*' | (?P<tag> \$\w*\$ ).*?(?P=tag))
      | (?P<word> \w+ (?: \. \w+ )* )
      | (?P<mark> :: | := | <> | . )""",
    re.VERBOSE | re.DOTALL,
)
WRITE = re.compile(r"\b(?:insert into|update|delete from|merge into) wfg\.(\w+)")
LOCK = re.compile(r"\bfor (?:update|no key update|share|key share)\b(?: of (\w+))?")
CHANGE = re.compile(r"\b(?:update|delete from|merge into) wfg\.(\w+)")
ASSIGNED = re.compile(r"(?<![\w.])(\w+) =(?! ?>)")
INSERT = re.compile(r"\binsert into wfg\.(\w+)")
ADVISORY = re.compile(r"\bpg_(?:try_)?advisory_xact_lock")
NAME = re.compile(r"\b(?:wfg\.|public\.(?=wfg_))(\w+)")


def lexemes(text: str) -> list[tuple[int, str, str]]:
    """Its words, marks and literals: where, kind, text in lower case."""
    found = []
    for match in LEXEME.finditer(text):
        kind = match.lastgroup if match.lastgroup != "tag" else "text"
        if match["text"] is not None:
            kind = "text"
        if kind != "skip":
            found.append((match.start(), str(kind), match[0].lower() if kind == "word" else match[0]))
    return found


def plain(text: str) -> str:
    """A statement in one line, without comments; its literals are empty."""
    return " ".join("''" if kind == "text" else value for _, kind, value in lexemes(text))


class Catalog:
    """Tables and functions of the engine, and what their statements touch."""

    def __init__(self, engine: Engine) -> None:
        self.tables = set(engine.tables())
        self.functions = engine.query(
            """
            select p.proname as name, l.lanname as language, p.provolatile as volatility, p.prosrc as body,
                   pg_get_functiondef(p.oid) as definition
              from pg_proc p
              join pg_language l on l.oid = p.prolang
             where p.prokind = 'f'
               and (p.pronamespace = 'wfg'::regnamespace
                    or p.pronamespace = 'public'::regnamespace and p.proname ~ '^wfg_')
             order by p.proname, p.oid
            """
        )
        # Who writes a row that refers to another locks that one; who deletes one may delete those that refer.
        self.referenced: dict[str, set[str]] = {}
        self.referring: dict[str, set[str]] = {}
        for row in engine.query(
            "select r.relname as referring, t.relname as referenced from pg_constraint c"
            " join pg_class r on r.oid = c.conrelid join pg_class t on t.oid = c.confrelid"
            " where c.contype = 'f'"
        ):
            self.referenced.setdefault(row["referring"], set()).add(row["referenced"])
            self.referring.setdefault(row["referenced"], set()).add(row["referring"])

        self.unique = {
            (row["relname"], row["attname"])
            for row in engine.query(
                "select t.relname, a.attname from pg_index i join pg_class t on t.oid = i.indrelid"
                " join pg_attribute a on a.attrelid = t.oid and a.attnum = any (i.indkey)"
                " where i.indisunique and t.relnamespace = 'wfg'::regnamespace"
            )
        }

        self.inside: dict[str, Access] = {}
        for function in self.functions:
            body = plain(function["body"])
            assert self.has_steps(function) or not (WRITE.search(body) or LOCK.search(body)), (
                f"{function['name']} locks or writes, and is not plpgsql and volatile: it needs barriers"
            )
        changed = True
        while changed:
            changed = False
            for function in self.functions:
                if not self.has_steps(function):
                    access = self.inside.get(function["name"], NO_ACCESS) | self.access(function["body"])
                    changed |= access != self.inside.get(function["name"], NO_ACCESS)
                    self.inside[function["name"]] = access

    @staticmethod
    def has_steps(function: Mapping[str, Any]) -> bool:
        """Only a volatile function sees, in its next statement, what others have committed meanwhile."""
        return function["language"] == "plpgsql" and function["volatility"] == "v"

    def locked(self, statement: str, lock: re.Match[str]) -> set[str]:
        """What `for update` locks: the table of its alias, or all in its parentheses."""
        depth, begin = 0, lock.start()
        while begin and depth <= 0:
            begin -= 1
            depth += (statement[begin] == "(") - (statement[begin] == ")")
        scope = statement[begin : lock.start()]
        tables = re.findall(r"\bwfg\.(\w+)(?: as)? (\w+)", scope)
        found = {table for table, alias in tables if lock[1] in (None, alias)} & self.tables
        assert found, f"what does it lock? {statement}"
        return found

    def access(self, text: str) -> Access:
        """What a piece of text touches: itself, and by the functions without steps that it calls."""
        statement = plain(text).replace(" . ", ".")
        names = set(NAME.findall(statement))
        reads = names & self.tables
        writes = set(WRITE.findall(statement)) & self.tables
        inserts = set(INSERT.findall(statement)) & self.tables
        changes = set(CHANGE.findall(statement)) & self.tables
        locks = changes | {
            table for lock in LOCK.finditer(statement) for table in self.locked(statement, lock)
        }
        if "delete from" in statement:
            further = {table for changed in changes for table in self.referring.get(changed, ())}
            locks |= further
            writes |= further
        # Nobody sees a new row before it is committed. But its key may be another's, or just being given up.
        keyed = inserts | {t for t in locks & writes if "delete from" in statement}
        keyed |= {t for t in changes for column in ASSIGNED.findall(statement) if (t, column) in self.unique}
        locks |= {f"key of {table}" for table in keyed}
        for inserted in inserts:
            locks |= self.referenced.get(inserted, set())
        if "on conflict" in statement and "do update" in statement:
            locks |= inserts
        if ADVISORY.search(statement):
            locks.add("advisory")

        access = Access(frozenset(reads), frozenset(locks), frozenset(writes))
        for name in names - self.tables:
            access |= self.inside.get(name, NO_ACCESS)
        return access


# --- barriers ---

STEPPING = """
    create schema stepping;
    create unlogged sequence stepping.steps_1;
    create unlogged sequence stepping.steps_2;

    -- A claim's lock_timeout is not meant for our gates.
    create function stepping.step(p_place text) returns boolean language plpgsql volatile
      set lock_timeout = 0
    as $$
    declare
      v_session constant text := current_setting('stepping.session', true);
      v_number  bigint;
    begin
      if coalesce(v_session, '') <> ''
         and p_place <> all (coalesce(current_setting('stepping.skip', true), '{}')::text[])
      then
        v_number := nextval('stepping.steps_' || v_session);
        raise notice 'step % %', v_number, p_place;
        perform pg_advisory_lock(%(gates)s + v_session::int, v_number::int);
        perform pg_advisory_unlock(%(gates)s + v_session::int, v_number::int);
      end if;

      return true;
    end;
    $$;

    create function stepping.tg_seen() returns trigger language plpgsql volatile as $$
    begin
      if stepping.step('seen:' || tg_table_name) then
      end if;

      return null;
    end;
    $$;
"""
GATES = 430_000_000


class Rewriter:
    """Puts a barrier before each statement of one function that touches something."""

    def __init__(self, catalog: Catalog, name: str, body: str) -> None:
        self.catalog = catalog
        self.name = name
        self.body = body
        self.words = lexemes(body)
        self.at = 0
        self.edits: list[tuple[int, int, str]] = []  # from, to, what stands there instead
        self.places: dict[str, Access] = {}
        self.undoes = any(
            value == "exception" and (number == 0 or self.words[number - 1][2] == ";")
            for number, (_, _, value) in enumerate(self.words)
        )

    def word(self) -> str:
        return self.words[self.at][2] if self.at < len(self.words) else ""

    def offset(self) -> int:
        return self.words[self.at][0] if self.at < len(self.words) else len(self.body)

    def until(self, *ends: str) -> str:
        """Go on to the next of these words outside parentheses and case expressions; the text passed over."""
        begin = self.offset()
        parens = cases = 0
        while self.at < len(self.words):
            value = self.word()
            if not parens and not cases and value in ends:
                break
            parens += (value in "([") - (value in ")]")
            if value == "case":
                cases += 1
            elif value == "end" and cases:
                cases -= 1
            self.at += 1
        assert self.at < len(self.words), f"{self.name}: no {ends} after {self.body[begin:][:80]!r}"
        return self.body[begin : self.offset()]

    def place(self, access: Access) -> str:
        line = self.body[: self.offset()].count("\n") + 1
        name = f"{self.name}:{line}"
        while name in self.places:
            name += "'"
        self.places[name] = access
        return name

    def call(self, access: Access) -> str:
        # Not `perform`: that sets FOUND.
        return f"if stepping.step('{self.place(access)}') then end if; "

    def insert(self, text: str) -> None:
        self.edits.append((self.offset(), self.offset(), text))

    def header(self, end: str) -> None:
        """Nothing can stand before it: it must touch nothing."""
        header = self.until(end)
        assert not self.catalog.access(header), f"{self.name}: teach the rewriter: {header}"
        self.at += 1

    def guarded(self, end: str, undoes: bool = False) -> None:
        """A barrier before what comes up to this word; go on behind it."""
        begin = self.at
        text = self.until(end)
        behind, self.at = self.at + 1, begin
        self.barrier(text, undoes)
        self.at = behind

    def barrier(self, text: str, undoes: bool = False) -> None:
        access = self.catalog.access(text) | Access(undoes=undoes)
        if "pg_notify" in self.body:  # who of two says it does not matter
            access = replace(access, locks=access.locks - {"advisory"})
        if access:
            self.insert(self.call(access))

    def rewrite(self) -> str:
        chains: list[int] = []  # of each open `if`, the `end if`s to add
        opened: list[str] = []
        while self.at < len(self.words):
            word = self.word()
            if word == "declare":
                self.at += 1
                self.declarations()
            elif word in ("begin", "loop"):
                opened.append(word)
                self.at += 1
            elif word in ("else", "exception"):
                self.at += 1
            elif word == "when":
                self.header("then")
            elif word == "if":
                self.guarded("then")
                chains.append(0)
                opened.append("if")
            elif word == "elsif":
                begin = self.at
                header = self.until("then")
                end, self.at = self.at, begin
                access = self.catalog.access(header)
                if access:
                    instead = f"else {self.call(access)} if"
                    self.edits.append((self.offset(), self.offset() + len("elsif"), instead))
                    chains[-1] += 1
                self.at = end + 1
            elif word == "case":
                self.guarded("then")
                opened.append("case")
            elif word == "while":
                self.header("loop")
                opened.append("loop")
            elif word in ("for", "foreach"):
                self.guarded("loop")
                opened.append("loop")
            elif word == "end":
                if opened.pop() == "if":
                    self.insert("end if; " * chains.pop())
                self.until_end()
            elif word == "<":
                self.until(">")
                self.at += 2
            else:
                self.guarded(";", undoes=self.undoes and word == "raise")
        assert not opened, f"{self.name}: {opened} is not closed"

        text, done = "", 0
        for start, end, instead in sorted(self.edits, key=lambda edit: edit[:2]):
            text += self.body[done:start] + instead
            done = end
        return text + self.body[done:]

    def until_end(self) -> None:
        while self.at < len(self.words) and self.word() != ";":
            self.at += 1
        self.at += 1

    def declarations(self) -> None:
        while self.word() != "begin":
            begin = self.at
            text = self.until(";")
            end, self.at = self.at, begin
            given = re.split(r":=|\bdefault\b", text, maxsplit=1)
            access = self.catalog.access(given[1]) if len(given) > 1 else NO_ACCESS
            if access:
                place = self.place(access)
                self.insert(f"step_{len(self.places)} constant boolean := stepping.step('{place}'); ")
            self.at = end + 1


def instrument(engine: Engine, seen: bool = False) -> dict[str, Access]:
    """Put the barriers in, in this database; what each step touches, by the name of its place.

    seen: also one in each writing statement, when its snapshot is taken and no row is touched yet.
    """
    catalog = Catalog(engine)
    engine.connection.execute(STEPPING.replace("%(gates)s", str(GATES)))
    places: dict[str, Access] = {}
    names: dict[str, int] = {}
    for function in catalog.functions:
        if not catalog.has_steps(function):
            continue
        names[function["name"]] = names.get(function["name"], 0) + 1
        number = names[function["name"]]
        name = function["name"] if number == 1 else f"{function['name']}#{number}"
        rewriter = Rewriter(catalog, name, function["body"])
        body = rewriter.rewrite()
        assert function["definition"].count(function["body"]) == 1, function["name"]
        engine.connection.execute(function["definition"].replace(function["body"], body))
        places |= rewriter.places

    if seen:
        for table in sorted(catalog.tables):
            engine.connection.execute(
                f"create trigger _000_seen before insert or update or delete on wfg.{table}"
                " for each statement execute function stepping.tg_seen()"
            )
    return places


# --- two sessions under one schedule ---


@dataclass(frozen=True)
class Step:
    """The next step of a session: where it stands, and what it will touch."""

    place: str
    access: Access


def dependent(one: Step, other: Step) -> bool:
    """Whether their order can matter: both lock the same, or one publishes what the other reads."""
    a, b = one.access, other.access
    if COMMIT == one.place == other.place:
        return False
    return bool(a.locks & b.locks or published(one) & b.reads or published(other) & a.reads)


def matters(mine: Access, theirs: Access) -> bool:
    """Whether any of it can depend on any of that, committed or not."""
    return mine.undoes or bool(
        mine.locks & theirs.locks or mine.reads & theirs.writes or mine.writes & (theirs.reads | theirs.locks)
    )


def published(step: Step) -> Tables:
    return step.access.writes if step.place == COMMIT else NOTHING


@dataclass
class Outcome:
    """What a call answered, or the error that it raised."""

    answer: Any = None
    error: psycopg.Error | None = None

    @property
    def refused(self) -> str | None:
        return self.error and f"{self.error.sqlstate} {self.error.diag.message_primary}"


Call = Callable[[Engine], Any]


@dataclass
class Op:
    """One call of one session: its name, what it calls, and what its clock says."""

    name: str
    call: Call
    now: datetime


class Session:
    """One of the two: a connection, and the thread that uses it."""

    def __init__(self, number: int, engine: Engine, places: Mapping[str, Access]) -> None:
        self.number = number
        self.engine = engine
        self.places = places
        self.events: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self.thread = ThreadPoolExecutor(1)
        self.gate = 0  # the barrier at which it stands, or will stand next
        self.now: datetime | None = None
        self.skipped: set[str] = set()
        engine.connection.add_notice_handler(self.hear)
        engine.query("set client_min_messages = 'notice'")
        engine.query("set deadlock_timeout = '20ms'")
        engine.query("select set_config('stepping.session', %s, false)", str(number))

    def close(self) -> None:
        self.engine.connection.cancel_safe(timeout=5)
        self.thread.shutdown(wait=True)
        self.engine.close()

    def hear(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        message = str(diagnostic.message_primary)
        if message.startswith("step "):
            self.events.put(("step", message.split(" ")[1:]))

    def skip(self, places: Iterable[str]) -> None:
        """Stop no more at these."""
        self.skipped = set(places)
        self.engine.query(
            "select set_config('stepping.skip', %s, false)", "{" + ",".join(sorted(places)) + "}"
        )

    def begin(self, op: Op) -> None:
        self.step: Step | None = None
        self.touched = self.touched_last = NO_ACCESS
        self.ahead: list[Step] = []  # known already, each to be told in its turn
        self.finished = False
        self.blocked = False
        self.outcome = Outcome()
        self.op = op
        self.thread.submit(self.run)

    def run(self) -> None:
        try:
            if self.op.now != self.now:
                self.engine.set_now(self.op.now)
                self.now = self.op.now
            self.engine.connection.execute("begin")
            try:
                self.outcome.answer = self.op.call(self.engine)
            except psycopg.Error as error:
                self.outcome.error = error
            self.events.put(("answered", None))
        except BaseException as error:
            self.events.put(("broken", error))

    def end(self) -> None:
        try:
            self.engine.connection.execute("rollback" if self.outcome.error else "commit")
            self.events.put(("ended", None))
        except BaseException as error:
            self.events.put(("broken", error))

    def take(self, event: tuple[str, Any]) -> None:
        """It came to its next barrier, to its end, or is over."""
        kind, value = event
        self.blocked = False
        match kind:
            case "broken":
                raise value
            case "ended":
                self.finished, self.step = True, None
            case "answered":
                touched = self.touched
                if self.outcome.error:
                    touched = Access(locks=touched.locks)
                self.step = Step(COMMIT, Access(locks=touched.locks, writes=touched.writes))
            case _:
                number, place = value
                assert int(number) == self.gate, f"at barrier {number}, not at {self.gate}"
                if place.startswith("seen:"):  # inside of the statement before whose barrier it last was
                    table = frozenset({place.removeprefix("seen:")})
                    access = self.touched_last | Access(table, table, table)
                else:
                    access = self.places[place]
                self.touched_last = access
                if access.undoes:
                    access |= Access(locks=self.touched.locks)
                self.touched |= access
                self.step = Step(place, access)


@dataclass
class Execution:
    """One order: its steps, and what came of it."""

    steps: list[tuple[int, Step]]
    outcomes: list[Outcome]
    new: bool  # false: the same as one that was there before, but for neighbours that cannot see each other

    def places(self) -> set[tuple[int, str]]:
        return {(number, step.place) for number, step in self.steps}

    def __str__(self) -> str:
        lines = [f"{'  ' * 20 * (number - 1)}{number} {step.place}" for number, step in self.steps]
        return "\n".join(lines)


class Stuck(AssertionError):
    """A session neither went on nor waits for the other one."""


class Scheduler:
    """Lets two sessions pass their barriers, one at a time."""

    def __init__(self, connect: Callable[[], Engine], places: Mapping[str, Access]) -> None:
        self.control = connect()
        self.sessions = {number: Session(number, connect(), places) for number in (1, 2)}
        for number in self.sessions:
            self.control.query(f"select setval('stepping.steps_{number}', 1, false)")
            self.sessions[number].gate = 1
            self.control.query("select pg_advisory_lock(%s, %s)", GATES + number, 1)

    def close(self) -> None:
        """Whoever stands at a barrier goes on, and is ended."""
        self.control.close()
        for session in self.sessions.values():
            session.close()

    def skip(self, executions: Sequence[Execution]) -> None:
        """Stop only where what the other one was seen to touch can matter; none seen: stop everywhere."""
        for session, needless in self.needless(executions):
            session.skip(needless)

    def skips_too_much(self, executions: Sequence[Execution]) -> bool:
        """Whether these tell that it should stop where it does not."""
        return any(session.skipped - needless for session, needless in self.needless(executions))

    def needless(self, executions: Sequence[Execution]) -> Iterator[tuple[Session, set[str]]]:
        seen = {
            number: {step for e in executions for n, step in e.steps if n == number and step.place != COMMIT}
            for number in self.sessions
        }
        for number, session in self.sessions.items():
            theirs = NO_ACCESS
            for step in seen[3 - number]:
                theirs |= step.access
            needful = {step.place for step in seen[number] if matters(step.access, theirs)}
            yield session, {step.place for step in seen[number]} - needful

    def begin(self, ops: Sequence[Op]) -> None:
        """Bring each to its first barrier: nothing is touched before."""
        for session, op in zip(self.sessions.values(), ops, strict=True):
            session.begin(op)
            self.wait(session)

    def enabled(self) -> dict[int, Step]:
        return {n: s.step for n, s in self.sessions.items() if s.step and not s.blocked}

    def go(self, number: int) -> None:
        """The next step of a session."""
        session = self.sessions[number]
        other = self.sessions[3 - number]
        assert session.step
        if session.ahead:
            session.step = session.ahead.pop(0)
            return
        undoes = session.step.access.undoes
        if session.step.place == COMMIT:
            session.thread.submit(session.end)
        elif other.finished:
            self.run_on(session)
            return
        else:
            gate, session.gate = session.gate, session.gate + 1
            self.control.query(
                "select pg_advisory_lock(%s, %s), pg_advisory_unlock(%s, %s)",
                GATES + number,
                session.gate,
                GATES + number,
                gate,
            )
        self.wait(session)
        # An error gives up all locks, before the rollback is sent.
        freed = undoes or session.finished or session.outcome.error or not other.events.empty()
        if other.blocked and freed:
            self.wait(other)

    def done(self, number: int, step: Step) -> Step:
        """What a step turned out to touch: one that raised an error gave up all locks."""
        session = self.sessions[number]
        if session.outcome.error and session.step and session.step.place == COMMIT:
            return replace(step, access=step.access | Access(locks=session.touched.locks))
        return step

    def run_on(self, session: Session) -> None:
        """All its steps up to commit: nobody is left to stop it for. They are told one by one, as ever."""
        self.control.query("select pg_advisory_unlock(%s, %s)", GATES + session.number, session.gate)
        while True:
            session.gate += 1
            session.take(session.events.get(timeout=20))
            assert session.step
            session.ahead.append(session.step)
            if session.step.place == COMMIT:
                break
        self.control.query("select pg_advisory_lock(%s, %s)", GATES + session.number, session.gate)
        session.step = session.ahead.pop(0)

    def wait(self, session: Session) -> None:
        """Until it stands at a barrier, is over, or waits for a lock of the other one."""
        other = self.sessions[3 - session.number]
        session.blocked = False
        for _ in range(10_000):
            try:
                session.take(session.events.get(timeout=0.002))
                return
            except queue.Empty:
                pids = self.blockers(session)
                # Both wait: the server finds the deadlock, and one of them goes on.
                if other.engine.pid in pids and not other.blocked:
                    session.blocked = True
                    return
        raise Stuck(f"session {session.number} neither goes on nor waits for the other, after {session.step}")

    def blockers(self, session: Session) -> list[int]:
        return self.control.query("select pg_blocking_pids(%s) as pids", session.engine.pid)[0]["pids"]


# --- all schedules ---


@dataclass
class Node:
    """A state on the way: who could go on, who did, who was tried, who must be."""

    enabled: dict[int, Step]
    chosen: int
    preempted: int  # on the way here
    sleep: dict[int, Step] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    todo: set[int] = field(default_factory=set)

    def step(self) -> Step:
        return self.enabled[self.chosen]


def explore(
    scheduler: Scheduler, prepare: Callable[[], None], ops: Sequence[Op], bound: int | None = None
) -> Iterator[Execution]:
    """Every order of the steps of two calls (or those with so many preemptions), each from a fresh state."""
    path: list[Node] = []
    while True:
        prepare()
        execution = play(scheduler, path, ops, bound)
        yield execution

        plan(path, bound)
        while path:
            node = path[-1]
            node.done.add(node.chosen)
            left = [
                number
                for number in sorted(node.todo - node.done)
                if number not in node.sleep
                and (bound is None or node.preempted + preempts(path, number) <= bound)
            ]
            if left:
                node.chosen = left[0]
                break
            path.pop()
        if not path:
            return


def preempts(path: Sequence[Node], number: int) -> int:
    """1 if this choice at the last node takes the turn from one who could go on."""
    turn = path[-2].chosen if len(path) > 1 else number
    return int(turn != number and turn in path[-1].enabled)


def play(scheduler: Scheduler, path: list[Node], ops: Sequence[Op], bound: int | None) -> Execution:
    """Follow the choices of the path, then go on by default: who has the turn keeps it."""
    scheduler.begin(ops)
    steps: list[tuple[int, Step]] = []
    sleep: dict[int, Step] = {}
    new, number, turn, preempted = True, 0, 0, 0
    while enabled := scheduler.enabled():
        if number < len(path):
            node = path[number]
            before, now = ({n: s.place for n, s in steps.items()} for steps in (node.enabled, enabled))
            assert before == now, f"the same choices led elsewhere: {before}, now {now}"
        else:
            awake = sorted(set(enabled) - set(sleep), key=lambda n: n != turn)
            new &= bool(awake)
            node = Node(enabled, awake[0] if awake else min(enabled), preempted, sleep)
            if new:
                path.append(node)
        chosen = node.chosen
        preempted += turn in enabled and turn != chosen
        scheduler.go(chosen)
        step = node.enabled[chosen] = scheduler.done(chosen, enabled[chosen])
        if bound is None:
            asleep = node.sleep | {n: enabled[n] for n in node.done if n != chosen}
            sleep = {n: other for n, other in asleep.items() if n != chosen and not dependent(other, step)}
        steps.append((chosen, step))
        number, turn = number + 1, chosen
    unfinished = [s.number for s in scheduler.sessions.values() if not s.finished]
    assert not unfinished, f"{unfinished} wait for each other"
    return Execution(steps, [s.outcome for s in scheduler.sessions.values()], new)


def serial(scheduler: Scheduler, ops: Sequence[Op], order: Sequence[int]) -> Execution:
    """One after the other."""
    scheduler.begin(ops)
    steps: list[tuple[int, Step]] = []
    for number in order:
        while number in (enabled := scheduler.enabled()):
            steps.append((number, enabled[number]))
            scheduler.go(number)
    return Execution(steps, [s.outcome for s in scheduler.sessions.values()], True)


def plan(path: Sequence[Node], bound: int | None) -> None:
    """Where two dependent steps of the two sessions met: the other one must have its turn there first."""
    seen = {1: -1, 2: -1}  # the last step of the other one that is known to come before
    for at, node in enumerate(path):
        mine, step = node.chosen, node.step()
        races = [
            i
            for i in range(at - 1, seen[mine], -1)
            if path[i].chosen != mine and dependent(path[i].step(), step)
        ]
        if not races:
            continue
        race = races[0]
        seen[mine] = race
        path[race].todo |= {mine} if mine in path[race].enabled else set(path[race].enabled)
        if bound is not None:  # and where a switch cost nothing: at the start of the other one's turn
            start = race
            while start and path[start - 1].chosen != mine:
                start -= 1
            path[start].todo |= {mine} & set(path[start].enabled)
