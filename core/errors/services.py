"""Errors of the database and the broker."""

from collections.abc import Sequence

from core.errors.root import LockstepError


class DatabaseError(LockstepError):
    """PostgreSQL refused a statement."""

    waited_out = True


class RefusedValueError(DatabaseError):
    """PostgreSQL cannot store or return a value: it is out of range, or a constraint or a trigger refuses its row."""

    waited_out = False


class ConstraintViolationError(RefusedValueError):
    """A row violates a constraint of the schema.

    Attributes:
        constraint: the constraint's name, empty when PostgreSQL did not say.
    """

    def __init__(self, message: str, constraint: str) -> None:
        super().__init__(message)
        self.constraint = constraint


class DatabaseUnavailableError(DatabaseError):
    """PostgreSQL cannot be reached, or has closed the connection."""

    retryable = True


class PoolTimeoutError(DatabaseUnavailableError):
    """No connection of the pool was free in time."""


class StatementTimeoutError(DatabaseUnavailableError):
    """A statement took longer than the limit of its transaction, and PostgreSQL cancelled it."""


class MigrationBlockedError(DatabaseUnavailableError):
    """A migration waits for a lock that another connection holds; the next start of the app tries again."""


class SchemaBehindError(DatabaseUnavailableError):
    """The database lacks migrations that this version needs, and the app may not apply them.

    Attributes:
        pending: their ids.
    """

    def __init__(self, pending: Sequence[str]) -> None:
        super().__init__(f"the database lacks the migrations {', '.join(pending)}: run python -m migrate")
        self.pending = tuple(pending)


class TransactionConflictError(DatabaseError):
    """PostgreSQL aborted this transaction to resolve a deadlock or a serialization conflict."""

    retryable = True


class LockTimeoutError(TransactionConflictError):
    """Another transaction holds a lock for longer than this transaction may wait."""


class QueueError(LockstepError):
    """The broker refused a message."""

    waited_out = True


class QueueNotFoundError(QueueError):
    """The queue does not exist."""


class MessageTooLargeError(QueueError):
    """A message or a batch of messages is over the tier's size limit."""

    waited_out = False


class QueueUnavailableError(QueueError):
    """The broker cannot be reached, is busy, or does not acknowledge in time."""

    retryable = True


class QueueTimeoutError(QueueUnavailableError):
    """The broker did not answer in time; it may still take what was sent to it."""


class MessageFormatError(LockstepError):
    """A message in a queue cannot be decoded."""


class CountsUnavailableError(LockstepError):
    """The messages of a queue cannot be counted; the message is the reason, without hosts and secrets."""
