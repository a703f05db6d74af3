"""Fills a batch of the SDK with messages that are encoded here, many times faster than by the SDK.

The SDK makes half a dozen objects of a message and encodes it twice, once to learn its size (docs/decisions/0030).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import azure.servicebus
from azure.servicebus import ServiceBusMessageBatch
from azure.servicebus.amqp import AmqpAnnotatedMessage

from core.messages import JSON_TYPE, OutgoingMessage
from core.telemetry import DIAGNOSTIC_ID, TRACEPARENT

KNOWN_SDK = "7.15.0"
"""The version that is known to send what is in the list of encoded messages, and to read nothing else of a batch."""

_SCHEDULED_ENQUEUE_TIME = b"x-opt-scheduled-enqueue-time"

_DATA = 5
"""Where the SDK keeps the encoded messages of a batch: they are the data sections of one large message."""

_PLACE_BYTES = 8
"""The most that a message takes in a batch beside its own size."""

# A section of properties is a list of 13 fields: the message id is the first, the content type the seventh. The lengths
# of the list, of the id and of the body have one byte each.
_PROPERTIES = b"\x00\x53\x73\xc0%c\x0d\xa1%c%b\x40\x40\x40\x40\x40\xa3\x10application/json\x40\x40\x40\x40\x40\x40"
_BODY = b"\x00\x53\x75\xa0%c%b"
# A section of application properties is a map of texts: its length in bytes, and two for each property.
_APPLICATION_PROPERTIES = b"\x00\x53\x74\xc1%c%c%b"
_TEXT = b"\xa1%c%b"
_LENGTH_OF_OTHER_FIELDS = 32
_LONGEST_LIST = 254
_LONGEST_BODY = 255


def fill(
    batch: ServiceBusMessageBatch, messages: Sequence[OutgoingMessage], traceparents: Sequence[str | None] | None = None
) -> None:
    """Adds messages to an empty batch, each with its trace context.

    The SDK encodes the first one. If it has encoded this message as we do, and keeps it where we expect it, we add the
    others. Otherwise the SDK adds them too: if it traces messages, if a message is large or scheduled, or if the SDK is
    of another version.

    Raises:
        MessageSizeExceededError: the messages are too large for the tier.
    """
    if not messages:
        return
    contexts = traceparents or [None] * len(messages)
    batch.add_message(_annotated(messages[0], _properties(contexts[0])))
    if len(messages) > 1 and not _add_encoded(batch, messages, contexts):
        for message, context in zip(messages[1:], contexts[1:], strict=True):
            batch.add_message(_annotated(message, _properties(context)))


def encoded(message: OutgoingMessage, section: bytes = b"") -> bytes | None:
    """Returns a message as the SDK encodes it; None if it is scheduled, no plain JSON, or has parts of many bytes.

    Args:
        message: the message.
        section: its application properties, encoded.
    """
    message_id, body = message.message_id.encode(), message.body
    list_length = len(message_id) + _LENGTH_OF_OTHER_FIELDS
    is_plain = message.enqueue_at is None and message.content_type == JSON_TYPE
    if not is_plain or list_length > _LONGEST_LIST or len(body) > _LONGEST_BODY:
        return None
    return _PROPERTIES % (list_length, len(message_id), message_id) + section + _BODY % (len(body), body)


def _properties(traceparent: str | None) -> dict[str, str]:
    return {} if traceparent is None else {TRACEPARENT: traceparent, DIAGNOSTIC_ID: traceparent}


def _section(properties: Mapping[str, str]) -> bytes:
    """Returns short application properties as the SDK encodes them: once for all messages with one trace context."""
    if not properties:
        return b""
    texts = [text.encode() for pair in properties.items() for text in pair]
    content = b"".join([_TEXT % (len(text), text) for text in texts])
    return _APPLICATION_PROPERTIES % (len(content) + 1, len(texts), content)


def _add_encoded(
    batch: ServiceBusMessageBatch, messages: Sequence[OutgoingMessage], contexts: Sequence[str | None]
) -> bool:
    """Adds all messages but the first, which the batch has already, or none of them."""
    if azure.servicebus.__version__ != KNOWN_SDK:
        return False
    encoded_properties = {context: _section(_properties(context)) for context in set(contexts)}
    each = [encoded(*pair) for pair in zip(messages, map(encoded_properties.__getitem__, contexts), strict=True)]
    known = [data for data in each if data is not None]
    size_bytes = batch.size_in_bytes + sum(map(len, known[1:])) + _PLACE_BYTES * len(known)
    sections: list[bytes] = batch._message[_DATA]  # noqa: SLF001 - the SDK has no public way, see docs/decisions/0030
    if len(known) < len(each) or sections != known[:1] or size_bytes > batch.max_size_in_bytes:
        return False
    sections.extend(known[1:])
    return True


def _annotated(message: OutgoingMessage, properties: Mapping[str, str]) -> AmqpAnnotatedMessage:
    # The SDK's fastest public way; `python -m benchmarks dispatch` compares it with ServiceBusMessage.
    return AmqpAnnotatedMessage(
        data_body=[message.body],
        properties={"message_id": message.message_id, "content_type": message.content_type},
        application_properties=dict(properties) or None,
        annotations=_annotations(message.enqueue_at),
    )


def _annotations(enqueue_at: datetime | None) -> dict[Any, Any] | None:
    return None if enqueue_at is None else {_SCHEDULED_ENQUEUE_TIME: enqueue_at}
