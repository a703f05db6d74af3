from collections.abc import Mapping
from typing import Any

import pytest

from controllers.context import JsonValue, TaskContext
from core.errors import LockTimeoutError, QueueUnavailableError
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.models import Resend
from core.statuses import JobStatus
from engine.repair.sweeper import SweepReport
from tests.fakes.batches import FakeBatchRepository
from tests.support.drive import Stand, received, stand
from tests.support.sample_jobs import counted, sample_job

NOTHING = SweepReport()
LONG = 1_000.0  # more seconds than the sweeper ever waits


def complete(it: Stand, job_id: str) -> None:
    """Runs the job to its end: it completes, and the counters of its stage agree with its tasks."""
    it.pump_through_time()
    assert it.job(job_id).status == JobStatus.COMPLETED
    stage = it.stage(job_id)
    assert stage.total_tasks == stage.completed_tasks == len(it.tasks(job_id))


def lose(it: Stand, queue: str) -> int:
    """Loses the visible messages of a queue; returns how many there were."""
    return len(it.queue.receive(queue))


def test_a_job_that_goes_on_is_left_alone() -> None:
    with stand(sample_job(counted(250))) as it:
        job_id = it.submit("sample")
        assert it.app.sweeper.sweep() == NOTHING
        it.deliver_job_messages()
        assert it.app.sweeper.sweep() == NOTHING
        complete(it, job_id)
        it.clock.advance(LONG)
        assert it.app.sweeper.sweep() == NOTHING


def test_a_job_whose_message_the_broker_refused_is_sent() -> None:
    with stand(sample_job(counted(3))) as it:
        it.queue.failures.append(QueueUnavailableError("away"))
        job_id = it.submit("sample")
        assert it.app.sweeper.sweep() == NOTHING
        it.clock.advance(60)
        assert it.app.sweeper.sweep() == SweepReport(jobs=1)
        assert it.job(job_id).status == JobStatus.QUEUED
        complete(it, job_id)


def test_a_job_whose_first_message_was_lost_is_sent_again() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        assert lose(it, JOBS_QUEUE) == 1
        it.clock.advance(LONG)
        assert it.app.sweeper.sweep() == SweepReport(jobs=1)
        complete(it, job_id)


def test_batches_that_the_broker_refused_are_sent_without_their_dispatcher() -> None:
    with stand(sample_job(counted(250)), dispatch_parallel=1) as it:
        it.submit("sample")
        it.queue.failures.extend([QueueUnavailableError("busy")] * 2)
        it.deliver_job_messages()
        it.clock.advance(60)
        assert it.app.sweeper.sweep() == SweepReport(batches=2)
        assert len(it.queue.receive(TASKS_QUEUE)) == 250


def test_a_batch_that_another_transaction_holds_does_not_keep_the_others_from_being_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin_resend = FakeBatchRepository.begin_resend

    def unless_locked(self: FakeBatchRepository, batch_id: str) -> Resend | None:
        if batch_id.endswith("-b0"):
            raise LockTimeoutError("another transaction holds it")
        return begin_resend(self, batch_id)

    with stand(sample_job(counted(250)), dispatch_parallel=1) as it:
        job_id = it.submit("sample")
        it.queue.failures.extend([QueueUnavailableError("busy")] * 3)
        it.deliver_job_messages()
        it.clock.advance(60)
        with monkeypatch.context() as locked:
            locked.setattr(FakeBatchRepository, "begin_resend", unless_locked)
            assert it.app.sweeper.sweep() == SweepReport(batches=2)
        assert it.app.sweeper.sweep() == SweepReport(batches=1)
        complete(it, job_id)


def test_a_broker_that_is_still_unavailable_is_tried_once_a_sweep() -> None:
    with stand(sample_job(counted(250)), dispatch_parallel=1) as it:
        job_id = it.submit("sample")
        it.queue.failures.extend([QueueUnavailableError("busy")] * 3)
        it.deliver_job_messages()
        it.clock.advance(60)
        it.queue.failures.append(QueueUnavailableError("still away"))
        assert it.app.sweeper.sweep() == NOTHING
        assert {batch.last_error for batch in it.batches(job_id)} == {"busy", "still away"}
        assert it.app.sweeper.sweep() == SweepReport(batches=3)
        complete(it, job_id)


