"""The suite's needs beside the ports: time that passes at once, and a look into a table."""

import json
from concurrent.futures import Future
from typing import Any, Protocol

from psycopg2.extensions import connection

from controllers.ingest_csv.ingested_rows import IngestedRows
from repositories.ports import Database
from repositories.postgres import PostgresDatabase
from tests.fakes.database import FakeDatabase
from tests.fakes.ingested_rows import FakeIngestedRows
from tests.support.waiting import wait_until


class Harness(Protocol):
    """One implementation under test."""

    @property
    def database(self) -> Database: ...

    def pass_time(self, seconds: float) -> None:
        """Moves leases and waits that many seconds nearer to their end."""

    def ingested(self, job_id: str) -> list[Any]:
        """The loaded rows of a job, in order of chunk and row."""

    def waiting(self) -> int:
        """How many transactions wait for a row that another one holds."""


def await_waiting(harness: Harness, waits: Future[Any]) -> None:
    """Waits until the transaction of a future waits for a row; asserts that it does, and does not end."""
    wait_until(lambda: harness.waiting() > 0 or waits.done())
    assert not waits.done()


class FakeHarness:
    def __init__(self) -> None:
        self.database = FakeDatabase(fakes={IngestedRows: FakeIngestedRows})

    def pass_time(self, seconds: float) -> None:
        self.database.clock.advance(seconds)

    def ingested(self, job_id: str) -> list[Any]:
        with self.database.transaction() as work:
            rows = work.repository(IngestedRows)
            assert isinstance(rows, FakeIngestedRows)
            return [json.loads(text) for text in rows.texts_of(job_id)]

    def waiting(self) -> int:
        return self.database.waiting()


class PostgresHarness:
    """PostgreSQL's clock cannot be moved, so the times on the rows are."""

    def __init__(self, database: PostgresDatabase, conn: connection) -> None:
        self.database = database
        self._conn = conn

    def pass_time(self, seconds: float) -> None:
        with self._conn, self._conn.cursor() as cursor:
            cursor.execute(
                """
                UPDATE tasks SET lease_expires_at = lease_expires_at - make_interval(secs => %(seconds)s),
                    not_before = not_before - make_interval(secs => %(seconds)s),
                    finished_at = finished_at - make_interval(secs => %(seconds)s);
                UPDATE stages
                SET dispatch_lease_expires_at = dispatch_lease_expires_at - make_interval(secs => %(seconds)s),
                    created_at = created_at - make_interval(secs => %(seconds)s),
                    attended_at = attended_at - make_interval(secs => %(seconds)s),
                    silent_since = silent_since - make_interval(secs => %(seconds)s),
                    finished_at = finished_at - make_interval(secs => %(seconds)s);
                UPDATE task_starts SET started_at = started_at - make_interval(secs => %(seconds)s);
                UPDATE limit_waits
                SET since = since - make_interval(secs => %(seconds)s),
                    woken_at = woken_at - make_interval(secs => %(seconds)s);
                UPDATE end_hooks
                SET due_at = due_at - make_interval(secs => %(seconds)s),
                    ended_at = ended_at - make_interval(secs => %(seconds)s);
                UPDATE bulk_actions
                SET created_at = created_at - make_interval(secs => %(seconds)s),
                    lease_expires_at = lease_expires_at - make_interval(secs => %(seconds)s);
                UPDATE end_notices SET due_at = due_at - make_interval(secs => %(seconds)s);
                UPDATE job_waits SET start_at = start_at - make_interval(secs => %(seconds)s);
                UPDATE batches
                SET created_at = created_at - make_interval(secs => %(seconds)s),
                    queued_at = queued_at - make_interval(secs => %(seconds)s),
                    finished_at = finished_at - make_interval(secs => %(seconds)s);
                UPDATE jobs
                SET created_at = created_at - make_interval(secs => %(seconds)s),
                    queued_at = queued_at - make_interval(secs => %(seconds)s),
                    finished_at = finished_at - make_interval(secs => %(seconds)s)
                """,
                {"seconds": seconds},
            )

    def ingested(self, job_id: str) -> list[Any]:
        with self._conn, self._conn.cursor() as cursor:
            cursor.execute(
                "SELECT data FROM ingested_rows WHERE job_id = %s ORDER BY chunk_index, row_number", (job_id,)
            )
            return [row[0] for row in cursor.fetchall()]

    def waiting(self) -> int:
        with self._conn, self._conn.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            (count,) = cursor.fetchone() or (0,)
            return int(count)
