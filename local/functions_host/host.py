"""The Functions host: starts, connects and stops its parts."""

import os
import socket
import time
from pathlib import Path

from local.functions_host.errors import AppLoadError
from local.functions_host.functions import FunctionTable, build_table
from local.functions_host.host_config import load_host_config
from local.functions_host.http_app import HttpApp
from local.functions_host.http_server import HttpServer
from local.functions_host.keys import load_keys
from local.functions_host.listener import ServiceBusListener
from local.functions_host.queue_listener import StorageQueueListener
from local.functions_host.timer_listener import TimerListener
from local.functions_host.worker_pool import WorkerPool

# How long the host takes, after it killed the workers, to abandon their messages and answer their requests.
_ABANDON_SECONDS = 5.0
# Azure's limit (app settings reference, FUNCTIONS_WORKER_PROCESS_COUNT).
_MAX_WORKERS = 10


class Host:
    """Answers HTTP requests from construction to ``stop``; receives messages and runs timers from ``start``.

    Args:
        app_dir: the directory of function_app.py and host.json, an absolute path.
        listening: the bound HTTP socket; the host owns it if construction succeeds.
        batch_concurrency: how many invocations of a batch function run at a time.
        keys_file: the file of access keys; None leaves every function open.

    Attributes:
        table: the functions of the app.

    Raises:
        AppLoadError: the app cannot be indexed, or a setting or the key file is missing or wrong.
        WorkerLostError: a worker process ended during its start.
    """

    table: FunctionTable

    def __init__(
        self, app_dir: Path, listening: socket.socket, batch_concurrency: int, keys_file: Path | None = None
    ) -> None:
        config = load_host_config(app_dir)
        extensions = config.extensions
        keys = load_keys(keys_file) if keys_file else None
        self._pool = WorkerPool(app_dir, _worker_count(), config.function_timeout_seconds)
        try:
            self.table = build_table(self._pool.start(), extensions.http.route_prefix)
            self._listener = ServiceBusListener(
                self.table.service_bus, extensions.service_bus, self._pool, batch_concurrency
            )
            self._queues = StorageQueueListener(self.table.storage_queues, extensions.queues, self._pool)
            self._timers = TimerListener(self.table.timers, app_dir, self._pool)
        except BaseException:
            self._pool.stop()
            raise
        self._http = HttpServer(HttpApp(self.table.http, self._pool, keys), listening)

    def start(self) -> None:
        """Start to receive messages and to run timers."""
        self._listener.start()
        self._queues.start()
        self._timers.start()

    def stop(self, grace_seconds: float, kill_after_seconds: float) -> None:
        """Accept no new work, wait for running invocations, stop the workers.

        This is what Azure does when it removes an instance: it waits for ``grace_seconds`` without telling the workers,
        then sends SIGTERM to the busy ones, and SIGKILL after ``kill_after_seconds``.
        """
        deadline = time.monotonic() + grace_seconds
        self._listener.stop_receiving()
        self._queues.stop_receiving()
        self._timers.stop_firing()
        self._http.drain(grace_seconds)
        self._listener.join(max(deadline - time.monotonic(), 0.0))
        self._queues.join(max(deadline - time.monotonic(), 0.0))
        self._timers.join(max(deadline - time.monotonic(), 0.0))
        self._pool.terminate(kill_after_seconds)
        self._pool.stop()
        self._listener.join(_ABANDON_SECONDS)
        self._queues.join(_ABANDON_SECONDS)
        self._timers.join(_ABANDON_SECONDS)
        self._http.drain(_ABANDON_SECONDS)
        self._http.stop()


def _worker_count() -> int:
    text = os.environ.get("FUNCTIONS_WORKER_PROCESS_COUNT", "1")
    if not text.isdecimal() or not 1 <= int(text) <= _MAX_WORKERS:
        raise AppLoadError(f"FUNCTIONS_WORKER_PROCESS_COUNT must be a number from 1 to {_MAX_WORKERS}, not '{text}'")
    return int(text)
