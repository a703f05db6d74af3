"""A client of Service Bus whose sockets can be ended from another thread."""

import socket
import ssl
from contextlib import suppress
from functools import cache
from typing import Any

import certifi
from azure.servicebus import ServiceBusClient, ServiceBusSender
from azure.servicebus.exceptions import ServiceBusError
from typing_extensions import override

from repositories.broker_calls import Connection

FAILURES = (ServiceBusError, ValueError, OSError)
"""The errors of the SDK. It also raises ValueError for a closed client, and sometimes OSError for a broken socket."""

_LONGEST_READ_SECONDS = 10.0
"""Of a TLS socket: half of the deadline of a send, so that a slow handshake may still end in time."""


class BrokerClient(Connection):
    """A client of the SDK and its senders, each with a connection of its own; for one thread at a time.

    Args:
        sender_options: further options of the senders.
    """

    def __init__(self, client: ServiceBusClient, **sender_options: Any) -> None:
        self._client = client
        self._sender_options = sender_options
        self._senders: dict[str, ServiceBusSender] = {}

    def sender(self, queue: str) -> ServiceBusSender:
        """Returns the sender of a queue, which opens its connection when it is used first."""
        sender = self._senders.get(queue)
        if sender is None:
            sender = self._senders[queue] = self._client.get_queue_sender(queue, **self._sender_options)
        return sender

    @override
    def cut(self) -> None:
        for sender in list(self._senders.values()):
            # The SDK has no public way: `close` waits for the lock that the hanging thread holds.
            transport = getattr(getattr(getattr(sender, "_handler", None), "_connection", None), "_transport", None)
            sock = getattr(transport, "sock", None)
            if isinstance(sock, socket.socket):
                # Not `SSLSocket.shutdown`, which drops the state of TLS under the thread that uses it. The descriptor
                # stays open, so that it cannot become that of another connection.
                with suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

    @override
    def close(self) -> None:
        with suppress(*FAILURES):
            self._client.close()


class _ImpatientSocket(ssl.SSLSocket):
    """A TLS socket that never waits without limit: the SDK does so for the TLS handshake and for that of SASL."""

    @override
    def settimeout(self, value: float | None) -> None:
        super().settimeout(_LONGEST_READ_SECONDS if value is None else value)


@cache
def tls_context() -> ssl.SSLContext:
    """Returns the TLS context of the SDK, but for the limit of each read; one serves all clients of a process."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certifi.where())
    context.sslsocket_class = _ImpatientSocket
    return context
