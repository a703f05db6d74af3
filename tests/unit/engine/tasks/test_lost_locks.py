"""The broker takes the lock of a message for lost, and delivers it again, while the task's lease lives."""

from collections.abc import Mapping
from typing import Any

from controllers.context import TaskContext
from core.lanes import LONG_TASKS_QUEUE, Lane
from core.retry import TaskPolicy
from core.statuses import TaskStatus
from tests.support.drive import received, stand
from tests.support.sample_jobs import counted, sample_job

LEASE_SECONDS = 50
LOCK_SECONDS = 60
TWO_HOURS = 7_200


def test_the_message_of_a_task_of_two_hours_is_rescheduled_until_the_task_ends() -> None:
    """It costs a message a lease, and neither a run, an attempt, a failure nor a delivery."""
    ran = list[int]()

    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> None:
        ran.append(context.attempt)

    with stand(sample_job(counted(1), handler, policy=TaskPolicy(lane=Lane.LONG))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        message = it.queue.receive(LONG_TASKS_QUEUE)
        [task] = it.tasks(job_id)
        with it.database.transaction() as work:
            assert work.tasks.claim([task.task_id], "its lease", LEASE_SECONDS, "its worker")
        for second in range(0, TWO_HOURS, 10):
            with it.database.transaction() as work:
                work.tasks.renew_leases([task.task_id], "its lease", LEASE_SECONDS)
            it.clock.advance(10)
            if second == LOCK_SECONDS:
                it.app.worker.run(LONG_TASKS_QUEUE, received(message))
            it.deliver_task_messages()
            assert it.queue.size(LONG_TASKS_QUEUE) == (second >= LOCK_SECONDS)
        [task] = it.tasks(job_id)
        assert (task.status, task.attempt, task.failures) == (TaskStatus.PROCESSING, 1, 0)
        assert TWO_HOURS // LEASE_SECONDS <= task.sends <= TWO_HOURS // LEASE_SECONDS * 1.5
        assert ran == []

        with it.database.transaction() as work:
            work.tasks.release([task.task_id], "its lease")
        it.pump_through_time()
        [task] = it.tasks(job_id)
        assert (task.status, task.attempt, task.failures, ran) == (TaskStatus.COMPLETED, 1, 0, [1])
        assert it.queue.size(LONG_TASKS_QUEUE) == 0
        assert it.dead_letters() == []
