"""Applies each migration once, even when several processes start: first Lockstep's own, then those of the job types.

The app applies them at its first call. yoyo records which migrations are applied. We use a lock of our own, because the
row that yoyo locks with outlives a killed process.
"""

import logging
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from psycopg2.extensions import parse_dsn
from yoyo import read_migrations
from yoyo.backends import get_backend_class
from yoyo.connections import DatabaseURI
from yoyo.migrations import default_migration_table

from core.errors import TransactionConflictError
from repositories.postgres import PostgresDatabase, PostgresUnitOfWork
from repositories.sql_errors import connecting, translated

logger = logging.getLogger(__name__)

_DIRECTORY = Path(__file__).parent / "sql" / "migrations"


def expected(job_types: Sequence[Path] = ()) -> list[str]:
    """Returns the ids of the migrations that this version of the code needs, in the order of their application.

    Args:
        job_types: the directories of the job types' own migrations.
    """
    return [path.stem for directory in (_DIRECTORY, *job_types) for path in sorted(directory.glob("*.sql"))]


def pending(database: PostgresDatabase, job_types: Sequence[Path] = ()) -> list[str]:
    """Returns the ids of the migrations that the database lacks, in the order of their application.

    Raises:
        DatabaseUnavailableError: PostgreSQL cannot be reached.
    """
    with database.transaction() as work:
        return _missing(work, job_types)


def apply(database: PostgresDatabase, database_url: str, job_types: Sequence[Path] = ()) -> list[str]:
    """Applies the pending migrations; returns the ids that were pending once this process held the lock.

    Args:
        database: holds the lock on one of its connections.
        database_url: `postgresql://...`, for yoyo's own connection.
        job_types: the directories of the job types' own migrations.

    Raises:
        DatabaseError: PostgreSQL refused a migration; the ones before it stay applied.
    """
    while pending(database, job_types):
        with suppress(TransactionConflictError):  # another process holds the lock
            return _apply(database, database_url, job_types)
    return []


def _apply(database: PostgresDatabase, database_url: str, job_types: Sequence[Path]) -> list[str]:
    with database.transaction() as work:
        work.lock_migrations()
        missing = _missing(work, job_types)  # another process may have applied them meanwhile
        if missing:
            _apply_with_yoyo(database_url, job_types)
            logger.info("applied migrations %s", ", ".join(missing))
    return missing


def _missing(work: PostgresUnitOfWork, job_types: Sequence[Path]) -> list[str]:
    applied = work.applied_migrations()
    return [each for each in expected(job_types) if each not in applied]


def _apply_with_yoyo(database_url: str, job_types: Sequence[Path]) -> None:
    with translated():
        backend = _backend(database_url)
        with closing(backend.connection):
            for directory in (_DIRECTORY, *job_types):
                backend.apply_migrations(backend.to_apply(read_migrations(str(directory))))


def _backend(database_url: str) -> Any:
    """Connects yoyo with what libpq reads in the URL. yoyo's own reading differs, and its errors show parts of it."""
    with connecting():
        options = parse_dsn(database_url)
        uri = DatabaseURI("postgresql", None, None, None, None, options.pop("dbname", None), options)
        backend = get_backend_class("postgresql")(uri, default_migration_table)
    backend.init_database()
    return backend
