"""The SASL handshake at the start of a connection; the emulator accepts every client."""

from local.service_bus.amqp import encode
from local.service_bus.amqp.errors import ProtocolError

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
_SASL_HEADER = b"AMQP\x03\x01\x00\x00"
_HEADER_BYTES = 8
_SASL_FRAME = b"\x02\x01\x00\x00"  # data offset 2, type 1
_MAX_INIT_BYTES = 65_536
# The .NET client supports only MSSBCBS; the Python client uses ANONYMOUS.
_MECHANISMS = ("MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL")


def _frame(performative: bytes) -> bytes:
    return (len(performative) + _HEADER_BYTES).to_bytes(4, "big") + _SASL_FRAME + performative


def _offer() -> bytes:
    symbols = [len(name).to_bytes(1, "big") + name.encode() for name in _MECHANISMS]
    return _frame(encode.described(0x40, encode.list_of([encode.array_of(b"\xa3", symbols)])))


_OFFER = _SASL_HEADER + _offer()
_WELCOME = _frame(encode.described(0x44, encode.list_of([encode.ubyte(0)])))


class Handshake:
    """Answers a client until SASL is complete, or until the client starts with AMQP without SASL."""

    def __init__(self) -> None:
        self._received = b""
        self._offered = False
        self.done = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Accepts bytes of the client; returns the answer and, once `done`, the bytes that follow SASL.

        Raises:
            ProtocolError: the client speaks neither SASL nor AMQP 1.0.
        """
        self._received += data
        answer = b""
        if not self._offered and len(self._received) >= _HEADER_BYTES:
            if self._received.startswith(AMQP_HEADER):
                return b"", self._finish(0)
            if not self._received.startswith(_SASL_HEADER):
                raise ProtocolError("The client speaks neither SASL nor AMQP 1.0.")
            self._received = self._received[_HEADER_BYTES:]
            self._offered = True
            answer = _OFFER
        if self._offered and len(self._received) >= _HEADER_BYTES:
            size = int.from_bytes(self._received[:4], "big")
            if not _HEADER_BYTES < size <= _MAX_INIT_BYTES or self._received[5] != 1:
                raise ProtocolError("The client's answer to the SASL mechanisms is not a SASL frame.")
            if len(self._received) >= size:
                return answer + _WELCOME, self._finish(size)
        return answer, b""

    def _finish(self, consumed: int) -> bytes:
        self.done = True
        rest, self._received = self._received[consumed:], b""
        return rest
