"""The triggers of storage queues, called as the Functions host calls them."""

from collections.abc import Callable, Iterator
from typing import Any

import azure.functions as func
import pytest

import bootstrap
from controllers.hello_world import HelloWorld
from core.errors import DatabaseUnavailableError
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE, Transport
from core.messages import OutgoingMessage
from core.statuses import JobStatus, TaskStatus
from engine.process.keeping import UNREADABLE
from engine.repair.poison_messages import PoisonMessages
from tests.fakes.poison_queues import FakePoisonQueues
from tests.support.deliveries import called_as_by_the_host
from tests.support.drive import Stand, stand
from triggers import jobs, storage_queues


class Delivery(func.QueueMessage):
    """A message as the host hands it over."""

    def __init__(self, body: bytes, dequeue_count: int = 1) -> None:
        super().__init__(id="m", body=body, pop_receipt="r")
        self._dequeue_count = dequeue_count

    @property
    def dequeue_count(self) -> int:
        return self._dequeue_count


def function(builder: Any) -> Callable[[Any], None]:
    return called_as_by_the_host(builder._function.get_user_function())


storage_job_message = function(storage_queues.storage_job_message)
storage_task = function(storage_queues.storage_task)
storage_urgent_task = function(storage_queues.storage_urgent_task)
storage_long_task = function(storage_queues.storage_long_task)
storage_batch = function(storage_queues.storage_batch)
storage_poison_messages = function(storage_queues.storage_poison_messages)


@pytest.fixture
def it(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    with stand(HelloWorld, message_transport=Transport.STORAGE) as it:
        for module in (jobs, storage_queues, bootstrap):
            monkeypatch.setattr(module, "app", lambda: it.app)
        monkeypatch.setattr(bootstrap, "outages", it.outages)
        monkeypatch.setenv("DATABASE_URL", it.app.settings.database_url)
        monkeypatch.setenv("StorageConnection", "UseDevelopmentStorage=true")
        yield it


def delivered(messages: list[OutgoingMessage]) -> list[Delivery]:
    return [Delivery(message.body) for message in messages]


def test_the_triggers_carry_a_job_from_its_message_to_its_tasks_in_an_envelope(it: Stand) -> None:
    job_id = it.submit("hello_world", n=3)
    (message,) = delivered(it.queue.receive(JOBS_QUEUE))
    storage_job_message(message)
    (envelope,) = delivered(it.queue.receive(BATCHES_QUEUE))
    storage_batch(envelope)
    assert {task.status for task in it.tasks(job_id)} == {TaskStatus.COMPLETED}
    assert it.queue.size(JOBS_QUEUE) == 1


@pytest.mark.parametrize("run", [storage_task, storage_urgent_task, storage_long_task])
def test_a_task_may_have_a_message_of_its_own(it: Stand, run: Callable[[Any], None]) -> None:
    job_id = it.submit("hello_world", n=1, use_service_bus=False)
    it.deliver_job_messages()
    (message,) = delivered(it.queue.receive(TASKS_QUEUE))
    run(message)
    assert it.tasks(job_id)[0].status == TaskStatus.COMPLETED


def test_messages_that_cannot_be_read_are_kept_with_their_queue_and_how_often_they_were_delivered(it: Stand) -> None:
    for run in (storage_job_message, storage_task, storage_urgent_task, storage_long_task, storage_batch):
        run(Delivery(b"{rubbish", 4))
    letters = it.dead_letters()
    assert {letter.queue for letter in letters} == {
        JOBS_QUEUE,
        TASKS_QUEUE,
        URGENT_TASKS_QUEUE,
        LONG_TASKS_QUEUE,
        BATCHES_QUEUE,
    }
    assert {(each.reason, each.message_id, each.delivery_count) for each in letters} == {(UNREADABLE, "m", 4)}


def test_an_outage_is_waited_out_for_the_length_of_a_lease_and_then_the_message_is_delivered_again(it: Stand) -> None:
    it.submit("hello_world", n=1)
    (message,) = delivered(it.queue.receive(JOBS_QUEUE))
    before = it.clock.now()
    it.database.go_away(1_000)
    with pytest.raises(DatabaseUnavailableError):
        storage_job_message(message)
    assert (it.clock.now() - before).total_seconds() == it.app.settings.lease_seconds


def test_the_timer_handles_poison_messages(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = it.submit("hello_world", n=1)
    (message,) = it.queue.receive(JOBS_QUEUE)
    poison = FakePoisonQueues({JOBS_QUEUE: [message.body]})
    messages = PoisonMessages(poison, it.app.dead_letter_batches)
    monkeypatch.setattr(storage_queues, "app", lambda: _App(messages))
    storage_poison_messages(None)
    assert poison.left == {}
    it.pump_through_time()
    assert it.job(job_id).status == JobStatus.COMPLETED


def test_an_app_without_storage_queues_has_no_poison_messages(it: Stand) -> None:
    assert it.app.poison_messages is None
    storage_poison_messages(None)


class _App:
    def __init__(self, poison_messages: PoisonMessages) -> None:
        self.poison_messages = poison_messages
