"""Transactions on PostgreSQL."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TypeVar, cast

import psycopg2
from psycopg2.extensions import cursor
from typing_extensions import override

from repositories import queries
from repositories.backlog import PostgresBacklogRepository
from repositories.batch_overviews import PostgresBatchOverviewRepository
from repositories.batches import PostgresBatchRepository
from repositories.bulk_actions import PostgresBulkActionRepository
from repositories.dead_letters import PostgresDeadLetterRepository
from repositories.end_hooks import PostgresEndHookRepository
from repositories.end_notices import PostgresEndNoticeRepository
from repositories.guarded_connection import CHECK_SECONDS, GuardedConnection, GuardedCursor
from repositories.job_events import PostgresJobEventRepository
from repositories.job_listing import PostgresJobListingRepository
from repositories.job_waits import PostgresJobWaitRepository
from repositories.jobs import PostgresJobRepository
from repositories.outcomes import PostgresOutcomeRepository
from repositories.pool import ConnectionPool
from repositories.ports import Database, TransactionKind, UnitOfWork
from repositories.ports.rows import Rows
from repositories.pruning import PostgresPruneRepository
from repositories.retry_parts import PostgresRetryPartRepository
from repositories.rows import PostgresRows
from repositories.schedules import PostgresScheduleRepository
from repositories.slots import PostgresSlotRepository
from repositories.sql_errors import translated
from repositories.stages import PostgresStageRepository
from repositories.stops import PostgresStopRepository
from repositories.sweeps import PostgresSweepRepository
from repositories.task_listing import PostgresTaskListingRepository
from repositories.tasks import PostgresTaskRepository
from repositories.transaction_limits import TransactionLimits, limits_of_kinds

R = TypeVar("R")

_ONE = TransactionKind.ONE_STATEMENT

_MARGIN_SECONDS = 5.0
"""How much longer the client waits for a statement's end than the statement may take: the network's share."""


class PostgresDatabase(Database):
    """Transactions on the connections of a pool.

    Args:
        pool: lends the connections; closed with the database.
        limits: the limits of every kind of transaction.
    """

    def __init__(self, pool: ConnectionPool, limits: Mapping[TransactionKind, TransactionLimits] | None = None) -> None:
        self._pool = pool
        self._limits = limits or limits_of_kinds()
        self._begin = {
            kind: ("" if kind == _ONE else "BEGIN;\n") + _QUERIES["limits"] % each.milliseconds() + ";\n"
            for kind, each in self._limits.items()
        }

    @override
    @contextmanager
    def transaction(self, kind: TransactionKind = TransactionKind.SHORT) -> Iterator["PostgresUnitOfWork"]:
        with self._pool.lend() as conn:
            conn.limit_seconds = self._limits[kind].statement_seconds + _MARGIN_SECONDS
            try:
                with translated(), conn.cursor(cursor_factory=GuardedCursor) as cur:
                    cur.begin(self._begin[kind], is_single=kind == _ONE)
                    yield PostgresUnitOfWork(cur)
                    cur.commit()
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
        self.outcomes = PostgresOutcomeRepository(rows)
        self.dead_letters = PostgresDeadLetterRepository(rows)
        self.events = PostgresJobEventRepository(rows)
        self.hooks = PostgresEndHookRepository(rows)
        self.slots = PostgresSlotRepository(rows)
        self.schedules = PostgresScheduleRepository(rows)
        self.waits = PostgresJobWaitRepository(rows)
        self.sweeps = PostgresSweepRepository(rows)
        self.stops = PostgresStopRepository(rows)
        self.pruning = PostgresPruneRepository(rows)

    @property
    @override
    def job_listing(self) -> PostgresJobListingRepository:
        return PostgresJobListingRepository(self._rows)  # only requests of people need it

    @property
    @override
    def backlog(self) -> PostgresBacklogRepository:
        return PostgresBacklogRepository(self._rows)

    @property
    @override
    def notices(self) -> PostgresEndNoticeRepository:
        return PostgresEndNoticeRepository(self._rows)

    @property
    @override
    def task_listing(self) -> PostgresTaskListingRepository:
        return PostgresTaskListingRepository(self._rows)

    @property
    @override
    def batch_overviews(self) -> PostgresBatchOverviewRepository:
        return PostgresBatchOverviewRepository(self._rows)

    @property
    @override
    def parts(self) -> PostgresRetryPartRepository:
        return PostgresRetryPartRepository(self._rows)

    @property
    @override
    def bulk_actions(self) -> PostgresBulkActionRepository:
        return PostgresBulkActionRepository(self._rows)

    @override
    def repository(self, kind: Callable[[Rows], R]) -> R:
        return kind(self._rows)

    @override
    def now(self) -> datetime:
        return cast(datetime, self._rows.one(_QUERIES["now"])["now"])

    def max_connections(self) -> int:
        """Returns how many connections clients may have in all, whoever they are."""
        return int(self._rows.one(_QUERIES["max_connections"])["connections"])

    def applied_migrations(self) -> set[str]:
        """Returns the ids of the applied migrations."""
        if not self._rows.one(_QUERIES["has_migrations"])["found"]:
            return set()
        return {row["migration_id"] for row in self._rows.all(_QUERIES["applied_migrations"])}

    def lock_migrations(self) -> None:
        """Waits for the migration lock, and holds it until the transaction ends.

        Raises:
            LockTimeoutError: another process holds it for longer than the limit.
        """
        self._rows.execute(_QUERIES["lock_migrations"])

    def migrating_process(self) -> int | None:
        """Returns the pid, at the server, of the process that holds the migration lock."""
        row = self._rows.first(_QUERIES["migrating_process"])
        return None if row is None else int(row["pid"])

    def lock_holders(self, names: Sequence[str]) -> list[str]:
        """Describes the oldest transactions that hold a lock on a table with one of the names."""
        return [
            f"pid {row['pid']} ({row['application_name'] or 'unknown'}, {row['state'] or 'unknown'} for"
            f" {row['seconds'] or 0:.0f} s) holds {row['mode']} on {row['relname']}"
            for row in self._rows.all(_QUERIES["lock_holders"], {"names": list(names)})
        ]


_QUERIES = queries.load("database")


def _roll_back(conn: GuardedConnection) -> None:
    conn.limit_seconds = CHECK_SECONDS
    with suppress(psycopg2.Error), conn.cursor() as cur:  # a dead connection has nothing left to roll back
        cur.execute("ROLLBACK")
