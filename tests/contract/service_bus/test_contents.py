"""The content of a message arrives as it was sent, for every AMQP type."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from azure.servicebus import ServiceBusMessage
from azure.servicebus.amqp import AmqpAnnotatedMessage, AmqpMessageBodyType, AmqpMessageHeader, AmqpMessageProperties
from proton import Message, byte, char, decimal64, float32, short, symbol, timestamp, ulong
from proton.utils import BlockingConnection

from tests.contract.service_bus.conftest import Endpoints, receive_one

AN_ID = UUID("0f6ac0b1-7c2d-4d53-9c3e-2f1a7c5be001")
A_TIME = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


# The client encodes integers in 32 bits, and decodes strings as bytes.
PROPERTIES: dict[str | bytes, tuple[Any, object]] = {
    "text": ("é", "é".encode()),
    "long text": ("x" * 300, b"x" * 300),
    "no text": ("", b""),
    "zero": (0, 0),
    "least": (-(2**31), -(2**31)),
    "greatest": (2**31 - 1, 2**31 - 1),
    "fraction": (0.1, 0.1),
    "true": (True, True),
    "false": (False, False),
    "null": (None, None),
    "id": (AN_ID, AN_ID),
    "time": (A_TIME, int(A_TIME.timestamp()) * 1000),
}
VALUES: list[tuple[Any, object]] = [
    ("é", "é".encode()),
    (b"\x00\xff", b"\x00\xff"),
    (7, 7),
    (0.1, 0.1),
    (True, True),
    (None, None),
    (AN_ID, AN_ID),
    ([1, ["two", None]], [1, [b"two", None]]),
    ({"a": {"b": [1]}}, {b"a": {b"b": [1]}}),
]


def test_application_properties_of_all_types_arrive(endpoints: Endpoints, queue: str) -> None:
    receiver = endpoints.receiver(queue)
    sent = {name: value for name, (value, _) in PROPERTIES.items()}
    endpoints.sender(queue).send_messages(ServiceBusMessage("x", application_properties=sent))
    arrived = receive_one(receiver).application_properties
    assert arrived == {str(name).encode(): value for name, (_, value) in PROPERTIES.items()}


def test_bodies_of_values_of_all_types_arrive(endpoints: Endpoints, queue: str) -> None:
    receiver = endpoints.receiver(queue)
    endpoints.sender(queue).send_messages([AmqpAnnotatedMessage(value_body=value) for value, _ in VALUES])
    received = receiver.receive_messages(len(VALUES), max_wait_time=30)
    assert {message.body_type for message in received} == {AmqpMessageBodyType.VALUE}
    assert [message.body for message in received] == [value for _, value in VALUES]


def test_types_that_only_other_clients_send_arrive(wire: BlockingConnection, queue: str) -> None:
    sent: dict[Any, Any] = {
        "byte": byte(-1),
        "unsigned": ulong(2**64 - 1),
        "short": short(-2),
        "single": float32(0.5),
        "time": timestamp(1_770_091_506_000),
        "symbol": symbol("s"),
        "character": char("é"),
        "decimal": decimal64(1),
    }
    wire.create_sender(queue).send(Message("x", properties=sent))
    receiver = wire.create_receiver(queue)
    arrived: dict[Any, Any] = receiver.receive().properties or {}
    # Compare types too, because numbers of different AMQP types may be equal.
    assert [(type(value), value) for value in arrived.values()] == [(type(value), value) for value in sent.values()]


def test_every_section_of_a_message_arrives(endpoints: Endpoints, queue: str) -> None:
    sent = AmqpAnnotatedMessage(
        data_body=b"x",
        header=AmqpMessageHeader(durable=True, priority=7, time_to_live=120_000),
        properties=AmqpMessageProperties(
            message_id="m",
            user_id=b"u",
            to="there",
            subject="s",
            reply_to="here",
            correlation_id="c",
            content_type="text/plain",
            content_encoding="gzip",
            group_id="g",
            group_sequence=3,
            reply_to_group_id="r",
        ),
        annotations={"x-mine": "a"},
        application_properties={"key": "value"},
        footer={"x-foot": "f"},
    )
    receiver = endpoints.receiver(queue)
    endpoints.sender(queue).send_messages(sent)
    raw = receive_one(receiver).raw_amqp_message
    header, properties, annotations = raw.header, raw.properties, raw.annotations
    assert header
    assert properties
    assert annotations
    assert (header.durable, header.priority, header.time_to_live) == (True, 7, 120_000)
    assert (properties.message_id, properties.user_id, properties.to) == (b"m", b"u", b"there")
    assert (properties.subject, properties.reply_to, properties.correlation_id) == (b"s", b"here", b"c")
    assert (properties.content_type, properties.content_encoding) == (b"text/plain", b"gzip")
    assert (properties.group_id, properties.group_sequence, properties.reply_to_group_id) == (b"g", 3, b"r")
    assert annotations[b"x-mine"] == b"a"
    assert raw.application_properties == {b"key": b"value"}
    assert raw.footer == {b"x-foot": b"f"}


def test_annotations_of_the_broker_cannot_be_sent(endpoints: Endpoints, queue: str) -> None:
    forged = {"x-opt-sequence-number": 77, "x-opt-enqueued-time": 1, "x-opt-message-state": 2}
    receiver = endpoints.receiver(queue)
    endpoints.sender(queue).send_messages(AmqpAnnotatedMessage(data_body=b"x", annotations=forged))
    received = receive_one(receiver)
    assert received.sequence_number == 1
    assert received.enqueued_time_utc
    assert received.enqueued_time_utc.year >= 2026
    assert received.state.name == "ACTIVE"
