import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from controllers.base import JobController, WhenExclusive
from controllers.registry import Registry
from controllers.secret_parameters import plain_json
from core import ids, json_text
from core.errors import FieldError, IdempotencyConflictError, InvalidInputError, JobBeingPrunedError
from core.job_waits import AT_ONCE, StartConditions
from core.models import Job
from core.statuses import JobStatus
from core.telemetry import telemetry
from engine.jobs.exclusive_keys import exclusive_key
from engine.jobs.first_message import send_first_message
from engine.jobs.submission_check import SubmissionCheck
from engine.jobs.waiting_jobs import Settled, WaitingJobs
from repositories.ports import Database, MessageQueue, TransactionKind, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)

MAX_KEY_LENGTH = 255


@dataclass(frozen=True)
class Submission:
    """The job of a submission; `created` is False if the job existed already."""

    job_id: str
    status: JobStatus
    created: bool


class Submitter:
    """Accepts jobs: writes a durable row first, then sends a message."""

    def __init__(
        self,
        database: Database,
        queue: MessageQueue,
        registry: Registry,
        submission_check: SubmissionCheck,
        waiting: WaitingJobs,
    ) -> None:
        self._database = database
        self._queue = queue
        self._registry = registry
        self._check = submission_check
        self._waiting = waiting

    def submit(  # noqa: PLR0913 - each is a choice of the client's own
        self,
        job_type: str,
        parameters: Mapping[str, Any],
        idempotency_key: str | None = None,
        caller: str = "",
        job_id: str | None = None,
        conditions: StartConditions = AT_ONCE,
        *,
        urgent: bool = False,
    ) -> Submission:
        """Accepts a job. Submitting the same job again changes nothing, not even when it starts.

        The job id is derived from the type and the key of the caller; without a key, from the type and the parameters,
        with defaults filled in.

        Args:
            job_type: the job type.
            parameters: the job's parameters as JSON.
            idempotency_key: names the job among those of this type and this caller.
            caller: the caller, as the platform names it; empty if it names none.
            job_id: the id of the job, if it is derived from something else: the tick of a schedule.
            conditions: when it may start; no part of the job's id.
            urgent: whether its short tasks overtake those of other jobs; a job that exists stays as it is.

        Raises:
            UnknownJobTypeError: no job type has this name.
            InvalidInputError: the parameters do not fit the job type's model, the job type refuses them for another
                reason, the key is too long, or a job before this one does not exist.
            ExclusiveJobError: another job holds the exclusive key, and the job type refuses jobs then.
            UnreachableError: the job type cannot look at what it checks now.
            IdempotencyConflictError: the key belongs to a job with other parameters.
            JobBeingPrunedError: the job is being deleted; it can be submitted again afterwards.
            DatabaseError: nothing was accepted.
        """
        controller = self._registry.controller(job_type)
        text = json_text.encode(parameters, what="the parameters")
        try:
            # Strict mode refuses what the API's schema forbids ("3" for a number). In JSON input, it still accepts a
            # date written as a string.
            model = controller.Parameters.model_validate_json(text, strict=True)
        except ValidationError as exc:
            raise InvalidInputError(f"the parameters of {job_type} are not valid", _field_errors(exc)) from exc
        canonical = json_text.encode(plain_json(model), what="the parameters")
        job_id = job_id or _job_id(job_type, canonical, idempotency_key, caller)
        # The world may change until a job starts later. Whatever has changed, a job that was accepted stays accepted.
        if conditions == AT_ONCE and self._check.is_needed(controller) and not self._is_known(job_id):
            self._check.check(controller, model)
        key = exclusive_key(controller, model)
        if key is None and conditions == AT_ONCE and self._create(job_id, canonical, controller, urgent=urgent):
            status, created = JobStatus.PENDING_QUEUE, True
        else:
            status, created = self._create_or_find(job_id, canonical, controller, conditions, key, urgent=urgent)
        if created:
            telemetry().job_accepted(job_id, job_type)
        if status == JobStatus.PENDING_QUEUE and send_first_message(self._database, self._queue, job_id):
            status = JobStatus.QUEUED
        logger.info("job %s (%s) %s", job_id, job_type, "accepted" if created else "was submitted before")
        return Submission(job_id, status, created)

    def _is_known(self, job_id: str) -> bool:
        with self._database.transaction() as work:
            return work.jobs.get(job_id) is not None

    def _create(self, job_id: str, canonical: str, controller: JobController[Any], *, urgent: bool) -> bool:
        """Creates a job that starts at once; returns False when it exists already."""
        stages = len(controller.stages)
        return transact(
            self._database,
            lambda work: work.jobs.create(job_id, controller.job_type, canonical, stages, urgent=urgent),
            TransactionKind.ONE_STATEMENT,
        )

    def _create_or_find(
        self,
        job_id: str,
        canonical: str,
        controller: JobController[Any],
        conditions: StartConditions,
        key: str | None,
        *,
        urgent: bool,
    ) -> tuple[JobStatus, bool]:
        """Returns the status of the job, and whether it is new."""
        job_type, waits = controller.job_type, key is not None or conditions != AT_ONCE
        settled: Settled | None = None
        now: datetime | None = None

        def create(work: UnitOfWork) -> tuple[bool, bool | None, Job | None]:
            nonlocal settled, now
            status = JobStatus.WAITING if waits else JobStatus.PENDING_QUEUE
            created = work.jobs.create(job_id, job_type, canonical, len(controller.stages), status, urgent=urgent)
            if waits and created:
                refuses = controller.when_exclusive == WhenExclusive.REFUSE
                settled, now = self._waiting.hold(work, job_id, conditions, key, refuses=refuses), work.now()
            return created, work.jobs.same_submission(job_id, job_type, canonical), work.jobs.get(job_id)

        while True:
            created, same, job = transact(self._database, create)
            if same is None or job is None:
                continue  # a job with this id existed, and the pruner deleted it before the second statement
            if not same:
                logger.info("the idempotency key of job %s was sent with other parameters", job_id)
                raise IdempotencyConflictError
            if job.pruned_at is not None:
                raise JobBeingPrunedError(job_id, job.status)
            if created and job.status == JobStatus.WAITING and conditions.start_at is not None and now is not None:
                self._waiting.schedule(job_id, conditions.start_at, now)
            elif created and job.status == JobStatus.CANCELLED:
                self._waiting.announce(job_id, settled)
            return job.status, created


def _job_id(job_type: str, canonical: str, idempotency_key: str | None, caller: str) -> str:
    if idempotency_key is None:
        return ids.job_id_for_parameters(job_type, canonical)
    if not 0 < len(idempotency_key) <= MAX_KEY_LENGTH:
        raise InvalidInputError(f"an idempotency key has 1 to {MAX_KEY_LENGTH} characters")
    return ids.job_id_for_key(job_type, idempotency_key, caller)


def _field_errors(exc: ValidationError) -> list[FieldError]:
    return [
        FieldError(".".join(map(str, error["loc"])), error["msg"])
        for error in exc.errors(include_url=False, include_input=False, include_context=False)
    ]
