"""Jobs whose messages travel by Storage Queues, on the real database and a real Azurite."""

import json
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueServiceClient

import bootstrap
from controllers import authoring as lockstep
from core.errors import QueueUnavailableError
from core.lanes import (
    BATCHES_QUEUE,
    JOBS_QUEUE,
    LONG_TASKS_QUEUE,
    TASKS_QUEUE,
    URGENT_TASKS_QUEUE,
    Transport,
    poison_queue,
)
from core.messages import JobMessage, OutgoingMessage, ReceivedMessage
from core.statuses import JobStatus
from engine.process.keeping import UNREADABLE
from local.azurite import Azurite
from local.service_bus.process import EmulatorProcess
from repositories.ports import SendResult
from repositories.storage_queues import StorageQueueRepository
from settings import Settings
from tests.integration.job_types import counting_job
from tests.support.app_transport import ServiceBusTransport
from tests.support.long_deadlines import LONG_DEADLINES
from tests.support.mailbox import Mailbox
from tests.support.waiting import wait_until
from wiring import App

QUEUES = (JOBS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE, BATCHES_QUEUE, LONG_TASKS_QUEUE)


class Runs:
    """A handler that counts the runs of each task."""

    def __init__(self) -> None:
        self.of: Counter[int] = Counter()
        self._lock = threading.Lock()

    def __call__(self, context: lockstep.TaskContext, parameters: Mapping[str, Any]) -> int:
        with self._lock:
            self.of[context.task_index] += 1
        return context.task_index


class Host:
    """Delivers messages as the Functions host does, one at a time; a test may lose, repeat or leave some."""

    def __init__(self, app: App, account: QueueServiceClient) -> None:
        self.app = app
        self.account = account

    def take(self, queue: str) -> list[ReceivedMessage]:
        """Receives and deletes the visible messages of a queue."""
        client = self.account.get_queue_client(queue)
        taken = []
        for message in client.receive_messages(messages_per_page=32, visibility_timeout=600):
            client.delete_message(message)
            taken.append(ReceivedMessage(str(message.content).encode(), message.id, message.dequeue_count))
        return taken

    def run(self, queue: str, message: ReceivedMessage) -> None:
        if queue == JOBS_QUEUE:
            self.app.stages.handle(JobMessage.decode(message.body))
        elif queue == BATCHES_QUEUE:
            self.app.worker.run_batch(message)
        else:
            self.app.worker.run(queue, [message])

    def pump(self, times: int = 1) -> None:
        """Delivers each message so many times, until the queues are empty."""
        while sum(self._deliver(queue, times) for queue in QUEUES):
            continue

    def _deliver(self, queue: str, times: int) -> int:
        messages = self.take(queue)
        for message in messages * times:
            self.run(queue, message)
        return len(messages)

    def status(self, job_id: str) -> JobStatus:
        return self.app.status.job(job_id).job.status


NewHost = Callable[..., Host]


@pytest.fixture
def new_host(database_url: str, azurite: Azurite) -> Iterator[NewHost]:
    apps: list[App] = []

    with QueueServiceClient.from_connection_string(azurite.connection_string) as account:

        def make(runs: Runs, message_per: lockstep.MessagePer | None = None, **environment: str) -> Host:
            connections = {"DATABASE_URL": database_url, "StorageConnection": azurite.connection_string}
            settings = Settings.from_environment({**connections, **LONG_DEADLINES, **environment})
            apps.append(bootstrap.build(settings, [counting_job(runs, message_per=message_per)]))
            apps[-1].queue.ping()
            for queue in QUEUES:
                account.get_queue_client(queue).clear_messages()
            return Host(apps[-1], account)

        yield make
        for app in apps:
            app.close()


@pytest.fixture
def bus_mailbox(service_bus: EmulatorProcess) -> Iterator[Mailbox]:
    """Of Service Bus, whatever transport the other tests use."""
    with ServiceBusTransport(service_bus).mailbox() as mailbox:
        yield mailbox


EACH = pytest.mark.parametrize("message_per", [None, lockstep.MessagePer.TASK])


@EACH
def test_a_job_runs_each_task_once_though_each_message_is_delivered_twice(
    new_host: NewHost, message_per: lockstep.MessagePer | None
) -> None:
    runs = Runs()
    host = new_host(runs, message_per)
    job_id = host.app.submitter.submit("counting", {"n": 120}).job_id
    host.pump(times=2)
    assert host.status(job_id) == JobStatus.COMPLETED
    assert runs.of == dict.fromkeys(range(120), 1)


