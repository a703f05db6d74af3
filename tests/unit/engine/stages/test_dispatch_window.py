"""Dispatching a stage again over the rows of earlier dispatches."""

from collections.abc import Iterator
from typing import Any

import pytest

from controllers.base import DispatchProtocol
from controllers.context import JobContext, StageContext
from core.definitions import TaskDefinition
from core.errors import DispatchInterruptedError, QueueUnavailableError
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.messages import JobAction, JobMessage
from core.models import StageKey
from core.statuses import BatchStatus, JobStatus, StageStatus, TaskStatus
from tests.support.drive import Stand, job_messages, second_process, stand, task_messages
from tests.support.sample_jobs import TASK_TYPE, SampleParameters, Tasks, counted, sample_job

AWAY = QueueUnavailableError("away")


def replaced(count: int, changed_index: int) -> Tasks:
    """As `counted`, but with other parameters at one index."""

    def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        for index in range(count):
            yield TaskDefinition(TASK_TYPE, {"n": -1 if index == changed_index else index}, index)

    return tasks


def interrupted(count: int, at: int) -> Tasks:
    """As `counted`, but the process dies at an index."""

    def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        yield from counted(at)(job, stage)
        raise QueueUnavailableError(f"killed after {at} of {count}")

    return tasks


def dispatch(it: Stand, job_id: str, stage: int = 1, **fields: Any) -> None:
    it.app.stages.handle(JobMessage(job_id, stage, JobAction.DISPATCH, **fields))


