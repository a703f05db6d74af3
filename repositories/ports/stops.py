"""The port of stopped and reopened stages."""

from collections.abc import Sequence
from typing import Protocol

from core.models import LiveBatches, StageKey


class StopRepository(Protocol):
    """Cancels the tasks of stopped stages and reopens batches, some at a time; works on several tables."""

    def live_batches(self, key: StageKey) -> LiveBatches:
        """Counts the batches of a stage that have not ended."""
        ...

    def waiting_batches(self, key: StageKey, limit: int) -> list[str]:
        """Up to `limit` batches of a stage with tasks that wait or whose lease has expired."""
        ...

    def cancel_tasks(self, batch_ids: Sequence[str]) -> dict[str, int]:
        """Cancels the tasks of the batches that wait or whose lease has expired; returns how many of each batch."""
        ...

    def lock_stopped(self, key: StageKey) -> bool:
        """Locks the stage until the transaction ends; returns whether it is a stopped stage."""
        ...

    def reopen_batches(self, key: StageKey, limit: int) -> int:
        """Reopens up to `limit` batches of an earlier opening, with their tasks that run again; returns how many.

        Moves these batches and tasks -> pending_queue, resets the attempts, and subtracts the batches from the stage's
        counts. 0 when none is left.

        Raises:
            DispatchLeaseLostError: the stage is not dispatching.
        """
        ...
