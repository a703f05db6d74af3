"""The port of the database."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol, TypeVar

from repositories.ports.batches import BatchRepository
from repositories.ports.dead_letters import DeadLetterRepository
from repositories.ports.jobs import JobRepository
from repositories.ports.pruning import PruneRepository
from repositories.ports.rows import Rows
from repositories.ports.stages import StageRepository
from repositories.ports.stops import StopRepository
from repositories.ports.sweeps import SweepRepository
from repositories.ports.tasks import TaskRepository

R = TypeVar("R")


class UnitOfWork(Protocol):
    """The repositories of one transaction."""

    @property
    def jobs(self) -> JobRepository: ...  # noqa: D102 - the type is documented
    @property
    def stages(self) -> StageRepository: ...  # noqa: D102 - the type is documented
    @property
    def batches(self) -> BatchRepository: ...  # noqa: D102 - the type is documented
    @property
    def tasks(self) -> TaskRepository: ...  # noqa: D102 - the type is documented
    @property
    def dead_letters(self) -> DeadLetterRepository: ...  # noqa: D102 - the type is documented
    @property
    def sweeps(self) -> SweepRepository: ...  # noqa: D102 - the type is documented
    @property
    def stops(self) -> StopRepository: ...  # noqa: D102 - the type is documented
    @property
    def pruning(self) -> PruneRepository: ...  # noqa: D102 - the type is documented

    def repository(self, kind: Callable[[Rows], R]) -> R:
        """A job type's own repository: an object of its class, in this transaction."""
        ...

    def now(self) -> datetime:
        """The database's clock (aware): the only clock of rows and scheduled messages."""
        ...


class Database(Protocol):
    """A database with transactions."""

    def transaction(self) -> AbstractContextManager[UnitOfWork]:
        """Opens a transaction: committed at the end of the block, rolled back when it raises.

        Raises:
            DatabaseUnavailableError: PostgreSQL cannot be reached, or no connection was free in time.
        """
        ...
