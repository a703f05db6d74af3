import logging
from collections.abc import Set as AbstractSet

from core.errors import JobBeingPrunedError, JobNotFoundError, JobStateError, QueueError
from core.messages import JobAction, JobMessage
from core.models import Job, StageKey, StageOpening
from core.statuses import JobStatus, StageStatus
from engine.process.sending import send_job_message
from repositories.ports import Database, MessageQueue, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)

_RETRIED = frozenset({JobStatus.FAILED, JobStatus.COMPLETED_WITH_ERRORS})
_RESUMED = frozenset({JobStatus.CANCELLED})


class Reopener:
    """Reopens the stage at which a job ended; the stage's dispatcher then reopens and sends its batches."""

    def __init__(self, database: Database, queue: MessageQueue) -> None:
        self._database = database
        self._queue = queue

    def retry(self, job_id: str) -> JobStatus:
        """Reruns the failed tasks of the stage at which a job ended, and the tasks cancelled when the stage failed.

        Returns:
            The job's new status.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: the job did not fail, some of its tasks have not ended, or none of its tasks can run again.
            DatabaseError: nothing has changed.
        """
        return self._reopen(job_id, _RETRIED, "only a job that failed or completed with errors can be retried")

    def resume(self, job_id: str) -> JobStatus:
        """Continues a cancelled job where it was cancelled; failed tasks stay failed.

        Returns:
            The job's new status.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: the job was not cancelled, or some of its tasks have not ended.
            DatabaseError: nothing has changed.
        """
        return self._reopen(job_id, _RESUMED, "only a cancelled job can be resumed")

    def _reopen(self, job_id: str, expected: AbstractSet[JobStatus], refusal: str) -> JobStatus:
        job, message = transact(self._database, lambda work: _open(work, job_id, expected, refusal))
        logger.info("job %s goes on at stage %d", job_id, message.stage)
        try:
            send_job_message(self._queue, message)
        except QueueError as exc:
            logger.warning("job %s goes on when the sweeper has sent its message: %s", job_id, exc)
        return job.status


def _open(work: UnitOfWork, job_id: str, expected: AbstractSet[JobStatus], refusal: str) -> tuple[Job, JobMessage]:
    before = work.jobs.get(job_id)
    if before is None:
        raise JobNotFoundError(job_id)
    if not work.jobs.reopen(job_id, expected):
        if before.pruned_at is not None:
            raise JobBeingPrunedError(job_id, before.status)
        raise JobStateError(job_id, before.status, refusal)
    job = work.jobs.get(job_id)  # after the update, which locks the row: the stage cannot change before the commit
    assert job is not None, "the row was updated"
    if job.stage == 0:
        return job, JobMessage(job_id, 1, JobAction.DISPATCH)
    return job, _open_stage(work, StageKey(job_id, job.stage), before.status)


def _open_stage(work: UnitOfWork, key: StageKey, job_was: JobStatus) -> JobMessage:
    live = work.stops.live_batches(key)
    if live.batches:
        raise JobStateError(
            key.job_id, job_was, f"{live.open_tasks:,} of its tasks have not ended yet; try again when they have"
        )
    stage = work.stages.get(key)
    assert stage is not None, "a job that has begun has a stage"
    retries = job_was != JobStatus.CANCELLED
    if stage.status == StageStatus.FINISHED and not (retries and stage.failed_tasks):
        if job_was == JobStatus.COMPLETED_WITH_ERRORS:
            raise JobStateError(
                key.job_id,
                job_was,
                "the tasks that failed are in earlier stages, whose results the later ones have used; "
                "submit the job again with another Idempotency-Key",
            )
        # The job failed or was cancelled after this stage had finished: only its results are aggregated again.
        action = JobAction.ADVANCE
        work.stages.count_opening(key)
    else:
        action = JobAction.DISPATCH
        work.stages.reopen(key, failed_too=retries)
    return JobMessage.about(StageOpening(key, stage.openings + 1), action)
