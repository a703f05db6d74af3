"""One dispatch message: take the stage's dispatch lease, queue what is not queued yet, close the stage."""

import logging
import uuid
from datetime import datetime, timedelta
from typing import Any

from controllers.base import JobController
from core.errors import DispatchLeaseLostError, JobFailure, SliceEnded
from core.lanes import JOBS_QUEUE
from core.messages import JobAction, JobMessage
from core.models import Job, StageKey
from engine.process.limits import Limits
from engine.process.sending import send, send_job_message
from engine.process.shutdown import Shutdown
from engine.stages.batch_sender import BatchSender
from engine.stages.contexts import Contexts
from engine.stages.dispatch_window import DispatchWindow
from repositories.ports import Database, MessageQueue

logger = logging.getLogger(__name__)

_MAX_RESUME_DELAY_SECONDS = 60


class StageDispatcher:
    """Dispatches stages.

    Args:
        database: the rows.
        queue: the messages.
        contexts: builds what controllers are told.
        limits: parallelism and times.
        shutdown: says when the process ends.
    """

    def __init__(
        self, database: Database, queue: MessageQueue, contexts: Contexts, limits: Limits, shutdown: Shutdown
    ) -> None:
        self._database = database
        self._queue = queue
        self._contexts = contexts
        self._limits = limits
        self._shutdown = shutdown
        self._sender = BatchSender(database, queue)

    def dispatch(self, job: Job, controller: JobController[Any], message: JobMessage) -> None:
        """Dispatches a stage that is dispatching, or goes on where an earlier dispatch stopped.

        Raises:
            JobFailure: the stage cannot be dispatched, now or ever.
            LockstepError: infrastructure failed; the message shall be delivered again.
        """
        key = message.key
        lease_id = uuid.uuid4().hex
        if not self._take_lease(key, lease_id):
            self._come_back(message)
            return
        window = DispatchWindow(self._database, self._sender, self._limits, self._shutdown, key, lease_id)
        try:
            totals = self._queue_tasks(job, controller, key, window)
        except SliceEnded:
            self._release(key, lease_id)
            send_job_message(self._queue, JobMessage(job.job_id, message.stage, JobAction.DISPATCH))
        except DispatchLeaseLostError as exc:
            logger.warning("%s; this dispatcher stops", exc)
        except JobFailure as exc:
            if self._renew_lease(key, lease_id):
                raise
            logger.warning("stage %d of job %s was taken over; void: %s", key.number, key.job_id, exc)
        except BaseException:
            self._release(key, lease_id)
            raise
        else:
            self._close(key, lease_id, window, totals, message.redispatches)

    def _queue_tasks(
        self, job: Job, controller: JobController[Any], key: StageKey, window: DispatchWindow
    ) -> tuple[int, int]:
        """Queues what is not queued yet; returns the totals of tasks and batches."""
        with self._database.transaction() as work:
            stage = work.stages.get(key)
        assert stage is not None, "its lease was taken"
        with window.open():
            if stage.openings:
                window.put_back()
            if stage.total_tasks is not None and stage.total_batches is not None:
                return stage.total_tasks, stage.total_batches  # it was dispatched to its end before
            controller.queue_stage_tasks(
                self._contexts.job(job, controller), self._contexts.stage(job, controller, key.number), window
            )
        window.expect_no_more()
        return window.total_tasks, window.total_batches

    def _take_lease(self, key: StageKey, lease_id: str) -> bool:
        with self._database.transaction() as work:
            return work.stages.acquire_dispatch_lease(key, lease_id, self._limits.lease_seconds)

    def _renew_lease(self, key: StageKey, lease_id: str) -> bool:
        with self._database.transaction() as work:
            return work.stages.renew_dispatch_lease(key, lease_id, self._limits.lease_seconds)

    def _release(self, key: StageKey, lease_id: str) -> None:
        with self._database.transaction() as work:
            work.stages.release_dispatch_lease(key, lease_id)

    def _come_back(self, message: JobMessage) -> None:
        """Looks again when the other dispatcher's lease is over; it may have died."""
        with self._database.transaction() as work:
            expires_at = work.stages.dispatch_lease_expires_at(message.key)
        if expires_at is None:
            expires_at = self._in_seconds(1)
        logger.info("stage %d of job %s is being dispatched until %s", message.stage, message.job_id, expires_at)
        send(self._queue, JOBS_QUEUE, [message.outgoing(expires_at)])

    def _close(
        self, key: StageKey, lease_id: str, window: DispatchWindow, totals: tuple[int, int], redispatches: int
    ) -> None:
        if window.unsent_batches:
            self._resume_later(key, lease_id, window.unsent_batches, redispatches)
            return
        with self._database.transaction() as work:
            closed = work.stages.finish_dispatch(key, lease_id, *totals)
            complete = closed and work.stages.finish_if_complete(key)
        if not closed:
            logger.warning("stage %d of job %s was taken over; this dispatcher stops", key.number, key.job_id)
            return
        logger.info(
            "stage %d of job %s dispatched: %d tasks in %d batches",
            *(key.number, key.job_id, *totals),
        )
        if complete:  # the workers were faster than the dispatcher, or there was nothing to do
            send_job_message(self._queue, JobMessage(key.job_id, key.number, JobAction.ADVANCE))

    def _resume_later(self, key: StageKey, lease_id: str, unsent_batches: int, redispatches: int) -> None:
        self._release(key, lease_id)
        delay_seconds = min(2**redispatches, _MAX_RESUME_DELAY_SECONDS)
        logger.warning(
            "%d batches of stage %d of job %s are pending; trying again in %d s",
            *(unsent_batches, key.number, key.job_id, delay_seconds),
        )
        message = JobMessage(key.job_id, key.number, JobAction.DISPATCH, min(redispatches + 1, 6))
        send(self._queue, JOBS_QUEUE, [message.outgoing(self._in_seconds(delay_seconds))])

    def _in_seconds(self, seconds: float) -> datetime:
        with self._database.transaction() as work:
            return work.now() + timedelta(seconds=seconds)
