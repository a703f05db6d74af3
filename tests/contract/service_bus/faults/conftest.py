"""Fixtures for faults and restarts: each module has its own emulator, so that faults do not affect other tests."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSender

from local.service_bus.control.client import ControlClient
from local.service_bus.process import EmulatorProcess
from tests.contract.service_bus.conftest import Endpoints, NewQueue, write_config

Active = Callable[[str], int]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    with EmulatorProcess.start(write_config(tmp_path_factory.mktemp("emulator") / "Config.json", {})) as process:
        yield process


@pytest.fixture
def control(emulator: EmulatorProcess) -> Iterator[ControlClient]:
    yield emulator.control
    emulator.control.clear_faults()
    emulator.control.resume()


@pytest.fixture(scope="module")
def new_queue(emulator: EmulatorProcess) -> NewQueue:
    """Creates a queue with the given properties."""
    numbers = itertools.count()

    def create(**properties: object) -> str:
        name = f"q-{next(numbers)}"
        emulator.control.create_queue(name, **properties)
        return name

    return create


@pytest.fixture
def queue(new_queue: NewQueue) -> str:
    return new_queue()


@contextmanager
def endpoints_of(emulator: EmulatorProcess, **options: Any) -> Iterator[Endpoints]:
    """Senders and receivers of a new client; they are closed concurrently, because each takes up to a second."""
    with ServiceBusClient.from_connection_string(emulator.connection_string, **options) as client:
        opened = Endpoints(client)
        yield opened
        with ThreadPoolExecutor(32) as executor:
            list(executor.map(lambda endpoint: endpoint.close(), opened._opened))


@pytest.fixture(scope="module")
def endpoints(emulator: EmulatorProcess) -> Iterator[Endpoints]:
    """Senders and receivers of a client that does not retry, so that it reports every fault."""
    with endpoints_of(emulator, retry_total=0) as opened:
        yield opened


@pytest.fixture(scope="module")
def retrying(emulator: EmulatorProcess) -> Iterator[Endpoints]:
    """Senders and receivers of a client that retries more often and sooner than by default."""
    with endpoints_of(emulator, retry_total=6, retry_backoff_factor=0.1) as opened:
        yield opened


@pytest.fixture
def active(control: ControlClient) -> Active:
    return lambda name: next(counts.active for counts in control.queues() if counts.name == name)


def send(sender: ServiceBusSender, text: str = "x") -> None:
    sender.send_messages(ServiceBusMessage(text, message_id=text))
