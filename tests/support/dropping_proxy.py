"""A way to an app on which connections are lost."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

_CHUNK_BYTES = 65_536


class DroppingProxy:
    """Passes connections on to an app; it closes the next `drops` of them after their first bytes, unanswered.

    Attributes:
        url: in place of the app's.
        drops: how many of the next connections are lost.
        connections: how many there were.
    """

    def __init__(self, app_url: str) -> None:
        parts = urlsplit(app_url)
        self._app = (str(parts.hostname), int(parts.port or 80))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.drops = self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Takes no more connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # ends the accept of the other thread
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                drops, self.drops = self.drops > 0, max(0, self.drops - 1)
                target = self._drop if drops else self._connect
                threading.Thread(target=target, args=(client,), daemon=True).start()

    def _drop(self, client: socket.socket) -> None:
        with client:
            client.recv(_CHUNK_BYTES)

    def _connect(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._app) as app:
            back = threading.Thread(target=_pass, args=(app, client), daemon=True)
            back.start()
            _pass(client, app)
            back.join()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(_CHUNK_BYTES):
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def dropping(app_url: str, drops: int) -> Iterator[DroppingProxy]:
    """A proxy whose first connections are lost."""
    proxy = DroppingProxy(app_url)
    proxy.drops = drops
    try:
        yield proxy
    finally:
        proxy.close()
