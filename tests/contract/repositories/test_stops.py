"""Stages are stopped and reopened."""

import pytest

from core.errors import DispatchLeaseLostError
from core.lanes import Lane
from core.models import Batch, LiveBatches, PendingBatch, Resend, Stage, StageKey, StageOpening
from core.statuses import BatchStatus, JobStatus, StageStatus, TaskStatus
from core.task_runs import BatchDelta
from repositories.ports import Database
from tests.contract.repositories.building import (
    ERROR,
    JOB,
    KEY,
    LEASE_SECONDS,
    batch_of,
    claim,
    completed,
    create_batch,
    create_job,
    failed,
    ids,
    record,
    retrying,
    run_dispatch,
    start_job,
    start_stage,
    status_of,
)
from tests.contract.repositories.harness import Harness

MANY = 100


def running_stage(database: Database, batches: int = 2, size: int = 3, tolerated: float = 1.0) -> None:
    """A running stage 1 of a processing job, with batches of these sizes."""
    start_job(database)
    start_stage(database, max_failed_fraction=tolerated)
    for index in range(batches):
        create_batch(database, batch_of(size, index))
    run_dispatch(database, batches * size, batches)


def end(database: Database, *deltas: BatchDelta) -> None:
    with database.transaction() as work:
        finished = work.batches.apply_outcomes(deltas)
        if finished:
            work.stages.add_finished_batches(finished)
        work.stages.finish_if_complete(KEY)


def stop(database: Database, status: StageStatus = StageStatus.CANCELLED) -> None:
    with database.transaction() as work:
        assert work.stages.stop(KEY, status)


def cancel_all(database: Database) -> dict[str, int]:
    with database.transaction() as work:
        cancelled = work.stops.cancel_tasks(work.stops.waiting_batches(KEY, MANY))
        deltas = [BatchDelta(batch_id, cancelled=count) for batch_id, count in sorted(cancelled.items())]
        work.stages.add_finished_batches(work.batches.apply_outcomes(deltas))
    return cancelled


def reopen(database: Database, *, failed_too: bool, limit: int = MANY) -> int:
    with database.transaction() as work:
        assert work.stages.reopen(KEY, failed_too=failed_too)
        return work.stops.reopen_batches(KEY, limit)


def batch(database: Database, index: int) -> Batch:
    with database.transaction() as work:
        row = work.batches.get(f"{JOB}-s1-b{index}")
    assert row is not None
    return row


def stage(database: Database) -> Stage:
    with database.transaction() as work:
        row = work.stages.get(KEY)
    assert row is not None
    return row


def counters(row: Stage) -> tuple[int, int, int, int]:
    return row.finished_batches, row.completed_tasks, row.failed_tasks, row.cancelled_tasks


@pytest.mark.parametrize("status", [StageStatus.FAILED, StageStatus.CANCELLED])
def test_no_task_of_a_stopped_stage_is_claimed_or_due(database: Database, status: StageStatus) -> None:
    running_stage(database)
    claim(database, ids(1))
    stop(database, status)
    assert claim(database, ids(0, 1, 2), "other") == []
    with database.transaction() as work:
        assert {task.task_id: task.due_at for task in work.tasks.unclaimed(ids(0, 1))} == dict.fromkeys(ids(0, 1))


def test_a_task_of_a_stopped_stage_whose_lease_expired_is_not_taken_over(harness: Harness) -> None:
    running_stage(harness.database)
    claim(harness.database, ids(0))
    stop(harness.database)
    harness.pass_time(LEASE_SECONDS)
    assert claim(harness.database, ids(0), "other") == []


def test_the_worker_of_a_task_can_see_that_its_stage_is_stopped(database: Database) -> None:
    running_stage(database)
    claim(database, ids(0))
    with database.transaction() as work:
        assert work.tasks.stopped(ids(0)) == set()
    stop(database)
    with database.transaction() as work:
        assert work.tasks.stopped(ids(0, 5)) == set(ids(0, 5))
        assert work.tasks.renew_leases(ids(0), "mine", LEASE_SECONDS) == set(ids(0))
    assert record(database, completed(ids(0)[0])) == ids(0)


