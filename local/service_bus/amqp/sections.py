"""Splits encoded AMQP messages into the parts that the broker reads and the bytes that it stores unchanged."""

from collections.abc import Hashable, Iterator
from typing import Any
from uuid import UUID

from local.service_bus.amqp.decode import DECODING_ERRORS, read, skip
from local.service_bus.broker.errors import MalformedMessageError
from local.service_bus.broker.messages import Content, Submission

# Descriptors of the sections of a message (OASIS AMQP 1.0, part 3, section 3.2).
HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS = 0x70, 0x71, 0x72
PROPERTIES, APPLICATION_PROPERTIES, DATA, VALUE = 0x73, 0x74, 0x75, 0x77

SCHEDULED_FOR = "x-opt-scheduled-enqueue-time"
# Annotations that only the broker sets; they are dropped from clients' messages.
BROKER_ANNOTATIONS = frozenset(
    {
        "x-opt-sequence-number",
        "x-opt-enqueue-sequence-number",
        "x-opt-enqueued-time",
        "x-opt-locked-until",
        "x-opt-message-state",
        "x-opt-deadletter-source",
    }
)
_NO_HEADER = b"\x40\x40\x40"
_TTL = 2  # its index in the header
_GROUP_ID = 10  # its index in the properties section
_SMALL_ULONG = b"\x00\x53"


def walk(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yields the sections of an encoded message as (descriptor, start, position of the value).

    Raises:
        DECODING_ERRORS: the bytes are not an AMQP message.
    """
    position = 0
    while position < len(data):
        start = position
        if data[position : position + 2] == _SMALL_ULONG:
            descriptor, position = data[position + 2], position + 3
        elif data[position] == 0:
            descriptor, position = read(data, position + 1)
        else:
            raise MalformedMessageError("A message section has no descriptor.")
        yield descriptor, start, position
        position = skip(data, position)


def parse(data: bytes) -> Submission:
    """Parses an encoded message; everything from its properties section on is kept byte for byte.

    Raises:
        MalformedMessageError: the bytes are not an AMQP message.
    """
    header, ttl_ms = _NO_HEADER, None
    annotations, annotation_count, scheduled_for_ms = b"", 0, None
    message_id, session_id, bare_start = None, None, len(data)
    try:
        for descriptor, start, position in walk(data):
            if descriptor == HEADER:
                header, ttl_ms = _header(data, position)
            elif descriptor == MESSAGE_ANNOTATIONS:
                annotations, annotation_count, scheduled_for_ms = _annotations(data, position)
            elif descriptor != DELIVERY_ANNOTATIONS:
                bare_start = min(bare_start, start)
                if descriptor == PROPERTIES:
                    message_id, session_id = _ids(data, position)
    except DECODING_ERRORS as exc:
        raise MalformedMessageError("The message is not encoded as AMQP 1.0.") from exc
    content = Content(header, annotations, annotation_count, data[bare_start:])
    return Submission(content, message_id, ttl_ms, scheduled_for_ms, session_id)


def parse_batch(data: bytes) -> list[Submission]:
    """Parses a batch: every Data section of the outer message contains one encoded message.

    Raises:
        MalformedMessageError: the batch or one of its messages is not an AMQP message.
    """
    try:
        inner = [read(data, position)[0] for descriptor, _, position in walk(data) if descriptor == DATA]
    except DECODING_ERRORS as exc:
        raise MalformedMessageError("The batch is not encoded as AMQP 1.0.") from exc
    return [parse(message) for message in inner]


def items(data: bytes, position: int) -> tuple[int, int]:
    """The number of items of the list or map at `position`, and the position of the first.

    Raises:
        DECODING_ERRORS: the value is neither a list nor a map.
    """
    code = data[position]
    if code == 0x45:  # noqa: PLR2004 - the constructor of an empty list
        return 0, position + 1
    if code in {0xC0, 0xC1}:
        return data[position + 2], position + 3
    if code in {0xD0, 0xD1}:
        return int.from_bytes(data[position + 5 : position + 9], "big"), position + 9
    raise MalformedMessageError("A message section is neither a list nor a map.")


def raw_pairs(data: bytes, position: int) -> Iterator[tuple[Any, bytes]]:
    """Yields the pairs of the map at `position`: the key, and the encoding of key and value.

    Raises:
        DECODING_ERRORS: the bytes are not an AMQP map.
    """
    count, position = items(data, position)
    for _ in range(count // 2):
        key, value_position = read(data, position)
        end = skip(data, value_position)
        yield key, data[position:end]
        position = end


def _header(data: bytes, position: int) -> tuple[bytes, int | None]:
    """The encoded fields durable, priority and ttl, and the ttl in milliseconds."""
    count, start = items(data, position)
    fields, ttl_ms = [], None
    for index in range(min(count, len(_NO_HEADER))):
        end = skip(data, start)
        fields.append(data[start:end])
        if index == _TTL:
            ttl_ms = _milliseconds(data, start)
        start = end
    return b"".join(fields) + _NO_HEADER[len(fields) :], ttl_ms


def _annotations(data: bytes, position: int) -> tuple[bytes, int, int | None]:
    """The encoded pairs to keep, their number, and the scheduled time in milliseconds since the epoch."""
    kept, scheduled_for_ms = [], None
    for key, raw in raw_pairs(data, position):
        if key == SCHEDULED_FOR:
            scheduled_for_ms = _milliseconds(raw, skip(raw, 0))
        if key not in BROKER_ANNOTATIONS:
            kept.append(raw)
    return b"".join(kept), len(kept), scheduled_for_ms


def _milliseconds(data: bytes, position: int) -> int | None:
    value, _ = read(data, position)
    if value is None or type(value) is int:
        return value
    raise MalformedMessageError("A time in the message is not a number.")


def _ids(data: bytes, position: int) -> tuple[Hashable | None, str | None]:
    """The message id, and the group id, which is the session id."""
    count, start = items(data, position)
    if not count:
        return None, None
    message_id, position = read(data, start)
    if not isinstance(message_id, str | bytes | int | UUID):
        message_id = None
    if count <= _GROUP_ID:
        return message_id, None
    for _ in range(_GROUP_ID - 1):
        position = skip(data, position)
    session_id, _ = read(data, position)
    return message_id, session_id if isinstance(session_id, str) else None
