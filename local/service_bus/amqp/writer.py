"""Writes to a client, with the delay of an armed fault."""

import asyncio
from collections import deque
from collections.abc import Callable


class DelayedWriter:
    """Writes to a transport in order, each write delayed by `delay_ms()` milliseconds."""

    def __init__(self, transport: asyncio.Transport, delay_ms: Callable[[], int]) -> None:
        self._transport = transport
        self._delay_ms = delay_ms
        self._loop = asyncio.get_running_loop()
        # None means the end of the stream.
        self._held: deque[tuple[asyncio.TimerHandle, bytes | None]] = deque()

    def write(self, data: bytes) -> None:
        """Writes `data` after the delay."""
        if not self._delay_ms():
            self._transport.write(data)
        elif data:
            self._hold(data)

    def write_eof(self) -> None:
        """Ends the stream after all delayed writes."""
        if self._held:
            self._hold(None)
        else:
            self._transport.write_eof()

    def abort(self) -> None:
        """Closes the transport at once and drops delayed writes."""
        self.discard()
        self._transport.abort()

    def release(self) -> None:
        """Performs all delayed writes at once; must be called when the delay changes."""
        while self._held:
            self._held[0][0].cancel()
            self._write_next()

    def discard(self) -> None:
        """Drops delayed writes."""
        for timer, _ in self._held:
            timer.cancel()
        self._held.clear()

    def _hold(self, data: bytes | None) -> None:
        self._held.append((self._loop.call_later(self._delay_ms() / 1000, self._write_next), data))

    def _write_next(self) -> None:
        _, data = self._held.popleft()
        if data is None:
            self._transport.write_eof()
        else:
            self._transport.write(data)
