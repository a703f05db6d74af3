from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from typing_extensions import override

from core.models import Batch, PendingBatch, Resend, StageKey
from core.pages import MAX_PAGE_BYTES, Page
from core.statuses import BATCH_ENDS, BatchStatus, TaskStatus
from core.task_runs import BatchDelta
from repositories.ports import BatchRepository
from tests.fakes.pages import cut
from tests.fakes.rows import BatchRow
from tests.fakes.tables import Tables
from tests.fakes.tasks import FakeTaskRepository


class FakeBatchRepository(BatchRepository):
    """`BatchRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._now = tables.now

    @override
    def get(self, batch_id: str) -> Batch | None:
        row = self._tables.batches.get(batch_id)
        return None if row is None else _batch(row)

    @override
    def page(self, key: StageKey, after_index: int, limit: int) -> list[Batch]:
        return self._select(lambda row: row.stage_key == key and row.batch_index > after_index, limit)

    @override
    def page_of_job(
        self, job_id: str, after: tuple[int, int], limit: int, max_bytes: int = MAX_PAGE_BYTES
    ) -> Page[Batch]:
        rows = self._select(lambda row: row.job_id == job_id and (row.stage, row.batch_index) > after, limit + 1)
        return cut(rows, limit, max_bytes, lambda row: len((row.last_error or "").encode()))

    @override
    def pending_of_stage(self, key: StageKey, after_index: int, limit: int) -> list[PendingBatch]:
        found = [
            row
            for row in self._tables.batches.rows()
            if row.stage_key == key and row.status == BatchStatus.PENDING_QUEUE and row.batch_index > after_index
        ]
        found.sort(key=lambda row: row.batch_index)
        return [PendingBatch(row.batch_id, row.lane, row.batch_index) for row in found[:limit]]

    @override
    def mark_queued(self, batch_id: str, send_attempt: int, *, enveloped: bool = False) -> bool:
        if not enveloped:
            FakeTaskRepository(self._tables).batch_update_status(
                batch_id, TaskStatus.PENDING_QUEUE, TaskStatus.QUEUED, send_attempt
            )
        row = self._tables.batches.lock(batch_id)
        if row is None or row.send_attempts != send_attempt:
            return False
        return self._change_pending(batch_id, status=BatchStatus.QUEUED, queued_at=self._now, last_error=None)

    @override
    def begin_resend(self, batch_id: str) -> Resend | None:
        sends = FakeTaskRepository(self._tables).begin_resend(batch_id)
        row = self._tables.batches.lock(batch_id)
        if row is None or not self._change_pending(batch_id, send_attempts=row.send_attempts + 1):
            return None
        return Resend(row.send_attempts + 1, sends, row.enveloped)

    @override
    def record_send_error(self, batch_id: str, error: str) -> None:
        self._change_pending(batch_id, last_error=error[:2000])

    @override
    def apply_outcomes(self, deltas: Sequence[BatchDelta]) -> list[str]:
        finished = []
        for delta in sorted(deltas, key=lambda delta: delta.batch_id):
            row = self._tables.batches.lock(delta.batch_id)
            if row is None:
                continue
            row = replace(
                row,
                open_tasks=row.open_tasks - delta.completed - delta.failed - delta.cancelled,
                failed_tasks=row.failed_tasks + delta.failed,
                cancelled_tasks=row.cancelled_tasks + delta.cancelled,
            )
            arrived = row.opening == 0 and delta.completed + delta.failed > 0
            ran = row.open_tasks == 0 and row.cancelled_tasks < row.task_count
            if row.status == BatchStatus.PENDING_QUEUE and (arrived or ran):
                row = replace(row, status=BatchStatus.QUEUED, queued_at=self._now, last_error=None)
                self._tables.batches.update(row.batch_id, row)
            if row.open_tasks == 0 and row.status not in BATCH_ENDS:
                status = BatchStatus.FINISHED if ran else BatchStatus.CANCELLED
                row = replace(row, status=status, finished_at=self._now)
                finished.append(row.batch_id)
            self._tables.batches.update(row.batch_id, row)
        return finished

    def _change_pending(self, batch_id: str, **changes: Any) -> bool:
        row = self._tables.batches.lock(batch_id)
        if row is None or row.status != BatchStatus.PENDING_QUEUE:
            return False
        self._tables.batches.update(batch_id, replace(row, **changes))
        return True

    def _select(self, wanted: Callable[[BatchRow], bool], limit: int) -> list[Batch]:
        rows = sorted(
            (row for row in self._tables.batches.rows() if wanted(row)), key=lambda row: (row.stage, row.batch_index)
        )
        return [_batch(row) for row in rows[:limit]]


def _batch(row: BatchRow) -> Batch:
    columns = {**vars(row)}
    del columns["opening"]
    return Batch(**columns)
