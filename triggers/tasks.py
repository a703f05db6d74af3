"""Service Bus triggers of the queues of tasks: decode, run, return."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import List  # noqa: UP035 - azure-functions accepts List, but not list

import azure.functions as func

from bootstrap import app, telemetry, wait_out_outages
from core.lanes import BATCHES_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE
from triggers.messages import incoming, logged_under, received

blueprint = func.Blueprint()


@blueprint.function_name("run_tasks")
@blueprint.service_bus_queue_trigger(
    arg_name="messages",
    queue_name=TASKS_QUEUE,
    connection="ServiceBusConnection",
    cardinality=func.Cardinality.MANY,
)
def run_tasks(messages: List[func.ServiceBusMessage], context: func.Context) -> None:  # noqa: UP006 - as above
    """Runs up to 100 short tasks; if it raises, the broker delivers all messages again."""
    batch = [received(message) for message in messages]
    with _invoked(TASKS_QUEUE, messages, context):
        wait_out_outages(lambda: app().worker.run(TASKS_QUEUE, batch), TASKS_QUEUE, batch)


@blueprint.function_name("run_urgent_tasks")
@blueprint.service_bus_queue_trigger(
    arg_name="messages",
    queue_name=URGENT_TASKS_QUEUE,
    connection="ServiceBusConnection",
    cardinality=func.Cardinality.MANY,
)
def run_urgent_tasks(messages: List[func.ServiceBusMessage], context: func.Context) -> None:  # noqa: UP006 - as above
    """Runs up to 100 short tasks of urgent jobs, whatever waits in the queue of the other jobs."""
    batch = [received(message) for message in messages]
    with _invoked(URGENT_TASKS_QUEUE, messages, context):
        wait_out_outages(lambda: app().worker.run(URGENT_TASKS_QUEUE, batch), URGENT_TASKS_QUEUE, batch)


@blueprint.function_name("run_long_task")
@blueprint.service_bus_queue_trigger(arg_name="message", queue_name=LONG_TASKS_QUEUE, connection="ServiceBusConnection")
def run_long_task(message: func.ServiceBusMessage, context: func.Context) -> None:
    """Runs one long task while the Functions host renews its lock."""
    one = [received(message)]
    with _invoked(LONG_TASKS_QUEUE, [message], context):
        wait_out_outages(lambda: app().worker.run(LONG_TASKS_QUEUE, one), LONG_TASKS_QUEUE, one)


@blueprint.function_name("run_batch")
@blueprint.service_bus_queue_trigger(arg_name="message", queue_name=BATCHES_QUEUE, connection="ServiceBusConnection")
def run_batch(message: func.ServiceBusMessage, context: func.Context) -> None:
    """Runs up to 100 short tasks that one envelope carries, while the Functions host renews its lock."""
    envelope = received(message)
    with _invoked(BATCHES_QUEUE, [message], context):
        wait_out_outages(lambda: app().worker.run_batch(envelope), BATCHES_QUEUE, [envelope])


@contextmanager
def _invoked(queue_name: str, messages: Sequence[func.ServiceBusMessage], context: func.Context) -> Iterator[None]:
    """Tells of the invocation that a block is, whose threads log under its id."""
    source = incoming(messages, context)
    with logged_under(context), telemetry().invocation(queue_name, len(messages), source):
        yield
