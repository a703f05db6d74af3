"""The SDK's management client counts the messages of the emulator's queues, as it does those of a namespace."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from core.errors import CountsUnavailableError
from local.service_bus.process import EmulatorProcess
from repositories import queue_counts
from repositories.ports import MessageCounts
from tests.contract.service_bus.conftest import receive

NewQueue = Callable[..., str]


@pytest.fixture(autouse=True)
def _long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app gives the broker two seconds, for a person waits; these tests have time."""
    for name in ("connection_timeout", "read_timeout"):
        monkeypatch.setitem(queue_counts._OPTIONS, name, 60)


def test_messages_are_counted_by_state(emulator: EmulatorProcess, new_queue: NewQueue) -> None:
    queue = new_queue("plain")
    counts = queue_counts.by_connection_string(emulator.connection_string, emulator.management_url)
    assert counts.counts(queue) == MessageCounts(active=0, scheduled=0, dead_lettered=0)
    with ServiceBusClient.from_connection_string(emulator.connection_string) as client:
        with client.get_queue_sender(queue) as sender:
            sender.send_messages([ServiceBusMessage(b"") for _ in range(4)])
            sender.schedule_messages(ServiceBusMessage(b""), datetime.now(UTC) + timedelta(hours=1))
        with client.get_queue_receiver(queue) as receiver:
            dead, _ = receive(receiver, 2)
            receiver.dead_letter_message(dead)
            assert counts.counts(queue) == MessageCounts(active=3, scheduled=1, dead_lettered=1)


def test_a_queue_that_is_missing_is_told(emulator: EmulatorProcess) -> None:
    counts = queue_counts.by_connection_string(emulator.connection_string, emulator.management_url)
    with pytest.raises(CountsUnavailableError, match="no such queue"):
        counts.counts("nowhere")
