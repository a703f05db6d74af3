import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.amqp import AmqpAnnotatedMessage, AmqpMessageBodyType
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    MessagingEntityNotFoundError,
    ServiceBusError,
)

from tests.contract.service_bus.conftest import Counts, Endpoints, NewQueue, body, receive

TOO_LARGE = 300_000


def test_a_message_arrives_with_its_body_and_its_properties(endpoints: Endpoints, queue: str) -> None:
    message = ServiceBusMessage(
        b"\x00\xff body",
        message_id="id-1",
        correlation_id="c-1",
        content_type="application/json",
        subject="label",
        to="there",
        reply_to="here",
        partition_key="p",
    )
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    sender.send_messages(message)
    [received] = receiver.receive_messages(1, max_wait_time=30)
    assert body(received) == b"\x00\xff body"
    assert (received.message_id, received.correlation_id, received.content_type) == ("id-1", "c-1", "application/json")
    assert (received.subject, received.to, received.reply_to) == ("label", "there", "here")
    assert received.partition_key == "p"


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65_000, 65_536, 250_000])
def test_bodies_of_all_sizes_arrive_byte_for_byte(endpoints: Endpoints, queue: str, size: int) -> None:
    content = bytes(index % 251 for index in range(size))
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    sender.send_messages(ServiceBusMessage(content))
    [received] = receiver.receive_messages(1, max_wait_time=30)
    assert body(received) == content


def test_a_body_of_values_arrives_as_such(endpoints: Endpoints, queue: str) -> None:
    value = {"a": [1, 2, None], "b": True}
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    sender.send_messages(AmqpAnnotatedMessage(value_body=value))
    [received] = receiver.receive_messages(1, max_wait_time=30)
    assert received.body_type is AmqpMessageBodyType.VALUE
    assert received.body == {b"a": [1, 2, None], b"b": True}


def test_a_body_of_sequences_arrives_as_such(endpoints: Endpoints, queue: str) -> None:
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    sender.send_messages(AmqpAnnotatedMessage(sequence_body=[[1, 2], [b"three"]]))
    [received] = receiver.receive_messages(1, max_wait_time=30)
    assert received.body_type is AmqpMessageBodyType.SEQUENCE
    assert list(received.body) == [[1, 2], [b"three"]]


def test_a_body_of_several_data_sections_arrives_as_such(endpoints: Endpoints, queue: str) -> None:
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    sender.send_messages(AmqpAnnotatedMessage(data_body=[b"one", b"two"]))
    [received] = receiver.receive_messages(1, max_wait_time=30)
    assert list(received.body) == [b"one", b"two"]


def test_a_body_that_looks_like_a_batch_is_a_body(endpoints: Endpoints, queue: str) -> None:
    encoded_message = b"\x00\x53\x75\xa0\x02hi"
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    sender.send_messages(ServiceBusMessage(encoded_message))
    [received] = receiver.receive_messages(2, max_wait_time=30)
    assert body(received) == encoded_message


def test_a_batch_of_100_arrives_in_order(endpoints: Endpoints, queue: str) -> None:
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    batch = sender.create_message_batch()
    for number in range(100):
        batch.add_message(ServiceBusMessage(f"{number}", message_id=f"m-{number}"))
    sender.send_messages(batch)
    received = receive(receiver, 100)
    assert [message.message_id for message in received] == [f"m-{number}" for number in range(100)]
    assert [body(message) for message in received] == [f"{number}".encode() for number in range(100)]
    first = received[0].sequence_number
    assert first is not None
    assert [message.sequence_number for message in received] == list(range(first, first + 100))


def test_a_batch_of_annotated_messages_arrives_in_order(endpoints: Endpoints, queue: str) -> None:
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    batch = sender.create_message_batch()
    for number in range(100):
        properties = {"message_id": f"m-{number}", "content_type": "application/json"}
        batch.add_message(AmqpAnnotatedMessage(data_body=[b"%d" % number], properties=properties))
    sender.send_messages(batch)
    received = receive(receiver, 100)
    assert [message.message_id for message in received] == [f"m-{number}" for number in range(100)]
    assert {message.content_type for message in received} == {"application/json"}


def test_a_sender_learns_the_size_limit_of_a_batch(endpoints: Endpoints, queue: str) -> None:
    sender = endpoints.sender(queue)
    assert sender.create_message_batch().max_size_in_bytes == 262_144


def test_a_message_that_is_too_large_is_refused(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    sender = endpoints.sender(queue)
    with pytest.raises(MessageSizeExceededError):
        sender.send_messages(ServiceBusMessage(b"x" * TOO_LARGE))
    sender.send_messages(ServiceBusMessage(b"small"))
    assert counts(queue).active == 1


def test_an_endless_message_is_refused_and_the_link_stays_open(
    endpoints: Endpoints, queue: str, counts: Counts
) -> None:
    sender = endpoints.sender(queue)
    with pytest.raises(MessageSizeExceededError):
        sender.send_messages(AmqpAnnotatedMessage(data_body=[b"x" * 8_000_000]))
    sender.send_messages(ServiceBusMessage(b"small"))
    assert counts(queue).active == 1


def test_an_unknown_queue_is_not_found(client: ServiceBusClient) -> None:
    with pytest.raises(MessagingEntityNotFoundError), client.get_queue_sender("nowhere") as sender:
        sender.send_messages(ServiceBusMessage("x"))
    with pytest.raises(MessagingEntityNotFoundError), client.get_queue_receiver("nowhere") as receiver:
        receiver.receive_messages(1, max_wait_time=1)


def test_queue_names_are_not_case_sensitive(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    sender = endpoints.sender(queue.upper())
    sender.send_messages(ServiceBusMessage("x"))
    assert counts(queue).active == 1


def test_a_repeated_message_id_is_dropped_where_duplicates_are_detected(
    endpoints: Endpoints, new_queue: NewQueue, counts: Counts
) -> None:
    queue = new_queue("no-duplicates")
    sender = endpoints.sender(queue)
    sender.send_messages([ServiceBusMessage("a", message_id="1"), ServiceBusMessage("b", message_id="2")])
    sender.send_messages(ServiceBusMessage("a again", message_id="1"))
    assert counts(queue).active == 2


def test_a_session_is_refused_by_a_queue_without_sessions(client: ServiceBusClient, queue: str) -> None:
    with pytest.raises(ServiceBusError), client.get_queue_receiver(queue, session_id="s") as receiver:
        receiver.receive_messages(1, max_wait_time=1)
