import itertools
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceivedMessage,
    ServiceBusReceiver,
    ServiceBusSender,
)
from proton.utils import BlockingConnection

from local.service_bus.broker.counts import QueueCounts
from local.service_bus.process import EmulatorProcess
from tests.contract.service_bus.clients import Connect, Sdk, asynchronous, synchronous

_COMMON: dict[str, object] = {"LockDuration": "PT1M", "MaxDeliveryCount": 3, "DeadLetteringOnMessageExpiration": True}
# A short lock may end before the next call. The client's renewer renews a steady one ten seconds before its end, which
# is early enough on a busy machine, too.
_KINDS = {
    "plain": _COMMON,
    "short-lock": {**_COMMON, "LockDuration": "PT1S"},
    "steady-lock": {**_COMMON, "LockDuration": "PT15S"},
    "no-duplicates": {
        **_COMMON,
        "RequiresDuplicateDetection": True,
        "DuplicateDetectionHistoryTimeWindow": "PT5M",
    },
    "forgets-duplicates": {
        **_COMMON,
        "RequiresDuplicateDetection": True,
        "DuplicateDetectionHistoryTimeWindow": "PT5S",
    },
    "drops-expired": {**_COMMON, "DeadLetteringOnMessageExpiration": False},
    "short-lived": {**_COMMON, "DefaultMessageTimeToLive": "PT1S"},
    "sessions": {**_COMMON, "RequiresSession": True},
    "short-sessions": {**_COMMON, "RequiresSession": True, "LockDuration": "PT1S"},
    "steady-sessions": {**_COMMON, "RequiresSession": True, "LockDuration": "PT15S"},
    "small": {**_COMMON, "MaxSizeInMegabytes": 1},
}
_SUBSCRIPTIONS: list[dict[str, Any]] = [
    {"Name": "a"},
    {"Name": "b"},
    {"Name": "sessions", "Properties": {"RequiresSession": True}},
]
_CLIENTS = {"sync": synchronous, "aio": asynchronous}

NewQueue = Callable[..., str]
NewTopic = Callable[[], str]
Counts = Callable[[str], QueueCounts]
Drop = Callable[[ServiceBusSender | ServiceBusReceiver], None]


def write_config(path: Path, queues: dict[str, dict[str, object]], topics: int = 0) -> Path:
    entries = [{"Name": name, "Properties": properties} for name, properties in queues.items()]
    topic_entries = [{"Name": f"topic-{number}", "Subscriptions": _SUBSCRIPTIONS} for number in range(topics)]
    namespace = {"Name": "sbemulatorns", "Queues": entries, "Topics": topic_entries}
    path.write_text(json.dumps({"UserConfig": {"Namespaces": [namespace]}}))
    return path


def pytest_itemcollected(item: pytest.Item) -> None:
    """The tests of this folder wait for locks and time limits of the broker."""
    item.add_marker("waits")


@pytest.fixture(scope="session", autouse=True)
def _client_sockets() -> Iterator[None]:
    """Closes the client's sockets at the end; the client itself does not close those of lost connections or links."""
    opened: list[socket.socket] = []
    connect = socket.create_connection

    def remember(*args: Any, **options: Any) -> socket.socket:
        opened.append(connect(*args, **options))
        return opened[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "create_connection", remember)
        yield
    for raw in opened:
        raw.close()


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    with EmulatorProcess.start(write_config(tmp_path_factory.mktemp("emulator") / "Config.json", {})) as process:
        yield process


@pytest.fixture(scope="session")
def new_queue(emulator: EmulatorProcess) -> NewQueue:
    """Creates a queue of one of the kinds above, for one test."""
    numbers = itertools.count()

    def create(kind: str = "plain") -> str:
        name = f"{kind}-{next(numbers)}"
        emulator.control.create_queue(name, **_KINDS[kind])
        return name

    return create


@pytest.fixture(scope="session")
def new_topic(emulator: EmulatorProcess) -> NewTopic:
    """Creates a topic with the subscriptions above, for one test."""
    numbers = itertools.count()

    def create() -> str:
        name = f"topic-{next(numbers)}"
        emulator.control.create_topic(name)
        for subscription in _SUBSCRIPTIONS:
            emulator.control.create_subscription(name, subscription["Name"], **subscription.get("Properties", {}))
        return name

    return create


@pytest.fixture
def queue(new_queue: NewQueue) -> str:
    return new_queue()


@pytest.fixture(scope="session", params=_CLIENTS)
def connect(request: pytest.FixtureRequest) -> Connect:
    """Runs a test once with each client of azure-servicebus."""
    return _CLIENTS[request.param]


