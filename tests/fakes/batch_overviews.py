from collections import defaultdict
from typing import NamedTuple

from typing_extensions import override

from core.batch_overviews import BatchState, EndedSpan, EndedTasks
from core.models import StageKey
from core.statuses import BatchStatus
from repositories.ports import BatchOverviewRepository
from tests.fakes.rows import BatchRow
from tests.fakes.tables import Tables


class _Counts(NamedTuple):
    completed: int = 0
    failed: int = 0
    cancelled: int = 0


class FakeBatchOverviewRepository(BatchOverviewRepository):
    """`BatchOverviewRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    @override
    def states(self, key: StageKey) -> str:
        rows = (row for row in self._tables.batches.rows() if row.stage_key == key)
        return "".join(_state(row) for row in sorted(rows, key=lambda row: row.batch_index))

    @override
    def ended_span(self, job_id: str) -> EndedSpan | None:
        ends = [row.finished_at for row in self._tables.batches.rows() if row.job_id == job_id and row.finished_at]
        return EndedSpan(min(ends), max(ends)) if ends else None

    @override
    def ended_tasks(self, job_id: str, span: EndedSpan, bucket_seconds: int) -> list[EndedTasks]:
        found: dict[int, _Counts] = defaultdict(_Counts)
        for row in self._tables.batches.rows():
            if row.job_id == job_id and row.finished_at is not None and span.first <= row.finished_at <= span.last:
                bucket = int((row.finished_at - span.first).total_seconds() / bucket_seconds)
                completed, failed, cancelled = found[bucket]
                found[bucket] = _Counts(
                    completed + row.task_count - row.failed_tasks - row.cancelled_tasks,
                    failed + row.failed_tasks,
                    cancelled + row.cancelled_tasks,
                )
        return [EndedTasks(bucket, *found[bucket]) for bucket in sorted(found)]


def _state(row: BatchRow) -> BatchState:
    match row.status:
        case BatchStatus.PENDING_QUEUE:
            return BatchState.PENDING
        case BatchStatus.CANCELLED:
            return BatchState.CANCELLED
        case BatchStatus.FINISHED:
            return BatchState.WITH_FAILURES if row.failed_tasks else BatchState.COMPLETED
        case BatchStatus.QUEUED if row.failed_tasks:
            return BatchState.BEGUN_WITH_FAILURES
        case _:
            return BatchState.QUEUED if row.open_tasks == row.task_count else BatchState.BEGUN
