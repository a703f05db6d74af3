"""What an AMQP link can do and the public API of azure-servicebus does not offer.

.NET's client, which receives for the functions in Azure, does all of it. The version of azure-servicebus is pinned.
"""
# ruff: noqa: SLF001 - the link is private to azure-servicebus

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from azure.servicebus import ServiceBusReceivedMessage, ServiceBusReceiver
from azure.servicebus._pyamqp.error import AMQPException
from azure.servicebus._pyamqp.outcomes import Accepted
from azure.servicebus.exceptions import OperationTimeoutError, ServiceBusConnectionError

_ANSWER_SECONDS = 60.0
# The places of fields in a flow frame (AMQP 1.0, 2.7.4).
_DELIVERY_COUNT, _LINK_CREDIT, _DRAIN = 5, 6, 8


def read_alone(receiver: ServiceBusReceiver) -> None:
    """Stop the client's keep-alive thread from reading; from now on, the caller must call ``keep_open``.

    Every 5 s, this thread waits 0.2 s for a frame. A message that it reads waits until the caller's socket times out,
    and of two messages that both threads read, one may get the lock token of the other.
    """
    handler: Any = receiver._handler
    handler._keep_alive_interval = math.inf


def keep_open(receiver: ServiceBusReceiver) -> None:
    """Send a heartbeat if one is due; to be called every few seconds while the receiver is not used."""
    handler: Any = receiver._handler
    with suppress(AMQPException):  # the next use of the connection reports it
        handler._connection.listen()


def take_present(receiver: ServiceBusReceiver, most: int) -> list[ServiceBusReceivedMessage]:
    """Receive up to ``most`` messages that the entity has now, and leave the link without credit.

    The link asks for a drain: the broker delivers what it has, and says when there is no more. A receive of the client
    waits instead, until no message arrives for a while.

    Raises:
        ServiceBusConnectionError: the connection or the link has failed.
        OperationTimeoutError: the broker does not answer.
    """
    handler: Any = receiver._handler
    arrived, link = handler._received_messages, handler._link
    link._incoming_flow = drain = _Drain(link)
    deadline = time.monotonic() + _ANSWER_SECONDS
    receiver._receive_context.set()  # otherwise the receiver releases what arrives
    try:
        link.flow(link_credit=most, drain=True)
        while not drain.ended and arrived.qsize() < most:
            handler._connection.listen()
            if time.monotonic() > deadline:
                raise OperationTimeoutError(message="The broker does not end a drain.")
    except AMQPException as exc:
        raise ServiceBusConnectionError(message=str(exc), error=exc) from exc
    finally:
        receiver._receive_context.clear()
    return receiver.receive_messages(arrived.qsize(), _ANSWER_SECONDS) if arrived.qsize() else []


class _Drain:
    """Reads the broker's flow frames, which the client ignores."""

    def __init__(self, link: Any) -> None:
        self._link = link
        self.ended = False

    def __call__(self, frame: Sequence[Any]) -> None:
        if frame[_DRAIN]:
            # The broker counts the unused credit as if it had delivered as many messages.
            self._link.delivery_count, self._link.current_link_credit = frame[_DELIVERY_COUNT], frame[_LINK_CREDIT]
            self.ended = True


def complete(receiver: ServiceBusReceiver, messages: Sequence[ServiceBusReceivedMessage]) -> list[Exception]:
    """Complete messages, with one disposition for all that were received in a row; the client needs one for each.

    Returns:
        The reasons for those that are not completed, which are delivered again.
    """
    handler: Any = receiver._handler
    link = handler._link
    deliveries = {message._delivery_id: message._delivery_tag for message in messages}
    link._pending_dispositions.update({number: {"settled": False, "outcome": None} for number in deliveries})
    for first, last in _rows(list(deliveries)):
        try:
            link.send_disposition(
                first_delivery_id=first,
                last_delivery_id=last,
                delivery_tag=deliveries[first],
                settled=False,
                delivery_state=Accepted(),
            )
        except (AMQPException, OSError, ValueError) as exc:  # the connection or the link is closed
            return [exc] * len(messages)
    link._received_delivery_tags.difference_update(deliveries.values())
    refusals: list[Exception] = []
    for number in deliveries:
        try:
            link._wait_for_disposition_outcome([number], _ANSWER_SECONDS)
        except AMQPException as exc:
            refusals.append(exc)
    return refusals


def _rows(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of each row of consecutive numbers."""
    starts = [place for place, number in enumerate(numbers) if not place or number != numbers[place - 1] + 1]
    for start, end in zip(starts, [*starts[1:], len(numbers)], strict=True):
        yield numbers[start], numbers[end - 1]
