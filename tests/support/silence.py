"""A server on loopback that accepts connections and does not answer, or that passes bytes on until it falls silent."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_HOST = "127.0.0.1"
_CHUNK_BYTES = 65_536


class Relay:
    """Accepts connections and reads from them. While it is not silent, it passes the bytes to and from another port.

    Args:
        target_port: the port of the server behind it; None for a server that never answers.

    Attributes:
        port: where it listens.
        accepted: how many connections it has accepted.
    """

    def __init__(self, target_port: int | None = None) -> None:
        self._target_port = target_port
        self._silent = target_port is None
        self._silent_up_to = 0
        self._listener = socket.create_server((_HOST, 0), backlog=256)
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.accepted = 0
        self._start(self._accept)

    @property
    def connection_string(self) -> str:
        """Of a broker without TLS."""
        return (
            f"Endpoint=sb://{_HOST}:{self.port};SharedAccessKeyName=any;SharedAccessKey=any;UseDevelopmentEmulator=true"
        )

    def silence(self) -> None:
        """Answers no more, on open and on new connections."""
        self._silent = True

    def silence_open_connections(self) -> None:
        """Answers no more on the connections that are open now."""
        self._silent_up_to = self.accepted

    def answer_again(self) -> None:
        """Passes on what is read from now; what was read meanwhile is lost."""
        self._silent = False

    def open_connections(self) -> int:
        """How many connections the clients have not closed."""
        with self._lock:
            return sum(thread.is_alive() for thread in self._threads if thread.name == "client")

    def close(self) -> None:
        """Closes the connections, and waits for their threads."""
        with self._lock:
            _shut(self._listener)
            for each in self._sockets:
                _shut(each)
            threads = list(self._threads)
        for thread in threads:
            thread.join(120)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                self._listener.close()
                return
            self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        server = None if self._target_port is None else socket.create_connection((_HOST, self._target_port))
        with self._lock:
            self.accepted += 1
            number = self.accepted
            self._sockets += [client, *([server] if server else [])]
        self._start(self._pump, "client", number, client, server)
        if server:
            self._start(self._pump, "server", number, server, client)

    def _pump(self, number: int, source: socket.socket, sink: socket.socket | None) -> None:
        try:
            while data := source.recv(_CHUNK_BYTES):
                if sink and not self._silent and number > self._silent_up_to:
                    sink.sendall(data)
        except OSError:
            pass
        finally:
            if sink:
                _shut(sink)
            source.close()

    def _start(self, target: object, name: str = "accept", *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name=name, daemon=True)  # type: ignore[arg-type] # callables
        with self._lock:
            self._threads.append(thread)
        thread.start()


def _shut(each: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        each.shutdown(socket.SHUT_RDWR)
