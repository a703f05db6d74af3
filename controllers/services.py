from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from repositories.ports import Database, TransactionKind, UnitOfWork
from repositories.transactions import transact

T = TypeVar("T")


@dataclass(frozen=True)
class Services:
    """The services that controllers and handlers get in their contexts.

    Attributes:
        data_dir: the only directory whose files jobs may read and write.
        allowed_source_hosts: the hosts that jobs may read from over https.
        database: Lockstep's own database; `database.transaction()` is for transactions that only read, with the
            limits of Lockstep's own; `database.transaction(TransactionKind.JOB_TYPE)` has those of `transact`. An
            isolated task has no connection to it: both raise `NotInIsolationError` there.
    """

    data_dir: Path
    allowed_source_hosts: frozenset[str]
    database: Database

    def transact(self, action: Callable[[UnitOfWork], T]) -> T:
        """Runs an action in a transaction that may write; returns what it returns.

        Runs it again when the transaction loses a deadlock, so that this costs a task no attempt. The action must have
        no effect outside the transaction, and must not use up an iterator that was opened before.

        Raises:
            TransactionConflictError: it lost five times in a row.
            LockTimeoutError: another transaction holds a lock for longer than DATABASE_LOCK_TIMEOUT_SECONDS.
            DatabaseError: PostgreSQL refused a statement.
        """
        return transact(self.database, action, TransactionKind.JOB_TYPE)
