"""Sends messages to Storage Queues, which take one message a call: a batch is many calls at a time."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from azure.core.exceptions import ResourceExistsError
from typing_extensions import override

from core.errors import MessageTooLargeError, QueueError, QueueNotFoundError
from core.lanes import Transport
from core.message_traces import traceparents, with_traceparent
from core.messages import OutgoingMessage
from core.telemetry import telemetry
from repositories.ports import MessageQueue, SendResult
from repositories.storage_account import StorageAccount, translating
from repositories.storage_calls import StorageCalls
from repositories.storage_clock import StorageClock

logger = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 64 * 1024
"""Of a message as it is stored ("Azure Queue Storage limits", learn.microsoft.com). Messages are stored as they are, so
that people can read them; host.json says the same to the receiving side (`messageEncoding`)."""

_NEVER = -1
"""The time to live of a message that does not expire: it waits as long as the backlog before it."""

_SEND_SECONDS = 20.0
_PING_SECONDS = 5.0


class StorageQueueRepository(MessageQueue):
    """The queues of a storage account behind the port `MessageQueue`.

    A batch succeeds when each of its messages was acknowledged. When it fails, the account may have taken some of
    them, and may still take those whose calls were given up: like all that send, the caller takes a failed send for one
    that may have happened, and sends the batch again. The claim decides which message runs a task
    (docs/decisions/0044).

    Message ids and content types are not sent: Storage Queues have neither.

    Args:
        account: the client.
        queues: the app's own queues, which are created when they are missing.
        foreign_queues: those of others that the app sends to, which are not created: a queue with a misspelt name would
            have messages that nobody reads. `ping` names those that are missing.
        send_seconds: the deadline of a send.
        ping_seconds: that of a ping.
        calls: makes the calls.
    """

    def __init__(
        self,
        account: StorageAccount,
        queues: Sequence[str],
        send_seconds: float = _SEND_SECONDS,
        ping_seconds: float = _PING_SECONDS,
        calls: StorageCalls | None = None,
        *,
        foreign_queues: Sequence[str] = (),
    ) -> None:
        self._account = account
        self._queues = tuple(queues)
        self._foreign_queues = tuple(foreign_queues)
        self._send_seconds = send_seconds
        self._ping_seconds = ping_seconds
        self._clock = StorageClock()
        self._calls = calls or StorageCalls()

    @override
    def batch_send_messages(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        if not messages:
            return SendResult(success=True, sent=0)
        try:
            with telemetry().sending(queue, len(messages), Transport.STORAGE) as traceparent:
                contexts = traceparents(messages, traceparent)
                traced = [self._traced(queue, *each) for each in zip(messages, contexts, strict=True)]
                self._calls.for_each(traced, partial(self._send, queue), self._send_seconds)
        except QueueError as exc:
            logger.warning("sending %d messages to %s failed: %s", len(messages), queue, exc)
            return SendResult(success=False, sent=0, error=exc)
        return SendResult(success=True, sent=len(messages))

    @override
    def ping(self) -> list[str]:
        missing: list[str] = []
        checks = [partial(self._check, queue) for queue in self._queues]
        checks += [partial(self._look_for, queue, missing) for queue in self._foreign_queues]
        self._calls.run_all(checks, self._ping_seconds)
        return missing

    def close(self) -> None:
        """Ends the connections; a send that is under way fails."""
        self._calls.close()
        self._account.close()

    def _traced(self, queue: str, message: OutgoingMessage, traceparent: str | None) -> OutgoingMessage:
        """Adds the trace context to a message of the app; what others receive stays as it is.

        Raises:
            MessageTooLargeError: the message is too large without it.
        """
        if len(message.body) > MAX_MESSAGE_BYTES:
            raise MessageTooLargeError(
                f"a message for {queue} has {len(message.body):,} bytes; a storage queue takes {MAX_MESSAGE_BYTES:,}"
            )
        body = with_traceparent(message.body, traceparent)
        if queue not in self._queues or len(body) > MAX_MESSAGE_BYTES:
            return message
        return replace(message, body=body)

    def _send(self, queue: str, message: OutgoingMessage) -> None:
        try:
            self._put(queue, message)
        except QueueNotFoundError:
            if queue not in self._queues:
                raise
            self._create(queue)
            self._put(queue, message)

    def _put(self, queue: str, message: OutgoingMessage) -> None:
        with translating(queue):
            self._account.get_queue_client(queue).send_message(
                message.body.decode(errors="replace"),
                visibility_timeout=self._delay_seconds(queue, message),
                time_to_live=_NEVER,
                raw_response_hook=self._clock.observe,
            )

    def _delay_seconds(self, queue: str, message: OutgoingMessage) -> int | None:
        if message.enqueue_at is None:
            return None
        if not self._clock.is_set:
            self._account.get_queue_client(queue).get_queue_properties(raw_response_hook=self._clock.observe)
        return self._clock.seconds_until(message.enqueue_at)

    def _look_for(self, queue: str, missing: list[str]) -> None:
        try:
            with translating(queue):
                self._account.get_queue_client(queue).get_queue_properties()
        except QueueNotFoundError:
            missing.append(queue)
        except QueueError as exc:  # the app may send to it, but not read it; the own queues tell how the account is
            logger.debug("whether %s is there cannot be seen: %s", queue, exc)

    def _check(self, queue: str) -> None:
        try:
            with translating(queue):
                self._account.get_queue_client(queue).get_queue_properties(raw_response_hook=self._clock.observe)
        except QueueNotFoundError:
            self._create(queue)

    def _create(self, queue: str) -> None:
        logger.info("creating the queue %s", queue)
        with translating(queue), suppress(ResourceExistsError):  # another call has created it meanwhile
            self._account.get_queue_client(queue).create_queue()
