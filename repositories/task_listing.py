"""What people read of tasks, on PostgreSQL."""

from collections.abc import Iterable, Sequence
from typing import Any

from typing_extensions import override

from core.error_groups import READ_CHARACTERS
from core.failures import MOST_READ_BATCHES, MOST_READ_FAILURES
from core.models import MOST_NOTED_BATCHES, MOST_PROGRESS_NOTES, ProgressNote, Task, TaskError
from core.pages import MAX_PAGE_BYTES, Page, TaskPayload
from repositories import queries
from repositories.found_pages import page_of
from repositories.ports import TaskListingRepository
from repositories.ports.rows import Rows
from repositories.tasks import task_of_row

_QUERIES = queries.load("task_listing")


class PostgresTaskListingRepository(TaskListingRepository):
    """Runs the queries of `sql/task_listing.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def checkpoint(self, task_id: str) -> Any:
        row = self._rows.first(_QUERIES["checkpoint"], {"task_id": task_id})
        return None if row is None else row["checkpoint"]

    @override
    def progress_notes(
        self, job_id: str, notes: int = MOST_PROGRESS_NOTES, batches: int = MOST_NOTED_BATCHES
    ) -> list[ProgressNote]:
        values = {"job_id": job_id, "notes": notes, "batches": batches}
        return [ProgressNote(**row) for row in self._rows.all(_QUERIES["progress_notes"], values)]

    @override
    def failed_count(self, job_id: str) -> int:
        return int(self._rows.one(_QUERIES["failed_count"], {"job_id": job_id})["failed_tasks"])

    @override
    def errors(
        self, job_id: str, after: str, batches: int = MOST_READ_BATCHES, tasks: int = MOST_READ_FAILURES
    ) -> Page[TaskError]:
        limits = {"batches": batches, "most_tasks": tasks, "characters": READ_CHARACTERS}
        values = {"job_id": job_id, "after": after, **limits}
        rows = self._rows.tuples(_QUERIES["errors"], values)
        errors = (TaskError(task_id, error_type or "", message or "") for task_id, error_type, message, _ in rows)
        return Page(errors, has_more=bool(rows) and rows[0][-1])

    @override
    def of_ids(
        self, task_ids: Sequence[str], include: Iterable[TaskPayload] = (), max_bytes: int = MAX_PAGE_BYTES
    ) -> Page[Task]:
        included = set(include)
        values = {
            "task_ids": list(task_ids),
            "with_parameters": TaskPayload.PARAMETERS in included,
            "with_result": TaskPayload.RESULT in included,
            "max_bytes": max_bytes,
        }
        return page_of(self._rows.all(_QUERIES["of_ids"], values), task_of_row)
