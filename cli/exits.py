"""The exit codes of the command; docs/command-line.md has them for scripts."""

from enum import IntEnum

from client import (
    InvalidArgumentError,
    InvalidInputError,
    LockstepError,
    NotReachableError,
    ProblemError,
    UnavailableError,
    UnexpectedAnswerError,
    WatchTimeoutError,
)
from client.answers import JobStatus


class UsageError(LockstepError):
    """The command line, a profile or the parameters of a job are not valid."""


class ExitCode(IntEnum):
    """What a script can go by."""

    COMPLETED = 0  # the job has completed, or the command has done what it says
    FAILED = 1  # the job has failed, or the app has an error or is not healthy
    USAGE = 2  # the command line, the profile or the parameters are not valid
    NOT_REACHABLE = 3  # the app cannot be reached, or is unavailable
    REFUSED = 4  # the key is refused, there is no such job, or its status does not allow this
    COMPLETED_WITH_ERRORS = 5  # the job has completed, but some of its tasks failed
    CANCELLED = 6  # the job was cancelled
    TIMED_OUT = 7  # the job has not ended within --timeout, and runs on
    INTERRUPTED = 130  # Ctrl-C; a watched job runs on


_OF_STATUS: dict[JobStatus, ExitCode] = {
    "completed": ExitCode.COMPLETED,
    "completed_with_errors": ExitCode.COMPLETED_WITH_ERRORS,
    "failed": ExitCode.FAILED,
    "cancelled": ExitCode.CANCELLED,
}


def of_job(status: JobStatus) -> ExitCode:
    """Returns the exit code of a job that has ended."""
    return _OF_STATUS[status]


def of_error(exc: LockstepError) -> ExitCode:
    """Returns the exit code of an error."""
    match exc:
        case UsageError() | InvalidArgumentError() | InvalidInputError():
            return ExitCode.USAGE
        case NotReachableError() | UnavailableError() | UnexpectedAnswerError():
            return ExitCode.NOT_REACHABLE
        case WatchTimeoutError():
            return ExitCode.TIMED_OUT
        case ProblemError() if exc.status in {401, 403, 404, 409}:
            return ExitCode.REFUSED
        case _:
            return ExitCode.FAILED
