"""Which worker may run a task, and whose outcome counts."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from controllers.context import TaskContext
from core.errors import QueueUnavailableError
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.messages import JobAction, JobMessage
from core.models import Task
from core.statuses import BatchStatus, JobStatus, StageStatus, TaskStatus
from core.task_runs import TaskOutcome
from tests.support.drive import Stand, job_messages, received, second_process, stand, task_messages
from tests.support.sample_jobs import counted, sample_job


def dispatched(it: Stand) -> str:
    job_id = it.submit("sample")
    it.deliver_job_messages()
    return job_id


def lease(it: Stand, *tasks: Task, seconds: float = 50) -> None:
    """Has another worker claim tasks."""
    with it.database.transaction() as work:
        assert len(work.tasks.claim([task.task_id for task in tasks], "another worker", seconds)) == len(tasks)


class Runs:
    """A handler that counts its runs."""

    def __init__(self) -> None:
        self.task_ids: list[str] = []

    def __call__(self, context: TaskContext, parameters: Mapping[str, Any]) -> int:
        self.task_ids.append(context.task_id)
        return context.attempt


def test_a_message_that_overtakes_its_batch_is_run_all_the_same() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = dispatched(it)
        with it.database.transaction() as work:  # the rows as a slow dispatcher left them
            for task in it.tasks(job_id):
                work.tasks.batch_update_status(task.batch_id, TaskStatus.QUEUED, TaskStatus.PENDING_QUEUE, 1)
        it.deliver_task_messages()
        assert {task.status for task in it.tasks(job_id)} == {TaskStatus.COMPLETED}
        assert {batch.status for batch in it.batches(job_id)} == {BatchStatus.FINISHED}


def test_duplicates_in_one_invocation_run_once() -> None:
    runs = Runs()
    with stand(sample_job(counted(3), runs)) as it:
        dispatched(it)
        messages = it.queue.receive(TASKS_QUEUE)
        it.app.worker.run(TASKS_QUEUE, received(messages + messages))
        assert len(runs.task_ids) == len(set(runs.task_ids)) == 3


def test_a_message_that_is_delivered_again_after_its_task_has_ended_runs_nothing() -> None:
    runs = Runs()
    with stand(sample_job(counted(3), runs)) as it:
        job_id = dispatched(it)
        messages = it.queue.receive(TASKS_QUEUE)
        it.app.worker.run(TASKS_QUEUE, received(messages))
        it.pump()
        it.app.worker.run(TASKS_QUEUE, received(messages))
        assert len(runs.task_ids) == 3
        assert it.job(job_id).result == [3]
        assert (it.queue.size(TASKS_QUEUE), it.queue.size(JOBS_QUEUE)) == (0, 0)


def test_a_task_that_another_worker_holds_is_rescheduled_to_the_end_of_its_lease_and_spends_no_attempt() -> None:
    runs = Runs()
    with stand(sample_job(counted(1), runs)) as it:
        job_id = dispatched(it)
        lease(it, *it.tasks(job_id), seconds=40)
        it.deliver_task_messages()
        assert runs.task_ids == []
        (scheduled,) = it.queue.scheduled(TASKS_QUEUE)
        assert scheduled.enqueue_at == it.tasks(job_id)[0].lease_expires_at
        assert task_messages([scheduled])[0].send == 2
        assert it.tasks(job_id)[0].attempt == 1

        it.pump_through_time()
        assert it.tasks(job_id)[0].attempt == 2
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_message_that_comes_just_too_early_is_rescheduled_to_a_second_later() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id = dispatched(it)
        lease(it, *it.tasks(job_id), seconds=0.001)  # a broker whose clock is ahead delivers before the end
        it.deliver_task_messages()
        (scheduled,) = it.queue.scheduled(TASKS_QUEUE)
        assert scheduled.enqueue_at == it.clock.now() + timedelta(seconds=1)


def test_a_message_that_comes_before_its_retry_is_due_waits_for_it() -> None:
    runs = Runs()
    with stand(sample_job(counted(1), runs)) as it:
        job_id = dispatched(it)
        messages = it.queue.receive(TASKS_QUEUE)
        lease(it, *it.tasks(job_id))
        with it.database.transaction() as work:
            task_id = it.tasks(job_id)[0].task_id
            error = '{"type":"E","message":"m"}'
            work.tasks.record("another worker", [TaskOutcome(task_id, TaskStatus.RETRYING, None, error, 30)])
        it.app.worker.run(TASKS_QUEUE, received(messages))
        assert runs.task_ids == []
        assert it.queue.scheduled(TASKS_QUEUE)[0].enqueue_at == it.tasks(job_id)[0].not_before


def test_the_outcome_of_a_zombie_is_refused() -> None:
    with stand() as shell:
        other: list[Stand] = []

        def handler(context: TaskContext, parameters: Mapping[str, Any]) -> str:
            if context.attempt == 1:
                shell.clock.advance(51)
                other[0].app.worker.run(TASKS_QUEUE, received(messages))
                return "zombie"
            return "heir"

        job_type = sample_job(counted(1), handler)
        with second_process(shell, job_type) as it, second_process(shell, job_type) as heir:
            other.append(heir)
            job_id = dispatched(it)
            messages = it.queue.receive(TASKS_QUEUE)
            it.app.worker.run(TASKS_QUEUE, received(messages))

            (task,) = it.tasks(job_id)
            assert (task.status, task.result, task.attempt) == (TaskStatus.COMPLETED, "heir", 2)
            assert (it.stage(job_id).completed_tasks, it.batches(job_id)[0].open_tasks) == (1, 0)
            # The zombie cannot tell the heir's commit from its own unacknowledged one, so it repeats the message.
            assert set(job_messages(it.queue.receive(JOBS_QUEUE))) == {JobMessage(job_id, 1, JobAction.ADVANCE)}
            assert it.queue.size(TASKS_QUEUE) == 0


def test_the_last_task_of_a_stage_sends_one_message_to_advance_it() -> None:
    with stand(sample_job(counted(150))) as it:
        job_id = dispatched(it)
        it.deliver_task_messages()
        assert it.stage(job_id).status == StageStatus.FINISHED
        assert job_messages(it.queue.receive(JOBS_QUEUE)) == [JobMessage(job_id, 1, JobAction.ADVANCE)]


def test_the_message_to_advance_is_repeated_when_the_worker_died_before_it_sent_it() -> None:
    with stand(sample_job(counted(2))) as it:
        job_id = dispatched(it)
        messages = it.queue.receive(TASKS_QUEUE)
        it.queue.failures.append(QueueUnavailableError("away"))
        with pytest.raises(QueueUnavailableError):
            it.app.worker.run(TASKS_QUEUE, received(messages))
        assert it.stage(job_id).status == StageStatus.FINISHED
        assert it.queue.size(JOBS_QUEUE) == 0

        it.app.worker.run(TASKS_QUEUE, received(messages))
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_message_that_cannot_be_rescheduled_does_not_prevent_the_other_tasks_from_running() -> None:
    with stand(sample_job(counted(2))) as it:
        job_id = dispatched(it)
        lease(it, it.tasks(job_id)[0])
        messages = it.queue.receive(TASKS_QUEUE)
        it.queue.failures.append(QueueUnavailableError("away"))
        with pytest.raises(QueueUnavailableError):
            it.app.worker.run(TASKS_QUEUE, received(messages))
        assert [task.status for task in it.tasks(job_id)] == [TaskStatus.PROCESSING, TaskStatus.COMPLETED]
