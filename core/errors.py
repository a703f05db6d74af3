"""The one error tree.

Every error that Lockstep raises on purpose derives from `LockstepError`. The docstring of a class says what
the error means, `retryable` says whether the same call may succeed later by itself, `waited_out` whether the engine
repeats a call of its own until it succeeds, and attributes carry the data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from core.statuses import DeadLetterState, JobStatus


class LockstepError(Exception):
    """The root of the errors that Lockstep raises on purpose."""

    retryable: ClassVar[bool] = False

    waited_out: ClassVar[bool] = False
    """True of every retryable error, and of errors that end when an operator mends something: a right or a queue."""


class ConfigurationError(LockstepError):
    """A setting is missing or wrong, or a job type of the app is."""


# Errors that an API caller makes.


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
    """The job ended more than `RETENTION_DAYS` ago and is being pruned: it cannot be reopened or submitted."""

    def __init__(self, job_id: str, status: JobStatus) -> None:
        super().__init__(job_id, status, "it ended long ago and is being deleted; submit it again after the deletion")


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


# Errors of a job type's code.


class JobFailure(LockstepError):  # noqa: N818 - authors declare an outcome with it
    """A controller raises this error when the job cannot succeed; the job fails with this message."""


class DependencyFailedError(LockstepError):
    """A job that another one was to start after has not completed, so the other one is cancelled."""

    def __init__(self, job_id: str, status: JobStatus | None) -> None:
        state = status or "deleted"
        super().__init__(f"job {job_id}, after which it was to start, is {state}; so this job is cancelled")


class StageDefinitionError(JobFailure):
    """A controller yields task definitions that cannot be queued: wrong order, type, size or value."""


class NonDeterministicStageError(JobFailure):
    """A replayed dispatch yields other tasks than the first dispatch queued.

    Its users may not be its authors, so the message says what they can do.
    """

    def __init__(self, difference: str) -> None:
        super().__init__(
            f"the code of this job type, or its input, has changed since the first tasks of this stage were queued: "
            f"{difference}. Submit the job again, with another Idempotency-Key; it can be retried once the former code "
            "and input are in place again"
        )


class StageFailedError(JobFailure):
    """More tasks of a stage failed than it tolerates."""


class StageTooSlowError(JobFailure):
    """The code of a job type takes longer for a stage than one invocation may."""


class TasksFailedError(LockstepError):
    """Tasks of a job that completed failed, no more than its stages tolerate."""


class AggregateError(JobFailure):
    """An aggregated result cannot be stored: it is not JSON, or it is over the size limit."""


class ControllerError(LockstepError):
    """The code of a job type raised an error; the job fails if this happens again and again.

    Attributes:
        error: what the code raised.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"the code of a job type raised {type(error).__name__}")
        self.error = error


class UnknownStageError(LockstepError):
    """The job type has no stage with this number; another version of the app may have it."""

    def __init__(self, job_type: str, number: int) -> None:
        super().__init__(f"job type {job_type!r} has no stage {number}")


class PermanentTaskError(LockstepError):
    """A task handler raises this error when a retry is useless; the task fails at once."""


class UnknownTaskTypeError(LockstepError):
    """No handler is registered for the task type; another version of the app may have it.

    Attributes:
        task_type: the unknown type.
    """

    def __init__(self, task_type: str) -> None:
        super().__init__(f"no handler is registered for task type {task_type!r}")
        self.task_type = task_type


class NoPreviousStageError(PermanentTaskError):
    """A task of stage 1 asks for the results of the stage before."""

    def __init__(self) -> None:
        super().__init__("a task of stage 1 has no previous results: there is no stage before it")


class BatchHandlerError(LockstepError):
    """A batch handler does not give one outcome for each of its tasks."""


class TaskResultError(PermanentTaskError):
    """A handler's result cannot be stored: it is not JSON, or it is over the size limit."""


class CheckpointError(PermanentTaskError):
    """A task's checkpoint cannot be stored: it is not JSON, it is over the size limit, or PostgreSQL refuses it."""


class ContinueLater(LockstepError):  # noqa: N818 - a signal, not an error
    """A handler raises this signal when the task has to go on in another run.

    The run ends without a result and spends no attempt. The next run begins soon, with the state as its checkpoint.

    Attributes:
        state: anything that JSON can express.
    """

    def __init__(self, state: Any) -> None:
        super().__init__(state)
        self.state = state

    def __str__(self) -> str:
        return "the task goes on in another run"


class IdleContinuationsError(PermanentTaskError):
    """A task goes on in another run again and again, and its checkpoint stays the same."""

    def __init__(self, continuations: int) -> None:
        super().__init__(
            f"{continuations} runs of this task in a row raised ContinueLater with the same state; a task that goes on "
            "later must change its checkpoint"
        )


