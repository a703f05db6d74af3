from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from core.errors import DispatchLeaseLostError
from core.models import StageKey, StageOpening
from core.retry_parts import FailedTask, RetryPart
from core.statuses import BATCH_ENDS, StageStatus, TaskStatus
from repositories.ports import RetryPartRepository
from tests.fakes.rows import BatchRow, RetryPartRow, StageRow, TaskRow, from_json
from tests.fakes.stops import reopened_batch, reopened_task, taken_back
from tests.fakes.tables import Tables


class FakeRetryPartRepository(RetryPartRepository):
    """`RetryPartRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    @override
    def choose(self, key: StageKey, part: RetryPart) -> None:
        stage = self._tables.stages.lock(key)
        assert stage is not None
        self._tables.stages.update(key, replace(stage, kept_failed_tasks=stage.failed_tasks))
        self._tables.retry_parts.lock(key)
        self._tables.retry_parts.update(key, RetryPartRow(key, stage.openings, part))

    @override
    def get(self, opening: StageOpening) -> RetryPart | None:
        row = self._tables.retry_parts.get(opening.key)
        return row.part if row is not None and row.opening == opening.opening else None

    @override
    def places(self, task_ids: Sequence[str]) -> dict[str, tuple[str, TaskStatus]]:
        rows = [row for task_id in task_ids if (row := self._tables.tasks.get(task_id)) is not None]
        return {row.task_id: (row.batch_id, row.status) for row in rows}

    @override
    def failed_tasks(self, key: StageKey, batches: int) -> list[FailedTask]:
        found = sorted(row.batch_id for row in self._tables.batches_of(key) if row.failed_tasks)[:batches]
        return [failed_task(row) for row in self._tasks_of(found) if row.status == TaskStatus.FAILED]

    @override
    def reopen_batches(self, opening: StageOpening, part: RetryPart, limit: int) -> int:
        found = self._to_decide(opening, limit)
        ended = self._tables.tasks.lock_those(
            (row.task_id for row in self._tasks_of(found)),
            lambda row: row.status in (TaskStatus.FAILED, TaskStatus.CANCELLED),
        )
        again: Counter[str] = Counter()
        for row in ended:
            failed = row.status == TaskStatus.FAILED
            if not failed or part.includes(failed_task(row)):
                again[row.batch_id] += failed
                self._tables.tasks.update(row.task_id, reopened_task(row))
        batches = self._tables.batches.lock_those(again)
        stage = self._tables.stages.lock(opening.key)
        if stage is None or stage.status != StageStatus.DISPATCHING or stage.opening != opening:
            raise DispatchLeaseLostError(f"{opening} is not being dispatched")
        for batch in batches:
            if _ended_before(batch, stage):
                stage = taken_back(stage, batch)
                stage = replace(stage, kept_failed_tasks=(stage.kept_failed_tasks or 0) - again[batch.batch_id])
                self._tables.batches.update(batch.batch_id, reopened_batch(batch, stage, again[batch.batch_id]))
        self._tables.stages.update(opening.key, stage)
        row_of_part = self._tables.retry_parts.lock(opening.key)
        if found and row_of_part is not None:
            self._tables.retry_parts.update(opening.key, replace(row_of_part, after_batch_id=found[-1]))
        return len(found)

    def _to_decide(self, opening: StageOpening, limit: int) -> list[str]:
        row, stage = self._tables.retry_parts.get(opening.key), self._tables.stages.get(opening.key)
        if row is None or stage is None or row.opening != opening.opening or stage.openings != row.opening:
            return []
        return sorted(
            batch.batch_id
            for batch in self._tables.batches_of(opening.key)
            if batch.batch_id > row.after_batch_id
            and _ended_before(batch, stage)
            and (batch.cancelled_tasks or (batch.failed_tasks and _may_hold(row.part, batch)))
        )[:limit]

    def _tasks_of(self, batch_ids: Sequence[str]) -> list[TaskRow]:
        wanted = set(batch_ids)
        return [row for row in self._tables.tasks.rows() if row.batch_id in wanted]


def _ended_before(batch: BatchRow, stage: StageRow) -> bool:
    return batch.status in BATCH_ENDS and batch.opening < stage.openings


def _may_hold(part: RetryPart, batch: BatchRow) -> bool:
    return part.batch_ids is None or batch.batch_id in part.batch_ids


def failed_task(row: TaskRow) -> FailedTask:
    error = from_json(row.error) or {}
    return FailedTask(row.task_id, row.batch_id, error.get("type") or "", error.get("message") or "")
