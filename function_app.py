"""The entry point of Azure Functions: registers the blueprints, and drains the process on SIGTERM."""

import azure.functions as func

from api import batch_overviews as batch_overviews_api
from api import bulk_actions as bulk_actions_api
from api import dead_letters as dead_letters_api
from api import docs as docs_api
from api import failures as failures_api
from api import health as health_api
from api import job_listing as job_listing_api
from api import job_types as job_types_api
from api import jobs as jobs_api
from api import monitor as monitor_api
from api import openapi as openapi_api
from api import queues as queues_api
from api import results as results_api
from api import schedules as schedules_api
from api import tasks as tasks_api
from triggers import pruner as pruner_trigger
from triggers import scheduler as scheduler_trigger
from triggers import sweeper as sweeper_trigger
from triggers import transports as message_triggers
from triggers.termination import drain_on_sigterm

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

app.register_functions(jobs_api.blueprint)
app.register_functions(job_listing_api.blueprint)
app.register_functions(failures_api.blueprint)
app.register_functions(results_api.blueprint)
app.register_functions(tasks_api.blueprint)
app.register_functions(batch_overviews_api.blueprint)
app.register_functions(job_types_api.blueprint)
app.register_functions(bulk_actions_api.blueprint)
app.register_functions(dead_letters_api.blueprint)
app.register_functions(queues_api.blueprint)
app.register_functions(schedules_api.blueprint)
app.register_functions(health_api.blueprint)
app.register_functions(openapi_api.blueprint)
app.register_functions(monitor_api.blueprint)
app.register_functions(docs_api.blueprint)
for message_blueprint in message_triggers.blueprints():
    app.register_functions(message_blueprint)
app.register_functions(sweeper_trigger.blueprint)
app.register_functions(pruner_trigger.blueprint)
app.register_functions(scheduler_trigger.blueprint)

drain_on_sigterm()
