"""Triggers of storage queues: decode, handle, return. The siblings of the Service Bus triggers.

A queue of a storage account delivers one message at a time. The Functions host keeps it invisible for ten minutes, and
renews this while the function runs; it deletes the message when the function returns. When it raises, the message is
visible again after the `visibilityTimeout` of host.json, and after `maxDequeueCount` deliveries it is moved to a poison
queue, which a timer empties.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import azure.functions as func

from bootstrap import app, telemetry, wait_out_outages
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE, Transport
from core.message_traces import traceparent_of
from core.messages import ReceivedMessage
from core.telemetry import TRACEPARENT, Incoming
from triggers import jobs
from triggers.messages import logged_under

blueprint = func.Blueprint()


@blueprint.function_name("storage_job_message")
@blueprint.queue_trigger(arg_name="message", queue_name=JOBS_QUEUE, connection="StorageConnection")
def storage_job_message(message: func.QueueMessage, context: func.Context) -> None:
    """Dispatches a stage, advances the job or cancels tasks."""
    raw = _received(message)
    with logged_under(context):
        wait_out_outages(lambda: jobs.handle(raw, _source(raw, context)), JOBS_QUEUE, [raw])


@blueprint.function_name("storage_task")
@blueprint.queue_trigger(arg_name="message", queue_name=TASKS_QUEUE, connection="StorageConnection")
def storage_task(message: func.QueueMessage, context: func.Context) -> None:
    """Runs a short task."""
    _run(TASKS_QUEUE, message, context)


@blueprint.function_name("storage_urgent_task")
@blueprint.queue_trigger(arg_name="message", queue_name=URGENT_TASKS_QUEUE, connection="StorageConnection")
def storage_urgent_task(message: func.QueueMessage, context: func.Context) -> None:
    """Runs a short task of an urgent job."""
    _run(URGENT_TASKS_QUEUE, message, context)


@blueprint.function_name("storage_long_task")
@blueprint.queue_trigger(arg_name="message", queue_name=LONG_TASKS_QUEUE, connection="StorageConnection")
def storage_long_task(message: func.QueueMessage, context: func.Context) -> None:
    """Runs a long task."""
    _run(LONG_TASKS_QUEUE, message, context)


@blueprint.function_name("storage_batch")
@blueprint.queue_trigger(arg_name="message", queue_name=BATCHES_QUEUE, connection="StorageConnection")
def storage_batch(message: func.QueueMessage, context: func.Context) -> None:
    """Runs up to 100 short tasks that one envelope carries."""
    envelope = _received(message)
    with _invoked(BATCHES_QUEUE, envelope, context):
        wait_out_outages(lambda: app().worker.run_batch(envelope), BATCHES_QUEUE, [envelope])


@blueprint.function_name("storage_poison_messages")
@blueprint.timer_trigger(arg_name="timer", schedule="30 * * * * *")
def storage_poison_messages(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the binding requires it
    """Handles the messages that the Functions host has given up on, every minute, half a minute after the sweep."""
    poison = app().poison_messages
    if poison is not None:
        poison.handle(wait_out_outages)


def _run(queue_name: str, message: func.QueueMessage, context: func.Context) -> None:
    one = [_received(message)]
    with _invoked(queue_name, one[0], context):
        wait_out_outages(lambda: app().worker.run(queue_name, one), queue_name, one)


@contextmanager
def _invoked(queue_name: str, raw: ReceivedMessage, context: func.Context) -> Iterator[None]:
    """Tells of the invocation that a block is, whose threads log under its id."""
    with logged_under(context), telemetry().invocation(queue_name, 1, _source(raw, context)):
        yield


def _source(raw: ReceivedMessage, context: func.Context) -> Incoming:
    """Returns what tells whose work an invocation goes on with: the body of the message, which has no properties."""
    return Incoming(
        lambda: context.trace_context.trace_parent, lambda: [{TRACEPARENT: traceparent_of(raw.body)}], Transport.STORAGE
    )


def _received(message: func.QueueMessage) -> ReceivedMessage:
    return ReceivedMessage(message.get_body(), message.id, message.dequeue_count)
