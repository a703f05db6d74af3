"""Errors of the files and blobs that jobs read and write."""

from core.errors.jobs import JobFailure
from core.errors.root import LockstepError
from core.errors.tasks import PermanentTaskError


class SourceError(JobFailure, PermanentTaskError):
    """A source cannot be used, now or later: the job or the task that reads it fails."""


class SourceUnavailableError(LockstepError):
    """A source cannot be read now; another attempt may succeed.

    It is not `retryable`: the engine would wait for it as for an outage of PostgreSQL or the broker. Without that, a
    task is retried with its backoff, and a dispatch with a delay, a limited number of times.
    """


class TargetError(JobFailure, PermanentTaskError):
    """A blob cannot be written, now or later: the job or the task that writes it fails."""


class TargetUnavailableError(LockstepError):
    """A blob cannot be written now; another attempt may succeed, and begins the blob anew."""


class BlobError(LockstepError):
    """Azure Blob Storage refuses a request for good; the message says which and why, without a URL's query."""


class BlobChangedError(BlobError):
    """The blob is no longer the version that was asked for."""


class BlobUnavailableError(LockstepError):
    """Azure Blob Storage cannot be reached, is busy, or did not answer in time.

    Attributes:
        retry_after_seconds: how long to wait before the same request; 0 if the service does not say.
    """

    def __init__(self, message: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


def source_changed(name: str) -> SourceError:
    """The error of a source that is not the file that the job began with."""
    return SourceError(
        f"the source {name!r} changed after the job began to read it; leave it as it is while a job loads it, "
        "and submit a job for the new file"
    )
