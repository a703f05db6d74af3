"""The port of the table tasks."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from core.definitions import AlignedBatch
from core.models import StageKey, Task, TaskError
from core.pages import MAX_PAGE_BYTES, Page, TaskPayload
from core.statuses import BatchStatus, TaskStatus
from core.task_runs import ClaimedTask, RecordedTask, TaskOutcome, TaskResult, UnclaimedTask


class TaskRepository(Protocol):
    """The table `tasks`."""

    def batch_create_tasks(self, batch: AlignedBatch, status: BatchStatus, lease_id: str) -> bool:
        """Inserts the batch row and its task rows with the same status; False when the batch exists already.

        Until the transaction ends, no other dispatcher takes the stage over.

        Raises:
            DispatchLeaseLostError: the stage is not dispatching, or another dispatcher has taken this dispatch lease.
        """
        ...

    def batch_update_status(self, batch_id: str, expected: TaskStatus, status: TaskStatus, send_attempt: int) -> int:
        """Moves tasks of a batch from one status to another, if `send_attempt` is its last send; returns how many."""
        ...

    def claim(
        self, task_ids: Sequence[str], lease_id: str, lease_seconds: float, worker: str | None = None
    ) -> list[ClaimedTask]:
        """Leases the tasks that may run now, and counts the attempt; returns the leased tasks.

        Tasks of a stopped stage may not run. Leaves out the tasks whose rows another transaction has locked.

        Args:
            task_ids: the tasks.
            lease_id: the lease.
            lease_seconds: its length.
            worker: the instance that will run the tasks; None if they will not run.
        """
        ...

    def claim_batch(self, batch_id: str, lease_id: str, lease_seconds: float, worker: str) -> list[ClaimedTask]:
        """As `claim`, for all tasks of a batch."""
        ...

    def ids_of_batch(self, batch_id: str) -> list[str]:
        """Returns the ids of all tasks of a batch, in order; none if it has no row."""
        ...

    def unclaimed(self, task_ids: Sequence[str]) -> list[UnclaimedTask]:
        """Returns why the tasks cannot be claimed; leaves out tasks without a row."""
        ...

    def renew_leases(self, task_ids: Sequence[str], lease_id: str, lease_seconds: float) -> set[str]:
        """Extends the leases that are still held; returns the ids of their tasks.

        A lease whose row another transaction has locked is held still, and is not extended.
        """
        ...

    def stopped(self, task_ids: Sequence[str]) -> set[str]:
        """Returns the ids of the tasks whose stage has ended: their handlers may end early."""
        ...

    def record(self, lease_id: str, outcomes: Sequence[TaskOutcome]) -> list[RecordedTask]:
        """Writes the outcomes of the tasks that are still under this lease; returns these tasks."""
        ...

    def write_checkpoint(self, task_id: str, lease_id: str, checkpoint: str) -> bool:
        """Writes the checkpoint (JSON) of a task that is still under this lease; False when the lease is lost."""
        ...

    def write_progress(self, task_id: str, lease_id: str, fraction: float, note: str | None) -> bool:
        """Writes the progress of a task that is still under this lease; False when the lease is lost."""
        ...

    def release(self, task_ids: Sequence[str], lease_id: str) -> int:
        """Releases tasks under this lease: they are due at once, the attempt is not spent; returns how many."""
        ...

    def begin_dead_letter(self, task_id: str, sends: int) -> int | None:
        """Returns how often the broker gave up on messages of the task; fails when the database refuses writes.

        Returns:
            The count; None when the task has ended, was sent again since `sends`, or has no row.
        """
        ...

    def count_dead_letter(self, task_id: str, sends: int, *, died: bool) -> bool:
        """Counts one more send of a task that has not ended and, with `died`, one more dead letter.

        Changes nothing and returns False when the task has ended, or its number of sends is no longer `sends`.
        """
        ...

    def count_sends(self, task_ids: Sequence[str]) -> dict[str, int]:
        """Counts one more send of each task; returns the new send numbers by task id.

        Leaves out the tasks whose rows another transaction has locked.
        """
        ...

    def get(self, task_id: str) -> Task | None:
        """Returns the task, or None."""
        ...

    def page(
        self,
        job_id: str,
        status: TaskStatus | None,
        after: str,
        limit: int,
        include: Iterable[TaskPayload] = (),
        max_bytes: int = MAX_PAGE_BYTES,
    ) -> Page[Task]:
        """Returns the tasks of a job with an id above `after`, in id order, in one status or in any.

        Args:
            job_id: the job.
            status: None for any.
            after: a task id, or an empty string.
            limit: the most tasks, at least 1.
            include: the payload that the page has; the rest is None, and is not read.
            max_bytes: the most bytes of errors and included payload as JSON; one task may have more.
        """
        ...

    def results_page(
        self, key: StageKey, after_index: int, limit: int, max_bytes: int = MAX_PAGE_BYTES
    ) -> Page[TaskResult]:
        """Returns the ended tasks of a stage with an index above `after_index`, in index order; limited as `page`."""
        ...

    def first_errors(self, key: StageKey, limit: int) -> list[TaskError]:
        """Returns the errors of the first `limit` failed tasks of a stage, in index order."""
        ...
