"""A proxy on loopback between the application and a server, through which one call is answered late, never, or refused.

It runs on a thread of the application's process. What it forwards is the real client's and the real server's.
"""

import asyncio
import math
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

_CHUNK_BYTES = 64 * 1024
_LOOPBACK = "127.0.0.1"
_LOOK_SECONDS = 0.01


class Answer(StrEnum):
    """How a call is answered."""

    LATE = "late"  # held for some time, shorter than the client's limit
    UNHEARD = "unheard"  # never: the request does not arrive, and nothing else passes on its connection
    UNANSWERED = "unanswered"  # never: the server does what was asked, and its answer is lost
    REFUSED = "refused"  # with an error, again and again


Begins = Callable[[bytes], bool]
"""Tells whether a request begins in these bytes."""
Replace = Callable[[bytes], bytes]
"""Returns the request that is sent instead."""


class Silence:
    """The silence of a server, on all of its connections.

    Args:
        seconds: how long it lasts at least.
        most_seconds: how long it lasts if those who listen do not come to an end without it.
        listeners: how many they are.

    Attributes:
        has_begun: set when it begins.
    """

    def __init__(self, seconds: float, most_seconds: float, listeners: int) -> None:
        self.has_begun = threading.Event()
        self._seconds = seconds
        self._most_seconds = most_seconds
        self._listeners = listeners
        self._began_at = -math.inf
        self._lock = threading.Lock()

    def begin(self) -> None:
        """From now on, nothing passes; new connections are accepted meanwhile."""
        self._began_at = time.monotonic()
        self.has_begun.set()

    def came_to_an_end(self) -> None:
        """One of those who listen has come to an end in the silence."""
        with self._lock:
            self._listeners -= 1

    async def end(self) -> None:
        """Waits until the server may be heard."""
        while self._lasts():  # noqa: ASYNC110 - other threads end it
            await asyncio.sleep(_LOOK_SECONDS)

    def _lasts(self) -> bool:
        most_seconds = self._most_seconds if self._listeners > 0 else self._seconds
        return time.monotonic() - self._began_at < most_seconds


class Proxy:
    """Forwards connections to a server.

    Args:
        port: of the server, on loopback.
        begins: tells which bytes are a request that can be struck.
        silence: of the server; begins when a request is never answered.
        late_seconds: how late an answer is.

    Attributes:
        port: its own.
        silence: of the server.
        late_seconds: how late an answer is.
    """

    def __init__(self, port: int, begins: Begins, silence: Silence, late_seconds: float) -> None:
        self.silence = silence
        self.late_seconds = late_seconds
        self._server_port = port
        self._begins = begins
        self._lock = threading.Lock()
        self._armed: tuple[Answer, int | None, Replace | None] | None = None
        listening = threading.Event()
        self.port = 0
        threading.Thread(target=lambda: asyncio.run(self._serve(listening)), name="proxy", daemon=True).start()
        listening.wait()

    def arm(self, answer: Answer, client_port: int | None = None, replace: Replace | None = None) -> None:
        """Answers the next request that way.

        Args:
            answer: how.
            client_port: of the connection that the request comes from; None for any.
            replace: makes the request that is refused.
        """
        with self._lock:
            self._armed = answer, client_port, replace

    def take(self, client_port: int, data: bytes) -> tuple[Answer, Replace | None] | None:
        """How a client's bytes are answered, if that is not as usual."""
        with self._lock:
            if self._armed is None or self._armed[1] not in (None, client_port) or not self._begins(data):
                return None
            answer, _, replace = self._armed
            self._armed = None
        return answer, replace

    async def _serve(self, listening: threading.Event) -> None:
        server = await asyncio.start_server(self._accept, _LOOPBACK, 0)
        self.port = server.sockets[0].getsockname()[1]
        listening.set()
        await server.serve_forever()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.silence.end()
        with suppress(OSError):
            upstream = await asyncio.open_connection(_LOOPBACK, self._server_port)
            for each in (writer, upstream[1]):
                each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await _Connection(self, (reader, writer), upstream).forward()


_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Connection:
    """A connection through the proxy. One that was struck is not closed towards the server: it hears of no end."""

    def __init__(self, proxy: Proxy, client: _Stream, server: _Stream) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._client_port: int = client[1].get_extra_info("peername")[1]
        self._struck: Answer | None = None
        self._held_until = 0.0

    async def forward(self) -> None:
        await asyncio.gather(self._requests(), self._answers())

    async def _requests(self) -> None:
        reader, writer = self._client[0], self._server[1]
        with suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                if self._struck is None:
                    await self._proxy.silence.end()
                data = self._strike(data)
                if self._struck != Answer.UNHEARD:
                    writer.write(data)
                    await writer.drain()
        if self._struck is None:
            writer.close()

    async def _answers(self) -> None:
        reader, writer = self._server[0], self._client[1]
        with suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                if self._struck is not None:
                    continue
                await self._proxy.silence.end()
                await asyncio.sleep(max(self._held_until - time.monotonic(), 0))
                writer.write(data)
                await writer.drain()
        if self._struck is None:
            writer.close()

    def _strike(self, data: bytes) -> bytes:
        """Returns the bytes to forward."""
        struck = self._proxy.take(self._client_port, data)
        if struck is None:
            return data
        answer, replace = struck
        if answer == Answer.LATE:
            self._held_until = time.monotonic() + self._proxy.late_seconds
        elif answer == Answer.REFUSED:
            assert replace is not None, "the proxy itself refuses nothing"
            return replace(data)
        else:
            self._struck = answer
            self._proxy.silence.begin()
        return data