def test_tasks_that_nobody_runs_are_cancelled(harness: Harness) -> None:
    database = harness.database
    running_stage(database)
    claim(database, ids(0, 1), "gone")
    harness.pass_time(LEASE_SECONDS)
    claim(database, ids(2, 3, 4))
    record(database, completed(ids(2)[0]), retrying(ids(3)[0]))
    stop(database)
    assert cancel_all(database) == {f"{JOB}-s1-b0": 2, f"{JOB}-s1-b1": 2}
    expected = {0: TaskStatus.CANCELLED, 2: TaskStatus.COMPLETED, 3: TaskStatus.CANCELLED, 4: TaskStatus.PROCESSING}
    assert {index: status_of(database, ids(index)[0]) for index in expected} == expected
    assert record(database, completed(ids(0)[0]), lease_id="gone") == []
    assert (batch(database, 1).open_tasks, batch(database, 1).cancelled_tasks) == (1, 2)


def test_batches_with_running_tasks_alone_do_not_wait(database: Database) -> None:
    running_stage(database, size=1)
    claim(database, ids(0))
    stop(database)
    with database.transaction() as work:
        assert work.stops.waiting_batches(KEY, MANY) == [f"{JOB}-s1-b1"]
        assert work.stops.live_batches(KEY) == LiveBatches(2, 2)
    cancel_all(database)
    with database.transaction() as work:
        assert work.stops.waiting_batches(KEY, MANY) == []
        assert work.stops.live_batches(KEY) == LiveBatches(1, 1)


def test_a_batch_of_which_nothing_ran_is_cancelled_and_another_finished(database: Database) -> None:
    running_stage(database)
    start_stage(database, 2)
    create_batch(database, batch_of(3, stage=2), BatchStatus.PENDING_QUEUE)
    claim(database, ids(0))
    record(database, completed(ids(0)[0]))
    end(database, BatchDelta(f"{JOB}-s1-b0", completed=1))
    stop(database)
    cancel_all(database)
    assert [batch(database, index).status for index in (0, 1)] == [BatchStatus.FINISHED, BatchStatus.CANCELLED]
    assert counters(stage(database)) == (2, 1, 0, 5)
    with database.transaction() as work:
        assert work.stages.stop(StageKey(JOB, 2), StageStatus.CANCELLED)
        [pending] = work.stops.waiting_batches(StageKey(JOB, 2), MANY)
        assert work.stops.cancel_tasks([pending]) == {pending: 3}
        assert work.batches.apply_outcomes([BatchDelta(pending, cancelled=3)]) == [pending]
        row = work.batches.get(pending)
    assert row is not None
    assert (row.status, row.queued_at) == (BatchStatus.CANCELLED, None)


def test_only_some_batches_are_cancelled_at_once(database: Database) -> None:
    running_stage(database, batches=3, size=1)
    stop(database)
    with database.transaction() as work:
        assert work.stops.waiting_batches(KEY, 2) == [f"{JOB}-s1-b0", f"{JOB}-s1-b1"]


def test_a_stage_tells_whether_it_is_stopped(database: Database) -> None:
    start_stage(database)
    with database.transaction() as work:
        assert not work.stops.lock_stopped(KEY)
        assert not work.stops.lock_stopped(StageKey(JOB, 2))
    stop(database)
    with database.transaction() as work:
        assert work.stops.lock_stopped(KEY)


def some_ended(database: Database) -> None:
    """A stage that failed: of batch 0 all completed, of batch 1 one failed and two were cancelled, of 2 all failed."""
    running_stage(database, batches=3)
    claim(database, ids(0, 1, 2, 3, 6, 7, 8))
    done = [completed(task_id) for task_id in ids(0, 1, 2)]
    record(database, *done, *(failed(task_id) for task_id in ids(3, 6, 7, 8)))
    batches = [f"{JOB}-s1-b{index}" for index in range(3)]
    end(database, BatchDelta(batches[0], 3), BatchDelta(batches[1], failed=1), BatchDelta(batches[2], failed=3))
    stop(database, StageStatus.FAILED)
    cancel_all(database)


