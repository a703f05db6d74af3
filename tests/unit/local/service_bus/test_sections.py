from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proton import Message as ProtonMessage

from local.service_bus.amqp import encode
from local.service_bus.amqp.envelope import envelope
from local.service_bus.amqp.sections import DATA, parse, parse_batch
from local.service_bus.broker.errors import MalformedMessageError
from local.service_bus.broker.messages import DeadLetter, Message

HEADER = encode.described(0x70, encode.list_of([encode.TRUE, encode.ubyte(7), encode.uint(5_000)]))
PROPERTIES = encode.described(0x73, encode.list_of([encode.string("id-1")]))
APPLICATION = encode.described(0x74, encode.map_of([(encode.string("kept"), encode.int32(1))]))
BODY = encode.described(DATA, encode.binary(b"\x00\x53\x75"))
TOKEN = UUID("00112233-4455-6677-8899-aabbccddeeff")


def annotations(*pairs: tuple[str, bytes]) -> bytes:
    return encode.described(0x72, encode.map_of([(encode.symbol(key), value) for key, value in pairs]))


def stored(data: bytes, dead_letter: DeadLetter | None = None) -> Message:
    message = Message(3, 2, parse(data).content, 1_000, None, delivery_count=4, dead_letter=dead_letter)
    message.lock_token, message.locked_until_ms = TOKEN.bytes_le, 2_000
    return message


def decoded(data: bytes) -> ProtonMessage:
    message = ProtonMessage()
    message.decode(data)
    return message


def test_a_message_is_taken_apart_and_its_bare_part_kept_byte_for_byte() -> None:
    partition = annotations(("x-opt-partition-key", encode.string("p")))
    submission = parse(HEADER + partition + PROPERTIES + APPLICATION + BODY)
    assert submission.ttl_ms == 5_000
    assert submission.message_id == "id-1"
    assert submission.scheduled_for_ms is None
    assert submission.content.bare == PROPERTIES + APPLICATION + BODY
    assert submission.content.annotation_count == 1


def test_annotations_of_the_broker_are_not_taken_from_clients() -> None:
    owned = ("x-opt-sequence-number", encode.timestamp(1))
    submission = parse(annotations(owned, ("x-opt-scheduled-enqueue-time", encode.timestamp(9))) + BODY)
    assert submission.scheduled_for_ms == 9
    assert submission.content.annotation_count == 1


def test_a_batch_is_its_data_sections() -> None:
    messages = [PROPERTIES + BODY, BODY]
    outer = PROPERTIES + b"".join(encode.described(DATA, encode.binary(message)) for message in messages)
    assert [submission.content.bare for submission in parse_batch(outer)] == messages


def test_a_batch_with_one_malformed_message_is_malformed() -> None:
    outer = b"".join(encode.described(DATA, encode.binary(message)) for message in [BODY, b"garbage"])
    with pytest.raises(MalformedMessageError):
        parse_batch(outer)


@given(st.binary(max_size=80))
def test_any_bytes_are_messages_or_malformed(data: bytes) -> None:
    for take_apart in (parse, parse_batch):
        try:
            take_apart(data)
        except MalformedMessageError:
            continue


def test_the_envelope_tells_what_the_broker_knows() -> None:
    message = decoded(envelope(stored(HEADER + PROPERTIES + APPLICATION + BODY), locked=True))
    assert (message.durable, message.priority, message.ttl, message.delivery_count) == (True, 7, 5.0, 4)
    assert message.id == "id-1"
    assert isinstance(message.body, bytes | memoryview)
    assert bytes(message.body) == b"\x00\x53\x75"
    assert message.instructions == {"x-opt-lock-token": TOKEN}
    assert message.annotations == {
        "x-opt-sequence-number": 3,
        "x-opt-enqueue-sequence-number": 2,
        "x-opt-enqueued-time": 1_000,
        "x-opt-message-state": 0,
        "x-opt-locked-until": 2_000,
    }


def test_without_a_lock_the_envelope_tells_of_none() -> None:
    via = annotations(("x-opt-via-partition-key", encode.string("v")))
    message = decoded(envelope(stored(via + BODY), locked=False))
    assert message.instructions is None
    assert message.annotations
    assert "x-opt-locked-until" not in message.annotations
    assert message.annotations["x-opt-via-partition-key"] == "v"


@pytest.mark.parametrize("before", [b"", PROPERTIES, APPLICATION, PROPERTIES + APPLICATION])
@pytest.mark.parametrize("body", [b"", BODY])
def test_a_dead_letter_tells_why_among_its_application_properties(before: bytes, body: bytes) -> None:
    message = decoded(envelope(stored(before + body, DeadLetter("r", "d")), locked=True))
    kept = {"kept": 1} if APPLICATION in before else {}
    assert message.properties == {"DeadLetterReason": "r", "DeadLetterErrorDescription": "d", **kept}
    assert message.id == ("id-1" if PROPERTIES in before else None)
    assert (message.body is not None) == bool(body)


def test_a_new_reason_replaces_the_old_one() -> None:
    old = encode.described(0x74, encode.map_of([(encode.string("DeadLetterReason"), encode.string("old"))]))
    message = decoded(envelope(stored(old + BODY, DeadLetter("new", None)), locked=True))
    assert message.properties == {"DeadLetterReason": "new"}
