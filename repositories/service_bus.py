"""Sends batches to Service Bus: each is one AMQP message, which the broker takes whole or not at all."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from azure.core.credentials import TokenCredential
from azure.servicebus import ServiceBusClient, ServiceBusMessageBatch, ServiceBusSender
from azure.servicebus.amqp import AmqpAnnotatedMessage
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    MessagingEntityNotFoundError,
    ServiceBusError,
)
from typing_extensions import override

from core.errors import MessageTooLargeError, QueueError, QueueNotFoundError, QueueUnavailableError
from core.messages import OutgoingMessage
from repositories.ports import MessageQueue, SendResult

logger = logging.getLogger(__name__)

_SCHEDULED_ENQUEUE_TIME = b"x-opt-scheduled-enqueue-time"
_CONTENT_TYPE = "application/json"
_SEND_TIMEOUT_SECONDS = 20.0
"""Far shorter than a lease or a message lock. Without it, the SDK waits for ever for a broker that does not answer."""
_BACKOFF_FACTOR = 0.2
"""With this factor the SDK tries four times, 0.4, 0.8 and 1.6 s apart: enough for a broken connection or one second of
throttling. With the default of 0.8, a submission waits 11 s for an unavailable broker before it is accepted anyway."""
_FAILURES = (ServiceBusError, ValueError, OSError)
"""The errors of the SDK. It also raises ValueError for a closed client, and sometimes OSError for a broken socket."""


class ServiceBusRepository(MessageQueue):
    """The broker behind the port `MessageQueue`.

    The SDK's clients are not thread-safe, so a thread borrows one for each send. It gets the client that was used last,
    so there are no more connections in use than threads that send at once. The SDK reopens a link that the service
    closed because it was idle; a client that failed is closed.

    Args:
        queues: the queues that `ping` checks.
    """

    def __init__(self, new_client: Callable[[], ServiceBusClient], queues: Sequence[str]) -> None:
        self._new_client = new_client
        self._queues = tuple(queues)
        self._lock = threading.Lock()
        self._idle: list[_Client] = []
        self._closed = False

    @override
    def batch_send_messages(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        if not messages:
            return SendResult(success=True, sent=0)
        try:
            with self._lend(queue) as sender:
                batch = sender.create_message_batch()
                _fill(batch, messages)
                sender.send_messages(batch, timeout=_SEND_TIMEOUT_SECONDS)
        except QueueError as exc:
            logger.warning("sending %d messages to %s failed: %s", len(messages), queue, exc)
            return SendResult(success=False, sent=0, error=exc)
        return SendResult(success=True, sent=len(messages))

    @override
    def ping(self) -> None:
        for queue in self._queues:
            with self._lend(queue) as sender:
                sender.create_message_batch()

    def close(self) -> None:
        """Closes the idle clients now, and the lent ones when they are returned."""
        with self._lock:
            self._closed = True
            idle = list(self._idle)
            self._idle.clear()
        if idle:
            # The SDK waits up to a second for each client's heartbeat thread.
            with ThreadPoolExecutor(len(idle)) as closers:
                list(closers.map(_Client.close, idle))

    @contextmanager
    def _lend(self, queue: str) -> Iterator[ServiceBusSender]:
        with self._lock:
            client = self._idle.pop() if self._idle else None
        client = client or _Client(self._new_client())
        try:
            yield client.sender(queue)
        except _FAILURES as exc:
            client.close()
            raise _translate(queue, exc) from exc
        except BaseException:
            client.close()
            raise
        self._take_back(client)

    def _take_back(self, client: "_Client") -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(client)
                return
        client.close()


class _Client:
    """A connection and the senders on it."""

    def __init__(self, client: ServiceBusClient) -> None:
        self._client = client
        self._senders: dict[str, ServiceBusSender] = {}

    def sender(self, queue: str) -> ServiceBusSender:
        sender = self._senders.get(queue)
        if sender is None:
            sender = self._senders[queue] = self._client.get_queue_sender(queue)
        return sender

    def close(self) -> None:
        with suppress(*_FAILURES):
            self._client.close()


def _fill(batch: ServiceBusMessageBatch, messages: Sequence[OutgoingMessage]) -> None:
    for message in messages:
        # The SDK's fastest public way; `python -m benchmarks dispatch` compares it with ServiceBusMessage.
        batch.add_message(
            AmqpAnnotatedMessage(
                data_body=[message.body],
                properties={"message_id": message.message_id, "content_type": _CONTENT_TYPE},
                annotations=_annotations(message.enqueue_at),
            )
        )


def _annotations(enqueue_at: datetime | None) -> dict[Any, Any] | None:
    return None if enqueue_at is None else {_SCHEDULED_ENQUEUE_TIME: enqueue_at}


def _translate(queue: str, exc: Exception) -> QueueError:
    match exc:
        case MessagingEntityNotFoundError():
            return QueueNotFoundError(f"Service Bus has no queue {queue!r}: {exc}")
        case MessageSizeExceededError():
            return MessageTooLargeError(f"the batch for {queue} is over the size limit of the tier: {exc}")
        case _:
            return QueueUnavailableError(f"Service Bus did not take the batch for {queue}: {exc}")


def by_connection_string(connection_string: str, queues: Sequence[str]) -> ServiceBusRepository:
    """Reaches a namespace with a connection string."""

    def new_client() -> ServiceBusClient:
        return ServiceBusClient.from_connection_string(connection_string, retry_backoff_factor=_BACKOFF_FACTOR)

    return ServiceBusRepository(new_client, queues)


def by_identity(namespace: str, credential: TokenCredential, queues: Sequence[str]) -> ServiceBusRepository:
    """Reaches a namespace, given by its fully qualified name, with an identity."""

    def new_client() -> ServiceBusClient:
        return ServiceBusClient(namespace, credential, retry_backoff_factor=_BACKOFF_FACTOR)

    return ServiceBusRepository(new_client, queues)
