from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.exceptions import MessageSizeExceededError, ServiceBusError

from tests.contract.service_bus.conftest import Counts, Endpoints, NewQueue, body


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_a_scheduled_message_arrives_when_its_time_has_come(endpoints: Endpoints, queue: str) -> None:
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    due = soon(1)
    sender.schedule_messages(ServiceBusMessage("later"), due)
    [message] = receiver.receive_messages(1, max_wait_time=10)
    assert body(message) == b"later"
    assert message.enqueued_time_utc is not None
    assert message.enqueued_time_utc >= due - timedelta(milliseconds=1)


def test_messages_are_scheduled_together_and_cancelled_one_by_one(
    endpoints: Endpoints, queue: str, counts: Counts
) -> None:
    sender = endpoints.sender(queue)
    numbers = sender.schedule_messages([ServiceBusMessage(f"{number}") for number in range(3)], soon(60))
    assert len(set(numbers)) == 3
    sender.cancel_scheduled_messages(numbers[1])
    assert counts(queue).scheduled == 2
    sender.cancel_scheduled_messages([numbers[0], numbers[2]])
    assert counts(queue).scheduled == 0


def test_a_message_can_be_scheduled_by_its_own_annotation(endpoints: Endpoints, queue: str) -> None:
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    message = ServiceBusMessage("later", scheduled_enqueue_time_utc=soon(1))
    sender.send_messages([message, ServiceBusMessage("now")])
    arrived = [body(receiver.receive_messages(1, max_wait_time=10)[0]) for _ in range(2)]
    assert arrived == [b"now", b"later"]


def test_a_scheduled_message_that_is_too_large_is_refused(client: ServiceBusClient, queue: str, counts: Counts) -> None:
    with client.get_queue_sender(queue) as sender, pytest.raises((MessageSizeExceededError, ServiceBusError)):
        sender.schedule_messages(ServiceBusMessage(b"x" * 300_000), soon(60))
    assert counts(queue).scheduled == 0


def test_an_expired_message_is_dead_lettered(endpoints: Endpoints, queue: str) -> None:
    sender = endpoints.sender(queue)
    sender.send_messages(ServiceBusMessage("short-lived", time_to_live=timedelta(milliseconds=100)))
    receiver = endpoints.receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER)
    [message] = receiver.receive_messages(1, max_wait_time=5)
    assert body(message) == b"short-lived"
    assert message.dead_letter_reason == "TTLExpiredException"


def test_an_expired_message_is_dropped_where_the_queue_says_so(
    endpoints: Endpoints, new_queue: NewQueue, counts: Counts
) -> None:
    queue = new_queue("drops-expired")
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    sender.send_messages(ServiceBusMessage("short-lived", time_to_live=timedelta(milliseconds=1)))
    sender.send_messages(ServiceBusMessage("sentinel"))
    [message] = receiver.receive_messages(2, max_wait_time=5)
    assert body(message) == b"sentinel"
    assert (counts(queue).active, counts(queue).dead_letter) == (0, 0)
