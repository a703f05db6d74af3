"""Outcomes, and what follows from them in batches and stages, in one call."""

from concurrent.futures import ThreadPoolExecutor

from core.job_events import JobEventKind
from core.models import StageOpening, StageProgress
from core.statuses import BatchStatus, StageStatus, TaskStatus
from core.task_runs import BatchDelta, RecordedOutcomes, TaskOutcome
from repositories.ports import Database
from tests.contract.repositories.building import (
    JOB,
    KEY,
    LEASE_SECONDS,
    batch_of,
    claim,
    completed,
    create_batch,
    failed,
    ids,
    retrying,
    run_dispatch,
    start_stage,
    status_of,
)
from tests.contract.repositories.harness import Harness, await_waiting

_BATCHES = [f"{JOB}-s1-b{index}" for index in range(2)]


def two_batches(database: Database) -> None:
    start_stage(database)
    for index in range(2):
        create_batch(database, batch_of(2, index))
    assert claim(database, ids(0, 1, 2, 3)) == ids(0, 1, 2, 3)


def record(database: Database, *outcomes: TaskOutcome, lease_id: str = "mine") -> RecordedOutcomes:
    with database.transaction() as work:
        return work.outcomes.record(lease_id, outcomes)


def counts(database: Database) -> tuple[list[tuple[BatchStatus, int, int]], tuple[int, int, int]]:
    """Status, open and failed tasks of each batch; ended batches, completed and failed tasks of the stage."""
    with database.transaction() as work:
        batches, stage = work.batches.page(KEY, -1, 10), work.stages.get(KEY)
    assert stage is not None
    ended = (stage.finished_batches, stage.completed_tasks, stage.failed_tasks)
    return [(each.status, each.open_tasks, each.failed_tasks) for each in batches], ended


def test_completed_tasks_are_counted_in_their_batches_and_those_in_their_stage(database: Database) -> None:
    two_batches(database)
    recorded = record(database, *map(completed, ids(2, 0, 1)))
    assert sorted((task.task_id, task.batch_id) for task in recorded.tasks) == [
        (task_id, _BATCHES[batch]) for task_id, batch in zip(ids(0, 1, 2), (0, 0, 1), strict=True)
    ]
    assert {task.status for task in recorded.tasks} == {TaskStatus.COMPLETED}
    assert recorded.stages == [StageProgress(StageOpening(KEY, 0), has_room=False, may_end=False)]
    assert counts(database) == ([(BatchStatus.FINISHED, 0, 0), (BatchStatus.QUEUED, 1, 0)], (1, 2, 0))


def test_tasks_that_end_no_batch_change_no_stage(database: Database) -> None:
    two_batches(database)
    assert record(database, *map(completed, ids(1, 3))).stages == []
    assert counts(database) == ([(BatchStatus.QUEUED, 1, 0), (BatchStatus.QUEUED, 1, 0)], (0, 0, 0))


def test_the_last_tasks_of_a_stage_tell_that_it_may_end(database: Database) -> None:
    two_batches(database)
    run_dispatch(database, 4, 2)
    assert not record(database, *map(completed, ids(0, 1))).stages[0].may_end
    assert record(database, *map(completed, ids(2, 3))).stages == [StageProgress(StageOpening(KEY, 0), may_end=True)]


def test_outcomes_of_all_kinds_are_counted_alike(database: Database) -> None:
    two_batches(database)
    first, second, third, fourth = ids(0, 1, 2, 3)
    recorded = record(database, completed(first), failed(second), completed(third), retrying(fourth))
    assert {
        task.task_id: (task.status, task.send) for task in recorded.tasks if task.status != TaskStatus.COMPLETED
    } == {
        second: (TaskStatus.FAILED, 1),
        fourth: (TaskStatus.RETRYING, 2),
    }
    assert recorded.stages == [StageProgress(StageOpening(KEY, 0), has_room=False, may_end=True)]
    assert counts(database) == ([(BatchStatus.FINISHED, 0, 1), (BatchStatus.QUEUED, 1, 0)], (1, 1, 1))


def test_a_zombie_counts_nothing(harness: Harness) -> None:
    database = harness.database
    two_batches(database)
    harness.pass_time(LEASE_SECONDS + 1)
    assert claim(database, ids(0, 1), "next") == ids(0, 1)
    before = counts(database)
    assert record(database, *map(completed, ids(0, 1))) == RecordedOutcomes([], [])
    assert counts(database) == before
    assert status_of(database, ids(0)[0]) is TaskStatus.PROCESSING


def test_of_a_list_in_which_some_leases_are_lost_the_others_count(harness: Harness) -> None:
    database = harness.database
    two_batches(database)
    harness.pass_time(LEASE_SECONDS + 1)
    claim(database, ids(0, 3), "next")
    recorded = record(database, *map(completed, ids(0, 1, 2, 3)))
    assert sorted(task.task_id for task in recorded.tasks) == ids(1, 2)
    assert counts(database)[0] == [(BatchStatus.QUEUED, 1, 0), (BatchStatus.QUEUED, 1, 0)]


def test_the_last_tasks_of_a_stopped_stage_tell_that_its_tasks_have_ended(database: Database) -> None:
    two_batches(database)
    with database.transaction() as work:
        assert work.stages.stop(KEY, StageStatus.CANCELLED)
    record(database, *map(completed, ids(0, 1, 2, 3)))
    with database.transaction() as work:
        kinds = [event.kind for event in work.events.page(JOB, 0, 100)]
    assert kinds.count(JobEventKind.TASKS_ENDED) == 1


def test_completed_tasks_wait_for_an_earlier_batch_before_they_hold_a_later_one(harness: Harness) -> None:
    database = harness.database
    two_batches(database)
    with ThreadPoolExecutor(1) as other:
        with database.transaction() as work:
            work.batches.apply_outcomes([BatchDelta(_BATCHES[0])])
            waits = other.submit(record, database, *map(completed, ids(3, 0)))
            await_waiting(harness, waits)
            work.batches.apply_outcomes([BatchDelta(_BATCHES[1])])
        assert len(waits.result().tasks) == 2
