"""A long run: sends many messages through one queue, and checks that none is lost and that memory is freed.

`make chaos` runs the long form with 200,000 messages.
"""

import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from azure.servicebus import ServiceBusClient, ServiceBusReceiver
from azure.servicebus.amqp import AmqpAnnotatedMessage
from azure.servicebus.exceptions import MessageLockLostError

from local.service_bus.broker.counts import QueueCounts
from local.service_bus.process import EmulatorProcess
from tests.contract.service_bus.conftest import write_config
from tests.faults.figures import record
from tests.faults.sizes import size

QUEUE = "soak"
LOCK_SECONDS = 5
MESSAGES, WARM_UP, FORGOTTEN = size(20_000, 200_000), size(5_000, 20_000), 500
CLIENTS = 2
PADDING = "x" * 200

# 200,000 messages take 117 MiB. About 8 to 13 MiB are not returned to the system although nothing refers to them:
# fragmented arenas of Python, and the top of the C library's heap. A second run adds 1 or 2 MiB.
KEPT_MIB = size(12, 24)


class Delivery(NamedTuple):
    number: int
    delivery_count: int


@contextmanager
def receiving(connection_string: str) -> Iterator[ServiceBusReceiver]:
    with (
        ServiceBusClient.from_connection_string(connection_string) as client,
        client.get_queue_receiver(QUEUE) as receiver,
    ):
        yield receiver


def send(connection_string: str, numbers: range) -> None:
    with (
        ServiceBusClient.from_connection_string(connection_string) as client,
        client.get_queue_sender(QUEUE) as sender,
    ):
        for start in range(0, len(numbers), 100):
            batch = sender.create_message_batch()
            for number in numbers[start : start + 100]:
                text = json.dumps({"number": number, "padding": PADDING})
                # This takes a third of the client's time for a ServiceBusMessage.
                batch.add_message(AmqpAnnotatedMessage(data_body=[text.encode()]))
            sender.send_messages(batch)


def take_and_forget(connection_string: str, count: int) -> list[Delivery]:
    """Receives messages without settling them, like a client that dies."""
    deliveries: list[Delivery] = []
    with receiving(connection_string) as receiver:
        while len(deliveries) < count:
            for message in receiver.receive_messages(min(100, count - len(deliveries)), max_wait_time=30):
                number = json.loads(str(message))["number"]
                deliveries.append(Delivery(number, message.delivery_count or 0))
    return deliveries


def drain(connection_string: str) -> list[Delivery]:
    """Receives and completes messages until none has arrived for longer than a lock lasts."""
    deliveries: list[Delivery] = []
    with receiving(connection_string) as receiver:
        while messages := receiver.receive_messages(100, max_wait_time=2 * LOCK_SECONDS):
            for message in messages:
                deliveries.append(Delivery(json.loads(str(message))["number"], message.delivery_count or 0))
                # The keep-alive thread of azure-servicebus 7.15.0 also reads, every 30 s. When both threads read a
                # message at the same time, both messages get the same lock token, and one is delivered again.
                with suppress(MessageLockLostError):
                    receiver.complete_message(message)
    return deliveries


def pass_through(emulator: EmulatorProcess, pool: ProcessPoolExecutor, messages: int) -> list[Delivery]:
    """Sends all messages, then receives all of them; returns every delivery that a client has seen."""
    clients = [emulator.connection_string] * CLIENTS
    list(pool.map(send, clients, [range(messages)[part::CLIENTS] for part in range(CLIENTS)]))
    deliveries = take_and_forget(emulator.connection_string, FORGOTTEN)
    for drained in pool.map(drain, clients):
        deliveries += drained
    return deliveries


@pytest.mark.timeout(900)  # the long form takes two to three minutes on two cores
def test_no_message_is_lost_or_duplicated_and_memory_is_freed(tmp_path: Path) -> None:
    properties = {"LockDuration": f"PT{LOCK_SECONDS}S", "MaxDeliveryCount": 10}
    config = write_config(tmp_path / "Config.json", {QUEUE: properties})
    spawn = multiprocessing.get_context("spawn")
    with EmulatorProcess.start(config) as emulator, ProcessPoolExecutor(CLIENTS, mp_context=spawn) as pool:
        process = psutil.Process(emulator.pid)
        pass_through(emulator, pool, WARM_UP)
        before = process.memory_info().rss

        deliveries = pass_through(emulator, pool, MESSAGES)

        kept_mib = (process.memory_info().rss - before) / 2**20
        assert {each.number for each in deliveries} == set(range(MESSAGES))
        # The delivery count of a message increases only when its lock ends.
        assert len({(each.number, each.delivery_count) for each in deliveries}) == len(deliveries)
        assert emulator.queues() == [QueueCounts(QUEUE, active=0, locked=0, scheduled=0, dead_letter=0)]
        assert kept_mib < KEPT_MIB
        record("soak", messages=MESSAGES, deliveries=len(deliveries), kept_mib=round(kept_mib, 1))
