"""TLS in front of a PostgreSQL without TLS, which the embedded one is."""

import select
import socket
import ssl
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_HOST = "127.0.0.1"
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_CHUNK_BYTES = 65_536


class TlsRelay:
    """Answers PostgreSQL's request for TLS, and passes what it decrypts to and from another port.

    Attributes:
        port: where it listens.
        encrypted: how many connections have agreed on TLS.
    """

    def __init__(self, target_port: int, context: ssl.SSLContext) -> None:
        self._target_port = target_port
        self._context = context
        self._listener = socket.create_server((_HOST, 0))
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self.port: int = self._listener.getsockname()[1]
        self.encrypted = 0

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for client in self._clients:
            with suppress(OSError):  # it is closed, or belongs to TLS now
                client.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(120)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._clients.append(client)
            self._threads.append(threading.Thread(target=self._serve, args=(client,), daemon=True))
            self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            if client.recv(len(_SSL_REQUEST), socket.MSG_WAITALL) != _SSL_REQUEST:
                return
            client.sendall(b"S")
            try:
                encrypted = self._context.wrap_socket(client, server_side=True)
            except OSError:
                return
            self.encrypted += 1
            with encrypted, socket.create_connection((_HOST, self._target_port)) as server, suppress(OSError):
                _pass_on(encrypted, server)


def _pass_on(encrypted: ssl.SSLSocket, server: socket.socket) -> None:
    """Passes bytes both ways in one thread: two must not use one TLS connection."""
    while True:
        ready = [encrypted] if encrypted.pending() else select.select([encrypted, server], [], [])[0]
        for source in ready:
            received = source.recv(_CHUNK_BYTES)
            if not received:
                return
            (server if source is encrypted else encrypted).sendall(received)
