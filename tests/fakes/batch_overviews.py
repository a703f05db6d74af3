from collections import defaultdict
from datetime import datetime
from typing import NamedTuple

from typing_extensions import override

from core.batch_overviews import BatchState, EndedSpan, EndedTasks
from core.models import StageKey
from core.recent_ends import FEWEST_TASKS, SAMPLED_BATCHES, EndTimes, RecentEnds
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

    @override
    def recent_ends(self, key: StageKey, times: EndTimes) -> RecentEnds:
        ended: list[tuple[datetime, str]] = []
        begun: set[str] = set()
        for row in self._tables.batches_of(key):
            if row.finished_at is not None and row.finished_at > times.since:
                ended.append((row.finished_at, row.batch_id))
            elif row.finished_at is None and row.open_tasks < row.task_count:
                begun.add(row.batch_id)
        newest = sorted(ended, reverse=True)[:SAMPLED_BATCHES]
        sampled = {batch_id for _, batch_id in newest}
        are_many = len(newest) == SAMPLED_BATCHES and newest[-1][0] > times.lately
        ends = sorted(
            row.finished_at
            for row in self._tables.tasks.rows()
            if row.batch_id in (sampled if are_many else sampled | begun)
            and row.finished_at is not None
            and row.finished_at > times.since
        )
        last_at = ends[-1] if ends else None
        if are_many:
            lately = sum(at > times.lately for at, _ in ended)
            return RecentEnds(times.lately, len(ends) / len(newest) * lately, last_at)
        known = times.since if len(newest) < SAMPLED_BATCHES else newest[-1][0]
        before = [at for at in ends if len(ends) >= FEWEST_TASKS and at < ends[-FEWEST_TASKS]]
        since = max(known, min(times.lately, before[-1] if before else known))
        return RecentEnds(since, sum(at > since for at in ends), last_at)


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
