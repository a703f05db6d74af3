"""A Functions host in one process that forks quickly: the consumers of the local host, the triggers of the app."""

import logging
import multiprocessing
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import wait
from pathlib import Path

import bootstrap
import function_app  # noqa: F401 - imported once, before the fork
import wiring
from core.errors import DatabaseUnavailableError
from local.functions_host.functions import build_table
from local.functions_host.host_config import load_host_config
from local.functions_host.indexing import LoadedFunction, indexed, load_app
from local.functions_host.listener import ServiceBusListener
from local.functions_host.protocol import Completed, Invoke
from local.functions_host.worker import arguments_of
from local.functions_host.worker_pool import WorkerPool
from local.stack import ROOT
from settings import Settings
from tests.faults.copying_queue import COPIES, build_with_copies
from tests.faults.jobs import SumJob
from tests.faults.kinds import KINDS
from tests.faults.limited_jobs import LimitedJob
from tests.faults.trials import Trial
from triggers import dead_letters, jobs, tasks

logger = logging.getLogger(__name__)

LONG_LANE = "LONG_LANE"
"""The setting with which a worker consumes the long lane too: each queue costs it a connection."""
NO_LIMITS = "NO_LIMITS"
"""The setting of a worker without task types that have limits: it claims the batch of an envelope by its id alone."""
_SWEEP_SECONDS = 1.0
_OUTAGE_SECONDS = 0.2


class ThreadsAsPool(WorkerPool):
    """Runs invocations in threads of this process instead of processes."""

    def __init__(self, functions: Mapping[str, LoadedFunction]) -> None:
        self.function_timeout_seconds = None
        self._functions = functions
        self._executor = ThreadPoolExecutor(thread_name_prefix="function")

    def submit(self, invoke: Invoke) -> Future[Completed]:
        return self._executor.submit(self._run, invoke)

    def _run(self, invoke: Invoke) -> Completed:
        function = self._functions[invoke.function]
        try:
            function.call(**arguments_of(function, invoke, ROOT))
        except Exception as exc:  # noqa: BLE001 - after any error the broker delivers again
            return Completed(invoke.invocation_id, error=f"{type(exc).__name__}: {exc}")
        return Completed(invoke.invocation_id)


def run(environment: Mapping[str, str], log_file: Path, *, sweeps: bool) -> None:
    """Serves until it is killed, or its parent has ended.

    Args:
        environment: the app's settings.
        log_file: where its log is appended.
        sweeps: whether it has the timer.
    """
    logging.basicConfig(
        filename=log_file, level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("azure").setLevel(logging.ERROR)
    os.environ.update(environment)
    app = _build()
    for module in (dead_letters, jobs, tasks):
        vars(module).update(app=lambda: app)
    lanes = load_app(ROOT)
    functions = {name: function for name, function in lanes.items() if "long" not in name or LONG_LANE in os.environ}
    options = load_host_config(ROOT).extensions.service_bus.model_copy(update={"max_concurrent_calls": 1})
    table = build_table(indexed(functions), route_prefix="")
    ServiceBusListener(table.service_bus, options, ThreadsAsPool(functions), batch_concurrency=1).start()
    if sweeps:
        threading.Thread(target=_sweep, args=(app,), daemon=True).start()
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _build() -> wiring.App:
    """Builds the app as soon as PostgreSQL can be reached; a Functions host tries at each invocation."""
    limited = [] if NO_LIMITS in os.environ else [LimitedJob]
    build = build_with_copies if COPIES in os.environ else bootstrap.build
    while True:
        try:
            return build(Settings.from_environment(), [SumJob, Trial, *KINDS, *limited])
        except DatabaseUnavailableError as exc:
            logger.warning("not built yet: %s", exc)
            time.sleep(_OUTAGE_SECONDS)


def _sweep(app: wiring.App) -> None:
    while True:
        try:
            app.sweeper.sweep()
        except Exception:
            logger.exception("the sweep failed")
        time.sleep(_SWEEP_SECONDS)
