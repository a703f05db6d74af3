"""The one error tree.

Every error that Lockstep raises on purpose derives from `LockstepError`; the docstring of a class is
its meaning, `retryable` says whether the same call may succeed later, and the data is in attributes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from core.statuses import JobStatus


class LockstepError(Exception):
    """Something that Lockstep foresaw went wrong."""

    retryable: ClassVar[bool] = False


class ConfigurationError(LockstepError):
    """A setting is missing or makes no sense."""


# --- what a caller of the API did -------------------------------------------------------------


@dataclass(frozen=True)
class FieldError:
    """One thing that is wrong with the input: where (a dotted path) and what."""

    field: str
    message: str


class InvalidInputError(LockstepError):
    """The input cannot be accepted as it is.

    Attributes:
        errors: what is wrong, field by field; may be empty when the message says it all.
    """

    def __init__(self, message: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)


class UnencodableValueError(InvalidInputError):
    """A value has no form that both JSON and PostgreSQL's jsonb accept."""


class PayloadTooLargeError(InvalidInputError):
    """A payload is larger than its limit.

    Attributes:
        size_bytes: its size.
        limit_bytes: the most that is accepted.
    """

    def __init__(self, what: str, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"{what} has {size_bytes:,} bytes; at most {limit_bytes:,} are accepted")
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class UnknownJobTypeError(LockstepError):
    """No controller is registered for the job type.

    Attributes:
        job_type: the unknown type.
        known: the registered types, sorted.
    """

    def __init__(self, job_type: str, known: Sequence[str]) -> None:
        super().__init__(f"unknown job type {job_type!r}; known are {', '.join(known)}")
        self.job_type = job_type
        self.known = tuple(known)


class JobNotFoundError(LockstepError):
    """No job has the id.

    Attributes:
        job_id: the id that was asked for.
    """

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id!r}")
        self.job_id = job_id


class IdempotencyConflictError(LockstepError):
    """The idempotency key already belongs to a job with another type or other parameters.

    Attributes:
        job_id: the job that holds the key.
    """

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"the idempotency key belongs to job {job_id}, which has another type or other parameters; "
            "use another key, or send the same parameters"
        )
        self.job_id = job_id


class JobStateError(LockstepError):
    """The job is in a status in which it cannot do what is asked for; the text says why.

    Attributes:
        job_id: the job.
        status: its status.
    """

    def __init__(self, job_id: str, status: JobStatus, reason: str) -> None:
        super().__init__(f"job {job_id} is {status}: {reason}")
        self.job_id = job_id
        self.status = status


class JobBeingPrunedError(JobStateError):
    """The job ended more than `RETENTION_DAYS` ago and is being deleted: it cannot be opened again or submitted."""

    def __init__(self, job_id: str, status: JobStatus) -> None:
        super().__init__(
            job_id, status, "it is being deleted, because it ended long ago; submit it again when it is gone"
        )


# --- what a job type's author may raise, and what is wrong with his job -------------------------


class JobFailure(LockstepError):  # noqa: N818 - an outcome that an author declares, not a malfunction
    """Raised by a controller: the job cannot succeed and fails with this message."""


class StageDefinitionError(JobFailure):
    """A controller yields task definitions that cannot be queued (order, type or size)."""


class NonDeterministicStageError(JobFailure):
    """A replayed dispatch yields other tasks than those that are already queued."""


class StageFailedError(JobFailure):
    """More tasks of a stage failed than it tolerates."""


class AggregateError(JobFailure):
    """An aggregated result cannot be stored: it is not JSON, or it is over the size limit."""


class PermanentTaskError(LockstepError):
    """Raised by a task handler: trying again is useless, so the task fails at once."""


class UnknownTaskTypeError(LockstepError):
    """No handler is registered for the task type; another version of the app may have one.

    Attributes:
        task_type: the unknown type.
    """

    def __init__(self, task_type: str) -> None:
        super().__init__(f"no handler is registered for task type {task_type!r}")
        self.task_type = task_type


class TaskResultError(PermanentTaskError):
    """A handler's result cannot be stored: it is not JSON, or it is over the size limit."""


class TaskInterruptedError(PermanentTaskError):
    """Too many workers died, or lost their lease, while they ran the task."""

    def __init__(self, interruptions: int) -> None:
        super().__init__(
            f"{interruptions} runs of this task were interrupted; it seems to end the process that runs it, "
            "or to outlast its lease"
        )
        self.interruptions = interruptions


# --- the database -----------------------------------------------------------------------------


class DatabaseError(LockstepError):
    """PostgreSQL refused a statement."""


class ConstraintViolationError(DatabaseError):
    """A row broke a constraint of the schema.

    Attributes:
        constraint: the constraint's name, empty when PostgreSQL did not say.
    """

    def __init__(self, message: str, constraint: str) -> None:
        super().__init__(message)
        self.constraint = constraint


class DatabaseUnavailableError(DatabaseError):
    """PostgreSQL cannot be reached, or it ended the connection."""

    retryable = True


class PoolTimeoutError(DatabaseUnavailableError):
    """No connection of the pool became free in time."""


class TransactionConflictError(DatabaseError):
    """PostgreSQL broke a deadlock or a serialization conflict at this transaction's cost."""

    retryable = True


# --- the broker -------------------------------------------------------------------------------


class QueueError(LockstepError):
    """Service Bus refused a message."""


class QueueNotFoundError(QueueError):
    """The queue does not exist in the namespace."""


class MessageTooLargeError(QueueError):
    """A message, or a batch of them, is over the tier's size limit."""


class QueueUnavailableError(QueueError):
    """Service Bus cannot be reached, is busy, or did not acknowledge in time."""

    retryable = True


class MessageFormatError(LockstepError):
    """A queue message cannot be understood."""


# --- the engine -------------------------------------------------------------------------------


class DispatchInterruptedError(LockstepError):
    """A stage's dispatch stopped before its end; a replay goes on where it stopped."""

    retryable = True


class SliceEnded(LockstepError):  # noqa: N818 - a signal, not a malfunction
    """A dispatch has used up its slice of time; a continuation message goes on."""


class DispatchLeaseLostError(LockstepError):
    """Another dispatcher has taken the stage over, or the stage has ended."""


class StageReopenedError(LockstepError):
    """A stage was opened again: what was to be done about its end, or its stop, shall not be done any more."""


class ShutdownError(LockstepError):
    """This process shuts down and begins nothing new; another one does it."""

    retryable = True
