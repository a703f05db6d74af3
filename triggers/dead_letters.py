"""Service Bus triggers of the dead-letter queues: decode, handle, return."""

import azure.functions as func

from bootstrap import app, wait_out_outages
from core.lanes import JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE
from engine.repair.dead_letters import DeadLetteredMessage
from triggers.messages import received

blueprint = func.Blueprint()

_DEAD_LETTER_QUEUE = "/$deadletterqueue"


@blueprint.function_name("dead_task")
@blueprint.service_bus_queue_trigger(
    arg_name="message", queue_name=TASKS_QUEUE + _DEAD_LETTER_QUEUE, connection="ServiceBusConnection"
)
def dead_task(message: func.ServiceBusMessage) -> None:
    """Resends the message of a short task, or fails the task."""
    dead = _dead(message)
    wait_out_outages(lambda: app().dead_letters.task(TASKS_QUEUE, dead))


@blueprint.function_name("dead_long_task")
@blueprint.service_bus_queue_trigger(
    arg_name="message", queue_name=LONG_TASKS_QUEUE + _DEAD_LETTER_QUEUE, connection="ServiceBusConnection"
)
def dead_long_task(message: func.ServiceBusMessage) -> None:
    """Resends the message of a long task, or fails the task."""
    dead = _dead(message)
    wait_out_outages(lambda: app().dead_letters.task(LONG_TASKS_QUEUE, dead))


@blueprint.function_name("dead_job_message")
@blueprint.service_bus_queue_trigger(
    arg_name="message", queue_name=JOBS_QUEUE + _DEAD_LETTER_QUEUE, connection="ServiceBusConnection"
)
def dead_job_message(message: func.ServiceBusMessage) -> None:
    """Resends the message of a stage, or fails the job."""
    dead = _dead(message)
    wait_out_outages(lambda: app().dead_letters.job(dead))


def _dead(message: func.ServiceBusMessage) -> DeadLetteredMessage:
    # The broker puts the reason into application properties; in Azure, azure-functions leaves its own field empty.
    properties = message.application_properties or {}
    reason = str(properties.get("DeadLetterReason") or "no reason given")
    return DeadLetteredMessage(received(message), reason, str(properties.get("DeadLetterErrorDescription") or ""))
