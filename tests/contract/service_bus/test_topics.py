from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiver, ServiceBusSubQueue
from azure.servicebus.exceptions import MessagingEntityNotFoundError, ServiceBusError

from tests.contract.service_bus.conftest import Counts, Endpoints, NewTopic, body, numbered, numbers, receive_one


def receive_all(receiver: ServiceBusReceiver, number: int) -> list[bytes]:
    received: list[bytes] = []
    while len(received) < number:
        messages = receiver.receive_messages(number - len(received), max_wait_time=30)
        assert messages, f"only {received} of {number} messages arrived"
        for message in messages:
            received.append(body(message))
            receiver.complete_message(message)
    return received


def test_every_subscription_gets_every_message(endpoints: Endpoints, new_topic: NewTopic) -> None:
    topic = new_topic()
    endpoints.topic_sender(topic).send_messages([ServiceBusMessage("1"), ServiceBusMessage("2")])
    for subscription in ("a", "b"):
        assert receive_all(endpoints.subscription_receiver(topic, subscription), 2) == [b"1", b"2"]


def test_subscriptions_settle_their_copies_on_their_own(
    endpoints: Endpoints, new_topic: NewTopic, counts: Counts
) -> None:
    topic = new_topic()
    endpoints.topic_sender(topic).send_messages(ServiceBusMessage("1"))
    receiver = endpoints.subscription_receiver(topic, "a")
    [message] = receiver.receive_messages(1, max_wait_time=30)
    receiver.dead_letter_message(message, reason="mine alone")
    assert counts(f"{topic}/Subscriptions/a").dead_letter == 1
    assert counts(f"{topic}/Subscriptions/b").active == 1
    dead = endpoints.subscription_receiver(topic, "a", sub_queue=ServiceBusSubQueue.DEAD_LETTER)
    [buried] = dead.receive_messages(1, max_wait_time=30)
    assert buried.dead_letter_reason == "mine alone"


def test_a_scheduled_message_reaches_the_subscriptions_in_its_time(
    endpoints: Endpoints, new_topic: NewTopic, counts: Counts
) -> None:
    topic = new_topic()
    sender = endpoints.topic_sender(topic)
    sender.schedule_messages(ServiceBusMessage("later"), datetime.now(UTC) + timedelta(seconds=1))
    [cancelled] = sender.schedule_messages(ServiceBusMessage("never"), datetime.now(UTC) + timedelta(seconds=1))
    sender.cancel_scheduled_messages(cancelled)
    assert (counts(topic).scheduled, counts(f"{topic}/Subscriptions/a").active) == (1, 0)
    for subscription in ("a", "b"):
        assert receive_all(endpoints.subscription_receiver(topic, subscription), 1) == [b"later"]


def test_a_subscription_with_sessions_takes_a_message_without_one_as_a_dead_letter(
    endpoints: Endpoints, new_topic: NewTopic, counts: Counts
) -> None:
    topic = new_topic()
    endpoints.topic_sender(topic).send_messages([ServiceBusMessage("no"), ServiceBusMessage("yes", session_id="s")])
    [message] = endpoints.subscription_receiver(topic, "sessions", session_id="s").receive_messages(1, max_wait_time=30)
    assert body(message) == b"yes"
    assert counts(f"{topic}/Subscriptions/sessions").dead_letter == 1


def test_a_topic_itself_is_not_received_from(client: ServiceBusClient, new_topic: NewTopic) -> None:
    receiver = client.get_queue_receiver(new_topic())
    with pytest.raises(ServiceBusError, match="received from its subscriptions"), receiver:
        receiver.receive_messages(1, max_wait_time=1)


def test_a_subscription_is_not_sent_to(client: ServiceBusClient, new_topic: NewTopic) -> None:
    sender = client.get_queue_sender(f"{new_topic()}/Subscriptions/a")
    with pytest.raises(ServiceBusError, match="sent to its topic"), sender:
        sender.send_messages(ServiceBusMessage("a"))


def test_an_unknown_subscription_is_not_found(client: ServiceBusClient, new_topic: NewTopic) -> None:
    receiver = client.get_subscription_receiver(new_topic(), "nobody")
    with pytest.raises(MessagingEntityNotFoundError), receiver:
        receiver.receive_messages(1, max_wait_time=1)


def test_each_copy_holds_what_was_sent(endpoints: Endpoints, new_topic: NewTopic) -> None:
    topic = new_topic()
    properties: dict[str | bytes, int | float | bytes | bool | str | UUID] = {"n": 1}
    sent = ServiceBusMessage("x", message_id="m", subject="s", application_properties=properties)
    endpoints.topic_sender(topic).send_messages(sent)
    for subscription in ("a", "b"):
        receiver = endpoints.subscription_receiver(topic, subscription)
        message = receive_one(receiver)
        assert (body(message), message.message_id, message.subject) == (b"x", "m", "s")
        assert message.application_properties == {b"n": 1}
        assert message.delivery_count == 0
        # Settling one copy does not change the other.
        receiver.abandon_message(message)


def test_a_subscription_can_be_peeked(endpoints: Endpoints, new_topic: NewTopic, counts: Counts) -> None:
    topic = new_topic()
    endpoints.topic_sender(topic).send_messages(numbered(2))
    peeked = endpoints.subscription_receiver(topic, "a").peek_messages(5)
    assert [body(message) for message in peeked] == numbers(2)
    assert counts(f"{topic}/Subscriptions/a").active == 2


def test_locks_of_a_subscription_are_renewed_and_its_messages_deferred(
    endpoints: Endpoints, new_topic: NewTopic, counts: Counts
) -> None:
    topic = new_topic()
    endpoints.topic_sender(topic).send_messages(ServiceBusMessage("x"))
    receiver = endpoints.subscription_receiver(topic, "a")
    message = receive_one(receiver)
    before = message.locked_until_utc
    assert before
    assert message.sequence_number
    assert receiver.renew_message_lock(message) > before
    receiver.defer_message(message)
    assert counts(f"{topic}/Subscriptions/a").deferred == 1
    [deferred] = receiver.receive_deferred_messages(message.sequence_number)
    receiver.complete_message(deferred)
    assert (counts(f"{topic}/Subscriptions/a").deferred, counts(f"{topic}/Subscriptions/b").active) == (0, 1)


def test_an_unknown_topic_is_not_found(client: ServiceBusClient) -> None:
    with pytest.raises(MessagingEntityNotFoundError), client.get_topic_sender("nowhere") as sender:
        sender.send_messages(ServiceBusMessage("x"))
