"""A part of a stage's failed tasks runs again."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.error_groups import group_of
from core.errors import DispatchLeaseLostError
from core.ids import batch_id
from core.models import StageKey, StageOpening
from core.retry_parts import FailedTask, RetryPart
from core.statuses import JobStatus, StageStatus, TaskStatus
from core.task_runs import BatchDelta
from repositories.ports import Database
from tests.contract.repositories.building import (
    JOB,
    KEY,
    claim,
    completed,
    failed,
    ids,
    record,
    run_dispatch,
    status_of,
)
from tests.contract.repositories.harness import Harness
from tests.contract.repositories.test_stops import (
    batch,
    cancel_all,
    counters,
    end,
    running_stage,
    some_ended,
    stage,
    stop,
)
from tests.support.waiting import wait_until

MANY = 100
OPENING = StageOpening(KEY, 1)
ERROR_GROUP = group_of("ValueError", "no").id
OF_TASKS = RetryPart(frozenset({batch_id(JOB, 1, 2)}), frozenset(ids(6, 8)))
FAILED, PENDING = TaskStatus.FAILED, TaskStatus.PENDING_QUEUE


def choose(database: Database, part: RetryPart) -> None:
    with database.transaction() as work:
        assert work.stages.reopen(KEY, failed_too=False)
        work.parts.choose(KEY, part)


def reopen(database: Database, opening: StageOpening = OPENING, limit: int = MANY) -> int:
    with database.transaction() as work:
        part = work.parts.get(opening)
        assert part is not None
        return work.parts.reopen_batches(opening, part, limit)


def die_after(decided: int) -> None:
    assert decided
    raise RuntimeError("killed")


@pytest.mark.parametrize(
    ("part", "again"),
    [
        (RetryPart(frozenset({batch_id(JOB, 1, 2)})), {6, 7, 8}),
        (RetryPart(frozenset({batch_id(JOB, 1, 1)})), {3}),
        (OF_TASKS, {6, 8}),
        (RetryPart(error_group=ERROR_GROUP), {3, 6, 7, 8}),
        (RetryPart(error_group="another"), set()),
    ],
    ids=["batch", "a batch with cancelled tasks", "tasks", "group", "no task"],
)
def test_a_part_reopens_its_failed_tasks_and_all_cancelled_ones(
    database: Database, part: RetryPart, again: set[int]
) -> None:
    some_ended(database)
    choose(database, part)
    assert reopen(database) >= 1
    statuses = {index: status_of(database, ids(index)[0]) for index in range(9)}
    assert {index for index, status in statuses.items() if status == PENDING} == {4, 5, *again}
    assert {index for index, status in statuses.items() if status == FAILED} == {3, 6, 7, 8} - again
    in_second, in_third = len(again & {3}), len(again - {3})
    assert [(row.open_tasks, row.failed_tasks) for row in (batch(database, index) for index in range(3))] == [
        (0, 0),
        (2 + in_second, 1 - in_second),
        (in_third, 3 - in_third),
    ]
    kept = 3 if not in_third else 0
    assert counters(stage(database)) == (2 if not in_third else 1, 3, kept, 0)


def test_each_batch_is_decided_on_once_in_an_opening(database: Database) -> None:
    some_ended(database)
    choose(database, OF_TASKS)
    assert [reopen(database, limit=1) for _ in range(3)] == [1, 1, 0]
    claim(database, ids(6, 8), "again")
    record(database, *(failed(task_id) for task_id in ids(6, 8)), lease_id="again")
    end(database, BatchDelta(batch_id(JOB, 1, 2), failed=2))
    assert reopen(database) == 0
    assert [status_of(database, task_id) for task_id in ids(6, 7, 8)] == [FAILED] * 3


def test_a_batch_without_tasks_of_the_part_is_decided_on_once(database: Database) -> None:
    some_ended(database)
    choose(database, RetryPart(error_group="another"))
    assert [reopen(database, limit=1) for _ in range(3)] == [1, 1, 0]


def test_what_a_killed_dispatcher_has_not_decided_is_decided_by_the_same_part(database: Database) -> None:
    some_ended(database)
    choose(database, RetryPart(error_group=ERROR_GROUP))
    assert reopen(database, limit=1) == 1
    with pytest.raises(RuntimeError, match="killed"), database.transaction() as work:
        die_after(work.parts.reopen_batches(OPENING, RetryPart(error_group=ERROR_GROUP), MANY))
    assert status_of(database, ids(6)[0]) == FAILED
    assert [reopen(database), reopen(database)] == [1, 0]
    assert status_of(database, ids(6)[0]) == PENDING


def test_two_dispatchers_at_once_reopen_each_task_once(harness: Harness) -> None:
    database, part = harness.database, RetryPart(error_group=ERROR_GROUP)
    some_ended(database)
    choose(database, part)
    with ThreadPoolExecutor(1) as other, database.transaction() as work:
        assert work.parts.reopen_batches(OPENING, part, MANY) == 2
        second = other.submit(reopen, database)
        wait_until(lambda: harness.waiting() == 1)
    assert second.exception() is None
    assert [(row.open_tasks, row.send_attempts) for row in (batch(database, 1), batch(database, 2))] == [(3, 2)] * 2
    assert counters(stage(database)) == (1, 3, 0, 0)


def test_a_part_holds_for_one_opening(database: Database) -> None:
    some_ended(database)
    choose(database, OF_TASKS)
    stop(database)
    with database.transaction() as work:
        assert work.stages.reopen(KEY, failed_too=True)
        assert work.parts.get(OPENING) is not None
        assert work.parts.get(StageOpening(KEY, 2)) is None
        assert work.parts.get(StageOpening(StageKey(JOB, 2), 1)) is None
    with pytest.raises(DispatchLeaseLostError):
        reopen(database)
    stop(database)
    choose(database, RetryPart(error_group=ERROR_GROUP))
    with database.transaction() as work:
        assert work.parts.get(StageOpening(KEY, 3)) == RetryPart(error_group=ERROR_GROUP)
    assert reopen(database, StageOpening(KEY, 3)) == 2


def test_nothing_is_reopened_in_a_stage_that_is_not_dispatching(database: Database) -> None:
    some_ended(database)
    choose(database, OF_TASKS)
    stop(database)
    with pytest.raises(DispatchLeaseLostError):
        reopen(database)
    assert status_of(database, ids(6)[0]) == FAILED


@pytest.mark.parametrize(("tolerated", "expected"), [(0.0, StageStatus.FAILED), (0.5, StageStatus.FINISHED)])
def test_kept_failures_end_their_stage_only_when_its_other_tasks_have_ended(
    database: Database, tolerated: float, expected: StageStatus
) -> None:
    running_stage(database, batches=2, size=3, tolerated=tolerated)
    claim(database, ids(*range(6)))
    record(database, *map(completed, ids(0, 1, 3, 4)), *map(failed, ids(2, 5)))
    first, second = batch_id(JOB, 1, 0), batch_id(JOB, 1, 1)
    end(database, BatchDelta(first, 2, 1), BatchDelta(second, 2, 1))
    choose(database, RetryPart(frozenset({first})))
    reopen(database)
    run_dispatch(database, 6, 2)
    with database.transaction() as work:
        assert not work.stages.finish_if_complete(KEY)
    end(database, BatchDelta(first, completed=1))
    assert (stage(database).status, stage(database).failed_tasks) == (expected, 1)


def test_a_new_failure_ends_a_stage_that_tolerates_none(database: Database) -> None:
    running_stage(database, batches=3, size=2, tolerated=0.0)
    claim(database, ids(0, 1, 2, 3, 4, 5))
    record(database, *map(failed, ids(0, 2, 4)), *map(completed, ids(1, 3, 5)))
    batches = [batch_id(JOB, 1, index) for index in range(3)]
    end(database, *(BatchDelta(each, 1, 1) for each in batches))
    choose(database, RetryPart(frozenset(batches[1:])))
    reopen(database)
    run_dispatch(database, 6, 3)
    claim(database, ids(2), "again")
    record(database, failed(ids(2)[0]), lease_id="again")
    end(database, BatchDelta(batches[1], failed=1))
    assert stage(database).status == StageStatus.FAILED


def test_a_retry_in_whole_keeps_no_failure(database: Database) -> None:
    running_stage(database, batches=2, size=1, tolerated=0.0)
    claim(database, ids(0, 1))
    record(database, *map(failed, ids(0, 1)))
    batches = [batch_id(JOB, 1, index) for index in range(2)]
    end(database, *(BatchDelta(each, failed=1) for each in batches))
    choose(database, RetryPart(frozenset(batches[:1])))
    stop(database)
    with database.transaction() as work:
        assert work.stages.reopen(KEY, failed_too=True)
        assert work.stops.reopen_batches(KEY, MANY) == 2
    run_dispatch(database, 2, 2)
    claim(database, ids(0), "again")
    record(database, failed(ids(0)[0]), lease_id="again")
    end(database, BatchDelta(batches[0], failed=1))
    assert stage(database).status == StageStatus.FAILED


def test_a_resume_keeps_the_failures_that_a_part_has_kept(database: Database) -> None:
    running_stage(database, batches=2, size=1, tolerated=0.0)
    claim(database, ids(0, 1))
    record(database, *map(failed, ids(0, 1)))
    batches = [batch_id(JOB, 1, index) for index in range(2)]
    end(database, *(BatchDelta(each, failed=1) for each in batches))
    choose(database, RetryPart(frozenset(batches[:1])))
    reopen(database)
    stop(database)
    assert cancel_all(database) == {batches[0]: 1}
    with database.transaction() as work:
        assert work.stages.reopen(KEY, failed_too=False)
        assert work.stops.reopen_batches(KEY, MANY) == 1
    run_dispatch(database, 2, 2)
    with database.transaction() as work:
        assert not work.stages.finish_if_complete(KEY)
    claim(database, ids(0), "again")
    record(database, completed(ids(0)[0]), lease_id="again")
    end(database, BatchDelta(batches[0], completed=1))
    assert (stage(database).status, stage(database).failed_tasks) == (StageStatus.FAILED, 1)


def test_a_job_of_which_a_part_was_retried_can_be_deleted(database: Database) -> None:
    some_ended(database)
    choose(database, OF_TASKS)
    stop(database)
    with database.transaction() as work:
        assert work.jobs.finish(JOB, JobStatus.CANCELLED, None, None)
    with database.transaction() as work:
        assert work.bulk_actions.mark_for_deletion(JOB, 0)
        assert work.pruning.delete_batches(JOB, MANY).batches == 3
        assert work.pruning.delete_job(JOB)
    with database.transaction() as work:
        assert work.parts.get(OPENING) is None


def test_the_tasks_that_a_client_names_are_found_with_batch_and_status(database: Database) -> None:
    some_ended(database)
    with database.transaction() as work:
        assert work.parts.places([*ids(0, 3), "f" * 32 + "-s01-t0000001"]) == {
            ids(0)[0]: (batch_id(JOB, 1, 0), TaskStatus.COMPLETED),
            ids(3)[0]: (batch_id(JOB, 1, 1), TaskStatus.FAILED),
        }


def test_the_failed_tasks_of_the_first_batches_are_read_with_their_errors(database: Database) -> None:
    some_ended(database)
    with database.transaction() as work:
        assert work.parts.failed_tasks(KEY, 1) == [FailedTask(ids(3)[0], batch_id(JOB, 1, 1), "ValueError", "no")]
        assert len(work.parts.failed_tasks(KEY, 2)) == 4
