"""The databases on which runs of the models are replayed; their time passes when the model says so."""

from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from psycopg2.extensions import connection

from core.models import StageKey
from repositories.ports import Database
from repositories.postgres import PostgresDatabase
from tests.fakes.database import FakeDatabase
from tests.fakes.rows import StageRow, TaskRow
from tests.support.emptying import emptying


class Bench(Protocol):
    """A database whose times can be moved."""

    @property
    def database(self) -> Database: ...

    def clear(self) -> None:
        """Empties it."""

    def tick(self) -> None:
        """Lets a moment pass."""

    def end_wait(self, task_id: str, hours: int) -> None:
        """Ends the lease of a task, or the wait for its retry, that long ago."""

    def end_dispatch_lease(self) -> None:
        """Ends every dispatch lease long ago."""


class FakeBench:
    def __init__(self) -> None:
        self.database = FakeDatabase()

    def clear(self) -> None:
        self.database._store.committed.clear()

    def tick(self) -> None:
        self.database.clock.advance(1)

    def end_wait(self, task_id: str, hours: int) -> None:
        tasks = self.database._store.committed["tasks"]
        row: TaskRow = tasks[task_id]
        ended = self.database.clock.now() - timedelta(hours=hours)
        is_leased = row.lease_expires_at is not None
        tasks[task_id] = replace(row, lease_expires_at=ended) if is_leased else replace(row, not_before=ended)

    def end_dispatch_lease(self) -> None:
        stages: dict[StageKey, StageRow] = self.database._store.committed["stages"]
        ended = self.database.clock.now() - timedelta(hours=1)
        for key, row in stages.items():
            if row.dispatch_lease_id is not None:
                stages[key] = replace(row, dispatch_lease_expires_at=ended)


class PostgresBench:
    """Its clock ticks by itself."""

    def __init__(self, database: PostgresDatabase, conn: connection) -> None:
        self.database = database
        self._conn = conn

    def clear(self) -> None:
        self._execute(emptying())

    def tick(self) -> None:
        pass

    def end_wait(self, task_id: str, hours: int) -> None:
        self._execute(
            """
            UPDATE tasks
            SET lease_expires_at = CASE WHEN lease_id IS NOT NULL THEN now() - make_interval(hours => %(hours)s) END,
                not_before = CASE WHEN not_before IS NOT NULL THEN now() - make_interval(hours => %(hours)s) END
            WHERE task_id = %(task_id)s
            """,
            task_id=task_id,
            hours=hours,
        )

    def end_dispatch_lease(self) -> None:
        self._execute(
            """
            UPDATE stages SET dispatch_lease_expires_at = now() - interval '1 hour' WHERE dispatch_lease_id IS NOT NULL
            """
        )

    def _execute(self, statement: str, **values: str | int) -> None:
        with self._conn, self._conn.cursor() as cursor:
            cursor.execute(statement, values)
