"""Links on which the client receives the messages of one session."""

import asyncio
from typing import Any

from cproton_ffi import ffi, lib

from local.service_bus.amqp import encode
from local.service_bus.amqp.decode import DECODING_ERRORS, read
from local.service_bus.amqp.engine import data_bytes
from local.service_bus.amqp.hosting import Host
from local.service_bus.amqp.outgoing import ClientReceives
from local.service_bus.broker.errors import NoSessionError, SessionLockLostError
from local.service_bus.broker.session_queue import SessionQueue

# How long Service Bus waits for a free session if the client sets no timeout.
_DEFAULT_TIMEOUT_MS = 65_000
# .NET measures time in ticks of 100 ns since the year 1.
_TICKS_PER_MS = 10_000
_EPOCH_TICKS = 621_355_968_000_000_000


class ClientReceivesSession(ClientReceives):
    """A link on which the client receives one session; the attach is answered when the session is locked for it.

    Args:
        host: the connection.
        link: the engine's link.
        queue: the queue that the client receives from.
        session_id: the requested session, None for the next free one.
    """

    def __init__(self, host: Host, link: Any, queue: SessionQueue, session_id: str | None) -> None:
        super().__init__(link, queue, host.is_writable, host.request_flush)
        self._host = host
        self._sessions = queue
        self._wanted = session_id
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Locks the requested session, or waits for any free one until the client's timeout.

        Raises:
            SessionLockedError: another receiver holds the requested session.
        """
        if self._wanted is not None:
            self._sessions.accept(self._wanted, self)
            return
        self._timer = asyncio.get_running_loop().call_later(self._timeout_ms() / 1000, self._give_up)
        self._sessions.accept_any(self)

    def on_session_granted(self, session_id: str, locked_until_ms: int) -> None:
        """Answers the attach with the session id and the end of its lock."""
        self._stop_timer()
        source_filter = encode.map_of([(encode.symbol("com.microsoft:session-filter"), encode.string(session_id))])
        _decode_into(lib.pn_terminus_filter(lib.pn_link_source(self._link)), source_filter)
        ticks = _EPOCH_TICKS + locked_until_ms * _TICKS_PER_MS
        properties = encode.map_of([(encode.symbol("com.microsoft:locked-until-utc"), encode.long(ticks))])
        _decode_into(lib.pn_link_properties(self._link), properties)
        lib.pn_link_open(self._link)
        self._host.request_flush()

    def on_session_lost(self) -> None:
        """Closes the link, because the client no longer holds the session."""
        self._host.detach(self._link, SessionLockLostError("The lock of the session has expired."))

    def on_close(self) -> None:
        """Releases the session, or stops waiting for one."""
        self._stop_timer()
        self._sessions.leave(self)

    def _give_up(self) -> None:
        self._sessions.leave(self)
        self._host.refuse(self._link, NoSessionError("No session with messages became free in time."))

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _timeout_ms(self) -> int:
        encoded = data_bytes(lib.pn_link_remote_properties(self._link))
        try:
            properties = read(encoded)[0] if encoded else None
        except DECODING_ERRORS:
            properties = None
        asked = properties.get("com.microsoft:timeout") if isinstance(properties, dict) else None
        return asked if isinstance(asked, int) else _DEFAULT_TIMEOUT_MS


def _decode_into(data: Any, encoded: bytes) -> None:
    lib.pn_data_clear(data)
    lib.pn_data_decode(data, ffi.from_buffer(encoded), len(encoded))
