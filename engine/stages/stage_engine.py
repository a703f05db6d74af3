import logging
from dataclasses import dataclass, replace
from datetime import timedelta

from controllers.registry import Registry
from core.error_records import describe_for_log
from core.errors import ControllerError, JobFailure, JobNotFoundError, UnknownJobTypeError, UnknownStageError
from core.lanes import JOBS_QUEUE
from core.messages import JobAction, JobMessage
from core.models import Job, Stage
from core.statuses import JOB_ENDS
from engine.jobs.exclusive_keys import may_be_exclusive
from engine.jobs.waiting_jobs import WaitingJobs
from engine.process.job_secrets import JobSecrets
from engine.process.sending import send, send_job_message
from engine.stages.advancer import Advancer
from engine.stages.hook_runner import HookRunner
from engine.stages.job_endings import JobEndings
from engine.stages.stage_canceller import StageCanceller
from engine.stages.stage_dispatcher import StageDispatcher
from engine.stages.step import Step, next_step
from repositories.ports import Database, MessageQueue, TransactionKind

logger = logging.getLogger(__name__)

MAX_FAILURES = 6
"""How many unexpected failures of a job's code are tolerated; one more fails the job. The step is tried again after 1,
2, 4, 8, 16 and 32 s, so a source that is unavailable for half a minute, or a deployment that has not reached every
host, does no harm. The message counts the failures: the broker's delivery count also grows with crashes and outages."""


@dataclass(frozen=True)
class StageSteps:
    """The parts that take the steps."""

    dispatcher: StageDispatcher
    advancer: Advancer
    canceller: StageCanceller
    hooks: HookRunner
    waiting: WaitingJobs


class StageEngine:
    """Handles the messages of sb-jobs: reads the rows, chooses a step, has a part take the step, handles failures."""

    def __init__(
        self, database: Database, queue: MessageQueue, registry: Registry, steps: StageSteps, endings: JobEndings
    ) -> None:
        self._database = database
        self._queue = queue
        self._registry = registry
        self._steps = steps
        self._endings = endings
        self._secrets = JobSecrets(database, registry)

    def handle(self, message: JobMessage) -> None:
        """Takes the step that a message still asks for, if there is one.

        Raises:
            JobNotFoundError: there is no such job.
            Exception: the engine failed, or PostgreSQL or the broker did; the message must be handled again. However
                often this happens, it is not held against the job.
        """
        job, stage = self._read(message)
        step = next_step(message, job, stage)
        if step == Step.NOTHING:
            if job.status not in JOB_ENDS or not self._steps.hooks.run(message, job):
                _ignore(message, job)
        elif step == Step.CANCEL:
            self._steps.canceller.cancel_waiting(message.stage_opening)
            if may_be_exclusive(self._registry, job.job_type):
                self._steps.waiting.after_end(job.job_id)  # its key may be free now
        elif step == Step.RELEASE:
            self._steps.waiting.move_on(job.job_id)
        else:
            self._take_or_fail(step, message, job, stage)

    def _read(self, message: JobMessage) -> tuple[Job, Stage | None]:
        with self._database.transaction(TransactionKind.ONE_STATEMENT) as work:
            found = work.stages.with_job(message.key)
        if found is None:
            raise JobNotFoundError(message.job_id)
        return found

    def _take_or_fail(self, step: Step, message: JobMessage, job: Job, stage: Stage | None) -> None:
        """Takes a step; a failure of the job's code fails the job, at once or after some tries."""
        try:
            if step == Step.START:
                if self._steps.dispatcher.start(job, self._registry.controller(job.job_type), message):
                    return
                job, stage = self._read(message)
                step = next_step(message, job, stage)
            self._take(step, message, job, stage)
        except JobFailure as exc:
            self._endings.fail(message.stage_opening, exc)
        except ControllerError as exc:
            self._try_again_or_fail(message, job, exc.error)
        except (UnknownJobTypeError, UnknownStageError) as exc:  # a deployment may be under way
            self._try_again_or_fail(message, job, exc)

    def _take(self, step: Step, message: JobMessage, job: Job, stage: Stage | None) -> None:
        controller = self._registry.controller(job.job_type)
        match step:
            case Step.DISPATCH:
                self._steps.dispatcher.dispatch(job, controller, message)
            case Step.ADVANCE:
                assert stage is not None, "the step follows from the stage's status"
                self._steps.advancer.advance(job, stage, controller)
            case Step.REPEAT_DISPATCH:
                # Of the first opening: who reopens the next stage sends its DISPATCH.
                send_job_message(self._queue, JobMessage(job.job_id, job.stage, JobAction.DISPATCH))
            case Step.REPEAT_ADVANCE:
                send_job_message(self._queue, JobMessage.about(message.stage_opening, JobAction.ADVANCE))
            case _:  # a job that was to start was cancelled meanwhile
                _ignore(message, job)

    def _try_again_or_fail(self, message: JobMessage, job: Job, exc: BaseException) -> None:
        trace = describe_for_log(exc, self._secrets.of_errors(job))
        if message.failures >= MAX_FAILURES:
            logger.error("job %s fails after %d failures: %s", message.job_id, message.failures, trace)
            self._endings.fail(message.stage_opening, exc)
            return
        delay_seconds = 2**message.failures
        logger.warning("job %s failed and is tried again in %d s: %s", message.job_id, delay_seconds, trace)
        with self._database.transaction() as work:
            due_at = work.now() + timedelta(seconds=delay_seconds)
        send(self._queue, JOBS_QUEUE, [replace(message, failures=message.failures + 1).outgoing(due_at)])


def _ignore(message: JobMessage, job: Job) -> None:
    logger.info(
        "job %s is %s at stage %d; %s of stage %d is ignored (opening %d)",
        *(job.job_id, job.status, job.stage, message.action, message.stage, message.opening),
    )
