from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from typing_extensions import override

from core.definitions import AlignedBatch
from core.errors import DispatchLeaseLostError
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
from core.statuses import BatchStatus, StageStatus, TaskStatus
from repositories.ports import TaskRepository
from tests.fakes.rows import TASK_ENDED, BatchRow, StageRow, TaskRow, from_json
from tests.fakes.store import Table

_WAITING = (TaskStatus.PENDING_QUEUE, TaskStatus.QUEUED)


class FakeTaskRepository(TaskRepository):
    """`TaskRepository` in memory."""

    def __init__(
        self,
        stages: Table[StageKey, StageRow],
        batches: Table[str, BatchRow],
        tasks: Table[str, TaskRow],
        now: datetime,
    ) -> None:
        self._stages = stages
        self._batches = batches
        self._tasks = tasks
        self._now = now

    @override
    def batch_create_tasks(self, batch: AlignedBatch, status: BatchStatus) -> bool:
        stage = self._stages.get(StageKey(batch.job_id, batch.stage))
        if stage is None or stage.status != StageStatus.DISPATCHING:
            if self._batches.get(batch.batch_id) is not None:
                return False
            raise DispatchLeaseLostError(f"stage {batch.stage} of job {batch.job_id} is not being dispatched")
        row = BatchRow(
            batch_id=batch.batch_id,
            job_id=batch.job_id,
            stage=batch.stage,
            batch_index=batch.batch_index,
            lane=batch.lane,
            task_count=batch.task_count,
            open_tasks=batch.task_count,
            status=status,
            digest=batch.digest,
            created_at=self._now,
            queued_at=self._now if status == BatchStatus.QUEUED else None,
            opening=stage.openings,
        )
        if not self._batches.insert(batch.batch_id, row):
            return False
        for task in batch.rows:
            values = (task.task_id, batch.job_id, task.task_type, batch.stage, task.task_index, batch.batch_id)
            inserted = TaskRow(*values, TaskStatus(status), task.parameters, self._now)
            if not self._tasks.insert(task.task_id, inserted):
                raise self._tasks.violation("tasks_pkey")
        return True

    @override
    def batch_update_status(self, batch_id: str, expected: TaskStatus, status: TaskStatus, send_attempt: int) -> int:
        batch = self._batches.get(batch_id)
        if batch is None or batch.send_attempts != send_attempt:
            return 0
        rows = self._lock_of_batch(batch_id, expected)
        for row in rows:
            self._tasks.update(row.task_id, replace(row, status=status))
        return len(rows)

    def begin_resend(self, batch_id: str) -> dict[str, int]:
        """Counts one more send of each pending task of a batch; returns the send numbers."""
        return self._count_sends(self._lock_of_batch(batch_id, TaskStatus.PENDING_QUEUE))

    @override
    def claim(self, task_ids: Sequence[str], lease_id: str, lease_seconds: float) -> list[ClaimedTask]:
        claimed = []
        for row in self._lock(task_ids, self._may_run):
            taken = replace(
                row,
                status=TaskStatus.PROCESSING,
                attempt=row.attempt + 1,
                not_before=None,
                lease_id=lease_id,
                lease_expires_at=self._now + timedelta(seconds=lease_seconds),
                started_at=row.started_at or self._now,
            )
            self._tasks.update(row.task_id, taken)
            claimed.append(_claimed(taken))
        return claimed

    @override
    def unclaimed(self, task_ids: Sequence[str]) -> list[UnclaimedTask]:
        rows = [row for task_id in sorted(set(task_ids)) if (row := self._tasks.get(task_id)) is not None]
        return [UnclaimedTask(row.task_id, row.status, self._due_at(row)) for row in rows]

    @override
    def renew_leases(self, task_ids: Sequence[str], lease_id: str, lease_seconds: float) -> set[str]:
        held = self._lock_held(task_ids, lease_id)
        for row in held:
            self._tasks.update(row.task_id, replace(row, lease_expires_at=self._now + timedelta(seconds=lease_seconds)))
        return {row.task_id for row in held}

    @override
    def stopped(self, task_ids: Sequence[str]) -> set[str]:
        rows = [row for task_id in set(task_ids) if (row := self._tasks.get(task_id)) is not None]
        return {row.task_id for row in rows if not self._is_live(row)}

    @override
    def record(self, lease_id: str, outcomes: Sequence[TaskOutcome]) -> list[RecordedTask]:
        by_id = {outcome.task_id: outcome for outcome in outcomes}
        return [self._record(row, by_id[row.task_id]) for row in self._lock_held(list(by_id), lease_id)]

    @override
    def release(self, task_ids: Sequence[str], lease_id: str) -> int:
        held = self._lock_held(task_ids, lease_id)
        for row in held:
            given_back = replace(
                row,
                status=TaskStatus.RETRYING,
                not_before=self._now,
                lease_id=None,
                lease_expires_at=None,
                attempt=row.attempt - 1,
                started_at=row.started_at if row.attempt > 1 else None,
            )
            self._tasks.update(row.task_id, given_back)
        return len(held)

    @override
    def count_dead_letter(self, task_id: str, most: int) -> DeadLetterCount | None:
        row = self._tasks.lock(task_id)
        if row is None or row.dead_letters >= most:
            return None
        counted = replace(row, dead_letters=row.dead_letters + 1, sends=row.sends + 1)
        self._tasks.update(task_id, counted)
        return DeadLetterCount(counted.dead_letters, counted.sends)

    @override
    def count_sends(self, task_ids: Sequence[str]) -> dict[str, int]:
        return self._count_sends(self._lock(task_ids, lambda _: True))

    @override
    def get(self, task_id: str) -> Task | None:
        row = self._tasks.get(task_id)
        return None if row is None else _task(row)

    @override
    def page(self, job_id: str, status: TaskStatus | None, after: str, limit: int) -> list[Task]:
        rows = [
            row
            for row in self._tasks.rows()
            if row.parent_job_id == job_id and row.task_id > after and status in {None, row.status}
        ]
        return [_task(row) for row in rows[:limit]]

    @override
    def results_page(self, key: StageKey, after_index: int, limit: int) -> list[TaskResult]:
        rows = [
            TaskResult(row.task_index, row.task_type, row.status, from_json(row.result), from_json(row.error))
            for row in self._tasks.rows()
            if row.stage_key == key and row.task_index > after_index and row.status in TASK_ENDED
        ]
        return rows[:limit]

    def _record(self, row: TaskRow, outcome: TaskOutcome) -> RecordedTask:
        retrying = outcome.status == TaskStatus.RETRYING
        written = replace(
            row,
            status=outcome.status,
            result=outcome.result,
            error=outcome.error,
            lease_id=None,
            lease_expires_at=None,
            failures=row.failures + (outcome.status != TaskStatus.COMPLETED),
            sends=row.sends + retrying,
            not_before=self._now + timedelta(seconds=outcome.retry_delay_seconds) if retrying else None,
            finished_at=None if retrying else self._now,
        )
        self._tasks.update(row.task_id, written)
        return RecordedTask(row.task_id, row.batch_id, written.status, written.sends, written.not_before)

    def _may_run(self, row: TaskRow) -> bool:
        due_at = self._due_at(row)
        return due_at is not None and due_at <= self._now

    def _is_live(self, row: TaskRow) -> bool:
        stage = self._stages.get(row.stage_key)
        return stage is not None and stage.status in {StageStatus.DISPATCHING, StageStatus.RUNNING}

    def _due_at(self, row: TaskRow) -> datetime | None:
        if not self._is_live(row):
            return None
        if row.status in _WAITING:
            return self._now
        return row.lease_expires_at or row.not_before

    def _count_sends(self, rows: Iterable[TaskRow]) -> dict[str, int]:
        sends = {row.task_id: row.sends + 1 for row in rows}
        for task_id, send in sends.items():
            row = self._tasks.lock(task_id)
            assert row is not None
            self._tasks.update(task_id, replace(row, sends=send))
        return sends

    def _lock_held(self, task_ids: Sequence[str], lease_id: str) -> list[TaskRow]:
        return self._lock(task_ids, lambda row: row.status == TaskStatus.PROCESSING and row.lease_id == lease_id)

    def _lock_of_batch(self, batch_id: str, status: TaskStatus) -> list[TaskRow]:
        ids = [row.task_id for row in self._tasks.rows() if row.batch_id == batch_id]
        return self._lock(ids, lambda row: row.status == status)

    def _lock(self, task_ids: Iterable[str], wanted: Callable[[TaskRow], bool]) -> list[TaskRow]:
        """Locks the wanted rows in id order; what another transaction changed meanwhile is looked at again."""
        rows = []
        for task_id in sorted(set(task_ids)):
            seen = self._tasks.get(task_id)
            if seen is not None and wanted(seen):
                row = self._tasks.lock(task_id)
                if row is not None and wanted(row):
                    rows.append(row)
        return rows


def _claimed(row: TaskRow) -> ClaimedTask:
    return ClaimedTask(
        task_id=row.task_id,
        job_id=row.parent_job_id,
        stage=row.stage,
        task_index=row.task_index,
        batch_id=row.batch_id,
        task_type=row.task_type,
        parameters=from_json(row.parameters),
        attempt=row.attempt,
        failures=row.failures,
    )


def _task(row: TaskRow) -> Task:
    columns = {**vars(row)}
    del columns["lease_id"], columns["dead_letters"]
    decoded = {name: from_json(columns[name]) for name in ("parameters", "result", "error")}
    return Task(**{**columns, **decoded})
