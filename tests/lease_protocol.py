"""The lease protocol as a model: what the functions of sql/ do to jobs, queue and run, in the steps in which
their transactions interleave under READ COMMITTED. tests/explorer.py walks all of it.

A session is a call under way: it has planned (read without a lock), waits for the locks in `todo` one by one,
holds those in `held`, and keeps its writes to itself until it commits. Row locks block; the pick of a claim
and its upkeep pass by what is locked. Time is one step: a lease expires, whenever it likes. Workers may
vanish, lose an answer and repeat the report (while the first one still runs: the orphan), or be refused;
their sessions may be killed. Workers are alike, so states that differ only in who is who are one state.

A lock and the look that follows it are one step: what is locked changes for nobody else, and the clock may
have moved before.

What is left out: lanes and marks (any ready job may be picked), wide joins and slots, delays, timeouts, held
jobs, logs, calls with more than one report.

Each rule that a mistake could break is a small method; the broken variants at the end override one each.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from tests.explorer import Step


class Job(NamedTuple):
    """A row of wfg.jobs; which of its leases were reported is kept there or in wfg.attempts."""

    state: str
    parents_left: int
    reported: tuple[int, ...] = ()


class Row(NamedTuple):
    """A row of wfg.queue. Nonce 0: nobody has it; the leases of a job are numbered from 1."""

    attempt: int = 0
    lost: int = 0
    nonce: int = 0
    expired: bool = False
    cancelled: bool = False


class Run(NamedTuple):
    state: str
    open_left: int


class Move(NamedTuple):
    """What is to become of a job (wfg.transition), planned without a lock. `seen`: for broken variants."""

    job: int
    nonce: int
    what: str
    attempt: int = 0
    lost: int = 0
    seen: Any = None


class Session(NamedTuple):
    call: str
    stage: str
    moves: tuple[Move, ...] = ()
    todo: tuple[int, ...] = ()
    held: tuple[int, ...] = ()
    writes: tuple[tuple[int, Any], ...] = ()
    ended: int = 0
    late: bool = False


class Hold(NamedTuple):
    """What a worker knows: its lease, and what it has reported without hearing an answer."""

    job: int
    nonce: int
    said: str = ""


class Worker(NamedTuple):
    hold: Hold | None = None
    session: Session | None = None


class State(NamedTuple):
    jobs: tuple[Job, ...]
    queue: tuple[Row | None, ...]
    run: Run
    workers: tuple[Worker, ...]
    orphan: Session | None  # the report of a worker that lost its connection
    reaper: Session | None
    canceller: Session | None
    # What may still happen: releases, and cancels of the run and of a job.
    releases: int
    cancels: int
    # For the invariants only: leases given out, completions accepted, and a rule that a step broke.
    leases: tuple[int, ...]
    completions: tuple[int, ...]
    broken: str | None = None


@dataclass(frozen=True)
class Config:
    """The graph, as the parents of each job (numbered topologically), and who takes part."""

    parents: tuple[tuple[int, ...], ...]
    workers: int = 2
    retries: int = 1
    lost_retries: int = 0
    releases: int = 0
    cancels: int = 0
    reaper: bool = True
    upkeep: bool = False
    renews: bool = False
    fails: bool = False
    orphans: bool = False
    crashes: bool = True


class Label(NamedTuple):
    """Who does what, to which jobs and leases: worker: complete a#1: locks job b."""

    who: str
    call: str
    about: tuple[tuple[int, int], ...]
    step: str

    def __str__(self) -> str:
        about = [f"{NAMES[job]}#{nonce}" if nonce else NAMES[job] for job, nonce in self.about]
        return f"{self.who}: {' '.join([self.call, *about])}: {self.step}"


NAMES = "abcdefgh"
WORKER, ORPHAN, REAPER, CANCELLER = "worker", "orphan", "reaper", "canceller"
REPORTS = ("complete", "fail", "release")

TWO_COMPLETIONS = "no two accepted completions"
LOST_JOB = "no lost job"
OPEN_PARENT = "no job ready with an open parent"
TERMINAL = "terminal states never change"
LIVE_LEASE = "a live lease is taken by nobody else"
OVER = "a lease that is over proves nothing"
COUNTED = "a run counts its open jobs, and ends with the last"
TOO_OFTEN = "no job runs more often than its retries allow"
KEPT = "an accepted completion is kept"
ENDED_IN_QUEUE = "what has ended is not in the queue"
DEADLOCK = "no deadlock"


