from collections.abc import Iterator
from contextlib import closing, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest
from azure.servicebus import ServiceBusClient
from azure.storage.queue import QueueServiceClient
from typing_extensions import override

import connections
import repositories.service_bus
from core.errors import MessageTooLargeError, QueueNotFoundError
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE, Transport
from core.message_traces import traceparent_of
from core.messages import OutgoingMessage, TaskMessage
from core.telemetry import Telemetry, telemetry, use
from local.azurite import Azurite
from local.service_bus.faults import Moment
from local.service_bus.process import EmulatorProcess
from repositories import storage_account
from repositories.ports import MessageQueue
from repositories.service_bus import Deadlines, ServiceBusRepository, by_connection_string
from repositories.storage_queues import StorageQueueRepository
from settings import Settings
from tests.contract.repositories.building import JOB, batch_of
from tests.fakes.queue import FakeQueue
from tests.support.waiting import LONG_SECONDS, wait_until

_QUEUES = (JOBS_QUEUE, TASKS_QUEUE, BATCHES_QUEUE, URGENT_TASKS_QUEUE, LONG_TASKS_QUEUE)
_LONG_SECONDS = LONG_SECONDS
"""Longer than a busy machine holds up a client or a broker."""
_DEADLINES = Deadlines(*[_LONG_SECONDS] * 4)
_TRACEPARENT = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


class QueueHarness(Protocol):
    """One implementation under test, and the receiving end of its queues."""

    carries_ids: bool
    """Whether messages arrive in the order in which they were sent, each with its id."""

    @property
    def queue(self) -> MessageQueue: ...

    def now(self) -> datetime:
        """The broker's clock."""

    def pass_time(self, seconds: float) -> None:
        """Lets time pass, or leaves it to `receive` to wait for what is due."""

    def receive(self, name: str, count: int) -> list[OutgoingMessage]:
        """Receives that many messages of a queue."""

    def visible(self, name: str) -> int:
        """How many messages of a queue could be received now."""

    def traces(self) -> dict[str, str]:
        """The trace contexts of received messages, by message id."""


class FakeQueueHarness:
    carries_ids = True

    def __init__(self) -> None:
        self.queue = FakeQueue()

    def now(self) -> datetime:
        return self.queue.clock.now()

    def pass_time(self, seconds: float) -> None:
        self.queue.clock.advance(seconds)

    def receive(self, name: str, count: int) -> list[OutgoingMessage]:
        return self.queue.receive(name)

    def visible(self, name: str) -> int:
        return self.queue.size(name) - len(self.queue.scheduled(name))

    def traces(self) -> dict[str, str]:
        return self.queue.traceparents


class ServiceBusHarness:
    carries_ids = True

    def __init__(self, emulator: EmulatorProcess, queue: ServiceBusRepository, client: ServiceBusClient) -> None:
        self.queue = queue
        self.connection_string = emulator.connection_string
        self._emulator = emulator
        self._client = client
        self._traces: dict[str, str] = {}

    def traces(self) -> dict[str, str]:
        return self._traces

    def now(self) -> datetime:
        return datetime.now(UTC)

    def pass_time(self, seconds: float) -> None:
        pass

    def receive(self, name: str, count: int) -> list[OutgoingMessage]:
        received: list[OutgoingMessage] = []
        with self._client.get_queue_receiver(name) as receiver:
            while len(received) < count:
                batch = receiver.receive_messages(count - len(received), max_wait_time=_LONG_SECONDS)
                assert batch, f"{len(received)} of {count} messages arrived"
                for message in batch:
                    assert message.content_type == "application/json"
                    received.append(OutgoingMessage(b"".join(message.body), message.message_id or ""))
                    for value in set((message.application_properties or {}).values()):
                        assert isinstance(value, bytes)
                        self._traces[message.message_id or ""] = value.decode()
                    receiver.complete_message(message)
        return received

    def visible(self, name: str) -> int:
        (counts,) = [counts for counts in self._emulator.queues() if counts.name == name]
        return counts.active


@pytest.fixture(scope="module")
def service_bus_harness() -> Iterator[ServiceBusHarness]:
    # An emulator of its own: a message that is scheduled for later stays in it.
    with (
        EmulatorProcess.start() as emulator,
        ServiceBusClient.from_connection_string(emulator.connection_string) as client,
        closing(by_connection_string(emulator.connection_string, _QUEUES, _DEADLINES)) as queue,
    ):
        yield ServiceBusHarness(emulator, queue, client)


