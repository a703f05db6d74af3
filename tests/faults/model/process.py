"""A process: the application over ports that let its invocations fail, stop and die."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import wiring
from controllers.registry import Registry
from core.batching import BATCH_SIZE
from core.errors import DatabaseUnavailableError, QueueUnavailableError, TransactionConflictError
from core.messages import OutgoingMessage
from engine.process.outage_waiter import OutageWaiter
from engine.process.shutdown import Shutdown
from repositories.ports import Database, MessageQueue, SendResult, TransactionKind, UnitOfWork
from tests.faults.model.audit import AHEAD, AuditedDatabase
from tests.faults.model.invocation import Strike, running
from tests.support.drive import SETTINGS

P = ParamSpec("P")
T = TypeVar("T")


class Process:
    """A process until it dies.

    Attributes:
        app: its application.
        dead: whether it has died.
        ran: called with the id of each task whose handler starts.

    Args:
        database: the rows.
        queue: the messages.
        registry: the job types.
        seconds: what its own clock shows.
        pace: the seconds that pass on its own clock at each reading.
    """

    def __init__(
        self, database: AuditedDatabase, queue: MessageQueue, registry: Registry, seconds: float, pace: float
    ) -> None:
        self.dead = False
        self.ran = database.audit.ran
        self._seconds = seconds
        self._pace = pace
        self._database_clock = database.clock
        outages = OutageWaiter(self._wait, self.monotonic)
        ports = ProcessDatabase(database), ProcessQueue(queue)
        backends = wiring.Backends(*ports, list, lambda: None, outages, Shutdown())
        self.app = wiring.wire(SETTINGS.model_copy(update={"dispatch_ahead": AHEAD}), registry, backends)

    def monotonic(self, share: float = 1.0) -> float:
        """Its own clock."""
        self._seconds += self._pace * share
        return self._seconds

    def _wait(self, seconds: float) -> bool:
        self._database_clock.advance(seconds)
        self._seconds += seconds
        return False


class ProcessDatabase:
    """The port `Database`; a commit is an operation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def transaction(self, kind: TransactionKind = TransactionKind.SHORT) -> Iterator[UnitOfWork]:
        invocation = running()
        invocation.must_live()
        if invocation.is_cut_off():
            raise DatabaseUnavailableError("away")
        with self._database.transaction(kind) as work:
            yield work
            strike = invocation.before()
            if strike is Strike.FAIL_BEFORE:
                raise DatabaseUnavailableError("the connection was lost before the commit")
            if strike is Strike.CONFLICT:
                raise TransactionConflictError("deadlock detected")
        if strike is Strike.FAIL_AFTER:
            raise DatabaseUnavailableError("the connection was lost after the commit")
        invocation.after(strike)


class ProcessQueue:
    """The port `MessageQueue`; a send is an operation."""

    def __init__(self, queue: MessageQueue) -> None:
        self._queue = queue

    def batch_send_messages(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        invocation = running()
        strike = invocation.before()
        if strike in {Strike.FAIL_BEFORE, Strike.CONFLICT}:
            return SendResult(success=False, sent=0, error=QueueUnavailableError("busy"))
        result = self._queue.batch_send_messages(queue, messages)
        if strike is Strike.FAIL_AFTER:
            return SendResult(success=False, sent=0, error=QueueUnavailableError("not acknowledged"))
        invocation.after(strike)
        return result

    def ping(self) -> list[str]:
        return self._queue.ping()


class InlineExecutor(Executor):
    """Runs a submitted call at once, in the thread of its caller; takes the arguments of a `ThreadPoolExecutor`."""

    def __init__(self, max_workers: int, thread_name_prefix: str = "") -> None:
        pass

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as exc:  # noqa: BLE001 - raised by result()
            future.set_exception(exc)
        return future


class OwnTime:
    """Replaces the module `time` in the engine; it has only the process's own clock, which may be wrong."""

    @staticmethod
    def monotonic() -> float:
        process: Any = running().process
        assert isinstance(process, Process)
        return process.monotonic()


class OwnTimePerTask:
    """The same for code that reads the clock for each task, not for each batch."""

    @staticmethod
    def monotonic() -> float:
        process: Any = running().process
        assert isinstance(process, Process)
        return process.monotonic(share=1 / BATCH_SIZE)
