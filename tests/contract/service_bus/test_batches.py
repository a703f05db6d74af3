"""A batch is one message on the wire; the emulator stores all of its messages or none."""

from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusMessageBatch
from azure.servicebus.exceptions import MessageSizeExceededError, ServiceBusError

from tests.contract.service_bus.conftest import Counts, Endpoints, NewQueue, body, numbered, numbers, receive


def encoded_messages(batch: ServiceBusMessageBatch) -> list[bytearray]:
    """The encoded messages inside `batch`, which a test may corrupt before they are sent."""
    outer: Any = batch._message
    data_sections: list[bytearray] = outer[5]
    return data_sections


def test_a_list_of_messages_arrives_in_order(endpoints: Endpoints, queue: str) -> None:
    receiver = endpoints.receiver(queue)
    endpoints.sender(queue).send_messages(numbered(50))
    assert [body(message) for message in receive(receiver, 50)] == numbers(50)


def test_a_batch_filled_to_its_limit_arrives_whole(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    sender = endpoints.sender(queue)
    batch = sender.create_message_batch()
    for _ in range(26):
        batch.add_message(ServiceBusMessage(b"x" * 10_000))
    with pytest.raises(MessageSizeExceededError):
        batch.add_message(ServiceBusMessage(b"x" * 10_000))
    sender.send_messages(batch)
    assert counts(queue).active == 26


def test_a_batch_beyond_the_limit_is_refused_whole(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    sender = endpoints.sender(queue)
    batch = sender.create_message_batch()
    batch.add_message(ServiceBusMessage(b"x" * 200_000))
    encoded_messages(batch).append(encoded_messages(batch)[0])
    with pytest.raises(MessageSizeExceededError):
        sender.send_messages(batch)
    assert counts(queue).active == 0
    sender.send_messages(ServiceBusMessage("the link stays open"))
    assert counts(queue).active == 1


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_batch_with_one_unreadable_message_is_refused_whole(
    endpoints: Endpoints, queue: str, counts: Counts, place: int
) -> None:
    sender = endpoints.sender(queue)
    batch = sender.create_message_batch()
    for message in numbered(2):
        batch.add_message(message)
    encoded_messages(batch).insert(place, bytearray(b"\xde\xad\xbe\xef"))
    with pytest.raises(ServiceBusError):
        sender.send_messages(batch)
    assert counts(queue).active == 0


def test_a_batch_with_one_message_that_the_queue_does_not_take_is_refused_whole(
    endpoints: Endpoints, new_queue: NewQueue, counts: Counts
) -> None:
    queue = new_queue("sessions")
    sent = [ServiceBusMessage("a", session_id="s"), ServiceBusMessage("b"), ServiceBusMessage("c", session_id="s")]
    with pytest.raises(ServiceBusError, match="session"):
        endpoints.sender(queue).send_messages(sent)
    assert counts(queue).active == 0


def test_each_message_of_a_batch_keeps_its_own_properties(endpoints: Endpoints, queue: str) -> None:
    receiver = endpoints.receiver(queue)
    sent = [
        ServiceBusMessage("a", message_id="1", subject="first", application_properties={"n": 1}),
        ServiceBusMessage("b"),
        ServiceBusMessage("c", correlation_id="c", content_type="text/plain"),
    ]
    endpoints.sender(queue).send_messages(sent)
    a, b, c = receive(receiver, 3)
    assert (a.message_id, a.subject, a.application_properties) == ("1", "first", {b"n": 1})
    assert (b.subject, b.correlation_id, b.application_properties) == (None, None, None)
    assert (c.subject, c.correlation_id, c.content_type) == (None, "c", "text/plain")


def test_a_batch_is_settled_message_by_message(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    receiver = endpoints.receiver(queue)
    endpoints.sender(queue).send_messages(numbered(6))
    received = receive(receiver, 6)
    for message in reversed(received[1::2]):
        receiver.complete_message(message)
    for message in received[0::2]:
        receiver.abandon_message(message)
    assert (counts(queue).locked, counts(queue).active) == (0, 3)
    assert [body(message) for message in receive(receiver, 3)] == numbers(6)[0::2]
