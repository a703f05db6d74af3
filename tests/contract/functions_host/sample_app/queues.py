import asyncio
import json
import logging
from typing import List  # noqa: UP035 - azure-functions accepts no other annotation for a batch

import azure.functions as func
from recording import record, wait_for_gate  # type: ignore[import-not-found]  # on the app's own path

queues = func.Blueprint()


def seen(message: func.ServiceBusMessage) -> dict[str, object]:
    assert message.enqueued_time_utc
    return {
        "body": message.get_body().decode(),
        "message_id": message.message_id,
        "delivery_count": message.delivery_count,
        "sequence_number": message.sequence_number,
        "enqueued_time_utc": message.enqueued_time_utc.isoformat(),
        "lock_token": message.lock_token,
        "content_type": message.content_type,
        "correlation_id": message.correlation_id,
        "subject": message.subject,
        "application_properties": dict(message.application_properties),
        "user_properties": dict(message.user_properties),
    }


def obey(message: func.ServiceBusMessage, *, attempt: int) -> None:
    """Follow the instructions in the body: wait for a gate, fail once, or fail always."""
    orders = json.loads(message.get_body())
    if "gate" in orders:
        wait_for_gate(orders["gate"])
    if attempt <= orders.get("fail_attempts", 0):
        raise ValueError("as ordered")


@queues.service_bus_queue_trigger(arg_name="message", queue_name="%ONE_QUEUE%", connection="Broker")
def one(message: func.ServiceBusMessage, context: func.Context) -> None:
    record("start", function="one", invocation=context.invocation_id, messages=[seen(message)])
    obey(message, attempt=message.delivery_count or 0)
    record("end", function="one", invocation=context.invocation_id)


@queues.service_bus_queue_trigger(
    arg_name="messages", queue_name="many", connection="Broker", cardinality=func.Cardinality.MANY
)
def many(messages: List[func.ServiceBusMessage], context: func.Context) -> None:  # noqa: UP006 - see the import
    record("start", function="many", invocation=context.invocation_id, messages=[seen(each) for each in messages])
    for message in messages:
        obey(message, attempt=message.delivery_count or 0)
    record("end", function="many", invocation=context.invocation_id)


@queues.service_bus_queue_trigger(arg_name="message", queue_name="async", connection="Broker")
async def async_one(message: func.ServiceBusMessage) -> None:
    await asyncio.sleep(0)
    logging.getLogger(__name__).info("An async function runs")
    record("start", function="async_one", messages=[seen(message)])


@queues.service_bus_queue_trigger(arg_name="message", queue_name="dead/$deadletterqueue", connection="Broker")
def dead(message: func.ServiceBusMessage) -> None:
    record("start", function="dead", messages=[seen(message)])
