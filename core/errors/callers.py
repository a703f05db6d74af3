"""Errors that an API caller makes."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors.root import LockstepError
from core.statuses import DeadLetterState, JobStatus


@dataclass(frozen=True)
class FieldError:
    """One error of the input: the field (a dotted path) and what is wrong with it."""

    field: str
    message: str


class InvalidInputError(LockstepError):
    """The input is not valid.

    Attributes:
        errors: the errors by field; empty when the message is enough.
    """

    def __init__(self, message: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)


def field_error(field: str, message: str) -> InvalidInputError:
    """Returns the error of one field; the message goes on after its name: "must be ..."."""
    return InvalidInputError(f"{field} {message}", [FieldError(field, message)])


class InvalidParameterError(InvalidInputError):
    """A controller refuses a parameter of a job at its submission, because of what it has found in the world."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}", [FieldError(field, reason)])


class UnreachableError(LockstepError):
    """Something that a submission is checked against cannot be reached; the client may try again."""


class UnencodableValueError(InvalidInputError):
    """A value cannot be written as JSON, or PostgreSQL's jsonb cannot store it."""


class PayloadTooLargeError(InvalidInputError):
    """A payload is larger than its limit.

    Attributes:
        size_bytes: the size of the payload.
        limit_bytes: the limit.
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


class TaskNotFoundError(LockstepError):
    """The job has no task with the id.

    Attributes:
        job_id: the job.
        task_id: the id that was asked for.
    """

    def __init__(self, job_id: str, task_id: str) -> None:
        super().__init__(f"job {job_id} has no task {task_id[:100]!r}")
        self.job_id = job_id
        self.task_id = task_id


class IdempotencyConflictError(LockstepError):
    """The idempotency key already belongs to a job with other parameters, which may be another client's."""

    def __init__(self) -> None:
        super().__init__(
            "the idempotency key belongs to a job of this type with other parameters; "
            "use another key, or send the same parameters"
        )


class JobStateError(LockstepError):
    """The job's status does not allow the request; the message says why.

    Attributes:
        job_id: the job.
        status: its status.
    """

    def __init__(self, job_id: str, status: JobStatus, reason: str) -> None:
        super().__init__(f"job {job_id} is {status}: {reason}")
        self.job_id = job_id
        self.status = status


class ExclusiveJobError(LockstepError):
    """Another job holds the exclusive key that this one needs, or is the next to take it.

    Attributes:
        holder: the other job; None when it has ended meanwhile.
    """

    def __init__(self, holder: str | None) -> None:
        who = "another job" if holder is None else f"job {holder}"
        super().__init__(f"{who} has the exclusive key that this job needs; try again when it has ended")
        self.holder = holder


class JobBeingPrunedError(JobStateError):
    """The job is being deleted, by the pruner or a bulk action: it cannot be reopened or submitted."""

    def __init__(self, job_id: str, status: JobStatus) -> None:
        super().__init__(job_id, status, "it is being deleted; submit it again after the deletion")


class DeadLetterNotFoundError(LockstepError):
    """No dead letter has the id.

    Attributes:
        dead_letter_id: the id that was asked for; None when the text is not an id.
    """

    def __init__(self, dead_letter_id: int | None) -> None:
        super().__init__("there is no such dead letter")
        self.dead_letter_id = dead_letter_id


class DeadLetterStateError(LockstepError):
    """A dead letter cannot be resent or discarded: it was handled already, or its message has no work left to do.

    Attributes:
        dead_letter_id: the dead letter.
        state: its state.
    """

    def __init__(self, dead_letter_id: int, state: DeadLetterState, reason: str) -> None:
        super().__init__(f"dead letter {dead_letter_id} is {state}: {reason}")
        self.dead_letter_id = dead_letter_id
        self.state = state


class ActionNotFoundError(LockstepError):
    """No bulk action has the id."""

    def __init__(self, action_id: str) -> None:
        super().__init__(f"there is no action {action_id[:100]!r}")
