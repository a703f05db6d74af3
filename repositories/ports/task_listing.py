"""The port of what people read of tasks beside their rows."""

from typing import Any, Protocol


class TaskListingRepository(Protocol):
    """Reads the table `tasks` for people."""

    def checkpoint(self, task_id: str) -> Any:
        """Returns the last checkpoint of a task; None if it has none, or has completed."""
        ...
