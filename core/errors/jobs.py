"""Errors of a job type's controller and its stages."""

from core.errors.root import LockstepError
from core.statuses import JobStatus


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
