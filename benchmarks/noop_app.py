"""The app with the no-op job type, as the Functions host loads it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import azure.functions as func

import bootstrap
import wiring
from api import jobs as jobs_api
from benchmarks.measure import ROOT
from benchmarks.noop import Noop
from local.functions_host.process import HostProcess
from settings import Settings
from triggers import dead_letters as dead_letter_triggers
from triggers import jobs as job_triggers
from triggers import tasks as task_triggers
from triggers.termination import drain_on_sigterm

_FUNCTION_APP = """\
from benchmarks.noop_app import function_app

app = function_app()
"""


@cache
def build() -> wiring.App:
    """Builds the app of this process at its first use."""
    return bootstrap.build(Settings.from_environment(), [Noop])


def function_app() -> func.FunctionApp:
    """Registers the functions of the app: those of jobs, tasks and dead letters, but no timers."""
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    for module in (jobs_api, job_triggers, task_triggers, dead_letter_triggers):
        vars(module)["app"] = build
        app.register_functions(module.blueprint)
    drain_on_sigterm()
    return app


@contextmanager
def running_host(database_url: str, service_bus: str, worker_processes: int) -> Iterator[HostProcess]:
    """Runs the Functions host with this app and the project's host.json for a block."""
    with TemporaryDirectory(prefix="lockstep-bench-") as directory:
        Path(directory, "function_app.py").write_text(_FUNCTION_APP)
        shutil.copy(ROOT / "host.json", directory)
        environment = {
            "DATABASE_URL": database_url,
            "ServiceBusConnection": service_bus,
            "FUNCTIONS_WORKER_PROCESS_COUNT": str(worker_processes),
            "PYTHON_THREADPOOL_THREAD_COUNT": "32",
            "PYTHONPATH": str(ROOT),
        }
        log_file = Path(directory, "functions.log")
        with HostProcess.start(Path(directory), env=environment, log_file=log_file) as host:
            yield host