class Protocol:
    """The engine as it is."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.n = n = len(config.parents)
        self.children = tuple(tuple(c for c in range(n) if j in config.parents[c]) for j in range(n))
        self.descendants = tuple(self._descendants(j) for j in range(n))
        # Locks are numbered in the order of taking them: jobs, queue rows, the run. Then the upkeep's.
        self.run_lock = 2 * n
        self.upkeep_lock = 2 * n + 1

    def _descendants(self, job: int) -> tuple[int, ...]:
        found: set[int] = set()
        for child in self.children[job]:
            found |= {child, *self._descendants(child)}
        return tuple(sorted(found))

    @property
    def initial(self) -> State:
        parents = self.config.parents
        zeros = (0,) * self.n
        return State(
            jobs=tuple(Job("queued", len(p)) for p in parents),
            queue=tuple(None if p else Row() for p in parents),
            run=Run("active", self.n),
            workers=(Worker(),) * self.config.workers,
            orphan=None,
            reaper=None,
            canceller=None,
            releases=self.config.releases,
            cancels=self.config.cancels,
            leases=zeros,
            completions=zeros,
        )

    # --- the rules that a mistake could break ---

    def may_lease(self, row: Row | None) -> bool:
        """Claim, under its lock: is the row still there, and nobody's?"""
        return row is not None and not row.nonce

    def may_report(self, row: Row | None, move: Move) -> bool:
        """Report, under its locks: wfg.confirm_reports."""
        return (
            row is not None
            and row.nonce == move.nonce
            and not row.expired
            and not (row.cancelled and move.what == "success")
        )

    def may_renew(self, row: Row | None, move: Move) -> bool:
        return row is not None and row.nonce == move.nonce and not row.expired

    def may_reap(self, row: Row | None, move: Move) -> bool:
        """Reap and upkeep, under their locks: wfg.reap_locked_leases."""
        return (
            row is not None
            and row.nonce == move.nonce
            and row.expired
            and row.cancelled == (move.what == "acknowledge")
        )

    def may_skip(self, job: Job) -> bool:
        return job.state == "queued"

    def parents_before(self, job: Job, move: Move, child: int) -> int:
        """What a child counts down from."""
        return job.parents_left

    def is_ready(self, parents_left: int) -> bool:
        return parents_left == 0

    def open_before(self, run: Run, session: Session) -> int:
        """What a run counts down from."""
        return run.open_left

    def in_order(self, locks: set[int]) -> tuple[int, ...]:
        return tuple(sorted(locks))

    def report_locks(self, move: Move) -> tuple[int, ...]:
        return self.in_order(self._job_locks((move,)) | {self.n + move.job})

    def locked_whole(self, wanted: set[int], got: set[int]) -> bool:
        """Upkeep leaves what it could not lock whole."""
        return wanted == got

    def charged(self, row: Row) -> tuple[int, int]:
        """Attempt and lost after a lost lease that is retried."""
        return row.attempt + 1, row.lost + (row.lost < self.config.lost_retries)

    def cancelled_row(self, row: Row | None) -> Row | None:
        """Cancel: a lease stays, marked; what nobody has goes."""
        return row._replace(cancelled=True) if row is not None and row.nonce else None

    def remember(self, state: State, job: int) -> Any:
        """What a report reads in its plan and uses later: nothing that can change."""
        return None

    # --- steps ---

    def steps(self, state: State) -> Iterator[Step]:
        config = self.config
        locks = self._locks(state)

        for place, worker in enumerate(state.workers):
            if place and worker == state.workers[place - 1]:
                continue  # workers are alike, and sorted
            if worker.session:
                yield from self._go_on(state, place, worker.session, locks)
                if config.crashes:
                    yield self._to(state, place, None, worker.session, "is killed", fair=False)
                if config.orphans and worker.session.call in REPORTS and not state.orphan:
                    lost = self._place(state, place, None)._replace(orphan=worker.session)
                    yield Step(self._label(place, worker.session, "loses the connection"), lost, False)
            elif worker.hold:
                yield from self._work(state, place, worker.hold)
            else:
                yield from self._claim(state, place, locks)

        if state.orphan:
            yield from self._go_on(state, ORPHAN, state.orphan, locks)
        if state.reaper:
            yield from self._go_on(state, REAPER, state.reaper, locks)
        elif config.reaper:
            moves = self._over(state)
            if moves:
                wanted = self._job_locks(moves) | {self.n + move.job for move in moves}
                session = Session("reap", "lock", moves, self.in_order(wanted))
                yield self._to(state, REAPER, session, session, "finds leases that are over")

        if state.canceller:
            yield from self._go_on(state, CANCELLER, state.canceller, locks)
        elif state.cancels:
            yield from self._cancel(state)

        for job, row in enumerate(state.queue):
            if row is not None and row.nonce and not row.expired:
                to = state._replace(queue=changed(state.queue, job, row._replace(expired=True)))
                yield Step(Label("time", "lease", ((job, row.nonce),), "expires"), to)

    def _work(self, state: State, place: int, hold: Hold) -> Iterator[Step]:
        """A worker with a lease, between two calls."""
        if hold.said:
            calls = [hold.said]
        else:
            calls = ["complete"]
            if self.config.fails:
                calls.append("fail")
            if state.releases:
                calls.append("release")

        for call in calls:
            spent = state._replace(releases=state.releases - (call == "release" and not hold.said))
            fair = call == "complete" or bool(hold.said)
            yield self._report(spent, place, hold._replace(said=call), fair)

        if self.config.renews and not hold.said:
            row = state.queue[hold.job]
            if row is not None and row.nonce == hold.nonce:
                move = Move(hold.job, hold.nonce, "renew")
                session = Session("renew", "lock", (move,), (self.n + hold.job,))
                yield self._to(state, place, session, session, "finds its lease")
            else:
                renew = Label(WORKER, "renew", ((hold.job, hold.nonce),), "is refused")
                yield Step(renew, self._know(state, place, None), False)

        if self.config.crashes:
            yield Step(self._label(place, hold, "crashes"), self._know(state, place, None), False)

    def _report(self, state: State, place: int, hold: Hold, fair: bool) -> Step:
        """The plan of a report: what it would do if its lease is live."""
        row = state.queue[hold.job]
        if row is None or row.nonce != hold.nonce:
            return Step(self._label(place, hold, "is refused"), self._refuse(state, place, hold), fair)

        what, attempt = {"complete": "success", "fail": "failure"}.get(hold.said, hold.said), row.attempt
        if hold.said == "fail" and row.attempt - row.lost < self.config.retries:
            what, attempt = "retry", row.attempt + 1
        move = Move(hold.job, hold.nonce, what, attempt, row.lost, self.remember(state, hold.job))
        session = Session(hold.said, "lock", (move,), self.report_locks(move))
        to = state._replace(workers=alike(state.workers, place, Worker(hold, session)))
        return Step(self._label(place, session, "plans"), to, fair)

    def _claim(self, state: State, place: int, locks: set[int]) -> Iterator[Step]:
        moves = self._over(state) if self.config.upkeep else ()
        if moves and self.upkeep_lock not in locks:
            session = Session("claim", "upkeep", moves, (), (self.upkeep_lock,))
            yield self._to(state, place, session, session, "finds leases that are over")
        yield from self._pick(state, place, Session("claim", "pick"))

    def _cancel(self, state: State) -> Iterator[Step]:
        spent = state._replace(cancels=state.cancels - 1)
        queued = [job for job, row in enumerate(state.jobs) if row.state == "queued"]
        if queued:
            session = Session("cancel run", "lock", (), self.in_order(set(queued)))
            yield self._to(spent, CANCELLER, session, session, "finds open jobs", fair=False)
        for job in queued:
            wanted = {job, *self.descendants[job], self.n + job}
            session = Session("cancel job", "lock", (Move(job, 0, "cancelled"),), self.in_order(wanted))
            yield self._to(spent, CANCELLER, session, session, "finds it open", fair=False)

    def _over(self, state: State) -> tuple[Move, ...]:
        """wfg.expired_leases: candidates, without a lock."""
        config, moves = self.config, []
        for job, row in enumerate(state.queue):
            if row is None or not row.nonce or not row.expired:
                continue
            if row.cancelled:
                moves.append(Move(job, row.nonce, "acknowledge"))
            elif row.lost < config.lost_retries or row.attempt - row.lost < config.retries:
                moves.append(Move(job, row.nonce, "retry", *self.charged(row)))
            else:
                moves.append(Move(job, row.nonce, "failure", row.attempt, row.lost))
        return tuple(moves)

    def _job_locks(self, moves: tuple[Move, ...]) -> set[int]:
        """wfg.lock_narrow_jobs."""
        wanted = set()
        for move in moves:
            wanted.add(move.job)
            if move.what == "success":
                wanted.update(self.children[move.job])
            elif move.what in ("failure", "cancelled"):
                wanted.update(self.descendants[move.job])
        return wanted

    # --- a session goes on ---

    def _go_on(self, state: State, who: Any, session: Session, locks: set[int]) -> Iterator[Step]:
        if session.todo:
            lock = session.todo[0]
            if lock in locks and lock not in session.held:
                return  # it waits
            session = session._replace(todo=session.todo[1:])
            if self._is_there(state, session, lock):
                session = session._replace(held=(*session.held, lock))
            yield from self._had(state, who, session, f"locks {self._name(lock)}")
        elif session.stage == "upkeep":
            yield self._upkeep(state, who, session, locks)
        elif session.stage == "pick":
            yield from self._pick(state, who, session)
        elif session.stage == "lease":
            yield self._lease(state, who, session, locks)
        elif session.stage == "commit":
            yield from self._commit(state, who, session)

    def _is_there(self, state: State, session: Session, lock: int) -> bool:
        """What was deleted or ended while we waited is not locked."""
        if lock < self.n:
            return session.call != "cancel run" or state.jobs[lock].state == "queued"
        return lock >= self.run_lock or state.queue[lock - self.n] is not None

    def _had(self, state: State, who: Any, session: Session, did: str) -> Iterator[Step]:
        """A lock was had; after the last one of a stage it looks again, and decides."""
        if session.todo:
            yield self._to(state, who, session, session, did)
        elif session.stage == "run":
            yield self._to(state, who, self._count_down(state, session), session, did)
        elif session.call == "cancel run":
            yield self._cancel_run(state, who, session, did)
        else:
            moves = tuple(move for move in session.moves if self._confirmed(state, session, move))
            if moves:
                yield self._decide(state, who, session, moves, did)
            elif session.call in REPORTS and isinstance(who, int):
                hold = state.workers[who].hold
                assert hold is not None
                yield Step(self._label(who, session, f"{did}, is refused"), self._refuse(state, who, hold))
            elif session.call == "renew" and isinstance(who, int):
                yield Step(self._label(who, session, f"{did}, is refused"), self._know(state, who, None))
            else:
                yield self._to(state, who, None, session, f"{did}, has nothing to do")

    def _confirmed(self, state: State, session: Session, move: Move) -> bool:
        row = state.queue[move.job]
        match session.call:
            case "renew":
                return self.may_renew(row, move)
            case "reap":
                return self.may_reap(row, move)
            case "cancel job":
                return state.jobs[move.job].state == "queued"
            case _:
                return self.may_report(row, move)

    def _decide(self, state: State, who: Any, session: Session, moves: tuple[Move, ...], did: str) -> Step:
        late = False
        if session.call in (*REPORTS, "renew"):
            move = moves[0]
            row = state.queue[move.job]
            late = row is None or row.nonce != move.nonce or row.expired
            if row is not None and row.cancelled and session.call in REPORTS:
                moves = (move._replace(what="acknowledge"),)

        writes, ended = self._apply(state, {}, moves, session.call in REPORTS)
        session = session._replace(moves=moves, late=late)
        return self._to(state, who, self._written(state, session, writes, ended), session, f"{did}, decides")

    def _written(self, state: State, session: Session, writes: dict[int, Any], ended: int) -> Session:
        """The run's row comes last, if jobs ended."""
        session = session._replace(writes=tuple(sorted(writes.items())), ended=ended)
        if ended:
            return session._replace(stage="run", todo=(self.run_lock,))
        return session._replace(stage="commit")

    def _apply(
        self, state: State, writes: dict[int, Any], moves: tuple[Move, ...], reported: bool
    ) -> tuple[dict[int, Any], int]:
        """wfg.apply and wfg.settle: what is written, and how many jobs end. All of it is locked."""
        ended = 0
        for move in moves:
            job = writes.get(move.job, state.jobs[move.job])
            row = state.queue[move.job]
            if reported and move.what != "release":
                job = job._replace(reported=(*job.reported, move.nonce))
                writes[move.job] = job

            if move.what in ("success", "failure", "cancelled"):
                if job.state == "queued":
                    writes[move.job] = job._replace(state=move.what)
                    ended += 1
                writes[self.n + move.job] = self.cancelled_row(row) if move.what == "cancelled" else None
            elif move.what in ("retry", "release"):
                writes[self.n + move.job] = Row(move.attempt, move.lost)
            elif move.what == "renew":
                writes[self.n + move.job] = (
                    row if row is None or row.cancelled else row._replace(expired=False)
                )
            else:
                writes[self.n + move.job] = None

            if move.what == "success":
                for child in self.children[move.job]:
                    job = writes.get(child, state.jobs[child])
                    if job.state == "queued":
                        left = self.parents_before(job, move, child) - 1
                        writes[child] = job._replace(parents_left=left)
                        if self.is_ready(left):
                            writes[self.n + child] = Row()
            elif move.what in ("failure", "cancelled"):
                for child in self.descendants[move.job]:
                    job = writes.get(child, state.jobs[child])
                    if self.may_skip(job):
                        writes[child] = job._replace(state="skipped")
                        ended += 1
        return writes, ended

    def _count_down(self, state: State, session: Session) -> Session:
        """wfg.count_down_and_end_runs, under the lock of the run: what others ended is seen."""
        writes = dict(session.writes)
        left = self.open_before(state.run, session) - session.ended
        outcome = state.run.state
        if left <= 0:
            jobs = [writes.get(job, state.jobs[job]).state for job in range(self.n)]
            outcome = "failure" if "failure" in jobs or "cancelled" in jobs else "success"
        writes[self.run_lock] = Run(outcome, left)
        return session._replace(stage="commit", writes=tuple(sorted(writes.items())))

    def _cancel_run(self, state: State, who: Any, session: Session, did: str) -> Step:
        """wfg.lock_run and wfg.cancel_run."""
        rows = {self.n + job for job, row in enumerate(state.queue) if row is not None}
        if session.stage == "lock":
            session = session._replace(stage="rows", todo=self.in_order(rows | {self.run_lock}))
            return self._to(state, who, session, session, did)
        if rows - set(session.held):
            queued = {job for job, old in enumerate(state.jobs) if old.state == "queued"}
            again = Session("cancel run", "lock", (), self.in_order(queued or {self.run_lock}))
            return self._to(state, who, again, session, f"{did}, begins again")
        if state.run.state != "active":
            return self._to(state, who, None, session, f"{did}, has nothing to do")

        writes: dict[int, Any] = {self.run_lock: Run("cancelled", 0)}
        for job, old in enumerate(state.jobs):
            if old.state == "queued":
                writes[job] = old._replace(state="cancelled")
                if state.queue[job] is not None:
                    writes[self.n + job] = self.cancelled_row(state.queue[job])
        session = session._replace(stage="commit", writes=tuple(sorted(writes.items())))
        return self._to(state, who, session, session, f"{did}, decides")

    def _upkeep(self, state: State, who: Any, session: Session, locks: set[int]) -> Step:
        """wfg.reap_unlocked_leases: it waits for nothing, and leaves what it cannot lock whole."""
        held, moves = set(session.held), []
        for move in session.moves:
            wanted = {self.n + move.job}
            if move.what == "failure":
                wanted |= self._job_locks((move,)) | {self.run_lock}
            got = {w for w in wanted if w in held or w not in locks}
            got = {w for w in got if self._is_there(state, session, w)}
            held |= got
            if self.locked_whole(wanted, got) and self.may_reap(state.queue[move.job], move):
                moves.append(move)

        writes, ended = self._apply(state, {}, tuple(moves), False)
        session = session._replace(
            stage="pick",
            moves=(),
            held=tuple(sorted(held)),
            writes=tuple(sorted(writes.items())),
            ended=ended,
        )
        if ended:
            session = self._count_down(state, session)._replace(stage="pick")
        return self._to(state, who, session, session, "does the upkeep")

    def _pick(self, state: State, who: int, session: Session) -> Iterator[Step]:
        """Any ready job that it sees, its own writes among them; with none the claim is over."""
        writes = dict(session.writes)
        nothing = True
        for job in range(self.n):
            row = writes.get(self.n + job, state.queue[job])
            if row is not None and not row.nonce:
                nothing = False
                move = Move(job, 0, "lease")
                picked = session._replace(stage="lease", moves=(move,))
                yield self._to(state, who, picked, picked, "picks")
        if nothing and session.held:
            done = session._replace(stage="commit", moves=())
            yield self._to(state, who, done, done, "finds nothing")

    def _lease(self, state: State, who: int, session: Session, locks: set[int]) -> Step:
        """For update skip locked: passed by, or looked at again under the lock."""
        move = session.moves[0]
        lock = self.n + move.job
        writes = dict(session.writes)
        row = writes.get(lock, state.queue[move.job])
        if (lock in locks and lock not in session.held) or not self.may_lease(row):
            done = session._replace(stage="commit", moves=()) if session.held else None
            return self._to(state, who, done, session, "lost the race")

        nonce = state.leases[move.job] + 1
        writes[lock] = row._replace(nonce=nonce, expired=False)
        done = session._replace(
            stage="commit",
            moves=(move._replace(nonce=nonce),),
            held=tuple(sorted({*session.held, lock})),
            writes=tuple(sorted(writes.items())),
        )
        return self._to(state, who, done, done, "locks it")

    def _commit(self, state: State, who: Any, session: Session) -> Iterator[Step]:
        broken = self._broken_by(state, session)
        jobs, queue, run = list(state.jobs), list(state.queue), state.run
        for lock, value in session.writes:
            if lock < self.n:
                jobs[lock] = value
            elif lock < self.run_lock:
                queue[lock - self.n] = value
            else:
                run = value

        completions = state.completions
        if session.call == "complete":
            job = session.moves[0].job
            completions = changed(completions, job, completions[job] + 1)
            if completions[job] > 1:
                broken = TWO_COMPLETIONS
        state = state._replace(
            jobs=tuple(jobs), queue=tuple(queue), run=run, completions=completions, broken=broken
        )

        if session.call == "claim" and session.moves:
            hold = Hold(session.moves[0].job, session.moves[0].nonce)
            state = state._replace(leases=changed(state.leases, hold.job, hold.nonce))
            yield Step(self._label(who, session, "commits"), self._know(state, who, hold))
        elif session.call in REPORTS and isinstance(who, int):
            yield Step(self._label(who, session, "commits"), self._know(state, who, None))
            if self.config.crashes:
                yield self._to(state, who, None, session, "commits, its answer is lost", fair=False)
        else:
            yield self._to(state, who, None, session, "commits")

    def _broken_by(self, state: State, session: Session) -> str | None:
        """The rules about a step rather than a state."""
        if session.late:
            return OVER
        for lock, _ in session.writes:
            if (
                lock < self.n
                and state.jobs[lock].state != "queued"
                and not self._is_note(state, session, lock)
            ):
                return TERMINAL
            row = state.queue[lock - self.n] if self.n <= lock < self.run_lock else None
            if row is None or not row.nonce or row.expired or row.cancelled:
                continue
            by_holder = session.call in (*REPORTS, "renew") and session.moves[0].nonce == row.nonce
            if not by_holder and not session.call.startswith("cancel"):
                return LIVE_LEASE
        return None

    def _is_note(self, state: State, session: Session, job: int) -> bool:
        """An acknowledgement is noted in wfg.attempts: here in the job, whose state stays."""
        if not session.moves or session.moves[0].what != "acknowledge":
            return False
        return dict(session.writes)[job].state == state.jobs[job].state

    def _refuse(self, state: State, place: int, hold: Hold) -> State:
        """The worker stops; if its job was cancelled, it acknowledges."""
        if self.answer(state, hold) == "lease_cancelled":
            return self._know(state, place, hold._replace(said="fail"))
        return self._know(state, place, None)

    def answer(self, state: State, hold: Hold) -> str:
        """wfg.refusal: why a report of this lease is refused."""
        row = state.queue[hold.job]
        if hold.nonce in state.jobs[hold.job].reported:
            return "already_reported"
        if row is not None and row.nonce == hold.nonce and row.cancelled and not row.expired:
            return "lease_cancelled"
        return "lease_not_held"

    # --- what must hold ---

    def is_over(self, state: State) -> bool:
        return (
            state.run.state != "active"
            and not any(state.queue)
            and not any(worker.hold or worker.session for worker in state.workers)
            and not (state.orphan or state.reaper or state.canceller)
        )

    def flaw(self, state: State) -> str | None:
        if state.broken:
            return state.broken

        jobs, config = state.jobs, self.config
        for number, (job, row) in enumerate(zip(jobs, state.queue, strict=True)):
            open_parents = sum(jobs[parent].state != "success" for parent in config.parents[number])
            is_queued = job.state == "queued"
            if row is not None and not row.cancelled:
                if open_parents:
                    return OPEN_PARENT
                if not is_queued:
                    return ENDED_IN_QUEUE
            if state.leases[number] > 1 + config.retries + config.lost_retries + config.releases:
                return TOO_OFTEN
            if is_queued and not open_parents and (row is None or row.cancelled):
                return LOST_JOB
            if (job.state == "success") != (state.completions[number] == 1):
                return KEPT

        states = [job.state for job in jobs]
        outcome = "failure" if "failure" in states or "cancelled" in states else "success"
        if state.run.open_left != states.count("queued") or state.run.state not in (
            ("active",) if "queued" in states else (outcome, "cancelled")
        ):
            return COUNTED
        return DEADLOCK if self._is_deadlocked(state) else None

    def _is_deadlocked(self, state: State) -> bool:
        """Sessions that wait for one another in a circle."""
        waits = [(s.todo[0], s.held) for s in sessions(state) if s.todo]
        if len(waits) < 2:
            return False
        for first in waits:
            wanted, seen = first[0], set()
            while wanted not in seen:
                seen.add(wanted)
                wanted = next((todo for todo, held in waits if wanted in held and todo not in held), None)
                if wanted is None:
                    break
            if wanted is not None:
                return True
        return False

    # --- who has what ---

    def _locks(self, state: State) -> set[int]:
        return {lock for session in sessions(state) for lock in session.held}

    def _place(self, state: State, who: Any, session: Session | None) -> State:
        if isinstance(who, int):
            worker = state.workers[who]._replace(session=session)
            return state._replace(workers=alike(state.workers, who, worker))
        return state._replace(**{who: session})

    def _know(self, state: State, place: int, hold: Hold | None) -> State:
        """A worker between two calls."""
        return state._replace(workers=alike(state.workers, place, Worker(hold)))

    def _to(
        self, state: State, who: Any, to: Session | None, by: Session, did: str, fair: bool = True
    ) -> Step:
        return Step(self._label(who, by, did), self._place(state, who, to), fair)

    def _name(self, lock: int) -> str:
        if lock < self.n:
            return f"job {NAMES[lock]}"
        return f"row {NAMES[lock - self.n]}" if lock < self.run_lock else "the run"

    def _label(self, who: Any, what: Session | Hold, did: str) -> Label:
        if isinstance(what, Hold):
            call, about = what.said or "work", ((what.job, what.nonce),)
        else:
            call, about = what.call, tuple((move.job, move.nonce) for move in what.moves)
        return Label(WORKER if isinstance(who, int) else who, call, about, did)


