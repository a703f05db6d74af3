"""psycopg2's errors in the words of our own tree."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2 import errors as pg

from core.errors import (
    ConstraintViolationError,
    DatabaseError,
    DatabaseUnavailableError,
    TransactionConflictError,
)

_CONFLICTS = (pg.DeadlockDetected, pg.SerializationFailure, pg.LockNotAvailable)
# A server that takes no writes is failing over, or its disk is full: it comes back.
_AWAY = (psycopg2.OperationalError, psycopg2.InterfaceError, pg.ReadOnlySqlTransaction)


@contextmanager
def translated() -> Iterator[None]:
    """Raises what psycopg2 raises in the block as a `DatabaseError` or one of its subclasses."""
    try:
        yield
    except psycopg2.Error as exc:
        raise translate(exc) from exc


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
