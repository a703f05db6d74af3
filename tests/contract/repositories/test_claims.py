from core.statuses import BatchStatus, TaskStatus
from core.task_runs import ClaimedTask
from repositories.ports import Database
from tests.contract.repositories.building import (
    JOB,
    LEASE_SECONDS,
    OTHER_JOB,
    batch_of,
    claim,
    completed,
    create_batch,
    failed,
    ids,
    queue_batch,
    record,
    retrying,
    start_stage,
)
from tests.contract.repositories.harness import Harness


def test_a_claim_tells_what_to_run(database: Database) -> None:
    queue_batch(database)
    with database.transaction() as work:
        claimed = work.tasks.claim(ids(1), "mine", LEASE_SECONDS)
        task = work.tasks.get(ids(1)[0])
        now = work.now()
    assert claimed == [ClaimedTask(ids(1)[0], JOB, 1, 1, f"{JOB}-s1-b0", "greet", {"n": 1}, attempt=1, failures=0)]
    assert task is not None
    assert (task.status, task.attempt, task.finished_at) == (TaskStatus.PROCESSING, 1, None)
    assert task.started_at is not None
    assert task.lease_expires_at is not None
    assert task.lease_expires_at > now


def test_a_message_may_overtake_the_status_update(database: Database) -> None:
    start_stage(database)
    create_batch(database, batch_of(3), BatchStatus.PENDING_QUEUE)
    assert claim(database, ids(0, 2)) == ids(0, 2)


def test_tasks_without_a_row_are_not_returned(database: Database) -> None:
    queue_batch(database)
    assert claim(database, [*ids(0), *ids(0, job_id=OTHER_JOB)]) == ids(0)
    assert claim(database, []) == []


def test_a_task_named_twice_is_claimed_once(database: Database) -> None:
    queue_batch(database)
    assert claim(database, [*ids(0), *ids(0)]) == ids(0)


def test_a_live_lease_is_respected_even_its_own(database: Database) -> None:
    queue_batch(database)
    claim(database, ids(0), "mine")
    assert claim(database, ids(0, 1), "other") == ids(1)
    assert claim(database, ids(0), "mine") == []


def test_an_expired_lease_is_taken_over_and_counts_as_an_attempt(harness: Harness) -> None:
    queue_batch(harness.database)
    claim(harness.database, ids(0), "dead")
    with harness.database.transaction() as work:
        before = work.tasks.get(ids(0)[0])
    harness.pass_time(LEASE_SECONDS + 1)
    with harness.database.transaction() as work:
        (claimed,) = work.tasks.claim(ids(0), "mine", LEASE_SECONDS)
        after = work.tasks.get(ids(0)[0])
    assert claimed.attempt == 2
    assert before is not None
    assert after is not None
    assert after.started_at == before.started_at


def test_a_retry_waits_until_it_is_due(harness: Harness) -> None:
    queue_batch(harness.database)
    claim(harness.database, ids(0))
    record(harness.database, retrying(ids(0)[0], delay_seconds=300))
    assert claim(harness.database, ids(0)) == []
    harness.pass_time(301)
    with harness.database.transaction() as work:
        (claimed,) = work.tasks.claim(ids(0), "mine", LEASE_SECONDS)
        task = work.tasks.get(ids(0)[0])
    assert claimed.attempt == 2
    assert task is not None
    assert task.not_before is None


def test_a_retry_without_delay_is_due_at_once(database: Database) -> None:
    queue_batch(database)
    claim(database, ids(0))
    record(database, retrying(ids(0)[0], delay_seconds=0))
    assert claim(database, ids(0)) == ids(0)


def test_tasks_that_have_ended_are_never_claimed_again(database: Database) -> None:
    queue_batch(database)
    claim(database, ids(0, 1))
    record(database, completed(ids(0)[0]), failed(ids(1)[0]))
    assert claim(database, ids(0, 1)) == []


def test_unclaimed_tasks_say_when_they_may_be_claimed(database: Database) -> None:
    queue_batch(database, 4)
    claim(database, ids(0, 1, 2))
    record(database, completed(ids(0)[0]), retrying(ids(1)[0]))
    with database.transaction() as work:
        found = {task.task_id: task for task in work.tasks.unclaimed(ids(0, 1, 2, 3, 9))}
        waiting, running = (work.tasks.get(task_id) for task_id in ids(1, 2))
        now = work.now()
    assert waiting is not None
    assert running is not None
    assert sorted(found) == ids(0, 1, 2, 3)
    ended, retry, leased, ready = (found[task_id] for task_id in ids(0, 1, 2, 3))
    assert (ended.status, ended.due_at) == (TaskStatus.COMPLETED, None)
    assert (retry.status, retry.due_at) == (TaskStatus.RETRYING, waiting.not_before)
    assert (leased.status, leased.due_at) == (TaskStatus.PROCESSING, running.lease_expires_at)
    assert ready.status is TaskStatus.QUEUED
    assert ready.due_at is not None
    assert ready.due_at <= now


