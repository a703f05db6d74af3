import logging
from collections.abc import Callable
from typing import Any, TypeVar

from controllers.base import JobController
from controllers.outcome import JobOutcome
from controllers.registry import Registry
from core import json_text
from core.end_hooks import HookTry
from core.error_records import describe, describe_for_log
from core.errors import HookInterruptedError, UnknownJobTypeError
from core.lanes import JOBS_QUEUE
from core.messages import JobAction, JobMessage
from core.models import Job
from engine.process.job_secrets import JobSecrets
from engine.process.limits import Limits
from engine.process.outage_waiter import OutageWaiter
from engine.process.sending import send
from engine.stages.contexts import Contexts
from repositories.ports import Database, MessageQueue, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_TRIES = 8
"""After the last one, about 20 minutes after the first, the failure stays as an event of the job."""

HOOK_SECONDS = 300.0
"""How long a try may take, before another host begins the next: the shortest function timeout of a plan."""

_FIRST_DELAY_SECONDS = 10


class HookRunner:
    """Runs the hook `job_ended` of jobs that have ended; its failures never change their jobs."""

    def __init__(
        self,
        database: Database,
        queue: MessageQueue,
        registry: Registry,
        contexts: Contexts,
        limits: Limits,
        outages: OutageWaiter,
    ) -> None:
        self._database = database
        self._queue = queue
        self._registry = registry
        self._contexts = contexts
        self._secrets = JobSecrets(database, registry)
        self._outages = outages
        self._lease_seconds = limits.lease_seconds

    def run(self, message: JobMessage, job: Job) -> bool:
        """Runs the hook of a job that has ended, if it is owed and due; returns whether it has.

        Raises:
            LockstepError: infrastructure failed; the sweeper sends another message.
        """
        try:
            controller = self._registry.controller(job.job_type)
        except UnknownJobTypeError:
            return False
        if message.action != JobAction.ADVANCE or not controller.has_end_hook:
            return False

        def begin(work: UnitOfWork) -> tuple[HookTry | None, Job | None]:
            return work.hooks.begin(job.job_id, HOOK_SECONDS), work.jobs.get(job.job_id)

        attempt, ended = transact(self._database, begin)
        if attempt is None or ended is None:
            return False
        exc: BaseException | None = HookInterruptedError(MAX_TRIES)
        if attempt.tries <= MAX_TRIES:
            exc = self._call(controller, ended)
        self._record(message, ended, attempt, exc)
        return True

    def _call(self, controller: JobController[Any], job: Job) -> BaseException | None:
        """Calls the hook; returns what it raised."""
        try:
            context = self._contexts.job(job, controller)
            controller.job_ended(context, JobOutcome(job.status, job.result, job.error))
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - an author's code may raise anything
            logger.warning(
                "the hook of job %s failed: %s", job.job_id, describe_for_log(exc, self._secrets.of_errors(job))
            )
            return exc
        return None

    def _record(self, message: JobMessage, job: Job, attempt: HookTry, exc: BaseException | None) -> None:
        if exc is None:
            if self._write(lambda work: work.hooks.succeed(attempt)):
                logger.info("the hook of job %s (%s) has run", job.job_id, job.status)
            return
        error = json_text.encode(describe(exc, self._secrets.of_errors(job)))
        if attempt.tries >= MAX_TRIES:
            self._write(lambda work: work.hooks.give_up(attempt, error))
            logger.error("the hook of job %s has failed %d times and is given up", job.job_id, attempt.tries)
            return
        delay_seconds = _FIRST_DELAY_SECONDS * 2 ** (attempt.tries - 1)
        due_at = self._write(lambda work: work.hooks.fail(attempt, error, delay_seconds))
        if due_at is not None:
            send(self._queue, JOBS_QUEUE, [message.outgoing(due_at)])

    def _write(self, action: Callable[[UnitOfWork], T]) -> T:
        """Records a try. An outage or a refusal is waited out here: a try that is not recorded is a try less."""
        until = self._outages.deadline(self._lease_seconds)
        return self._outages.run(lambda: transact(self._database, action), until)
