import logging
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import TypeAlias

from controllers.base import WhenExclusive
from controllers.registry import Registry
from core.errors import (
    ExclusiveJobError,
    JobBeingPrunedError,
    JobStateError,
    QueueError,
    UnknownJobTypeError,
)
from core.messages import JobAction, JobMessage
from core.models import Job, StageKey, StageOpening
from core.retry_parts import RetryPart
from core.statuses import JobStatus, StageStatus
from engine.jobs.exclusive_keys import may_be_exclusive
from engine.jobs.job_check import Also, IsMeant, any_job, locked_job, nothing_else
from engine.jobs.part_check import checked
from engine.jobs.waiting_jobs import Settled, WaitingJobs
from engine.process.sending import send_job_message
from repositories.ports import Database, MessageQueue, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)

_RETRIED = frozenset({JobStatus.FAILED, JobStatus.COMPLETED_WITH_ERRORS})
_RESUMED = frozenset({JobStatus.CANCELLED})
_Opened: TypeAlias = tuple[Job, JobMessage, Settled | None]


class Reopener:
    """Reopens the stage at which a job ended; the stage's dispatcher then reopens and sends its batches."""

    def __init__(self, database: Database, queue: MessageQueue, registry: Registry, waiting: WaitingJobs) -> None:
        self._database = database
        self._queue = queue
        self._registry = registry
        self._waiting = waiting

    def retry(
        self,
        job_id: str,
        part: RetryPart | None = None,
        is_meant: IsMeant = any_job,
        also: Also = nothing_else,
    ) -> JobStatus:
        """Reruns the failed tasks of the stage at which a job ended, and the tasks cancelled when the stage failed.

        Args:
            job_id: the job.
            part: which of the failed tasks run again; None for all of them.
            is_meant: whether the job, with its row locked, is one that a request about many jobs is about.
            also: what else the transaction does that reopens the job.

        Returns:
            The job's new status.

        Raises:
            JobNotFoundError: there is no such job.
            InvalidInputError: the job has no such part, or the part has not failed.
            JobStateError: the job did not fail, some of its tasks have not ended, or none of its tasks can run again.
            JobNotMeantError: it is not meant.
            ExclusiveJobError: another job has its exclusive key now.
            DatabaseError: nothing has changed.
        """
        refusal = "only a job that failed or completed with errors can be retried"

        def reopen(work: UnitOfWork) -> _Opened:
            opened = self._open(work, job_id, _RETRIED, refusal, part, is_meant)
            also(work)
            return opened

        return self._reopen(job_id, reopen)

    def resume(self, job_id: str) -> JobStatus:
        """Continues a cancelled job where it was cancelled; failed tasks stay failed.

        Returns:
            The job's new status.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: the job was not cancelled, or some of its tasks have not ended.
            ExclusiveJobError: another job has its exclusive key now.
            DatabaseError: nothing has changed.
        """
        refusal = "only a cancelled job can be resumed"
        return self._reopen(job_id, lambda work: self._open(work, job_id, _RESUMED, refusal))

    def _reopen(self, job_id: str, open_it: Callable[[UnitOfWork], _Opened]) -> JobStatus:
        job, message, settled = transact(self._database, open_it)
        if job.status not in {JobStatus.PENDING_QUEUE, JobStatus.PROCESSING}:
            logger.info("job %s is %s again", job_id, job.status)
            self._waiting.announce(job_id, settled)
            return job.status
        logger.info("job %s goes on at stage %d", job_id, message.stage)
        try:
            send_job_message(self._queue, message)
        except QueueError as exc:
            logger.warning("job %s goes on when the sweeper has sent its message: %s", job_id, exc)
        return job.status

    def _open(
        self,
        work: UnitOfWork,
        job_id: str,
        expected: AbstractSet[JobStatus],
        refusal: str,
        part: RetryPart | None = None,
        is_meant: IsMeant = any_job,
    ) -> _Opened:
        before = locked_job(work, job_id, is_meant)  # neither its status nor its stage changes before the commit
        if not work.jobs.reopen(job_id, expected):
            if before.pruned_at is not None:
                raise JobBeingPrunedError(job_id, before.status)
            raise JobStateError(job_id, before.status, refusal)
        job = _reopened(work, job_id)
        if job.stage == 0 and part is not None:
            checked(work, before, None, part)
        if job.status == JobStatus.WAITING:
            settled = self._waiting.wait_again(work, job_id, refuses=self._refuses(job.job_type))
            return _reopened(work, job_id), JobMessage(job_id, 1, JobAction.DISPATCH), settled
        if job.stage == 0:
            return job, JobMessage(job_id, 1, JobAction.DISPATCH), None
        message = _open_stage(work, before, part)
        if may_be_exclusive(self._registry, job.job_type) and not work.waits.take_key(job_id, in_turn=False):
            raise ExclusiveJobError(work.waits.rival(job_id))
        return job, message, None

    def _refuses(self, job_type: str) -> bool:
        try:
            return self._registry.controller(job_type).when_exclusive == WhenExclusive.REFUSE
        except UnknownJobTypeError:
            return False


def _reopened(work: UnitOfWork, job_id: str) -> Job:
    job = work.jobs.get(job_id)
    assert job is not None, "the row was updated"
    return job


def _open_stage(work: UnitOfWork, job: Job, part: RetryPart | None) -> JobMessage:
    key, job_was = StageKey(job.job_id, job.stage), job.status
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
        if part is not None:
            checked(work, job, stage, part)  # refuses each part: none of the stage's tasks has failed
        # The job failed or was cancelled after this stage had finished: only its results are aggregated again.
        action = JobAction.ADVANCE
        work.stages.count_opening(key)
    else:
        action = JobAction.DISPATCH
        if part is not None:
            part = checked(work, job, stage, part)
        work.stages.reopen(key, failed_too=retries and part is None)
        if part is not None:
            work.parts.choose(key, part)
    return JobMessage.about(StageOpening(key, stage.openings + 1), action)
