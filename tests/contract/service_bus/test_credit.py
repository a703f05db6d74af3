"""A receiver gets as many messages as it grants credit; mostly with an AMQP client whose credit a test controls."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from azure.servicebus import ServiceBusMessage
from proton import Message
from proton.reactor import AtMostOnce
from proton.utils import BlockingConnection

from tests.contract.service_bus.conftest import Counts, Endpoints, numbered, receive_one, wait_until

Send = Callable[[list[str]], None]


class Link:
    """A receiving link that starts without credit."""

    def __init__(self, connection: BlockingConnection, queue: str, **options: Any) -> None:
        self._connection = connection
        self._queue = queue
        self._receiver: Any = connection.create_receiver(queue, credit=0, name=str(uuid4()), **options)

    def grant(self, credit: int) -> None:
        self._receiver.link.flow(credit)

    def drain(self, credit: int) -> None:
        """Grants credit for messages that are present, and waits until unused credit is returned."""
        self._receiver.link.drain(credit)
        self._connection.wait(lambda: self._receiver.link.credit == 0)

    def take(self, count: int) -> list[str]:
        """Waits for `count` messages and returns their texts."""
        self._connection.wait(lambda: self._receiver.fetcher.has_message >= count)
        return [str(self._receiver.fetcher.pop().body) for _ in range(count)]

    def accept(self) -> None:
        """Completes the message that was taken first."""
        self._receiver.accept()

    def is_empty(self) -> bool:
        """Whether no message is left; the answer to an attach arrives after all earlier deliveries."""
        Link(self._connection, self._queue)
        return not self._receiver.fetcher.has_message


def texts(count: int) -> list[str]:
    return [f"{number}" for number in range(count)]


@pytest.fixture
def link(wire: BlockingConnection, queue: str) -> Link:
    return Link(wire, queue)


@pytest.fixture
def send(wire: BlockingConnection, queue: str) -> Send:
    sender = wire.create_sender(queue)

    def send(bodies: list[str]) -> None:
        for body in bodies:
            sender.send(Message(body))

    return send


@pytest.mark.parametrize("credit", [1, 7, 100])
def test_as_many_messages_are_delivered_as_credit_was_given(
    send: Send, link: Link, queue: str, counts: Counts, credit: int
) -> None:
    send(texts(110))
    assert link.is_empty()
    link.grant(credit)
    assert link.take(credit) == texts(credit)
    # There is no credit for messages that arrive now either.
    send(["later"])
    assert link.is_empty()
    assert (counts(queue).locked, counts(queue).active) == (credit, 111 - credit)


def test_credit_given_in_parts_adds_up(send: Send, link: Link, queue: str, counts: Counts) -> None:
    send(texts(10))
    for credit in (2, 1, 3):
        link.grant(credit)
    assert link.take(6) == texts(6)
    link.grant(2)
    assert link.take(2) == texts(8)[6:]
    assert link.is_empty()
    assert (counts(queue).locked, counts(queue).active) == (8, 2)


def test_unused_credit_is_served_as_messages_arrive(send: Send, link: Link, queue: str, counts: Counts) -> None:
    link.grant(3)
    send(texts(5))
    assert link.take(3) == texts(3)
    assert link.is_empty()
    assert (counts(queue).locked, counts(queue).active) == (3, 2)


def test_settling_returns_no_credit(send: Send, link: Link, queue: str, counts: Counts) -> None:
    send(texts(5))
    link.grant(2)
    link.take(2)
    link.accept()
    link.accept()
    assert link.is_empty()
    assert (counts(queue).locked, counts(queue).active) == (0, 3)


def test_each_link_has_its_own_credit(wire: BlockingConnection, send: Send, queue: str, counts: Counts) -> None:
    send(texts(10))
    one, other = Link(wire, queue), Link(wire, queue)
    one.grant(2)
    assert one.take(2) == texts(2)
    other.grant(5)
    assert other.take(5) == texts(7)[2:]
    assert one.is_empty()
    assert other.is_empty()
    assert (counts(queue).locked, counts(queue).active) == (7, 3)


def test_a_link_that_deletes_deletes_no_more_than_its_credit(
    wire: BlockingConnection, send: Send, queue: str, counts: Counts
) -> None:
    send(texts(10))
    link = Link(wire, queue, options=AtMostOnce())
    link.grant(4)
    assert link.take(4) == texts(4)
    assert link.is_empty()
    assert (counts(queue).locked, counts(queue).active) == (0, 6)


def test_draining_delivers_present_messages_and_cancels_unused_credit(
    send: Send, link: Link, queue: str, counts: Counts
) -> None:
    send(texts(5))
    link.drain(20)
    assert link.take(5) == texts(5)
    send(["later"])
    assert link.is_empty()
    assert (counts(queue).locked, counts(queue).active) == (5, 1)


def test_draining_an_empty_queue_is_answered_at_once(send: Send, link: Link, queue: str, counts: Counts) -> None:
    link.drain(20)
    send(["later"])
    assert link.is_empty()
    assert counts(queue).active == 1


def test_a_receive_call_locks_no_more_than_it_asks_for(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    endpoints.sender(queue).send_messages(numbered(10))
    for locked in (3, 6, 9):
        # On a busy machine a call returns fewer messages than there are. The others are locked all the same, and the
        # next call of the same receiver may ask for fewer.
        assert endpoints.receiver(queue).receive_messages(3, max_wait_time=30)
        assert (counts(queue).locked, counts(queue).active) == (locked, 10 - locked)


def test_prefetching_locks_ahead_what_was_asked_for(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    sender = endpoints.sender(queue)
    sender.send_messages(numbered(10))
    receive_one(endpoints.receiver(queue, prefetch_count=4))
    wait_until(lambda: counts(queue).locked == 1 + 4)
    sender.send_messages(ServiceBusMessage("later"))
    assert (counts(queue).locked, counts(queue).active) == (5, 6)
