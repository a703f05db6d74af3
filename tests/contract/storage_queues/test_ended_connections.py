"""A connection that the account ends under a request: the client keeps connections, and one may end at any time."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from core.errors import QueueTimeoutError
from core.messages import OutgoingMessage
from local.azurite import ACCOUNT, KEY
from local.ports import HOST
from repositories import storage_account
from repositories.ports import SendResult
from repositories.storage_queues import StorageQueueRepository
from tests.support.waiting import LONG_SECONDS

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_BODY = (
    b"<?xml version='1.0'?><QueueMessagesList><QueueMessage><MessageId>1</MessageId><PopReceipt>1</PopReceipt>"
    b"<InsertionTime>Fri, 09 Oct 2026 21:04:30 GMT</InsertionTime>"
    b"<ExpirationTime>Fri, 31 Dec 9999 23:59:59 GMT</ExpirationTime>"
    b"<TimeNextVisible>Fri, 09 Oct 2026 21:04:30 GMT</TimeNextVisible></QueueMessage></QueueMessagesList>"
)
_TAKEN = b"HTTP/1.1 201 Created\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)


@contextmanager
def account(resets: int | None) -> Iterator[tuple[str, list[bytes]]]:
    """An account that resets so many connections at their first request, and then takes messages; with None, silent.

    Yields its connection string and the requests.
    """
    requests: list[bytes] = []
    kept: list[socket.socket] = []

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):  # it is closed
            while True:
                connection, _ = listener.accept()
                kept.append(connection)
                requests.append(connection.recv(65_536))
                if resets is not None and len(requests) > resets:
                    connection.sendall(_TAKEN)
                elif resets is not None:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                    connection.close()

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            url = f"http://{HOST}:{listener.getsockname()[1]}/{ACCOUNT}"
            key = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};QueueEndpoint={url};"
            yield key, requests
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in kept:
                connection.close()


def send(connection_string: str) -> SendResult:
    client = storage_account.by_connection_string(connection_string)
    with closing(StorageQueueRepository(client, ["q"], LONG_SECONDS)) as repository:
        return repository.batch_send_messages("q", [OutgoingMessage(b"{}", "id")])


def test_a_message_whose_connection_is_reset_is_sent_again() -> None:
    with account(resets=1) as (connection_string, requests):
        assert send(connection_string).success
    assert len(requests) == 2


def test_a_message_is_not_sent_again_and_again() -> None:
    with account(resets=9) as (connection_string, requests):
        assert not send(connection_string).success
    assert len(requests) == 2


def test_a_message_that_is_not_answered_in_time_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_account, "_READ_SECONDS", 0.2)
    with account(resets=None) as (connection_string, requests):
        assert isinstance(send(connection_string).error, QueueTimeoutError)
    assert len(requests) == 1