class StorageQueueHarness:
    carries_ids = False

    def __init__(self, queue: StorageQueueRepository, account: QueueServiceClient) -> None:
        self.queue = queue
        self._account = account

    def now(self) -> datetime:
        return datetime.now(UTC)

    def pass_time(self, seconds: float) -> None:
        pass

    def receive(self, name: str, count: int) -> list[OutgoingMessage]:
        received: list[OutgoingMessage] = []

        def has_all() -> bool:
            for message in self._account.get_queue_client(name).receive_messages(messages_per_page=32):
                received.append(OutgoingMessage(str(message.content).encode(), ""))
                self._account.get_queue_client(name).delete_message(message)
            return len(received) >= count

        wait_until(has_all, _LONG_SECONDS)
        return received

    def visible(self, name: str) -> int:
        return len(self._account.get_queue_client(name).peek_messages(32))


@pytest.fixture
def storage_harness(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Iterator[StorageQueueHarness]:
    monkeypatch.setattr(storage_account, "_CONNECT_SECONDS", _LONG_SECONDS)
    monkeypatch.setattr(storage_account, "_READ_SECONDS", _LONG_SECONDS)
    client = storage_account.by_connection_string(azurite.connection_string)
    with (
        QueueServiceClient.from_connection_string(azurite.connection_string) as account,
        closing(StorageQueueRepository(client, _QUEUES, _LONG_SECONDS, _LONG_SECONDS)) as queue,
    ):
        queue.ping()
        for name in _QUEUES:
            account.get_queue_client(name).clear_messages()
        yield StorageQueueHarness(queue, account)


@pytest.fixture(params=["fake", "service_bus", "storage"])
def harness(request: pytest.FixtureRequest) -> QueueHarness:
    if request.param == "fake":
        return FakeQueueHarness()
    harness: QueueHarness = request.getfixturevalue(f"{request.param}_harness")
    return harness


@pytest.fixture
def queue(harness: QueueHarness) -> MessageQueue:
    return harness.queue


def test_a_full_batch_arrives_message_by_message(harness: QueueHarness) -> None:
    sent = [message.outgoing() for message in batch_of(100).messages()]
    result = harness.queue.batch_send_messages(TASKS_QUEUE, sent)
    assert (result.success, result.sent, result.error) == (True, 100, None)
    received = harness.receive(TASKS_QUEUE, 100)
    if harness.carries_ids:
        assert received == sent
    assert sorted(message.body for message in received) == [message.body for message in sent]
    assert sent[0].message_id == f"{JOB}-s01-t0000000:1"
    assert harness.visible(TASKS_QUEUE) == 0


class _Traced(Telemetry):
    """Works for a trace."""

    @override
    def sending(self, queue_name: str, count: int, transport: Transport = Transport.SERVICE_BUS) -> nullcontext[str]:
        return nullcontext(_TRACEPARENT)


@pytest.fixture
def _traced() -> Iterator[None]:
    before = telemetry()
    use(_Traced())
    yield
    use(before)


@pytest.mark.usefixtures("_traced")
@pytest.mark.parametrize("count", [1, 100])
def test_messages_carry_the_trace_context_of_what_sends_them(harness: QueueHarness, count: int) -> None:
    sent = [message.outgoing() for message in batch_of(count).messages()]
    assert harness.queue.batch_send_messages(TASKS_QUEUE, sent).success
    received = harness.receive(TASKS_QUEUE, count)
    decoded = [TaskMessage.decode(message.body) for message in received]
    assert sorted(each.outgoing().body for each in decoded) == [message.body for message in sent]
    if harness.carries_ids:
        traces = harness.traces()
        assert {each.message_id: traces.get(each.message_id) for each in sent} == dict.fromkeys(
            (each.message_id for each in sent), _TRACEPARENT
        )
    else:  # neither ids nor properties
        assert {traceparent_of(message.body) for message in received} == {_TRACEPARENT}


def test_a_batch_goes_to_its_own_queue(harness: QueueHarness) -> None:
    for name in _QUEUES:
        assert harness.queue.batch_send_messages(name, [OutgoingMessage(name.encode(), "id")]).success
    assert [harness.receive(name, 1)[0].body for name in _QUEUES] == [name.encode() for name in _QUEUES]


def test_sending_nothing_succeeds(queue: MessageQueue) -> None:
    result = queue.batch_send_messages(TASKS_QUEUE, [])
    assert (result.success, result.sent) == (True, 0)


def test_a_queue_that_does_not_exist_is_named(harness: QueueHarness) -> None:
    result = harness.queue.batch_send_messages("sb-nowhere", [OutgoingMessage(b"{}", "id")])
    assert (result.success, result.sent) == (False, 0)
    assert isinstance(result.error, QueueNotFoundError)
    assert "sb-nowhere" in str(result.error)


def test_a_failed_send_does_not_spoil_the_next(harness: QueueHarness) -> None:
    harness.queue.batch_send_messages("sb-nowhere", [OutgoingMessage(b"{}", "id")])
    assert harness.queue.batch_send_messages(TASKS_QUEUE, [OutgoingMessage(b"{}", "id")]).success
    assert len(harness.receive(TASKS_QUEUE, 1)) == 1


def test_a_batch_over_the_limit_sends_nothing(harness: QueueHarness) -> None:
    big = OutgoingMessage(b"x" * 200_000, "big")
    result = harness.queue.batch_send_messages(TASKS_QUEUE, [OutgoingMessage(b"small", "small"), *[big] * 10])
    assert (result.success, result.sent) == (False, 0)
    assert isinstance(result.error, MessageTooLargeError)
    assert harness.visible(TASKS_QUEUE) == 0


def test_a_scheduled_message_waits_for_its_time(harness: QueueHarness) -> None:
    later = harness.now() + timedelta(hours=1)
    messages = [OutgoingMessage(b"later", "later", enqueue_at=later), OutgoingMessage(b"now", "now")]
    assert harness.queue.batch_send_messages(TASKS_QUEUE, messages).success
    assert harness.visible(TASKS_QUEUE) == 1
    assert [message.body for message in harness.receive(TASKS_QUEUE, 1)] == [b"now"]


def test_a_scheduled_message_arrives_when_its_time_has_come(harness: QueueHarness) -> None:
    due_at = harness.now() + timedelta(seconds=1)
    harness.queue.batch_send_messages(TASKS_QUEUE, [OutgoingMessage(b"due", "due", enqueue_at=due_at)])
    harness.pass_time(1)
    assert [message.body for message in harness.receive(TASKS_QUEUE, 1)] == [b"due"]
    assert harness.now() >= due_at


def test_a_message_whose_time_has_passed_arrives_at_once(harness: QueueHarness) -> None:
    message = OutgoingMessage(b"past", "past", enqueue_at=harness.now() - timedelta(hours=1))
    harness.queue.batch_send_messages(TASKS_QUEUE, [message])
    assert len(harness.receive(TASKS_QUEUE, 1)) == 1


def test_a_broker_with_all_its_queues_answers_a_ping(queue: MessageQueue) -> None:
    assert queue.ping() == []


def test_a_ping_tells_a_queue_that_may_be_missing_from_one_that_may_not(service_bus_harness: ServiceBusHarness) -> None:
    address = service_bus_harness.connection_string
    optional = [URGENT_TASKS_QUEUE, BATCHES_QUEUE, "sb-nowhere"]
    with closing(by_connection_string(address, _QUEUES, _DEADLINES, optional_queues=optional)) as queue:
        assert queue.ping() == ["sb-nowhere"]
    needed = [*_QUEUES, "sb-nowhere"]
    refused = pytest.raises(QueueNotFoundError, match="sb-nowhere")
    with closing(by_connection_string(address, needed, _DEADLINES)) as queue, refused:
        queue.ping()


def test_a_ping_names_the_queues_of_others_that_take_nothing(
    service_bus: EmulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those are missing, or refuse; it does not try again, as the client does after a refusal."""
    address, foreign = service_bus.connection_string, [JOBS_QUEUE, "nobodys-queue"]
    with closing(by_connection_string(address, [TASKS_QUEUE], _DEADLINES, foreign_queues=foreign)) as queue:
        assert queue.ping() == ["nobodys-queue"]
        service_bus.control.refuse("amqp:unauthorized-access", Moment.ATTACH, entity=JOBS_QUEUE)
        assert sorted(queue.ping()) == ["nobodys-queue", JOBS_QUEUE]
        assert queue.ping() == ["nobodys-queue"]
    monkeypatch.setattr(repositories.service_bus, "Deadlines", lambda: _DEADLINES)
    environment = {"DATABASE_URL": "postgresql://", "ServiceBusConnection": address, "JOB_EVENTS": "nobodys-queue"}
    with closing(connections.message_queue(Settings.from_environment(environment))) as queue:
        assert queue.ping() == ["nobodys-queue"]
