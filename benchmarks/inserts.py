"""The inserts benchmark: compares ways of inserting batches of 100 rows into the tasks table, a transaction each."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from io import StringIO

import psycopg2
from psycopg2.extensions import connection
from psycopg2.extras import execute_batch, execute_values

from benchmarks.dispatch_lines import batches
from benchmarks.measure import Measured
from benchmarks.rounds import Benchmark, Least, Lines
from benchmarks.servers import Databases, postgres_server
from core.definitions import AlignedBatch
from core.models import StageKey
from core.statuses import BatchStatus
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


@contextmanager
def _lines() -> Iterator[Lines]:
    """Compare ways of inserting a batch of task rows."""
    with postgres_server() as databases:
        yield {line: partial(_run, databases, insert) for line, insert in _LINES.items()}


def _run(databases: Databases, insert: InsertBatch, tasks: int) -> Measured:
    """Runs a line in this process, so its memory is not measured."""
    with databases.migrated() as url:
        with closing(PostgresDatabase(ConnectionPool(url, size=2))) as database, database.transaction() as work:
            work.jobs.create("1" * 32, "hello_world", "{}", 1)
            work.stages.create(StageKey("1" * 32, 1), "greetings", 0.0)
            work.stages.acquire_dispatch_lease(StageKey("1" * 32, 1), _LEASE, 600)
        with closing(psycopg2.connect(url)) as conn:
            start = time.perf_counter()
            for batch in batches("1" * 32, tasks):
                with conn:
                    insert(conn, batch)
            return Measured(seconds=time.perf_counter() - start, peak_rss_mib=None)


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

BENCHMARK = Benchmark(_lines, reference="executemany", least=Least(10_000, 3, 30), weight=0.5)
