"""Encodes AMQP 1.0 types; one function per type, so that the caller always chooses the type on the wire."""

from collections.abc import Sequence
from struct import pack
from uuid import UUID

_SHORT = 255  # the largest size that fits into one byte

NULL = b"\x40"
TRUE = b"\x41"
FALSE = b"\x42"

# Constructors of array items.
LONG = b"\x81"
TIMESTAMP = b"\x83"


def ubyte(value: int) -> bytes:
    """An unsigned byte."""
    return pack(">BB", 0x50, value)


def uint(value: int) -> bytes:
    """An unsigned 32-bit integer, encoded in 4 bytes."""
    return pack(">BI", 0x70, value)


def int32(value: int) -> bytes:
    """A signed 32-bit integer."""
    return pack(">Bi", 0x71, value)


def long(value: int) -> bytes:
    """A signed 64-bit integer, encoded in 8 bytes."""
    return pack(">Bq", 0x81, value)


def timestamp(milliseconds: int) -> bytes:
    """Milliseconds since the epoch."""
    return pack(">Bq", 0x83, milliseconds)


def uuid(value: UUID) -> bytes:
    """A UUID in RFC 4122 byte order."""
    return b"\x98" + value.bytes


def binary(value: bytes) -> bytes:
    """A sequence of bytes."""
    return _variable(0xA0, value)


def string(value: str) -> bytes:
    """A Unicode string."""
    return _variable(0xA1, value.encode())


def symbol(value: str) -> bytes:
    """A name from a fixed vocabulary."""
    return _variable(0xA3, value.encode("ascii"))


def list_of(items: Sequence[bytes]) -> bytes:
    """A list of encoded values."""
    return _compound(0xD0, len(items), b"".join(items))


def map_of(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A map of encoded keys to encoded values."""
    return _compound(0xD1, 2 * len(pairs), b"".join(key + value for key, value in pairs))


def array_of(constructor: bytes, items: Sequence[bytes]) -> bytes:
    """An array of items that are encoded without their constructor."""
    return _compound(0xF0, len(items), constructor + b"".join(items))


def described(code: int, value: bytes) -> bytes:
    """An encoded value with a numeric descriptor of the AMQP standard."""
    return pack(">BBB", 0x00, 0x53, code) + value


def _variable(code: int, raw: bytes) -> bytes:
    if len(raw) <= _SHORT:
        return pack(">BB", code, len(raw)) + raw
    return pack(">BI", code | 0x10, len(raw)) + raw


def _compound(code: int, count: int, content: bytes) -> bytes:
    return pack(">BII", code, len(content) + 4, count) + content
