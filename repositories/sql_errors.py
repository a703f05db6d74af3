"""Maps psycopg2's errors to `core.errors`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2 import errors as pg

from core.errors import (
    ConfigurationError,
    ConstraintViolationError,
    DatabaseError,
    DatabaseUnavailableError,
    LockTimeoutError,
    RefusedValueError,
    StatementTimeoutError,
    TransactionConflictError,
)

_ERRORS: dict[tuple[type[psycopg2.Error], ...], type[DatabaseError]] = {
    (pg.LockNotAvailable,): LockTimeoutError,
    (pg.QueryCanceled,): StatementTimeoutError,
    (pg.DeadlockDetected, pg.SerializationFailure): TransactionConflictError,
    (psycopg2.DataError, pg.RaiseException): RefusedValueError,
    # A read-only server is failing over, or its disk is full: both states pass.
    (psycopg2.OperationalError, psycopg2.InterfaceError, pg.ReadOnlySqlTransaction): DatabaseUnavailableError,
}
"""The first entry that fits counts: psycopg2's classes for a lock and a statement are kinds of OperationalError."""
_CONNECT_REASON = re.compile(
    r"^(?:connection to server .* failed:|could not translate host name .* to address:) +(.+)$", re.MULTILINE
)
"""The part of libpq's text that says why a connection failed. What precedes it repeats the connection string."""
_QUOTED = re.compile(r' *(?:".*"|".*$)')


@contextmanager
def connecting() -> Iterator[None]:
    """Turns an error that psycopg2 raises while it connects into one that repeats nothing of the connection string.

    libpq quotes what it read as a host, a port or an option: with a wrong URL, that may be a part of the password.
    The errors have no cause, because a traceback would show libpq's text.

    Raises:
        DatabaseUnavailableError: PostgreSQL cannot be reached, or refuses the connection.
        ConfigurationError: libpq cannot read the connection string.
    """
    try:
        yield
    except psycopg2.OperationalError as exc:
        reasons = [_QUOTED.sub("", reason) for reason in _CONNECT_REASON.findall(str(exc))]
        reason = "; ".join(dict.fromkeys(reasons)) or "check DATABASE_URL"
        raise DatabaseUnavailableError(f"cannot connect to PostgreSQL: {reason}") from None
    except OSError as exc:  # the process has no descriptor left for a `GuardedConnection`
        raise DatabaseUnavailableError(f"cannot connect to PostgreSQL: {exc.strerror}") from exc
    except (psycopg2.Error, ValueError):  # ValueError: an escape is not UTF-8
        raise ConfigurationError("DATABASE_URL is not a connection string of PostgreSQL") from None


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
    if isinstance(exc, psycopg2.IntegrityError):
        return ConstraintViolationError(message, exc.diag.constraint_name or "")
    for kinds, error in _ERRORS.items():
        if isinstance(exc, kinds):
            return error(message)
    return DatabaseError(message)
