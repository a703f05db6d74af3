"""Decodes AMQP 1.0 types (OASIS AMQP 1.0, part 1, section 1.6)."""

from collections.abc import Callable
from contextlib import suppress
from struct import error as struct_error
from struct import unpack_from
from typing import Any, NamedTuple
from uuid import UUID

from local.service_bus.broker.errors import MalformedMessageError


class Symbol(str):
    """A string of the AMQP type symbol."""

    __slots__ = ()


class Described(NamedTuple):
    """An AMQP value with a descriptor."""

    descriptor: Any
    value: Any


# Raised for bytes that are not valid AMQP; the functions that parse whole messages convert them to their own error.
DECODING_ERRORS = (IndexError, struct_error, UnicodeDecodeError, RecursionError, MalformedMessageError)

_DESCRIBED = 0x00
_EMPTY: dict[int, Callable[[], Any]] = {
    0x40: lambda: None,
    0x41: lambda: True,
    0x42: lambda: False,
    0x43: int,
    0x44: int,
    0x45: list,
}
_FIXED = {
    0x50: ">B",
    0x51: ">b",
    0x52: ">B",
    0x53: ">B",
    0x54: ">b",
    0x55: ">b",
    0x56: ">?",
    0x60: ">H",
    0x61: ">h",
    0x70: ">I",
    0x71: ">i",
    0x72: ">f",
    0x73: ">I",
    0x74: ">4s",
    0x80: ">Q",
    0x81: ">q",
    0x82: ">d",
    0x83: ">q",
    0x84: ">8s",
    0x94: ">16s",
    0x98: ">16s",
}
_UUID = 0x98
_VARIABLE: dict[int, Callable[[bytes], Any]] = {
    0xA0: bytes,
    0xB0: bytes,
    0xA1: lambda raw: str(raw, "utf-8"),
    0xB1: lambda raw: str(raw, "utf-8"),
    0xA3: lambda raw: Symbol(str(raw, "ascii")),
    0xB3: lambda raw: Symbol(str(raw, "ascii")),
}
_LISTS = {0xC0, 0xD0}
_MAPS = {0xC1, 0xD1}
_ARRAYS = {0xE0, 0xF0}
# The high nibble of a constructor gives the width of a fixed value, or the width of the size field of a variable one.
_FIXED_WIDTHS = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}
_SIZE_FORMATS = {0xA: ">B", 0xB: ">I", 0xC: ">B", 0xD: ">I", 0xE: ">B", 0xF: ">I"}
_SIZE_WIDTHS = {">B": 1, ">I": 4}


def skip(data: bytes, position: int) -> int:
    """The position after the value that starts at `position`.

    Raises:
        MalformedMessageError: the constructor is unknown, or the value ends beyond the data.
        IndexError, struct.error: the data ends within the constructor or the size.
    """
    while data[position] == _DESCRIBED:
        position = skip(data, position + 1)
    family = data[position] >> 4
    width = _FIXED_WIDTHS.get(family)
    if width is None:
        size_format = _size_format(family)
        width = _SIZE_WIDTHS[size_format] + int(unpack_from(size_format, data, position + 1)[0])
    end = position + 1 + width
    if end > len(data):
        raise MalformedMessageError("An AMQP value is cut off.")
    return end


def read(data: bytes, position: int = 0) -> tuple[Any, int]:
    """The value that starts at `position`, and the position after it.

    Integers of all widths, and timestamps, become int; arrays become lists; decimals stay bytes.

    Raises:
        DECODING_ERRORS: the bytes are not an AMQP value.
    """
    code = data[position]
    if code == _DESCRIBED:
        descriptor, position = read(data, position + 1)
        value, position = read(data, position)
        return Described(descriptor, value), position
    return _read_as(code, data, position + 1)


def _read_as(code: int, data: bytes, position: int) -> tuple[Any, int]:
    if code in _FIXED:
        (value,) = unpack_from(_FIXED[code], data, position)
        position += _FIXED_WIDTHS[code >> 4]
        return (UUID(bytes=value) if code == _UUID else value), position
    if code in _EMPTY:
        return _EMPTY[code](), position
    size_format = _size_format(code >> 4)
    (size,) = unpack_from(size_format, data, position)
    position += _SIZE_WIDTHS[size_format]
    end = position + size
    if end > len(data):
        raise MalformedMessageError("An AMQP value is cut off.")
    if code in _VARIABLE:
        return _VARIABLE[code](data[position:end]), end
    return _read_compound(code, data[:end], position, size_format), end


def _read_compound(code: int, data: bytes, position: int, size_format: str) -> Any:
    (count,) = unpack_from(size_format, data, position)
    position += _SIZE_WIDTHS[size_format]
    if count > len(data):
        raise MalformedMessageError("An AMQP value declares more items than it has bytes.")
    if code in _ARRAYS:
        item_code = data[position]
        position += 1
    elif code not in _LISTS | _MAPS:
        raise MalformedMessageError(f"0x{code:02x} is not an AMQP constructor.")
    items = []
    for _ in range(count):
        item, position = _read_as(item_code, data, position) if code in _ARRAYS else read(data, position)
        items.append(item)
    return _pairs(items) if code in _MAPS else items


def _pairs(items: list[Any]) -> dict[Any, Any]:
    with suppress(TypeError, ValueError):  # a key that is a list; a key without a value
        return dict(zip(items[::2], items[1::2], strict=True))
    raise MalformedMessageError("An AMQP map has an invalid key, or a key without a value.")


def _size_format(family: int) -> str:
    size_format = _SIZE_FORMATS.get(family)
    if size_format is None:
        raise MalformedMessageError(f"0x{family:x}0 is not an AMQP constructor.")
    return size_format
