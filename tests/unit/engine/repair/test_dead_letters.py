"""Messages that the broker gave up on."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from controllers.context import JsonValue, TaskContext
from core.errors import QueueUnavailableError
from core.lanes import JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE
from core.messages import JobAction, JobMessage, ReceivedMessage, TaskMessage
from core.statuses import JobStatus, TaskStatus
from engine.process.keeping import ORPHAN, UNREADABLE
from engine.repair.dead_letters import MAX_RESENDS, DeadLetteredMessage
from tests.support.drive import job_messages, received, stand, task_messages
from tests.support.sample_jobs import counted, sample_job
from tests.unit.engine.repair.support import REASON, WHY, counts, dead, dispatched, expired, kill, next_message


def test_a_live_task_is_sent_again_later() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id, message = dispatched(it)
        it.app.dead_letters.task(TASKS_QUEUE, dead(message))
        (again,) = it.queue.scheduled(TASKS_QUEUE)
        assert task_messages([again])[0].send == 2
        assert again.enqueue_at is not None
        assert (again.enqueue_at - it.clock.now()).total_seconds() == 10
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert it.dead_letters() == []


def test_a_task_whose_messages_all_die_fails_with_the_brokers_reason() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id, message = dispatched(it)
        it.app.dead_letters.task(TASKS_QUEUE, dead(kill(it, message, MAX_RESENDS)))
        it.deliver_job_messages()
        (task,) = it.tasks(job_id)
        assert task.status == TaskStatus.FAILED
        assert task.error == {
            "type": "DeadLetteredError",
            "message": f"the broker gave up on its message: {REASON}: {WHY}",
        }
        assert it.job(job_id).status == JobStatus.FAILED
        (letter,) = it.dead_letters()
        assert (letter.queue, letter.reason, letter.description) == (TASKS_QUEUE, REASON, WHY)


def test_a_running_task_does_not_fail_for_a_dead_letter() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id, message = dispatched(it)
        message = kill(it, message, MAX_RESENDS)
        with it.database.transaction() as work:
            assert work.tasks.claim([it.tasks(job_id)[0].task_id], "somebody", 50)
        it.app.dead_letters.task(TASKS_QUEUE, dead(message))
        assert it.tasks(job_id)[0].status == TaskStatus.PROCESSING
        assert it.dead_letters() == []


def test_a_dead_letter_of_an_ended_task_repeats_the_message_of_its_stage() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id, message = dispatched(it)
        it.app.worker.run(TASKS_QUEUE, received([message]))
        (lost,) = it.queue.receive(JOBS_QUEUE)
        it.app.dead_letters.task(TASKS_QUEUE, dead(message))
        (repeated,) = it.queue.receive(JOBS_QUEUE)
        assert job_messages([repeated]) == job_messages([lost]) == [JobMessage(job_id, 1, JobAction.ADVANCE)]
        assert it.tasks(job_id)[0].status == TaskStatus.COMPLETED


def test_a_dead_letter_that_was_already_resent_changes_nothing() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id, message = dispatched(it)
        it.app.dead_letters.task(TASKS_QUEUE, dead(message))
        for _ in range(2 * MAX_RESENDS):
            it.app.dead_letters.task(TASKS_QUEUE, dead(message))
        (again,) = it.queue.scheduled(TASKS_QUEUE)
        assert task_messages([again])[0].send == it.tasks(job_id)[0].sends == 2
        assert it.dead_letters() == []


def test_a_long_task_is_resent_to_its_own_queue() -> None:
    with stand(sample_job(counted(1))) as it:
        _, message = dispatched(it)
        it.app.dead_letters.task(LONG_TASKS_QUEUE, dead(message))
        assert (it.queue.size(TASKS_QUEUE), it.queue.size(LONG_TASKS_QUEUE)) == (0, 1)


@pytest.mark.parametrize("body", [b"", b"\xff\x00", b"{}", b'{"v": 99}', b"[" * 100_000])
def test_unreadable_messages_are_kept(body: bytes) -> None:
    with stand(sample_job(counted(1))) as it:
        unreadable = DeadLetteredMessage(ReceivedMessage(body, "id", 11), REASON, WHY)
        it.app.dead_letters.task(TASKS_QUEUE, unreadable)
        it.app.dead_letters.job(unreadable)
        letters = it.dead_letters()
        assert [(letter.queue, letter.reason, letter.body) for letter in letters] == [
            (JOBS_QUEUE, UNREADABLE, body),
            (TASKS_QUEUE, UNREADABLE, body),
        ]


def test_messages_without_a_row_are_kept_as_orphans() -> None:
    with stand(sample_job(counted(1))) as it:
        task = TaskMessage(f"{'a' * 32}-s01-t0000000", f"{'a' * 32}-s1-b0")
        it.app.dead_letters.task(TASKS_QUEUE, dead(task.outgoing()))
        it.app.dead_letters.job(dead(JobMessage("a" * 32, 1, JobAction.DISPATCH).outgoing()))
        assert [(letter.queue, letter.reason) for letter in it.dead_letters()] == [
            (JOBS_QUEUE, ORPHAN),
            (TASKS_QUEUE, ORPHAN),
        ]


def test_a_stage_whose_message_died_goes_on() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        (message,) = it.queue.receive(JOBS_QUEUE)
        it.app.dead_letters.job(dead(message))
        assert it.queue.receive(JOBS_QUEUE) == []
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_job_whose_message_dies_again_and_again_fails_with_the_brokers_reason() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        (message,) = it.queue.receive(JOBS_QUEUE)
        for _ in range(MAX_RESENDS):
            it.app.dead_letters.job(dead(message))
            message = next_message(it, JOBS_QUEUE)
        it.app.dead_letters.job(dead(message))
        job = it.job(job_id)
        assert job.status == JobStatus.FAILED
        assert job.error is not None
        assert job.error["type"] == "DeadLetteredError"
        assert WHY in job.error["message"]
        assert [letter.reason for letter in it.dead_letters()] == [REASON]


def test_a_dead_letter_of_an_ended_job_is_dropped() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id = it.submit("sample")
        (message,) = it.queue.receive(JOBS_QUEUE)
        it.app.stages.handle(JobMessage.decode(message.body))
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED
        it.app.dead_letters.job(dead(message))
        assert it.queue.size(JOBS_QUEUE) == 0
        assert it.dead_letters() == []


def raises(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    raise ValueError("no")


def test_a_dead_letter_of_a_task_that_waits_for_its_retry_does_not_fail_it() -> None:
    with stand(sample_job(counted(1), raises)) as it:
        job_id, message = dispatched(it)
        message = kill(it, message, MAX_RESENDS)
        it.app.worker.run(TASKS_QUEUE, received([message]))
        it.app.dead_letters.task(TASKS_QUEUE, dead(message))
        assert it.tasks(job_id)[0].status in {TaskStatus.RETRYING, TaskStatus.FAILED}
        assert it.dead_letters() == []


def test_a_resend_that_the_broker_refuses_spends_nothing() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id, message = dispatched(it)
        for _ in range(2 * MAX_RESENDS):
            it.queue.failures.append(QueueUnavailableError("away"))
            with pytest.raises(QueueUnavailableError):
                it.app.dead_letters.task(TASKS_QUEUE, dead(message))
        it.app.dead_letters.task(TASKS_QUEUE, dead(message))
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_dead_cancellation_of_a_job_that_was_resumed_does_not_fail_it() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id, _ = dispatched(it)
        it.app.canceller.cancel(job_id)
        (cancellation,) = job_messages(it.queue.receive(JOBS_QUEUE))
        it.app.stages.handle(cancellation)
        it.app.reopener.resume(job_id)
        it.app.dead_letters.job(dead(replace(cancellation, deaths=MAX_RESENDS).outgoing()))
        assert it.dead_letters() == []
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_dead_letter_of_a_stage_that_went_on_is_dropped() -> None:
    with stand(sample_job(counted(3))) as it:
        it.submit("sample")
        (message,) = it.queue.receive(JOBS_QUEUE)
        it.app.stages.handle(JobMessage.decode(message.body))
        it.app.dead_letters.job(dead(message))
        assert it.queue.size(JOBS_QUEUE) == 0


def test_the_message_of_a_task_may_expire_any_number_of_times() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id, message = dispatched(it)
        for _ in range(2 * MAX_RESENDS):
            it.app.dead_letters.task(TASKS_QUEUE, expired(message))
            (again,) = it.queue.scheduled(TASKS_QUEUE)
            assert again.enqueue_at is not None
            assert (again.enqueue_at - it.clock.now()).total_seconds() == 10
            message = next_message(it, TASKS_QUEUE)
        assert counts(it, job_id) == (0, 1 + 2 * MAX_RESENDS)
        it.app.worker.run(TASKS_QUEUE, received([message]))
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert it.dead_letters() == []


def test_a_message_that_expires_leaves_the_count_of_dead_letters_as_it_is() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id, message = dispatched(it)
        message = kill(it, message, MAX_RESENDS)
        it.app.dead_letters.task(TASKS_QUEUE, expired(message))
        assert counts(it, job_id) == (MAX_RESENDS, MAX_RESENDS + 2)
        (message,) = it.queue.scheduled(TASKS_QUEUE)
        it.app.dead_letters.task(TASKS_QUEUE, dead(message))
        assert it.tasks(job_id)[0].status == TaskStatus.FAILED


def test_the_message_of_a_stage_may_expire_any_number_of_times() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        (message,) = it.queue.receive(JOBS_QUEUE)
        for _ in range(2 * MAX_RESENDS):
            it.app.dead_letters.job(expired(message))
            message = next_message(it, JOBS_QUEUE)
        assert JobMessage.decode(message.body).deaths == 0
        it.app.stages.handle(JobMessage.decode(message.body))
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
