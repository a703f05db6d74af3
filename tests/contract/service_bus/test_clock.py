"""Setting the clock forward, on a separate emulator, because the clock affects every queue."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.exceptions import MessageLockLostError

from local.service_bus.control.client import ControlError
from local.service_bus.process import EmulatorProcess
from tests.contract.service_bus.conftest import receive_one

QUEUE = "sb-tasks"


@pytest.fixture
def emulator() -> Iterator[EmulatorProcess]:
    with EmulatorProcess.start() as emulator:
        yield emulator


@pytest.fixture
def client(emulator: EmulatorProcess) -> Iterator[ServiceBusClient]:
    with ServiceBusClient.from_connection_string(emulator.connection_string) as client:
        yield client


def test_a_scheduled_message_is_there_as_soon_as_its_time_has_passed(
    emulator: EmulatorProcess, client: ServiceBusClient
) -> None:
    with client.get_queue_sender(QUEUE) as sender:
        sender.schedule_messages(ServiceBusMessage("later"), datetime.now(UTC) + timedelta(minutes=20))
    emulator.control.let_pass(600)
    assert [(counts.active, counts.scheduled) for counts in emulator.queues() if counts.name == QUEUE] == [(0, 1)]
    emulator.control.let_pass(600)
    assert [(counts.active, counts.scheduled) for counts in emulator.queues() if counts.name == QUEUE] == [(1, 0)]


def test_a_lock_ends_and_its_message_counts_as_delivered(emulator: EmulatorProcess, client: ServiceBusClient) -> None:
    with client.get_queue_sender(QUEUE) as sender, client.get_queue_receiver(QUEUE) as receiver:
        sender.send_messages(ServiceBusMessage("once more"))
        first = receive_one(receiver)
        emulator.control.let_pass(60)
        second = receive_one(receiver)
        assert (first.delivery_count, second.delivery_count) == (0, 1)
        with pytest.raises(MessageLockLostError):
            receiver.complete_message(first)
        receiver.complete_message(second)


def test_a_message_expires(emulator: EmulatorProcess, client: ServiceBusClient) -> None:
    with (
        client.get_queue_sender(QUEUE) as sender,
        client.get_queue_receiver(QUEUE, sub_queue=ServiceBusSubQueue.DEAD_LETTER) as receiver,
    ):
        sender.send_messages(ServiceBusMessage("an hour at most"))
        emulator.control.let_pass(3_600)
        dead = receive_one(receiver)
        assert dead.dead_letter_reason == "TTLExpiredException"


@pytest.mark.parametrize("seconds", [-1, 86_401, float("1e300")])
def test_time_passes_forwards_and_a_day_at_most(emulator: EmulatorProcess, seconds: float) -> None:
    with pytest.raises(ControlError, match="seconds") as caught:
        emulator.control.let_pass(seconds)
    assert caught.value.status == 400
