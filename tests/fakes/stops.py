from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from core.errors import DispatchLeaseLostError
from core.models import LiveBatches, StageKey
from core.statuses import BATCH_ENDS, STAGE_STOPS, BatchStatus, StageStatus, TaskStatus
from repositories.ports import StopRepository
from tests.fakes.rows import BatchRow, StageRow, TaskRow
from tests.fakes.tables import Tables

_WAITING = (TaskStatus.PENDING_QUEUE, TaskStatus.QUEUED, TaskStatus.RETRYING)


class FakeStopRepository(StopRepository):
    """`StopRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._now = tables.now

    @override
    def live_batches(self, key: StageKey) -> LiveBatches:
        live = [row for row in self._tables.batches_of(key) if row.status not in BATCH_ENDS]
        return LiveBatches(len(live), sum(row.open_tasks for row in live))

    @override
    def waiting_batches(self, key: StageKey, limit: int) -> list[str]:
        live = {row.batch_id for row in self._tables.batches_of(key) if row.status not in BATCH_ENDS}
        return sorted({row.batch_id for row in self._tables.tasks.rows() if row.batch_id in live and self._waits(row)})[
            :limit
        ]

    @override
    def cancel_tasks(self, batch_ids: Sequence[str]) -> dict[str, int]:
        cancelled: Counter[str] = Counter()
        for row in self._lock_tasks(batch_ids):
            if not self._waits(row):
                continue
            if row.status == TaskStatus.PROCESSING:
                row = replace(  # noqa: PLW2901 - the next version of the row
                    row, status=TaskStatus.RETRYING, not_before=self._now, lease_id=None, lease_expires_at=None
                )
                self._tables.tasks.update(row.task_id, row)
            ended = replace(row, status=TaskStatus.CANCELLED, not_before=None, finished_at=self._now)
            self._tables.tasks.update(row.task_id, ended)
            cancelled[row.batch_id] += 1
        return dict(cancelled)

    @override
    def lock_stopped(self, key: StageKey) -> bool:
        row = self._tables.stages.lock(key)
        return row is not None and row.status in STAGE_STOPS

    @override
    def reopen_batches(self, key: StageKey, limit: int) -> int:
        stage = self._tables.stages.get(key)
        assert stage is not None
        found = [row.batch_id for row in self._tables.batches_of(key) if _reopens(row, stage)][:limit]
        self._reopen_tasks(found, stage)
        batches = [row for batch_id in found if (row := self._tables.batches.lock(batch_id)) is not None]
        stage = self._tables.stages.lock(key)
        if stage is None or stage.status != StageStatus.DISPATCHING:
            raise DispatchLeaseLostError(f"stage {key.number} of job {key.job_id} is not being dispatched")
        for row in batches:
            if not _reopens(row, stage):
                continue
            stage = taken_back(stage, row)
            failed = row.failed_tasks if stage.reopens_failed else 0
            self._tables.batches.update(row.batch_id, reopened_batch(row, stage, failed))
        self._tables.stages.update(key, stage)
        return len(found)

    def _reopen_tasks(self, batch_ids: Sequence[str], stage: StageRow) -> None:
        statuses = {TaskStatus.CANCELLED, TaskStatus.FAILED} if stage.reopens_failed else {TaskStatus.CANCELLED}
        for row in self._lock_tasks(batch_ids):
            if row.status in statuses:
                self._tables.tasks.update(row.task_id, reopened_task(row))

    def _lock_tasks(self, batch_ids: Sequence[str]) -> list[TaskRow]:
        wanted = set(batch_ids)
        return self._tables.tasks.lock_those(row.task_id for row in self._tables.tasks.rows() if row.batch_id in wanted)

    def _waits(self, row: TaskRow) -> bool:
        expired = row.lease_expires_at is not None and row.lease_expires_at <= self._now
        return row.status in _WAITING or (row.status == TaskStatus.PROCESSING and expired)


def _reopens(batch: BatchRow, stage: StageRow) -> bool:
    ended_before = batch.status in BATCH_ENDS and batch.opening < stage.openings
    return ended_before and (batch.cancelled_tasks > 0 or (stage.reopens_failed and batch.failed_tasks > 0))


def reopened_task(row: TaskRow) -> TaskRow:
    return replace(
        row,
        status=TaskStatus.PENDING_QUEUE,
        error=None,
        attempt=0,
        failures=0,
        dead_letters=0,
        started_at=None,
        finished_at=None,
        idle_continuations=0,
    )


def taken_back(stage: StageRow, batch: BatchRow) -> StageRow:
    completed = batch.task_count - batch.failed_tasks - batch.cancelled_tasks
    return replace(
        stage,
        finished_batches=stage.finished_batches - 1,
        completed_tasks=stage.completed_tasks - completed,
        failed_tasks=stage.failed_tasks - batch.failed_tasks,
        cancelled_tasks=stage.cancelled_tasks - batch.cancelled_tasks,
    )


def reopened_batch(batch: BatchRow, stage: StageRow, failed: int) -> BatchRow:
    return replace(
        batch,
        status=BatchStatus.PENDING_QUEUE,
        queued_at=None,
        finished_at=None,
        opening=stage.openings,
        send_attempts=batch.send_attempts + 1,
        open_tasks=batch.cancelled_tasks + failed,
        failed_tasks=batch.failed_tasks - failed,
        cancelled_tasks=0,
    )
