"""The crash points: before and after every commit, every send and every return, found by wrapping the two ports.

Nothing in the engine knows of them. A point is named by the function that runs, the place in the engine that opens the
transaction or sends, and what it does there, so a new commit is a new point by itself.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import engine
from core.messages import OutgoingMessage
from repositories.ports import Database, MessageQueue, SendResult, TransactionKind, UnitOfWork
from repositories.postgres import PostgresUnitOfWork
from tests.faults.crash.shared import Shared

_HELPERS = {"sending.py", "shared_sends.py"}
_PLACES = {str(path) for path in Path(engine.__path__[0]).rglob("*.py") if path.name not in _HELPERS}
_SHORT = TransactionKind.SHORT
_QUIET = {"get", "now", "of_job", "with_job"}
"""Reads that nearly every transaction makes, and that say nothing about it."""


@dataclass(frozen=True, order=True)
class Point:
    """A place where a process can die.

    Attributes:
        function: the Functions function that runs.
        place: the function of the engine that opens the transaction or sends; the host, when it settles or answers.
        step: what is committed or sent.
        moment: before or after it.
    """

    function: str
    place: str
    step: str
    moment: str

    def __str__(self) -> str:
        return f"{self.function} | {self.place} | {self.step} | {self.moment}"


@dataclass(frozen=True)
class Passing:
    """One passing of a point.

    Attributes:
        point: the point.
        writes: False when the transaction only reads: a death there equals one after the step before.
        actor: the process and the thread.
        in_transaction: whether a transaction is open, which may have written.
    """

    point: Point
    writes: bool
    actor: str
    in_transaction: bool


Watch = Callable[[Passing], None]


class Points:
    """Knows which function runs, reports every passing, and kills the process at the chosen one.

    Args:
        shared: counts the passings down across lives.
        fatal: the point to die at when the shared count reaches 0; None to live.
        dies_at: the point to die at in any case.
        watch: called for each passing; then the database is asked whether a transaction has written.

    Attributes:
        function: the Functions function that runs.
        passed: the places of the engine that this process has passed.
    """

    def __init__(self, shared: Shared, fatal: Point | None, dies_at: Point | None, watch: Watch | None) -> None:
        self.function = ""
        self.passed: set[str] = set()
        self._shared = shared
        self._local = threading.local()
        self._dies_at = dies_at
        self._fatal = fatal
        self._watch = watch

    def pass_by(self, place: str, step: str, moment: str, *, writes: bool = True) -> None:
        """Passes a point, or dies there."""
        self.passed.add(place)
        point = Point(self.function, place, step, moment)
        if self._watch:
            actor = f"{os.getpid()} {threading.get_ident()}"
            self._watch(Passing(point, writes, actor, getattr(self._local, "in_transaction", False)))
        if (point == self._fatal and self._shared.countdown()) or point == self._dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def call(self, place: str, what: str, work: UnitOfWork | None = None) -> None:
        """Is told of every call to PostgreSQL and to the broker before it is made; for those who disturb calls.

        Args:
            place: the function of the engine that makes it.
            what: a method of a repository, or the step of a point.
            work: the transaction, for a call to PostgreSQL.
        """

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Notes that this thread has a transaction open."""
        self._local.in_transaction = True
        try:
            yield
        finally:
            self._local.in_transaction = False

    def writes(self, work: UnitOfWork) -> bool:
        """Whether a transaction has written; asked only while passings are watched."""
        if self._watch is None:
            return True
        rows = cast(PostgresUnitOfWork, work)._rows
        return bool(rows.one("SELECT pg_current_xact_id_if_assigned() IS NOT NULL AS writes")["writes"])


class FatalDatabase:
    """A database around whose commits the process can die."""

    def __init__(self, database: Database, points: Points) -> None:
        self._database = database
        self._points = points

    def transaction(self, kind: TransactionKind = TransactionKind.SHORT) -> AbstractContextManager[UnitOfWork]:
        # What follows the statement here would follow the commit of a transaction of one statement.
        return self._transaction(_place(), _SHORT if kind == TransactionKind.ONE_STATEMENT else kind)

    @contextmanager
    def _transaction(self, place: str, kind: TransactionKind) -> Iterator[UnitOfWork]:
        calls: dict[str, None] = {}
        with self._database.transaction(kind) as work, self._points.transaction():
            yield cast(UnitOfWork, _Watched(work, calls, lambda name: self._points.call(place, name, work)))
            writes = self._points.writes(work)
            step = "commit of " + (", ".join(name for name in calls if name not in _QUIET) or "a read")
            self._points.pass_by(place, step, "before", writes=writes)
            self._points.call(place, step, work)
        self._points.pass_by(place, step, "after", writes=writes)


class FatalQueue:
    """A queue around whose sends the process can die."""

    def __init__(self, queue: MessageQueue, points: Points) -> None:
        self._queue = queue
        self._points = points

    def batch_send_messages(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        place = _place()
        self._points.pass_by(place, f"send to {queue}", "before")
        self._points.call(place, f"send to {queue}")
        result = self._queue.batch_send_messages(queue, messages)
        self._points.pass_by(place, f"send to {queue}", "after")
        return result

    def ping(self) -> list[str]:
        return self._queue.ping()


class _Watched:
    """A unit of work, or one of its repositories, that notes which methods are called.

    Args:
        inner: makes the calls.
        calls: the names of the called methods, in order.
        on_call: is told a method's name before the method is called.
    """

    def __init__(self, inner: object, calls: dict[str, None], on_call: Callable[[str], None]) -> None:
        self._inner = inner
        self._calls = calls
        self._on_call = on_call

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return _Watched(found, self._calls, self._on_call)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._calls[name] = None
            self._on_call(name)
            return found(*args, **kwargs)

        return call


def _place() -> str:
    """The innermost function of the engine on the stack, without helpers that only pass a call on."""
    frame = sys._getframe(1)
    while True:
        if frame.f_code.co_filename in _PLACES:
            return frame.f_code.co_qualname.split(".<locals>")[0]
        assert frame.f_back is not None, "a transaction or a send that the engine does not ask for"
        frame = frame.f_back
