"""The port of the database."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol, TypeVar

from repositories.ports.backlog import BacklogRepository
from repositories.ports.batch_overviews import BatchOverviewRepository
from repositories.ports.batches import BatchRepository
from repositories.ports.bulk_actions import BulkActionRepository
from repositories.ports.dead_letters import DeadLetterRepository
from repositories.ports.end_hooks import EndHookRepository
from repositories.ports.end_notices import EndNoticeRepository
from repositories.ports.job_events import JobEventRepository
from repositories.ports.job_listing import JobListingRepository
from repositories.ports.job_waits import JobWaitRepository
from repositories.ports.jobs import JobRepository
from repositories.ports.outcomes import OutcomeRepository
from repositories.ports.pruning import PruneRepository
from repositories.ports.retry_parts import RetryPartRepository
from repositories.ports.rows import Rows
from repositories.ports.schedules import ScheduleRepository
from repositories.ports.slots import SlotRepository
from repositories.ports.stages import StageRepository
from repositories.ports.stops import StopRepository
from repositories.ports.sweeps import SweepRepository
from repositories.ports.task_listing import TaskListingRepository
from repositories.ports.tasks import TaskRepository
from repositories.ports.transaction_kinds import TransactionKind

R = TypeVar("R")


class UnitOfWork(Protocol):
    """The repositories of one transaction."""

    jobs: JobRepository
    stages: StageRepository
    batches: BatchRepository
    tasks: TaskRepository
    outcomes: OutcomeRepository
    dead_letters: DeadLetterRepository
    events: JobEventRepository
    hooks: EndHookRepository
    slots: SlotRepository
    schedules: ScheduleRepository
    waits: JobWaitRepository
    sweeps: SweepRepository
    stops: StopRepository
    pruning: PruneRepository

    @property
    def backlog(self) -> BacklogRepository:
        """What waits for workers."""
        ...

    @property
    def notices(self) -> EndNoticeRepository:
        """The ends of jobs that are told."""
        ...

    @property
    def job_listing(self) -> JobListingRepository:
        """The list of jobs."""
        ...

    @property
    def parts(self) -> RetryPartRepository:
        """The parts of stages that run again."""
        ...

    @property
    def bulk_actions(self) -> BulkActionRepository:
        """What is done with many jobs."""
        ...

    @property
    def task_listing(self) -> TaskListingRepository:
        """What people read of tasks."""
        ...

    @property
    def batch_overviews(self) -> BatchOverviewRepository:
        """What people see of all batches at once."""
        ...

    def repository(self, kind: Callable[[Rows], R]) -> R:
        """Returns a job type's own repository: an object of its class, in this transaction."""
        ...

    def now(self) -> datetime:
        """Returns the time of the database's clock (aware), the only clock of rows and scheduled messages."""
        ...


class Database(Protocol):
    """A database with transactions."""

    def transaction(self, kind: TransactionKind = TransactionKind.SHORT) -> AbstractContextManager[UnitOfWork]:
        """Opens a transaction; commits it at the end of the block, or rolls it back when the block raises.

        Args:
            kind: what the transaction does; decides its limits.

        Raises:
            DatabaseUnavailableError: PostgreSQL cannot be reached or does not answer, no connection was free in time,
                or a statement or a pause took longer than its limit.
            LockTimeoutError: another transaction holds a lock for longer than the limit.
            TransactionConflictError: PostgreSQL aborted it to resolve a deadlock; the caller may repeat the block.
            DatabaseError: PostgreSQL refused a statement.
        """
        ...
