from typing import Any

from typing_extensions import override

from repositories.ports import TaskListingRepository
from tests.fakes.rows import from_json
from tests.fakes.tables import Tables


class FakeTaskListingRepository(TaskListingRepository):
    """`TaskListingRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    @override
    def checkpoint(self, task_id: str) -> Any:
        row = self._tables.tasks.get(task_id)
        return None if row is None else from_json(row.checkpoint)
