from enum import StrEnum, auto


class TransactionKind(StrEnum):
    """What a transaction does; PostgreSQL's limits on its locks, statements and pauses depend on it."""

    SHORT = auto()
    """Reads or writes a few rows, and does nothing else meanwhile."""

    ONE_STATEMENT = auto()
    """The same with one call of a repository, which one message carries: it is committed when the call returns, and
    nothing that follows in its block can roll it back."""

    SENDING = auto()
    """Sends messages before it commits, so it may pause for as long as a send may take."""

    JOB_TYPE = auto()
    """Runs a job type's own statements, which may load or read many rows."""

    MIGRATION = auto()
    """Holds the migration lock while another connection migrates."""
