"""The app with slow job types, and one of isolated tasks."""

from functools import cache

import azure.functions as func

import bootstrap
import wiring
from api import jobs as jobs_api
from settings import Settings
from tests.e2e.slow_jobs import Slow, TwoLanes
from tests.support.isolated_jobs import IsolatedJob
from triggers import dead_letters as dead_letter_triggers
from triggers import jobs as job_triggers
from triggers import tasks as task_triggers
from triggers.termination import drain_on_sigterm


@cache
def build() -> wiring.App:
    return bootstrap.build(Settings.from_environment(), [Slow, TwoLanes, IsolatedJob])


app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for module in (jobs_api, job_triggers, task_triggers, dead_letter_triggers):
    vars(module)["app"] = build
    app.register_functions(module.blueprint)

drain_on_sigterm()
