"""The host: its parts, from start to stop."""

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
from local.functions_host.timer_listener import TimerListener
from local.functions_host.worker_pool import WorkerPool

# After the grace the workers are killed; their messages are abandoned, their requests answered, within this.
_ABANDON_SECONDS = 5.0
# The most that Azure takes (app settings reference, FUNCTIONS_WORKER_PROCESS_COUNT).
_MAX_WORKERS = 10


class Host:
    """Answers HTTP requests from construction to ``stop``, and takes messages and runs timers from ``start``.

    Args:
        app_dir: the directory of function_app.py and host.json, an absolute path.
        listening: the bound HTTP socket; the host takes it over once it runs.
        batch_concurrency: how many invocations of a batch function run at a time.
        keys_file: the keys that HTTP functions ask for; without them every function is open.

    Attributes:
        table: the functions of the app.

    Raises:
        AppLoadError: the app cannot be indexed, or a setting or the file of keys is missing or wrong.
        WorkerLostError: a worker ended while it started.
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
            self._timers = TimerListener(self.table.timers, app_dir, self._pool)
        except BaseException:
            self._pool.stop()
            raise
        self._http = HttpServer(HttpApp(self.table.http, self._pool, keys), listening)

    def start(self) -> None:
        """Begin to receive messages and to run what is due."""
        self._listener.start()
        self._timers.start()

    def stop(self, grace_seconds: float, kill_after_seconds: float) -> None:
        """Take nothing new, let what runs end within the grace, end the workers.

        As Azure does when it takes an instance away: of the grace the workers are told nothing, then those that still
        run something get SIGTERM, and in the end SIGKILL.
        """
        deadline = time.monotonic() + grace_seconds
        self._listener.stop_receiving()
        self._timers.stop_firing()
        self._http.drain(grace_seconds)
        self._listener.join(max(deadline - time.monotonic(), 0.0))
        self._timers.join(max(deadline - time.monotonic(), 0.0))
        self._pool.terminate(kill_after_seconds)
        self._pool.stop()
        self._listener.join(_ABANDON_SECONDS)
        self._timers.join(_ABANDON_SECONDS)
        self._http.drain(_ABANDON_SECONDS)
        self._http.stop()


def _worker_count() -> int:
    text = os.environ.get("FUNCTIONS_WORKER_PROCESS_COUNT", "1")
    if not text.isdecimal() or not 1 <= int(text) <= _MAX_WORKERS:
        raise AppLoadError(f"FUNCTIONS_WORKER_PROCESS_COUNT must be a number from 1 to {_MAX_WORKERS}, not '{text}'")
    return int(text)
