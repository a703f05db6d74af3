"""The inserts benchmark: compares ways of inserting batches of 100 rows into the tasks table, a transaction each."""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from io import StringIO
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection
from psycopg2.extras import execute_batch, execute_values

from benchmarks.dispatch_lines import batches
from benchmarks.measure import Measured, Row, rows
from core.definitions import AlignedBatch
from core.models import StageKey
from core.statuses import BatchStatus
from local.postgres import EmbeddedPostgres
from repositories import migrations
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase, PostgresUnitOfWork

_COLUMNS = "task_id, parent_job_id, task_type, stage, task_index, batch_id, status, parameters"
_INSERT = f"INSERT INTO tasks ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"  # noqa: S608 - built from a constant
_INSERT_VALUES = f"INSERT INTO tasks ({_COLUMNS}) VALUES %s"  # noqa: S608 - built from a constant
_COPY = f"COPY tasks ({_COLUMNS}) FROM STDIN"
_INSERT_BATCH = """
INSERT INTO batches (batch_id, job_id, stage, batch_index, lane, task_count, open_tasks, status, digest)
VALUES (%s, %s, %s, %s, 'fast', %s, %s, 'pending_queue', %s)
ON CONFLICT (batch_id) DO NOTHING
"""

_LEASE = "dispatcher"

InsertBatch = Callable[[connection, AlignedBatch], None]


def run(tasks: int, rounds: int) -> list[Row]:
    """Runs all lines interleaved, `rounds` times, on one durable PostgreSQL; memory is not measured."""
    runs: dict[str, list[Measured]] = {line: [] for line in _LINES}
    with (
        tempfile.TemporaryDirectory(prefix="lockstep-bench-") as directory,
        EmbeddedPostgres.start(Path(directory, "data")) as postgres,
    ):
        for number in range(rounds):
            for line, insert in _LINES.items():
                url = postgres.url(f"{line}_{number}")
                with closing(PostgresDatabase(ConnectionPool(url, size=2))) as database:
                    migrations.apply(database, url)
                    with database.transaction() as work:
                        work.jobs.create("1" * 32, "hello_world", "{}", 1)
                        work.stages.create(StageKey("1" * 32, 1), "greetings", 0.0)
                        work.stages.acquire_dispatch_lease(StageKey("1" * 32, 1), _LEASE, 600)
                with closing(psycopg2.connect(url)) as conn:
                    start = time.perf_counter()
                    for batch in batches("1" * 32, tasks):
                        with conn:
                            insert(conn, batch)
                    runs[line].append(Measured(seconds=time.perf_counter() - start, peak_rss_mib=None))
    return rows("inserts", tasks, runs, reference="executemany")


def _tuples(batch: AlignedBatch) -> Iterator[tuple[object, ...]]:
    for row in batch.rows:
        yield (
            *(row.task_id, batch.job_id, row.task_type, batch.stage),
            *(row.task_index, batch.batch_id, "pending_queue", row.parameters),
        )


def _executemany(conn: connection, batch: AlignedBatch) -> None:
    with conn.cursor() as cursor:
        cursor.executemany(_INSERT, list(_tuples(batch)))


def _execute_batch(conn: connection, batch: AlignedBatch) -> None:
    with conn.cursor() as cursor:
        execute_batch(cursor, _INSERT, list(_tuples(batch)))


def _execute_values(conn: connection, batch: AlignedBatch) -> None:
    with conn.cursor() as cursor:
        execute_values(cursor, _INSERT_VALUES, list(_tuples(batch)))


def _copy(conn: connection, batch: AlignedBatch) -> None:
    text = "".join("\t".join(map(str, values)) + "\n" for values in _tuples(batch))
    with conn.cursor() as cursor:
        cursor.copy_expert(_COPY, StringIO(text))


def _copy_with_batch_row(conn: connection, batch: AlignedBatch) -> None:
    with conn.cursor() as cursor:
        values = (batch.batch_id, batch.job_id, batch.stage, batch.batch_index)
        cursor.execute(_INSERT_BATCH, (*values, batch.task_count, batch.task_count, batch.digest))
    _copy(conn, batch)


def _unnest(conn: connection, batch: AlignedBatch) -> None:
    with conn.cursor() as cursor:
        PostgresUnitOfWork(cursor).tasks.batch_create_tasks(batch, BatchStatus.PENDING_QUEUE, _LEASE)


_LINES: Mapping[str, InsertBatch] = {
    "executemany": _executemany,
    "execute_batch": _execute_batch,
    "execute_values": _execute_values,
    "copy_with_batch_row": _copy_with_batch_row,
    "unnest_with_batch_row": _unnest,
}