def test_leases_are_renewed_by_their_holder_alone(harness: Harness) -> None:
    queue_batch(harness.database)
    claim(harness.database, ids(0), "mine")
    claim(harness.database, ids(1), "other")
    harness.pass_time(LEASE_SECONDS * 0.75)
    with harness.database.transaction() as work:
        assert work.tasks.renew_leases(ids(0, 1, 2), "mine", LEASE_SECONDS) == set(ids(0))
    harness.pass_time(LEASE_SECONDS * 0.75)
    assert claim(harness.database, ids(0, 1), "third") == ids(1)


def test_a_lease_that_was_taken_over_is_not_renewed(harness: Harness) -> None:
    queue_batch(harness.database)
    claim(harness.database, ids(0), "zombie")
    harness.pass_time(LEASE_SECONDS + 1)
    claim(harness.database, ids(0), "mine")
    with harness.database.transaction() as work:
        assert work.tasks.renew_leases(ids(0), "zombie", LEASE_SECONDS) == set()


def test_sends_are_counted_whatever_the_status(database: Database) -> None:
    queue_batch(database)
    claim(database, ids(0))
    with database.transaction() as work:
        assert work.tasks.count_sends(ids(0, 1, 9)) == dict.fromkeys(ids(0, 1), 2)
        assert work.tasks.count_sends(ids(1)) == {ids(1)[0]: 3}
        assert work.tasks.count_sends([]) == {}


def test_a_dead_letter_counts_once_for_each_send(database: Database) -> None:
    queue_batch(database)
    task_id = ids(0)[0]
    with database.transaction() as work:
        assert work.tasks.begin_dead_letter(task_id, 1) == 0
        assert work.tasks.count_dead_letter(task_id, 1, died=True)
        assert not work.tasks.count_dead_letter(task_id, 1, died=True)
        assert work.tasks.begin_dead_letter(task_id, 1) is None
        assert work.tasks.begin_dead_letter(task_id, 2) == 1
        assert work.tasks.count_dead_letter(task_id, 2, died=False)
        assert work.tasks.begin_dead_letter(task_id, 3) == 1


def test_no_dead_letter_of_an_ended_task_is_counted(database: Database) -> None:
    queue_batch(database)
    task_id = ids(0)[0]
    claim(database, [task_id])
    with database.transaction() as work:
        assert work.tasks.begin_dead_letter(task_id, 1) == 0
    record(database, completed(task_id))
    for absent_or_ended in (task_id, ids(9)[0]):
        with database.transaction() as work:
            assert work.tasks.begin_dead_letter(absent_or_ended, 1) is None
            assert not work.tasks.count_dead_letter(absent_or_ended, 1, died=True)


def test_a_released_task_has_spent_no_attempt_and_is_due_at_once(database: Database) -> None:
    queue_batch(database)
    claim(database, ids(0, 1))
    with database.transaction() as work:
        assert work.tasks.release(ids(0, 2), "mine") == 1
        assert work.tasks.release(ids(1), "another's") == 0
        released = work.tasks.get(ids(0)[0])
    assert released is not None
    assert (released.status, released.attempt, released.started_at) == (TaskStatus.RETRYING, 0, None)
    assert record(database, completed(ids(0)[0])) == []
    assert claim(database, ids(0), "next") == ids(0)


def test_a_task_released_in_a_later_run_keeps_what_it_has_spent(harness: Harness) -> None:
    database = harness.database
    queue_batch(database)
    claim(database, ids(0))
    record(database, retrying(ids(0)[0], 5.0))
    harness.pass_time(5.0)
    claim(database, ids(0), "second")
    with database.transaction() as work:
        assert work.tasks.release(ids(0), "second") == 1
        released = work.tasks.get(ids(0)[0])
    assert released is not None
    assert (released.attempt, released.failures) == (1, 1)
    assert released.started_at is not None


def test_failures_are_counted_apart_from_interruptions(harness: Harness) -> None:
    database = harness.database
    queue_batch(database)
    claim(database, ids(0), "dies")
    harness.pass_time(LEASE_SECONDS)
    claim(database, ids(0))
    record(database, retrying(ids(0)[0], 0.0))
    with database.transaction() as work:
        [claimed] = work.tasks.claim(ids(0), "third", LEASE_SECONDS)
    assert (claimed.attempt, claimed.failures, claimed.interruptions) == (3, 1, 1)
