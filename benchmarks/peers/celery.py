"""Celery: messages in Redis, results in PostgreSQL, a prefork worker."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

from typing_extensions import override

from benchmarks.measure import ROOT, Measured
from benchmarks.memory import peak_of_children_mib
from benchmarks.peers.protocol import Peer, Session, measured, missing_packages, wait_for_count
from local.ports import HOST, free_port

_BULK = 1_000
_PROCESSES = os.cpu_count() or 1
_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.05
_COUNT = "SELECT count(*) FROM celery_taskmeta WHERE status = 'SUCCESS'"


class CeleryStartError(Exception):
    """Redis or the worker does not answer."""


class _Session(Session):
    def __init__(self, app: Any, task: Any, worker: subprocess.Popen[bytes], database_url: str) -> None:
        self._app = app
        self._task = task
        self._worker = worker
        self._database_url = database_url
        self._numbers = count(1)
        self._queue = ""
        self._tasks = 0

    @override
    def enqueue(self, tasks: int) -> None:
        # A queue that the worker does not know yet, so that no task starts before all are enqueued.
        self._queue = f"noop_{next(self._numbers)}"
        with self._app.producer_pool.acquire(block=True) as producer, producer.batch(max_size=_BULK):
            for _ in range(tasks):
                self._task.apply_async(producer=producer, queue=self._queue)

    @override
    def drain(self, tasks: int) -> float:
        self._tasks += tasks
        start = time.perf_counter()
        self._app.control.add_consumer(self._queue)
        wait_for_count(self._database_url, _COUNT, self._tasks)
        return time.perf_counter() - start

    @override
    def peak_rss_mib(self) -> float:
        return peak_of_children_mib(self._worker.pid)


class CeleryWithRedis(Peer):
    """The broker forgets a task when it is acknowledged; the result back end keeps what has ended."""

    packages = ("celery", "kombu", "redis", "hiredis", "SQLAlchemy")
    settings = (
        f"apply_async in Producer.batch (Redis pipelines of {_BULK:,}), Redis of Debian without persistence, a prefork "
        f"worker with {_PROCESSES} processes, which keep their connections to PostgreSQL (other pools open one for "
        "each result), prefetch 64, early acknowledgement, no gossip, mingle or heartbeat, results in PostgreSQL."
    )
    lacks = (
        "a task that waits has no row; a crash of this Redis loses it, and a crash of the worker loses those that it "
        "has fetched; a bulk is not atomic; no batch of messages and rows."
    )

    @override
    def missing(self) -> str | None:
        return missing_packages(self) or (
            None if shutil.which("redis-server") else "redis-server (apt-get install redis-server)"
        )

    @override
    @contextmanager
    def open(self, database_url: str) -> Iterator[Session]:
        with _redis() as redis_url:
            os.environ["BENCHMARK_REDIS_URL"] = redis_url
            os.environ["BENCHMARK_RESULTS_URL"] = database_url.replace("postgresql://", "db+postgresql+psycopg2://")
            from benchmarks.peers.celery_app import app, noop  # noqa: PLC0415 - reads the environment

            with _worker(app) as worker:
                yield _Session(app, noop, worker, database_url)


@contextmanager
def _redis() -> Iterator[str]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="lockstep-bench-") as directory:
        options = ["--port", str(port), "--bind", HOST, "--dir", directory, "--save", "", "--appendonly", "no"]
        with _running("redis-server", *options):
            yield f"redis://{HOST}:{port}/0"


@contextmanager
def _worker(app: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a worker that consumes nothing yet, and waits until it answers."""
    options = ["--app", "benchmarks.peers.celery_app", "worker", "--pool", "prefork", "--concurrency", str(_PROCESSES)]
    options += ["--queues", "idle", "--loglevel", "ERROR"]
    options += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    with _running(sys.executable, "-m", "celery", *options) as worker:
        until = time.monotonic() + _START_SECONDS
        while not app.control.ping(timeout=_POLL_SECONDS):
            if worker.poll() is not None or time.monotonic() > until:
                raise CeleryStartError("the worker does not answer")
        yield worker


@contextmanager
def _running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


PEER = CeleryWithRedis()


def measure(arguments: Mapping[str, str]) -> Measured:
    """Runs it once (database_url, tasks)."""
    return measured(PEER, arguments["database_url"], int(arguments["tasks"]))
