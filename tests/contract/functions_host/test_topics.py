"""Functions with a topic trigger."""

from collections.abc import Callable

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from local.service_bus.process import EmulatorProcess
from tests.contract.functions_host.support import SAMPLE_APP, Events, wait_until
from tests.contract.functions_host.test_messages import StartHost, left_in, orders

Publish = Callable[[list[ServiceBusMessage]], None]


@pytest.fixture
def publish(emulator: EmulatorProcess) -> Publish:
    """Sends messages to the topic as one batch."""

    def send(messages: list[ServiceBusMessage]) -> None:
        with (
            ServiceBusClient.from_connection_string(emulator.connection_string) as client,
            client.get_topic_sender("news") as sender,
        ):
            sender.send_messages(messages)

    return send


def test_each_subscription_gets_every_message(
    emulator: EmulatorProcess, events: Events, publish: Publish, start_host: StartHost
) -> None:
    publish([ServiceBusMessage(f'{{"n": {n}}}', message_id=f"m-{n}", subject="s") for n in range(3)])
    start_host(SAMPLE_APP, batch_concurrency=1)
    wait_until(lambda: len(events.ends("topic_one")) == 3, "the function of single messages has run")
    wait_until(lambda: len(events.messages("topic_many")) == 3, "the function of many messages has run")
    for function in ("topic_one", "topic_many"):
        messages = events.messages(function)
        assert {message["message_id"] for message in messages} == {"m-0", "m-1", "m-2"}
        assert [(message["subject"], message["delivery_count"]) for message in messages] == [("s", 1)] * 3
    paths = ("news/Subscriptions/one", "news/Subscriptions/many")
    wait_until(lambda: not any(left_in(emulator, path) for path in paths), "all are completed")


def test_a_raise_abandons_the_message_and_it_is_delivered_again(
    emulator: EmulatorProcess, events: Events, publish: Publish, start_host: StartHost
) -> None:
    start_host(SAMPLE_APP)
    publish([orders(fail_attempts=1)])
    wait_until(lambda: events.ends("topic_one"), "the second try has ended")
    assert [message["delivery_count"] for message in events.messages("topic_one")] == [1, 2]
    wait_until(lambda: left_in(emulator, "news/Subscriptions/one") == 0, "it is completed")


def test_the_dead_letters_of_a_subscription_trigger_too(
    events: Events, publish: Publish, start_host: StartHost
) -> None:
    start_host(SAMPLE_APP)
    publish([orders(fail_attempts=99)])
    (seen,) = wait_until(lambda: events.messages("topic_dead"), "its tries are spent")
    assert seen["application_properties"]["DeadLetterReason"] == "MaxDeliveryCountExceeded"
    assert len(events.starts("topic_one")) == 3
