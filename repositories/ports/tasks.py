"""The table tasks."""

from collections.abc import Sequence
from typing import Protocol

from core.definitions import AlignedBatch
from core.models import (
    ClaimedTask,
    DeadLetterCount,
    RecordedTask,
    StageKey,
    Task,
    TaskOutcome,
    TaskResult,
    UnclaimedTask,
)
from core.statuses import BatchStatus, TaskStatus


class TaskRepository(Protocol):
    """The table `tasks`."""

    def batch_create_tasks(self, batch: AlignedBatch, status: BatchStatus) -> bool:
        """Inserts the batch row and its task rows with the same status; False when the batch exists.

        Raises:
            DispatchLeaseLostError: the stage is not being dispatched, any more.
        """
        ...

    def batch_update_status(self, batch_id: str, expected: TaskStatus, status: TaskStatus, send_attempt: int) -> int:
        """Moves a batch's tasks from one status to another, while this is its last send; returns how many."""
        ...

    def claim(self, task_ids: Sequence[str], lease_id: str, lease_seconds: float) -> list[ClaimedTask]:
        """Leases every one of the tasks that may run now, attempt + 1; the others are not returned.

        None of a stage that is not dispatching or running may run.
        """
        ...

    def unclaimed(self, task_ids: Sequence[str]) -> list[UnclaimedTask]:
        """Why tasks were not claimed; tasks without a row are not returned."""
        ...

    def renew_leases(self, task_ids: Sequence[str], lease_id: str, lease_seconds: float) -> set[str]:
        """Extends the leases that are still held; returns these tasks."""
        ...

    def stopped(self, task_ids: Sequence[str]) -> set[str]:
        """Those of the tasks whose stage has ended under them: whoever runs them may stop."""
        ...

    def record(self, lease_id: str, outcomes: Sequence[TaskOutcome]) -> list[RecordedTask]:
        """Writes the outcomes of those tasks whose lease is still this one; returns these."""
        ...

    def release(self, task_ids: Sequence[str], lease_id: str) -> int:
        """Gives back tasks that are held and were not run: due at once, the attempt not spent; returns how many."""
        ...

    def count_dead_letter(self, task_id: str, most: int) -> DeadLetterCount | None:
        """Counts one more dead letter and one more send of a task; None when it has had so many, or no row."""
        ...

    def count_sends(self, task_ids: Sequence[str]) -> dict[str, int]:
        """Counts one more send of each task; returns the new send numbers by task id."""
        ...

    def get(self, task_id: str) -> Task | None:
        """The task, or None."""
        ...

    def page(self, job_id: str, status: TaskStatus | None, after: str, limit: int) -> list[Task]:
        """Up to `limit` tasks of a job with an id above `after`, in id order, of one status or any."""
        ...

    def results_page(self, key: StageKey, after_index: int, limit: int) -> list[TaskResult]:
        """Up to `limit` ended tasks of a stage with an index above `after_index`, in index order."""
        ...