def sessions(state: State) -> list[Session]:
    found = [worker.session for worker in state.workers if worker.session]
    found += [session for session in (state.orphan, state.reaper, state.canceller) if session]
    return found


def changed(row: tuple, place: int, value: Any) -> tuple:
    return (*row[:place], value, *row[place + 1 :])


def alike(workers: tuple[Worker, ...], place: int, worker: Worker) -> tuple[Worker, ...]:
    """Sorted: which of them is which does not matter."""
    return tuple(sorted(changed(workers, place, worker), key=order))


order = cache(repr)


# --- whole calls, for replaying on the engine ---


class Calls(Protocol):
    """The same protocol, one call after the other: a step is a whole call, alone. Its label is that of its
    first step and of its last.

    It is what one session with its own clock does: then every claim does the upkeep. Cancelled leases, which
    cannot be renewed, all expire before any other one.
    """

    def steps(self, state: State) -> Iterator[Step]:
        over = bool(self._over(state))
        running_out = [
            job
            for job, row in enumerate(state.queue)
            if row is not None and row.cancelled and not row.expired
        ]
        for step in super().steps(state):
            label = step.label
            if label.call == "claim" and over and label.step == "picks":
                continue
            if label.step == "expires" and running_out:
                if label.about[0][0] == running_out[0]:
                    yield self._run_out(state, running_out)
                continue
            for last in self._to_its_end(step):
                yield Step((label, last.label), last.to, last.fair)

    def _run_out(self, state: State, jobs: list[int]) -> Step:
        rows, about = state.queue, []
        for job in jobs:
            about.append((job, rows[job].nonce))
            rows = changed(rows, job, rows[job]._replace(expired=True))
        label = Label("time", "lease", tuple(about), "expires")
        return Step((label, label), state._replace(queue=rows))

    def _to_its_end(self, step: Step) -> Iterator[Step]:
        under_way = [
            (place, worker.session) for place, worker in enumerate(step.to.workers) if worker.session
        ]
        under_way += [(REAPER, step.to.reaper)] * bool(step.to.reaper)
        under_way += [(CANCELLER, step.to.canceller)] * bool(step.to.canceller)
        if not under_way:
            yield step
        for who, session in under_way:
            for following in self._go_on(step.to, who, session, set()):
                yield from self._to_its_end(following)


