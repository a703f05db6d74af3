import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    ServiceBusQuotaExceededError,
    ServiceBusServerBusyError,
)

from local.service_bus.process import EmulatorProcess
from tests.contract.service_bus.clients import Connect
from tests.contract.service_bus.conftest import Counts, Endpoints, NewQueue, body, receive_one

Throttled = Callable[[int], EmulatorProcess]

_QUARTER = 250_000  # bytes; four messages of this size fit into a queue of 1 MB, five do not


@pytest.fixture
def premium(tmp_path: Path) -> Iterator[EmulatorProcess]:
    config = tmp_path / "Config.json"
    config.write_text(json.dumps({"UserConfig": {"Namespaces": [{"Name": "n", "Queues": [{"Name": "q"}]}]}}))
    with EmulatorProcess.start(config, arguments=["--tier", "premium"]) as process:
        yield process


@pytest.fixture
def throttled(tmp_path: Path) -> Iterator[Throttled]:
    """Starts an emulator with so many credits per second."""
    config = tmp_path / "Config.json"
    config.write_text(json.dumps({"UserConfig": {"Namespaces": [{"Name": "n", "Queues": [{"Name": "q"}]}]}}))
    with ExitStack() as running:
        yield lambda rate: running.enter_context(
            EmulatorProcess.start(config, arguments=["--credits-per-second", str(rate)])
        )


def test_a_full_queue_refuses_until_there_is_room(endpoints: Endpoints, new_queue: NewQueue, counts: Counts) -> None:
    queue = new_queue("small")
    sender, receiver = endpoints.sender(queue), endpoints.receiver(queue)
    for _ in range(4):
        sender.send_messages(ServiceBusMessage(bytes(_QUARTER)))
    with pytest.raises(ServiceBusQuotaExceededError, match="maximum size"):
        sender.send_messages(ServiceBusMessage(bytes(_QUARTER)))
    assert counts(queue).active == 4
    message = receive_one(receiver)
    receiver.complete_message(message)
    sender.send_messages(ServiceBusMessage(bytes(_QUARTER)))
    assert counts(queue).active == 4


def test_a_batch_that_does_not_fit_leaves_nothing_behind(
    endpoints: Endpoints, new_queue: NewQueue, counts: Counts
) -> None:
    queue = new_queue("small")
    sender = endpoints.sender(queue)
    for _ in range(3):
        sender.send_messages(ServiceBusMessage(bytes(_QUARTER)))
    sender.send_messages(ServiceBusMessage(bytes(_QUARTER // 2)))
    with pytest.raises(ServiceBusQuotaExceededError):
        sender.send_messages([ServiceBusMessage(bytes(_QUARTER // 3)) for _ in range(3)])
    assert counts(queue).active == 4


def test_premium_takes_a_message_of_a_megabyte_and_says_so(connect: Connect, premium: EmulatorProcess) -> None:
    text = bytes(1_000_000)
    with connect(premium.connection_string) as sdk:
        with sdk.client.get_queue_sender("q") as sender:
            assert sender.create_message_batch().max_size_in_bytes == 1_048_576
            sender.send_messages(ServiceBusMessage(text))
            with pytest.raises(MessageSizeExceededError):
                sender.send_messages(ServiceBusMessage(bytes(1_100_000)))
        with sdk.client.get_queue_receiver("q") as receiver:
            message = receive_one(receiver)
            assert body(message) == text


def test_sends_beyond_the_credits_are_refused_as_busy_and_receives_wait(connect: Connect, throttled: Throttled) -> None:
    emulator = throttled(1)
    batch = [ServiceBusMessage(str(number)) for number in range(600)]
    with connect(emulator.connection_string, retry_total=0) as sdk:
        with sdk.client.get_queue_sender("q") as sender:
            sender.send_messages(batch)  # uses the credit of the first second, and those of ten minutes as debt
            with pytest.raises(ServiceBusServerBusyError):
                sender.send_messages(ServiceBusMessage("too soon"))
        with sdk.client.get_queue_receiver("q") as receiver:
            assert receiver.receive_messages(600, max_wait_time=0.3) == []
            emulator.control.let_pass(700)
            received = receiver.receive_messages(600, max_wait_time=30)
    assert 0 < len(received) < 600


def test_the_client_waits_out_being_throttled(connect: Connect, throttled: Throttled) -> None:
    emulator = throttled(10)
    with (
        connect(emulator.connection_string) as sdk,
        sdk.client.get_queue_sender("q") as sender,
    ):
        for number in range(3):
            sender.send_messages([ServiceBusMessage(f"{number}")] * 10)
    [counts] = emulator.queues()
    assert counts.active == 30
