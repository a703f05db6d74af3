import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.exceptions import MessageLockLostError, ServiceBusConnectionError

from local.service_bus.control.client import ControlClient
from local.service_bus.process import EmulatorProcess
from tests.contract.service_bus.conftest import Endpoints, NewQueue, body, receive, receive_one
from tests.contract.service_bus.faults.conftest import Active, endpoints_of, send


def test_messages_survive_a_restart(control: ControlClient, retrying: Endpoints, queue: str) -> None:
    sender, receiver = retrying.sender(queue), retrying.receiver(queue)
    sender.send_messages([ServiceBusMessage("a"), ServiceBusMessage("b")])
    control.restart()
    assert control.is_healthy()
    assert [body(message) for message in receive(receiver, 2)] == [b"a", b"b"]


def test_messages_can_be_lost_in_a_restart_and_their_ids_with_them(
    control: ControlClient, retrying: Endpoints, new_queue: NewQueue, active: Active
) -> None:
    queue = new_queue(RequiresDuplicateDetection=True)
    sender, receiver = retrying.sender(queue), retrying.receiver(queue)
    for text in ("locked", "active"):
        send(sender, text)
    receive_one(receiver)
    control.restart(lose_messages=True)
    assert active(queue) == 0
    send(sender, "active")
    assert [body(message) for message in receiver.receive_messages(2, max_wait_time=30)] == [b"active"]


def test_the_state_of_a_session_is_lost_with_the_messages(
    control: ControlClient, retrying: Endpoints, new_queue: NewQueue
) -> None:
    queue = new_queue(RequiresSession=True)
    session: Any = retrying.receiver(queue, session_id="s").session
    session.set_state(b"kept")
    control.restart()
    session = retrying.receiver(queue, session_id="s").session
    assert session.get_state() == b"kept"
    control.restart(lose_messages=True)
    session = retrying.receiver(queue, session_id="s").session
    assert session.get_state() is None


def test_a_restart_ends_the_locks_without_counting_deliveries(
    control: ControlClient, retrying: Endpoints, queue: str
) -> None:
    receiver = retrying.receiver(queue)
    send(retrying.sender(queue))
    message = receive_one(receiver)
    control.restart()
    with pytest.raises(MessageLockLostError):
        receiver.complete_message(message)
    again = receive_one(receiver)
    assert (body(again), again.delivery_count) == (b"x", 0)
    receiver.complete_message(again)


@pytest.fixture
def patient(emulator: EmulatorProcess) -> Iterator[Endpoints]:
    """Senders and receivers of a client that retries for as long as a test holds it up."""
    with endpoints_of(emulator, retry_total=3_000, retry_mode="fixed", retry_backoff_factor=0.1) as opened:
        yield opened


def test_a_retry_bridges_an_outage(control: ControlClient, patient: Endpoints, queue: str, active: Active) -> None:
    sender = patient.sender(queue)
    control.restart(None)
    assert not control.is_healthy()
    with ThreadPoolExecutor() as executor:
        sent = executor.submit(send, sender)
        with pytest.raises(TimeoutError):
            sent.result(timeout=0.3)
        control.resume()
        sent.result(timeout=120)
    assert control.is_healthy()
    assert active(queue) == 1


def test_an_outage_lasts_until_it_is_ended(control: ControlClient, emulator: EmulatorProcess, queue: str) -> None:
    control.restart(None)
    with (
        ServiceBusClient.from_connection_string(emulator.connection_string, retry_total=0) as client,
        pytest.raises(ServiceBusConnectionError),
    ):
        client.get_queue_sender(queue).__enter__()
    control.resume()
    assert control.is_healthy()
    with socket.create_connection(("127.0.0.1", emulator.amqp_port), timeout=30):
        pass


def test_the_port_stays_reserved_in_an_outage(control: ControlClient, emulator: EmulatorProcess) -> None:
    control.restart(None)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", emulator.amqp_port))


def test_the_last_of_several_restarts_counts(control: ControlClient) -> None:
    control.restart(0.05)
    control.restart(None)
    control.restart(3600)
    time.sleep(0.1)  # the first restart would have ended by now
    assert not control.is_healthy()
    control.restart(0)
    assert control.is_healthy()
    control.resume()
    assert control.is_healthy()


def test_restarts_at_once_are_done_one_after_the_other(control: ControlClient) -> None:
    with ThreadPoolExecutor(8) as executor:
        for restarted in [executor.submit(control.restart) for _ in range(40)]:
            restarted.result()
    assert control.is_healthy()


def test_an_emulator_stops_cleanly_in_an_outage(tmp_path_factory: pytest.TempPathFactory) -> None:
    log = tmp_path_factory.mktemp("log") / "log"
    with EmulatorProcess.start(log_file=log) as emulator:
        emulator.control.restart(0.2)
        emulator.control.restart(3600)
    assert "Traceback" not in log.read_text()
