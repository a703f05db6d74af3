"""The errors of a file that cannot be loaded, and of a table that cannot take its rows."""

from controllers import authoring as lockstep


class CsvError(lockstep.JobFailure):
    """The file is not a CSV file that can be loaded."""


class TooManyRejectedRowsError(lockstep.JobFailure):
    """A larger share of the rows is rejected than the job's parameters allow."""


class TableError(lockstep.JobFailure, lockstep.PermanentTaskError):
    """The table that the job is for cannot take its rows."""


class HeaderError(TableError):
    """The header of the file has names that no table takes."""


class ColumnTypesError(TableError):
    """The parameter `column_types` does not fit the file."""
