"""Service Bus: sends batches, each as one AMQP message that the broker takes whole or not at all."""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
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

from core.errors import MessageTooLargeError, QueueError, QueueNotFoundError, QueueUnavailableError
from core.messages import OutgoingMessage
from repositories.ports import SendResult

logger = logging.getLogger(__name__)

_SCHEDULED_ENQUEUE_TIME = b"x-opt-scheduled-enqueue-time"
_CONTENT_TYPE = "application/json"


class ServiceBusRepository:
    """The broker behind the port `MessageQueue`.

    The SDK's clients are not thread-safe, so each thread has its own, kept open between sends. The SDK
    reopens a link that the service closed for being idle; a sender that failed for good is dropped and
    the next send opens a new one.

    Args:
        new_client: makes a client; called once per thread.
        queues: the queues that `ping` asks for.
    """

    def __init__(self, new_client: Callable[[], ServiceBusClient], queues: Sequence[str]) -> None:
        self._new_client = new_client
        self._queues = tuple(queues)
        self._local = _ThreadClients()
        self._lock = threading.Lock()
        self._clients: dict[int, ServiceBusClient] = {}

    def batch_send_messages(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        """Sends up to 100 messages as one batch, all or none; a failure is returned, not raised.

        Args:
            queue: the queue's name.
            messages: at most as many as fit one batch of the tier.

        Returns:
            success, how many were acknowledged, and the error in words of `core.errors`.
        """
        if not messages:
            return SendResult(success=True, sent=0)
        try:
            sender = self._sender(queue)
            batch = sender.create_message_batch()
            _fill(batch, messages)
            sender.send_messages(batch)
        except (ServiceBusError, ValueError, OSError) as exc:
            self._drop_client()
            error = _translate(queue, exc)
            logger.warning("sending %d messages to %s failed: %s", len(messages), queue, error)
            return SendResult(success=False, sent=0, error=error)
        return SendResult(success=True, sent=len(messages))

    def ping(self) -> None:
        """Reaches the broker and each queue.

        Raises:
            QueueError: it cannot be reached, or a queue is missing.
        """
        for queue in self._queues:
            try:
                self._sender(queue).create_message_batch()
            except (ServiceBusError, ValueError, OSError) as exc:
                self._drop_client()
                raise _translate(queue, exc) from exc

    def close(self) -> None:
        """Closes the clients of all threads; none may be sending."""
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            _close(client)
        self._local = _ThreadClients()

    def _sender(self, queue: str) -> ServiceBusSender:
        local = self._local
        if local.client is None:
            local.client = self._new_client()
            local.senders = {}
            with self._lock:
                self._clients[id(local.client)] = local.client
        sender = local.senders.get(queue)
        if sender is None:
            sender = local.senders[queue] = local.client.get_queue_sender(queue)
        return sender

    def _drop_client(self) -> None:
        client = self._local.client
        if client is None:
            return
        self._local.client = None
        self._local.senders = {}
        with self._lock:
            self._clients.pop(id(client), None)
        _close(client)


class _ThreadClients(threading.local):
    def __init__(self) -> None:
        self.client: ServiceBusClient | None = None
        self.senders: dict[str, ServiceBusSender] = {}


def _fill(batch: ServiceBusMessageBatch, messages: Sequence[OutgoingMessage]) -> None:
    for message in messages:
        # The annotated message with plain mappings is the SDK's cheapest public way;
        # `python -m benchmarks dispatch` compares it with ServiceBusMessage.
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


def _close(client: ServiceBusClient) -> None:
    with suppress(ServiceBusError, ValueError, OSError):
        client.close()


def by_connection_string(connection_string: str, queues: Sequence[str]) -> ServiceBusRepository:
    """A repository on the namespace of a connection string."""
    return ServiceBusRepository(lambda: ServiceBusClient.from_connection_string(connection_string), queues)


def by_identity(namespace: str, credential: TokenCredential, queues: Sequence[str]) -> ServiceBusRepository:
    """A repository on a fully qualified namespace, reached with an identity."""
    return ServiceBusRepository(lambda: ServiceBusClient(namespace, credential), queues)
