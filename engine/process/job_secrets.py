import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from controllers.base import JobController
from controllers.context import JobParameters
from controllers.registry import Registry
from controllers.secret_parameters import marks_secrets, masked_json, secret_values
from core.errors import UnknownJobTypeError
from core.job_listing import SearchedJob
from core.models import Job
from core.redaction import MASK, Redaction
from core.task_runs import ClaimedTask
from repositories.ports import Database

logger = logging.getLogger(__name__)

TellUnfit = Callable[[Job | SearchedJob, Exception], None]

_NOTHING_SECRET = Redaction()
_MOST_JOBS = 64
"""Jobs whose secrets are kept, so that each failure of a task does not read its job."""


class JobSecrets:
    """Knows the secret parameters of jobs, to keep them out of what is shown, logged or stored as an error.

    The secrets of a job are unknown to a version of the app that does not know the job type, or whose model the
    parameters no longer fit. Safe to use from several threads.
    """

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry
        self._lock = threading.Lock()
        self._of_jobs: OrderedDict[str, Redaction] = OrderedDict()

    def of_rows(self, job: Job) -> Redaction | None:
        """Returns the redaction of a job's rows; None when its secrets are unknown."""
        controller = self._controller(job)
        return None if controller is None else self._redaction(controller, job)

    def of_errors(self, job: Job) -> Redaction | None:
        """Returns the redaction of the errors that a job raises here; None when its secrets are unknown."""
        controller = self._controller(job)
        # Without a controller, none of the job's code has run here.
        return _NOTHING_SECRET if controller is None else self._redaction(controller, job)

    def of_task(self, task: ClaimedTask) -> Redaction | None:
        """Returns the redaction of a task's errors; reads its job if its type marks secrets.

        Raises:
            DatabaseError: the job cannot be read.
        """
        controller = self._registry.controller_of_task(task.task_type)
        if controller is None or not marks_secrets(controller.Parameters):
            return _NOTHING_SECRET
        with self._lock:
            known = self._of_jobs.get(task.job_id)
        if known is not None:
            return known
        with self._database.transaction() as work:
            job = work.jobs.get(task.job_id)
        found = None if job is None else self._redaction(controller, job)
        if found is not None:
            with self._lock:
                self._of_jobs[task.job_id] = found
                if len(self._of_jobs) > _MOST_JOBS:
                    self._of_jobs.popitem(last=False)
        return found

    def shown_parameters(self, job: Job | SearchedJob, tell_unfit: TellUnfit | None = None) -> Mapping[str, Any]:
        """Returns a job's parameters with its secrets masked; with all values masked if the secrets are unknown.

        Args:
            job: the job.
            tell_unfit: called if the parameters no longer fit the job type; by default, that is logged.
        """
        controller = self._controller(job)
        if controller is not None and not marks_secrets(controller.Parameters):
            return job.parameters
        parameters = None if controller is None else _model(controller, job, tell_unfit or _log_unfit)
        return dict.fromkeys(job.parameters, MASK) if parameters is None else masked_json(parameters)

    def _controller(self, job: Job | SearchedJob) -> JobController[Any] | None:
        try:
            return self._registry.controller(job.job_type)
        except UnknownJobTypeError:
            return None

    @staticmethod
    def _redaction(controller: JobController[Any], job: Job) -> Redaction | None:
        if not marks_secrets(controller.Parameters):
            return _NOTHING_SECRET
        parameters = _model(controller, job, _log_unfit)
        return None if parameters is None else Redaction(secret_values(parameters))


def _model(controller: JobController[Any], job: Job | SearchedJob, tell_unfit: TellUnfit) -> JobParameters | None:
    try:
        return controller.Parameters.model_validate(job.parameters)
    except Exception as exc:  # noqa: BLE001 - a validator is an author's code
        tell_unfit(job, exc)
        return None


def _log_unfit(job: Job | SearchedJob, exc: Exception) -> None:
    logger.warning("the parameters of job %s no longer fit its type: %s", job.job_id, type(exc).__name__)
