"""Jobs that are reopened: only failed and cancelled tasks run again, and the job goes on from there."""

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from controllers.base import StageSpec
from controllers.context import Handler, JobContext, JsonValue, StageContext, TaskContext
from core.definitions import TaskDefinition
from core.errors import JobFailure, JobNotFoundError, JobStateError, PermanentTaskError, QueueUnavailableError
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.messages import JobAction, JobMessage
from core.models import StageKey
from core.statuses import BatchStatus, JobStatus, StageStatus, TaskStatus
from core.task_runs import TaskResult
from engine.repair.sweeper import SweepReport
from tests.support.drive import Stand, received, stand, task_messages
from tests.support.sample_jobs import SampleParameters, Tasks, counted, sample_job
from tests.unit.engine.jobs.test_canceller import assert_settled, statuses

TOLERANT = (StageSpec("only", max_failed_fraction=1.0),)


class Broken:
    """A handler that fails at some indexes until the test repairs it."""

    def __init__(self, *indexes: int) -> None:
        self.indexes = set(indexes)
        self.runs: list[int] = []

    def __call__(self, context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        self.runs.append(context.task_index)
        if context.task_index in self.indexes:
            raise PermanentTaskError("broken")
        return context.attempt

    def mend(self) -> None:
        self.indexes.clear()
        self.runs.clear()


def test_only_the_failed_tasks_of_a_job_run_again() -> None:
    handler = Broken(7, 130)
    with stand(sample_job(counted(250), handler, stages=TOLERANT)) as it:
        job_id = it.submit("sample")
        it.pump()
        assert (it.job(job_id).status, it.job(job_id).result) == (JobStatus.COMPLETED_WITH_ERRORS, [248])
        handler.mend()
        assert it.app.reopener.retry(job_id) == JobStatus.PROCESSING
        assert (it.job(job_id).result, it.job(job_id).finished_at) == (None, None)
        it.pump()
        assert sorted(handler.runs) == [7, 130]
        job = it.job(job_id)
        assert (job.status, job.result) == (JobStatus.COMPLETED, [250])
        assert_settled(it, job_id)
        assert {task.attempt for task in it.tasks(job_id)} == {1}


def test_a_failed_job_goes_on_to_its_next_stage_after_a_retry() -> None:
    handler = Broken(3)
    stages = (StageSpec("one"), StageSpec("two"))
    with stand(sample_job(counted(1_000, 2), handler, stages=stages), dispatch_parallel=1) as it:
        job_id = it.submit("sample")
        it.pump()
        assert it.job(job_id).status == JobStatus.FAILED
        assert it.stage(job_id).cancelled_tasks == 900
        handler.mend()
        it.app.reopener.retry(job_id)
        it.pump()
        assert sorted(handler.runs) == sorted([3, *range(100, 1_000), 0, 1])
        job = it.job(job_id)
        assert (job.status, job.stage, job.error, job.result) == (JobStatus.COMPLETED, 2, None, [1_000, 2])


def test_tasks_that_fail_again_fail_the_job_again() -> None:
    handler = Broken(3)
    with stand(sample_job(counted(5), handler)) as it:
        job_id = it.submit("sample")
        for _ in range(3):
            it.pump()
            assert it.job(job_id).status == JobStatus.FAILED
            assert_settled(it, job_id)
            assert it.app.reopener.retry(job_id) == JobStatus.PROCESSING
        handler.mend()
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_job_that_is_cancelled_again_before_its_tasks_are_sent_is_resumed_again() -> None:
    with stand(sample_job(counted(5))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.app.worker.run(TASKS_QUEUE, received(it.queue.receive(TASKS_QUEUE)[:2]))
        it.app.canceller.cancel(job_id)
        it.pump()
        it.app.reopener.resume(job_id)
        it.queue.failures.append(QueueUnavailableError("away"))
        it.deliver_job_messages()
        it.app.canceller.cancel(job_id)
        it.pump()
        assert_settled(it, job_id)
        it.app.reopener.resume(job_id)
        it.pump_through_time()
        assert (it.job(job_id).status, it.job(job_id).result) == (JobStatus.COMPLETED, [5])


def test_a_cancelled_job_is_resumed_where_it_stood() -> None:
    handler = Broken(5)
    with stand(sample_job(counted(250), handler, stages=TOLERANT), dispatch_parallel=1) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.app.worker.run(TASKS_QUEUE, received(it.queue.receive(TASKS_QUEUE)[:100]))
        it.app.canceller.cancel(job_id)
        it.pump()
        handler.mend()
        assert it.app.reopener.resume(job_id) == JobStatus.PROCESSING
        it.pump()
        assert sorted(handler.runs) == list(range(100, 250))
        assert it.job(job_id).status == JobStatus.COMPLETED_WITH_ERRORS
        assert statuses(it, job_id) == {TaskStatus.COMPLETED: 249, TaskStatus.FAILED: 1}
        assert_settled(it, job_id)


def test_a_job_that_was_cancelled_while_it_dispatched_is_resumed_to_its_end() -> None:
    there: list[Stand] = []

    def cancelled_once_at(index: int, count: int) -> Tasks:
        def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
            for definition in counted(count)(job, stage):
                if definition.index == index and there:
                    there.pop().app.canceller.cancel(job.job_id)
                yield definition

        return tasks

    with stand(sample_job(cancelled_once_at(450, 1_010)), dispatch_parallel=1) as it:
        there.append(it)
        job_id = it.submit("sample")
        it.pump()
        assert it.stage(job_id).total_tasks is None
        it.app.reopener.resume(job_id)
        it.pump()
        assert (it.job(job_id).status, it.job(job_id).result) == (JobStatus.COMPLETED, [1_010])
        assert_settled(it, job_id)


def test_a_job_that_had_not_begun_begins() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        it.app.canceller.cancel(job_id)
        it.pump()
        assert it.app.reopener.resume(job_id) == JobStatus.PENDING_QUEUE
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_job_whose_aggregation_failed_aggregates_again() -> None:
    failing = [True]

    def aggregate(stage: StageContext, results: Iterator[TaskResult]) -> JsonValue:
        if failing:
            raise JobFailure("the sums do not agree")
        return "agreed"

    with stand(sample_job(counted(3), aggregate=aggregate)) as it:
        job_id = it.submit("sample")
        it.pump()
        assert (it.job(job_id).status, it.stage(job_id).status) == (JobStatus.FAILED, StageStatus.FINISHED)
        failing.clear()
        it.app.reopener.retry(job_id)
        it.pump()
        assert (it.job(job_id).status, it.job(job_id).result) == (JobStatus.COMPLETED, ["agreed"])


def cancel_running(it: Stand, job_id: str) -> None:
    with it.database.transaction() as work:
        work.tasks.claim([it.tasks(job_id)[0].task_id], "a worker", 1_000)
    it.app.canceller.cancel(job_id)
    it.pump()


@pytest.mark.parametrize(
    ("prepare", "verb", "why"),
    [
        (lambda it, job_id: None, "retry", "is processing: only a job that failed or completed with errors"),
        (lambda it, job_id: None, "resume", "is processing: only a cancelled job can be resumed"),
        (lambda it, job_id: it.pump(), "retry", "is completed: only a job that failed or completed with errors"),
        (lambda it, job_id: it.app.canceller.cancel(job_id), "retry", "is cancelled: only a job that failed"),
        (
            lambda it, job_id: it.app.canceller.cancel(job_id),
            "resume",
            "is cancelled: 3 of its tasks have not ended yet",
        ),
        (cancel_running, "resume", "is cancelled: 1 of its tasks have not ended yet"),
    ],
)
def test_a_wrong_status_is_refused_with_the_reason(
    prepare: Callable[[Stand, str], object], verb: str, why: str
) -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        prepare(it, job_id)
        before = it.job(job_id)
        with pytest.raises(JobStateError, match=why):
            getattr(it.app.reopener, verb)(job_id)
        assert it.job(job_id) == before


def test_failures_that_later_stages_have_used_cannot_be_retried() -> None:
    stages = (StageSpec("one", max_failed_fraction=0.5), StageSpec("two"))

    def in_stage_1(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        if (context.stage, context.task_index) == (1, 0):
            raise PermanentTaskError("no")
        return None

    with stand(sample_job(counted(2, 2), in_stage_1, stages=stages)) as it:
        job_id = it.submit("sample")
        it.pump()
        with pytest.raises(JobStateError, match="the tasks that failed are in earlier stages"):
            it.app.reopener.retry(job_id)
        assert it.job(job_id).status == JobStatus.COMPLETED_WITH_ERRORS


def test_a_job_that_does_not_exist_is_not_reopened() -> None:
    with stand(sample_job(counted(1))) as it, pytest.raises(JobNotFoundError):
        it.app.reopener.retry("0" * 32)


def failed_job(it: Stand, handler: Broken) -> str:
    job_id = it.submit("sample")
    it.pump()
    assert it.job(job_id).status == JobStatus.FAILED
    handler.mend()
    return job_id


def lose_message(it: Stand, job_id: str) -> None:
    it.app.reopener.retry(job_id)
    assert len(it.queue.receive(JOBS_QUEUE)) == 1


def refuse_message(it: Stand, job_id: str) -> None:
    it.queue.failures.append(QueueUnavailableError("away"))
    it.app.reopener.retry(job_id)


@pytest.mark.parametrize("break_it", [lose_message, refuse_message])
def test_the_sweeper_resends_the_lost_message_of_a_retry(break_it: Callable[[Stand, str], None]) -> None:
    handler = Broken(0)
    with stand(sample_job(counted(3), handler)) as it:
        job_id = failed_job(it, handler)
        it.clock.advance(1_000)
        break_it(it, job_id)
        assert it.app.sweeper.sweep() == SweepReport(dispatches=1)
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_batches_that_the_broker_refuses_are_sent_later() -> None:
    handler = Broken(*range(300))
    with stand(sample_job(counted(300), handler), dispatch_parallel=1) as it:
        job_id = failed_job(it, handler)
        it.app.reopener.retry(job_id)
        it.queue.failures.extend([QueueUnavailableError("away")] * 2)
        it.deliver_job_messages()
        assert it.stage(job_id).status == StageStatus.DISPATCHING
        assert [batch.status for batch in it.batches(job_id)].count(BatchStatus.PENDING_QUEUE) == 2
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert_settled(it, job_id)


def test_the_messages_of_a_retry_have_another_send_than_earlier_ones() -> None:
    handler = Broken(0, 1)
    with stand(sample_job(counted(2), handler)) as it:
        job_id = failed_job(it, handler)
        it.app.reopener.retry(job_id)
        it.deliver_job_messages()
        assert {message.send for message in task_messages(it.queue.receive(TASKS_QUEUE))} == {2}


def test_an_outcome_of_an_earlier_message_does_not_show_that_a_reopened_batch_was_sent() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        messages = received(it.queue.receive(TASKS_QUEUE))
        it.app.canceller.cancel(job_id)
        it.app.worker.run(TASKS_QUEUE, messages[:1])
        it.deliver_job_messages()
        it.app.reopener.resume(job_id)
        with it.database.transaction() as work:  # the first thing that its dispatcher does
            assert work.stops.reopen_batches(StageKey(job_id, 1), 10) == 1
        it.app.worker.run(TASKS_QUEUE, messages[1:])
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert_settled(it, job_id)


def raising(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    raise ValueError("no")


def test_a_task_that_runs_again_has_all_its_attempts() -> None:
    handler: Handler = raising
    with stand(sample_job(counted(1), handler)) as it:
        job_id = it.submit("sample")
        it.pump_through_time()
        it.app.reopener.retry(job_id)
        it.pump_through_time()
        (task,) = it.tasks(job_id)
        assert (task.status, task.attempt, task.failures) == (TaskStatus.FAILED, 3, 3)


def test_the_controller_is_not_asked_again_for_the_tasks_of_a_stage_that_was_dispatched() -> None:
    asked: list[int] = []

    def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        asked.append(stage.number)
        return counted(2)(job, stage).__iter__()

    handler = Broken(0)
    with stand(sample_job(tasks, handler)) as it:
        job_id = failed_job(it, handler)
        it.app.reopener.retry(job_id)
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert asked == [1]


def test_a_dispatcher_from_before_the_cancellation_does_not_go_on_with_the_reopened_stage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ticks = count(step=1_000)  # so that it renews its lease before each batch
    monkeypatch.setattr("engine.stages.dispatch_slice.time", SimpleNamespace(monotonic=lambda: next(ticks)))
    there: list[Stand] = []

    def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        for definition in counted(250)(job, stage):
            if definition.index == 150 and there:
                it = there.pop()
                it.app.canceller.cancel(job.job_id)
                it.app.stages.handle(JobMessage(job.job_id, 1, JobAction.CANCEL))
                it.app.reopener.resume(job.job_id)
            yield definition

    with stand(sample_job(tasks), dispatch_slice_seconds=1e9, dispatch_parallel=1) as it:
        there.append(it)
        job_id = it.submit("sample")
        it.pump()
        job = it.job(job_id)
        assert (job.status, job.result) == (JobStatus.COMPLETED, [250])
        assert_settled(it, job_id)


def test_a_large_stage_is_reopened_in_slices() -> None:
    handler = Broken(*range(2_100))
    with stand(sample_job(counted(2_100), handler, stages=TOLERANT), dispatch_slice_seconds=1e-9) as it:
        job_id = it.submit("sample")
        it.pump()
        handler.mend()
        it.app.reopener.retry(job_id)
        it.deliver_job_messages()
        assert [batch.status for batch in it.batches(job_id)].count(BatchStatus.PENDING_QUEUE) == 10
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert_settled(it, job_id)
