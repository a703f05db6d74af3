from collections.abc import Sequence

from core.definitions import AlignedBatch
from core.errors import DispatchLeaseLostError
from core.ids import MAX_STAGE_TASKS, task_id
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
from repositories import queries
from repositories.ports.rows import Row, Rows

_QUERIES = queries.load("tasks")


class PostgresTaskRepository:
    """The table `tasks`; see `TaskRepository` in `repositories/ports/`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def batch_create_tasks(self, batch: AlignedBatch, status: BatchStatus) -> bool:
        """Inserts the batch row and its task rows; False when the batch exists.

        Raises:
            DispatchLeaseLostError: the stage has ended.
        """
        values = {
            "batch_id": batch.batch_id,
            "job_id": batch.job_id,
            "stage": batch.stage,
            "batch_index": batch.batch_index,
            "lane": batch.lane,
            "task_count": batch.task_count,
            "status": status,
            "digest": batch.digest,
            "task_ids": [row.task_id for row in batch.rows],
            "task_types": [row.task_type for row in batch.rows],
            "task_indexes": [row.task_index for row in batch.rows],
            "parameters": [row.parameters for row in batch.rows],
        }
        if self._rows.execute(_QUERIES["batch_create_tasks"], values) == batch.task_count:
            return True
        if self._rows.first(queries.load("batches")["exists"], {"batch_id": batch.batch_id}) is None:
            raise DispatchLeaseLostError(f"stage {batch.stage} of job {batch.job_id} is not being dispatched")
        return False

    def batch_update_status(self, batch_id: str, expected: TaskStatus, status: TaskStatus, send_attempt: int) -> int:
        """Moves a batch's tasks from one status to another, while this is its last send; returns how many."""
        values = {"batch_id": batch_id, "expected": expected, "status": status, "send_attempt": send_attempt}
        return self._rows.execute(_QUERIES["batch_update_status"], values)

    def begin_resend(self, batch_id: str) -> dict[str, int]:
        """Counts one more send of each pending task of a batch; returns the send numbers."""
        rows = self._rows.all(_QUERIES["begin_resend"], {"batch_id": batch_id})
        return {row["task_id"]: row["sends"] for row in rows}

    def claim(self, task_ids: Sequence[str], lease_id: str, lease_seconds: float) -> list[ClaimedTask]:
        """Leases every one of the tasks that may run now."""
        values = {"task_ids": list(task_ids), "lease_id": lease_id, "lease_seconds": lease_seconds}
        return [ClaimedTask(**row) for row in self._rows.all(_QUERIES["claim"], values)]

    def unclaimed(self, task_ids: Sequence[str]) -> list[UnclaimedTask]:
        """Why tasks were not claimed."""
        rows = self._rows.all(_QUERIES["unclaimed"], {"task_ids": list(task_ids)})
        return [UnclaimedTask(row["task_id"], TaskStatus(row["status"]), row["due_at"]) for row in rows]

    def renew_leases(self, task_ids: Sequence[str], lease_id: str, lease_seconds: float) -> set[str]:
        """Extends the leases that are still held; returns these tasks."""
        values = {"task_ids": list(task_ids), "lease_id": lease_id, "lease_seconds": lease_seconds}
        return {row["task_id"] for row in self._rows.all(_QUERIES["renew_leases"], values)}

    def stopped(self, task_ids: Sequence[str]) -> set[str]:
        """Those of the tasks whose stage has ended under them."""
        return {row["task_id"] for row in self._rows.all(_QUERIES["stopped"], {"task_ids": list(task_ids)})}

    def record(self, lease_id: str, outcomes: Sequence[TaskOutcome]) -> list[RecordedTask]:
        """Writes the outcomes of those tasks whose lease is still this one."""
        values = {
            "lease_id": lease_id,
            "task_ids": [outcome.task_id for outcome in outcomes],
            "statuses": [outcome.status for outcome in outcomes],
            "results": [outcome.result for outcome in outcomes],
            "errors": [outcome.error for outcome in outcomes],
            "delays": [outcome.retry_delay_seconds for outcome in outcomes],
        }
        rows = self._rows.all(_QUERIES["record"], values)
        return [RecordedTask(**{**row, "status": TaskStatus(row["status"])}) for row in rows]

    def release(self, task_ids: Sequence[str], lease_id: str) -> int:
        """Gives back tasks that are still held and were not run; returns how many."""
        return self._rows.execute(_QUERIES["release"], {"task_ids": list(task_ids), "lease_id": lease_id})

    def count_dead_letter(self, task_id: str, most: int) -> DeadLetterCount | None:
        """Counts one more dead letter and one more send; None when the task has had so many."""
        row = self._rows.first(_QUERIES["count_dead_letter"], {"task_id": task_id, "most": most})
        return None if row is None else DeadLetterCount(**row)

    def count_sends(self, task_ids: Sequence[str]) -> dict[str, int]:
        """Counts one more send of each task; returns the new send numbers."""
        rows = self._rows.all(_QUERIES["count_sends"], {"task_ids": list(task_ids)})
        return {row["task_id"]: row["sends"] for row in rows}

    def get(self, task_id: str) -> Task | None:
        """The task, or None."""
        row = self._rows.first(_QUERIES["get"], {"task_id": task_id})
        return None if row is None else _task(row)

    def page(self, job_id: str, status: TaskStatus | None, after: str, limit: int) -> list[Task]:
        """Tasks of a job with an id above `after`, in id order."""
        values = {"job_id": job_id, "status": status, "after": after, "limit": limit}
        return [_task(row) for row in self._rows.all(_QUERIES["page"], values)]

    def results_page(self, key: StageKey, after_index: int, limit: int) -> list[TaskResult]:
        """Ended tasks of a stage with an index above `after_index`, in index order."""
        # "-" sorts before every digit, so the first page begins below index 0.
        stage = (key.job_id, key.number)
        after = task_id(*stage, after_index) if after_index >= 0 else f"{key.job_id}-s{key.number:02d}-t-"
        before = task_id(*stage, MAX_STAGE_TASKS - 1) + "~"
        values = {"after": after, "before": before, "limit": limit}
        rows = self._rows.all(_QUERIES["results_page"], values)
        return [TaskResult(**{**row, "status": TaskStatus(row["status"])}) for row in rows]


def _task(row: Row) -> Task:
    return Task(**{**row, "status": TaskStatus(row["status"])})
