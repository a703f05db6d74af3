"""Messages of an earlier opening do nothing to a stage that was reopened."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from controllers.context import JobContext, JsonValue, StageContext, TaskContext
from core.definitions import TaskDefinition
from core.errors import JobFailure
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.messages import JobAction, JobMessage
from core.statuses import JobStatus, StageStatus, TaskStatus
from core.task_runs import TaskResult
from engine.repair.dead_letters import MAX_RESENDS, DeadLetteredMessage
from engine.stages.stage_engine import MAX_FAILURES
from tests.support.drive import Stand, job_messages, received, stand
from tests.support.sample_jobs import SampleParameters, count_completed, counted, sample_job

BROKEN: list[str] = []
"""What the task handler and the task generator stumble over; tests empty it."""


def fragile(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    if "handler" in BROKEN:
        raise ValueError("broken")
    return None


def fragile_tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
    if "generator" in BROKEN:
        raise ValueError("broken")
    yield from counted(2)(job, stage)


@pytest.fixture(autouse=True)
def whole() -> None:
    BROKEN.clear()


def dispatch_of_a_failed_job(it: Stand) -> tuple[str, JobMessage]:
    """A job that failed in its first stage and is retried, and a DISPATCH message from before."""
    job_id = it.submit("sample")
    (first,) = job_messages(it.queue.receive(JOBS_QUEUE))
    it.app.stages.handle(first)
    BROKEN.append("handler")
    it.pump_through_time()
    assert it.job(job_id).status == JobStatus.FAILED
    BROKEN.clear()
    it.app.reopener.retry(job_id)
    return job_id, first


def test_the_dead_dispatch_of_an_earlier_opening_does_not_fail_the_job() -> None:
    with stand(sample_job(counted(2), fragile)) as it:
        job_id, first = dispatch_of_a_failed_job(it)
        (raw,) = received([replace(first, deaths=MAX_RESENDS).outgoing()])
        it.app.dead_letters.job(DeadLetteredMessage(raw, "MaxDeliveryCountExceeded", "given up"))
        assert it.job(job_id).status == JobStatus.PROCESSING
        assert it.dead_letters() == []
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_the_failures_of_an_earlier_opening_do_not_fail_the_job() -> None:
    with stand(sample_job(fragile_tasks)) as it:
        BROKEN.append("generator")
        job_id = it.submit("sample")
        (first,) = job_messages(it.queue.receive(JOBS_QUEUE))
        it.app.stages.handle(first)
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.FAILED
        it.app.reopener.retry(job_id)
        it.app.stages.handle(replace(first, failures=MAX_FAILURES))
        BROKEN.clear()
        assert it.job(job_id).status == JobStatus.PROCESSING
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_failure_does_not_fail_a_stage_that_was_reopened_meanwhile() -> None:
    with stand(sample_job(counted(2), fragile)) as it:
        job_id, first = dispatch_of_a_failed_job(it)
        it.app.stages._endings.fail(first.stage_opening, ValueError("too late"))
        assert (it.job(job_id).status, it.stage(job_id).status) == (JobStatus.PROCESSING, StageStatus.DISPATCHING)
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_the_cancellation_of_an_earlier_opening_cancels_nothing_of_a_later_one() -> None:
    """The stage fails in its second opening too: its tasks are cancelled by the message of that opening."""
    with stand(sample_job(counted(2))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.app.canceller.cancel(job_id)
        (cancellation,) = job_messages(it.queue.receive(JOBS_QUEUE))
        it.app.stages.handle(cancellation)
        it.app.reopener.resume(job_id)
        it.deliver_job_messages()
        it.app.canceller.cancel(job_id)
        it.app.stages.handle(cancellation)
        assert {task.status for task in it.tasks(job_id)} == {TaskStatus.QUEUED}
        (second,) = job_messages(it.queue.receive(JOBS_QUEUE))
        assert (cancellation.opening, second.opening) == (0, 1)
        it.app.stages.handle(second)
        assert {task.status for task in it.tasks(job_id)} == {TaskStatus.CANCELLED}


def test_every_message_of_a_reopened_stage_carries_its_opening() -> None:
    with stand(sample_job(counted(2), fragile)) as it:
        job_id, _ = dispatch_of_a_failed_job(it)
        (dispatch,) = job_messages(it.queue.receive(JOBS_QUEUE))
        assert dispatch == JobMessage(job_id, 1, JobAction.DISPATCH, opening=1)
        it.app.stages.handle(dispatch)
        messages = received(it.queue.receive(TASKS_QUEUE))
        it.app.worker.run(TASKS_QUEUE, messages)
        (advance,) = job_messages(it.queue.receive(JOBS_QUEUE))
        assert advance == JobMessage(job_id, 1, JobAction.ADVANCE, opening=1)
        it.app.worker.run(TASKS_QUEUE, messages)
        assert job_messages(it.queue.receive(JOBS_QUEUE)) == [advance]
        it.app.stages.handle(dispatch)  # the stage has ended: its ADVANCE is repeated
        assert job_messages(it.queue.receive(JOBS_QUEUE)) == [advance]
        it.clock.advance(10_000)
        it.app.sweeper.sweep()
        assert job_messages(it.queue.receive(JOBS_QUEUE)) == [advance]


def test_the_sweeper_goes_on_with_the_dispatch_of_the_current_opening() -> None:
    with stand(sample_job(counted(2), fragile)) as it:
        job_id, _ = dispatch_of_a_failed_job(it)
        it.queue.receive(JOBS_QUEUE)
        it.clock.advance(10_000)
        it.app.sweeper.sweep()
        assert job_messages(it.queue.receive(JOBS_QUEUE)) == [JobMessage(job_id, 1, JobAction.DISPATCH, opening=1)]


def test_the_sweeper_cancels_what_is_left_of_the_current_opening() -> None:
    with stand(sample_job(counted(2), fragile)) as it:
        job_id, _ = dispatch_of_a_failed_job(it)
        it.deliver_job_messages()
        it.app.canceller.cancel(job_id)
        it.queue.receive(JOBS_QUEUE)
        it.clock.advance(10_000)
        it.app.sweeper.sweep()
        assert job_messages(it.queue.receive(JOBS_QUEUE)) == [JobMessage(job_id, 1, JobAction.CANCEL, opening=1)]


def test_a_dead_advance_from_before_a_job_went_on_does_not_fail_it() -> None:
    """The stage had finished, so it is not dispatched anew; its opening is counted all the same."""

    def aggregate(stage: StageContext, results: Iterator[TaskResult]) -> JsonValue:
        if "aggregation" in BROKEN:
            raise JobFailure("broken")
        return count_completed(stage, results)

    with stand(sample_job(counted(2), aggregate=aggregate)) as it:
        BROKEN.append("aggregation")
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.deliver_task_messages()
        (advance,) = job_messages(it.queue.receive(JOBS_QUEUE))
        it.app.stages.handle(advance)
        assert it.job(job_id).status == JobStatus.FAILED
        BROKEN.clear()
        it.app.reopener.retry(job_id)
        (raw,) = received([replace(advance, deaths=MAX_RESENDS).outgoing()])
        it.app.dead_letters.job(DeadLetteredMessage(raw, "MaxDeliveryCountExceeded", "given up"))
        assert it.job(job_id).status == JobStatus.PROCESSING
        (again,) = job_messages(it.queue.receive(JOBS_QUEUE))
        assert again == replace(advance, opening=1)
        it.app.stages.handle(again)
        assert it.job(job_id).status == JobStatus.COMPLETED
