"""Reads one task for people, with all that is kept of it."""

from dataclasses import dataclass
from typing import Any

from core.errors import JobNotFoundError, MessageFormatError, TaskNotFoundError
from core.ids import parse_task_id
from core.models import Task
from core.redaction import MASK
from engine.jobs.shown_rows import shown_task, shown_value
from engine.process.job_secrets import JobSecrets
from repositories.ports import Database


@dataclass(frozen=True)
class TaskView:
    """A task with its parameters and its result, and its last checkpoint."""

    task: Task
    checkpoint: Any


class TaskReader:
    """Reads tasks without the secrets of their jobs."""

    def __init__(self, database: Database, secrets: JobSecrets) -> None:
        self._database = database
        self._secrets = secrets

    def task(self, job_id: str, task_id: str) -> TaskView:
        """Returns a task of a job.

        Raises:
            JobNotFoundError: there is no such job.
            TaskNotFoundError: the job has no such task.
        """
        with self._database.transaction() as work:
            job = work.jobs.get(job_id)
            if job is None:
                raise JobNotFoundError(job_id)
            task = work.tasks.get(task_id) if _is_task_of(job_id, task_id) else None
            if task is None:
                raise TaskNotFoundError(job_id, task_id)
            checkpoint = work.task_listing.checkpoint(task_id)
        redaction = self._secrets.of_rows(job)
        # A handler may keep anything in its checkpoint.
        hidden = checkpoint is not None and redaction is None
        return TaskView(shown_task(task, redaction), MASK if hidden else shown_value(checkpoint, redaction))


def _is_task_of(job_id: str, text: str) -> bool:
    try:
        return parse_task_id(text).job_id == job_id
    except MessageFormatError:
        return False
