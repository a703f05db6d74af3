"""Service Bus trigger of sb-jobs: decode, handle, return."""

import azure.functions as func

from bootstrap import app, telemetry, wait_out_outages
from core.errors import JobNotFoundError, MessageFormatError
from core.lanes import JOBS_QUEUE
from core.messages import JobMessage, ReceivedMessage
from core.telemetry import Incoming
from engine.process.keeping import ORPHAN, UNREADABLE, keep
from triggers.messages import incoming, logged_under, received

blueprint = func.Blueprint()


@blueprint.function_name("run_job_message")
@blueprint.service_bus_queue_trigger(arg_name="message", queue_name=JOBS_QUEUE, connection="ServiceBusConnection")
def run_job_message(message: func.ServiceBusMessage, context: func.Context) -> None:
    """Dispatches a stage, advances the job or cancels tasks; if it raises, the broker delivers the message again."""
    raw, source = received(message), incoming([message], context)
    with logged_under(context):
        wait_out_outages(lambda: handle(raw, source), JOBS_QUEUE, [raw])


def handle(raw: ReceivedMessage, source: Incoming) -> None:
    """Handles a message of sb-jobs, or keeps it if it cannot be used."""
    try:
        message = JobMessage.decode(raw.body)
        with telemetry().step(JOBS_QUEUE, message, source):
            app().stages.handle(message)
    except MessageFormatError as exc:
        keep(app().database, JOBS_QUEUE, raw, UNREADABLE, str(exc))
    except JobNotFoundError as exc:
        keep(app().database, JOBS_QUEUE, raw, ORPHAN, str(exc))
