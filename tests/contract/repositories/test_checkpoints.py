"""Points from which the dispatch or the aggregation of a stage goes on."""

from core.checkpoints import START, Checkpoint, Fold
from core.models import Stage, StageOpening
from core.statuses import StageStatus
from repositories.ports import Database
from tests.contract.repositories.building import (
    KEY,
    LEASE_SECONDS,
    batch_of,
    create_batch,
    end_batch,
    run_dispatch,
    start_job,
    start_stage,
)
from tests.contract.repositories.harness import Harness


def dispatched_by(database: Database, lease_id: str) -> None:
    with database.transaction() as work:
        assert work.stages.acquire_dispatch_lease(KEY, lease_id, LEASE_SECONDS)


def record(database: Database, lease_id: str, checkpoint: Checkpoint) -> bool:
    with database.transaction() as work:
        return work.stages.record_checkpoint(KEY, lease_id, checkpoint)


def read(database: Database) -> Stage:
    with database.transaction() as work:
        stage = work.stages.get(KEY)
        assert stage is not None
        assert work.stages.of_job(KEY.job_id) == [stage]
        return stage


def test_a_new_stage_begins_at_its_start(database: Database) -> None:
    start_stage(database)
    assert (read(database).checkpoint, read(database).idle_slices) == (START, 0)


def test_a_checkpoint_only_moves_on(database: Database) -> None:
    start_stage(database)
    dispatched_by(database, "a")
    assert record(database, "a", Checkpoint(200, 2, {"page": "p2"}))
    assert not record(database, "a", Checkpoint(100, 1, {"page": "p1"}))
    assert not record(database, "a", Checkpoint(200, 2, {"page": "p2"}))
    assert read(database).checkpoint == Checkpoint(200, 2, {"page": "p2"})
    assert record(database, "a", Checkpoint(300, 3, 0))
    assert read(database).checkpoint == Checkpoint(300, 3, 0)


def test_only_the_holder_of_the_lease_records_a_checkpoint_and_idle_slices(harness: Harness) -> None:
    start_stage(harness.database)
    dispatched_by(harness.database, "a")
    harness.pass_time(LEASE_SECONDS + 1)
    dispatched_by(harness.database, "b")
    assert not record(harness.database, "a", Checkpoint(100, 1, 1))
    with harness.database.transaction() as work:
        assert not work.stages.record_idle_slices(KEY, "a", 1)
        assert work.stages.record_idle_slices(KEY, "b", 2)
    assert (read(harness.database).checkpoint, read(harness.database).idle_slices) == (START, 2)


def test_a_reopened_stage_keeps_its_checkpoint_and_forgets_idle_slices(database: Database) -> None:
    start_stage(database)
    dispatched_by(database, "a")
    assert record(database, "a", Checkpoint(100, 1, 1))
    with database.transaction() as work:
        work.stages.record_idle_slices(KEY, "a", 2)
        work.stages.stop(KEY, StageStatus.FAILED)
        assert not work.stages.record_checkpoint(KEY, "a", Checkpoint(200, 2, 2))
        assert not work.stages.record_idle_slices(KEY, "a", 3)
        work.stages.reopen(KEY, failed_too=True)
    assert (read(database).checkpoint, read(database).idle_slices) == (Checkpoint(100, 1, 1), 0)


def finished_stage(database: Database) -> Stage:
    start_job(database)
    start_stage(database)
    batch = batch_of(10)
    create_batch(database, batch)
    run_dispatch(database, 10, 1)
    end_batch(database, batch.batch_id, 10)
    with database.transaction() as work:
        assert work.stages.finish_if_complete(KEY)
    return read(database)


def fold(database: Database) -> Fold:
    with database.transaction() as work:
        return work.stages.fold(KEY)


def record_fold(database: Database, stage: Stage, before: int, tasks: int, state: str = '{"sum":1}') -> bool:
    with database.transaction() as work:
        return work.stages.record_fold(stage, before, tasks, state)


def test_of_two_hosts_that_fold_the_same_results_one_goes_on(database: Database) -> None:
    stage = finished_stage(database)
    assert fold(database) == Fold(0, None)
    assert record_fold(database, stage, 0, 4)
    assert not record_fold(database, stage, 0, 6, "7")
    assert fold(database) == Fold(4, {"sum": 1})
    assert record_fold(database, stage, 4, 10, "null")
    assert fold(database) == Fold(10, None)


def test_a_stage_that_is_not_finished_or_was_reopened_is_not_folded(database: Database) -> None:
    stage = finished_stage(database)
    assert record_fold(database, stage, 0, 4)
    with database.transaction() as work:
        assert work.stages.reopen(KEY, failed_too=True)
    assert fold(database) == Fold(0, None)
    assert not record_fold(database, stage, 0, 4)
    run_dispatch(database, 10, 1)
    with database.transaction() as work:
        assert work.stages.finish_if_complete(KEY)
    assert not record_fold(database, stage, 0, 4)
    assert record_fold(database, read(database), 0, 4)


def test_the_result_of_a_stage_ends_its_fold(database: Database) -> None:
    stage = finished_stage(database)
    assert record_fold(database, stage, 0, 4)
    with database.transaction() as work:
        work.stages.record_result(KEY, "10")
    assert fold(database) == Fold(4, None)
    assert not record_fold(database, stage, 0, 4)


def test_a_stage_that_is_being_folded_is_not_silent(harness: Harness) -> None:
    stage = finished_stage(harness.database)
    harness.pass_time(300)
    assert record_fold(harness.database, stage, 0, 4)
    with harness.database.transaction() as work:
        assert work.sweeps.unadvanced_stages(300, 10) == []
    harness.pass_time(301)
    with harness.database.transaction() as work:
        assert work.sweeps.unadvanced_stages(300, 10) == [StageOpening(KEY, 0)]


def test_a_stage_that_does_not_exist_is_not_folded(database: Database) -> None:
    assert fold(database) == Fold()
