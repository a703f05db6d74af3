"""A row that another transaction holds does not stop the work on other rows."""

from core.statuses import BatchStatus, TaskStatus
from repositories.ports import Database
from tests.contract.repositories.building import (
    LEASE_SECONDS,
    batch_of,
    claim,
    create_batch,
    ids,
    queue_batch,
    start_stage,
    status_of,
)
from tests.contract.repositories.harness import Harness


def test_a_claim_leaves_out_a_task_that_another_transaction_holds(database: Database) -> None:
    queue_batch(database, 100)
    with database.transaction() as other:
        other.tasks.count_sends(ids(7))
        assert claim(database, ids(*range(100))) == ids(*range(7), *range(8, 100))
    assert status_of(database, ids(7)[0]) is TaskStatus.QUEUED
    assert claim(database, ids(*range(100))) == ids(7)


def test_sends_are_counted_of_the_tasks_that_no_other_transaction_holds(database: Database) -> None:
    queue_batch(database, 3)
    with database.transaction() as other:
        other.tasks.count_sends(ids(1))
        with database.transaction() as work:
            assert work.tasks.count_sends(ids(0, 1, 2)) == dict.fromkeys(ids(0, 2), 2)
    with database.transaction() as work:
        assert work.tasks.count_sends(ids(1)) == {ids(1)[0]: 3}


def test_a_batch_is_marked_while_a_worker_claims_one_of_its_tasks(database: Database) -> None:
    """The worker was faster than its dispatcher, and will write the status itself."""
    batch = batch_of(3)
    start_stage(database)
    create_batch(database, batch, BatchStatus.PENDING_QUEUE)
    with database.transaction() as other:
        assert len(other.tasks.claim(ids(1), "lease", LEASE_SECONDS)) == 1
        with database.transaction() as work:
            assert work.batches.mark_queued(batch.batch_id, 1)
        assert status_of(database, ids(0)[0]) is TaskStatus.QUEUED
    assert status_of(database, ids(1)[0]) is TaskStatus.PROCESSING


def test_a_lease_is_held_still_when_another_transaction_keeps_it_from_being_renewed(harness: Harness) -> None:
    database = harness.database
    queue_batch(database, 3)
    claim(database, ids(0, 1, 2))
    harness.pass_time(LEASE_SECONDS * 0.75)
    with database.transaction() as other:
        other.tasks.count_sends(ids(1))
        with database.transaction() as work:
            assert work.tasks.renew_leases(ids(0, 1, 2), "mine", LEASE_SECONDS) == set(ids(0, 1, 2))
    harness.pass_time(LEASE_SECONDS * 0.75)
    assert claim(database, ids(0, 1, 2), "next") == ids(1)
