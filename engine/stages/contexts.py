"""Builds the contexts of controllers from rows."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from controllers.base import JobController, StageSpec
from controllers.context import JobContext, StageContext
from controllers.services import Services
from core.checkpoints import START, Checkpoint
from core.errors import UnknownStageError
from core.models import Job, StageKey
from core.pages import Page
from core.task_runs import TaskResult
from engine.process.result_pages import result_pages, result_pages_ahead, results_page
from engine.stages.controller_call import ControllerCall
from repositories.ports import Database


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
        """Builds a job's context; the parameters were validated at submission, perhaps by another version.

        Raises:
            ControllerError: the parameters are not valid.
        """
        with ControllerCall().controllers():
            parameters = controller.Parameters.model_validate(job.parameters)
        return JobContext(job.job_id, parameters, self._services)

    def stage(
        self,
        job: Job,
        controller: JobController[Any],
        number: int,
        checkpoint: Checkpoint = START,
        watched: Callable[[Iterator[TaskResult]], Iterator[TaskResult]] = iter,
    ) -> StageContext:
        """Builds the context of a stage; stages count from 1, and the stage before has ended.

        Args:
            job: the job.
            controller: its controller.
            number: the stage.
            checkpoint: where its dispatch goes on.
            watched: passes on the results of the stage before, while there is time.

        Raises:
            UnknownStageError: the job type has no such stage.
        """
        name = spec(controller, number).name
        if number == 1:
            return StageContext(number, name, checkpoint=checkpoint)
        before = StageKey(job.job_id, number - 1)
        with self._database.transaction() as work:
            previous = work.stages.get(before)
        return StageContext(
            number,
            name,
            previous_result=previous.result if previous else None,
            previous_results=lambda first_index=0: watched(self.results(before, first_index)),
            checkpoint=checkpoint,
        )

    def results(self, key: StageKey, first_index: int = 0) -> Iterator[TaskResult]:
        """Yields a finished stage's task results in index order, from an index on."""
        return chain.from_iterable(result_pages_ahead(self._database, key, first_index))

    def result_pages(self, key: StageKey, first_index: int = 0) -> Iterator[Page[TaskResult]]:
        """Yields the same in pages, and reads each when it is asked for: a fold may end after any page."""
        return result_pages(lambda first: results_page(self._database, key, first), first_index)


def spec(controller: JobController[Any], number: int) -> StageSpec:
    """Returns a stage of a job type; stages count from 1.

    Raises:
        UnknownStageError: the job type has no such stage.
    """
    if number > len(controller.stages):
        raise UnknownStageError(controller.job_type, number)
    return controller.stages[number - 1]
