"""Qpid Proton's AMQP engine without its I/O: bytes in, events and bytes out.

It calls the C functions directly; the wrapper objects of the Python binding cost more time than the protocol itself.
"""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import cproton  # noqa: F401 - its import initialises the C library
from cproton_ffi import ffi, lib

from local.service_bus.amqp import encode
from local.service_bus.amqp.conditions import condition_of
from local.service_bus.amqp.frames import MAX_FRAME_BYTES
from local.service_bus.broker.errors import BrokerError

_CHANNEL_MAX = 4999
# Proton announces half of this to the peer. The Python client sends a heartbeat every 30 s on an idle sender, so the
# announced timeout must be well above that.
_IDLE_TIMEOUT_MS = 240_000


class Engine:
    """The protocol state of one connection. Call `free` once, as the last call."""

    def __init__(self) -> None:
        self.connection = lib.pn_connection()
        self._transport = lib.pn_transport()
        self._collector = lib.pn_collector()
        lib.pn_transport_set_server(self._transport)
        lib.pn_transport_set_max_frame(self._transport, MAX_FRAME_BYTES)
        lib.pn_transport_set_channel_max(self._transport, _CHANNEL_MAX)
        lib.pn_transport_set_idle_timeout(self._transport, _IDLE_TIMEOUT_MS)
        lib.pn_connection_collect(self.connection, self._collector)
        lib.pn_transport_bind(self._transport, self.connection)

    def push(self, data: bytes) -> None:
        """Processes whole frames of the peer; bytes after the end of its stream are ignored."""
        view = memoryview(data)
        while view and lib.pn_transport_capacity(self._transport) > 0:
            taken = lib.pn_transport_push(self._transport, ffi.from_buffer(view), len(view))
            if taken <= 0:
                return
            view = view[taken:]

    def events(self) -> Iterator[tuple[int, Any]]:
        """Yields pending events as (type, event); an event is valid until the next iteration."""
        while (event := lib.pn_collector_peek(self._collector)) != ffi.NULL:
            yield lib.pn_event_type(event), event
            lib.pn_collector_pop(self._collector)

    def output(self) -> bytes | None:
        """Bytes for the peer; empty when there are none now, None when the connection has ended."""
        size = lib.pn_transport_pending(self._transport)
        if size < 0:
            return None
        if size == 0:
            return b""
        data = bytearray(size)
        lib.pn_transport_peek(self._transport, ffi.from_buffer(data), size)
        lib.pn_transport_pop(self._transport, size)
        return bytes(data)

    def tick(self, now_ms: int) -> int:
        """Handles heartbeats; returns the monotonic time of the next call in milliseconds, 0 for none."""
        return int(lib.pn_transport_tick(self._transport, now_ms))

    def error(self) -> str:
        """The reason why the transport failed; empty if it did not."""
        condition = lib.pn_transport_condition(self._transport)
        if not lib.pn_condition_is_set(condition):
            return ""
        return f"{text(lib.pn_condition_get_name(condition))}: {text(lib.pn_condition_get_description(condition))}"

    def free(self) -> None:
        """Frees all memory; pointers from this engine are invalid afterwards."""
        lib.pn_transport_unbind(self._transport)
        lib.pn_decref(self._transport)
        lib.pn_connection_release(self.connection)
        lib.pn_decref(self.connection)
        lib.pn_collector_free(self._collector)


def text(pointer: Any) -> str:
    """Converts a C string; a null pointer becomes an empty string."""
    return "" if pointer == ffi.NULL else bytes(ffi.string(pointer)).decode(errors="replace")


def data_bytes(data: Any) -> bytes:
    """The AMQP encoding of a pn_data_t; empty if it has no data."""
    size = lib.pn_data_encoded_size(data)
    if size <= 0:
        return b""
    buffer = bytearray(size)
    written = lib.pn_data_encode(data, ffi.from_buffer(buffer), size)
    return bytes(buffer[: max(written, 0)])


def set_condition(condition: Any, error: BrokerError) -> None:
    """Sets a local condition from a broker error.

    The info map is never empty: the Python client reads the third field of an error, and hangs if it is missing.
    """
    lib.pn_condition_set_name(condition, condition_of(error).encode())
    lib.pn_condition_set_description(condition, str(error).encode())
    info = encode.map_of([(encode.symbol("com.microsoft:tracking-id"), encode.string(str(uuid4())))])
    lib.pn_data_decode(lib.pn_condition_info(condition), ffi.from_buffer(info), len(info))
