"""Messages of storage queues that the Functions host has given up on."""

from collections.abc import Callable

import pytest

from core.errors import DatabaseUnavailableError
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, TASKS_QUEUE
from core.statuses import JobStatus
from engine.process.keeping import UNREADABLE
from engine.repair.poison_messages import POISON, PoisonMessages
from tests.fakes.poison_queues import FakePoisonQueues
from tests.support.drive import Stand, stand
from tests.support.sample_jobs import counted, sample_job


def at_once(action: Callable[[], None]) -> None:
    action()


def handle(it: Stand, poison: FakePoisonQueues) -> None:
    PoisonMessages(poison, it.app.dead_letter_batches).handle(at_once)


def test_they_are_sent_again_like_dead_letters_and_deleted() -> None:
    with stand(sample_job(counted(40))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        poison = FakePoisonQueues({TASKS_QUEUE: [each.body for each in it.queue.receive(TASKS_QUEUE)]})
        handle(it, poison)
        assert poison.left == {}
        assert len(it.queue.scheduled(TASKS_QUEUE)) == 40
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_one_that_cannot_be_used_is_kept_with_its_reason() -> None:
    with stand(sample_job(counted(1))) as it:
        poison = FakePoisonQueues({BATCHES_QUEUE: [b'{"DequeueCount": "many"}'], JOBS_QUEUE: [b"rubbish"]})
        handle(it, poison)
        assert poison.left == {}
        assert {(each.queue, each.reason) for each in it.dead_letters()} == {
            (BATCHES_QUEUE, UNREADABLE),
            (JOBS_QUEUE, UNREADABLE),
        }


def test_a_task_whose_message_dies_again_and_again_fails_with_the_reason() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        (message,) = it.queue.receive(TASKS_QUEUE)
        for _ in range(6):
            handle(it, FakePoisonQueues({TASKS_QUEUE: [message.body]}))
            if scheduled := it.queue.scheduled(TASKS_QUEUE):
                message = scheduled[0]
                it.clock.advance(4_000)
                it.queue.receive(TASKS_QUEUE)
        it.pump()
        job = it.job(job_id)
        assert job.status == JobStatus.FAILED
        (task,) = it.tasks(job_id)
        assert task.error is not None
        assert POISON in task.error["message"]


def test_in_an_outage_they_stay_and_those_that_were_handled_are_deleted() -> None:
    with stand(sample_job(counted(2))) as it:
        it.submit("sample")
        it.deliver_job_messages()
        bodies = [each.body for each in it.queue.receive(TASKS_QUEUE)]
        poison = FakePoisonQueues({TASKS_QUEUE: bodies})
        send, sent = it.queue.batch_send_messages, []

        def once(queue: str, messages: object) -> object:
            sent.append(messages)
            if len(sent) > 1:
                it.database.go_away(1_000)
                raise DatabaseUnavailableError("away")
            return send(queue, messages)  # type: ignore[arg-type] # as it was given

        it.queue.batch_send_messages = once  # type: ignore[method-assign,assignment] # fails in the middle
        with pytest.raises(DatabaseUnavailableError):
            handle(it, poison)
        assert poison.left == {TASKS_QUEUE: bodies[1:]}
