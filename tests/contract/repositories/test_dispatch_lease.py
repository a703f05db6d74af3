import pytest

from core.errors import ConstraintViolationError
from core.models import StageKey
from core.statuses import StageStatus
from repositories.ports import Database
from tests.contract.repositories.building import JOB, KEY, LEASE_SECONDS, start_stage
from tests.contract.repositories.harness import Harness


def acquire(database: Database, lease_id: str) -> bool:
    with database.transaction() as work:
        return work.stages.acquire_dispatch_lease(KEY, lease_id, LEASE_SECONDS)


def renew(database: Database, lease_id: str) -> bool:
    with database.transaction() as work:
        return work.stages.renew_dispatch_lease(KEY, lease_id, LEASE_SECONDS)


def test_one_dispatcher_at_a_time(database: Database) -> None:
    start_stage(database)
    assert acquire(database, "a")
    assert not acquire(database, "b")


def test_a_lease_is_renewed_by_its_holder(harness: Harness) -> None:
    start_stage(harness.database)
    acquire(harness.database, "a")
    harness.pass_time(LEASE_SECONDS * 0.75)
    assert not acquire(harness.database, "a")
    assert renew(harness.database, "a")
    harness.pass_time(LEASE_SECONDS * 0.75)
    assert not acquire(harness.database, "b")


def test_a_lease_that_has_expired_is_renewed_unless_it_was_taken_over(harness: Harness) -> None:
    start_stage(harness.database)
    acquire(harness.database, "a")
    harness.pass_time(LEASE_SECONDS + 1)
    assert renew(harness.database, "a")
    assert not acquire(harness.database, "b")
    harness.pass_time(LEASE_SECONDS + 1)
    assert acquire(harness.database, "b")
    assert not renew(harness.database, "a")


def test_a_lease_that_was_taken_away_is_not_renewed(database: Database) -> None:
    """As after the stage was stopped and reopened: the lease belongs to another dispatch."""
    start_stage(database)
    acquire(database, "a")
    with database.transaction() as work:
        work.stages.stop(KEY, StageStatus.CANCELLED)
    assert not renew(database, "a")
    with database.transaction() as work:
        assert work.stages.reopen(KEY, failed_too=False)
    assert not renew(database, "a")
    assert acquire(database, "b")


def test_an_expired_lease_is_taken_over(harness: Harness) -> None:
    start_stage(harness.database)
    acquire(harness.database, "a")
    harness.pass_time(LEASE_SECONDS + 1)
    assert acquire(harness.database, "b")
    assert not acquire(harness.database, "a")


def test_a_released_lease_is_free(database: Database) -> None:
    start_stage(database)
    acquire(database, "a")
    with database.transaction() as work:
        work.stages.release_dispatch_lease(KEY, "b")
    assert not acquire(database, "b")
    with database.transaction() as work:
        work.stages.release_dispatch_lease(KEY, "a")
        assert work.stages.dispatch_lease_expires_at(KEY) is None
    assert acquire(database, "b")


def test_the_end_of_a_lease_is_told(database: Database) -> None:
    start_stage(database)
    with database.transaction() as work:
        assert work.stages.dispatch_lease_expires_at(KEY) is None
        assert work.stages.dispatch_lease_expires_at(StageKey(JOB, 2)) is None
        work.stages.acquire_dispatch_lease(KEY, "a", LEASE_SECONDS)
        expires_at = work.stages.dispatch_lease_expires_at(KEY)
        assert expires_at is not None
        assert expires_at > work.now()


def test_only_the_holder_ends_the_dispatch(harness: Harness) -> None:
    start_stage(harness.database)
    with harness.database.transaction() as work:
        assert not work.stages.finish_dispatch(KEY, "a", 10, 1)
    acquire(harness.database, "a")
    harness.pass_time(LEASE_SECONDS + 1)
    acquire(harness.database, "b")
    with harness.database.transaction() as work:
        assert not work.stages.finish_dispatch(KEY, "a", 10, 1)
        assert work.stages.finish_dispatch(KEY, "b", 10, 1)
        stage = work.stages.get(KEY)
        expires_at = work.stages.dispatch_lease_expires_at(KEY)
    assert stage is not None
    assert (stage.status, stage.total_tasks, stage.total_batches) == (StageStatus.RUNNING, 10, 1)
    assert expires_at is None


def test_a_stage_that_runs_is_not_dispatched_again(database: Database) -> None:
    start_stage(database)
    acquire(database, "a")
    with database.transaction() as work:
        work.stages.finish_dispatch(KEY, "a", 10, 1)
    assert not acquire(database, "a")


def test_negative_totals_are_refused(database: Database) -> None:
    start_stage(database)
    acquire(database, "a")
    with pytest.raises(ConstraintViolationError) as caught, database.transaction() as work:
        work.stages.finish_dispatch(KEY, "a", -1, 0)
    assert caught.value.constraint in {"stages_total_tasks_check", "stages_tasks_within_total"}
