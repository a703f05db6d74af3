"""Reads the failed tasks of a job for people: grouped by their cause, and those of one group."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from core.error_groups import shown_message
from core.errors import JobNotFoundError
from core.failures import Failures, grouped, tasks_of
from core.models import Job, Task
from core.pages import Page, TaskPayload
from core.redaction import Redaction
from engine.jobs.shown_rows import shown_task
from engine.process.job_secrets import JobSecrets
from repositories.ports import Database


@dataclass(frozen=True)
class FailurePage:
    """The failed tasks of some batches, grouped.

    Attributes:
        groups: the most frequent first.
        failed_tasks: of the whole job.
        read_tasks: the failed tasks that this page counts.
        next: the id of the task after which the next page begins; None for the last page.
    """

    groups: Sequence[Failures]
    failed_tasks: int
    read_tasks: int
    next: str | None


@dataclass(frozen=True)
class FailedTasks:
    """Failed tasks of one group, and the id of the task after which the next page begins; None for the last page."""

    tasks: Sequence[Task]
    next: str | None


class FailureReader:
    """Reads failed tasks without the secrets of their jobs; each answer reads a few batches."""

    def __init__(self, database: Database, secrets: JobSecrets) -> None:
        self._database = database
        self._secrets = secrets

    def check(self, job_id: str) -> None:
        """Checks that there is such a job.

        Raises:
            JobNotFoundError: there is not.
        """
        with self._database.transaction() as work:
            _found(work.jobs.get(job_id), job_id)

    def groups(self, job_id: str, after: str) -> FailurePage:
        """Groups the failed tasks of the next batches after a task.

        Raises:
            JobNotFoundError: there is no such job.
        """
        with self._database.transaction() as work:
            job = _found(work.jobs.get(job_id), job_id)
            errors = work.task_listing.errors(job_id, after)
            failed_tasks = work.task_listing.failed_count(job_id)
        redaction = self._secrets.of_rows(job) or Redaction()
        groups = [
            replace(each, group=replace(each.group, message=shown_message(each.example.message, redaction)))
            for each in grouped(errors)
        ]
        return FailurePage(groups, failed_tasks, len(errors), errors[-1].task_id if errors.has_more else None)

    def tasks(
        self, job_id: str, group_id: str, after: str, limit: int, include: Iterable[TaskPayload] = ()
    ) -> FailedTasks:
        """Returns up to `limit` failed tasks of a group, from the next batches after a task.

        A page may have fewer tasks, or none, though others follow.

        Raises:
            JobNotFoundError: there is no such job.
        """
        with self._database.transaction() as work:
            job = _found(work.jobs.get(job_id), job_id)
            errors = work.task_listing.errors(job_id, after)
            found = tasks_of(group_id, errors)
            tasks = work.task_listing.of_ids(found[:limit], include) if found else Page[Task]([], has_more=False)
        redaction = self._secrets.of_rows(job)
        shown = [shown_task(task, redaction) for task in tasks]
        if shown and (tasks.has_more or len(found) > limit):
            return FailedTasks(shown, shown[-1].task_id)
        return FailedTasks(shown, errors[-1].task_id if errors.has_more else None)


def _found(job: Job | None, job_id: str) -> Job:
    if job is None:
        raise JobNotFoundError(job_id)
    return job
