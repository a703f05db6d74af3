"""The short tasks of an urgent job travel in a queue of their own, whichever part of the engine sends them."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from controllers.base import DispatchProtocol
from controllers.context import JobContext, StageContext, TaskContext
from core.definitions import TaskDefinition
from core.errors import QueueNotFoundError, QueueUnavailableError
from core.lanes import JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE, Lane
from core.retry import Backoff, TaskPolicy
from core.statuses import BatchStatus, JobStatus, TaskStatus
from tests.support.drive import Stand, received, stand
from tests.support.sample_jobs import SampleParameters, counted, sample_job

_LONG = TaskPolicy(max_attempts=3, backoff=Backoff(base_seconds=10, cap_seconds=100), lane=Lane.LONG)


def submit(it: Stand, *, urgent: bool = True, label: str = "a") -> str:
    return it.app.submitter.submit("sample", {"label": label}, urgent=urgent).job_id


def sizes(it: Stand) -> dict[str, int]:
    """The queues of tasks that hold messages."""
    names = (TASKS_QUEUE, URGENT_TASKS_QUEUE, LONG_TASKS_QUEUE)
    return {name: it.queue.size(name) for name in names if it.queue.size(name)}


def run_urgent(it: Stand) -> None:
    it.app.worker.run(URGENT_TASKS_QUEUE, received(it.queue.receive(URGENT_TASKS_QUEUE)))


@pytest.mark.parametrize("protocol", DispatchProtocol)
def test_an_urgent_job_of_ten_tasks_ends_while_the_backlog_of_another_job_waits(protocol: DispatchProtocol) -> None:
    def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterable[TaskDefinition]:
        return counted(300 if job.parameters.label == "large" else 10)(job, stage)

    with stand(sample_job(tasks, protocol=protocol)) as it:
        large = submit(it, urgent=False, label="large")
        it.deliver_job_messages()
        urgent = submit(it)
        it.deliver_job_messages()
        assert sizes(it) == {TASKS_QUEUE: 300, URGENT_TASKS_QUEUE: 10}
        run_urgent(it)
        it.deliver_job_messages()
        assert (it.job(urgent).status, it.job(large).status) == (JobStatus.COMPLETED, JobStatus.PROCESSING)
        assert sizes(it) == {TASKS_QUEUE: 300}


def test_the_row_of_a_job_says_whether_it_is_urgent() -> None:
    with stand(sample_job(counted(1))) as it:
        urgent, other = submit(it), submit(it, urgent=False, label="b")
        assert (it.job(urgent).urgent, it.job(other).urgent) == (True, False)


def test_a_job_that_was_submitted_before_stays_as_it_is() -> None:
    with stand(sample_job(counted(1))) as it:
        first = submit(it, urgent=False)
        assert submit(it) == first
        assert not it.job(first).urgent


def test_long_tasks_of_an_urgent_job_stay_in_their_lane() -> None:
    with stand(sample_job(counted(2), policy=_LONG)) as it:
        submit(it)
        it.deliver_job_messages()
        assert sizes(it) == {LONG_TASKS_QUEUE: 2}


def fail_once(context: TaskContext, parameters: Any) -> None:
    if context.attempt == 1:
        raise OSError("it works the next time")


def test_a_retry_of_an_urgent_task_is_urgent() -> None:
    with stand(sample_job(counted(2), fail_once)) as it:
        job_id = submit(it)
        it.deliver_job_messages()
        run_urgent(it)
        assert sizes(it) == {URGENT_TASKS_QUEUE: 2}
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED


def expired_leases(it: Stand) -> None:
    messages = it.queue.receive(URGENT_TASKS_QUEUE)
    with it.database.transaction() as work:
        work.tasks.claim([task.task_id for task in it.tasks(_only(it))], "gone", 1)
    assert len(messages) == 2


def overdue_retries(it: Stand) -> None:
    it.queue.receive(URGENT_TASKS_QUEUE)
    ids = [task.task_id for task in it.tasks(_only(it))]
    with it.database.transaction() as work:
        work.tasks.claim(ids, "mine", 50)
        work.tasks.release(ids, "mine")


def silent_tasks(it: Stand) -> None:
    it.queue.receive(URGENT_TASKS_QUEUE)


def pending_batches(it: Stand) -> None:
    it.queue.receive(URGENT_TASKS_QUEUE)
    with it.database.tables() as tables:
        for row in tables.batches.rows():
            tables.batches.update(row.batch_id, replace(row, status=BatchStatus.PENDING_QUEUE, queued_at=None))
        for task in tables.tasks.rows():
            tables.tasks.update(task.task_id, replace(task, status=TaskStatus.PENDING_QUEUE))


def _only(it: Stand) -> str:
    with it.database.tables() as tables:
        (row,) = tables.jobs.rows()
    return row.job_id


@pytest.mark.parametrize("lose", [expired_leases, overdue_retries, silent_tasks, pending_batches])
def test_a_lost_message_of_an_urgent_task_is_sent_again_to_its_queue(lose: Callable[[Stand], None]) -> None:
    with stand(sample_job(counted(2))) as it:
        job_id = submit(it)
        it.deliver_job_messages()
        lose(it)
        it.clock.advance(1_000)
        it.app.sweeper.sweep()
        assert sizes(it) == {URGENT_TASKS_QUEUE: 2}
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_queue_that_refuses_urgent_batches_does_not_keep_the_sweeper_from_the_other_batches() -> None:
    with stand(sample_job(counted(2))) as it:
        for label, urgent in (("a", True), ("b", False)):
            submit(it, urgent=urgent, label=label)
            it.queue.failures.append(QueueUnavailableError("full"))
            it.deliver_job_messages()
        it.clock.advance(1_000)
        it.queue.receive(JOBS_QUEUE)
        it.queue.failures.append(QueueNotFoundError("there is no queue sb-tasks-urgent"))
        it.app.sweeper.sweep()
        assert sizes(it) == {TASKS_QUEUE: 2}


def test_a_resumed_job_is_still_urgent() -> None:
    with stand(sample_job(counted(2))) as it:
        job_id = submit(it)
        it.deliver_job_messages()
        it.app.canceller.cancel(job_id)
        it.pump()
        it.app.reopener.resume(job_id)
        it.deliver_job_messages()
        assert sizes(it) == {URGENT_TASKS_QUEUE: 2}
        assert it.job(job_id).urgent


def test_a_retried_job_is_still_urgent() -> None:
    def fail(context: TaskContext, parameters: Any) -> None:
        raise OSError("no")

    with stand(sample_job(counted(2), fail)) as it:
        job_id = submit(it)
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.FAILED
        it.app.reopener.retry(job_id)
        it.deliver_job_messages()
        assert sizes(it) == {URGENT_TASKS_QUEUE: 2}


def test_a_missing_queue_is_an_error_of_urgent_jobs_alone_which_go_on_when_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with stand(sample_job(counted(2))) as it:
        urgent, other = submit(it), submit(it, urgent=False, label="b")
        with monkeypatch.context() as deployment:
            deployment.setattr("tests.fakes.queue._QUEUES", (JOBS_QUEUE, TASKS_QUEUE, LONG_TASKS_QUEUE))
            it.pump()
            assert it.job(other).status == JobStatus.COMPLETED
            (batch,) = it.batches(urgent)
            assert (batch.status, batch.last_error) == (
                BatchStatus.PENDING_QUEUE,
                "Service Bus has no queue 'sb-tasks-urgent'",
            )
        it.pump_through_time()
        assert it.job(urgent).status == JobStatus.COMPLETED