# --- broken on purpose: one plausible mistake in the SQL each ---


class ReportTakesAGoneRow(Protocol):
    """A report that had to wait does not notice that its queue row is gone."""

    def may_report(self, row: Row | None, move: Move) -> bool:
        return row is None or super().may_report(row, move)


class ReportBelievesItsPlan(Protocol):
    """A report does not look again under its locks: what it read without them is taken for true."""

    def may_report(self, row: Row | None, move: Move) -> bool:
        return True


class ReportIgnoresTheNonce(Protocol):
    """Under its locks a report looks for a lease of the job, not for its own."""

    def may_report(self, row: Row | None, move: Move) -> bool:
        return super().may_report(row, move._replace(nonce=row.nonce if row is not None else 0))


class ReportIgnoresTheClock(Protocol):
    """A report is taken as long as nobody has reaped its lease."""

    def may_report(self, row: Row | None, move: Move) -> bool:
        return super().may_report(row and row._replace(expired=False), move)


class RenewRevives(Protocol):
    """Renewing does not ask whether the lease is over."""

    def may_renew(self, row: Row | None, move: Move) -> bool:
        return super().may_renew(row and row._replace(expired=False), move)


class ClaimDoesNotLookAgain(Protocol):
    """Claim leases what it picked, whoever has it by now."""

    def may_lease(self, row: Row | None) -> bool:
        return row is not None


