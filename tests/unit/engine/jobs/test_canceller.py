"""Jobs that are cancelled or fail early: no task starts any more, waiting tasks are cancelled, running ones end."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from controllers.base import DispatchProtocol, StageSpec
from controllers.context import JobContext, JsonValue, StageContext, TaskContext
from core.definitions import TaskDefinition
from core.errors import JobNotFoundError, JobStateError, PermanentTaskError, QueueNotFoundError, QueueUnavailableError
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.messages import JobAction, JobMessage
from core.models import StageKey
from core.statuses import BatchStatus, JobStatus, StageStatus, TaskStatus
from engine.repair.sweeper import SweepReport
from tests.support.drive import Stand, job_messages, received, second_process, stand
from tests.support.sample_jobs import SampleParameters, Tasks, counted, sample_job
from tests.support.waiting import wait_until
from tests.unit.engine.tasks.test_leases import SHORT_SECONDS


def fails(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    raise PermanentTaskError("no")


def fails_at_first(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    if context.task_index == 0:
        raise PermanentTaskError("no")
    return None


def statuses(it: Stand, job_id: str) -> Counter[TaskStatus]:
    return Counter(task.status for task in it.tasks(job_id))


def assert_settled(it: Stand, job_id: str) -> None:
    """Every task has ended, and the counters of batches and stage equal counts of tasks."""
    counts = statuses(it, job_id)
    stage = it.stage(job_id)
    assert set(counts) <= {TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED}
    assert (stage.completed_tasks, stage.failed_tasks, stage.cancelled_tasks) == (
        *(counts[TaskStatus.COMPLETED], counts[TaskStatus.FAILED], counts[TaskStatus.CANCELLED]),
    )
    batches = it.batches(job_id)
    assert {batch.status for batch in batches} <= {BatchStatus.FINISHED, BatchStatus.CANCELLED}
    assert stage.finished_batches == len(batches)


def test_a_cancelled_job_runs_no_more_tasks() -> None:
    with stand(sample_job(counted(250))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        messages = it.queue.receive(TASKS_QUEUE)
        it.app.worker.run(TASKS_QUEUE, received(messages[:100]))

        assert it.app.canceller.cancel(job_id) == JobStatus.CANCELLED
        it.app.worker.run(TASKS_QUEUE, received(messages[100:]))
        assert statuses(it, job_id) == {TaskStatus.COMPLETED: 100, TaskStatus.QUEUED: 150}
        it.pump()

        assert statuses(it, job_id) == {TaskStatus.COMPLETED: 100, TaskStatus.CANCELLED: 150}
        assert (it.job(job_id).status, it.stage(job_id).status) == (JobStatus.CANCELLED, StageStatus.CANCELLED)
        assert_settled(it, job_id)
        assert it.app.sweeper.sweep() == SweepReport()


def test_a_job_can_be_cancelled_before_it_begins() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        it.app.canceller.cancel(job_id)
        it.pump()
        assert (it.job(job_id).status, it.stage_or_none(job_id)) == (JobStatus.CANCELLED, None)


def test_cancelling_twice_is_cancelling_once() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.app.canceller.cancel(job_id)
        finished_at = it.job(job_id).finished_at
        it.clock.advance(5)
        assert it.app.canceller.cancel(job_id) == JobStatus.CANCELLED
        it.pump()
        assert it.job(job_id).finished_at == finished_at
        assert_settled(it, job_id)


def test_a_job_that_has_ended_is_not_cancelled() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        it.pump()
        with pytest.raises(JobStateError, match="is completed: only a job that has not ended can be cancelled"):
            it.app.canceller.cancel(job_id)
        with pytest.raises(JobNotFoundError):
            it.app.canceller.cancel("0" * 32)


@pytest.mark.parametrize("protocol", list(DispatchProtocol))
def test_a_dispatch_stops_when_its_job_is_cancelled(protocol: DispatchProtocol) -> None:
    there: list[Stand] = []

    def cancelled_at(index: int) -> Tasks:
        def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
            for definition in counted(1_000_000)(job, stage):
                if definition.index == index:
                    there[0].app.canceller.cancel(job.job_id)
                yield definition

        return tasks

    with stand(sample_job(cancelled_at(450), protocol=protocol), dispatch_parallel=1) as it:
        there.append(it)
        job_id = it.submit("sample")
        it.pump()
        assert 100 <= len(it.tasks(job_id)) <= 400
        assert (it.job(job_id).status, it.stage(job_id).status) == (JobStatus.CANCELLED, StageStatus.CANCELLED)
        assert_settled(it, job_id)


@pytest.mark.usefixtures("late_starts")
def test_a_running_task_learns_that_its_job_is_cancelled_and_its_outcome_is_recorded() -> None:
    with stand(lease_seconds=SHORT_SECONDS) as shell:

        def handler(context: TaskContext, parameters: Mapping[str, Any]) -> str:
            shell.app.canceller.cancel(context.job_id)
            wait_until(context.is_cancelled)
            return "stopped in the middle"

        with second_process(shell, sample_job(counted(1), handler)) as it:
            job_id = it.submit("sample")
            it.pump()
            (task,) = it.tasks(job_id)
            assert (task.status, task.result) == (TaskStatus.COMPLETED, "stopped in the middle")
            assert it.job(job_id).status == JobStatus.CANCELLED
            assert_settled(it, job_id)


@pytest.mark.usefixtures("late_starts")
@pytest.mark.parametrize("error", [ValueError("stopped"), PermanentTaskError("stopped")])
def test_a_task_that_raises_because_its_job_is_cancelled_has_not_failed(error: Exception) -> None:
    with stand(lease_seconds=SHORT_SECONDS) as shell:

        def handler(context: TaskContext, parameters: Mapping[str, Any]) -> str:
            if shell.job(context.job_id).status == JobStatus.PROCESSING and context.attempt == 1 and not cancelled:
                cancelled.append(shell.app.canceller.cancel(context.job_id))
                wait_until(context.is_cancelled)
                raise error
            return "done"

        cancelled: list[JobStatus] = []
        with second_process(shell, sample_job(counted(1), handler)) as it:
            job_id = it.submit("sample")
            it.pump()
            assert statuses(it, job_id) == {TaskStatus.CANCELLED: 1}
            assert_settled(it, job_id)
            it.app.reopener.resume(job_id)
            it.pump()
            (task,) = it.tasks(job_id)
            assert (task.status, task.result, task.failures) == (TaskStatus.COMPLETED, "done", 0)


def test_a_task_that_begins_to_wait_after_the_cancellation_is_cancelled_by_the_sweeper() -> None:
    with stand() as shell:

        def handler(context: TaskContext, parameters: Mapping[str, Any]) -> str:
            shell.app.canceller.cancel(context.job_id)
            shell.app.stages.handle(JobMessage(key.job_id, key.number, JobAction.CANCEL))
            raise ValueError("no")

        with second_process(shell, sample_job(counted(2), handler)) as it:
            job_id = it.submit("sample")
            it.deliver_job_messages()
            key = StageKey(job_id, 1)
            it.app.worker.run(TASKS_QUEUE, received(it.queue.receive(TASKS_QUEUE)[:1]))
            it.queue.receive(JOBS_QUEUE)
            it.pump_through_time()
            assert statuses(it, job_id) == {TaskStatus.RETRYING: 1, TaskStatus.CANCELLED: 1}
            it.clock.advance(1_000)
            assert it.app.sweeper.sweep() == SweepReport(retries=1, stopped=1)
            it.pump()
            assert statuses(it, job_id) == {TaskStatus.CANCELLED: 2}
            assert_settled(it, job_id)


def test_the_sweeper_cancels_the_tasks_that_a_dead_worker_had_leased() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        with it.database.transaction() as work:
            work.tasks.claim([it.tasks(job_id)[0].task_id], "a worker that dies", 50)
        it.app.canceller.cancel(job_id)
        it.pump()
        assert statuses(it, job_id) == {TaskStatus.CANCELLED: 2, TaskStatus.PROCESSING: 1}
        it.clock.advance(100)
        assert it.app.sweeper.sweep() == SweepReport(stopped=1)
        it.pump()
        assert_settled(it, job_id)


def test_a_cancellation_whose_message_the_broker_refuses_is_repeated_by_the_sweeper() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.queue.failures.append(QueueUnavailableError("away"))
        it.app.canceller.cancel(job_id)
        it.pump()
        assert statuses(it, job_id) == {TaskStatus.QUEUED: 3}
        it.clock.advance(100)
        assert it.app.sweeper.sweep() == SweepReport(stopped=1)
        it.pump()
        assert_settled(it, job_id)


def test_a_cancellation_without_its_queue_is_completed_when_the_queue_is_there_again() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.queue.failures.append(QueueNotFoundError("gone"))
        it.app.canceller.cancel(job_id)
        it.clock.advance(100)
        assert it.app.sweeper.sweep() == SweepReport(stopped=1)
        it.pump()
        assert_settled(it, job_id)


def test_a_long_cancellation_goes_on_in_another_slice() -> None:
    with stand(sample_job(counted(2_500)), dispatch_slice_seconds=1e-9) as it:
        job_id = it.submit("sample")
        while it.stage_or_none(job_id) is None or it.stage(job_id).status == StageStatus.DISPATCHING:
            it.deliver_job_messages()
        it.app.canceller.cancel(job_id)
        it.deliver_job_messages()
        assert it.stage(job_id).cancelled_tasks == 1_000
        (again,) = job_messages(it.queue.receive(JOBS_QUEUE))
        assert again == JobMessage(job_id, 1, JobAction.CANCEL)
        for _ in range(3):
            it.app.stages.handle(again)
        assert it.stage(job_id).cancelled_tasks == 2_500
        assert_settled(it, job_id)


def test_no_task_of_a_reopened_stage_is_cancelled() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.app.canceller.cancel(job_id)
        late = job_messages(it.queue.receive(JOBS_QUEUE))
        it.app.stages.handle(late[0])
        it.app.reopener.resume(job_id)
        it.app.stages.handle(late[0])
        it.pump()
        assert statuses(it, job_id) == {TaskStatus.COMPLETED: 3}
        it.app.stages.handle(late[0])
        assert it.job(job_id).status == JobStatus.COMPLETED


@pytest.mark.parametrize("tolerated", [0.0, 0.05])
def test_a_job_fails_as_soon_as_too_many_tasks_failed_and_the_rest_is_cancelled(tolerated: float) -> None:
    stages = (StageSpec("only", max_failed_fraction=tolerated),)
    with stand(sample_job(counted(1_000), fails, stages=stages)) as it:
        job_id = it.submit("sample")
        it.pump()
        job = it.job(job_id)
        assert job.status == JobStatus.FAILED
        assert job.error is not None
        assert job.error["message"].startswith(
            f"100 of 1,000 tasks of stage 1 (only) failed; it tolerates a fraction of {tolerated:g}. "
        )
        assert statuses(it, job_id) == {TaskStatus.FAILED: 100, TaskStatus.CANCELLED: 900}
        assert_settled(it, job_id)


def test_a_stage_that_tolerates_no_failure_stops_being_dispatched() -> None:
    there: list[Stand] = []

    def run_at(index: int) -> Tasks:
        def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
            for definition in counted(1_000_000)(job, stage):
                if definition.index == index:
                    wait_until(lambda: bool(there[0].deliver_task_messages()))
                yield definition

        return tasks

    with stand(sample_job(run_at(450), fails_at_first), dispatch_parallel=1) as it:
        there.append(it)
        job_id = it.submit("sample")
        it.pump()
        job = it.job(job_id)
        assert job.status == JobStatus.FAILED
        assert job.error is not None
        assert job.error["message"].startswith("1 tasks of stage 1 (only) failed; it tolerates a fraction of 0. ")
        assert len(it.tasks(job_id)) < 1_000
        assert_settled(it, job_id)


def test_waiting_tasks_of_a_failed_job_are_cancelled() -> None:
    def broken(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        yield from counted(200)(job, stage)
        yield TaskDefinition("sample.unknown", {}, 200)

    with stand(sample_job(broken)) as it:
        job_id = it.submit("sample")
        it.pump()
        assert it.job(job_id).status == JobStatus.FAILED
        assert_settled(it, job_id)


@pytest.mark.usefixtures("late_starts")
def test_a_claimed_task_does_not_start_once_its_worker_knows_that_the_stage_is_stopped() -> None:
    started: list[int] = []
    with stand(lease_seconds=SHORT_SECONDS) as shell:
        all_threads = threading.Barrier(shell.app.settings.worker_threads)

        def handler(context: TaskContext, parameters: Mapping[str, Any]) -> None:
            started.append(context.task_index)
            all_threads.wait(120)
            it.app.canceller.cancel(context.job_id)
            wait_until(context.is_cancelled)

        with second_process(shell, sample_job(counted(10), handler)) as it:
            job_id = it.submit("sample")
            it.pump()
            assert len(started) == shell.app.settings.worker_threads
            assert it.job(job_id).status == JobStatus.CANCELLED
            assert_settled(it, job_id)
