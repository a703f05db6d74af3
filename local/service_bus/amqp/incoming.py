"""Links on which the client sends."""

from collections.abc import Callable
from typing import Any

from cproton_ffi import ffi, lib

from local.service_bus.amqp.engine import set_condition
from local.service_bus.amqp.errors import ProtocolError
from local.service_bus.amqp.frames import IncomingLink
from local.service_bus.broker.errors import BrokerError, MessageTooLargeError

_CREDIT = 1000


class ClientSends:
    """A link on which the client sends.

    Args:
        link: the engine's link.
        record: what the frame filter recorded about the link.
        accept: called as `accept(data, message_format)` for each delivery; raises BrokerError to reject it.
        max_message_bytes: the size limit of a message or batch, which the attach announces to the client.
    """

    def __init__(
        self, link: Any, record: IncomingLink, accept: Callable[[bytes, int], None], max_message_bytes: int
    ) -> None:
        self._link = link
        self._record = record
        self._accept = accept
        self._max_message_bytes = max_message_bytes
        self._oversized = False

    def open(self) -> None:
        """Answers the attach and grants credit."""
        lib.pn_link_set_max_message_size(self._link, self._max_message_bytes)
        lib.pn_link_open(self._link)
        lib.pn_link_flow(self._link, _CREDIT)

    def on_delivery(self, delivery: Any) -> None:
        """Processes a delivery when it is complete, and settles it."""
        if not lib.pn_delivery_readable(delivery):
            return
        aborted = lib.pn_delivery_aborted(delivery)
        size = lib.pn_delivery_pending(delivery)
        data = b""
        if size > self._max_message_bytes:
            # Discard the bytes at once, so that an endless message does not fill the memory.
            self._oversized = True
        if self._oversized or not lib.pn_delivery_partial(delivery):
            data = self._receive(size)
        if lib.pn_delivery_partial(delivery) and not aborted:
            return
        lib.pn_link_advance(self._link)
        if not self._record.formats:
            raise ProtocolError("A delivery appears without a transfer frame.")
        message_format = self._record.formats.popleft()
        if not aborted:
            self._answer(delivery, data, message_format)
        lib.pn_delivery_settle(delivery)
        self._oversized = False
        if lib.pn_link_credit(self._link) <= _CREDIT // 2:
            lib.pn_link_flow(self._link, _CREDIT // 2)

    def on_flow(self) -> None:
        """Does nothing: the emulator grants the credit on this link."""

    def on_close(self) -> None:
        """Does nothing: the broker stores nothing about senders."""

    def _receive(self, size: int) -> bytes:
        data = bytearray(size)
        lib.pn_link_recv(self._link, ffi.from_buffer(data), size)
        return bytes(data)

    def _answer(self, delivery: Any, data: bytes, message_format: int) -> None:
        try:
            if self._oversized:
                raise MessageTooLargeError(f"The message exceeds the limit of {self._max_message_bytes} bytes.")
            self._accept(data, message_format)
        except BrokerError as error:
            set_condition(lib.pn_disposition_condition(lib.pn_delivery_local(delivery)), error)
            lib.pn_delivery_update(delivery, lib.PN_REJECTED)
        else:
            lib.pn_delivery_update(delivery, lib.PN_ACCEPTED)
