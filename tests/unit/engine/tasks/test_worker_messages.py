"""Unreadable messages, and messages without a row."""

import pytest

from core.errors import QueueUnavailableError
from core.ids import batch_id, task_id
from core.lanes import TASKS_QUEUE
from core.messages import OutgoingMessage, ReceivedMessage, TaskMessage
from core.statuses import JobStatus
from engine.process.keeping import ORPHAN, UNREADABLE
from repositories.ports import DeadLetter
from tests.support.drive import Stand, received, stand, task_messages
from tests.support.sample_jobs import counted, sample_job

NO_JOB = "f" * 32
LOST = TaskMessage(task_id(NO_JOB, 1, 0), batch_id(NO_JOB, 1, 0))


def misses_until_quiet(it: Stand) -> list[tuple[int, int, float]]:
    """Delivers a message without a row until it is kept; returns its (misses, send, wait in seconds) each time."""
    seen = []
    while waiting := it.queue.scheduled(TASKS_QUEUE):
        (message,) = task_messages(waiting)
        due = waiting[0].enqueue_at
        assert due is not None
        wait_seconds = (due - it.clock.now()).total_seconds()
        seen.append((message.misses, message.send, wait_seconds))
        it.clock.advance(wait_seconds)
        it.deliver_task_messages()
    return seen


def test_an_unreadable_message_is_kept_and_the_others_still_run() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        rubbish = [ReceivedMessage(b"{rubbish", "m-1", 4), ReceivedMessage(b"\x00\xff", None, None)]
        it.app.worker.run(TASKS_QUEUE, rubbish + received(it.queue.receive(TASKS_QUEUE)))

        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED
        newest, oldest = it.dead_letters()
        assert (oldest.queue, oldest.reason, oldest.body) == (TASKS_QUEUE, UNREADABLE, b"{rubbish")
        assert (oldest.message_id, oldest.delivery_count) == ("m-1", 4)
        assert "is not JSON" in oldest.description
        assert newest.body == b"\x00\xff"


def test_an_invocation_of_nothing_but_rubbish_is_completed() -> None:
    with stand(sample_job(counted(1))) as it:
        it.app.worker.run(TASKS_QUEUE, [ReceivedMessage(b"")])
        assert [letter.reason for letter in it.dead_letters()] == [UNREADABLE]


def test_an_unreadable_message_is_kept_once_although_its_invocation_is_repeated_during_an_outage(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with stand(sample_job(counted(1))) as it:
        batch = [ReceivedMessage(b"{rubbish", "m-1", 1), *received([LOST.outgoing()])]
        it.queue.failures.extend([QueueUnavailableError("no answer")] * 20)
        it.outages.run(lambda: it.app.worker.run(TASKS_QUEUE, batch), it.outages.deadline(600))
        assert [letter.body for letter in it.dead_letters()] == [b"{rubbish"]
        assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
        assert it.queue.size(TASKS_QUEUE) == 1


def test_a_message_without_a_row_is_looked_at_again_five_times_and_then_kept() -> None:
    with stand(sample_job(counted(1))) as it:
        it.app.worker.run(TASKS_QUEUE, received([LOST.outgoing()]))
        assert it.dead_letters() == []
        assert misses_until_quiet(it) == [(1, 1, 1), (2, 1, 2), (3, 1, 4), (4, 1, 8), (5, 1, 16)]

        last = TaskMessage(LOST.task_id, LOST.batch_id, send=1, misses=5).outgoing()
        description = f"there is no row for task {LOST.task_id}"
        assert it.dead_letters() == [
            DeadLetter(TASKS_QUEUE, ORPHAN, description, last.body, last.message_id, delivery_count=None)
        ]
        assert it.queue.size(TASKS_QUEUE) == 0


def test_a_message_whose_row_is_committed_late_runs() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id = it.submit("sample")
        early: OutgoingMessage = TaskMessage(task_id(job_id, 1, 0), batch_id(job_id, 1, 0)).outgoing()
        it.app.worker.run(TASKS_QUEUE, received([early]))
        assert it.queue.size(TASKS_QUEUE) == 1

        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert it.tasks(job_id)[0].attempt == 1
        assert it.dead_letters() == []
