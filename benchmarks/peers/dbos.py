"""DBOS: each task is a durable workflow in PostgreSQL, taken from a queue."""

import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from typing import Any

import psycopg2
from typing_extensions import override

from benchmarks.measure import Measured
from benchmarks.memory import peak_rss_mib
from benchmarks.peers.protocol import Peer, Session, measured, missing_packages, wait_for_count

_BULK = 100
_ENQUEUERS = 8
_POLLING_SECONDS = 0.05
_THREADS = 16
_POOL = 20

_COUNT = "SELECT count(*) FROM dbos.workflow_status WHERE queue_name = '{}' AND status = 'SUCCESS'"
_FIRST_CLAIM = "SELECT min(started_at_epoch_ms) / 1000.0 FROM dbos.workflow_status WHERE queue_name = '{}'"


def _noop() -> None:
    pass


class _Session(Session):
    def __init__(self, database_url: str, client: Any) -> None:
        import sqlalchemy  # noqa: PLC0415 - installed for benchmarks only

        self._database_url = database_url
        self._engine = sqlalchemy.create_engine(
            database_url.replace("postgresql://", "postgresql+psycopg://"), pool_size=_ENQUEUERS
        )
        self._client = client
        self._numbers = count(1)
        self._queue = ""

    @override
    def enqueue(self, tasks: int) -> None:
        # A queue that is not registered yet, so that no task starts before all are enqueued.
        self._queue = f"noop_{next(self._numbers)}"
        options = {"workflow_name": "noop", "queue_name": self._queue}

        def enqueue(start: int) -> None:
            with self._engine.begin() as connection:
                for _ in range(min(_BULK, tasks - start)):
                    self._client.enqueue_in_transaction(connection, options)

        with ThreadPoolExecutor(_ENQUEUERS) as threads:
            list(threads.map(enqueue, range(0, tasks, _BULK)))

    @override
    def drain(self, tasks: int) -> float:
        from dbos import DBOS  # noqa: PLC0415 - installed for benchmarks only

        DBOS.register_queue(self._queue, polling_interval_sec=_POLLING_SECONDS)
        wait_for_count(self._database_url, _COUNT.format(self._queue), tasks)
        ended = time.time()
        with closing(psycopg2.connect(self._database_url)) as conn, conn.cursor() as cursor:
            cursor.execute(_FIRST_CLAIM.format(self._queue))
            row = cursor.fetchone()
        assert row is not None
        return ended - float(row[0])

    @override
    def peak_rss_mib(self) -> float:
        return peak_rss_mib(os.getpid())


class Dbos(Peer):
    """A workflow keeps its inputs, status, steps and output."""

    packages = ("dbos", "SQLAlchemy", "psycopg")
    settings = (
        f"DBOSClient.enqueue_in_transaction, {_BULK:,} in a transaction, {_ENQUEUERS} threads (faster than one, "
        f"and than enqueue); one process, synchronous workflows on "
        f"{_THREADS} threads and {_POOL} connections, no limit on concurrency, the queue is polled every "
        f"{_POLLING_SECONDS * 1_000:.0f} ms (default: 1 s)."
    )
    lacks = "it has no API that enqueues many workflows in a statement; a transaction of enqueues is atomic."

    @override
    def missing(self) -> str | None:
        return missing_packages(self)

    @override
    @contextmanager
    def open(self, database_url: str) -> Iterator[Session]:
        from dbos import DBOS, DBOSClient, DBOSConfig  # noqa: PLC0415 - installed for benchmarks only

        url = database_url.replace("postgresql://", "postgresql+psycopg://")
        DBOS(
            config=DBOSConfig(
                name="noop",
                system_database_url=url,
                sys_db_pool_size=_POOL,
                max_executor_threads=_THREADS,
                log_level="ERROR",
                run_admin_server=False,
            )
        )
        DBOS.workflow(name="noop")(_noop)
        DBOS.launch()
        try:
            with closing_client(DBOSClient(system_database_url=url)) as client:
                yield _Session(database_url, client)
        finally:
            DBOS.destroy()


@contextmanager
def closing_client(client: Any) -> Iterator[Any]:
    """Closes a client at the end of a block."""
    try:
        yield client
    finally:
        client.destroy()


PEER = Dbos()


def measure(arguments: Mapping[str, str]) -> Measured:
    """Runs it once (database_url, tasks)."""
    return measured(PEER, arguments["database_url"], int(arguments["tasks"]))
