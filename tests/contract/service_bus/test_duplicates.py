"""Duplicate detection: which messages are dropped, and for how long."""

from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusSender

from tests.contract.service_bus.conftest import Counts, Endpoints, NewQueue, body, receive, receive_one, wait_until


@pytest.fixture
def queue(new_queue: NewQueue) -> str:
    return new_queue("no-duplicates")


@pytest.fixture
def sender(endpoints: Endpoints, queue: str) -> ServiceBusSender:
    return endpoints.sender(queue)


def message(text: str, message_id: str | None = "1") -> ServiceBusMessage:
    return ServiceBusMessage(text, message_id=message_id)


def test_a_repeat_is_dropped_even_after_the_first_was_completed(
    endpoints: Endpoints, sender: ServiceBusSender, queue: str, counts: Counts
) -> None:
    receiver = endpoints.receiver(queue)
    sender.send_messages(message("first"))
    receiver.complete_message(receive_one(receiver))
    sender.send_messages(message("repeat"))
    assert counts(queue).active == 0


def test_a_batch_loses_its_repeats_and_keeps_the_rest(
    endpoints: Endpoints, sender: ServiceBusSender, queue: str, counts: Counts
) -> None:
    receiver = endpoints.receiver(queue)
    sender.send_messages(message("a", "1"))
    sender.send_messages([message("a again", "1"), message("b", "2"), message("b again", "2"), message("c", "3")])
    assert [body(one) for one in receive(receiver, 3)] == [b"a", b"b", b"c"]
    assert counts(queue).active == 0


def test_a_scheduled_message_counts_from_when_it_was_scheduled(
    sender: ServiceBusSender, queue: str, counts: Counts
) -> None:
    sender.schedule_messages(message("later"), datetime.now(UTC) + timedelta(minutes=1))
    sender.send_messages(message("repeat"))
    sender.schedule_messages(message("repeat"), datetime.now(UTC) + timedelta(minutes=1))
    assert (counts(queue).active, counts(queue).scheduled) == (0, 1)


def test_ids_differ_by_their_case(sender: ServiceBusSender, queue: str, counts: Counts) -> None:
    sender.send_messages([message("a", "id"), message("b", "ID")])
    assert counts(queue).active == 2


def test_messages_without_an_id_are_never_repeats(sender: ServiceBusSender, queue: str, counts: Counts) -> None:
    for _ in range(2):
        sender.send_messages(message("same", None))
    assert counts(queue).active == 2


def test_an_id_may_return_after_its_window(endpoints: Endpoints, new_queue: NewQueue, counts: Counts) -> None:
    queue = new_queue("forgets-duplicates")
    sender = endpoints.sender(queue)
    window_ends = datetime.now(UTC) + timedelta(seconds=5)
    sender.send_messages(message("first"))

    def is_accepted() -> bool:
        sender.send_messages(message("again"))
        return counts(queue).active == 2

    wait_until(is_accepted)
    assert datetime.now(UTC) >= window_ends
