"""Stopping: a job is cancelled at once, its waiting tasks follow some batches at a time.

A stage that was stopped, because its job was cancelled or has failed, hands out no more tasks. Those that run end as
they would have, and their outcomes are recorded; the others are cancelled here. What begins to wait only later, after
a handler's error say, is found by the sweeper.
"""

import logging
import time

from core.errors import JobNotFoundError, JobStateError, QueueError, StageReopenedError
from core.messages import JobAction, JobMessage
from core.models import BatchDelta, Job, StageKey
from core.statuses import JobStatus, StageStatus
from engine.process.limits import Limits
from engine.process.sending import send_job_message
from engine.process.transactions import transact
from repositories.ports import Database, MessageQueue, UnitOfWork

logger = logging.getLogger(__name__)

_BATCHES_PER_STEP = 10
"""A thousand tasks a transaction: a fraction of a second, so that nobody waits long for its locks."""


class Canceller:
    """Cancels jobs, and the tasks of stages that were stopped.

    Args:
        database: the rows.
        queue: where the messages go that ask for more.
        limits: the length of a slice.
    """

    def __init__(self, database: Database, queue: MessageQueue, limits: Limits) -> None:
        self._database = database
        self._queue = queue
        self._slice_seconds = limits.dispatch_slice_seconds

    def cancel(self, job_id: str) -> JobStatus:
        """Cancels a job that has not ended; cancelling it again is cancelling it once.

        From here on no task of it is claimed. Workers learn of it when they renew their leases: then they start none
        that they have claimed, and handlers that run see it by `context.is_cancelled()`.

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
            announce(self._queue, StageKey(job_id, job.stage))
        logger.info("job %s is cancelled at stage %d", job_id, job.stage)
        return job.status

    def cancel_waiting(self, key: StageKey) -> None:
        """Cancels the waiting tasks of a stopped stage, for a slice of time; a message asks for the rest.

        Raises:
            LockstepError: infrastructure failed; what was cancelled stays so.
        """
        slice_ends = time.monotonic() + self._slice_seconds
        total = 0
        try:
            while cancelled := transact(self._database, lambda work: _cancel_some(work, key)):
                total += cancelled
                if time.monotonic() >= slice_ends:
                    send_job_message(self._queue, _message(key))
                    break
        except StageReopenedError as exc:
            logger.info("%s", exc)
        logger.info("%d waiting tasks of stage %d of job %s are cancelled", total, key.stage, key.job_id)


def announce(queue: MessageQueue, key: StageKey) -> None:
    """Asks for a stopped stage's waiting tasks to be cancelled; while the broker is away, the sweeper does that later.

    Raises:
        QueueError: the broker will never take the message, as when the queue is missing.
    """
    try:
        send_job_message(queue, _message(key))
    except QueueError as exc:
        if not exc.retryable:
            raise
        logger.warning("the tasks of stage %d of job %s are cancelled later: %s", key.stage, key.job_id, exc)


def _message(key: StageKey) -> JobMessage:
    return JobMessage(key.job_id, key.stage, JobAction.CANCEL)


def _cancel(work: UnitOfWork, job_id: str) -> Job:
    ended = work.jobs.finish(job_id, JobStatus.CANCELLED, None, None)
    job = work.jobs.get(job_id)  # after the update, which holds it at its stage
    if job is None:
        raise JobNotFoundError(job_id)
    if job.status != JobStatus.CANCELLED:
        raise JobStateError(job_id, job.status, "only a job that has not ended can be cancelled")
    if ended:
        work.stages.stop(job_id, job.stage, StageStatus.CANCELLED)
    return job


def _cancel_some(work: UnitOfWork, key: StageKey) -> int:
    """Cancels the waiting tasks of some batches; returns how many.

    Raises:
        StageReopenedError: the stage goes on; nothing is cancelled.
    """
    batch_ids = work.stops.waiting_batches(key, _BATCHES_PER_STEP)
    cancelled = work.stops.cancel_tasks(batch_ids)
    deltas = [BatchDelta(batch_id, cancelled=count) for batch_id, count in sorted(cancelled.items())]
    finished = work.batches.apply_outcomes(deltas) if deltas else []
    if finished:
        work.stages.add_finished_batches(finished)
    if not work.stops.lock_stopped(key):
        raise StageReopenedError(f"stage {key.stage} of job {key.job_id} goes on; nothing of it is cancelled")
    return sum(cancelled.values())
