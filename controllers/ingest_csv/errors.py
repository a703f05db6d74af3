from controllers.authoring import JobFailure, LockstepError, PermanentTaskError


class CsvError(JobFailure):
    """The file is not a CSV file that can be loaded."""


class SourceError(JobFailure, PermanentTaskError):
    """A source cannot be used, now or later: the job or the task that reads it fails."""


class SourceUnavailableError(LockstepError):
    """A source cannot be read now; another attempt may succeed."""
