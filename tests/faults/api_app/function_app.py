"""The HTTP half of the app: it accepts jobs, and nothing runs them."""

import azure.functions as func

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

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

for module in (
    *(batch_overviews, bulk_actions, jobs, job_listing, tasks, failures, results, job_types),
    *(dead_letters, queues, schedules, health, openapi, monitor, docs),
):
    app.register_functions(module.blueprint)
