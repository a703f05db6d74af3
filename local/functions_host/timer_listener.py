"""Runs the timer functions of an app."""

import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.functions_host.functions import TimerFunction
from local.functions_host.outage import Outage
from local.functions_host.timer import Timer
from local.functions_host.timer_store import PostgresTimerStore, SoleHost, TimerStore
from local.functions_host.worker_pool import WorkerPool

logger = logging.getLogger(__name__)


class TimerListener:
    """Runs all timer functions, each in a thread.

    Raises:
        AppLoadError: DATABASE_URL is not a connection string of PostgreSQL.
    """

    def __init__(self, functions: Sequence[TimerFunction], app_dir: Path, pool: WorkerPool) -> None:
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        if not functions:
            return
        store = _store(app_dir)
        outage = Outage("The database of the timers")
        for function in functions:
            timer = Timer(function, store, pool, outage, self._stopping)
            self._threads.append(threading.Thread(target=timer.run, name=function.name, daemon=True))

    def start(self) -> None:
        """Start to run timers."""
        for thread in self._threads:
            thread.start()

    def stop_firing(self) -> None:
        """Start no more runs; running functions continue."""
        self._stopping.set()

    def join(self, seconds: float) -> None:
        """Wait up to ``seconds`` until running functions have ended and their leases are released."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))


def _store(app_dir: Path, environment: Mapping[str, str] = os.environ) -> TimerStore:
    url = environment.get("DATABASE_URL")
    if not url:
        logger.info("DATABASE_URL is not set: this host runs all timers and does not coordinate with other hosts")
        return SoleHost()
    # Azure's setting for apps whose names would collide.
    return PostgresTimerStore(url, environment.get("AzureFunctionsWebHost__hostid") or app_dir.name)