def test_a_dispatch_whose_message_was_lost_goes_on() -> None:
    with stand(sample_job(counted(250)), dispatch_parallel=1) as it:
        job_id = it.submit("sample")
        it.queue.failures.append(QueueUnavailableError("busy"))
        it.deliver_job_messages()
        it.clock.advance(10)
        assert lose(it, JOBS_QUEUE) == 1
        it.clock.advance(LONG)
        report = it.app.sweeper.sweep()
        assert (report.dispatches, report.batches) == (1, 1)
        complete(it, job_id)


def fails_once(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    if context.attempt == 1:
        raise ValueError("the first time")
    return None


def test_a_retry_whose_message_was_lost_is_sent_again() -> None:
    with stand(sample_job(counted(3), fails_once)) as it:
        job_id = it.submit("sample")
        it.pump()
        it.clock.advance(100)
        assert lose(it, TASKS_QUEUE) == 3
        it.clock.advance(300)
        assert it.app.sweeper.sweep() == SweepReport(retries=3)
        complete(it, job_id)


def test_a_task_whose_worker_and_message_are_gone_is_sent_again() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        messages = it.queue.receive(TASKS_QUEUE)
        with it.database.transaction() as work:
            work.tasks.claim([task.task_id for task in it.tasks(job_id)], "a worker that died", 50)
        it.clock.advance(50)
        assert it.app.sweeper.sweep() == NOTHING
        it.clock.advance(300)
        assert it.app.sweeper.sweep() == SweepReport(leases=3)
        complete(it, job_id)
        it.app.worker.run(TASKS_QUEUE, received(messages))  # the lost messages arrive late
        assert it.stage(job_id).completed_tasks == 3


def test_a_stage_that_ended_without_advancing_advances() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.deliver_task_messages()
        assert lose(it, JOBS_QUEUE) == 1
        it.clock.advance(299)
        assert it.app.sweeper.sweep() == NOTHING
        it.clock.advance(1)
        assert it.app.sweeper.sweep() == SweepReport(advances=1)
        complete(it, job_id)


@pytest.mark.parametrize("n", [1, 100, 101, 1_000])
def test_a_broker_that_lost_every_message_of_a_stage_is_filled_again(n: int) -> None:
    with stand(sample_job(counted(n))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        assert lose(it, TASKS_QUEUE) == n
        it.clock.advance(299)
        assert it.app.sweeper.sweep() == NOTHING
        it.clock.advance(1)
        assert it.app.sweeper.sweep() == SweepReport(silent_tasks=n)
        assert it.app.sweeper.sweep() == NOTHING
        complete(it, job_id)


def test_repairs_for_which_a_sweep_has_no_time_are_left_to_the_next() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        lose(it, JOBS_QUEUE)
        it.clock.advance(LONG)
        times = iter([0.0, *[100.0] * 50])
        it.app.sweeper._clock = lambda: next(times)
        assert it.app.sweeper.sweep() == NOTHING
        times = iter([0.0] * 50)
        assert it.app.sweeper.sweep() == SweepReport(jobs=1)
        complete(it, job_id)


def test_a_stage_that_waits_behind_others_is_sent_again_ever_more_rarely() -> None:
    with stand(sample_job(counted(250))) as it:
        it.submit("sample")
        it.deliver_job_messages()
        copies = 0
        for _ in range(180):  # three hours with a sweep a minute, in which no worker takes a message
            it.clock.advance(60)
            copies += it.app.sweeper.sweep().silent_tasks
        assert copies == 250 * 5


def test_a_dispatch_that_was_released_just_now_does_not_count_as_interrupted() -> None:
    with stand(sample_job(counted(250)), dispatch_parallel=1) as it:
        it.submit("sample")
        it.queue.failures.append(QueueUnavailableError("busy"))
        it.clock.advance(400)
        it.deliver_job_messages()  # a dispatcher releases the stage long after the job began
        it.clock.advance(10)
        assert it.app.sweeper.sweep().dispatches == 0


def test_a_repair_that_fails_does_not_prevent_the_others() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        assert lose(it, TASKS_QUEUE) == 3
        it.queue.failures.append(QueueUnavailableError("away"))
        waiting = it.submit("sample", label="b")
        it.clock.advance(LONG)
        it.queue.failures.append(QueueUnavailableError("still away"))
        with pytest.raises(QueueUnavailableError, match="still away"):
            it.app.sweeper.sweep()
        assert it.queue.size(TASKS_QUEUE) == 3
        it.clock.advance(LONG)
        assert it.app.sweeper.sweep().jobs == 1
        complete(it, job_id)
        complete(it, waiting)