def test_a_retry_reopens_failed_and_cancelled_tasks(database: Database) -> None:
    some_ended(database)
    assert counters(stage(database)) == (3, 3, 4, 2)
    assert reopen(database, failed_too=True) == 2
    statuses = [status_of(database, task_id) for task_id in ids(0, 3, 4, 6)]
    assert statuses == [TaskStatus.COMPLETED, *[TaskStatus.PENDING_QUEUE] * 3]
    rows = [batch(database, index) for index in range(3)]
    assert [row.status for row in rows] == [BatchStatus.FINISHED, BatchStatus.PENDING_QUEUE, BatchStatus.PENDING_QUEUE]
    assert [(row.open_tasks, row.failed_tasks, row.cancelled_tasks) for row in rows] == [
        (0, 0, 0),
        (3, 0, 0),
        (3, 0, 0),
    ]
    row = stage(database)
    assert (row.status, row.openings, row.total_tasks, row.finished_at) == (StageStatus.DISPATCHING, 1, 9, None)
    assert counters(row) == (1, 3, 0, 0)


def test_a_resume_reopens_cancelled_tasks_alone(database: Database) -> None:
    some_ended(database)
    assert reopen(database, failed_too=False) == 1
    statuses = [status_of(database, task_id) for task_id in ids(0, 3, 4, 6)]
    assert statuses == [TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.PENDING_QUEUE, TaskStatus.FAILED]
    row = batch(database, 1)
    assert (row.open_tasks, row.failed_tasks, row.cancelled_tasks) == (2, 1, 0)
    assert counters(stage(database)) == (2, 3, 3, 0)


def test_a_reopened_task_begins_anew_but_for_its_sends(database: Database) -> None:
    some_ended(database)
    reopen(database, failed_too=True)
    with database.transaction() as work:
        task = work.tasks.get(ids(3)[0])
        resend = work.batches.begin_resend(f"{JOB}-s1-b1")
    assert task is not None
    assert (task.attempt, task.failures, task.error, task.started_at, task.finished_at) == (0, 0, None, None, None)
    assert resend == Resend(3, dict.fromkeys(ids(3, 4, 5), 2))


def test_an_earlier_send_does_not_mark_a_reopened_batch(database: Database) -> None:
    some_ended(database)
    reopen(database, failed_too=True)
    with database.transaction() as work:
        assert not work.batches.mark_queued(f"{JOB}-s1-b1", 1)
    assert batch(database, 1).status == BatchStatus.PENDING_QUEUE
    assert status_of(database, ids(3)[0]) == TaskStatus.PENDING_QUEUE


def test_an_outcome_does_not_show_that_a_reopened_batch_was_sent_but_the_last_one_does(
    database: Database,
) -> None:
    some_ended(database)
    reopen(database, failed_too=True)
    end(database, BatchDelta(f"{JOB}-s1-b1", completed=2))
    assert batch(database, 1).status == BatchStatus.PENDING_QUEUE
    end(database, BatchDelta(f"{JOB}-s1-b1", completed=1))
    assert (batch(database, 1).status, batch(database, 1).open_tasks) == (BatchStatus.FINISHED, 0)


def test_a_batch_that_is_reopened_and_cancelled_before_it_is_sent_finishes_with_its_earlier_outcomes(
    database: Database,
) -> None:
    some_ended(database)
    reopen(database, failed_too=False)
    stop(database)
    assert cancel_all(database) == {f"{JOB}-s1-b1": 2}
    row = batch(database, 1)
    assert (row.status, row.open_tasks, row.failed_tasks, row.cancelled_tasks) == (BatchStatus.FINISHED, 0, 1, 2)
    assert counters(stage(database)) == (3, 3, 4, 2)


