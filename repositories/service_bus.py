"""Sends batches to Service Bus: each is one AMQP message, which the broker takes whole or not at all."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from azure.core.credentials import TokenCredential
from azure.servicebus import ServiceBusClient
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    MessagingEntityNotFoundError,
    OperationTimeoutError,
)
from typing_extensions import override

from core.errors import (
    MessageTooLargeError,
    QueueError,
    QueueNotFoundError,
    QueueTimeoutError,
    QueueUnavailableError,
)
from core.message_traces import traceparents
from core.messages import OutgoingMessage
from core.telemetry import telemetry
from repositories.broker_calls import BrokerCalls
from repositories.broker_client import FAILURES, BrokerClient, tls_context
from repositories.encoded_messages import fill
from repositories.ports import MessageQueue, SendResult

logger = logging.getLogger(__name__)

_BACKOFF_FACTOR = 0.2
"""With this factor the SDK tries four times, 0.4, 0.8 and 1.6 s apart: enough for a broken connection or one second of
throttling. With the default of 0.8, a submission waits 11 s for an unavailable broker before it is accepted anyway."""

_LONG_WAIT_SECONDS = 0.02
"""How long a send waits for a client that another one uses, before it opens one more. That takes some tenths of a
second, and 10 ms of computing. Where the broker takes a batch in some milliseconds, one or two clients serve all
threads; where that takes 30 ms, six serve ten threads; where it takes 200 ms, each has its own."""

_OPENING_SECONDS = 1.0
"""How long a send that may open a client waits while others open as many as there are: usually longer than that takes,
and short beside the deadline of a send."""


@dataclass(frozen=True)
class Deadlines:
    """How long a call into the client of Service Bus may take.

    Attributes:
        send_seconds: to open a connection, make a batch, send it in up to four tries, and close a connection that
            failed. Far shorter than a lease or a message lock.
        ping_seconds: to open and close a connection.
        close_seconds: to close a connection.
        foreign_ping_seconds: to open and close one to a queue of others, when the own ones have answered: the health
            waits 1.5 s for both.
    """

    send_seconds: float = 20.0
    ping_seconds: float = 5.0
    close_seconds: float = 5.0
    foreign_ping_seconds: float = 1.0


class ServiceBusRepository(MessageQueue):
    """The broker behind the port `MessageQueue`.

    The SDK's clients are not thread-safe, so a send borrows one: the client that was used last. If all are in use, it
    waits a little for one of them before it opens another, and their number at most doubles at a time; a client has a
    connection for each queue that it has sent to. The SDK reopens a link that the service closed because it was idle; a
    client that failed is closed.

    Each call runs in a thread of `BrokerCalls` and ends at its deadline. A send that is given up may still take effect,
    later than the caller learns of its failure. Whatever sends takes a failed send for one that may have happened; to
    the engine, its messages are messages that the broker delivers late.

    Args:
        new_client: returns a new client of the SDK, with the options that it is given.
        queues: the queues that `ping` checks.
        optional_queues: those that may be missing.
        foreign_queues: queues and topics of others that the app sends to. `ping` names those that do not take messages
            from it.
    """

    def __init__(
        self,
        new_client: Callable[..., ServiceBusClient],
        queues: Sequence[str],
        deadlines: Deadlines | None = None,
        calls: BrokerCalls | None = None,
        optional_queues: Sequence[str] = (),
        foreign_queues: Sequence[str] = (),
    ) -> None:
        self._new_client = new_client
        self._queues = (*queues, *optional_queues)
        self._optional_queues = tuple(optional_queues)
        self._foreign_queues = tuple(foreign_queues)
        self._deadlines = deadlines or Deadlines()
        self._calls = calls or BrokerCalls()
        self._lock = threading.Lock()
        self._is_changed = threading.Condition(self._lock)
        self._idle: list[BrokerClient] = []
        self._open = 0  # clients that have sent; lent or idle
        self._opening = 0
        self._closed = False

    @override
    def batch_send_messages(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        if not messages:
            return SendResult(success=True, sent=0)
        try:
            with telemetry().sending(queue, len(messages)) as traceparent, self._lend() as client:
                until = time.monotonic() + self._deadlines.send_seconds
                send = partial(_send, client, queue, messages, until, traceparent)
                self._calls.run(send, client, self._deadlines.send_seconds)
        except QueueError as exc:
            logger.warning("sending %d messages to %s failed: %s", len(messages), queue, exc)
            return SendResult(success=False, sent=0, error=exc)
        return SendResult(success=True, sent=len(messages))

    @override
    def ping(self) -> list[str]:
        # A link that is open already would prove nothing, so each ping opens one to each queue, all at once. Without
        # the SDK's heartbeat, whose thread takes up to a second to end, they are closed at once.
        clients = [(BrokerClient(self._new_client(), keep_alive=0), queue) for queue in self._queues]
        missing: list[str] = []
        opening = [(partial(self._check, client, queue, missing), client) for client, queue in clients]
        for error in self._calls.run_all(opening, self._deadlines.ping_seconds):
            raise error
        self._look_for_foreign(missing)
        return missing

    def _check(self, client: BrokerClient, queue: str, missing: list[str]) -> None:
        try:
            _open(client, queue)
        except QueueNotFoundError:
            if queue not in self._optional_queues:
                raise
            missing.append(queue)

    def _look_for_foreign(self, missing: list[str]) -> None:
        # When the broker has answered, and without the SDK's retries, whose pauses exceed what the health waits.
        clients = [(BrokerClient(self._new_client(retry_total=0), keep_alive=0), each) for each in self._foreign_queues]
        opening = [(partial(_look_for, client, queue, missing), client) for client, queue in clients]
        for error in self._calls.run_all(opening, self._deadlines.foreign_ping_seconds):
            logger.debug("whether a queue of others is there cannot be seen: %s", error)

    def close(self) -> None:
        """Closes the idle clients now, and the lent ones when they are returned."""
        with self._lock:
            self._closed = True
            idle = list(self._idle)
            self._idle.clear()
        self._close(idle)
        self._calls.close()

    @contextmanager
    def _lend(self) -> Iterator[BrokerClient]:
        """Lends a client to a block, and takes it back unless the block raises."""
        client = self._borrow()
        is_new = client is None
        try:
            client = client or BrokerClient(self._new_client())
            yield client
        except BaseException as exc:
            self._end_loan(None, is_new=is_new)
            if isinstance(exc, QueueTimeoutError):
                self._cut_idle()
            raise
        if not self._end_loan(client, is_new=is_new):
            self._close([client])

    def _borrow(self) -> BrokerClient | None:
        """Returns an idle client, or None if the caller opens one."""
        with self._lock:
            self._is_changed.wait_for(self._may_borrow, _OPENING_SECONDS)
            if self._open and not self._idle:
                self._is_changed.wait_for(lambda: self._idle or not self._open, _LONG_WAIT_SECONDS)
                self._is_changed.wait_for(self._may_borrow, _OPENING_SECONDS)
            if self._idle:
                return self._idle.pop()
            self._opening += 1
            return None

    def _may_borrow(self) -> bool:
        return bool(self._idle) or self._opening < max(self._open, 1)

    def _end_loan(self, client: BrokerClient | None, *, is_new: bool) -> bool:
        """Keeps a client for the next send, unless it is lost; returns False if the repository is closed meanwhile."""
        with self._lock:
            self._opening -= is_new
            self._open += is_new - (client is None)
            if client is not None and not self._closed:
                self._idle.append(client)
            self._is_changed.notify_all()
            return not self._closed

    def _cut_idle(self) -> None:
        """Breaks the idle connections: what has silenced one has silenced them too. The SDK opens others."""
        with self._lock:
            for client in self._idle:
                client.cut()

    def _close(self, clients: Sequence[BrokerClient]) -> None:
        # All at once: the SDK waits up to a second for each client's heartbeat thread.
        self._calls.run_all([(client.close, client) for client in clients], self._deadlines.close_seconds)


def _send(
    client: BrokerClient, queue: str, messages: Sequence[OutgoingMessage], until: float, traceparent: str | None
) -> None:
    with _translating(client, queue):
        sender = client.sender(queue)
        batch = sender.create_message_batch()
        fill(batch, messages, traceparents(messages, traceparent))
        seconds = until - time.monotonic()
        if seconds <= 0:  # the call is given up, and must not send
            raise QueueTimeoutError(f"the connection to {queue} was not open in time")
        sender.send_messages(batch, timeout=seconds)


def _open(client: BrokerClient, queue: str) -> None:
    with _translating(client, queue):
        client.sender(queue).create_message_batch()
    client.close()


def _look_for(client: BrokerClient, queue: str, missing: list[str]) -> None:
    try:
        _open(client, queue)
    except QueueTimeoutError:
        raise
    except QueueError:
        missing.append(queue)


@contextmanager
def _translating(client: BrokerClient, queue: str) -> Iterator[None]:
    """Closes a client that fails, and raises its errors as ours."""
    try:
        yield
    except FAILURES as exc:
        client.close()
        raise _translate(queue, exc) from exc
    except BaseException:
        client.close()
        raise


def _translate(queue: str, exc: Exception) -> QueueError:
    match exc:
        case MessagingEntityNotFoundError():
            return QueueNotFoundError(f"Service Bus has no queue {queue!r}: {exc}")
        case MessageSizeExceededError():
            return MessageTooLargeError(f"the batch for {queue} is over the size limit of the tier: {exc}")
        case OperationTimeoutError():
            return QueueTimeoutError(f"Service Bus did not take the batch for {queue} in time: {exc}")
        case _:
            return QueueUnavailableError(f"Service Bus did not take the batch for {queue}: {exc}")


def by_connection_string(
    connection_string: str,
    queues: Sequence[str],
    deadlines: Deadlines | None = None,
    calls: BrokerCalls | None = None,
    optional_queues: Sequence[str] = (),
    foreign_queues: Sequence[str] = (),
) -> ServiceBusRepository:
    """Reaches a namespace with a connection string."""

    def new_client(**options: Any) -> ServiceBusClient:
        return ServiceBusClient.from_connection_string(
            connection_string, retry_backoff_factor=_BACKOFF_FACTOR, ssl_context=tls_context(), **options
        )

    return ServiceBusRepository(new_client, queues, deadlines, calls, optional_queues, foreign_queues)


def by_identity(
    namespace: str,
    credential: TokenCredential,
    queues: Sequence[str],
    optional_queues: Sequence[str] = (),
    foreign_queues: Sequence[str] = (),
) -> ServiceBusRepository:
    """Reaches a namespace, given by its fully qualified name, with an identity."""

    def new_client(**options: Any) -> ServiceBusClient:
        return ServiceBusClient(
            namespace, credential, retry_backoff_factor=_BACKOFF_FACTOR, ssl_context=tls_context(), **options
        )

    return ServiceBusRepository(new_client, queues, optional_queues=optional_queues, foreign_queues=foreign_queues)
