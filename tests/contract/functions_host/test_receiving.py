"""How a receiver of a batch function takes messages and completes them."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiver
from azure.servicebus._pyamqp import client as amqp_client

from local.functions_host.host_config import ServiceBusOptions
from local.functions_host.link import complete, keep_open, read_alone
from local.functions_host.receiving import receive_batch
from local.service_bus.broker.counts import QueueCounts
from local.service_bus.process import EmulatorProcess
from tests.contract.functions_host.conftest import Send
from tests.contract.functions_host.support import wait_until

OPTIONS = ServiceBusOptions.model_validate({"maxMessageBatchSize": 100})
A_WHILE = 60
"""Seconds. A receiver that waits for its socket waits longer."""


@pytest.fixture(scope="module")
def shared_emulator(emulator_config: Path) -> Iterator[EmulatorProcess]:
    """An emulator of this module alone, whose clock a test sets forward."""
    with EmulatorProcess.start(emulator_config) as process:
        yield process


@pytest.fixture
def watched_receiver(emulator: EmulatorProcess) -> Iterator[ServiceBusReceiver]:
    """A receiver whose socket waits for longer than any test; a thread of the client may read from it too."""
    with (
        ServiceBusClient.from_connection_string(emulator.connection_string, retry_total=0) as client,
        client.get_queue_receiver("many", socket_timeout=150, prefetch_count=0) as receiver,
    ):
        yield receiver


@pytest.fixture
def receiver(watched_receiver: ServiceBusReceiver) -> ServiceBusReceiver:
    """The same, from which only the test reads, as in the host."""
    read_alone(watched_receiver)
    return watched_receiver


def counts(emulator: EmulatorProcess) -> QueueCounts:
    return next(counts for counts in emulator.queues() if counts.name == "many")


def numbered(numbers: range) -> list[ServiceBusMessage]:
    return [ServiceBusMessage(str(number)) for number in numbers]


def received(receiver: ServiceBusReceiver, options: ServiceBusOptions = OPTIONS) -> list[str]:
    """The bodies of a batch; fails if the receiver waits for messages that nobody sends."""
    with ThreadPoolExecutor(1) as thread:
        return [str(message) for message in thread.submit(receive_batch, receiver, options).result(A_WHILE)]


@pytest.mark.parametrize("count", [1, 100])
def test_a_batch_has_all_messages_that_are_there_and_waits_for_no_more(
    receiver: ServiceBusReceiver, send: Send, count: int
) -> None:
    send("many", numbered(range(count)))
    assert received(receiver) == [str(number) for number in range(count)]


def test_messages_of_another_batch_stay_in_the_queue(
    receiver: ServiceBusReceiver, send: Send, emulator: EmulatorProcess
) -> None:
    send("many", numbered(range(230)))
    assert received(receiver) == [str(number) for number in range(100)]
    assert (counts(emulator).locked, counts(emulator).active) == (100, 130)
    assert received(receiver) == [str(number) for number in range(100, 200)]
    assert received(receiver) == [str(number) for number in range(200, 230)]


def test_a_receiver_with_a_batch_takes_no_message_until_it_receives_again(
    receiver: ServiceBusReceiver, send: Send, emulator: EmulatorProcess
) -> None:
    for first in (0, 3, 6):
        send("many", numbered(range(first, first + 2)))
        assert received(receiver) == [str(first), str(first + 1)]
        send("many", numbered(range(first + 2, first + 3)))
        assert counts(emulator).active == 1
        assert received(receiver) == [str(first + 2)]


def test_an_incomplete_batch_waits_for_its_least_size(receiver: ServiceBusReceiver, send: Send) -> None:
    send("many", numbered(range(2)))
    options = ServiceBusOptions.model_validate_json(
        '{"maxMessageBatchSize": 4, "minMessageBatchSize": 3, "maxBatchWaitTime": "00:05:00"}'
    )
    with ThreadPoolExecutor(1) as thread:
        batch = thread.submit(receive_batch, receiver, options)
        send("many", numbered(range(2, 3)))
        assert len(batch.result(A_WHILE)) == 3


def test_a_batch_is_completed(receiver: ServiceBusReceiver, send: Send, emulator: EmulatorProcess) -> None:
    send("many", numbered(range(150)))
    for _ in range(2):
        batch = receive_batch(receiver, OPTIONS)
        assert complete(receiver, batch) == []
    assert (counts(emulator).locked, counts(emulator).active) == (0, 0)


def test_only_the_messages_of_a_batch_are_completed(
    receiver: ServiceBusReceiver, send: Send, emulator: EmulatorProcess
) -> None:
    send("many", numbered(range(6)))
    batch = receive_batch(receiver, OPTIONS)
    assert complete(receiver, [batch[0], batch[2], batch[3]]) == []
    assert counts(emulator).locked == 3
    assert complete(receiver, [batch[1], batch[4], batch[5]]) == []
    wait_until(lambda: counts(emulator).locked == 0, "the others are completed")


def test_a_message_whose_lock_is_lost_is_told(
    receiver: ServiceBusReceiver, send: Send, emulator: EmulatorProcess
) -> None:
    send("many", numbered(range(2)))
    lost = receive_batch(receiver, OPTIONS)
    emulator.control.let_pass(301)
    send("many", numbered(range(2, 4)))
    batch = receive_batch(receiver, OPTIONS)
    assert [str(message) for message in batch] == ["0", "1", "2", "3"], "the first two are delivered again"
    refusals = complete(receiver, lost)
    assert len(refusals) == 2
    assert all("lock supplied is invalid" in str(reason) for reason in refusals)
    assert complete(receiver, batch) == []
    assert (counts(emulator).locked, counts(emulator).active) == (0, 0)


class FastTime:
    """The module `time`, of which each call takes a hundred seconds more than it does."""

    def __init__(self) -> None:
        self.sleeps = 0

    def time(self) -> float:
        return time.time() + 100 * self.sleeps

    def sleep(self, _seconds: float) -> None:
        time.sleep(0.01)
        self.sleeps += 1


@pytest.mark.parametrize("alone", [True, False])
def test_only_the_caller_reads_from_a_receiver_of_its_own(
    watched_receiver: ServiceBusReceiver, monkeypatch: pytest.MonkeyPatch, *, alone: bool
) -> None:
    connection: Any = watched_receiver._handler._connection
    reads: list[None] = []
    monkeypatch.setattr(connection, "listen", lambda **_: reads.append(None))
    if alone:
        read_alone(watched_receiver)
    fast = FastTime()
    monkeypatch.setattr(amqp_client, "time", fast)
    wait_until(lambda: fast.sleeps > 3, "the keep-alive thread has run")
    assert bool(reads) is not alone


def test_a_connection_that_is_kept_open_sends_heartbeats(receiver: ServiceBusReceiver) -> None:
    connection: Any = receiver._handler._connection
    connection._transport.sock.settimeout(0.01)
    connection._last_frame_sent_time = long_ago = time.time() - 100
    keep_open(receiver)
    assert connection._last_frame_sent_time > long_ago
