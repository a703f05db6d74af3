"""The dead-letter queue is used like any other queue."""

from datetime import timedelta

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiveMode, ServiceBusSubQueue
from azure.servicebus.exceptions import MessagingEntityNotFoundError

from tests.contract.service_bus.conftest import Counts, Endpoints, body, numbered, numbers, receive, receive_one

DEAD_LETTER = ServiceBusSubQueue.DEAD_LETTER


def bury(endpoints: Endpoints, queue: str, count: int) -> None:
    """Sends `count` messages and dead-letters each at its second delivery, in reverse order."""
    receiver = endpoints.receiver(queue)
    endpoints.sender(queue).send_messages(numbered(count))
    for message in receive(receiver, count):
        receiver.abandon_message(message)
    for message in reversed(receive(receiver, count)):
        receiver.dead_letter_message(message, reason="r", error_description="d")


def test_dead_letters_leave_in_the_order_of_their_burial(endpoints: Endpoints, queue: str) -> None:
    bury(endpoints, queue, 3)
    received = receive(endpoints.receiver(queue, sub_queue=DEAD_LETTER), 3)
    assert [body(message) for message in received] == numbers(3)[::-1]
    assert [message.sequence_number for message in received] == [1, 2, 3]
    assert [message.enqueued_sequence_number for message in received] == [3, 2, 1]
    assert [message.delivery_count for message in received] == [1, 1, 1]


def test_the_reason_is_an_application_property_too(endpoints: Endpoints, queue: str) -> None:
    bury(endpoints, queue, 1)
    message = receive_one(endpoints.receiver(queue, sub_queue=DEAD_LETTER))
    assert message.application_properties == {b"DeadLetterReason": b"r", b"DeadLetterErrorDescription": b"d"}


def test_dead_letters_can_be_received_and_deleted(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    bury(endpoints, queue, 2)
    mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
    receiver = endpoints.receiver(queue, sub_queue=DEAD_LETTER, receive_mode=mode)
    assert len(receive(receiver, 2)) == 2
    assert counts(queue).dead_letter == 0


def test_dead_letters_can_be_peeked_and_stay(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    bury(endpoints, queue, 2)
    peeked = endpoints.receiver(queue, sub_queue=DEAD_LETTER).peek_messages(5)
    assert [(body(message), message.dead_letter_reason) for message in peeked] == [(b"1", "r"), (b"0", "r")]
    assert counts(queue).dead_letter == 2


def test_a_dead_letter_does_not_expire(endpoints: Endpoints, queue: str) -> None:
    endpoints.sender(queue).send_messages(ServiceBusMessage("a", time_to_live=timedelta(seconds=1)))
    receiver = endpoints.receiver(queue, sub_queue=DEAD_LETTER)
    receiver.abandon_message(receive_one(receiver))
    assert body(receive_one(receiver)) == b"a"


def test_a_dead_letter_can_be_sent_again(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    bury(endpoints, queue, 1)
    dead = endpoints.receiver(queue, sub_queue=DEAD_LETTER)
    message = receive_one(dead)
    endpoints.sender(queue).send_messages(ServiceBusMessage(body(message), message_id=message.message_id))
    dead.complete_message(message)
    again = receive_one(endpoints.receiver(queue))
    assert (body(again), again.delivery_count, again.dead_letter_reason) == (b"0", 0, None)
    assert counts(queue).dead_letter == 0


def test_the_dead_letters_of_an_unknown_queue_are_not_found(client: ServiceBusClient) -> None:
    receiver = client.get_queue_receiver("nowhere", sub_queue=DEAD_LETTER)
    with pytest.raises(MessagingEntityNotFoundError), receiver:
        receiver.receive_messages(1, max_wait_time=1)
