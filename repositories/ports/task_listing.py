"""The port of what people read of tasks beside their rows."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from core.failures import MOST_READ_BATCHES, MOST_READ_FAILURES
from core.models import MOST_NOTED_BATCHES, MOST_PROGRESS_NOTES, ProgressNote, Task, TaskError
from core.pages import MAX_PAGE_BYTES, Page, TaskPayload


class TaskListingRepository(Protocol):
    """Reads the table `tasks` for people."""

    def checkpoint(self, task_id: str) -> Any:
        """Returns the last checkpoint of a task; None if it has none, or has completed."""
        ...

    def progress_notes(
        self, job_id: str, notes: int = MOST_PROGRESS_NOTES, batches: int = MOST_NOTED_BATCHES
    ) -> list[ProgressNote]:
        """Returns what running tasks of a job said last, the newest first.

        Args:
            job_id: the job.
            notes: the most that are returned.
            batches: looks at so many unfinished batches: at those of long tasks first, in the order of the batches.
        """
        ...

    def failed_count(self, job_id: str) -> int:
        """Returns the number of a job's failed tasks."""
        ...

    def errors(
        self, job_id: str, after: str, batches: int = MOST_READ_BATCHES, tasks: int = MOST_READ_FAILURES
    ) -> Page[TaskError]:
        """Returns the errors of the failed tasks of the next batches that have any, in the order of the batches.

        Args:
            job_id: the job.
            after: the id of a task of the job, after which to begin in this order; "" for the beginning.
            batches: the most batches with failed tasks, at least 2: that of `after` may have none after it.
            tasks: two batches are read in any case, and others only after fewer failed tasks than this.

        Returns:
            All their failed tasks, with the first `READ_CHARACTERS` of each message; at least one if any follow.
        """
        ...

    def of_ids(
        self, task_ids: Sequence[str], include: Iterable[TaskPayload] = (), max_bytes: int = MAX_PAGE_BYTES
    ) -> Page[Task]:
        """Returns the tasks with these ids, at least one, in the given order; limited as `TaskRepository.page`."""
        ...
