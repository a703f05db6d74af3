"""An app with both transports: each job travels by the one that its parameters choose."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from core.errors import QueueUnavailableError
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, TASKS_QUEUE
from core.messages import BatchMessage, JobAction, JobMessage, OutgoingMessage, TaskMessage
from engine.process.transport_router import TransportRouter
from tests.fakes.queue import FakeQueue
from tests.support.drive import Stand, stand
from tests.support.sample_jobs import counted, sample_job


@pytest.fixture
def it() -> Iterator[Stand]:
    with stand(sample_job(counted(1))) as it:
        yield it


def messages_of(job_id: str) -> list[tuple[str, OutgoingMessage]]:
    return [
        (JOBS_QUEUE, JobMessage(job_id, 1, JobAction.DISPATCH).outgoing()),
        (TASKS_QUEUE, TaskMessage(f"{job_id}-s01-t0000000", f"{job_id}-s1-b0").outgoing()),
        (BATCHES_QUEUE, BatchMessage(f"{job_id}-s1-b0").outgoing()),
    ]


def test_each_message_goes_by_the_transport_of_its_job_though_they_are_sent_together(it: Stand) -> None:
    storage = FakeQueue()
    by_bus, by_storage = it.submit("sample"), it.submit("sample", use_service_bus=False)
    it.queue.receive(JOBS_QUEUE)
    router = TransportRouter(it.database, it.queue, storage)
    for (queue, first), (_, second) in zip(messages_of(by_bus), messages_of(by_storage), strict=True):
        result = router.batch_send_messages(queue, [first, second])
        assert (result.success, result.sent) == (True, 2)
        assert it.queue.receive(queue) == [first]
        assert storage.receive(queue) == [second]


def test_a_choice_is_read_once(it: Stand) -> None:
    job_id = it.submit("sample", use_service_bus=False)
    router = TransportRouter(it.database, it.queue, FakeQueue())
    ((queue, message), *_) = messages_of(job_id)
    assert router.batch_send_messages(queue, [message]).success
    it.database.go_away(1_000)
    assert router.batch_send_messages(queue, [message]).success


def test_a_message_without_a_job_and_one_for_others_go_by_service_bus(it: Stand) -> None:
    job_id = it.submit("sample", use_service_bus=False)
    storage = FakeQueue()
    router = TransportRouter(it.database, it.queue, storage)
    foreign = OutgoingMessage(b"rubbish", "m")
    notice = OutgoingMessage(f'{{"data": {{"job_id": "{job_id}"}}}}'.encode(), "n")
    assert router.batch_send_messages(TASKS_QUEUE, [foreign]).success
    assert router.batch_send_messages("job-events", [notice]).success
    assert (it.queue.receive(TASKS_QUEUE), it.queue.receive("job-events")) == ([foreign], [notice])
    assert router.batch_send_messages(TASKS_QUEUE, []).success
    assert storage.size(TASKS_QUEUE) + storage.size("job-events") == 0


def test_a_transport_that_refuses_fails_the_send_and_an_unknown_choice_is_an_outage(it: Stand) -> None:
    job_id, storage = it.submit("sample", use_service_bus=False), FakeQueue()
    storage.failures.append(QueueUnavailableError("full"))
    router = TransportRouter(it.database, it.queue, storage)
    ((queue, message), *_) = messages_of(job_id)
    assert str(router.batch_send_messages(queue, [message]).error) == "full"
    fresh = TransportRouter(it.database, it.queue, storage)
    it.database.go_away(1_000)
    assert isinstance(fresh.batch_send_messages(queue, [message]).error, QueueUnavailableError)


def test_both_are_pinged(it: Stand) -> None:
    storage = FakeQueue()
    storage.failures.append(QueueUnavailableError("away"))
    with pytest.raises(QueueUnavailableError):
        TransportRouter(it.database, it.queue, storage).ping()
    assert TransportRouter(it.database, it.queue, storage).ping() == []


def test_a_delay_is_passed_on(it: Stand) -> None:
    job_id, storage = it.submit("sample", use_service_bus=False), FakeQueue()
    later = JobMessage(job_id, 1, JobAction.ADVANCE).outgoing(storage.clock.now() + timedelta(seconds=5))
    assert TransportRouter(it.database, it.queue, storage).batch_send_messages(JOBS_QUEUE, [later]).success
    assert storage.scheduled(JOBS_QUEUE) == [later]
