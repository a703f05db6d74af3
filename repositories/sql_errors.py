"""Maps psycopg2's errors to `core.errors`."""

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
# A read-only server is failing over, or its disk is full: both states pass.
_UNAVAILABLE = (psycopg2.OperationalError, psycopg2.InterfaceError, pg.ReadOnlySqlTransaction)


@contextmanager
def translated() -> Iterator[None]:
    """Turns an error that psycopg2 raises in the block into a `DatabaseError` or a subclass."""
    try:
        yield
    except psycopg2.Error as exc:
        raise translate(exc) from exc


def translate(exc: psycopg2.Error) -> DatabaseError:
    """Returns the error of `core.errors` that corresponds to psycopg2's."""
    message = str(exc).strip() or type(exc).__name__
    if isinstance(exc, _CONFLICTS):
        return TransactionConflictError(message)
    if isinstance(exc, psycopg2.IntegrityError):
        return ConstraintViolationError(message, exc.diag.constraint_name or "")
    if isinstance(exc, _UNAVAILABLE):
        return DatabaseUnavailableError(message)
    return DatabaseError(message)
