"""Servers that answer as no storage service should."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from local.azurite import ACCOUNT, KEY

HEAD = (
    b"HTTP/1.1 206 Partial Content\r\nContent-Length: 100000\r\n"
    b'Content-Range: bytes 0-99999/100000\r\nETag: "0x1"\r\n\r\n'
)


@contextmanager
def slow_server(head: bytes = b"", seconds: float = 0.02) -> Iterator[str]:
    """Sends a head and then a byte at a time, or nothing at all; yields the connection string of its account."""
    ended = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65_536)
            connection.sendall(head)
            while not ended.wait(seconds):
                if head:
                    connection.sendall(b"x")

    def accept() -> None:
        with suppress(OSError):
            while True:
                thread = threading.Thread(target=answer, args=(listener.accept()[0],))
                threads.append(thread)
                thread.start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads = [threading.Thread(target=accept)]
        threads[0].start()
        try:
            yield connection_string(f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def connection_string(url: str, key: str = KEY) -> str:
    """That of the account at a URL."""
    scheme = url.partition(":")[0]
    return f"DefaultEndpointsProtocol={scheme};AccountName={ACCOUNT};AccountKey={key};BlobEndpoint={url}/{ACCOUNT}"
