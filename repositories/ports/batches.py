"""The port of the table batches."""

from collections.abc import Sequence
from typing import Protocol

from core.models import Batch, PendingBatch, Resend, StageKey
from core.pages import MAX_PAGE_BYTES, Page
from core.task_runs import BatchDelta


class BatchRepository(Protocol):
    """The table `batches`, the outbox."""

    def get(self, batch_id: str) -> Batch | None:
        """Returns the batch, or None."""
        ...

    def page(self, key: StageKey, after_index: int, limit: int) -> list[Batch]:
        """Returns up to `limit` batches of a stage with an index above `after_index`, in index order."""
        ...

    def page_of_job(
        self, job_id: str, after: tuple[int, int], limit: int, max_bytes: int = MAX_PAGE_BYTES
    ) -> Page[Batch]:
        """Returns up to `limit` batches of a job after (stage, batch_index), in that order.

        Their errors have at most `max_bytes`; that of one may have more.
        """
        ...

    def pending_of_stage(self, key: StageKey, after_index: int, limit: int) -> list[PendingBatch]:
        """Returns up to `limit` pending_queue batches of a stage with an index above `after_index`, in index order."""
        ...

    def mark_queued(self, batch_id: str, send_attempt: int, *, enveloped: bool = False) -> bool:
        """Moves pending_queue -> queued for the batch and its pending tasks.

        The rows of tasks in an envelope are not written: such a task is shown as queued when its batch is. Changes
        nothing and returns False when the batch is in another status, or `send_attempt` is not its last send.
        """
        ...

    def begin_resend(self, batch_id: str) -> Resend | None:
        """Counts one more send of a pending batch and of its pending tasks; None when the batch is not pending."""
        ...

    def record_send_error(self, batch_id: str, error: str) -> None:
        """Notes why the last send failed."""
        ...

    def apply_outcomes(self, deltas: Sequence[BatchDelta]) -> list[str]:
        """Subtracts ended tasks from their batches' open tasks, in id order; returns the batches that this ends."""
        ...
