"""What handlers read of their job: the results of the stage before, and the job's parameters.

An outage of PostgreSQL is not the failure of a task that reads. A read waits for the end of the outage, for at most the
length of a lease; when the process shuts down, it waits no longer. Then it gives up: it raises in the handler, and the
task is released, its attempt not spent, whatever the handler makes of the error.
"""

import threading
from collections.abc import Callable, Iterator
from itertools import chain
from typing import TypeVar

from controllers.context import JobParameters
from controllers.registry import Registry
from core.errors import JobNotFoundError, LockstepError, NoPreviousStageError, UnknownTaskTypeError
from core.models import Job, StageKey
from core.pages import Page
from core.task_runs import ClaimedTask, TaskResult
from engine.process.limits import Limits
from engine.process.outage_waiter import OutageWaiter
from engine.process.result_pages import result_pages, results_page
from repositories.ports import Database

T = TypeVar("T")


class JobReader:
    """Reads rows for handlers, and waits while PostgreSQL is unavailable; safe to use from several threads."""

    def __init__(self, database: Database, registry: Registry, limits: Limits, outages: OutageWaiter) -> None:
        self._database = database
        self._registry = registry
        self._lease_seconds = limits.lease_seconds
        self._outages = outages

    def results_page(self, key: StageKey, first_index: int) -> Page[TaskResult]:
        """Reads the page of a stage's results that begins at an index."""
        return self._wait_out(lambda: results_page(self._database, key, first_index))

    def job_parameters(self, task: ClaimedTask) -> JobParameters:
        """Reads the parameters of a task's job, as the model of the job type.

        Raises:
            ValidationError: another version of the app has accepted them; this one would not.
        """
        controller = self._registry.controller_of_task(task.task_type)
        if controller is None:
            raise UnknownTaskTypeError(task.task_type)
        job = self._wait_out(lambda: self._job(task.job_id))
        if job is None:
            raise JobNotFoundError(task.job_id)
        parameters: JobParameters = controller.Parameters.model_validate(job.parameters)
        return parameters

    def _job(self, job_id: str) -> Job | None:
        with self._database.transaction() as work:
            return work.jobs.get(job_id)

    def _wait_out(self, action: Callable[[], T]) -> T:
        return self._outages.run(action, self._outages.deadline(self._lease_seconds))


class TaskReads:
    """The reads of one call of a handler, for the tasks of one stage; reads nothing that the handler does not ask for.

    Args:
        reader: reads the rows.
        task: any task of the call.

    Attributes:
        given_up: the errors of reads that gave up; also of checkpoints of the call, see `RunStates`.
    """

    def __init__(self, reader: JobReader, task: ClaimedTask) -> None:
        self.given_up: list[LockstepError] = []
        self._reader = reader
        self._task = task
        self._lock = threading.Lock()
        self._parameters: JobParameters | None = None

    def previous_results(self, first_index: int = 0, /) -> Iterator[TaskResult]:
        """Opens the results of the stage before; see `TaskContext`."""
        if self._task.stage == 1:
            raise NoPreviousStageError
        before = StageKey(self._task.job_id, self._task.stage - 1)
        pages = result_pages(lambda first: self._noted(lambda: self._reader.results_page(before, first)), first_index)
        return chain.from_iterable(pages)

    def job_parameters(self) -> JobParameters:
        """Returns the job's parameters; reads them once."""
        with self._lock:
            if self._parameters is None:
                self._parameters = self._noted(lambda: self._reader.job_parameters(self._task))
            return self._parameters

    def _noted(self, read: Callable[[], T]) -> T:
        """Reads; notes an error that is no answer to the read, so that it reaches the engine."""
        try:
            return read()
        except LockstepError as exc:
            if exc.waited_out:
                self.given_up.append(exc)
            raise
