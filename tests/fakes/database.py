from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from typing_extensions import override

from core.errors import DatabaseUnavailableError
from repositories.ports import Database, Rows, TransactionKind, UnitOfWork
from tests.fakes.backlog import FakeBacklogRepository
from tests.fakes.batch_overviews import FakeBatchOverviewRepository
from tests.fakes.batches import FakeBatchRepository
from tests.fakes.bulk_actions import FakeBulkActionRepository
from tests.fakes.clock import FakeClock
from tests.fakes.dead_letters import FakeDeadLetterRepository
from tests.fakes.end_hooks import FakeEndHookRepository
from tests.fakes.end_notices import FakeEndNoticeRepository
from tests.fakes.job_events import FakeJobEventRepository
from tests.fakes.job_listing import FakeJobListingRepository
from tests.fakes.job_waits import FakeJobWaitRepository
from tests.fakes.jobs import FakeJobRepository
from tests.fakes.outcomes import FakeOutcomeRepository
from tests.fakes.pruning import FakePruneRepository
from tests.fakes.retry_parts import FakeRetryPartRepository
from tests.fakes.schedules import FakeScheduleRepository
from tests.fakes.slots import FakeSlotRepository
from tests.fakes.stages import FakeStageRepository
from tests.fakes.stops import FakeStopRepository
from tests.fakes.store import Store, Transaction
from tests.fakes.sweeps import FakeSweepRepository
from tests.fakes.tables import Tables
from tests.fakes.task_listing import FakeTaskListingRepository
from tests.fakes.tasks import FakeTaskRepository

R = TypeVar("R")

Fakes = Mapping[Callable[[Rows], Any], Callable[[Transaction], Any]]
"""The repositories of job types, each with its fake."""


class FakeDatabase(Database):
    """The port `Database` in memory; any number of threads may use it.

    Attributes:
        lost_acknowledgements: how many of the next commits come through and fail all the same.

    Args:
        clock: what leases and timestamps go by.
        store: where the rows are; a new one unless given.
        fakes: what stands in for the repositories of the job types.
    """

    def __init__(self, clock: FakeClock | None = None, store: Store | None = None, fakes: Fakes | None = None) -> None:
        self.clock = clock or FakeClock()
        self.lost_acknowledgements = 0
        self._back_at = self.clock.now()
        self._store = store or Store()
        self._fakes = fakes or {}

    def go_away(self, seconds: float) -> None:
        """Refuses every transaction, and every commit, for so long by the clock."""
        self._back_at = self.clock.now() + timedelta(seconds=seconds)

    @override
    @contextmanager
    def transaction(self, kind: TransactionKind = TransactionKind.SHORT) -> Iterator["FakeUnitOfWork"]:
        self._answer()
        transaction = self.begin()
        try:
            yield FakeUnitOfWork(transaction, self.clock, self._fakes)
            self._answer()
        except BaseException:
            transaction.roll_back()
            raise
        transaction.commit()
        if self.lost_acknowledgements:
            self.lost_acknowledgements -= 1
            raise DatabaseUnavailableError("the commit was not acknowledged")

    @contextmanager
    def tables(self) -> Iterator[Tables]:
        """Opens a transaction on the tables themselves, for changes that no repository makes."""
        transaction = self.begin()
        try:
            yield Tables(transaction)
        except BaseException:
            transaction.roll_back()
            raise
        transaction.commit()

    def clear(self) -> None:
        """Deletes all rows at once."""
        self._store.committed.clear()

    def waiting(self) -> int:
        """How many transactions wait for a row that another one holds."""
        return self._store.waiting

    def _answer(self) -> None:
        if self.clock.now() < self._back_at:
            raise DatabaseUnavailableError("away")

    def begin(self) -> Transaction:
        """A transaction that nobody ends."""
        return Transaction(self._store, self.clock.now())


class FakeUnitOfWork(UnitOfWork):
    """The repositories of one transaction."""

    def __init__(self, transaction: Transaction, clock: FakeClock, fakes: Fakes) -> None:
        tables = Tables(transaction)
        self._clock = clock
        self._fakes = fakes
        self._transaction = transaction
        self._tables = tables
        self.jobs = FakeJobRepository(tables)
        self.stages = FakeStageRepository(tables)
        self.batches = FakeBatchRepository(tables)
        self.tasks = FakeTaskRepository(tables)
        self.outcomes = FakeOutcomeRepository(tables)
        self.dead_letters = FakeDeadLetterRepository(tables)
        self.events = FakeJobEventRepository(tables)
        self.hooks = FakeEndHookRepository(tables)
        self.slots = FakeSlotRepository(tables)
        self.schedules = FakeScheduleRepository(tables)
        self.waits = FakeJobWaitRepository(tables)
        self.sweeps = FakeSweepRepository(tables)
        self.stops = FakeStopRepository(tables)
        self.pruning = FakePruneRepository(tables)

    @property
    @override
    def backlog(self) -> FakeBacklogRepository:
        return FakeBacklogRepository(self._tables)

    @property
    @override
    def notices(self) -> FakeEndNoticeRepository:
        return FakeEndNoticeRepository(self._tables)

    @property
    @override
    def job_listing(self) -> FakeJobListingRepository:
        return FakeJobListingRepository(self._tables)

    @property
    @override
    def task_listing(self) -> FakeTaskListingRepository:
        return FakeTaskListingRepository(self._tables)

    @property
    @override
    def batch_overviews(self) -> FakeBatchOverviewRepository:
        return FakeBatchOverviewRepository(self._tables)

    @property
    @override
    def parts(self) -> FakeRetryPartRepository:
        return FakeRetryPartRepository(self._tables)

    @property
    @override
    def bulk_actions(self) -> FakeBulkActionRepository:
        return FakeBulkActionRepository(self._tables)

    @override
    def repository(self, kind: Callable[[Rows], R]) -> R:
        fake = self._fakes.get(kind)
        assert fake, f"no fake of {kind} is given to FakeDatabase"
        return cast(R, fake(self._transaction))

    @override
    def now(self) -> datetime:
        # The clock may move during a transaction; `Tables.now` does not.
        return self._clock.now()
