"""The errors of loading a file: those of the file, and those of the source that it is read from."""

from controllers import authoring as lockstep


class CsvError(lockstep.JobFailure):
    """The file is not a CSV file that can be loaded."""


class TooManyRejectedRowsError(lockstep.JobFailure):
    """A larger share of the rows is rejected than the job's parameters allow."""


class SourceError(lockstep.JobFailure, lockstep.PermanentTaskError):
    """A source cannot be used, now or later: the job or the task that reads it fails."""


class TableError(lockstep.JobFailure, lockstep.PermanentTaskError):
    """The table that the job is for cannot take its rows."""


class HeaderError(TableError):
    """The header of the file has names that no table takes."""


class ColumnTypesError(TableError):
    """The parameter `column_types` does not fit the file."""


class SourceUnavailableError(lockstep.LockstepError):
    """A source cannot be read now; another attempt may succeed.

    It is not `retryable`: the engine would wait for it as for an outage of PostgreSQL or the broker. Without that, a
    task is retried with its backoff, and a dispatch with a delay, a limited number of times.
    """


def source_changed(name: str) -> SourceError:
    """The error of a source that is not the file that the job began with."""
    return SourceError(
        f"the source {name!r} changed after the job began to read it; leave it as it is while a job loads it, "
        "and submit a job for the new file"
    )
