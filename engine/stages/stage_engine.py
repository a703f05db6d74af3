"""What the messages of sb-jobs ask for: dispatch a stage, advance past it, or cancel what is left of it.

Every step can be asked for twice: the statuses and the compare-and-set on the job's stage decide
whether it still has to be done, and whoever finds it done makes sure that the next message exists.
"""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from controllers.base import JobController
from controllers.registry import Registry
from core.errors import JobFailure, JobNotFoundError, LockstepError
from core.lanes import JOBS_QUEUE
from core.messages import JobAction, JobMessage
from core.models import Job, Stage, StageKey
from core.statuses import JOB_ENDS, STAGE_STOPS, JobStatus, StageStatus
from engine.process.sending import send, send_job_message
from engine.stages.advancer import Advancer
from engine.stages.job_endings import JobEndings
from engine.stages.stage_canceller import StageCanceller
from engine.stages.stage_dispatcher import StageDispatcher
from repositories.ports import Database, MessageQueue

logger = logging.getLogger(__name__)

MAX_FAILURES = 6
"""Unforeseen failures of a job's code after which its job fails: tries after 1, 2, 4, 8, 16 and 32 s, so a
source that is away for half a minute, or a deployment that has not reached every host yet, does no harm.
They are counted in the message: the broker's delivery count also grows with every crash and outage."""


@dataclass(frozen=True)
class StageSteps:
    """What a message can ask for: dispatch a stage, end it, or cancel what a stopped one leaves behind."""

    dispatcher: StageDispatcher
    advancer: Advancer
    canceller: StageCanceller


class StageEngine:
    """Handles the messages of sb-jobs.

    Args:
        database: the rows.
        queue: where further messages go.
        registry: the job types.
        steps: what messages ask for.
        endings: ends jobs.
    """

    def __init__(
        self,
        database: Database,
        queue: MessageQueue,
        registry: Registry,
        steps: StageSteps,
        endings: JobEndings,
    ) -> None:
        self._database = database
        self._queue = queue
        self._registry = registry
        self._steps = steps
        self._endings = endings

    def handle(self, message: JobMessage) -> None:
        """Does what a message asks for, if it still has to be done.

        Args:
            message: from sb-jobs.

        Raises:
            JobNotFoundError: there is no such job.
            LockstepError: infrastructure failed; the message shall be delivered again.
        """
        with self._database.transaction() as work:
            job = work.jobs.get(message.job_id)
            stage = work.stages.get(message.key)
        if job is None:
            raise JobNotFoundError(message.job_id)
        if message.action == JobAction.CANCEL:
            if stage is not None and stage.status in STAGE_STOPS:
                self._steps.canceller.cancel_waiting(message.key)
            return
        if job.status in JOB_ENDS:
            logger.info("job %s has ended (%s); %s ignored", job.job_id, job.status, message.action)
            return
        try:
            self._handle(message, job, stage)
        except JobFailure as exc:
            self._endings.fail(job.job_id, message.stage, exc)
        except Exception as exc:
            if isinstance(exc, LockstepError) and exc.retryable:
                raise
            self._try_again_or_fail(message, exc)

    def _try_again_or_fail(self, message: JobMessage, exc: Exception) -> None:
        if message.failures >= MAX_FAILURES:
            logger.error("job %s fails after %d failures", message.job_id, message.failures, exc_info=exc)
            self._endings.fail(message.job_id, message.stage, exc)
            return
        delay_seconds = 2**message.failures
        logger.warning("job %s failed and is tried again in %d s", message.job_id, delay_seconds, exc_info=exc)
        with self._database.transaction() as work:
            due_at = work.now() + timedelta(seconds=delay_seconds)
        send(self._queue, JOBS_QUEUE, [replace(message, failures=message.failures + 1).outgoing(due_at)])

    def _handle(self, message: JobMessage, job: Job, stage: Stage | None) -> None:
        controller = self._registry.controller(job.job_type)
        if job.stage == 0 and message.stage == 1:
            job, stage = self._start(job, controller)
        if message.action == JobAction.DISPATCH:
            self._dispatch(message, job, stage, controller)
        else:
            self._advance(message, job, stage, controller)

    def _start(self, job: Job, controller: JobController[Any]) -> tuple[Job, Stage | None]:
        spec = controller.stages[0]
        with self._database.transaction() as work:
            work.jobs.mark_queued(job.job_id)
            if work.jobs.start(job.job_id):
                work.stages.create(StageKey(job.job_id, 1), spec.name, spec.max_failed_fraction)
            started = work.jobs.get(job.job_id)
            stage = work.stages.get(StageKey(job.job_id, 1))
        assert started is not None, "a job row never disappears under its message"
        return started, stage

    def _dispatch(self, message: JobMessage, job: Job, stage: Stage | None, controller: JobController[Any]) -> None:
        if stage is None or job.status != JobStatus.PROCESSING or job.stage != message.stage:
            logger.info("job %s is at stage %d; dispatch of %d ignored", job.job_id, job.stage, message.stage)
        elif stage.status == StageStatus.DISPATCHING:
            self._steps.dispatcher.dispatch(job, controller, message)
        elif stage.status in (StageStatus.FINISHED, StageStatus.FAILED):
            send_job_message(self._queue, JobMessage(job.job_id, stage.number, JobAction.ADVANCE))

    def _advance(self, message: JobMessage, job: Job, stage: Stage | None, controller: JobController[Any]) -> None:
        if stage is None or job.stage not in (message.stage, message.stage + 1):
            logger.info("job %s is at stage %d; advance of %d ignored", job.job_id, job.stage, message.stage)
        elif job.stage == message.stage + 1:
            # Advanced before, but was the dispatch message sent? A second one does no harm.
            send_job_message(self._queue, JobMessage(job.job_id, job.stage, JobAction.DISPATCH))
        elif stage.status in (StageStatus.FINISHED, StageStatus.FAILED):
            self._steps.advancer.advance(job, stage, controller)