class ReapDoesNotLookAgain(Protocol):
    """Reap takes the candidate that it found without a lock, if only the same lease is still there."""

    def may_reap(self, row: Row | None, move: Move) -> bool:
        return row is not None and row.nonce == move.nonce


class ReapIgnoresTheNonce(Protocol):
    """Reap looks again whether there is a lease, not whether it is the same one."""

    def may_reap(self, row: Row | None, move: Move) -> bool:
        return row is not None and bool(row.nonce)


class JoinCountsFromAStaleRead(Protocol):
    """A child is set to what the plan read minus one, instead of being counted down."""

    def remember(self, state: State, job: int) -> Any:
        return tuple(row.parents_left for row in state.jobs)

    def parents_before(self, job: Job, move: Move, child: int) -> int:
        return move.seen[child] if move.seen else job.parents_left


class JoinIsReadyTooEarly(Protocol):
    """A child is queued by the last parent but one."""

    def is_ready(self, parents_left: int) -> bool:
        return parents_left <= 1


class RunCountsFromAStaleRead(Protocol):
    """The same for the run's count of open jobs."""

    def remember(self, state: State, job: int) -> Any:
        return state.run.open_left

    def open_before(self, run: Run, session: Session) -> int:
        return (session.moves and session.moves[0].seen) or run.open_left


class SkipOverwrites(Protocol):
    """Skipping does not ask whether the job has ended."""

    def may_skip(self, job: Job) -> bool:
        return True


class ReportLocksBackwards(Protocol):
    """A report takes its queue row before its jobs, all others after."""

    def report_locks(self, move: Move) -> tuple[int, ...]:
        return super().report_locks(move)[::-1]


class UpkeepTakesWhatItGets(Protocol):
    """Upkeep goes on with a set that it could lock in part only."""

    def locked_whole(self, wanted: set[int], got: set[int]) -> bool:
        return True


class RetryIsFree(Protocol):
    """A lost lease is not charged to any retries."""

    def charged(self, row: Row) -> tuple[int, int]:
        return row.attempt, row.lost


class CancelLeavesTheQueue(Protocol):
    """Cancelling marks leases, and forgets the rows that nobody has."""

    def cancelled_row(self, row: Row | None) -> Row | None:
        return row._replace(cancelled=True) if row is not None and row.nonce else row


class LostLeaseIsDropped(Protocol):
    """Nobody gets an expired lease back: the reaper never looks for it."""

    def _over(self, state: State) -> tuple[Move, ...]:
        return ()
