"""Filters a client's frames before the AMQP engine sees them, to work around limits of the engine."""

from collections import deque
from struct import pack, unpack_from
from typing import Any

from local.service_bus.amqp.decode import DECODING_ERRORS, read, skip
from local.service_bus.amqp.errors import ProtocolError
from local.service_bus.amqp.sections import items

MAX_FRAME_BYTES = 65_536
_HEADER_BYTES = 8
_BEGIN, _ATTACH, _TRANSFER, _DETACH, _END, _CLOSE = 0x11, 0x12, 0x14, 0x16, 0x17, 0x18
_ID_LIMIT = 2**32  # serial numbers wrap (RFC 1982)


class IncomingLink:
    """What the filter records about one link on which the client sends.

    Attributes:
        formats: the message-format of each delivery that the link has not processed yet, oldest first.
        delivery_id: the id of the delivery whose frames are arriving, None between deliveries.
    """

    def __init__(self) -> None:
        self.formats: deque[int] = deque()
        self.delivery_id: int | None = None


class _Channel:
    def __init__(self) -> None:
        self.links: dict[int, IncomingLink] = {}
        self.next_delivery_id: int | None = None


class FrameFilter:
    """Splits a byte stream into frames and passes them on, with three corrections.

    - The engine does not expose the message-format of a transfer. The filter records it per link.
    - The engine requires sequential delivery ids, but a client that several threads use repeats them. The filter
      renumbers the deliveries.
    - The engine fails the connection for a frame on an ended session, which the Python client sends. The filter drops
      such frames.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._header_passed = False
        self._channels: dict[int, _Channel] = {}
        self._ended: set[int] = set()
        self._attached: dict[str, deque[IncomingLink]] = {}

    def feed(self, data: bytes) -> bytes:
        """Accepts bytes of the client, starting with the AMQP header; returns whole frames for the engine.

        Raises:
            ProtocolError: the bytes are not AMQP frames.
        """
        data = self._buffer + data if self._buffer else data
        passed: list[bytes] = []
        position = 0
        if not self._header_passed and len(data) >= _HEADER_BYTES:
            self._header_passed = True
            position = _HEADER_BYTES
            passed.append(data[:position])
        while self._header_passed and position + _HEADER_BYTES <= len(data):
            size, offset, _, channel = unpack_from(">IBBH", data, position)
            if not _HEADER_BYTES <= 4 * offset <= size <= MAX_FRAME_BYTES:
                raise ProtocolError("A frame declares an invalid size.")
            if position + size > len(data):
                break
            passed.append(self._pass(data[position : position + size], 4 * offset, channel))
            position += size
        self._buffer = data[position:]
        return b"".join(passed)

    def take_link(self, name: str) -> IncomingLink:
        """Removes and returns the record of the link that was attached under this name.

        Raises:
            ProtocolError: no attach frame names such a link.
        """
        attached = self._attached.get(name)
        if not attached:
            raise ProtocolError("A link appears without an attach frame.")
        link = attached.popleft()
        if not attached:
            del self._attached[name]
        return link

    def _pass(self, frame: bytes, body: int, channel: int) -> bytes:
        """The frame for the engine, possibly changed; empty to drop it."""
        if body == len(frame):
            return frame
        try:
            code, fields = read(frame, body + 1)
            skip(frame, fields)  # the engine does not check that a performative ends within its frame
            if channel in self._ended and code not in {_BEGIN, _CLOSE}:
                return b""
            if code == _TRANSFER:
                return self._transfer(frame, body, fields, channel)
            self._note(code, frame, fields, channel)
        except (*DECODING_ERRORS, TypeError) as exc:
            raise ProtocolError("A frame is not encoded as AMQP 1.0.") from exc
        return frame

    def _note(self, code: int, frame: bytes, fields: int, channel: int) -> None:
        if code == _BEGIN:
            self._ended.discard(channel)
            self._channels[channel] = _Channel()
        elif code == _END:
            self._ended.add(channel)
            self._channels.pop(channel, None)
        elif code == _ATTACH:
            name, handle, client_receives = _fields(frame, fields, 3)
            if not client_receives and channel in self._channels:
                link = self._channels[channel].links[handle] = IncomingLink()
                self._attached.setdefault(name, deque()).append(link)
        elif code == _DETACH and channel in self._channels:
            self._channels[channel].links.pop(_fields(frame, fields, 1)[0], None)

    def _transfer(self, frame: bytes, body: int, fields: int, number: int) -> bytes:
        handle, delivery_id, _, message_format, _, more, *_, aborted = _fields(frame, fields, 10)
        channel = self._channels.get(number)
        link = channel.links.get(handle) if channel else None
        if channel is None or link is None:
            return frame
        if link.delivery_id is None:
            if channel.next_delivery_id is None:
                channel.next_delivery_id = delivery_id or 0
            link.delivery_id = channel.next_delivery_id
            channel.next_delivery_id = (link.delivery_id + 1) % _ID_LIMIT
            link.formats.append(message_format or 0)
        expected = link.delivery_id
        if aborted or not more:
            link.delivery_id = None
        return frame if delivery_id in {None, expected} else _renumbered(frame, body, fields, expected)


def _fields(frame: bytes, position: int, wanted: int) -> list[Any]:
    """The first `wanted` fields of the performative at `position`; omitted fields are None."""
    count, start = items(frame, position)
    values: list[Any] = []
    for _ in range(min(count, wanted)):
        value, start = read(frame, start)
        values.append(value)
    return values + [None] * (wanted - len(values))


def _renumbered(frame: bytes, body: int, fields: int, delivery_id: int) -> bytes:
    """The transfer frame with another delivery id."""
    count, start = items(frame, fields)
    id_start = skip(frame, start)
    id_end = skip(frame, id_start)
    performative_end = skip(frame, fields)
    content = frame[start:id_start] + pack(">BI", 0x70, delivery_id) + frame[id_end:performative_end]
    performative = frame[body:fields] + pack(">BII", 0xD0, len(content) + 4, count) + content
    rest = performative + frame[performative_end:]
    return pack(">I", body + len(rest)) + frame[4:body] + rest
