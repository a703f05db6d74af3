from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.exceptions import MessageNotFoundError, MessageSizeExceededError, ServiceBusError

from tests.contract.service_bus.conftest import Counts, Endpoints, NewQueue, body, receive, receive_one, wait_until


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_a_scheduled_message_arrives_when_its_time_has_come(endpoints: Endpoints, queue: str) -> None:
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    due = soon(1)
    sender.schedule_messages(ServiceBusMessage("later"), due)
    [message] = receiver.receive_messages(1, max_wait_time=30)
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
    arrived = [body(receiver.receive_messages(1, max_wait_time=30)[0]) for _ in range(2)]
    assert arrived == [b"now", b"later"]


def test_a_scheduled_message_that_is_too_large_is_refused(client: ServiceBusClient, queue: str, counts: Counts) -> None:
    with client.get_queue_sender(queue) as sender, pytest.raises((MessageSizeExceededError, ServiceBusError)):
        sender.schedule_messages(ServiceBusMessage(b"x" * 300_000), soon(60))
    assert counts(queue).scheduled == 0


def test_a_time_in_the_past_is_now(endpoints: Endpoints, queue: str) -> None:
    receiver = endpoints.receiver(queue)
    endpoints.sender(queue).schedule_messages(ServiceBusMessage("a"), soon(-60))
    assert body(receive_one(receiver)) == b"a"


def test_a_message_that_is_not_scheduled_cannot_be_cancelled(
    impatient_client: ServiceBusClient, endpoints: Endpoints, queue: str, counts: Counts
) -> None:
    sender = endpoints.sender(queue)
    sender.send_messages(ServiceBusMessage("sent"))
    [number] = sender.schedule_messages(ServiceBusMessage("later"), soon(60))
    with pytest.raises(MessageNotFoundError), impatient_client.get_queue_sender(queue) as impatient:
        impatient.cancel_scheduled_messages([number, 1])
    assert (counts(queue).active, counts(queue).scheduled) == (1, 1)


def test_an_expired_message_is_dead_lettered(endpoints: Endpoints, queue: str) -> None:
    sender = endpoints.sender(queue)
    sender.send_messages(ServiceBusMessage("short-lived", time_to_live=timedelta(milliseconds=100)))
    receiver = endpoints.receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER)
    [message] = receiver.receive_messages(1, max_wait_time=30)
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
    [message] = receiver.receive_messages(2, max_wait_time=30)
    assert body(message) == b"sentinel"
    assert (counts(queue).active, counts(queue).dead_letter) == (0, 0)


def test_a_queue_limits_the_time_to_live_of_its_messages(endpoints: Endpoints, new_queue: NewQueue) -> None:
    queue = new_queue("short-lived")
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER)
    sender.send_messages([ServiceBusMessage("a"), ServiceBusMessage("b", time_to_live=timedelta(minutes=5))])
    expired = [receive_one(receiver) for _ in range(2)]
    assert [body(message) for message in expired] == [b"a", b"b"]
    assert {message.dead_letter_reason for message in expired} == {"TTLExpiredException"}


def test_a_message_that_is_locked_expires_when_its_lock_ends(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    ttl = timedelta(seconds=10)
    sent = [ServiceBusMessage(text, time_to_live=ttl) for text in ("completed", "abandoned")]
    receiver = endpoints.receiver(queue)
    endpoints.sender(queue).send_messages(sent)
    completed, abandoned = receive(receiver, 2)
    expiry = datetime.now(UTC) + ttl
    wait_until(lambda: datetime.now(UTC) > expiry)
    assert counts(queue).locked == 2
    receiver.complete_message(completed)
    receiver.abandon_message(abandoned)
    dead = receive_one(endpoints.receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER))
    assert (body(dead), dead.dead_letter_reason) == (b"abandoned", "TTLExpiredException")
    assert (counts(queue).active, counts(queue).locked) == (0, 0)
