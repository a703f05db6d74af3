import logging
from collections.abc import Mapping
from typing import Any

from core import json_text
from core.error_records import describe
from core.errors import StageReopenedError, TasksFailedError
from core.job_waits import JobEnd
from core.models import LiveBatches, Stage, StageOpening
from core.statuses import JobStatus, StageStatus
from engine.jobs.canceller import request_cancellation
from engine.jobs.end_hooks import EndHooks
from engine.jobs.waiting_jobs import WaitingJobs
from engine.process.job_secrets import JobSecrets
from engine.stages.error_digest import READ_FAILED_TASKS, warning
from repositories.ports import Database, MessageQueue, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)


def require_unopened(work: UnitOfWork, stage: Stage) -> None:
    """Checks that a stage has not been reopened since it was read.

    The caller has changed the job's row in this transaction. Reopening a stage begins with that row, so the check holds
    until the commit.

    Raises:
        StageReopenedError: the stage has been reopened.
    """
    now = work.stages.get(stage.key)
    if now is None or now.openings != stage.openings:
        raise StageReopenedError(f"stage {stage.number} of job {stage.job_id} was reopened while it was aggregated")


class JobEndings:
    """Ends jobs; each job ends once, because every update names the statuses that it expects."""

    def __init__(
        self, database: Database, queue: MessageQueue, secrets: JobSecrets, hooks: EndHooks, waiting: WaitingJobs
    ) -> None:
        self._database = database
        self._queue = queue
        self._secrets = secrets
        self._hooks = hooks
        self._waiting = waiting

    def complete(self, job_type: str, last: Stage, stage_result: str, job_result: str) -> None:
        """Ends a job whose last stage has finished, as completed with errors if any of its tasks failed.

        A job that completes with errors gets both a result and an error, which quotes the most frequent cause.

        Args:
            job_type: the job's type.
            last: the stage as it was when its results were read.
            stage_result: the stage's aggregated result, JSON text.
            job_result: the job's result, JSON text.

        Raises:
            StageReopenedError: the stage was reopened meanwhile.
        """
        is_hook_owed = False
        end: JobEnd | None = None

        def complete(work: UnitOfWork) -> JobStatus | None:
            nonlocal is_hook_owed, end
            stages = work.stages.of_job(last.job_id) if last.number > 1 else [last]
            failed_tasks = sum(stage.failed_tasks for stage in stages)
            status = JobStatus.COMPLETED_WITH_ERRORS if failed_tasks else JobStatus.COMPLETED
            cause = self._cause(work, last.job_id) if failed_tasks else None
            end = work.jobs.finish(last.job_id, status, job_result, cause)
            if end is None:
                return None
            require_unopened(work, last)
            work.stages.record_result(last.key, stage_result)
            is_hook_owed = self._hooks.owe(work, last.job_id, job_type)
            self._waiting.release_key(work, last.job_id, end)
            return status

        status = transact(self._database, complete)
        if status is not None:
            logger.info("job %s is %s", last.job_id, status)
            if is_hook_owed:
                self._hooks.announce(last.opening)
        self._waiting.job_ended(last.job_id, end)

    def _cause(self, work: UnitOfWork, job_id: str) -> str | None:
        """Describes the failed tasks of a job that completes with errors, as JSON text."""
        job = work.jobs.get(job_id)
        if job is None:
            return None
        stages = work.stages.of_job(job_id)
        worst = max(stages, key=lambda stage: stage.failed_tasks)
        elsewhere = sum(stage.failed_tasks for stage in stages) - worst.failed_tasks
        text = warning(worst, work.tasks.first_errors(worst.key, READ_FAILED_TASKS), elsewhere)
        return json_text.encode(
            {**describe(TasksFailedError(text), self._secrets.of_errors(job)), "stage": worst.number}
        )

    def fail(self, stage: StageOpening, exc: BaseException) -> None:
        """Fails a job at this stage. The waiting tasks of the job are cancelled; its running tasks end.

        Nothing changes if the stage was reopened since that opening.
        """
        key = stage.key
        error: Mapping[str, Any] = {}
        is_hook_owed = False
        end: JobEnd | None = None

        def fail(work: UnitOfWork) -> LiveBatches | None:
            nonlocal error, is_hook_owed, end
            job = work.jobs.get(key.job_id)
            if job is None or max(job.stage, 1) != key.number:
                return None  # the job has left this stage, or does not exist
            error = describe(exc, self._secrets.of_errors(job))
            record = json_text.encode({**error, "stage": key.number})
            end = work.jobs.finish(key.job_id, JobStatus.FAILED, None, record)
            if end is None:
                return None
            # From here on, the job's row is locked. Reopening a stage begins with that row.
            now = work.stages.get(key)
            if now is not None and now.opening != stage:
                raise StageReopenedError(f"stage {key.number} of job {key.job_id} was reopened")
            work.stages.stop(key, StageStatus.FAILED)
            is_hook_owed = self._hooks.owe(work, key.job_id, job.job_type)
            self._waiting.release_key(work, key.job_id, end)
            return work.stops.live_batches(key)

        try:
            left = transact(self._database, fail)
        except StageReopenedError as reopened:
            logger.info("%s; its failure (%s: %s) is ignored", reopened, error["type"], error["message"])
            return
        if left is None:
            return
        logger.error("job %s failed in stage %d: %s: %s", key.job_id, key.number, error["type"], error["message"])
        if left.batches:
            request_cancellation(self._queue, stage)
        if is_hook_owed:
            self._hooks.announce(stage)
        self._waiting.job_ended(key.job_id, end)
