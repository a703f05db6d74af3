import logging

from core.errors import JobNotFoundError, JobStateError, QueueError
from core.messages import JobAction, JobMessage
from core.models import Job, StageKey
from core.statuses import JobStatus, StageStatus
from engine.process.sending import send_job_message
from engine.process.transactions import transact
from repositories.ports import Database, MessageQueue, UnitOfWork

logger = logging.getLogger(__name__)


class Canceller:
    """Cancels jobs. Their tasks that wait are cancelled afterwards, by a message to sb-jobs."""

    def __init__(self, database: Database, queue: MessageQueue) -> None:
        self._database = database
        self._queue = queue

    def cancel(self, job_id: str) -> JobStatus:
        """Cancels a job that has not ended; to cancel it again changes nothing.

        From here on no task of it is claimed. Workers learn of it when they renew their leases: then they start no more
        of the tasks that they have claimed, and running handlers see it by `context.is_cancelled()`.

        Returns:
            Its status, cancelled.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: it has ended otherwise.
            DatabaseError: nothing was cancelled.
            QueueError: it is cancelled, but the broker will never take the message that cancels its tasks.
        """
        job = transact(self._database, lambda work: _cancel(work, job_id))
        if job.stage:
            request_cancellation(self._queue, StageKey(job_id, job.stage))
        logger.info("job %s is cancelled at stage %d", job_id, job.stage)
        return job.status


def request_cancellation(queue: MessageQueue, key: StageKey) -> None:
    """Asks for the waiting tasks of a stopped stage to be cancelled.

    When the broker is unavailable, the sweeper asks again later.

    Raises:
        QueueError: the broker will never take the message, as when the queue is missing.
    """
    try:
        send_job_message(queue, JobMessage(key.job_id, key.number, JobAction.CANCEL))
    except QueueError as exc:
        if not exc.retryable:
            raise
        logger.warning("the tasks of stage %d of job %s are cancelled later: %s", key.number, key.job_id, exc)


def _cancel(work: UnitOfWork, job_id: str) -> Job:
    ended = work.jobs.finish(job_id, JobStatus.CANCELLED, None, None)
    job = work.jobs.get(job_id)  # after the update: it locks the row, so the stage stays the same until the commit
    if job is None:
        raise JobNotFoundError(job_id)
    if job.status != JobStatus.CANCELLED:
        raise JobStateError(job_id, job.status, "only a job that has not ended can be cancelled")
    if ended:
        work.stages.stop(StageKey(job_id, job.stage), StageStatus.CANCELLED)
    return job
