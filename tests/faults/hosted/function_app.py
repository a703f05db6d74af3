"""The app as a Functions host runs it, with misbehaving jobs of the fault tests and a timer of two seconds."""

from functools import cache

import azure.functions as func

import bootstrap
import wiring
from api import jobs as jobs_api
from settings import Settings
from tests.faults.jobs import SumJob
from tests.faults.kinds import KINDS
from tests.faults.trials import Trial
from triggers import dead_letters as dead_letter_triggers
from triggers import jobs as job_triggers
from triggers import tasks as task_triggers


@cache
def build() -> wiring.App:
    return bootstrap.build(Settings.from_environment(), [SumJob, Trial, *KINDS])


app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for module in (jobs_api, job_triggers, task_triggers, dead_letter_triggers):
    vars(module)["app"] = build
    app.register_functions(module.blueprint)


@app.function_name("sweep")
@app.timer_trigger(arg_name="timer", schedule="*/2 * * * * *")
def sweep(timer: func.TimerRequest) -> None:
    build().sweeper.sweep()
