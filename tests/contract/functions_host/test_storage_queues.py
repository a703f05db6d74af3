"""Functions of storage queues, on a real Azurite."""

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.storage.queue import QueueClient, QueueServiceClient

from local.azurite import Azurite
from local.functions_host.errors import HostStartError
from local.functions_host.process import HostProcess
from tests.contract.functions_host.support import Events, wait_until

APP = Path(__file__).parent / "storage_app"
FAST = {"maxPollingInterval": "00:00:00.2", "maxDequeueCount": 2, "messageEncoding": "none"}


@pytest.fixture
def queue(azurite: Azurite) -> Iterator[QueueClient]:
    """A queue that no other test has."""
    with QueueServiceClient.from_connection_string(azurite.connection_string) as account:
        yield account.create_queue(f"one-{uuid.uuid4().hex}")


@pytest.fixture
def poison(azurite: Azurite, queue: QueueClient) -> Iterator[QueueClient]:
    with QueueServiceClient.from_connection_string(azurite.connection_string) as account:
        yield account.get_queue_client(f"{queue.queue_name}-poison")


@pytest.fixture
def events(tmp_path: Path) -> Events:
    return Events(tmp_path)


@pytest.fixture
def start(azurite: Azurite, queue: QueueClient, events: Events, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Starts a host of the app with the given options of the extension."""
    started: list[HostProcess] = []

    def run(**options: Any) -> None:
        app_dir = tmp_path / "app"
        app_dir.mkdir()
        (app_dir / "function_app.py").write_text((APP / "function_app.py").read_text())
        (app_dir / "host.json").write_text(json.dumps({"version": "2.0", "extensions": {"queues": FAST | options}}))
        settings = {
            "EVENTS_FILE": str(events.file),
            "ONE_QUEUE": str(queue.queue_name),
            "Account": azurite.connection_string,
        }
        started.append(HostProcess.start(app_dir, env=settings, log_file=tmp_path / "host.log"))

    yield run
    for host in started:
        host.kill()


def left(queue: QueueClient) -> int:
    return queue.get_queue_properties().approximate_message_count or 0


def test_a_message_comes_with_its_metadata_and_is_deleted(
    queue: QueueClient, events: Events, start: Callable[..., None]
) -> None:
    start()
    sent = queue.send_message('{"n": 1, "text": "é"}')
    wait_until(lambda: events.ends("one"), "the function has run")
    (seen,) = events.messages("one")
    assert json.loads(seen["body"]) == {"n": 1, "text": "é"}
    assert (seen["id"], seen["dequeue_count"]) == (sent.id, 1)
    assert seen["pop_receipt"]
    wait_until(lambda: left(queue) == 0, "the message is deleted")


def test_a_base64_message_is_decoded_if_host_json_says_so_and_another_one_is_moved_to_the_poison_queue(
    queue: QueueClient, events: Events, start: Callable[..., None]
) -> None:
    start(messageEncoding="base64")
    queue.send_message("no base64!")
    queue.send_message(base64.b64encode(b'{"n": 2}').decode())
    wait_until(lambda: events.ends("one"), "the function has run")
    assert [each["body"] for each in events.messages("one")] == ['{"n": 2}']
    wait_until(lambda: left(queue) == 0, "both have left the queue")


def test_a_message_whose_function_fails_is_delivered_again_after_the_visibility_timeout(
    queue: QueueClient, events: Events, start: Callable[..., None]
) -> None:
    start(visibilityTimeout="00:00:01")
    queue.send_message('{"fail_attempts": 1}')
    wait_until(lambda: events.ends("one"), "the second delivery succeeds")
    assert [each["dequeue_count"] for each in events.messages("one")] == [1, 2]
    wait_until(lambda: left(queue) == 0, "the message is deleted, a moment after its function has ended")


def test_a_message_that_fails_too_often_is_moved_to_the_poison_queue_whose_function_fails_without_a_loop(
    queue: QueueClient, poison: QueueClient, events: Events, start: Callable[..., None]
) -> None:
    start()
    queue.send_message('{"fail_attempts": 9, "fail_always": true}')
    wait_until(lambda: events.starts("dead"), "the poison queue's function has run")
    assert [each["dequeue_count"] for each in events.messages("one")] == [1, 2]
    wait_until(lambda: left(queue) == 0, "it has left the queue")
    assert left(poison) == 1
    assert poison.peek_messages() == []  # invisible for ten minutes, as in Azure
    assert len(events.starts("dead")) == 1


def test_a_message_that_ended_its_worker_process_more_often_than_it_may_be_delivered_is_not_run_again(
    queue: QueueClient, events: Events, start: Callable[..., None]
) -> None:
    queue.send_message('{"n": 3}')
    for _ in range(2):
        queue.receive_message(visibility_timeout=1)
        wait_until(queue.peek_messages, "it is visible again")
    start()
    wait_until(lambda: events.starts("dead"), "it is moved")
    assert events.starts("one") == []


def test_a_message_whose_body_hides_its_metadata_reaches_the_poison_queue(
    queue: QueueClient, events: Events, start: Callable[..., None]
) -> None:
    start()
    queue.send_message('{"DequeueCount": "many"}')
    wait_until(lambda: left(queue) == 0, "it is moved")
    assert events.starts("one") == []


def test_so_many_messages_run_at_a_time_as_host_json_says(
    queue: QueueClient, events: Events, start: Callable[..., None]
) -> None:
    for _ in range(8):
        queue.send_message('{"gate": "gate"}')
    start(batchSize=1, newBatchThreshold=2)
    wait_until(lambda: len(events.starts("one")) == 3, "three run")
    events.open_gate("gate")
    wait_until(lambda: len(events.ends("one")) == 8, "all have run")
    assert events.most_at_a_time() <= 3


def test_an_app_whose_connection_has_no_setting_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "function_app.py").write_text((APP / "function_app.py").read_text())
    with pytest.raises(HostStartError, match="the connection Account has no setting"):
        HostProcess.start(tmp_path, env={"ONE_QUEUE": "one", "Account": ""})
