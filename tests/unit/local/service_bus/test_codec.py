from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.service_bus.amqp import encode
from local.service_bus.amqp.decode import DECODING_ERRORS, Described, Symbol, read, skip

ID = UUID("00112233-4455-6677-8899-aabbccddeeff")


@pytest.mark.parametrize(
    ("encoded", "value"),
    [
        (encode.NULL, None),
        (encode.TRUE, True),
        (encode.FALSE, False),
        (encode.ubyte(200), 200),
        (encode.uint(2**32 - 1), 2**32 - 1),
        (encode.int32(-5), -5),
        (encode.timestamp(-1), -1),
        (encode.uuid(ID), ID),
        (encode.binary(b"\x00" * 300), b"\x00" * 300),
        (encode.string("é"), "é"),
        (encode.string("x" * 300), "x" * 300),
        (encode.symbol("amqp:x"), Symbol("amqp:x")),
        (encode.list_of([encode.NULL, encode.int32(1)]), [None, 1]),
        (encode.map_of([(encode.string("a"), encode.TRUE)]), {"a": True}),
        (encode.array_of(encode.LONG, [b"\xff" * 8, b"\x00" * 8]), [-1, 0]),
        (encode.described(0x24, encode.list_of([])), Described(0x24, [])),
        (b"\x43", 0),
        (b"\x44", 0),
        (b"\x45", []),
        (b"\x54\xff", -1),
        (b"\x82\x3f\xe0\x00\x00\x00\x00\x00\x00", 0.5),
        (b"\xc0\x03\x02\x41\x40", [True, None]),
        (b"\xc1\x05\x02\xa1\x01a\x42", {"a": False}),
        (b"\xe0\x05\x02\xa3\x01a\x01b"[:1] + b"\x06\x02\xa3\x01a\x01b", ["a", "b"]),
    ],
)
def test_values_are_read_and_skipped(encoded: bytes, value: Any) -> None:
    read_value, end = read(b"\xff" + encoded + b"\xff", 1)
    assert read_value == value
    assert type(read_value) is type(value)
    assert end == skip(b"\xff" + encoded + b"\xff", 1) == len(encoded) + 1


@given(st.binary(max_size=60))
def test_reading_any_bytes_gives_a_value_or_a_known_error(data: bytes) -> None:
    try:
        _, end = read(data)
    except DECODING_ERRORS:
        return
    assert 0 < end <= len(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x70\x00",
        b"\xa1\x05abc",
        b"\xd0\x00\x00\x00\x05\xff\xff\xff\xff\x40",
        b"\xc1\x03\x01\xa1\x00",
        b"\xc1\x04\x02\x45\x40\x40",
        b"\x3f",
        b"\x00" * 100_000,
    ],
    ids=["empty", "short", "cut off", "too many", "odd map", "list as key", "unknown", "descriptors without end"],
)
def test_bytes_that_are_not_a_value_are_a_known_error(data: bytes) -> None:
    with pytest.raises(DECODING_ERRORS):
        read(data)
