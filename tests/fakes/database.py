from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from typing_extensions import override

from controllers.ingest_csv.ingested_rows import IngestedRows
from core.errors import DatabaseUnavailableError
from core.models import StageKey
from repositories.dead_letters import storable
from repositories.ports import Database, DeadLetter, DeadLetterRepository, KeptLetter, Rows, UnitOfWork
from tests.fakes.batches import FakeBatchRepository
from tests.fakes.clock import FakeClock
from tests.fakes.ingested_rows import FakeIngestedRows
from tests.fakes.jobs import FakeJobRepository
from tests.fakes.pruning import FakePruneRepository
from tests.fakes.rows import (
    BATCH_CHECKS,
    JOB_CHECKS,
    STAGE_CHECKS,
    TASK_CHECKS,
    BatchRow,
    JobRow,
    StageRow,
    TaskRow,
)
from tests.fakes.stages import FakeStageRepository
from tests.fakes.stops import FakeStopRepository
from tests.fakes.store import Store, Table, Transaction
from tests.fakes.sweeps import FakeSweepRepository
from tests.fakes.tasks import FakeTaskRepository

R = TypeVar("R")

_FAKES: Mapping[Any, Callable[[Transaction], Any]] = {IngestedRows: FakeIngestedRows}
"""What stands in for the repositories of job types."""


class FakeDatabase(Database):
    """The port `Database` in memory; any number of threads may use it.

    Attributes:
        lost_acknowledgements: how many of the next commits come through and fail all the same.

    Args:
        clock: what leases and timestamps go by.
    """

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.lost_acknowledgements = 0
        self._back_at = self.clock.now()
        self._store = Store()

    def go_away(self, seconds: float) -> None:
        """Refuses every transaction, and every commit, for so long by the clock."""
        self._back_at = self.clock.now() + timedelta(seconds=seconds)

    @override
    @contextmanager
    def transaction(self) -> Iterator["FakeUnitOfWork"]:
        self._answer()
        transaction = self.begin()
        try:
            yield FakeUnitOfWork(transaction, self.clock)
            self._answer()
        except BaseException:
            transaction.roll_back()
            raise
        transaction.commit()
        if self.lost_acknowledgements:
            self.lost_acknowledgements -= 1
            raise DatabaseUnavailableError("the commit was not acknowledged")

    def _answer(self) -> None:
        if self.clock.now() < self._back_at:
            raise DatabaseUnavailableError("away")

    def begin(self) -> Transaction:
        """A transaction that nobody ends."""
        return Transaction(self._store, self.clock.now())


class FakeUnitOfWork(UnitOfWork):
    """The repositories of one transaction."""

    def __init__(self, transaction: Transaction, clock: FakeClock) -> None:
        now = transaction.started_at
        jobs: Table[str, JobRow] = Table(transaction, "jobs", JOB_CHECKS)
        stages: Table[StageKey, StageRow] = Table(transaction, "stages", STAGE_CHECKS)
        batches: Table[str, BatchRow] = Table(transaction, "batches", BATCH_CHECKS)
        tasks: Table[str, TaskRow] = Table(transaction, "tasks", TASK_CHECKS)
        self._clock = clock
        self._transaction = transaction
        self.jobs = FakeJobRepository(jobs, now)
        self.stages = FakeStageRepository(jobs, stages, batches, tasks, now)
        self.tasks = FakeTaskRepository(stages, batches, tasks, now)
        self.batches = FakeBatchRepository(batches, self.tasks, now)
        self.dead_letters = FakeDeadLetterRepository(Table(transaction, "dead_letters", {}), now)
        self.sweeps = FakeSweepRepository(jobs, stages, batches, tasks, now)
        self.stops = FakeStopRepository(stages, batches, tasks, now)
        self.pruning = FakePruneRepository(jobs, stages, batches, tasks, now)

    @override
    def repository(self, kind: Callable[[Rows], R]) -> R:
        return cast(R, _FAKES[kind](self._transaction))

    @override
    def now(self) -> datetime:
        """The clock (aware), which may move during a transaction."""
        return self._clock.now()


class FakeDeadLetterRepository(DeadLetterRepository):
    """`DeadLetterRepository` in memory."""

    def __init__(self, letters: Table[int, KeptLetter], now: datetime) -> None:
        self._letters = letters
        self._now = now

    @override
    def add(self, letter: DeadLetter) -> None:
        columns = asdict(letter)
        texts = {name: storable(value) for name, value in columns.items() if isinstance(value, str)}
        letter = DeadLetter(**{**columns, **texts})
        key = len(self._letters.rows()) + 1
        while not self._letters.insert(key, KeptLetter(key, self._now, letter)):
            key += 1

    @override
    def newest(self, limit: int, before_id: int | None = None) -> list[KeptLetter]:
        rows = self._letters.rows()[::-1]
        return [row for row in rows if before_id is None or row.dead_letter_id < before_id][:limit]
