"""The databases on which runs of the models are replayed; their time passes when the model says so."""

from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from psycopg2.extensions import connection

from repositories.ports import Database
from repositories.postgres import PostgresDatabase
from tests.fakes.database import FakeDatabase
from tests.support.emptying import EMPTY


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
        self.database.clear()

    def tick(self) -> None:
        self.database.clock.advance(1)

    def end_wait(self, task_id: str, hours: int) -> None:
        ended = self.database.clock.now() - timedelta(hours=hours)
        with self.database.tables() as tables:
            for row in tables.tasks.lock_those([task_id]):
                leased = row.lease_expires_at is not None
                changed = replace(row, lease_expires_at=ended) if leased else replace(row, not_before=ended)
                tables.tasks.update(task_id, changed)

    def end_dispatch_lease(self) -> None:
        ended = self.database.clock.now() - timedelta(hours=1)
        with self.database.tables() as tables:
            for row in tables.stages.lock_those(
                tables.stages.all_keys(), lambda row: row.dispatch_lease_id is not None
            ):
                tables.stages.update(row.key, replace(row, dispatch_lease_expires_at=ended))


class PostgresBench:
    """Its clock ticks by itself."""

    def __init__(self, database: PostgresDatabase, conn: connection) -> None:
        self.database = database
        self._conn = conn

    def clear(self) -> None:
        self._execute(EMPTY)

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