def test_a_dispatched_stage_is_running_with_exact_totals() -> None:
    with stand(sample_job(counted(237))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()

        stage = it.stage(job_id)
        assert (stage.status, stage.total_tasks, stage.total_batches) == (StageStatus.RUNNING, 237, 3)
        assert {batch.status for batch in it.batches(job_id)} == {BatchStatus.QUEUED}
        assert {task.status for task in it.tasks(job_id)} == {TaskStatus.QUEUED}
        sent = task_messages(it.queue.receive(TASKS_QUEUE))
        assert sorted(message.task_id for message in sent) == [task.task_id for task in it.tasks(job_id)]


def test_a_replay_sends_nothing_for_batches_that_are_queued() -> None:
    with stand(sample_job(interrupted(300, at=200))) as it:
        job_id = it.submit("sample")
        with pytest.raises(QueueUnavailableError):
            it.deliver_job_messages()
        assert it.stage(job_id).status == StageStatus.DISPATCHING
        first = task_messages(it.queue.receive(TASKS_QUEUE))

        with second_process(it, sample_job(counted(300))) as repaired:
            dispatch(repaired, job_id)
        second = task_messages(it.queue.receive(TASKS_QUEUE))
        assert len({message.task_id for message in first + second}) == len(first + second) == 300
        assert it.stage(job_id).total_tasks == 300


def test_a_replay_sends_pending_batches_again_under_new_message_ids() -> None:
    with stand(sample_job(counted(150)), dispatch_parallel=1) as it:
        job_id = it.submit("sample")
        it.queue.failures.append(AWAY)
        it.deliver_job_messages()
        before = {message.message_id for message in it.queue.receive(TASKS_QUEUE)}
        assert [batch.status for batch in it.batches(job_id)] == [BatchStatus.PENDING_QUEUE, BatchStatus.QUEUED]

        dispatch(it, job_id)
        resent = it.queue.receive(TASKS_QUEUE)
        assert len(resent) == 100
        assert {message.send for message in task_messages(resent)} == {2}
        assert not before & {message.message_id for message in resent}
        assert [batch.send_attempts for batch in it.batches(job_id)] == [2, 1]
        assert it.stage(job_id).status == StageStatus.RUNNING


def test_a_pending_batch_whose_messages_came_through_after_all_is_not_sent_again() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        it.queue.failures.append(AWAY)
        it.deliver_job_messages()
        with it.database.transaction() as work:
            work.tasks.claim([task.task_id for task in it.tasks(job_id)], "a worker", 50)

        dispatch(it, job_id)
        assert it.queue.size(TASKS_QUEUE) == 0
        assert it.stage(job_id).status == StageStatus.RUNNING


def test_a_stage_with_unsent_batches_stays_dispatching_and_is_continued_later() -> None:
    with stand(sample_job(counted(150)), dispatch_parallel=1) as it:
        job_id = it.submit("sample")
        it.queue.failures.append(AWAY)
        it.deliver_job_messages()

        assert it.stage(job_id).status == StageStatus.DISPATCHING
        assert it.batches(job_id)[0].last_error == "away"
        scheduled = it.queue.scheduled(JOBS_QUEUE)
        assert job_messages(scheduled) == [JobMessage(job_id, 1, JobAction.DISPATCH, redispatches=1)]
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED


@pytest.mark.parametrize(("redispatches", "delay_seconds"), [(0, 1), (1, 2), (5, 32), (6, 60), (1_000, 60)])
def test_a_dispatch_without_progress_is_repeated_ever_later(redispatches: int, delay_seconds: int) -> None:
    with stand(sample_job(counted(1))) as it:
        job_id = it.submit("sample")
        it.queue.receive(JOBS_QUEUE)
        it.queue.failures.append(AWAY)
        dispatch(it, job_id, redispatches=redispatches)

        due = it.queue.scheduled(JOBS_QUEUE)[0].enqueue_at
        assert due is not None
        assert (due - it.clock.now()).total_seconds() == delay_seconds


def test_a_slice_that_ends_is_continued_by_a_message_until_all_is_queued() -> None:
    with stand(sample_job(counted(350)), dispatch_slice_seconds=1e-9) as it:
        job_id = it.submit("sample")
        slices = 0
        while it.stage_or_none(job_id) is None or it.stage(job_id).status == StageStatus.DISPATCHING:
            slices += it.deliver_job_messages()

        assert slices == 4  # every slice queues at least one batch, however short it is
        assert it.stage(job_id).total_tasks == 350
        sent = task_messages(it.queue.receive(TASKS_QUEUE))
        assert len({message.task_id for message in sent}) == len(sent) == 350


def test_a_stage_that_another_dispatcher_holds_is_looked_at_again_when_its_lease_ends() -> None:
    with stand(sample_job(interrupted(300, at=100))) as it:
        job_id = it.submit("sample")
        with pytest.raises(QueueUnavailableError):
            it.deliver_job_messages()
        with it.database.transaction() as work:
            assert work.stages.acquire_dispatch_lease(StageKey(job_id, 1), "another", 50)

        before = it.batches(job_id)
        dispatch(it, job_id, redispatches=3)
        again = it.queue.scheduled(JOBS_QUEUE)
        assert job_messages(again) == [JobMessage(job_id, 1, JobAction.DISPATCH, redispatches=3)]
        assert again[0].enqueue_at is not None
        assert (again[0].enqueue_at - it.clock.now()).total_seconds() == 50
        assert it.batches(job_id) == before


@pytest.mark.parametrize(
    ("replay", "complaint"),
    [
        (replaced(300, changed_index=150), "-s1-b1 was queued with other tasks. Submit the job again"),
        (counted(100), "-s1-b1 was queued, and has no tasks now. Submit the job again"),
        (counted(199), "-s1-b1 was queued with other tasks"),
    ],
    ids=["other parameters", "fewer_batches", "fewer tasks"],
)
def test_a_replay_that_yields_other_tasks_fails_the_job_clearly(replay: Tasks, complaint: str) -> None:
    with stand(sample_job(counted(300)), dispatch_parallel=1) as it:
        job_id = it.submit("sample")
        it.queue.failures.append(AWAY)  # so that the stage has to be dispatched again
        it.deliver_job_messages()

        with second_process(it, sample_job(replay)) as changed:
            dispatch(changed, job_id)
        job = it.job(job_id)
        assert job.status == JobStatus.FAILED
        assert job.error is not None
        assert (job.error["type"], job.error["stage"]) == ("NonDeterministicStageError", 1)
        assert complaint in job.error["message"]
        assert "traceback" not in job.error
        assert it.stage(job_id).status == StageStatus.FAILED


def test_an_atomic_dispatch_ends_at_the_first_batch_that_the_broker_refuses_and_goes_on_from_there() -> None:
    with stand(sample_job(counted(300), protocol=DispatchProtocol.ATOMIC), dispatch_parallel=1) as it:
        job_id = it.submit("sample")
        it.queue.failures.append(AWAY)
        with pytest.raises(DispatchInterruptedError):
            it.deliver_job_messages()
        assert f"{job_id}-s1-b0" not in {batch.batch_id for batch in it.batches(job_id)}

        dispatch(it, job_id)
        assert [batch.status for batch in it.batches(job_id)] == [BatchStatus.QUEUED] * 3
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED
