"""A dispatch that waits for room: no end of a batch is missed, and exactly one sends its message."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.ids import batch_id
from core.models import Stage, StageKey, StageOpening
from core.statuses import JobStatus, StageStatus
from core.task_runs import BatchDelta
from repositories.ports import Database
from tests.contract.repositories.building import (
    JOB,
    KEY,
    LEASE_SECONDS,
    batch_of,
    create_batch,
    end_batch,
    start_job,
    start_stage,
)
from tests.contract.repositories.harness import Harness, await_waiting

AGE = 300.0
BATCHES, TASKS = 4, 3


@pytest.fixture(autouse=True)
def stage(database: Database) -> StageKey:
    """A stage of four queued batches with three tasks each, which a dispatcher has leased."""
    start_job(database)
    start_stage(database)
    for index in range(BATCHES):
        create_batch(database, batch_of(TASKS, index))
    take(database)
    return KEY


def take(database: Database, lease_id: str = "mine") -> None:
    with database.transaction() as work:
        assert work.stages.acquire_dispatch_lease(KEY, lease_id, LEASE_SECONDS)


def wait(database: Database, low: int, lease_id: str = "mine") -> bool:
    with database.transaction() as work:
        return work.stages.wait_for_room(KEY, lease_id, low)


def read(database: Database) -> Stage:
    with database.transaction() as work:
        stage = work.stages.get(KEY)
    assert stage is not None
    return stage


def end(database: Database, *indexes: int) -> list[bool]:
    """Ends batches in one transaction; returns what it tells of the stage."""
    batch_ids = [batch_id(JOB, 1, index) for index in indexes]
    with database.transaction() as work:
        work.batches.apply_outcomes([BatchDelta(each, completed=TASKS) for each in batch_ids])
        return [stage.has_room for stage in work.stages.add_finished_batches(batch_ids)]


def found(database: Database, low: int = 0) -> list[StageOpening]:
    with database.transaction() as work:
        return work.sweeps.stages_with_room(low, AGE, 10)


def with_room(database: Database) -> list[StageOpening]:
    with database.transaction() as work:
        return work.stages.waiting_with_room([KEY, StageKey(JOB, 2)])


@pytest.mark.parametrize(("low", "batches"), [(0, 4), (3, 3), (5, 3), (6, 2), (9, 1), (11, 1)])
def test_it_waits_until_so_few_tasks_are_out(database: Database, low: int, batches: int) -> None:
    assert wait(database, low)
    stage = read(database)
    assert (stage.room_after, stage.waits_for_room) == (batches, True)
    take(database, "the lease is free")
    assert read(database).room_after is None


def test_the_batches_that_ended_before_count_as_well(database: Database) -> None:
    end_batch(database, batch_id(JOB, 1, 0), TASKS)
    with database.transaction() as work:
        work.batches.apply_outcomes([BatchDelta(batch_id(JOB, 1, 1), completed=2)])
    assert wait(database, 4)  # 7 tasks are out, in three batches
    assert read(database).room_after == 1 + 2


@pytest.mark.parametrize("low", [12, 13])
def test_it_does_not_wait_if_so_few_tasks_are_out_already(database: Database, low: int) -> None:
    assert not wait(database, low)
    assert read(database).room_after is None
    with database.transaction() as work:
        assert work.stages.dispatch_lease_expires_at(KEY) is not None


def test_only_the_holder_of_the_lease_waits(harness: Harness, database: Database) -> None:
    harness.pass_time(LEASE_SECONDS + 1)
    take(database, "successor")
    assert not wait(database, 6)
    assert wait(database, 6, "successor")
    assert not wait(database, 6, "successor")


def test_a_stopped_stage_does_not_wait(database: Database) -> None:
    with database.transaction() as work:
        work.stages.stop(KEY, StageStatus.CANCELLED)
    assert not wait(database, 6)


def test_one_transaction_finds_the_room(database: Database) -> None:
    assert end(database, 0) == [False], "nothing waits"
    assert wait(database, 3)
    assert end(database, 1) == [False]
    assert with_room(database) == []
    assert end(database, 2) == [True]
    assert with_room(database) == [StageOpening(KEY, 0)]
    assert not read(database).waits_for_room
    assert end(database, 3) == [False]
    take(database)
    assert with_room(database) == []


def test_a_transaction_that_ends_many_batches_finds_the_room(database: Database) -> None:
    assert wait(database, 6)
    assert end(database, 0, 1, 2, 3) == [True]


def test_a_stage_that_was_stopped_has_no_room(database: Database) -> None:
    assert wait(database, 9)
    with database.transaction() as work:
        work.jobs.finish(JOB, JobStatus.CANCELLED, None, None)
        work.stages.stop(KEY, StageStatus.CANCELLED)
    assert not read(database).waits_for_room
    assert end(database, 0) == [False]
    assert with_room(database) == []


def test_a_reopened_stage_does_not_wait(database: Database) -> None:
    assert wait(database, 9)
    with database.transaction() as work:
        work.stages.stop(KEY, StageStatus.FAILED)
        work.stages.reopen(KEY, failed_too=True)
    assert read(database).room_after is None


def test_a_batch_that_ends_while_the_dispatch_begins_to_wait_is_not_missed(
    harness: Harness, database: Database
) -> None:
    with ThreadPoolExecutor(2) as threads:
        with database.transaction() as work:
            work.stages.wait_for_room(KEY, "mine", 9)
            ended = threads.submit(end, database, 0)
            await_waiting(harness, ended)
        assert ended.result() == [True]


def test_a_batch_that_has_just_ended_counts_for_a_dispatch_that_would_wait(
    harness: Harness, database: Database
) -> None:
    with ThreadPoolExecutor(2) as threads:
        with database.transaction() as work:
            work.batches.apply_outcomes([BatchDelta(batch_id(JOB, 1, 0), completed=TASKS)])
            assert [each.has_room for each in work.stages.add_finished_batches([batch_id(JOB, 1, 0)])] == [False]
            waits = threads.submit(wait, database, 9)
            await_waiting(harness, waits)
        assert not waits.result()


def test_a_stage_that_waits_for_room_is_not_interrupted(harness: Harness, database: Database) -> None:
    assert wait(database, 6)
    harness.pass_time(100 * AGE)
    with database.transaction() as work:
        assert work.sweeps.interrupted_dispatches(AGE, 10) == []
    assert found(database) == []
    assert found(database, low=11) == []


def test_a_stage_whose_message_is_lost_is_found(harness: Harness, database: Database) -> None:
    assert wait(database, 6)
    harness.pass_time(100 * AGE)
    end(database, 0, 1)
    assert found(database) == [], "the message may be on its way"
    harness.pass_time(AGE)
    assert found(database) == [StageOpening(KEY, 0)]
    assert found(database) == []
    assert with_room(database) == [StageOpening(KEY, 0)]


def test_a_stage_of_which_few_tasks_are_left_in_many_batches_is_found(harness: Harness, database: Database) -> None:
    assert wait(database, 6)
    with database.transaction() as work:
        work.batches.apply_outcomes([BatchDelta(batch_id(JOB, 1, index), completed=2) for index in range(BATCHES)])
    harness.pass_time(AGE)
    assert found(database, low=3) == []
    assert found(database, low=4) == [StageOpening(KEY, 0)]
    assert not read(database).waits_for_room
    with database.transaction() as work:
        assert work.events.page(JOB, 0, 100)[-1].subject is None, "no message was lost"


def test_a_stage_that_waits_for_room_may_be_silent(harness: Harness, database: Database) -> None:
    harness.pass_time(LEASE_SECONDS)
    take(database)
    with database.transaction() as work:
        assert work.sweeps.silent_stages(AGE, 10) == [], "it is being dispatched"
    assert wait(database, 6)
    with database.transaction() as work:
        assert work.sweeps.silent_stages(AGE, 10) == [KEY]
        assert len(work.sweeps.silent_batches(KEY, AGE, 10).tasks) == BATCHES * TASKS
