"""Builds what controllers are told, from rows."""

from collections.abc import Iterator
from typing import Any

from controllers.base import JobController
from controllers.context import JobContext, StageContext
from controllers.services import Services
from core.models import Job, StageKey, TaskResult
from repositories.ports import Database

_PAGE = 200
"""Results a page: at the default limit of 64 KiB a result, 12.5 MiB at most."""


class Contexts:
    """Builds contexts of jobs and stages.

    Args:
        database: where results are read.
        services: lent to controllers and handlers.
    """

    def __init__(self, database: Database, services: Services) -> None:
        self._database = database
        self._services = services

    def job(self, job: Job, controller: JobController[Any]) -> JobContext[Any]:
        """A job's context; its parameters were validated when it was submitted."""
        return JobContext(job.job_id, controller.Parameters.model_validate(job.parameters), self._services)

    def stage(self, job: Job, controller: JobController[Any], stage: int) -> StageContext:
        """The context of a stage (from 1) whose predecessor, if any, has ended."""
        name = controller.stages[stage - 1].name
        if stage == 1:
            return StageContext(stage, name)
        with self._database.transaction() as work:
            previous = work.stages.get(StageKey(job.job_id, stage - 1))
        return StageContext(
            stage,
            name,
            previous_result=previous.result if previous else None,
            previous_results=lambda: self.results(job.job_id, stage - 1),
        )

    def results(self, job_id: str, stage: int) -> Iterator[TaskResult]:
        """A finished stage's task results in index order; a page at a time, a transaction a page."""
        after_index = -1
        while True:
            with self._database.transaction() as work:
                page = work.tasks.results_page(StageKey(job_id, stage), after_index, _PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            after_index = page[-1].task_index
