"""Service Bus triggers of the dead-letter queues: decode, handle, return.

They take batches, in which a message's body cannot hide its metadata: see `engine/repair/dead_letter_batches.py`.
"""

from collections.abc import Sequence
from typing import List  # noqa: UP035 - azure-functions accepts List, but not list

import azure.functions as func

from bootstrap import app, wait_out_outages
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE
from engine.repair.dead_letters import DeadLetteredMessage
from triggers.messages import received

blueprint = func.Blueprint()

_DEAD_LETTER_QUEUE = "/$deadletterqueue"


@blueprint.function_name("dead_task")
@blueprint.service_bus_queue_trigger(
    arg_name="messages",
    queue_name=TASKS_QUEUE + _DEAD_LETTER_QUEUE,
    connection="ServiceBusConnection",
    cardinality=func.Cardinality.MANY,
)
def dead_task(messages: List[func.ServiceBusMessage]) -> None:  # noqa: UP006 - as above
    """Resends the messages of short tasks, or fails the tasks."""
    _handle(TASKS_QUEUE, messages)


@blueprint.function_name("dead_urgent_task")
@blueprint.service_bus_queue_trigger(
    arg_name="messages",
    queue_name=URGENT_TASKS_QUEUE + _DEAD_LETTER_QUEUE,
    connection="ServiceBusConnection",
    cardinality=func.Cardinality.MANY,
)
def dead_urgent_task(messages: List[func.ServiceBusMessage]) -> None:  # noqa: UP006 - as above
    """Resends the messages of short tasks of urgent jobs, or fails the tasks."""
    _handle(URGENT_TASKS_QUEUE, messages)


@blueprint.function_name("dead_long_task")
@blueprint.service_bus_queue_trigger(
    arg_name="messages",
    queue_name=LONG_TASKS_QUEUE + _DEAD_LETTER_QUEUE,
    connection="ServiceBusConnection",
    cardinality=func.Cardinality.MANY,
)
def dead_long_task(messages: List[func.ServiceBusMessage]) -> None:  # noqa: UP006 - as above
    """Resends the messages of long tasks, or fails the tasks."""
    _handle(LONG_TASKS_QUEUE, messages)


@blueprint.function_name("dead_batch")
@blueprint.service_bus_queue_trigger(
    arg_name="messages",
    queue_name=BATCHES_QUEUE + _DEAD_LETTER_QUEUE,
    connection="ServiceBusConnection",
    cardinality=func.Cardinality.MANY,
)
def dead_batch(messages: List[func.ServiceBusMessage]) -> None:  # noqa: UP006 - as above
    """Sends a message for each waiting task of the batches, or the envelopes again."""
    _handle(BATCHES_QUEUE, messages)


@blueprint.function_name("dead_job_message")
@blueprint.service_bus_queue_trigger(
    arg_name="messages",
    queue_name=JOBS_QUEUE + _DEAD_LETTER_QUEUE,
    connection="ServiceBusConnection",
    cardinality=func.Cardinality.MANY,
)
def dead_job_message(messages: List[func.ServiceBusMessage]) -> None:  # noqa: UP006 - as above
    """Resends the messages of stages, or fails the jobs."""
    _handle(JOBS_QUEUE, messages)


def _handle(queue_name: str, messages: Sequence[func.ServiceBusMessage]) -> None:
    left = [_dead(message) for message in messages]
    wait_out_outages(lambda: app().dead_letter_batches.handle(queue_name, left))


def _dead(message: func.ServiceBusMessage) -> DeadLetteredMessage:
    # The broker puts the reason into application properties; in Azure, azure-functions leaves its own field empty.
    properties = message.application_properties or {}
    reason = str(properties.get("DeadLetterReason") or "no reason given")
    return DeadLetteredMessage(received(message), reason, str(properties.get("DeadLetterErrorDescription") or ""))