def test_each_batch_is_reopened_once_an_opening(database: Database) -> None:
    some_ended(database)
    assert reopen(database, failed_too=True, limit=1) == 1
    with database.transaction() as work:
        assert work.stops.reopen_batches(KEY, MANY) == 1
        assert work.stops.reopen_batches(KEY, MANY) == 0
    claim(database, ids(6, 7, 8), "again")
    record(database, *(failed(task_id) for task_id in ids(6, 7, 8)), lease_id="again")
    end(database, BatchDelta(f"{JOB}-s1-b2", failed=3))
    with database.transaction() as work:
        assert work.stops.reopen_batches(KEY, MANY) == 0
    assert status_of(database, ids(6)[0]) == TaskStatus.FAILED


def test_a_batch_that_is_written_after_an_opening_belongs_to_it(database: Database) -> None:
    start_job(database)
    start_stage(database)
    stop(database)
    reopen(database, failed_too=True)
    create_batch(database, batch_of(1))
    claim(database, ids(0))
    record(database, failed(ids(0)[0]))
    end(database, BatchDelta(f"{JOB}-s1-b0", failed=1))
    with database.transaction() as work:
        assert work.stops.reopen_batches(KEY, MANY) == 0


def test_no_batch_is_reopened_in_a_stage_that_is_not_dispatching(database: Database) -> None:
    some_ended(database)
    with pytest.raises(DispatchLeaseLostError), database.transaction() as work:
        work.stops.reopen_batches(KEY, MANY)
    assert status_of(database, ids(3)[0]) == TaskStatus.FAILED


def test_a_reopened_stage_is_found_with_its_opening(harness: Harness) -> None:
    database, second, third = harness.database, StageOpening(KEY, 1), StageOpening(KEY, 2)
    running_stage(database, batches=1, size=2)
    stop(database)
    cancel_all(database)
    reopen(database, failed_too=True)
    harness.pass_time(60)
    with database.transaction() as work:
        assert work.sweeps.interrupted_dispatches(60, MANY) == [second]
    stop(database)
    harness.pass_time(60)
    with database.transaction() as work:
        assert work.sweeps.stopped_stages(60, MANY) == [second]
    cancel_all(database)
    reopen(database, failed_too=True)
    with database.transaction() as work:
        assert work.stages.acquire_dispatch_lease(KEY, "mine", 60)
        assert work.stages.finish_dispatch(KEY, "mine", 2, 1)
    with database.transaction() as work:
        work.stops.cancel_tasks([f"{JOB}-s1-b0"])
        finished = work.batches.apply_outcomes([BatchDelta(f"{JOB}-s1-b0", cancelled=2)])
        assert [stage.opening for stage in work.stages.add_finished_batches(finished)] == [third]
        assert work.stages.finish_if_complete(KEY)
        assert work.stages.ended_but_not_advanced([KEY]) == [third]
    harness.pass_time(60)
    with database.transaction() as work:
        assert work.sweeps.unadvanced_stages(60, MANY) == [third]


def test_the_opening_of_a_finished_stage_is_counted_and_of_no_other(database: Database) -> None:
    running_stage(database, batches=1, size=2)
    with database.transaction() as work:
        assert not work.stages.count_opening(KEY)
    end(database, BatchDelta(f"{JOB}-s1-b0", completed=2))
    with database.transaction() as work:
        work.stages.finish_if_complete(KEY)
        assert work.stages.count_opening(KEY)
    row = stage(database)
    assert (row.status, row.openings, row.completed_tasks) == (StageStatus.FINISHED, 1, 2)


def test_only_an_ended_stage_is_reopened(database: Database) -> None:
    start_stage(database)
    with database.transaction() as work:
        assert not work.stages.reopen(KEY, failed_too=True)
    run_dispatch(database, 0, 0)
    with database.transaction() as work:
        assert not work.stages.reopen(KEY, failed_too=True)
        assert work.stages.finish_if_complete(KEY)
        assert work.stages.reopen(KEY, failed_too=True)


