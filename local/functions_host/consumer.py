"""Consumes a queue or a subscription: receives messages, invokes the function, settles the messages."""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence

from azure.servicebus import ServiceBusReceivedMessage, ServiceBusReceiver
from azure.servicebus.exceptions import ServiceBusError

from local.functions_host.connections import Connection
from local.functions_host.functions import ServiceBusFunction
from local.functions_host.host_config import ServiceBusOptions
from local.functions_host.invoker import Invocation
from local.functions_host.link import complete, keep_open, read_alone
from local.functions_host.message_data import to_message_data, with_body_fields
from local.functions_host.outage import Outage
from local.functions_host.protocol import Completed
from local.functions_host.receiving import IDLE_SECONDS, receive_batch
from local.functions_host.worker_pool import WorkerPool

logger = logging.getLogger(__name__)

# The client raises these when the broker or the network fails; ValueError when the client has closed itself.
BROKER_ERRORS = (ServiceBusError, OSError, ValueError)

# How often an unused connection is kept open. The emulator closes one after 2 minutes without a frame, Azure after 4.
_KEEP_OPEN_SECONDS = 10.0
_FIRST_RETRY_SECONDS = 0.2
_MAX_RETRY_SECONDS = 5.0


class Consumer:
    """Consumes an entity until ``stopping`` is set, in its own thread with its own client.

    ``run`` returns after the running invocation has ended and its messages are settled.
    """

    def __init__(
        self,
        function: ServiceBusFunction,
        connection: Connection,
        options: ServiceBusOptions,
        pool: WorkerPool,
        outage: Outage,
        stopping: threading.Event,
    ) -> None:
        self._function = function
        self._connection = connection
        self._options = options
        self._pool = pool
        self._outage = outage
        self._stopping = stopping
        self._retry_seconds = _FIRST_RETRY_SECONDS

    def run(self) -> None:
        """Connect and consume; reconnect, without a limit, when the connection fails."""
        while not self._stopping.is_set():
            try:
                self._consume()
            except BROKER_ERRORS as exc:
                # The first failure may be an idle connection that the broker closed; the second is an outage.
                if self._retry_seconds > _FIRST_RETRY_SECONDS:
                    self._outage.begin(self, exc)
                self._pause()
            except Exception:
                logger.exception("A consumer of %s failed; it reconnects", self._function.entity)
                self._pause()

    def _pause(self) -> None:
        self._stopping.wait(self._retry_seconds)
        self._retry_seconds = min(self._retry_seconds * 2, _MAX_RETRY_SECONDS)

    def _consume(self) -> None:
        with (
            self._connection.client() as client,
            self._function.entity.receiver(client, prefetch_count=self._options.prefetch_count) as receiver,
        ):
            if not self._options.prefetch_count:
                read_alone(receiver)
            while not self._stopping.is_set():
                messages = self._receive(receiver)
                self._outage.end(self)
                self._retry_seconds = _FIRST_RETRY_SECONDS
                # A message that arrives while the host stops is not processed: another host gets it when its lock ends.
                if messages and not self._stopping.is_set():
                    self._process(receiver, messages)

    def _receive(self, receiver: ServiceBusReceiver) -> list[ServiceBusReceivedMessage]:
        if self._function.many:
            return receive_batch(receiver, self._options)
        return receiver.receive_messages(1, IDLE_SECONDS)

    def _process(self, receiver: ServiceBusReceiver, messages: Sequence[ServiceBusReceivedMessage]) -> None:
        if self._function.many:
            data = tuple(to_message_data(message) for message in messages)
            completed = _wait(receiver, Invocation(self._function.name, self._pool, data))
        else:
            invocation = Invocation(self._function.name, self._pool, with_body_fields(to_message_data(messages[0])))
            completed = self._wait_and_renew(receiver, messages[0], invocation)
        if self._options.auto_complete_messages:
            self._settle(receiver, messages, completed)

    def _wait_and_renew(
        self, receiver: ServiceBusReceiver, message: ServiceBusReceivedMessage, invocation: Invocation
    ) -> Completed:
        """Wait for the invocation and renew the lock, in this thread because the client is not thread-safe."""
        until = time.monotonic() + self._options.max_auto_lock_renewal_seconds
        while time.monotonic() + (half := _half_lock_seconds(message)) < until:
            try:
                return _wait(receiver, invocation, half)
            except TimeoutError:
                self._renew(receiver, message)
        return _wait(receiver, invocation)

    def _renew(self, receiver: ServiceBusReceiver, message: ServiceBusReceivedMessage) -> None:
        try:
            receiver.renew_message_lock(message)
        except BROKER_ERRORS as exc:
            logger.warning(
                "Cannot renew the lock of message %s of %s: %s", message.message_id, self._function.entity, exc
            )

    def _settle(
        self, receiver: ServiceBusReceiver, messages: Sequence[ServiceBusReceivedMessage], completed: Completed
    ) -> None:
        if completed.error:
            refusals = _one_by_one(receiver.abandon_message, messages)
        elif self._function.many:
            refusals = complete(receiver, messages)
        else:
            refusals = _one_by_one(receiver.complete_message, messages)
        if refusals:
            logger.warning(
                "Could not settle %s of %s messages of %s; they are delivered again (Id=%s): %s",
                len(refusals),
                len(messages),
                self._function.entity,
                completed.invocation_id,
                refusals[-1],
            )


def _wait(receiver: ServiceBusReceiver, invocation: Invocation, seconds: float = math.inf) -> Completed:
    """Waits for an invocation and keeps the connection open.

    Raises:
        TimeoutError: the invocation still runs after ``seconds``.
    """
    until = time.monotonic() + seconds
    while True:
        left = until - time.monotonic()
        try:
            return invocation.result(min(left, _KEEP_OPEN_SECONDS))
        except TimeoutError:
            if left <= _KEEP_OPEN_SECONDS:
                raise
        keep_open(receiver)


def _one_by_one(
    settle: Callable[[ServiceBusReceivedMessage], None], messages: Sequence[ServiceBusReceivedMessage]
) -> list[Exception]:
    """Returns why messages could not be settled."""
    refusals: list[Exception] = []
    for message in messages:
        try:
            settle(message)
        except BROKER_ERRORS as exc:
            refusals.append(exc)
    return refusals


def _half_lock_seconds(message: ServiceBusReceivedMessage) -> float:
    locked_until = message.locked_until_utc
    assert locked_until
    return max(locked_until.timestamp() - time.time(), 1.0) / 2
