import uuid

from controllers.base import StageSpec
from core.checkpoints import Checkpoint
from core.models import Stage, StageKey
from repositories.ports import Database, TransactionKind, UnitOfWork
from repositories.transactions import transact


class DispatchLease:
    """The right of one dispatcher to dispatch a stage, until it is released or expires.

    Attributes:
        key: the stage.
        lease_id: names the lease on the stage's row.
        seconds: how long the lease lasts after it is taken or renewed.
        checkpoint: the last one that the dispatch has reached; it is written when the lease is renewed or released,
            because a transaction for each batch would cost too much.
    """

    def __init__(self, database: Database, key: StageKey, seconds: float) -> None:
        self.key = key
        self.lease_id = uuid.uuid4().hex
        self.seconds = seconds
        self.checkpoint: Checkpoint | None = None
        self._database = database

    def start_job(self, first: StageSpec) -> Stage | None:
        """Starts a job and takes the lease of its first stage; returns None when the job has begun or ended."""
        values = (first.name, first.max_failed_fraction, self.lease_id, self.seconds)
        return transact(
            self._database, lambda work: work.stages.start_job(self.key, *values), TransactionKind.ONE_STATEMENT
        )

    def take(self) -> Stage | None:
        """Takes the lease; returns the stage, or None when another dispatcher holds the lease."""

        def take(work: UnitOfWork) -> Stage | None:
            held = work.stages.acquire_dispatch_lease(self.key, self.lease_id, self.seconds)
            return work.stages.get(self.key) if held else None

        return transact(self._database, take)

    def renew(self) -> bool:
        """Renews the lease; returns False when it is lost."""

        def renew(work: UnitOfWork) -> bool:
            self._record_checkpoint(work)
            return work.stages.renew_dispatch_lease(self.key, self.lease_id, self.seconds)

        return transact(self._database, renew)

    def release(self, idle_slices: int | None = None) -> None:
        """Releases the lease, if it is still held.

        Args:
            idle_slices: how many slices in a row have queued nothing new, if this slice has changed that.
        """

        def release(work: UnitOfWork) -> None:
            self._record_checkpoint(work)
            if idle_slices is not None:
                work.stages.record_idle_slices(self.key, self.lease_id, idle_slices)
            work.stages.release_dispatch_lease(self.key, self.lease_id)

        transact(self._database, release)

    def wait_for_room(self, idle_slices: int, low: int) -> bool:
        """Releases the lease until about `low` tasks are out.

        Returns:
            False when no more are out already, or the lease is lost: the lease is not released.
        """

        def wait(work: UnitOfWork) -> bool:
            self._record_checkpoint(work)
            work.stages.record_idle_slices(self.key, self.lease_id, idle_slices)
            return work.stages.wait_for_room(self.key, self.lease_id, low)

        return transact(self._database, wait)

    def _record_checkpoint(self, work: UnitOfWork) -> None:
        if self.checkpoint is not None:
            work.stages.record_checkpoint(self.key, self.lease_id, self.checkpoint)
