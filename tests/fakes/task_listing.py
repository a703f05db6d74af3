from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from typing_extensions import override

from core.error_groups import READ_CHARACTERS
from core.failures import MOST_READ_BATCHES, MOST_READ_FAILURES
from core.lanes import Lane
from core.models import MOST_NOTED_BATCHES, MOST_PROGRESS_NOTES, ProgressNote, Task, TaskError
from core.pages import MAX_PAGE_BYTES, Page, TaskPayload
from core.statuses import BATCH_ENDS, TaskStatus
from repositories.ports import TaskListingRepository
from tests.fakes.pages import cut, json_bytes
from tests.fakes.rows import BatchRow, TaskRow, from_json
from tests.fakes.tables import Tables
from tests.fakes.task_rows import as_task


class FakeTaskListingRepository(TaskListingRepository):
    """`TaskListingRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    @override
    def checkpoint(self, task_id: str) -> Any:
        row = self._tables.tasks.get(task_id)
        return None if row is None else from_json(row.checkpoint)

    @override
    def progress_notes(
        self, job_id: str, notes: int = MOST_PROGRESS_NOTES, batches: int = MOST_NOTED_BATCHES
    ) -> list[ProgressNote]:
        live = [row for row in self._tables.batches.rows() if row.job_id == job_id and row.status not in BATCH_ENDS]
        live.sort(key=lambda row: (row.lane != Lane.LONG, row.stage, row.batch_index))
        read = {row.batch_id for row in live[:batches]}
        found = [
            ProgressNote(row.task_id, row.stage, row.progress, row.progress_note, row.progress_at)
            for row in self._tables.tasks.rows()
            if row.batch_id in read
            and row.status == TaskStatus.PROCESSING
            and row.progress is not None
            and row.progress_at is not None
        ]
        found.sort(key=lambda note: note.task_id)
        return sorted(found, key=lambda note: note.progress_at, reverse=True)[:notes]

    @override
    def failed_count(self, job_id: str) -> int:
        return sum(row.failed_tasks for row in self._tables.batches.rows() if row.job_id == job_id)

    @override
    def errors(
        self, job_id: str, after: str, batches: int = MOST_READ_BATCHES, tasks: int = MOST_READ_FAILURES
    ) -> Page[TaskError]:
        of_job = (row for row in self._tables.batches.rows() if row.job_id == job_id and row.failed_tasks > 0)
        in_order = sorted(of_job, key=_place)
        if after:
            first = self._batch_of(after)
            in_order = [row for row in in_order if first is not None and _place(row) >= _place(first)]
        failed_before = accumulate((row.failed_tasks for row in in_order), initial=0)
        read = [
            row
            for number, (row, before) in enumerate(zip(in_order, failed_before, strict=False))
            if number < batches and (number < 2 or before < tasks)
        ]
        failed = [task for batch in read for task in self._failed_of(batch, after)]
        return Page(map(_error, failed), has_more=bool(failed) and len(in_order) > len(read))

    @override
    def of_ids(
        self, task_ids: Sequence[str], include: Iterable[TaskPayload] = (), max_bytes: int = MAX_PAGE_BYTES
    ) -> Page[Task]:
        included = set(include)
        rows = [row for task_id in task_ids if (row := self._tables.tasks.get(task_id)) is not None]

        def size(row: TaskRow) -> int:
            return json_bytes(row.error, row.errors, *(getattr(row, name) for name in included))

        page = cut(rows, len(rows), max_bytes, size)
        return Page((as_task(row, included) for row in page), has_more=page.has_more)

    def _batch_of(self, task_id: str) -> BatchRow | None:
        row = self._tables.tasks.get(task_id)
        return None if row is None else self._tables.batches.get(row.batch_id)

    def _failed_of(self, batch: BatchRow, after: str) -> list[TaskRow]:
        begun = self._batch_of(after) if after else None
        is_first = begun is not None and begun.batch_id == batch.batch_id
        return [
            row
            for row in self._tables.tasks.rows()
            if row.batch_id == batch.batch_id
            and row.status == TaskStatus.FAILED
            and (not is_first or row.task_id > after)
        ]


def _place(row: BatchRow) -> tuple[int, int]:
    return row.stage, row.batch_index


def _error(row: TaskRow) -> TaskError:
    error = from_json(row.error)
    return TaskError(row.task_id, error.get("type") or "", (error.get("message") or "")[:READ_CHARACTERS])
