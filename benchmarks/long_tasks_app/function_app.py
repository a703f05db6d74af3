"""The app with the job type of the benchmark of long tasks."""

from functools import cache

import azure.functions as func

import bootstrap
import wiring
from api import jobs as jobs_api
from benchmarks.long_task_job import LongTaskBenchmark
from settings import Settings
from triggers import dead_letters as dead_letter_triggers
from triggers import jobs as job_triggers
from triggers import sweeper as sweeper_trigger
from triggers import tasks as task_triggers
from triggers.termination import drain_on_sigterm


@cache
def build() -> wiring.App:
    """Builds the application of this process."""
    return bootstrap.build(Settings.from_environment(), [LongTaskBenchmark])


app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for module in (jobs_api, job_triggers, task_triggers, dead_letter_triggers, sweeper_trigger):
    vars(module)["app"] = build
    app.register_functions(module.blueprint)

drain_on_sigterm()
