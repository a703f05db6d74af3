"""Applies the migrations of `sql/migrations/`, each once, even when several processes start at once.

The app does this at its first call. yoyo records which migrations are applied. The lock is our own, because yoyo's
lock row outlives a process that is killed.
"""

import logging
from contextlib import closing
from pathlib import Path

from yoyo import get_backend, read_migrations

from repositories.postgres import PostgresDatabase, PostgresUnitOfWork
from repositories.sql_errors import translated

logger = logging.getLogger(__name__)

_DIRECTORY = Path(__file__).parent / "sql" / "migrations"


def expected() -> set[str]:
    """The ids of the migrations that this version of the code needs."""
    return {path.stem for path in _DIRECTORY.glob("*.sql")}


def pending(database: PostgresDatabase) -> list[str]:
    """The ids of the migrations that the database lacks, sorted.

    Raises:
        DatabaseUnavailableError: PostgreSQL cannot be reached.
    """
    with database.transaction() as work:
        return _missing(work)


def apply(database: PostgresDatabase, database_url: str) -> list[str]:
    """Applies the pending migrations; returns the ids that were pending once this process held the lock.

    Args:
        database: the database, on whose connection the lock is held.
        database_url: `postgresql://...`, for yoyo's own connection.

    Raises:
        DatabaseError: PostgreSQL refused a migration; the ones before it stay applied.
    """
    if not pending(database):
        return []
    with database.transaction() as work:
        work.lock_migrations()
        missing = _missing(work)  # another process may have applied them meanwhile
        if missing:
            _apply_with_yoyo(database_url)
            logger.info("applied migrations %s", ", ".join(missing))
    return missing


def _missing(work: PostgresUnitOfWork) -> list[str]:
    return sorted(expected() - work.applied_migrations())


def _apply_with_yoyo(database_url: str) -> None:
    with translated():
        backend = get_backend(database_url)
        with closing(backend.connection):
            backend.apply_migrations(backend.to_apply(read_migrations(str(_DIRECTORY))))
