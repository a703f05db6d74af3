"""What follows from a stop, and from going on."""

from collections.abc import Sequence
from typing import Protocol

from core.models import LiveBatches, StageKey


class StopRepository(Protocol):
    """Stopping stages and opening them again, over all tables, some batches at a time."""

    def live_batches(self, key: StageKey) -> LiveBatches:
        """The batches of a stage that have not ended."""
        ...

    def waiting_batches(self, key: StageKey, limit: int) -> list[str]:
        """Up to `limit` batches of a stage with tasks that nobody runs: they wait, or their lease has expired."""
        ...

    def cancel_tasks(self, batch_ids: Sequence[str]) -> dict[str, int]:
        """Cancels those tasks of the batches that nobody runs; returns how many of each batch."""
        ...

    def lock_stopped(self, key: StageKey) -> bool:
        """Holds the stage until the end of the transaction; whether it is failed or cancelled."""
        ...

    def reopen_batches(self, key: StageKey, limit: int) -> int:
        """Puts up to `limit` batches of an earlier opening back, with their tasks that shall run; returns how many.

        Tasks and batches are pending_queue then, attempts count from the start, and the dispatching stage does not
        count the batches any more. 0 when none is left.

        Raises:
            DispatchLeaseLostError: the stage is not being dispatched, any more.
        """
        ...
