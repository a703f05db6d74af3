"""Messages of storage queues that the Functions host has given up on."""

from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest
from typing_extensions import override

from core.errors import DatabaseUnavailableError, QueueUnavailableError
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, TASKS_QUEUE
from core.messages import ReceivedMessage
from core.statuses import JobStatus
from engine.process.keeping import UNREADABLE
from engine.repair.dead_letter_batches import DeadLetterBatches
from engine.repair.dead_letters import DeadLetteredMessage
from engine.repair.poison_messages import POISON, PoisonMessages
from repositories.ports import PoisonMessage
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


class _Flooded(FakePoisonQueues):
    """Poison queues of which one always has more messages."""

    @override
    def take(self, queue: str) -> Sequence[PoisonMessage]:
        if queue == JOBS_QUEUE:
            self._messages[queue] = [PoisonMessage(ReceivedMessage(b"rubbish", "m", 1), "r")]
        return super().take(queue)


def test_a_queue_that_always_has_more_leaves_the_others_their_turns() -> None:
    with stand(sample_job(counted(1))) as it:
        poison = _Flooded({queue: [b"rubbish"] for queue in (TASKS_QUEUE, BATCHES_QUEUE)})
        seconds = iter(range(1_000))
        PoisonMessages(poison, it.app.dead_letter_batches, lambda: next(seconds)).handle(at_once)
        assert poison.left.keys() <= {JOBS_QUEUE}
        assert {each.queue for each in it.dead_letters()} == {JOBS_QUEUE, TASKS_QUEUE, BATCHES_QUEUE}


def test_a_queue_that_cannot_be_handled_leaves_the_others_their_turns_in_the_next_runs() -> None:
    with stand(sample_job(counted(1))) as it:
        poison = FakePoisonQueues({queue: [b"rubbish"] for queue in (JOBS_QUEUE, TASKS_QUEUE, BATCHES_QUEUE)})
        letters, failed = it.app.dead_letter_batches, []

        class Failing(DeadLetterBatches):
            def __init__(self) -> None:
                """Handles nothing itself."""

            @override
            def handle(self, queue_name: str, left: list[DeadLetteredMessage]) -> None:
                if queue_name == JOBS_QUEUE:
                    failed.append(queue_name)
                    raise QueueUnavailableError("away")
                letters.handle(queue_name, left)

        messages = PoisonMessages(poison, Failing())
        for _ in range(5):
            poison.make_visible()
            with suppress(QueueUnavailableError):
                messages.handle(at_once)
        assert failed
        assert poison.left == {JOBS_QUEUE: [b"rubbish"]}
