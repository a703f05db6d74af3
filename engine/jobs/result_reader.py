"""Reads the results of a stage's tasks for people, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import JobNotFoundError
from core.models import StageKey
from core.statuses import StageStatus
from core.task_runs import TaskResult
from engine.jobs.shown_rows import shown_result
from engine.process.job_secrets import JobSecrets
from repositories.ports import Database


@dataclass(frozen=True)
class ResultPage:
    """Ended tasks of a stage, in index order.

    Attributes:
        stage: the number of the stage; 0 if the job has not begun.
        stage_status: None if the stage has not begun.
        results: its tasks that have ended.
        has_more: whether ended tasks follow.
    """

    stage: int
    stage_status: StageStatus | None
    results: Sequence[TaskResult]
    has_more: bool


class ResultReader:
    """Reads results without the secrets of their jobs."""

    def __init__(self, database: Database, secrets: JobSecrets) -> None:
        self._database = database
        self._secrets = secrets

    def page(self, job_id: str, stage: int | None, after_index: int, limit: int) -> ResultPage:
        """Returns up to `limit` ended tasks of a stage with an index above `after_index`, up to `MAX_PAGE_BYTES`.

        Args:
            job_id: the job.
            stage: the number of the stage; None for the current one, which is the last one of an ended job.
            after_index: -1 for the first page.
            limit: the most tasks.

        Raises:
            JobNotFoundError: there is no such job.
        """
        with self._database.transaction() as work:
            job = work.jobs.get(job_id)
            if job is None:
                raise JobNotFoundError(job_id)
            key = StageKey(job_id, job.stage if stage is None else stage)
            row = work.stages.get(key)
            if row is None:
                return ResultPage(key.number, None, [], has_more=False)
            page = work.tasks.results_page(key, after_index, limit)
        redaction = self._secrets.of_rows(job)
        results = [shown_result(each, redaction) for each in page]
        return ResultPage(key.number, row.status, results, page.has_more)
