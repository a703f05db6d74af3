"""Builds the contexts of controllers from rows."""

from collections.abc import Iterator
from typing import Any

from controllers.base import JobController
from controllers.context import JobContext, StageContext
from controllers.services import Services
from core.models import Job, StageKey
from core.task_runs import TaskResult
from repositories.ports import Database

_PAGE = 200
"""Results per page: 12.5 MiB at most, with the default limit of 64 KiB per result."""


class Contexts:
    """Builds contexts of jobs and stages.

    Args:
        database: holds the results.
        services: passed to controllers and handlers.
    """

    def __init__(self, database: Database, services: Services) -> None:
        self._database = database
        self._services = services

    def job(self, job: Job, controller: JobController[Any]) -> JobContext[Any]:
        """Builds a job's context; the parameters were validated at submission."""
        return JobContext(job.job_id, controller.Parameters.model_validate(job.parameters), self._services)

    def stage(self, job: Job, controller: JobController[Any], number: int) -> StageContext:
        """Builds the context of a stage; stages count from 1, and the stage before has ended."""
        name = controller.stages[number - 1].name
        if number == 1:
            return StageContext(number, name)
        before = StageKey(job.job_id, number - 1)
        with self._database.transaction() as work:
            previous = work.stages.get(before)
        return StageContext(
            number,
            name,
            previous_result=previous.result if previous else None,
            previous_results=lambda: self.results(before),
        )

    def results(self, key: StageKey) -> Iterator[TaskResult]:
        """Yields a finished stage's task results in index order; reads each page in a transaction of its own."""
        after_index = -1
        while True:
            with self._database.transaction() as work:
                page = work.tasks.results_page(key, after_index, _PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            after_index = page[-1].task_index
