"""PostgreSQL: transactions, and psycopg2's errors in the words of our own tree."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import cast

import psycopg2
from psycopg2 import errors as pg
from psycopg2.extensions import connection, cursor

from core.errors import (
    ConstraintViolationError,
    DatabaseError,
    DatabaseUnavailableError,
    TransactionConflictError,
)
from repositories import queries
from repositories.batches import PostgresBatchRepository
from repositories.dead_letters import PostgresDeadLetterRepository
from repositories.ingest import PostgresIngestRepository
from repositories.jobs import PostgresJobRepository
from repositories.pool import ConnectionPool
from repositories.rows import Rows
from repositories.stages import PostgresStageRepository
from repositories.tasks import PostgresTaskRepository

_CONFLICTS = (pg.DeadlockDetected, pg.SerializationFailure, pg.LockNotAvailable)
_AWAY = (psycopg2.OperationalError, psycopg2.InterfaceError)


class PostgresDatabase:
    """The database behind the port `Database`.

    Args:
        pool: where connections come from; closed with the database.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    @contextmanager
    def transaction(self) -> Iterator["PostgresUnitOfWork"]:
        """Opens a transaction: committed at the end of the block, rolled back when it raises.

        Raises:
            DatabaseUnavailableError: PostgreSQL is away, or no connection became free in time.
            TransactionConflictError: it lost a deadlock; the same block may be tried again.
            DatabaseError: a statement was refused.
        """
        with self._pool.lend() as conn:
            try:
                with conn.cursor() as cur:
                    yield PostgresUnitOfWork(cur)
                conn.commit()
            except BaseException as exc:
                _roll_back(conn)
                if isinstance(exc, psycopg2.Error):
                    raise translate(exc) from exc
                raise

    def close(self) -> None:
        """Closes the pool."""
        self._pool.close()


class PostgresUnitOfWork:
    """The repositories of one transaction."""

    def __init__(self, cur: cursor) -> None:
        rows = Rows(cur)
        self._rows = rows
        self.jobs = PostgresJobRepository(rows)
        self.stages = PostgresStageRepository(rows)
        self.batches = PostgresBatchRepository(rows)
        self.tasks = PostgresTaskRepository(rows)
        self.dead_letters = PostgresDeadLetterRepository(rows)
        self.ingest = PostgresIngestRepository(rows)

    def now(self) -> datetime:
        """The database's clock (aware)."""
        return cast(datetime, self._rows.one(_QUERIES["now"])["now"])

    def applied_migrations(self) -> set[str]:
        """The ids of the migrations that were applied.

        Raises:
            DatabaseError: none ever was.
        """
        return {row["migration_id"] for row in self._rows.all(_QUERIES["applied_migrations"])}

    def lock_migrations(self) -> None:
        """Waits for, then holds the migration lock until the transaction ends."""
        self._rows.execute(_QUERIES["lock_migrations"])


_QUERIES = queries.load("database")


def translate(exc: psycopg2.Error) -> DatabaseError:
    """Maps an error of psycopg2 to the error tree, by its SQLSTATE class."""
    message = str(exc).strip() or type(exc).__name__
    if isinstance(exc, _CONFLICTS):
        return TransactionConflictError(message)
    if isinstance(exc, psycopg2.IntegrityError):
        return ConstraintViolationError(message, exc.diag.constraint_name or "")
    if isinstance(exc, _AWAY):
        return DatabaseUnavailableError(message)
    return DatabaseError(message)


def _roll_back(conn: connection) -> None:
    with suppress(psycopg2.Error):  # a dead connection has nothing left to roll back
        conn.rollback()
