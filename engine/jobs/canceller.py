import logging

from core.errors import JobNotFoundError, JobStateError, QueueError
from core.job_waits import JobEnd
from core.messages import JobAction, JobMessage
from core.models import Job, Stage, StageKey, StageOpening
from core.statuses import JobStatus, StageStatus
from engine.jobs.end_hooks import EndHooks
from engine.jobs.job_check import Also, IsMeant, any_job, locked_job, nothing_else
from engine.jobs.waiting_jobs import WaitingJobs
from engine.process.sending import send_job_message
from repositories.ports import Database, MessageQueue, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)


class Canceller:
    """Cancels jobs at once; a CANCEL message to sb-jobs then has their waiting tasks cancelled."""

    def __init__(self, database: Database, queue: MessageQueue, hooks: EndHooks, waiting: WaitingJobs) -> None:
        self._database = database
        self._queue = queue
        self._hooks = hooks
        self._waiting = waiting

    def cancel(self, job_id: str, is_meant: IsMeant = any_job, also: Also = nothing_else) -> JobStatus:
        """Cancels a job that has not ended, and the jobs that were to start after it. Cancelling twice changes nothing.

        From now on, workers claim none of the job's tasks. A worker learns of the cancellation when it renews its
        leases: it starts no more of its claimed tasks, and `context.is_cancelled()` tells the running handlers.

        Args:
            job_id: the job.
            is_meant: whether the job, with its row locked, is one that a request about many jobs is about.
            also: what else the transaction does that cancels the job.

        Returns:
            The job's status: cancelled.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: the job has ended in another way.
            JobNotMeantError: it is not meant.
            DatabaseError: nothing was cancelled.
        """

        def cancel(work: UnitOfWork) -> tuple[Job, Stage | None, bool, JobEnd | None]:
            cancelled = self._cancel(work, job_id, is_meant)
            also(work)
            return cancelled

        job, stage, is_hook_owed, end = transact(self._database, cancel)
        if stage is not None:
            request_cancellation(self._queue, stage.opening)
        if is_hook_owed:
            self._hooks.announce(stage.opening if stage else StageOpening(StageKey(job_id, 1), 0))
        logger.info("job %s is cancelled at stage %d", job_id, job.stage)
        self._waiting.job_ended(job_id, end)
        return job.status

    def _cancel(
        self, work: UnitOfWork, job_id: str, is_meant: IsMeant
    ) -> tuple[Job, Stage | None, bool, JobEnd | None]:
        if is_meant is not any_job:  # the request for one job alone does without the lock
            locked_job(work, job_id, is_meant)
        end = work.jobs.finish(job_id, JobStatus.CANCELLED, None, None)
        job = work.jobs.get(job_id)  # after the update, which locks the row: the stage cannot change before the commit
        if job is None:
            raise JobNotFoundError(job_id)
        if job.status != JobStatus.CANCELLED:
            raise JobStateError(job_id, job.status, "only a job that has not ended can be cancelled")
        key = StageKey(job_id, job.stage)
        is_hook_owed = False
        if end is not None:
            work.stages.stop(key, StageStatus.CANCELLED)
            is_hook_owed = self._hooks.owe(work, job_id, job.job_type)
            self._waiting.release_key(work, job_id, end)
        return job, work.stages.get(key) if job.stage else None, is_hook_owed, end


def request_cancellation(queue: MessageQueue, stage: StageOpening) -> None:
    """Sends the CANCEL message for the waiting tasks of a stopped stage.

    When the broker does not take the message, the sweeper sends it later.
    """
    try:
        send_job_message(queue, JobMessage.about(stage, JobAction.CANCEL))
    except QueueError as exc:
        logger.warning(
            "the tasks of stage %d of job %s are cancelled later: %s", stage.key.number, stage.key.job_id, exc
        )
