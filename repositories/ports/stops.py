"""The port of stopped and reopened stages."""

from collections.abc import Sequence
from typing import Protocol

from core.models import LiveBatches, StageKey


class StopRepository(Protocol):
    """Cancels the tasks of stopped stages and reopens batches, a few at a time; works on several tables."""

    def live_batches(self, key: StageKey) -> LiveBatches:
        """Counts the batches of a stage that have not ended."""
        ...

    def waiting_batches(self, key: StageKey, limit: int) -> list[str]:
        """Returns up to `limit` batches of a stage with waiting tasks, or with tasks whose lease has expired."""
        ...

    def cancel_tasks(self, batch_ids: Sequence[str]) -> dict[str, int]:
        """Cancels the waiting tasks of batches, and tasks whose lease has expired; returns their number by batch id."""
        ...

    def lock_stopped(self, key: StageKey) -> bool:
        """Locks the stage until the transaction ends; returns whether it is a stopped stage."""
        ...

    def reopen_batches(self, key: StageKey, limit: int) -> int:
        """Reopens up to `limit` batches of an earlier opening, with the tasks to run again; returns how many batches.

        Moves these batches and tasks -> pending_queue, resets the attempts, and subtracts the batches from the stage's
        counts. Returns 0 when no batch is left to reopen.

        Raises:
            DispatchLeaseLostError: the stage is not dispatching.
        """
        ...
