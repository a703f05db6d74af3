"""Encodes stored messages for their receivers."""

from struct import pack

from local.service_bus.amqp import encode
from local.service_bus.amqp.decode import skip
from local.service_bus.amqp.sections import APPLICATION_PROPERTIES, PROPERTIES, raw_pairs, walk
from local.service_bus.broker.messages import Message

_HEADER = b"\x00\x53\x70\xd0"
_NO_ACQUIRER_BUT_COUNT = b"\x40\x70"
_LOCK_TOKEN = b"\x00\x53\x71\xc1\x24\x02" + encode.symbol("x-opt-lock-token") + b"\x98"
_ANNOTATIONS = b"\x00\x53\x72\xd1"
_SEQUENCE_NUMBER = encode.symbol("x-opt-sequence-number") + b"\x81"
_ENQUEUE_SEQUENCE_NUMBER = encode.symbol("x-opt-enqueue-sequence-number") + b"\x81"
_ENQUEUED_TIME = encode.symbol("x-opt-enqueued-time") + b"\x83"
_STATE = encode.symbol("x-opt-message-state") + b"\x71"
_LOCKED_UNTIL = encode.symbol("x-opt-locked-until") + b"\x83"


def envelope(message: Message, *, locked: bool) -> bytes:
    """Encodes a message: the broker's header and annotations, then the sender's sections unchanged.

    With `locked`, the token and the end of the lock are included, for the receiver that holds it.
    """
    content = message.content
    header = content.header
    annotations = (
        _SEQUENCE_NUMBER
        + pack(">q", message.sequence_number)
        + _ENQUEUE_SEQUENCE_NUMBER
        + pack(">q", message.enqueued_sequence_number)
        + _ENQUEUED_TIME
        + pack(">q", message.enqueued_at_ms)
        + _STATE
        + pack(">i", message.state)
        + content.annotations
    )
    count = 8 + 2 * content.annotation_count
    token = b""
    if locked and message.lock_token is not None:
        token = _LOCK_TOKEN + _rfc4122(message.lock_token)
        annotations += _LOCKED_UNTIL + pack(">q", message.locked_until_ms)
        count += 2
    return b"".join(
        (
            _HEADER,
            pack(">II", len(header) + 10, 5),
            header,
            _NO_ACQUIRER_BUT_COUNT,
            pack(">I", message.delivery_count),
            token,
            _ANNOTATIONS,
            pack(">II", len(annotations) + 4, count),
            annotations,
            content.bare if message.dead_letter is None else _with_reason(message),
        )
    )


def _rfc4122(token: bytes) -> bytes:
    """Converts a lock token from Microsoft's mixed byte order for GUIDs to RFC 4122, the order on the wire."""
    return token[3::-1] + token[5:3:-1] + token[7:5:-1] + token[8:]


def _with_reason(message: Message) -> bytes:
    """The sender's sections, with the dead-letter reason added to the application properties."""
    assert message.dead_letter is not None
    reason, description = message.dead_letter
    added = {"DeadLetterReason": reason, "DeadLetterErrorDescription": description}
    bare = message.content.bare
    pairs = [encode.string(key) + encode.string(text) for key, text in added.items() if text is not None]
    properties_end, rest = 0, len(bare)
    for descriptor, start, position in walk(bare):
        if descriptor == PROPERTIES:
            properties_end = skip(bare, position)
        elif descriptor == APPLICATION_PROPERTIES:
            pairs += [raw for key, raw in raw_pairs(bare, position) if key not in added]
        else:
            rest = start
            break
    content = b"".join(pairs)
    section = encode.described(
        APPLICATION_PROPERTIES, b"\xd1" + pack(">II", len(content) + 4, 2 * len(pairs)) + content
    )
    return bare[:properties_end] + section + bare[rest:]
