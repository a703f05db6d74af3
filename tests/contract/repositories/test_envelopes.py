"""Batches that one message carries: what their rows say, and the claim of all their tasks."""

from dataclasses import replace

import pytest

from core.lanes import Lane
from core.models import OverdueBatch, Resend
from core.statuses import BatchStatus, StageStatus, TaskStatus
from core.task_runs import BatchDelta, ClaimedTask
from repositories.ports import Database
from tests.contract.repositories.building import (
    JOB,
    KEY,
    LEASE_SECONDS,
    batch_of,
    claim,
    completed,
    create_batch,
    ids,
    queue_batch,
    record,
    retrying,
    start_job,
    start_stage,
    status_of,
)
from tests.contract.repositories.harness import Harness

BATCH = f"{JOB}-s1-b0"
AGE = 600.0


def claim_batch(database: Database, lease_id: str = "mine", batch_id: str = BATCH) -> list[str]:
    with database.transaction() as work:
        return sorted(task.task_id for task in work.tasks.claim_batch(batch_id, lease_id, LEASE_SECONDS, "a host"))


def stop_stage(database: Database) -> None:
    with database.transaction() as work:
        assert work.stages.stop(KEY, StageStatus.CANCELLED)


@pytest.mark.parametrize("enveloped", [True, False])
def test_the_row_of_a_batch_says_how_it_travels(harness: Harness, *, enveloped: bool) -> None:
    database = harness.database
    start_job(database)
    start_stage(database)
    create_batch(database, replace(batch_of(2), enveloped=enveloped), BatchStatus.PENDING_QUEUE)
    harness.pass_time(AGE + LEASE_SECONDS)
    with database.transaction() as work:
        batch = work.batches.get(BATCH)
        found = [batch, *work.batches.page(KEY, -1, 10), *work.batches.page_of_job(JOB, (0, 0), 10)]
        overdue = work.sweeps.pending_batches(AGE, 10)
        resend = work.batches.begin_resend(BATCH)
    assert [each.enveloped for each in found if each is not None] == [enveloped] * 3
    assert overdue == [OverdueBatch(BATCH, Lane.FAST, urgent=False, enveloped=enveloped)]
    assert resend == Resend(2, dict.fromkeys(ids(0, 1), 2), enveloped)


def test_a_reopened_batch_travels_as_before(database: Database) -> None:
    start_job(database)
    start_stage(database)
    create_batch(database, replace(batch_of(2), enveloped=True))
    stop_stage(database)
    with database.transaction() as work:
        cancelled = work.stops.cancel_tasks([BATCH])
        work.stages.add_finished_batches(work.batches.apply_outcomes([BatchDelta(BATCH, cancelled=cancelled[BATCH])]))
    with database.transaction() as work:
        assert work.stages.reopen(KEY, failed_too=False)
        assert work.stops.reopen_batches(KEY, 1) == 1
        assert work.batches.begin_resend(BATCH) == Resend(3, dict.fromkeys(ids(0, 1), 2), enveloped=True)


def test_a_claim_of_a_batch_tells_what_to_run(database: Database) -> None:
    start_stage(database)
    create_batch(database, batch_of(2))
    create_batch(database, batch_of(2, batch_index=1))
    with database.transaction() as work:
        claimed = work.tasks.claim_batch(f"{JOB}-s1-b1", "mine", LEASE_SECONDS, "a host")
        task = work.tasks.get(ids(3)[0])
    assert sorted(claimed, key=lambda each: each.task_id) == [
        ClaimedTask(ids(n)[0], JOB, 1, n, f"{JOB}-s1-b1", "greet", {"n": n}, attempt=1, failures=0) for n in (2, 3)
    ]
    assert task is not None
    assert (task.status, task.worker, task.attempt) == (TaskStatus.PROCESSING, "a host", 1)
    assert {status_of(database, task_id) for task_id in ids(0, 1)} == {TaskStatus.QUEUED}


def test_a_claim_of_a_batch_takes_pending_tasks_too(database: Database) -> None:
    start_stage(database)
    create_batch(database, batch_of(3), BatchStatus.PENDING_QUEUE)
    assert claim_batch(database) == ids(0, 1, 2)


def test_a_claim_of_a_batch_leaves_out_what_may_not_run_now(harness: Harness) -> None:
    database = harness.database
    queue_batch(database, 5)
    claim(database, ids(0, 1, 2))
    record(database, completed(ids(0)[0]), retrying(ids(1)[0], delay_seconds=LEASE_SECONDS / 2))
    assert claim_batch(database, "other") == ids(3, 4)
    assert claim_batch(database, "other") == []
    harness.pass_time(LEASE_SECONDS / 2)
    assert claim_batch(database, "third") == ids(1)
    harness.pass_time(LEASE_SECONDS / 2)
    assert claim_batch(database, "fourth") == ids(2, 3, 4)


