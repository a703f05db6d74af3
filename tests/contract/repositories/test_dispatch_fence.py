"""A dispatcher that has lost its lease writes no batch, however its insert and the takeover overlap."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import DispatchLeaseLostError
from core.statuses import BatchStatus
from repositories.ports import Database, UnitOfWork
from tests.contract.repositories.building import KEY, LEASE_SECONDS, batch_of, start_stage
from tests.contract.repositories.harness import Harness, await_waiting
from tests.support.waiting import LONG_SECONDS

WAIT_SECONDS = LONG_SECONDS


def acquire(work: UnitOfWork, lease_id: str) -> bool:
    return work.stages.acquire_dispatch_lease(KEY, lease_id, LEASE_SECONDS)


def write(database: Database, batch_index: int, lease_id: str) -> bool:
    with database.transaction() as work:
        return work.tasks.batch_create_tasks(batch_of(2, batch_index), BatchStatus.QUEUED, lease_id)


def written(database: Database) -> list[int]:
    with database.transaction() as work:
        return [batch.batch_index for batch in work.batches.page(KEY, -1, 100)]


def dispatched(harness: Harness) -> Database:
    """A stage that "older" dispatches; its lease has expired, and no other dispatcher has taken it."""
    start_stage(harness.database)
    with harness.database.transaction() as work:
        assert acquire(work, "older")
    harness.pass_time(LEASE_SECONDS + 1)
    return harness.database


def test_a_dispatcher_that_was_taken_over_writes_no_batch(harness: Harness) -> None:
    database = dispatched(harness)
    assert write(database, 0, "older")
    with database.transaction() as work:
        assert acquire(work, "newer")
    for batch_index in (0, 1):
        with pytest.raises(DispatchLeaseLostError):
            write(database, batch_index, "older")
    assert not write(database, 0, "newer")
    assert write(database, 1, "newer")
    assert written(database) == [0, 1]


def test_a_takeover_waits_for_a_batch_that_is_being_written(harness: Harness) -> None:
    """Then it sees the batch, whose digest it compares."""
    database = dispatched(harness)

    def take_over() -> bool:
        with database.transaction() as work:
            return acquire(work, "newer") and work.batches.get(batch_of(2).batch_id) is not None

    with ThreadPoolExecutor(1) as other:
        with database.transaction() as work:
            assert work.tasks.batch_create_tasks(batch_of(2), BatchStatus.QUEUED, "older")
            waits = other.submit(take_over)
            await_waiting(harness, waits)
        assert waits.result(WAIT_SECONDS)


def test_a_batch_waits_for_a_takeover_and_is_not_written(harness: Harness) -> None:
    database = dispatched(harness)
    with ThreadPoolExecutor(1) as other:
        with database.transaction() as work:
            assert acquire(work, "newer")
            waits = other.submit(write, database, 0, "older")
            await_waiting(harness, waits)
        with pytest.raises(DispatchLeaseLostError):
            waits.result(WAIT_SECONDS)
    assert written(database) == []


def test_batches_of_one_dispatcher_do_not_wait_for_each_other_or_for_a_renewal(harness: Harness) -> None:
    database = dispatched(harness)
    with ThreadPoolExecutor(1) as other:

        def renew() -> bool:
            with database.transaction() as work:
                return work.stages.renew_dispatch_lease(KEY, "older", LEASE_SECONDS)

        with database.transaction() as work:
            assert work.tasks.batch_create_tasks(batch_of(2), BatchStatus.QUEUED, "older")
            assert other.submit(write, database, 1, "older").result(WAIT_SECONDS)
            assert other.submit(renew).result(WAIT_SECONDS)
    assert written(database) == [0, 1]
