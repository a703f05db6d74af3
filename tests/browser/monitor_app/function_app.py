"""The app with a job type that a test can make fail, and without timers: rows stay as a test writes them."""

import sys
from functools import cache

import azure.functions as func

import bootstrap
import wiring
from api import (
    batch_overviews,
    bulk_actions,
    dead_letters,
    docs,
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
from settings import Settings
from tests.browser.survey_jobs import Survey
from triggers import dead_letters as dead_letter_triggers
from triggers import jobs as job_triggers
from triggers import tasks as task_triggers
from triggers.termination import drain_on_sigterm


@cache
def build() -> wiring.App:
    return bootstrap.build(Settings.from_environment(), [Survey])


app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
for module in (
    *(batch_overviews, bulk_actions, jobs, job_listing, tasks, failures, results, job_types, monitor),
    *(dead_letters, queues, schedules, health, openapi, docs),
    *(job_triggers, task_triggers, dead_letter_triggers),
):
    app.register_functions(module.blueprint)
_of_settings = bootstrap.app
for each in list(sys.modules.values()):
    if getattr(each, "app", None) is _of_settings:
        vars(each)["app"] = build

drain_on_sigterm()
