"""Peeking returns messages without changing them."""

from azure.servicebus import ServiceBusMessage

from tests.contract.service_bus.conftest import Counts, Endpoints, body, numbered, numbers, receive, receive_one


def test_an_empty_queue_shows_nothing(endpoints: Endpoints, queue: str) -> None:
    assert endpoints.receiver(queue).peek_messages(5) == []


def test_peeking_neither_locks_nor_counts(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    receiver = endpoints.receiver(queue)
    endpoints.sender(queue).send_messages(numbered(2))
    for _ in range(3):
        peeked = receiver.peek_messages(5, sequence_number=1)
        assert [body(message) for message in peeked] == numbers(2)
        assert [message.lock_token for message in peeked] == [None, None]
        assert [message.locked_until_utc for message in peeked] == [None, None]
    assert (counts(queue).active, counts(queue).locked) == (2, 0)
    assert receive_one(receiver).delivery_count == 0


def test_a_peeked_message_tells_how_often_it_was_delivered(endpoints: Endpoints, queue: str) -> None:
    receiver = endpoints.receiver(queue)
    endpoints.sender(queue).send_messages(ServiceBusMessage("a", message_id="m", application_properties={"n": 1}))
    receiver.abandon_message(receive_one(receiver))
    [peeked] = receiver.peek_messages(1, sequence_number=1)
    assert (body(peeked), peeked.message_id, peeked.delivery_count) == (b"a", "m", 1)
    assert peeked.application_properties == {b"n": 1}


def test_large_messages_are_peeked_in_several_answers(endpoints: Endpoints, queue: str) -> None:
    sender, receiver = endpoints.sender(queue), endpoints.receiver(queue)
    for _ in range(3):
        sender.send_messages(ServiceBusMessage(bytes(100_000)))
    peeked = receiver.peek_messages(3, sequence_number=1)
    assert [message.sequence_number for message in peeked] == [1, 2]
    rest = receiver.peek_messages(3, sequence_number=3)
    assert [(message.sequence_number, len(body(message))) for message in rest] == [(3, 100_000)]


def test_a_settled_message_is_not_shown(endpoints: Endpoints, queue: str) -> None:
    receiver = endpoints.receiver(queue)
    endpoints.sender(queue).send_messages(numbered(3))
    first, second, _ = receive(receiver, 3)
    receiver.complete_message(first)
    receiver.dead_letter_message(second)
    assert [body(message) for message in receiver.peek_messages(5, sequence_number=1)] == [b"2"]
