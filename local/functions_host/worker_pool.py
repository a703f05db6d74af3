"""Keeps the worker processes running and distributes invocations among them."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future, wait
from pathlib import Path

from local.functions_host.errors import AppLoadError, FunctionsHostError, FunctionTimeoutError, WorkerLostError
from local.functions_host.protocol import Completed, IndexedFunction, Invoke
from local.functions_host.worker_process import WorkerProcess

logger = logging.getLogger(__name__)

_START_SECONDS = 180.0
_MAX_RESTART_DELAY_SECONDS = 30.0


class WorkerPool:
    """Keeps ``size`` worker processes running and sends each invocation to the least busy one.

    Attributes:
        function_timeout_seconds: how long an invocation may run, None for no limit.
    """

    def __init__(self, app_dir: Path, size: int, function_timeout_seconds: float | None) -> None:
        self.function_timeout_seconds = function_timeout_seconds
        self._app_dir = app_dir
        self._size = size
        self._ready: list[WorkerProcess] = []
        self._changed = threading.Condition()
        self._stopping = threading.Event()

    def start(self) -> Sequence[IndexedFunction]:
        """Start the workers, wait until each has indexed the app, and return the app's functions.

        Raises:
            AppLoadError: the app cannot be indexed.
            WorkerLostError: a worker ended during its start.
        """
        workers = [WorkerProcess(self._app_dir, self._replace) for _ in range(self._size)]
        try:
            indexed = [worker.ready.result(_START_SECONDS).functions for worker in workers]
        except BaseException as exc:
            self._stopping.set()
            for worker in workers:
                worker.stop()
            if isinstance(exc, TimeoutError):
                raise AppLoadError(f"a worker did not index it within {_START_SECONDS:.0f} s") from exc
            raise
        for worker in workers:
            self._add(worker)
        return indexed[0]

    def submit(self, invoke: Invoke) -> Future[Completed]:
        """Send an invocation to a worker; wait for one to start if none runs.

        Raises:
            WorkerLostError: no worker started in time, or the pool is stopping.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._alive() or self._stopping.is_set(), _START_SECONDS)
            alive = self._alive()
            if not alive:
                raise WorkerLostError("no worker process is running")
            worker = min(alive, key=lambda worker: worker.load)
            return worker.submit(invoke)

    def time_out(self, invocation_id: str, error: FunctionTimeoutError) -> None:
        """Kill and replace the worker that runs an invocation.

        The invocation fails with ``error``; other invocations in the same worker fail too, as in Azure. Does nothing
        if the invocation has already ended.
        """
        with self._changed:
            workers = list(self._ready)
        if any(worker.time_out(invocation_id, error) for worker in workers):
            logger.error("%s Restarting its worker process.", error)

    def terminate(self, seconds: float) -> None:
        """Send SIGTERM to the busy workers and wait up to ``seconds`` for their invocations.

        A worker whose app does not handle SIGTERM ends at once, and its invocations fail.
        """
        self._stopping.set()
        with self._changed:
            busy = [worker for worker in self._ready if worker.load]
        running = [invocation for worker in busy for invocation in worker.terminate()]
        wait(running, seconds)

    def stop(self) -> None:
        """Stop all workers; invocations that still run fail."""
        self._stopping.set()
        with self._changed:
            workers = list(self._ready)
            self._changed.notify_all()
        for worker in workers:
            worker.stop()

    def _alive(self) -> list[WorkerProcess]:
        return [worker for worker in self._ready if worker.alive]

    def _replace(self, lost: WorkerProcess) -> None:
        """Start a worker in place of one that ended; wait longer after each failed start."""
        with self._changed:
            if lost not in self._ready:
                return  # it has not started yet, or another call replaces it
            self._ready.remove(lost)
        if not self._stopping.is_set():
            logger.error("Worker process %s has ended; starting a new one", lost.pid)
        delay = 1.0
        while not self._stopping.is_set():
            worker = WorkerProcess(self._app_dir, self._replace)
            try:
                worker.ready.result(_START_SECONDS)
            except (FunctionsHostError, TimeoutError):
                logger.exception("The new worker process did not start; next attempt in %s s", delay)
                worker.stop()
                self._stopping.wait(delay)
                delay = min(delay * 2, _MAX_RESTART_DELAY_SECONDS)
                continue
            self._add(worker)
            return

    def _add(self, worker: WorkerProcess) -> None:
        with self._changed:
            self._ready.append(worker)
            self._changed.notify_all()
        if not worker.alive:
            self._replace(worker)  # it ended before it was in the list, so its own on_exit did nothing
        elif self._stopping.is_set():
            worker.stop()
