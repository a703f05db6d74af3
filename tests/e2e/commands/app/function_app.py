"""The app with job types that do what a test says, a schedule, every route, and no timers."""

import sys
from functools import cache

import azure.functions as func

import bootstrap
import wiring
from api import (
    batch_overviews,
    bulk_actions,
    dead_letters,
    failures,
    health,
    job_listing,
    job_types,
    jobs,
    monitor,
    openapi,
    queues,
    results,
    schedules,
    tasks,
)
from controllers.schedule import Schedule
from settings import Settings
from tests.e2e.commands.sample_jobs import Many, Sample
from triggers import dead_letters as dead_letter_triggers
from triggers import jobs as job_triggers
from triggers import tasks as task_triggers
from triggers.termination import drain_on_sigterm


@cache
def build() -> wiring.App:
    schedule = Schedule("0 3 * * *", "sample", {"n": 1}, name="nightly")
    return bootstrap.build(Settings.from_environment(), [Sample, Many], [schedule])


app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
for module in (
    *(batch_overviews, bulk_actions, jobs, job_listing, tasks, failures, results, job_types, monitor),
    *(dead_letters, queues, schedules, health, openapi),
    *(job_triggers, task_triggers, dead_letter_triggers),
):
    app.register_functions(module.blueprint)
_of_settings = bootstrap.app
for each in list(sys.modules.values()):
    if getattr(each, "app", None) is _of_settings:
        vars(each)["app"] = build

drain_on_sigterm()
