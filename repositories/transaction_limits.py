"""How long a transaction may wait for a lock, run one statement, and pause between two statements.

PostgreSQL enforces the limits. They are set inside the transaction, in one message with its begin and its first
statement: so they cost no round trip, and nothing of them is left on a connection that PgBouncer lends to another
client.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from repositories.ports import TransactionKind


@dataclass(frozen=True)
class TransactionLimits:
    """The limits of one kind of transaction.

    Attributes:
        lock_seconds: how long a statement may wait for a lock.
        statement_seconds: how long a statement may run, its waits included.
        idle_seconds: how long the transaction may pause; then PostgreSQL rolls it back and closes its connection.
    """

    lock_seconds: float = 5.0
    statement_seconds: float = 20.0
    idle_seconds: float = 30.0

    def milliseconds(self) -> dict[str, int]:
        """Returns the limits as PostgreSQL's settings take them; at least 1, because 0 means no limit."""
        limits = {"lock": self.lock_seconds, "statement": self.statement_seconds, "idle": self.idle_seconds}
        return {name: max(round(seconds * 1000), 1) for name, seconds in limits.items()}


_SENDING_IDLE_SECONDS = 60.0
"""Longer than the deadline of a send, 20 s."""

_MIGRATION_LOCK_SECONDS = 2.0
_MIGRATION_IDLE_SECONDS = 3600.0
"""Longer than any migration may take (`repositories/migrations.py`)."""


def limits_of_kinds(
    lock_seconds: float = 5.0, statement_seconds: float = 20.0, job_type_statement_seconds: float = 120.0
) -> Mapping[TransactionKind, TransactionLimits]:
    """Returns the limits of every kind of transaction.

    Args:
        lock_seconds: how long a statement may wait for a lock.
        statement_seconds: how long a statement of Lockstep may run.
        job_type_statement_seconds: how long a statement of a job type may run, and its transaction may pause.
    """
    short = TransactionLimits(lock_seconds, statement_seconds)
    return {
        TransactionKind.SHORT: short,
        TransactionKind.ONE_STATEMENT: short,
        TransactionKind.SENDING: TransactionLimits(lock_seconds, statement_seconds, _SENDING_IDLE_SECONDS),
        TransactionKind.JOB_TYPE: TransactionLimits(
            lock_seconds, job_type_statement_seconds, max(short.idle_seconds, job_type_statement_seconds)
        ),
        TransactionKind.MIGRATION: TransactionLimits(
            _MIGRATION_LOCK_SECONDS, statement_seconds, _MIGRATION_IDLE_SECONDS
        ),
    }
