from enum import StrEnum, auto


class TransactionKind(StrEnum):
    """What a transaction does; PostgreSQL's limits on its locks, statements and pauses depend on it."""

    SHORT = auto()
    """Reads or writes a few rows, and does nothing else meanwhile."""

    SENDING = auto()
    """Sends messages before it commits, so it may pause for as long as a send may take."""

    JOB_TYPE = auto()
    """Runs a job type's own statements, which may load or read many rows."""

    MIGRATION = auto()
    """Holds the migration lock while another connection migrates."""