@EACH
def test_lost_messages_are_sent_again_by_the_sweeper(
    new_host: NewHost, message_per: lockstep.MessagePer | None
) -> None:
    runs = Runs()
    host = new_host(runs, message_per, SILENCE_SECONDS="1", SWEEP_AGE_SECONDS="1")
    job_id = host.app.submitter.submit("counting", {"n": 120}).job_id
    for message in host.take(JOBS_QUEUE):
        host.run(JOBS_QUEUE, message)
    assert host.take(TASKS_QUEUE) + host.take(BATCHES_QUEUE)  # and they are lost

    def swept() -> bool:
        host.app.sweeper.sweep()
        host.pump()
        return host.status(job_id) == JobStatus.COMPLETED

    wait_until(swept)
    assert runs.of == dict.fromkeys(range(120), 1)


@pytest.mark.parametrize("some_run", [False, True])
def test_a_batch_that_was_sent_in_part_is_sent_again_and_no_task_runs_twice(
    new_host: NewHost, monkeypatch: pytest.MonkeyPatch, *, some_run: bool
) -> None:
    """The dispatcher sends it again; but once a task has ended, the batch counts as sent, and the sweeper does it."""
    runs = Runs()
    host = new_host(runs, lockstep.MessagePer.TASK, SILENCE_SECONDS="1")
    job_id = host.app.submitter.submit("counting", {"n": 100}).job_id
    send = StorageQueueRepository.batch_send_messages

    def half(self: StorageQueueRepository, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        if queue != TASKS_QUEUE:
            return send(self, queue, messages)
        assert send(self, queue, messages[: len(messages) // 2]).success
        return SendResult(success=False, sent=0, error=QueueUnavailableError("busy"))

    with monkeypatch.context() as patch:
        patch.setattr(StorageQueueRepository, "batch_send_messages", half)
        for message in host.take(JOBS_QUEUE):
            host.run(JOBS_QUEUE, message)
    early = host.take(TASKS_QUEUE)
    assert len(early) == 50
    for message in early[:20] if some_run else []:
        host.run(TASKS_QUEUE, message)

    def ended() -> bool:
        if some_run:
            host.app.sweeper.sweep()
        host.pump()
        return host.status(job_id) == JobStatus.COMPLETED

    wait_until(ended)
    for message in early:  # late, and again
        host.run(TASKS_QUEUE, message)
    assert runs.of == dict.fromkeys(range(100), 1)


def test_with_both_transports_a_job_may_do_without_service_bus(
    new_host: NewHost, service_bus: EmulatorProcess, bus_mailbox: Mailbox
) -> None:
    runs = Runs()
    host = new_host(runs, ServiceBusConnection=service_bus.connection_string)
    submit = host.app.submitter.submit
    by_bus, by_storage = (submit("counting", {"n": 3, "use_service_bus": choice}).job_id for choice in (True, False))
    host.pump()
    assert (host.status(by_bus), host.status(by_storage)) == (JobStatus.QUEUED, JobStatus.COMPLETED)
    assert runs.of == dict.fromkeys(range(3), 1)
    host.app.stages.handle(bus_mailbox.take_job_message())
    bus_mailbox.take(TASKS_QUEUE, 3)


@pytest.mark.usefixtures("bus_mailbox")
def test_with_both_transports_the_messages_of_both_are_counted(new_host: NewHost, service_bus: EmulatorProcess) -> None:
    environment = {
        "ServiceBusConnection": service_bus.connection_string,
        "SERVICE_BUS_MANAGEMENT_URL": service_bus.management_url,
    }
    host = new_host(Runs(), **environment)
    for choice in (True, False, False):
        host.app.submitter.submit("counting", {"n": 3, "use_service_bus": choice}, idempotency_key=str(uuid.uuid4()))

    def counted() -> dict[Transport, int | None]:
        jobs = [view for view in host.app.queues.all() if view.name == JOBS_QUEUE]
        return {view.transport: view.counts.active if view.counts else None for view in jobs}

    assert counted() == {Transport.SERVICE_BUS: 1, Transport.STORAGE: 2}
    storage_first = new_host(Runs(), **environment, MESSAGE_TRANSPORT="storage")
    assert [view.transport for view in storage_first.app.queues.all()][:: len(QUEUES)] == [
        *(Transport.STORAGE, Transport.SERVICE_BUS)
    ]


def test_ends_wait_for_the_queue_that_is_told_them_and_are_told_once_it_is_there(new_host: NewHost) -> None:
    events = f"events-{uuid.uuid4().hex}"
    host = new_host(Runs(), JOB_EVENTS=events, SWEEP_AGE_SECONDS="1")
    job_id = host.app.submitter.submit("counting", {"n": 1}).job_id
    host.pump()
    assert host.status(job_id) == JobStatus.COMPLETED
    assert host.app.queue.ping() == [events]
    assert events not in {queue.name for queue in host.account.list_queues()}
    told = host.account.create_queue(events)
    assert host.app.queue.ping() == []

    def is_told() -> bool:
        host.app.sweeper.sweep()
        return bool(told.get_queue_properties().approximate_message_count)

    wait_until(is_told)
    (notice,) = host.take(events)
    assert json.loads(notice.body)["data"]["job_id"] == job_id


def test_a_job_goes_on_by_the_other_transport_when_its_own_is_taken_away(
    new_host: NewHost, service_bus: EmulatorProcess, bus_mailbox: Mailbox
) -> None:
    """Its first stage is dispatched by storage queues; then only Service Bus is left."""
    runs = Runs()
    overdue = {"SILENCE_SECONDS": "1", "SWEEP_AGE_SECONDS": "1"}
    by_bus = {"ServiceBusConnection": service_bus.connection_string}
    both = new_host(runs, **by_bus, **overdue)
    submit = both.app.submitter.submit
    dispatched, waiting = (submit("counting", {"n": n, "use_service_bus": False}).job_id for n in (5, 6))
    for message in both.take(JOBS_QUEUE):
        if JobMessage.decode(message.body).job_id == dispatched:
            both.run(JOBS_QUEUE, message)
    alone, used = new_host(runs, **by_bus, **overdue, StorageConnection=""), set[str]()

    def ended() -> bool:
        alone.app.sweeper.sweep()
        used.update(counts.name for counts in service_bus.queues() if counts.active)
        for queue in used & set(QUEUES):
            for message in bus_mailbox.take_some(queue):
                alone.run(queue, message)
        return {alone.status(each) for each in (dispatched, waiting)} == {JobStatus.COMPLETED}

    wait_until(ended)
    assert runs.of == {**dict.fromkeys(range(5), 2), 5: 1}


def test_a_job_goes_on_by_storage_queues_when_service_bus_is_taken_away(
    new_host: NewHost, service_bus: EmulatorProcess, bus_mailbox: Mailbox
) -> None:
    runs = Runs()
    overdue = {"SILENCE_SECONDS": "1", "SWEEP_AGE_SECONDS": "1"}
    both = new_host(runs, ServiceBusConnection=service_bus.connection_string, **overdue)
    job_id = both.app.submitter.submit("counting", {"n": 5}).job_id
    both.app.stages.handle(bus_mailbox.take_job_message())
    assert len(bus_mailbox.take(TASKS_QUEUE)) == 5  # and they are left behind
    alone = new_host(runs, **overdue)

    def ended() -> bool:
        alone.app.sweeper.sweep()
        alone.pump()
        return alone.status(job_id) == JobStatus.COMPLETED

    wait_until(ended)
    assert runs.of == dict.fromkeys(range(5), 1)


def test_a_message_that_the_host_has_given_up_on_is_sent_again_and_the_task_runs(new_host: NewHost) -> None:
    runs = Runs()
    host = new_host(runs, lockstep.MessagePer.TASK)
    job_id = host.app.submitter.submit("counting", {"n": 1}).job_id
    for message in host.take(JOBS_QUEUE):
        host.run(JOBS_QUEUE, message)
    (message,) = host.take(TASKS_QUEUE)
    poison = host.account.get_queue_client(poison_queue(TASKS_QUEUE))
    with suppress(ResourceExistsError):
        poison.create_queue()
    poison.send_message(message.body.decode())
    poison.send_message('{"DequeueCount": "many"}')
    assert host.app.poison_messages is not None
    host.app.poison_messages.handle(lambda action: action())
    assert poison.get_queue_properties().approximate_message_count == 0
    with host.app.database.transaction() as work:
        (kept,) = work.dead_letters.newest(10)
    assert (kept.letter.queue, kept.letter.reason) == (TASKS_QUEUE, UNREADABLE)

    def ended() -> bool:
        host.pump()
        return host.status(job_id) == JobStatus.COMPLETED

    wait_until(ended)
    assert runs.of == {0: 1}
