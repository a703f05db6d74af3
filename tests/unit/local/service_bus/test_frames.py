import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.service_bus.amqp import encode
from local.service_bus.amqp.errors import ProtocolError
from local.service_bus.amqp.frames import FrameFilter
from local.service_bus.amqp.sasl import AMQP_HEADER, Handshake

SASL_HEADER = b"AMQP\x03\x01\x00\x00"
BATCH = 0x80013700


def frame(code: int, *fields: bytes, channel: int = 0, payload: bytes = b"") -> bytes:
    body = encode.described(code, encode.list_of(fields)) + payload
    return struct.pack(">IBBH", 8 + len(body), 2, 0, channel) + body


def begin(channel: int = 0) -> bytes:
    return frame(0x11, encode.NULL, channel=channel)


def attach(name: str, handle: int, *, client_receives: bool = False) -> bytes:
    return frame(0x12, encode.string(name), encode.uint(handle), encode.TRUE if client_receives else encode.FALSE)


def transfer(
    handle: int, delivery_id: int | None, message_format: int = 0, *, more: bool = False, aborted: bool = False
) -> bytes:
    number = encode.NULL if delivery_id is None else encode.uint(delivery_id)
    flags = [encode.TRUE if more else encode.FALSE, *[encode.NULL] * 3, encode.TRUE if aborted else encode.FALSE]
    fields = [encode.uint(handle), number, encode.binary(b"t"), encode.uint(message_format), encode.FALSE, *flags]
    return frame(0x14, *fields, payload=b"payload")


def started() -> FrameFilter:
    filtered = FrameFilter()
    assert filtered.feed(AMQP_HEADER) == AMQP_HEADER
    return filtered


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_frames_are_passed_on_whole_however_the_bytes_arrive(sizes: list[int]) -> None:
    stream = AMQP_HEADER + begin() + attach("a", 0) + transfer(0, 7) + transfer(0, 8) + frame(0x18)
    filtered, out, rest = FrameFilter(), b"", stream
    for size in sizes:
        out += filtered.feed(rest[:size])
        rest = rest[size:]
    assert out + filtered.feed(rest) == stream


def test_the_format_of_each_delivery_is_noted_for_its_link() -> None:
    filtered = started()
    filtered.feed(begin() + attach("a", 0) + attach("b", 1) + attach("c", 2, client_receives=True))
    a, b = filtered.take_link("a"), filtered.take_link("b")
    filtered.feed(transfer(0, 1, BATCH) + transfer(1, 2, 0) + transfer(0, 3, 0))
    assert list(a.formats) == [BATCH, 0]
    assert list(b.formats) == [0]
    with pytest.raises(ProtocolError):
        filtered.take_link("c")


def test_a_delivery_in_several_frames_has_one_format() -> None:
    filtered = started()
    filtered.feed(begin() + attach("a", 0))
    link = filtered.take_link("a")
    filtered.feed(transfer(0, 1, BATCH, more=True) + transfer(0, None, more=True) + transfer(0, None))
    filtered.feed(transfer(0, 2, 0, more=True) + transfer(0, None, aborted=True) + transfer(0, 3, BATCH))
    assert list(link.formats) == [BATCH, 0, BATCH]


def test_repeated_delivery_ids_are_renumbered_and_nothing_else_is_touched() -> None:
    filtered = started()
    filtered.feed(begin() + attach("a", 0))
    assert filtered.feed(transfer(0, 5) + transfer(0, 5) + transfer(0, 6) + transfer(0, 8)) == (
        transfer(0, 5) + transfer(0, 6) + transfer(0, 7) + transfer(0, 8)
    )


def test_delivery_ids_wrap() -> None:
    filtered = started()
    filtered.feed(begin() + attach("a", 0))
    stream = transfer(0, 2**32 - 1) + transfer(0, 0) + transfer(0, 1)
    assert filtered.feed(stream) == stream


def test_frames_on_an_ended_session_are_dropped_until_it_begins_again() -> None:
    filtered = started()
    detach = frame(0x16, encode.uint(0))
    end = frame(0x17)
    assert filtered.feed(begin() + end + detach + frame(0x18)) == begin() + end + frame(0x18)
    assert filtered.feed(begin() + detach) == begin() + detach


def test_heartbeats_pass() -> None:
    heartbeat = struct.pack(">IBBH", 8, 2, 0, 0)
    assert started().feed(heartbeat * 2) == heartbeat * 2


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">IBBH", 7, 2, 0, 0),
        struct.pack(">IBBH", 65_537, 2, 0, 0),
        struct.pack(">IBBH", 12, 1, 0, 0) + b"1234",
        struct.pack(">IBBH", 12, 4, 0, 0) + b"1234",
        struct.pack(">IBBH", 12, 2, 0, 0) + b"\x00\x53\x10\xa0",
    ],
)
def test_impossible_frames_are_an_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        started().feed(data)


@given(st.binary(max_size=100))
def test_any_bytes_pass_or_are_an_error(data: bytes) -> None:
    filtered = started()
    filtered.feed(begin() + attach("a", 0))
    try:
        filtered.feed(struct.pack(">IBBH", 8 + len(data), 2, 0, 0) + data)
    except ProtocolError:
        return


def sasl_init(mechanism: str) -> bytes:
    body = encode.described(0x41, encode.list_of([encode.symbol(mechanism)]))
    return struct.pack(">IBBH", 8 + len(body), 2, 1, 0) + body


@given(st.integers(0, 60))
def test_every_client_passes_the_handshake_however_its_bytes_arrive(cut: int) -> None:
    handshake = Handshake()
    stream = SASL_HEADER + sasl_init("MSSBCBS") + AMQP_HEADER
    one, _ = handshake.feed(stream[:cut]) if cut else (b"", b"")
    early = b"" if not handshake.done else stream[len(SASL_HEADER + sasl_init("MSSBCBS")) : cut]
    other, rest = (b"", stream[cut:]) if handshake.done else handshake.feed(stream[cut:])
    assert handshake.done
    assert (one + other).startswith(SASL_HEADER)
    assert early + rest == AMQP_HEADER


def test_sasl_may_be_left_out() -> None:
    handshake = Handshake()
    assert handshake.feed(AMQP_HEADER + b"x") == (b"", AMQP_HEADER + b"x")
    assert handshake.done


@pytest.mark.parametrize("answer", [b"\x00" * 8, b"\x00\x01\x00\x01\x02\x01\x00\x00"])
def test_a_broken_answer_to_the_mechanisms_is_an_error(answer: bytes) -> None:
    with pytest.raises(ProtocolError):
        Handshake().feed(SASL_HEADER + answer)


def test_another_protocol_is_an_error() -> None:
    with pytest.raises(ProtocolError):
        Handshake().feed(b"HTTP/1.1")
