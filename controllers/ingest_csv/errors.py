from controllers import authoring as lockstep


class CsvError(lockstep.JobFailure):
    """The file is not a CSV file that can be loaded."""


class SourceError(lockstep.JobFailure, lockstep.PermanentTaskError):
    """A source cannot be used, now or later: the job or the task that reads it fails."""


class SourceUnavailableError(lockstep.LockstepError):
    """A source cannot be read now; another attempt may succeed."""
