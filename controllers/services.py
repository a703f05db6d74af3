from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from controllers.storage.blob_accounts import BlobAccounts
from controllers.storage.opener import open_source
from controllers.storage.source import Source
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
        blobs: the storage accounts whose blobs jobs may read, and write in the first of them.
    """

    data_dir: Path
    allowed_source_hosts: frozenset[str]
    database: Database
    blobs: BlobAccounts = field(default_factory=BlobAccounts)

    def open_source(self, source: str, version: str | None = None) -> AbstractContextManager[Source]:
        """Opens a source for the length of a `with` block.

        Args:
            source: a path relative to DATA_DIR, `blob://CONTAINER/NAME`, or an https URL: of a blob of an account of
                the app, which is read with its identity, or of an allowed host, which is read without one.
            version: the `Source.version()` that it must have, for example the one that an earlier stage has read;
                None takes any. Within the block, the source is one version in any case.

        Raises:
            SourceError: the source does not exist, may not be read, or is another version.
            SourceUnavailableError: the source cannot be read now.
        """
        return open_source(source, self, version)

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
