"""Applies the migrations under `sql/migrations/`, each once, whoever else is doing the same.

`python -m repositories.migrations` applies them to `DATABASE_URL`; the app does it on its first use.
yoyo keeps the books; the lock is ours, because yoyo's lock row outlives a process that is killed.
"""

import logging
from contextlib import closing
from pathlib import Path

import psycopg2
from yoyo import get_backend, read_migrations

from core.errors import DatabaseError, DatabaseUnavailableError
from repositories.postgres import PostgresDatabase, translate

logger = logging.getLogger(__name__)

_DIRECTORY = Path(__file__).parent / "sql" / "migrations"


def expected() -> set[str]:
    """The ids of the migrations that this version of the code needs."""
    return {path.stem for path in _DIRECTORY.glob("*.sql")}


def pending(database: PostgresDatabase) -> list[str]:
    """The ids of the migrations that the database lacks, sorted.

    Raises:
        DatabaseUnavailableError: PostgreSQL is away.
    """
    try:
        with database.transaction() as work:
            applied = work.applied_migrations()
    except DatabaseUnavailableError:
        raise
    except DatabaseError:  # the table of yoyo does not exist: none was ever applied
        applied = set()
    return sorted(expected() - applied)


def apply(database: PostgresDatabase, database_url: str) -> list[str]:
    """Applies what is pending; returns the ids that were pending when this process held the lock.

    Args:
        database: holds the lock.
        database_url: `postgresql://...`, for yoyo's own connection.

    Raises:
        DatabaseError: a migration was refused; what came before it stays applied.
    """
    if not pending(database):
        return []
    with database.transaction() as work:
        work.lock_migrations()
        missing = pending(database)
        if missing:
            _apply_with_yoyo(database_url)
            logger.info("applied migrations %s", ", ".join(missing))
    return missing


def _apply_with_yoyo(database_url: str) -> None:
    try:
        backend = get_backend(database_url)
        with closing(backend.connection):
            backend.apply_migrations(backend.to_apply(read_migrations(str(_DIRECTORY))))
    except psycopg2.Error as exc:
        raise translate(exc) from exc
