"""Transactions on PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TypeVar, cast

import psycopg2
from psycopg2.extensions import connection, cursor
from typing_extensions import override

from repositories import queries
from repositories.batches import PostgresBatchRepository
from repositories.dead_letters import PostgresDeadLetterRepository
from repositories.jobs import PostgresJobRepository
from repositories.pool import ConnectionPool
from repositories.ports import Database, UnitOfWork
from repositories.ports.rows import Rows
from repositories.pruning import PostgresPruneRepository
from repositories.rows import PostgresRows
from repositories.sql_errors import translated
from repositories.stages import PostgresStageRepository
from repositories.stops import PostgresStopRepository
from repositories.sweeps import PostgresSweepRepository
from repositories.tasks import PostgresTaskRepository

R = TypeVar("R")


class PostgresDatabase(Database):
    """Transactions on the connections of a pool.

    Args:
        pool: lends the connections; closed with the database.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    @override
    @contextmanager
    def transaction(self) -> Iterator["PostgresUnitOfWork"]:
        with self._pool.lend() as conn:
            try:
                with translated():
                    with conn.cursor() as cur:
                        yield PostgresUnitOfWork(cur)
                    conn.commit()
            except BaseException:
                _roll_back(conn)
                raise

    def close(self) -> None:
        """Closes the pool."""
        self._pool.close()


class PostgresUnitOfWork(UnitOfWork):
    """The repositories of one transaction."""

    def __init__(self, cur: cursor) -> None:
        rows = PostgresRows(cur)
        self._rows = rows
        self.jobs = PostgresJobRepository(rows)
        self.stages = PostgresStageRepository(rows)
        self.batches = PostgresBatchRepository(rows)
        self.tasks = PostgresTaskRepository(rows)
        self.dead_letters = PostgresDeadLetterRepository(rows)
        self.sweeps = PostgresSweepRepository(rows)
        self.stops = PostgresStopRepository(rows)
        self.pruning = PostgresPruneRepository(rows)

    @override
    def repository(self, kind: Callable[[Rows], R]) -> R:
        return kind(self._rows)

    @override
    def now(self) -> datetime:
        return cast(datetime, self._rows.one(_QUERIES["now"])["now"])

    def applied_migrations(self) -> set[str]:
        """Returns the ids of the applied migrations."""
        if not self._rows.one(_QUERIES["has_migrations"])["found"]:
            return set()
        return {row["migration_id"] for row in self._rows.all(_QUERIES["applied_migrations"])}

    def lock_migrations(self) -> None:
        """Waits for the migration lock, and holds it until the transaction ends."""
        self._rows.execute(_QUERIES["lock_migrations"])


_QUERIES = queries.load("database")


def _roll_back(conn: connection) -> None:
    with suppress(psycopg2.Error):  # a dead connection has nothing left to roll back
        conn.rollback()
