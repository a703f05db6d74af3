import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from controllers.base import JobController
from core.errors import DispatchLeaseLostError, JobFailure, NoRoomLeft, SliceEnded, StageTooSlowError
from core.lanes import JOBS_QUEUE
from core.messages import JobAction, JobMessage
from core.models import Job, Stage, StageOpening
from core.retry_parts import RetryPart
from core.statuses import JobStatus
from engine.process.limits import Limits
from engine.process.sending import send, send_job_message
from engine.process.shutdown import Shutdown
from engine.stages.batch_sender import BatchSender
from engine.stages.contexts import Contexts, spec
from engine.stages.controller_call import ControllerCall
from engine.stages.dispatch_lease import DispatchLease
from engine.stages.dispatch_window import DispatchWindow
from repositories.ports import Database, MessageQueue, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)

_MAX_DELAY_SECONDS = 60
"""The longest delay before a stage with unsent batches is dispatched again; the delays double from 1 s."""

MOST_IDLE_SLICES = 3
"""Slices in a row that queue nothing new before the job fails: one may be slow because its source is."""

_MAX_REDISPATCHES = 6
"""The message counts no further, because 2 ** 6 s is over the longest delay."""


class StageDispatcher:
    """Handles a DISPATCH message: takes the stage's dispatch lease, queues its batches, closes the dispatch."""

    def __init__(
        self, database: Database, queue: MessageQueue, contexts: Contexts, limits: Limits, shutdown: Shutdown
    ) -> None:
        self._database = database
        self._queue = queue
        self._contexts = contexts
        self._limits = limits
        self._shutdown = shutdown

    def dispatch(self, job: Job, controller: JobController[Any], message: JobMessage) -> None:
        """Dispatches a stage, or goes on where an earlier dispatch stopped.

        Raises:
            JobFailure: the stage can never be dispatched.
            LockstepError: infrastructure failed; the broker must deliver the message again.
        """
        lease = self._lease(message)
        stage = lease.take()
        if stage is None:
            self._reschedule(message)
        else:
            self._dispatch(job, controller, message, lease, stage)

    def start(self, job: Job, controller: JobController[Any], message: JobMessage) -> bool:
        """Starts a job and dispatches its first stage; returns False when the job has begun or ended meanwhile.

        Raises:
            JobFailure: the stage can never be dispatched.
            LockstepError: infrastructure failed; the broker must deliver the message again.
        """
        lease = self._lease(message)
        stage = lease.start_job(spec(controller, 1))
        if stage is None:
            return False
        started = replace(job, status=JobStatus.PROCESSING, stage=1, started_at=stage.created_at)
        message = replace(message, action=JobAction.DISPATCH, opening=stage.openings)
        self._dispatch(started, controller, message, lease, stage, is_new=True)
        return True

    def _lease(self, message: JobMessage) -> DispatchLease:
        return DispatchLease(self._database, message.key, self._limits.lease_seconds)

    def _dispatch(
        self,
        job: Job,
        controller: JobController[Any],
        message: JobMessage,
        lease: DispatchLease,
        stage: Stage,
        *,
        is_new: bool = False,
    ) -> None:
        sender = BatchSender(self._database, self._queue, urgent=job.urgent)
        window = DispatchWindow(self._database, sender, self._limits, self._shutdown, lease)
        window.begin_at(stage.checkpoint, is_new=is_new)
        try:
            totals = self._queue_batches(job, stage, controller, window)
        except SliceEnded as exc:
            if not (isinstance(exc, NoRoomLeft) and self._waits_for_room(lease, message, window)):
                lease.release(window.idle_slices)
                send_job_message(self._queue, JobMessage.about(message.stage_opening, JobAction.DISPATCH))
        except DispatchLeaseLostError as exc:
            logger.warning("%s; this dispatcher stops", exc)
        except JobFailure as exc:
            if lease.renew():
                raise
            logger.warning("stage %d of job %s was taken over; ignored: %s", message.stage, job.job_id, exc)
        except BaseException:
            lease.release()
            raise
        else:
            if window.unsent_batches:
                self._redispatch_later(lease, message, window.unsent_batches)
            else:
                self._close(lease, stage.opening, *totals)

    def _queue_batches(
        self, job: Job, stage: Stage, controller: JobController[Any], window: DispatchWindow
    ) -> tuple[int, int]:
        """Queues the batches that are not queued yet; returns the totals of tasks and batches."""
        try:
            with window.open():
                if stage.openings:
                    window.reopen_batches(stage.opening, self._part(stage.opening))
                elif stage.checkpoint.batches:
                    window.resend_pending(stage.checkpoint.batches)
                if stage.total_tasks is not None and stage.total_batches is not None:
                    return stage.total_tasks, stage.total_batches  # an earlier dispatch was completed
                call = ControllerCall()
                job_context = self._contexts.job(job, controller)
                stage_context = self._contexts.stage(
                    *(job, controller, stage.number, stage.checkpoint),
                    watched=lambda results: call.results(window.slice.watched(results)),
                )
                with call.controllers():
                    controller.queue_stage_tasks(job_context, stage_context, call.window(window))
        except SliceEnded:
            window.idle_slices = window.slice.idle_slices(stage.idle_slices, window.unsent_batches)
            if window.idle_slices > stage.idle_slices and window.idle_slices >= MOST_IDLE_SLICES:
                raise self._too_slow(stage, window) from None
            raise
        window.expect_no_more()
        return window.total_tasks, window.total_batches

    def _part(self, opening: StageOpening) -> RetryPart | None:
        with self._database.transaction() as work:
            return work.parts.get(opening)

    def _too_slow(self, stage: Stage, window: DispatchWindow) -> StageTooSlowError:
        first = f"{window.yielded:,} tasks from task {stage.checkpoint.tasks:,} on"
        return StageTooSlowError(
            f"stage {stage.number} ({stage.name}) cannot be dispatched: create_stage_tasks took longer than a slice "
            f"({self._limits.idle_slice_seconds:g} s) to yield one new batch, {window.idle_slices} times in a row; the "
            f"last time it yielded {first if window.yielded else 'no task'}. Raise DISPATCH_SLICE_SECONDS, but keep it "
            'below functionTimeout, or let the job type give its tasks cursors (docs/architecture.md, "Long stages")'
        )

    def _waits_for_room(self, lease: DispatchLease, message: JobMessage, window: DispatchWindow) -> bool:
        """Ends a slice without room: the worker that ends enough batches sends the message of the next slice.

        Returns:
            False when the workers have ended enough already, so that the dispatch must go on at once.
        """
        if window.unsent_batches:  # they do not end by themselves
            self._redispatch_later(lease, message, window.unsent_batches)
            return True
        waits = lease.wait_for_room(window.idle_slices, window.room.low)
        logger.info(
            "stage %d of job %s has no room: %d of its tasks may be out; it %s",
            *(lease.key.number, lease.key.job_id, window.room.bound, "waits" if waits else "has room again"),
        )
        return waits

    def _reschedule(self, message: JobMessage) -> None:
        """Reschedules the message to the end of the other dispatcher's lease: that dispatcher may have died."""
        with self._database.transaction() as work:
            expires_at = work.stages.dispatch_lease_expires_at(message.key)
        if expires_at is None:
            expires_at = self._in_seconds(1)
        logger.info("stage %d of job %s is being dispatched until %s", message.stage, message.job_id, expires_at)
        send(self._queue, JOBS_QUEUE, [message.outgoing(expires_at)])

    def _close(self, lease: DispatchLease, opening: StageOpening, total_tasks: int, total_batches: int) -> None:
        key = lease.key

        def close(work: UnitOfWork) -> tuple[bool, bool]:
            closed = work.stages.finish_dispatch(key, lease.lease_id, total_tasks, total_batches)
            return closed, closed and work.stages.finish_if_complete(key)

        closed, complete = transact(self._database, close)
        if not closed:
            logger.warning("stage %d of job %s was taken over; this dispatcher stops", key.number, key.job_id)
            return
        logger.info(
            "stage %d of job %s is dispatched: %d tasks in %d batches",
            *(key.number, key.job_id, total_tasks, total_batches),
        )
        if complete:  # the workers were faster than the dispatcher, or the stage has no tasks
            send_job_message(self._queue, JobMessage.about(opening, JobAction.ADVANCE))

    def _redispatch_later(self, lease: DispatchLease, message: JobMessage, unsent_batches: int) -> None:
        lease.release()
        delay_seconds = min(2**message.redispatches, _MAX_DELAY_SECONDS)
        logger.warning(
            "%d batches of stage %d of job %s are unsent; it is dispatched again in %d s",
            *(unsent_batches, message.stage, message.job_id, delay_seconds),
        )
        redispatches = min(message.redispatches + 1, _MAX_REDISPATCHES)
        again = replace(JobMessage.about(message.stage_opening, JobAction.DISPATCH), redispatches=redispatches)
        send(self._queue, JOBS_QUEUE, [again.outgoing(self._in_seconds(delay_seconds))])

    def _in_seconds(self, seconds: float) -> datetime:
        with self._database.transaction() as work:
            return work.now() + timedelta(seconds=seconds)