@pytest.fixture(scope="session")
def sdk(connect: Connect, emulator: EmulatorProcess) -> Iterator[Sdk]:
    with connect(emulator.connection_string) as connected:
        yield connected


@pytest.fixture(scope="session")
def client(sdk: Sdk) -> ServiceBusClient:
    return sdk.client


@pytest.fixture(scope="session")
def impatient_client(connect: Connect, emulator: EmulatorProcess) -> Iterator[ServiceBusClient]:
    """A client without retries, for refusals that other clients would retry."""
    with connect(emulator.connection_string, retry_total=0) as sdk:
        yield sdk.client


class Endpoints:
    """The senders and receivers of one test."""

    def __init__(self, client: ServiceBusClient) -> None:
        self._client = client
        self._opened: list[ServiceBusSender | ServiceBusReceiver] = []

    def sender(self, queue: str) -> ServiceBusSender:
        sender = self._client.get_queue_sender(queue)
        self._opened.append(sender)
        return sender.__enter__()

    def receiver(self, queue: str, **options: Any) -> ServiceBusReceiver:
        receiver = self._client.get_queue_receiver(queue, **options)
        self._opened.append(receiver)
        return receiver.__enter__()

    def topic_sender(self, topic: str) -> ServiceBusSender:
        sender = self._client.get_topic_sender(topic)
        self._opened.append(sender)
        return sender.__enter__()

    def subscription_receiver(self, topic: str, subscription: str, **options: Any) -> ServiceBusReceiver:
        receiver = self._client.get_subscription_receiver(topic, subscription, **options)
        self._opened.append(receiver)
        return receiver.__enter__()

    def close_in(self, executor: Executor) -> list[Future[None]]:
        """Starts to close all of them."""
        return [executor.submit(endpoint.close) for endpoint in self._opened]


@pytest.fixture(scope="session")
def closing_behind(client: ServiceBusClient) -> Iterator[Callable[[Endpoints], None]]:
    """Closes a test's senders and receivers in the background, because each takes the client up to a second."""
    closes: list[Future[None]] = []
    with ThreadPoolExecutor(16) as executor:
        yield lambda endpoints: closes.extend(endpoints.close_in(executor))
    for close in closes:
        close.result()


@pytest.fixture
def endpoints(client: ServiceBusClient, closing_behind: Callable[[Endpoints], None]) -> Iterator[Endpoints]:
    opened = Endpoints(client)
    yield opened
    closing_behind(opened)


@pytest.fixture
def counts(emulator: EmulatorProcess) -> Counts:
    return lambda name: next(entry for entry in emulator.queues() if entry.name == name)


@pytest.fixture
def wire(emulator: EmulatorProcess) -> Iterator[BlockingConnection]:
    """Another AMQP client, for options that azure-servicebus does not offer."""
    with closing(BlockingConnection(f"amqp://127.0.0.1:{emulator.amqp_port}", timeout=30)) as connection:
        yield connection


@pytest.fixture
def drop() -> Iterator[Drop]:
    """Cuts the connection of a sender or receiver, and closes its socket at the end, because the client does not."""
    with ExitStack() as stack:

        def take(endpoint: ServiceBusSender | ServiceBusReceiver) -> None:
            handler: Any = endpoint._handler
            transport = handler._connection._transport
            if transport.sock:
                stack.enter_context(closing(transport.sock)).shutdown(socket.SHUT_RDWR)
            else:
                transport.writer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

        yield take


def body(message: ServiceBusReceivedMessage) -> bytes:
    """The data of a message, joined."""
    return b"".join(message.body)


def receive_one(receiver: ServiceBusReceiver) -> ServiceBusReceivedMessage:
    [message] = receiver.receive_messages(1, max_wait_time=30)
    return message


def receive(receiver: ServiceBusReceiver, number: int) -> list[ServiceBusReceivedMessage]:
    """So many messages. On a busy machine the client returns fewer of them at a time, even if all are there."""
    received: list[ServiceBusReceivedMessage] = []
    while len(received) < number:
        page = receiver.receive_messages(number - len(received), max_wait_time=30)
        assert page, f"only {len(received)} of {number} messages arrived"
        received += page
    return received


def has_passed(moment: datetime | None) -> bool:
    """Whether a lock that ended at `moment` is over, by half a second."""
    assert moment
    return datetime.now(UTC) > moment + timedelta(seconds=0.5)


def numbered(count: int) -> list[ServiceBusMessage]:
    """Messages whose bodies are `numbers(count)`."""
    return [ServiceBusMessage(number) for number in numbers(count)]


def numbers(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits up to a minute until `condition` is true."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.05)