def test_a_claim_of_a_batch_leaves_out_a_task_that_another_transaction_holds(database: Database) -> None:
    queue_batch(database, 100)
    with database.transaction() as other:
        other.tasks.count_sends(ids(7))
        assert claim_batch(database) == ids(*range(7), *range(8, 100))
    assert claim_batch(database) == ids(7)


def test_a_claim_of_a_batch_that_has_no_row_finds_nothing(database: Database) -> None:
    queue_batch(database)
    assert claim_batch(database, batch_id=f"{JOB}-s1-b9") == []
    with database.transaction() as work:
        assert work.tasks.ids_of_batch(f"{JOB}-s1-b9") == []


def test_no_task_of_a_stopped_stage_is_claimed_with_its_batch(database: Database) -> None:
    queue_batch(database)
    stop_stage(database)
    assert claim_batch(database) == []


def test_all_tasks_of_a_batch_are_named_in_order_whatever_their_status(database: Database) -> None:
    start_stage(database)
    create_batch(database, batch_of(3, batch_index=1))
    claim(database, ids(4))
    record(database, completed(ids(4)[0]))
    with database.transaction() as work:
        assert work.tasks.ids_of_batch(f"{JOB}-s1-b1") == ids(3, 4, 5)


def test_the_tasks_of_an_envelope_are_queued_when_their_batch_is(database: Database) -> None:
    start_stage(database)
    for index in (0, 1):
        create_batch(database, replace(batch_of(2, index), enveloped=True), BatchStatus.PENDING_QUEUE)
    with database.transaction() as work:
        assert work.batches.mark_queued(BATCH, 1, enveloped=True)
        assert not work.batches.mark_queued(BATCH, 1, enveloped=True)
        pages = [work.tasks.page(JOB, status, "", 10) for status in (TaskStatus.QUEUED, TaskStatus.PENDING_QUEUE, None)]
    assert [[(task.task_id, task.status) for task in page] for page in pages] == [
        [(task_id, TaskStatus.QUEUED) for task_id in ids(0, 1)],
        [(task_id, TaskStatus.PENDING_QUEUE) for task_id in ids(2, 3)],
        [
            *((task_id, TaskStatus.QUEUED) for task_id in ids(0, 1)),
            *((task_id, TaskStatus.PENDING_QUEUE) for task_id in ids(2, 3)),
        ],
    ]
    assert {status_of(database, task_id) for task_id in ids(0, 1)} == {TaskStatus.QUEUED}
    assert {status_of(database, task_id) for task_id in ids(2, 3)} == {TaskStatus.PENDING_QUEUE}


def test_a_job_without_a_pending_batch_of_envelopes_has_no_pending_task(database: Database) -> None:
    start_stage(database)
    create_batch(database, replace(batch_of(2), enveloped=True), BatchStatus.PENDING_QUEUE)
    with database.transaction() as work:
        assert work.batches.mark_queued(BATCH, 1, enveloped=True)
        assert work.tasks.page(JOB, TaskStatus.PENDING_QUEUE, "", 10) == []


def test_a_batch_in_an_envelope_is_counted_as_sent_again_only_while_it_is_pending(database: Database) -> None:
    start_stage(database)
    create_batch(database, replace(batch_of(2), enveloped=True), BatchStatus.PENDING_QUEUE)
    with database.transaction() as work:
        assert work.batches.mark_queued(BATCH, 1, enveloped=True)
    with database.transaction() as work:
        assert work.batches.begin_resend(BATCH) is None
        tasks = [work.tasks.get(task_id) for task_id in ids(0, 1)]
    assert [task.sends for task in tasks if task is not None] == [1, 1]


def test_an_envelope_that_is_sent_again_is_marked_by_its_last_send(database: Database) -> None:
    start_stage(database)
    create_batch(database, replace(batch_of(2), enveloped=True), BatchStatus.PENDING_QUEUE)
    with database.transaction() as work:
        assert work.batches.begin_resend(BATCH) == Resend(2, dict.fromkeys(ids(0, 1), 2), enveloped=True)
        assert not work.batches.mark_queued(BATCH, 1, enveloped=True)
    assert {status_of(database, task_id) for task_id in ids(0, 1)} == {TaskStatus.PENDING_QUEUE}
    with database.transaction() as work:
        assert work.batches.mark_queued(BATCH, 2, enveloped=True)
    assert {status_of(database, task_id) for task_id in ids(0, 1)} == {TaskStatus.QUEUED}
