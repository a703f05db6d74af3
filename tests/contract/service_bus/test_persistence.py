"""With a data file, everything that the emulator has acknowledged survives a kill -9."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusMessageState,
    ServiceBusReceiver,
    ServiceBusSubQueue,
)
from azure.servicebus.exceptions import ServiceBusError

from local.service_bus.process import EmulatorProcess
from tests.contract.service_bus.conftest import body, receive, receive_one, write_config

_QUEUES: dict[str, dict[str, object]] = {
    "q": {"MaxDeliveryCount": 10, "LockDuration": "PT5M"},
    "sessions": {"RequiresSession": True, "LockDuration": "PT5M"},
    "once": {"MaxDeliveryCount": 1},
}

Start = Callable[[], EmulatorProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Kills the previous emulator and starts one on the same data file."""
    config = write_config(tmp_path / "Config.json", _QUEUES, topics=1)
    running: list[EmulatorProcess] = []

    def start() -> EmulatorProcess:
        for process in running:
            process.kill()
        running.append(EmulatorProcess.start(config, arguments=["--data", str(tmp_path / "data.sqlite")]))
        return running[-1]

    yield start
    for process in running:
        process.kill()


def connected(emulator: EmulatorProcess) -> ServiceBusClient:
    return ServiceBusClient.from_connection_string(emulator.connection_string, retry_total=0)


def send(emulator: EmulatorProcess, queue: str, messages: list[ServiceBusMessage]) -> None:
    with connected(emulator) as client, client.get_queue_sender(queue) as sender:
        sender.send_messages(messages)


def receive_all(emulator: EmulatorProcess, entity: str, receiver: ServiceBusReceiver) -> list[bytes]:
    """Completes all messages, as many as the emulator counts: on a busy machine they may come late."""
    received: list[bytes] = []
    number = active(emulator, entity)
    while len(received) < number:
        messages = receiver.receive_messages(100, max_wait_time=30)
        assert messages, f"only {len(received)} of {number} messages arrived"
        for message in messages:
            receiver.complete_message(message)
        received += map(body, messages)
    return received


def active(emulator: EmulatorProcess, entity: str) -> int:
    [counts] = [counts for counts in emulator.queues() if counts.name == entity]
    return counts.active


def test_acknowledged_messages_survive_and_completed_ones_do_not(start: Start) -> None:
    emulator = start()
    send(emulator, "q", [ServiceBusMessage(str(number)) for number in range(100)])
    with connected(emulator) as client, client.get_queue_receiver("q") as receiver:
        for message in receive(receiver, 40):
            receiver.complete_message(message)
    emulator = start()
    with connected(emulator) as client, client.get_queue_receiver("q") as receiver:
        assert receive_all(emulator, "q", receiver) == [str(number).encode() for number in range(40, 100)]
    assert active(start(), "q") == 0


def test_messages_of_every_state_survive(start: Start) -> None:
    emulator = start()
    send(emulator, "q", [ServiceBusMessage(text) for text in ("abandoned", "deferred", "buried", "locked")])
    with connected(emulator) as client:
        with client.get_queue_receiver("q") as receiver:
            abandoned, deferred, buried, _ = receive(receiver, 4)
            number = deferred.sequence_number
            assert number
            receiver.abandon_message(abandoned)
            receiver.defer_message(deferred)
            receiver.dead_letter_message(buried, reason="r", error_description="d")
        with client.get_queue_sender("q") as sender:
            later = datetime.now(UTC) + timedelta(hours=1)
            [scheduled] = sender.schedule_messages(ServiceBusMessage("scheduled"), later)
    emulator = start()
    with connected(emulator) as client, client.get_queue_receiver("q") as receiver:
        # A lock does not survive, and its delivery is not counted.
        messages = receive(receiver, 2)
        assert {body(m): m.delivery_count for m in messages} == {b"abandoned": 1, b"locked": 0}
        assert [body(message) for message in receiver.receive_deferred_messages(number)] == [b"deferred"]
        [peeked] = receiver.peek_messages(sequence_number=scheduled)
        assert (body(peeked), peeked.state) == (b"scheduled", ServiceBusMessageState.SCHEDULED)
        with client.get_queue_receiver("q", sub_queue=ServiceBusSubQueue.DEAD_LETTER) as dead:
            letter = receive_one(dead)
        assert (letter.dead_letter_reason, letter.dead_letter_error_description) == ("r", "d")


