"""What people read of tasks, on PostgreSQL."""

from typing import Any

from typing_extensions import override

from repositories import queries
from repositories.ports import TaskListingRepository
from repositories.ports.rows import Rows

_QUERIES = queries.load("task_listing")


class PostgresTaskListingRepository(TaskListingRepository):
    """Runs the queries of `sql/task_listing.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def checkpoint(self, task_id: str) -> Any:
        row = self._rows.first(_QUERIES["checkpoint"], {"task_id": task_id})
        return None if row is None else row["checkpoint"]
