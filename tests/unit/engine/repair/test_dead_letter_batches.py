"""One invocation with several dead letters."""

import pytest

from core.errors import DatabaseUnavailableError
from core.lanes import TASKS_QUEUE
from core.messages import OutgoingMessage, ReceivedMessage
from core.statuses import JobStatus, TaskStatus
from engine.repair import dead_letter_batches
from engine.repair.dead_letter_batches import MAX_DELIVERIES, UNHANDLED
from engine.repair.dead_letters import DeadLetteredMessage, DeadLetters
from tests.support.drive import Stand, stand
from tests.support.sample_jobs import counted, sample_job
from tests.unit.engine.repair.support import REASON, WHY, dead


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letter_batches, "_PAUSES_SECONDS", (0.0, 0.0))


def three(it: Stand) -> tuple[str, list[OutgoingMessage]]:
    job_id = it.submit("sample")
    it.deliver_job_messages()
    return job_id, it.queue.receive(TASKS_QUEUE)


def breaks_on(monkeypatch: pytest.MonkeyPatch, message: OutgoingMessage, exc: Exception, times: int) -> None:
    """Makes the handling of a dead letter raise so many times."""
    handle = DeadLetters.task
    left = [exc] * times

    def task(letters: DeadLetters, queue_name: str, each: DeadLetteredMessage) -> None:
        if each.raw.body == message.body and left:
            raise left.pop()
        handle(letters, queue_name, each)

    monkeypatch.setattr(DeadLetters, "task", task)


def test_a_dead_letter_whose_handling_fails_stops_no_other_and_is_kept_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with stand(sample_job(counted(3))) as it:
        job_id, messages = three(it)
        breaks_on(monkeypatch, messages[0], ZeroDivisionError("a bug"), 3)
        it.app.dead_letter_batches.handle(TASKS_QUEUE, [dead(each) for each in messages])
        assert len(it.queue.scheduled(TASKS_QUEUE)) == 2
        (letter,) = it.dead_letters()
        assert (letter.queue, letter.reason, letter.body) == (TASKS_QUEUE, UNHANDLED, messages[0].body)
        assert letter.description == f"ZeroDivisionError: a bug; the broker's reason was {REASON}: {WHY}"
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.PROCESSING
        it.clock.advance(10_000)
        it.app.sweeper.sweep()  # the task of the message that was kept is not lost
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_dead_letter_whose_handling_fails_twice_is_handled(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(sample_job(counted(3))) as it:
        _, messages = three(it)
        breaks_on(monkeypatch, messages[1], ZeroDivisionError("a race"), 2)
        it.app.dead_letter_batches.handle(TASKS_QUEUE, [dead(each) for each in messages])
        assert len(it.queue.scheduled(TASKS_QUEUE)) == 3
        assert it.dead_letters() == []


def test_an_outage_goes_to_the_broker_and_a_repetition_handles_only_what_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with stand(sample_job(counted(3))) as it:
        _, messages = three(it)
        breaks_on(monkeypatch, messages[1], DatabaseUnavailableError("not now"), 1)
        left = [dead(each) for each in messages]
        with pytest.raises(DatabaseUnavailableError):
            it.app.dead_letter_batches.handle(TASKS_QUEUE, left)
        assert [each.raw.body for each in left] == [each.body for each in messages[1:]]
        it.app.dead_letter_batches.handle(TASKS_QUEUE, left)
        assert left == []
        assert len(it.queue.scheduled(TASKS_QUEUE)) == 3


def test_a_failure_goes_to_the_broker_when_the_process_shuts_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letter_batches, "_PAUSES_SECONDS", (60.0,))
    with stand(sample_job(counted(3))) as it:
        _, messages = three(it)
        breaks_on(monkeypatch, messages[1], ZeroDivisionError("a bug"), 1)
        it.shutdown.drain(0, 0)
        with pytest.raises(ZeroDivisionError):
            it.app.dead_letter_batches.handle(TASKS_QUEUE, [dead(each) for each in messages])
        assert it.dead_letters() == []


def test_a_dead_letter_that_was_delivered_far_too_often_is_kept_unhandled() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        (message,) = it.queue.receive(TASKS_QUEUE)
        killer = DeadLetteredMessage(ReceivedMessage(message.body, "m", MAX_DELIVERIES), REASON, WHY)
        it.app.dead_letter_batches.handle(TASKS_QUEUE, [killer])
        assert [letter.reason for letter in it.dead_letters()] == [UNHANDLED]
        assert it.tasks(job_id)[0].status == TaskStatus.QUEUED
