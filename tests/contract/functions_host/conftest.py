import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from local.functions_host.process import HostProcess
from local.service_bus.process import EmulatorProcess
from tests.contract.functions_host.support import SAMPLE_APP, Events, copy_app

QUEUES = ("one", "many", "async", "dead")
TOPIC = "news"
SUBSCRIPTIONS = ("one", "many")
LOCK = "PT5M"
"""Longer than a test takes."""
Send = Callable[[str, list[ServiceBusMessage]], None]


@pytest.fixture(scope="session")
def emulator_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    queues = [{"Name": name, "Properties": properties(LOCK)} for name in QUEUES]
    subscriptions = [{"Name": name, "Properties": properties(LOCK)} for name in SUBSCRIPTIONS]
    topics = [{"Name": TOPIC, "Properties": {}, "Subscriptions": subscriptions}]
    namespaces = [{"Name": "sbemulatorns", "Queues": queues, "Topics": topics}]
    path = tmp_path_factory.mktemp("emulator") / "Config.json"
    path.write_text(json.dumps({"UserConfig": {"Namespaces": namespaces, "Logging": {"Type": "File"}}}))
    return path


@pytest.fixture(scope="session")
def shared_emulator(emulator_config: Path) -> Iterator[EmulatorProcess]:
    with EmulatorProcess.start(emulator_config) as process:
        yield process


@pytest.fixture
def lock() -> str:
    """How long a message stays locked; tests that wait for the end of a lock override it."""
    return LOCK


@pytest.fixture
def emulator(shared_emulator: EmulatorProcess, lock: str) -> EmulatorProcess:
    """The shared emulator with new, empty queues and a new topic."""
    control = shared_emulator.control
    for name in QUEUES:
        control.delete_queue(name)
        control.create_queue(name, **properties(lock))
    control.delete_topic(TOPIC)
    control.create_topic(TOPIC)
    for name in SUBSCRIPTIONS:
        control.create_subscription(TOPIC, name, **properties(lock))
    return shared_emulator


def properties(lock: str) -> dict[str, object]:
    return {"LockDuration": lock, "MaxDeliveryCount": 3}


@pytest.fixture
def events(tmp_path: Path) -> Events:
    return Events(tmp_path)


@pytest.fixture
def make_app(tmp_path: Path) -> Callable[..., Path]:
    """Copies the sample app with the given options of the Service Bus extension, and two concurrent calls.

    Azure's default of 16 calls would open about a hundred connections.
    """
    return lambda **options: copy_app(tmp_path / "app", {"maxConcurrentCalls": 2, **options})


@pytest.fixture
def send(emulator: EmulatorProcess) -> Send:
    return sender(emulator.connection_string)


@pytest.fixture
def start_host(events: Events, emulator: EmulatorProcess, tmp_path: Path) -> Iterator[Callable[..., HostProcess]]:
    """Starts a host that is connected to the emulator; its log is host.log in tmp_path."""
    started: list[HostProcess] = []

    def start(app_dir: Path, batch_concurrency: int = 2, **env: str) -> HostProcess:
        settings = {"EVENTS_FILE": str(events.file), "ONE_QUEUE": "one", "Broker": emulator.connection_string, **env}
        host = HostProcess.start(
            app_dir, env=settings, log_file=tmp_path / "host.log", batch_concurrency=batch_concurrency
        )
        started.append(host)
        return host

    yield start
    for host in started:
        host.kill()  # a clean stop would wait, and has its own tests


@pytest.fixture
def start_process(
    events: Events, emulator: EmulatorProcess, tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a host with command-line arguments and waits until it is ready."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        settings = {"EVENTS_FILE": str(events.file), "ONE_QUEUE": "one", "Broker": emulator.connection_string}
        command = [sys.executable, "-m", "local.functions_host", "--app-dir", str(SAMPLE_APP), "--port", "0"]
        with (tmp_path / "host.log").open("ab") as log:
            process = subprocess.Popen(
                [*command, *arguments],
                env={**os.environ, **settings},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        started.append(process)
        assert process.stdout
        assert "http_port" in json.loads(process.stdout.readline())
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe
            pipe.close()


def sender(connection_string: str) -> Send:
    """Sends messages to a queue as one batch, with a new client for each call."""

    def send(queue: str, messages: list[ServiceBusMessage]) -> None:
        with (
            ServiceBusClient.from_connection_string(connection_string) as client,
            client.get_queue_sender(queue) as to_queue,
        ):
            to_queue.send_messages(messages)

    return send
