"""The app as a Functions host runs it without Service Bus: the job of the fault tests and a timer of two seconds."""

from functools import cache

import azure.functions as func

import bootstrap
import wiring
from settings import Settings
from tests.faults.jobs import SumJob
from triggers import jobs as job_triggers
from triggers import storage_queues as storage_triggers


@cache
def build() -> wiring.App:
    return bootstrap.build(Settings.from_environment(), [SumJob])


app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for module in (job_triggers, storage_triggers):
    vars(module)["app"] = build
app.register_functions(storage_triggers.blueprint)


@app.function_name("sweep")
@app.timer_trigger(arg_name="timer", schedule="*/2 * * * * *")
def sweep(timer: func.TimerRequest) -> None:
    build().sweeper.sweep()
