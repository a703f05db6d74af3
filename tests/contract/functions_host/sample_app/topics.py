from typing import List  # noqa: UP035 - azure-functions accepts no other annotation for a batch

import azure.functions as func
from queues import obey, seen  # type: ignore[import-not-found]  # on the app's own path
from recording import record  # type: ignore[import-not-found]  # likewise

topics = func.Blueprint()


@topics.service_bus_topic_trigger(arg_name="message", topic_name="news", subscription_name="one", connection="Broker")
def topic_one(message: func.ServiceBusMessage) -> None:
    record("start", function="topic_one", messages=[seen(message)])
    obey(message, attempt=message.delivery_count or 0)
    record("end", function="topic_one")


@topics.service_bus_topic_trigger(
    arg_name="messages",
    topic_name="news",
    subscription_name="many",
    connection="Broker",
    cardinality=func.Cardinality.MANY,
)
def topic_many(messages: List[func.ServiceBusMessage]) -> None:  # noqa: UP006 - see the import
    record("start", function="topic_many", messages=[seen(each) for each in messages])


@topics.service_bus_topic_trigger(
    arg_name="message", topic_name="news", subscription_name="one/$deadletterqueue", connection="Broker"
)
def topic_dead(message: func.ServiceBusMessage) -> None:
    record("start", function="topic_dead", messages=[seen(message)])