def test_sequence_numbers_continue_after_a_kill(start: Start) -> None:
    emulator = start()
    send(emulator, "q", [ServiceBusMessage("a"), ServiceBusMessage("b")])
    with connected(emulator) as client, client.get_queue_receiver("q") as receiver:
        assert receive_all(emulator, "q", receiver) == [b"a", b"b"]
    emulator = start()
    send(emulator, "q", [ServiceBusMessage("c")])
    with connected(emulator) as client, client.get_queue_receiver("q") as receiver:
        assert receive_one(receiver).sequence_number == 3


def test_sessions_survive_with_their_state(start: Start) -> None:
    emulator = start()
    send(emulator, "sessions", [ServiceBusMessage("a", session_id="s")])
    with connected(emulator) as client, client.get_queue_receiver("sessions", session_id="s") as receiver:
        assert receiver.session
        receiver.session.set_state(b"half way")
    emulator = start()
    with connected(emulator) as client, client.get_queue_receiver("sessions", session_id="s") as receiver:
        assert receiver.session
        assert receiver.session.get_state() == b"half way"
        assert receive_all(emulator, "sessions", receiver) == [b"a"]


def test_the_copies_of_subscriptions_survive(start: Start) -> None:
    with connected(start()) as client, client.get_topic_sender("topic-0") as sender:
        sender.send_messages(ServiceBusMessage("a"))
    emulator = start()
    with connected(emulator) as client:
        for subscription in ("a", "b"):
            with client.get_subscription_receiver("topic-0", subscription) as receiver:
                assert receive_all(emulator, f"topic-0/Subscriptions/{subscription}", receiver) == [b"a"]


# After the broker's death the client leaves its socket to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("batches_before_the_kill", [1, 7, 30])
def test_a_kill_while_sending_loses_no_acknowledged_batch_and_splits_none(
    start: Start, batches_before_the_kill: int
) -> None:
    emulator = start()
    acknowledged: list[int] = []
    enough = threading.Event()

    def send_until_killed() -> None:
        with connected(emulator) as client, client.get_queue_sender("q") as sender:
            for batch in range(1_000_000):
                try:
                    sender.send_messages([ServiceBusMessage(f"{batch}-{index}") for index in range(50)])
                except ServiceBusError:
                    return
                acknowledged.append(batch)
                if len(acknowledged) == batches_before_the_kill:
                    enough.set()

    thread = threading.Thread(target=send_until_killed)
    thread.start()
    assert enough.wait(200)
    emulator.kill()
    thread.join()
    emulator = start()
    with connected(emulator) as client, client.get_queue_receiver("q") as receiver:
        received = [text.decode() for text in receive_all(emulator, "q", receiver)]
    batches = {int(text.split("-")[0]) for text in received}
    assert batches.issuperset(acknowledged)
    assert sorted(received) == sorted(f"{batch}-{index}" for batch in batches for index in range(50))


def complaint_about(data: Path) -> str:
    command = [sys.executable, "-m", "local.service_bus", "--port", "0", "--http-port", "0", "--data", str(data)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert ended.returncode == 1
    return ended.stderr


def test_a_file_that_is_not_a_data_file_is_one_clear_line(tmp_path: Path) -> None:
    data = tmp_path / "notes.txt"
    data.write_text("not a database, and long enough to be read as one" * 10)
    assert "notes.txt cannot be used: file is not a database" in complaint_about(data)
    assert data.read_text().startswith("not a database")


def test_a_data_file_in_use_is_one_clear_line(start: Start, tmp_path: Path) -> None:
    start()
    assert "data.sqlite cannot be used: database is locked" in complaint_about(tmp_path / "data.sqlite")