def test_the_pending_batches_of_a_stage_come_in_order(database: Database) -> None:
    start_stage(database)
    for index in range(11):
        create_batch(database, batch_of(1, index), BatchStatus.QUEUED if index == 1 else BatchStatus.PENDING_QUEUE)
    with database.transaction() as work:
        assert [row.batch_index for row in work.batches.pending_of_stage(KEY, -1, 3)] == [0, 2, 3]
        assert work.batches.pending_of_stage(KEY, 9, 3) == [PendingBatch(f"{JOB}-s1-b10", Lane.FAST, 10)]


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED])
def test_an_ended_job_goes_on_where_it_stands(database: Database, status: JobStatus) -> None:
    start_job(database)
    with database.transaction() as work:
        assert work.jobs.finish(JOB, status, None, ERROR)
        assert not work.jobs.reopen(JOB, {JobStatus.COMPLETED_WITH_ERRORS})
        assert work.jobs.reopen(JOB, {status})
        assert not work.jobs.reopen(JOB, {status})
        job = work.jobs.get(JOB)
    assert job is not None
    assert (job.status, job.stage, job.error, job.finished_at) == (JobStatus.PROCESSING, 1, None, None)


def test_an_ended_job_that_had_not_begun_is_pending_again(database: Database) -> None:
    create_job(database)
    with database.transaction() as work:
        assert work.jobs.mark_queued(JOB)
        assert work.jobs.finish(JOB, JobStatus.CANCELLED, None, None)
        assert work.jobs.reopen(JOB, {JobStatus.CANCELLED})
        job = work.jobs.get(JOB)
        assert job is not None
        assert (job.status, job.stage) == (JobStatus.PENDING_QUEUE, 0)
        assert work.sweeps.unstarted_jobs(JobStatus.PENDING_QUEUE, 0, MANY) == [JOB]


def test_a_stopped_stage_with_tasks_left_is_found_after_its_time_and_no_more_once_they_have_ended(
    harness: Harness,
) -> None:
    database = harness.database
    running_stage(database, batches=1, size=2)
    stop(database)
    with database.transaction() as work:
        assert work.sweeps.stopped_stages(60, MANY) == []
    harness.pass_time(60)
    with database.transaction() as work:
        assert work.sweeps.stopped_stages(60, MANY) == [StageOpening(KEY, 0)]
        assert work.sweeps.stopped_stages(60, MANY) == []
    harness.pass_time(60)
    cancel_all(database)
    with database.transaction() as work:
        assert work.sweeps.stopped_stages(60, MANY) == []


@pytest.mark.parametrize(
    ("tolerated", "failures", "expected"),
    [(0.0, 1, StageStatus.FAILED), (0.25, 2, StageStatus.RUNNING), (0.25, 3, StageStatus.FAILED)],
)
def test_a_running_stage_fails_as_soon_as_too_many_tasks_failed(
    database: Database, tolerated: float, failures: int, expected: StageStatus
) -> None:
    start_stage(database, max_failed_fraction=tolerated)
    for index in range(2):
        create_batch(database, batch_of(4, index))
    run_dispatch(database, 8, 2)
    end(database, BatchDelta(f"{JOB}-s1-b0", 4 - failures, failures))
    assert stage(database).status == expected


@pytest.mark.parametrize(("tolerated", "expected"), [(0.0, StageStatus.FAILED), (0.25, StageStatus.DISPATCHING)])
def test_a_dispatching_stage_fails_when_none_of_its_tasks_may(
    database: Database, tolerated: float, expected: StageStatus
) -> None:
    start_stage(database, max_failed_fraction=tolerated)
    create_batch(database, batch_of(1))
    with database.transaction() as work:
        assert work.stages.acquire_dispatch_lease(KEY, "dispatcher", LEASE_SECONDS)
    end(database, BatchDelta(f"{JOB}-s1-b0", failed=1))
    assert stage(database).status == expected


def test_a_reopened_stage_does_not_fail_by_its_earlier_failures(database: Database) -> None:
    start_stage(database)
    for index in range(2):
        create_batch(database, batch_of(1, index))
    end(database, BatchDelta(f"{JOB}-s1-b0", failed=1))
    assert stage(database).status == StageStatus.FAILED
    end(database, BatchDelta(f"{JOB}-s1-b1", failed=1))
    assert reopen(database, failed_too=True, limit=1) == 1
    end(database, BatchDelta(f"{JOB}-s1-b0", completed=1))
    assert stage(database).status == StageStatus.DISPATCHING
