"""Messages encoded by us are those of the SDK, byte by byte; where they may not be, the SDK encodes them itself."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import azure.servicebus
import pytest
from azure.servicebus import ServiceBusMessageBatch
from azure.servicebus.amqp import AmqpAnnotatedMessage
from azure.servicebus.exceptions import MessageSizeExceededError
from hypothesis import given
from hypothesis import strategies as st

from core.messages import OutgoingMessage
from repositories import encoded_messages
from repositories.encoded_messages import KNOWN_SDK, encoded, fill
from tests.contract.repositories.building import batch_of

MESSAGES = [message.outgoing() for message in batch_of(100).messages()]
TRACEPARENT = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


def by_sdk(*messages: OutgoingMessage, application_properties: dict[str, str] | None = None) -> list[bytes]:
    batch = ServiceBusMessageBatch()
    for message in messages:
        properties = {"message_id": message.message_id, "content_type": "application/json"}
        annotated = AmqpAnnotatedMessage(
            data_body=[message.body], properties=properties, application_properties=application_properties
        )
        batch.add_message(annotated)
    return contents(batch)


def contents(batch: ServiceBusMessageBatch) -> list[bytes]:
    return [bytes(each) for each in batch._message[5]]


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The messages that the SDK encodes."""
    messages: list[object] = []
    add = ServiceBusMessageBatch.add_message

    def count(batch: ServiceBusMessageBatch, message: AmqpAnnotatedMessage) -> None:
        add(batch, message)
        messages.append(message)

    monkeypatch.setattr(ServiceBusMessageBatch, "add_message", count)
    return messages


def filled(messages: Sequence[OutgoingMessage], max_bytes: int = 262_144) -> list[bytes]:
    batch = ServiceBusMessageBatch(max_bytes)
    fill(batch, messages)
    assert len(batch) > 0, "the SDK sends no empty batch"
    return contents(batch)


def test_the_sdk_encodes_one_message_of_a_batch(added: list[object]) -> None:
    assert filled(MESSAGES) == by_sdk(*MESSAGES)
    assert len(added) == 1 + 100


def test_the_messages_of_a_batch_carry_a_trace_context_as_by_the_sdk(added: list[object]) -> None:
    batch = ServiceBusMessageBatch()
    fill(batch, MESSAGES, [TRACEPARENT] * 100)
    properties = {"traceparent": TRACEPARENT, "Diagnostic-Id": TRACEPARENT}
    assert contents(batch) == by_sdk(*MESSAGES, application_properties=properties)
    assert len(added) == 1 + 100, "the SDK has encoded one of the batch"


def test_each_message_carries_its_own_trace_context_as_by_the_sdk(added: list[object]) -> None:
    contexts = [TRACEPARENT, None, TRACEPARENT.replace("a", "b")]
    batch = ServiceBusMessageBatch()
    fill(batch, MESSAGES[:3], contexts)
    properties = [{"traceparent": each, "Diagnostic-Id": each} if each else None for each in contexts]
    by_itself = [
        by_sdk(message, application_properties=each) for message, each in zip(MESSAGES[:3], properties, strict=True)
    ]
    assert [contents(batch)] == [[one for (one,) in by_itself]]
    assert len(added) == 1 + 3


@given(message_id=TEXTS.filter(bool), body=st.binary(max_size=300))
def test_a_message_is_encoded_as_by_the_sdk_or_not_at_all(message_id: str, body: bytes) -> None:
    message = OutgoingMessage(body, message_id)
    ours = encoded(message)
    assert [ours] == by_sdk(message) if len(message_id.encode()) <= 222 and len(body) <= 255 else ours is None


@pytest.mark.parametrize(
    "other",
    [
        OutgoingMessage(b"{}", "later", datetime(2030, 1, 1, tzinfo=UTC)),
        OutgoingMessage(b"x" * 256, "long body"),
        OutgoingMessage(b"{}", "i" * 223),
    ],
    ids=["scheduled", "long body", "long id"],
)
def test_the_sdk_encodes_a_batch_with_a_message_that_we_do_not_encode(
    other: OutgoingMessage, added: list[object]
) -> None:
    assert len(filled([*MESSAGES[:5], other])) == len(added) == 6


def test_the_sdk_encodes_all_messages_when_it_is_another_version(
    added: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(azure.servicebus, "__version__", "7.16.0")
    assert filled(MESSAGES) == by_sdk(*MESSAGES)
    assert len(added) == 100 + 100


def test_the_sdk_encodes_all_messages_when_it_encodes_the_first_differently(
    added: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As with tracing, which adds application properties.
    annotated = encoded_messages._annotated
    monkeypatch.setattr(
        encoded_messages,
        "_annotated",
        lambda message, properties: annotated(replace(message, content_type="text/json"), properties),
    )
    assert len(filled(MESSAGES)) == len(added) == 100


def test_a_message_of_another_type_is_encoded_by_the_sdk() -> None:
    messages = [replace(message, content_type="application/cloudevents+json") for message in MESSAGES[:3]]
    assert encoded(messages[0]) is None
    assert all(b"application/cloudevents+json" in each for each in filled(messages))


def test_messages_that_are_too_large_for_the_tier_are_refused_by_the_sdk() -> None:
    fits = sum(len(each) + 8 for each in by_sdk(*MESSAGES)) + 200
    assert len(filled(MESSAGES, fits)) == 100
    with pytest.raises(MessageSizeExceededError):
        filled(MESSAGES, fits // 2)


def test_the_version_that_is_known_is_the_one_that_the_app_requires() -> None:
    """Read its `ServiceBusSender.send_messages` before you change `KNOWN_SDK`: what does it use of a batch?"""
    assert azure.servicebus.__version__ == KNOWN_SDK
