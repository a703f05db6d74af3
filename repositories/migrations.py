"""Applies each migration once, even when several processes start: first Lockstep's own, then those of the job types.

The app applies them at its first call, or a step of the deployment does, while an older version of the app may be
running. So no migration waits long for a lock, because the reads and writes of the older version would wait behind it.
It tries again, for a limited time.

yoyo records which migrations are applied. We use a lock of our own, because the row that yoyo locks with outlives a
killed process.
"""

import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlBackend
from yoyo.connections import DatabaseURI
from yoyo.migrations import default_migration_table

from core.errors import LockTimeoutError, MigrationBlockedError
from repositories import queries
from repositories.guarded_connection import GuardedConnection
from repositories.pool import CONNECT_TIMEOUT_SECONDS
from repositories.ports import TransactionKind
from repositories.postgres import PostgresDatabase, PostgresUnitOfWork
from repositories.sql_errors import connecting, translated

logger = logging.getLogger(__name__)

_DIRECTORY = Path(__file__).parent / "sql" / "migrations"

_LOCK_SECONDS = 2.0
"""How long a statement of a migration waits for a lock, and others wait behind it."""

_PAUSE_SECONDS = 1.0
"""The pause between two tries, in which the others go on."""

_WAIT_SECONDS = 30.0
"""After this time a migration that waits for a lock is not tried again in this call."""

_STATEMENT_SECONDS = 300.0
"""How long a statement of a migration may run."""

_CONCURRENT_SECONDS = 1800.0
"""How long a statement may run that is not in a transaction: an index that is built concurrently, beside all others."""

_Connect = Callable[[], GuardedConnection]


def expected(job_types: Sequence[Path] = ()) -> list[str]:
    """Returns the ids of the migrations that this version of the code needs, in the order of their application.

    Args:
        job_types: the directories of the job types' own migrations.
    """
    return [path.stem for path in _files(job_types)]


def pending(database: PostgresDatabase, job_types: Sequence[Path] = ()) -> list[str]:
    """Returns the ids of the migrations that the database lacks, in the order of their application.

    Raises:
        DatabaseUnavailableError: PostgreSQL cannot be reached.
    """
    with database.transaction() as work:
        return _missing(work, job_types)


def apply(
    database: PostgresDatabase,
    database_url: str,
    job_types: Sequence[Path] = (),
    *,
    password: Callable[[], str] | None = None,
    wait_seconds: float | None = None,
) -> list[str]:
    """Applies the pending migrations; returns the ids that were pending once this process held the lock.

    Args:
        database: holds the lock on one of its connections.
        database_url: `postgresql://...`, for yoyo's own connections.
        job_types: the directories of the job types' own migrations.
        password: returns the password of a new connection; None if the URL says all.
        wait_seconds: how long a migration that waits for a lock is tried again; half a minute if None.

    Raises:
        MigrationBlockedError: another connection held a lock all that time; the error names it. The migrations before
            the one that waits stay applied.
        DatabaseError: PostgreSQL refused a migration; the ones before it stay applied.
    """
    if not pending(database, job_types):
        return []
    until = time.monotonic() + (_WAIT_SECONDS if wait_seconds is None else wait_seconds)
    connect = partial(_connect, database_url, password)
    while True:
        try:
            return _try_to_apply(database, connect, job_types)
        except LockTimeoutError as exc:
            reason = _why_blocked(database, job_types)
            if time.monotonic() >= until:
                raise MigrationBlockedError(reason) from exc
            logger.warning("%s; trying again", reason)
        time.sleep(_PAUSE_SECONDS)


def _try_to_apply(database: PostgresDatabase, connect: _Connect, job_types: Sequence[Path]) -> list[str]:
    with database.transaction(TransactionKind.MIGRATION) as work:
        work.lock_migrations()
        missing = _missing(work, job_types)  # another process may have applied them meanwhile
        if missing:
            _apply_with_yoyo(connect, job_types)
            logger.info("applied migrations %s", ", ".join(missing))
    return missing


def _files(job_types: Sequence[Path]) -> Iterator[Path]:
    for directory in (_DIRECTORY, *job_types):
        yield from sorted(directory.glob("*.sql"))


def _missing(work: PostgresUnitOfWork, job_types: Sequence[Path]) -> list[str]:
    applied = work.applied_migrations()
    return [each for each in expected(job_types) if each not in applied]


def _why_blocked(database: PostgresDatabase, job_types: Sequence[Path]) -> str:
    """Says what the next migration waits for: another process that migrates, or locks on the tables that it names."""
    with database.transaction() as work:
        migrating = work.migrating_process()
        if migrating is not None:
            return f"another process (pid {migrating}) is migrating"
        waiting = next(iter(_missing(work, job_types)), None)
        if waiting is None:
            return "another process has migrated meanwhile"
        text = next(path for path in _files(job_types) if path.stem == waiting).read_text()
        holders = work.lock_holders(sorted(set(re.findall(r"\w+", text))))
    return f"migration {waiting} waits for a lock: {'; '.join(holders) or 'nobody holds one any more'}"


def _connect(database_url: str, password: Callable[[], str] | None) -> GuardedConnection:
    """Opens a connection of yoyo's, as the pool does. yoyo's own reading of URLs differs, and its errors show them."""
    given = None if password is None else password()
    with connecting():
        conn = psycopg2.connect(
            database_url,
            password=given,
            connection_factory=GuardedConnection,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            application_name="lockstep migrations",
        )
    conn.limit_seconds = _STATEMENT_SECONDS
    return conn


def _apply_with_yoyo(connect: _Connect, job_types: Sequence[Path]) -> None:
    with translated(), closing(_Backend(connect)) as backend:
        backend.init_database()
        for directory in (_DIRECTORY, *job_types):
            backend.apply_migrations(backend.to_apply(read_migrations(str(directory))))


class _Backend(PostgresqlBackend):  # type: ignore[misc]  # yoyo has no types
    """yoyo on connections that give up on a silent server; its transactions wait for locks for a limited time.

    Its URI is empty: yoyo keeps the URIs of all its backends in memory, and one with a password would stay there.
    """

    def __init__(self, connect: _Connect) -> None:
        self._open = connect
        super().__init__(DatabaseURI("postgresql", None, None, None, None, None, {}), default_migration_table)

    def connect(self, dburi: Any) -> GuardedConnection:  # noqa: ARG002 - yoyo's signature
        return self._open()

    def copy(self) -> "_Backend":
        """Connects for a migration that is not in a transaction."""
        backend = _Backend(self._open)
        backend.connection.limit_seconds = _CONCURRENT_SECONDS
        return backend

    def close(self) -> None:
        self.connection.close()

    def apply_one(self, migration: Any, force: bool = False, mark: bool = True) -> None:  # noqa: FBT001, FBT002 - yoyo's
        """Applies a migration and marks it in one transaction: yoyo uses two, and a process may die between them."""
        migration.load()
        if not migration.use_transactions:
            super().apply_one(migration, force=force, mark=mark)
            return
        with self.transaction():
            migration.process_steps(self, "apply", force=force)
            self.log_migration(migration, "apply")
            if mark:
                self.mark_one(migration, log=False)

    def begin(self) -> None:
        super().begin()
        limits = {"lock": round(_LOCK_SECONDS * 1000), "statement": round(_STATEMENT_SECONDS * 1000)}
        with self.connection.cursor() as cursor:
            cursor.execute(queries.load("database")["limit_migration"], limits)