class TaskLeaseLostError(LockstepError):
    """The lease of a running task was lost: another run begins, and the outcome of this one does not count."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"the lease of task {task_id} was lost, so this run must end; its outcome does not count")


class OutcomeRefusedError(PermanentTaskError):
    """PostgreSQL refuses to record how the task ended."""


class TaskTimeoutError(LockstepError):
    """A run of a task took longer than the timeout of its task type.

    Attributes:
        timeout_seconds: the timeout.
    """

    def __init__(self, timeout_seconds: float) -> None:
        super().__init__(f"the task took longer than its timeout of {timeout_seconds:g} s")
        self.timeout_seconds = timeout_seconds


class TaskMemoryError(LockstepError):
    """An isolated task needed more memory than its task type allows.

    Attributes:
        max_memory_mib: the limit.
    """

    def __init__(self, max_memory_mib: int) -> None:
        super().__init__(f"the task needed more memory than its max_memory_mib of {max_memory_mib:,} MiB")
        self.max_memory_mib = max_memory_mib


class TaskCrashedError(LockstepError):
    """The child process of an isolated task ended before the task did."""


class NotInIsolationError(PermanentTaskError):
    """A handler asks for something that an isolated task does not have; a retry would ask for it again."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"an isolated task has no {what}: it runs in a process of its own. Open a connection of your own in the "
            "handler, or leave isolated=True out"
        )


class RelayedError(LockstepError):
    """What the handler of an isolated task raised in its child process.

    Attributes:
        type_name: the name of the class that it raised.
    """

    def __init__(self, type_name: str, message: str) -> None:
        super().__init__(message)
        self.type_name = type_name


class RelayedPermanentError(RelayedError, PermanentTaskError):
    """The same, for a class that derives from `PermanentTaskError`."""


class TaskInterruptedError(PermanentTaskError):
    """Too many workers died or lost their lease while they ran the task."""

    def __init__(self, interruptions: int) -> None:
        super().__init__(
            f"{interruptions} runs of this task were interrupted; it seems to kill its worker process, "
            "or to outlast its lease"
        )
        self.interruptions = interruptions


class HookInterruptedError(LockstepError):
    """The hook of a job kills its process, or outlasts its time."""

    def __init__(self, tries: int) -> None:
        super().__init__(f"{tries} tries of the hook did not end; it seems to kill its process, or to outlast its time")


# Errors of the database.


class DatabaseError(LockstepError):
    """PostgreSQL refused a statement."""

    waited_out = True


class RefusedValueError(DatabaseError):
    """PostgreSQL cannot store or return a value: it is out of range, or a constraint or a trigger refuses its row."""

    waited_out = False


class ConstraintViolationError(RefusedValueError):
    """A row violates a constraint of the schema.

    Attributes:
        constraint: the constraint's name, empty when PostgreSQL did not say.
    """

    def __init__(self, message: str, constraint: str) -> None:
        super().__init__(message)
        self.constraint = constraint


class DatabaseUnavailableError(DatabaseError):
    """PostgreSQL cannot be reached, or has closed the connection."""

    retryable = True


class PoolTimeoutError(DatabaseUnavailableError):
    """No connection of the pool was free in time."""


class StatementTimeoutError(DatabaseUnavailableError):
    """A statement took longer than the limit of its transaction, and PostgreSQL cancelled it."""


class MigrationBlockedError(DatabaseUnavailableError):
    """A migration waits for a lock that another connection holds; the next start of the app tries again."""


class TransactionConflictError(DatabaseError):
    """PostgreSQL aborted this transaction to resolve a deadlock or a serialization conflict."""

    retryable = True


class LockTimeoutError(TransactionConflictError):
    """Another transaction holds a lock for longer than this transaction may wait."""


# Errors of the broker.


class QueueError(LockstepError):
    """Service Bus refused a message."""

    waited_out = True


class QueueNotFoundError(QueueError):
    """The queue does not exist in the namespace."""


class MessageTooLargeError(QueueError):
    """A message or a batch of messages is over the tier's size limit."""

    waited_out = False


class QueueUnavailableError(QueueError):
    """Service Bus cannot be reached, is busy, or does not acknowledge in time."""

    retryable = True


class QueueTimeoutError(QueueUnavailableError):
    """Service Bus did not answer in time; it may still take what was sent to it."""


class MessageFormatError(LockstepError):
    """A message in a queue cannot be decoded."""


# Signals inside the engine.


class DispatchInterruptedError(LockstepError):
    """A dispatch stopped before its end; a replay continues it."""

    retryable = waited_out = True


class SliceEnded(LockstepError):  # noqa: N818 - a signal, not an error
    """A dispatch or an aggregation has used up its time slice; another message continues it."""


class NoRoomLeft(SliceEnded):
    """A stage has as many unfinished tasks out as it may have; its dispatch goes on when some of them have ended."""


class DispatchLeaseLostError(LockstepError):
    """The dispatcher has lost the stage's dispatch lease to another dispatcher, or the stage has ended."""


class AggregationLostError(LockstepError):
    """Another host has aggregated the same results meanwhile, or the stage was reopened."""


class StageReopenedError(LockstepError):
    """The stage was reopened meanwhile, so its earlier end no longer counts."""


class ShutdownError(LockstepError):
    """This process is shutting down and starts nothing more; another process does the work."""

    retryable = waited_out = True


class EngineFaultError(LockstepError):
    """The engine failed in a way that it does not know: a bug. Its code may be mended, so its work is tried again."""

    waited_out = True
