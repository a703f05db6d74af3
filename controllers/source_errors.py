from core.errors import JobFailure, LockstepError, PermanentTaskError


class SourceError(JobFailure, PermanentTaskError):
    """A source cannot be used, now or later: it fails the job, or the task, whoever asked for it."""


class SourceUnavailableError(LockstepError):
    """A source cannot be read now; another attempt may succeed."""
