"""The load of the pressure benchmark: a job with one long stage, more and more of which is dispatched and drained."""

import time
from contextlib import ExitStack, closing
from itertools import islice
from typing import Any, NamedTuple

import psycopg2

from benchmarks import noop
from benchmarks.engine_lines import claim_and_record, received
from benchmarks.no_broker import NO_BROKER, NoQueue
from benchmarks.noop import Noop
from benchmarks.prepared import KEY, batches, create_job, opened
from controllers.registry import Registry
from core.definitions import AlignedBatch
from core.ids import MAX_STAGE_TASKS
from core.lanes import TASKS_QUEUE
from core.statuses import BatchStatus
from settings import Settings
from wiring import Backends, wire

_LEASE = "benchmark"
_LEASE_SECONDS = 24 * 3_600
_TABLES = ("tasks", "batches", "stages")

_WAL = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
_SPACES = "SELECT pg_relation_size('tasks'), pg_indexes_size('tasks')"
_UPDATES = "SELECT relname, n_dead_tup, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = ANY(%s)"


class Drained(NamedTuple):
    """What a part of the stage took: seconds to claim and record, by the bare transactions and by the worker."""

    tasks: int
    statements_seconds: float
    worker_seconds: float
    dispatch_wal_bytes: float
    drain_wal_bytes: float


class Load:
    """A job on a database of its own, with open connections."""

    def __init__(self, database_url: str) -> None:
        self._parts = ExitStack()
        self._database = self._parts.enter_context(opened(database_url))
        self._conn = self._parts.enter_context(closing(psycopg2.connect(database_url)))
        self._conn.autocommit = True
        environment = {"DATABASE_URL": database_url, "ServiceBusConnection": NO_BROKER}
        backends = Backends(self._database, NoQueue(), list, lambda: None)
        self._app = wire(Settings.from_environment(environment), Registry([Noop]), backends)
        self._parts.callback(self._app.close)
        self._begin()

    def restart(self) -> None:
        """Empties all tables, without a checkpoint, and begins anew."""
        self._read("TRUNCATE jobs, tasks CASCADE; SELECT 1")
        self._begin()

    def run(self, count: int) -> Drained:
        """Dispatches two-phase, claims and records twice so many batches: by the transactions, and by the worker."""
        wal = self._wal()
        for_statements, for_worker = self._dispatched(count), self._dispatched(count)
        dispatched_wal = self._wal()
        began = time.perf_counter()
        for batch in for_statements:
            claim_and_record(self._database, batch.batch_id[-32:], batch.messages())
        statements_seconds = time.perf_counter() - began
        invocations = [received(batch.messages()) for batch in for_worker]
        began = time.perf_counter()
        for messages in invocations:
            self._app.worker.run(TASKS_QUEUE, messages)
        worker_seconds = time.perf_counter() - began
        tasks = sum(batch.task_count for batch in for_worker)
        dispatch_wal, drain_wal = dispatched_wal - wal, self._wal() - dispatched_wal
        return Drained(tasks, statements_seconds, worker_seconds, dispatch_wal / tasks / 2, drain_wal / tasks / 2)

    def ended_tasks(self) -> int:
        """The tasks of stages that have ended."""
        return int(self._read("SELECT coalesce(sum(completed_tasks), 0) FROM stages WHERE status = 'finished'")[0][0])

    def spaces(self) -> tuple[int, int]:
        """The bytes of the tasks, and of their indexes."""
        heap, indexes = self._read(_SPACES)[0]
        return int(heap), int(indexes)

    def figures(self) -> dict[str, float]:
        """Dead tuples, and the share of updates that stay on their page and write to no index, since the start."""
        self._read("SELECT pg_stat_force_next_flush()")
        found: dict[str, float] = {}
        for table, dead, updates, hot in sorted(self._read(_UPDATES, (list(_TABLES),))):
            found[f"dead {table}"] = float(dead)
            found[f"HOT {table}, %"] = 100 * float(hot) / max(float(updates), 1.0)
        return found

    def close(self) -> None:
        """Closes all connections."""
        self._parts.close()

    def _begin(self) -> None:
        create_job(self._database, KEY, MAX_STAGE_TASKS)
        with self._database.transaction() as work:
            assert work.stages.acquire_dispatch_lease(KEY, _LEASE, _LEASE_SECONDS)
        self._batches = batches(MAX_STAGE_TASKS, noop.run)
        self.run(1)  # opens the connections, fills the caches

    def _dispatched(self, count: int) -> list[AlignedBatch]:
        written = list(islice(self._batches, count))
        for batch in written:
            with self._database.transaction() as work:
                assert work.tasks.batch_create_tasks(batch, BatchStatus.PENDING_QUEUE, _LEASE)
            with self._database.transaction() as work:
                assert work.batches.mark_queued(batch.batch_id, 1)
        return written

    def _wal(self) -> int:
        return int(self._read(_WAL)[0][0])

    def _read(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._conn.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall()
