"""The slots of task types with limits: who holds one, who waits for one, and in which order."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from core.statuses import StageStatus
from core.task_limits import Candidate, Rate, SlotUse, TaskLimit
from repositories.ports import Database, UnitOfWork
from repositories.transactions import transact
from tests.contract.repositories.building import (
    KEY,
    LEASE_SECONDS,
    completed,
    ids,
    queue_batch,
    record,
    retrying,
    run_dispatch,
    start_job,
)
from tests.contract.repositories.harness import Harness, await_waiting

TYPE, OTHER = "greet", "reply"
TWO = TaskLimit(max_running=2)
RATE = TaskLimit(rate=Rate(3, 1_000))
AGE = 600.0


def use(database: Database, limit: TaskLimit = TWO) -> SlotUse:
    def locked(work: UnitOfWork) -> SlotUse:
        work.slots.lock(TYPE)
        return work.slots.use(TYPE, limit, AGE)

    return transact(database, locked)


def start(database: Database, *indexes: int, lease_id: str = "mine", lease_seconds: float = LEASE_SECONDS) -> None:
    """Claims tasks, and keeps their starts."""

    def claim(work: UnitOfWork) -> None:
        work.slots.lock(TYPE)
        claimed = [task.task_id for task in work.tasks.claim(ids(*indexes), lease_id, lease_seconds)]
        assert sorted(claimed) == ids(*indexes)
        work.slots.start(TYPE, claimed, lease_id)

    transact(database, claim)


def park(database: Database, *indexes: int) -> None:
    def action(work: UnitOfWork) -> None:
        work.slots.lock(TYPE)
        work.slots.park(TYPE, ids(*indexes), "max_running")

    transact(database, action)


def next_parked(database: Database, count: int = 10) -> list[str]:
    def action(work: UnitOfWork) -> list[str]:
        work.slots.lock(TYPE)
        return work.slots.next_parked(TYPE, AGE, count)

    return transact(database, action)


def wake(database: Database, *indexes: int, in_seconds: float | None = None) -> list[int]:
    """Wakes tasks; returns the numbers of their sends."""

    def action(work: UnitOfWork) -> list[int]:
        work.slots.lock(TYPE)
        due_at = None if in_seconds is None else work.now() + timedelta(seconds=in_seconds)
        return [task.send for task in work.slots.wake(dict.fromkeys(ids(*indexes), due_at))]

    return transact(database, action)


def test_it_knows_the_types_of_those_tasks_that_are_of_given_types(database: Database) -> None:
    queue_batch(database)
    with database.transaction() as work:
        assert work.slots.types_of([*ids(0, 2), "none"], [TYPE, OTHER]) == dict.fromkeys(ids(0, 2), TYPE)
        assert work.slots.types_of(ids(0, 2), [OTHER]) == {}


def test_a_slot_is_held_as_long_as_the_lease_that_it_was_started_with(harness: Harness) -> None:
    database = harness.database
    queue_batch(database)
    start(database, 0, 1)
    assert use(database).running == 2
    record(database, completed(ids(0)[0]), retrying(ids(1)[0], 0))
    assert use(database).running == 0, "nothing was written to free the slots"
    start(database, 1, lease_id="again")
    assert use(database).running == 1
    harness.pass_time(LEASE_SECONDS)
    assert use(database).running == 0, "its worker is taken for dead"


def test_a_task_that_starts_again_holds_one_slot(database: Database) -> None:
    queue_batch(database)
    start(database, 0)
    record(database, retrying(ids(0)[0], 0))
    start(database, 0, lease_id="again")
    assert use(database).running == 1


def test_a_lease_that_is_renewed_after_its_slot_was_found_free_has_none(harness: Harness) -> None:
    database = harness.database
    queue_batch(database)
    start(database, 0)
    harness.pass_time(LEASE_SECONDS)
    assert use(database, RATE).running == 0
    with database.transaction() as work:
        assert work.tasks.renew_leases(ids(0), "mine", LEASE_SECONDS) == set(ids(0))
    assert use(database, RATE).running == 0


def test_a_claim_that_keeps_no_start_holds_no_slot(database: Database) -> None:
    queue_batch(database)
    with database.transaction() as work:
        assert work.tasks.claim(ids(0), "dead letters", LEASE_SECONDS)
    assert use(database).running == 0


def test_starts_count_for_the_time_of_the_rate_and_are_deleted_afterwards(harness: Harness) -> None:
    database = harness.database
    queue_batch(database)
    start(database, 0, 1)
    record(database, completed(ids(0)[0]), completed(ids(1)[0]))
    harness.pass_time(900)
    assert use(database, RATE).started == 2
    harness.pass_time(100)
    assert (use(database, RATE).started, use(database, RATE).running) == (0, 0)
    with database.transaction() as work:
        assert work.slots.limited_types() == []


def test_starts_of_a_type_without_a_rate_are_deleted_when_their_lease_has_ended(database: Database) -> None:
    queue_batch(database)
    start(database, 0)
    with database.transaction() as work:
        assert work.slots.limited_types() == [TYPE]
    record(database, completed(ids(0)[0]))
    use(database)
    with database.transaction() as work:
        assert work.slots.limited_types() == []


def test_starts_that_did_not_run_are_forgotten(database: Database) -> None:
    queue_batch(database)
    start(database, 0)
    start(database, 1, lease_id="other")
    with database.transaction() as work:
        work.tasks.release(ids(0, 1), "mine")
        work.slots.forget_starts([TYPE], ids(0, 1), "mine")
    assert (use(database, RATE).started, use(database, RATE).running) == (1, 1)


def test_it_finds_the_starts_that_stop_to_count_first(harness: Harness) -> None:
    database = harness.database
    queue_batch(database)
    for index in range(3):
        start(database, index, lease_id=f"lease {index}")
        harness.pass_time(10)
    with database.transaction() as work:
        times = work.slots.expiring(TYPE, RATE, 0, 10)
        assert work.slots.expiring(TYPE, RATE, 1, 1) == times[1:2]
    assert len(times) == 3
    assert times == sorted(times)


def test_candidates_are_the_tasks_that_a_claim_would_take_those_parked_first(harness: Harness) -> None:
    database = harness.database
    queue_batch(database, 6)
    park(database, 4)
    harness.pass_time(1)
    park(database, 3)
    wake(database, 3)
    start(database, 0, 1, 2)
    record(database, completed(ids(0)[0]), retrying(ids(1)[0], 300))
    with database.transaction() as work:
        found = work.slots.candidates(ids(0, 1, 2, 3, 4, 5), AGE)
    assert found == [
        Candidate(task_id, promised) for task_id, promised in zip(ids(4, 3, 5), (False, True, False), strict=True)
    ]
    harness.pass_time(LEASE_SECONDS)
    with database.transaction() as work:
        found = work.slots.candidates(ids(0, 1, 2, 3, 4, 5), AGE)
    assert [each.task_id for each in found] == ids(4, 3, 1, 2, 5), "a retry is due, and a lease has expired"


def test_parked_tasks_are_woken_in_the_order_in_which_they_were_parked(harness: Harness) -> None:
    database = harness.database
    queue_batch(database, 5)
    park(database, 2)
    harness.pass_time(1)
    park(database, 0, 1)
    assert next_parked(database) == ids(2, 0, 1)
    assert next_parked(database, 2) == ids(2, 0)
    assert wake(database, 2, 0) == [2, 2]
    assert use(database).promised == 2
    assert next_parked(database) == ids(1)
    park(database, 0, 2)
    assert next_parked(database) == ids(2, 0, 1), "a task that was woken in vain keeps its place"
    assert use(database).promised == 0


def test_a_woken_task_whose_message_is_overdue_is_found_again(harness: Harness) -> None:
    database = harness.database
    queue_batch(database)
    park(database, 0, 1)
    wake(database, 0)
    wake(database, 1, in_seconds=300)
    harness.pass_time(AGE)
    assert (next_parked(database), use(database).promised) == (ids(0), 1)
    harness.pass_time(300)
    assert (next_parked(database), use(database).promised) == (ids(0, 1), 0)
    assert wake(database, 0) == [3]


def test_a_task_is_parked_no_more_when_it_starts_runs_has_ended_or_was_stopped(database: Database) -> None:
    queue_batch(database, 4)
    park(database, 0, 1, 2, 3)
    start(database, 0)
    with database.transaction() as work:
        work.tasks.claim(ids(1, 2), "a host that knows no limits", LEASE_SECONDS)
        work.tasks.record("a host that knows no limits", [completed(ids(1)[0])])
    assert next_parked(database) == ids(3)
    with database.transaction() as work:
        assert work.stages.stop(KEY, StageStatus.CANCELLED)
    assert next_parked(database) == []
    assert not use(database).parked


def test_a_task_that_is_found_to_wait_no_more_loses_its_place(database: Database) -> None:
    queue_batch(database)
    park(database, 0, 1)
    with database.transaction() as work:
        work.slots.lock(TYPE)
        work.slots.unpark([])
        work.slots.unpark(ids(0, 2))
    assert next_parked(database) == ids(1)


def test_a_parked_task_whose_row_is_locked_is_woken_the_next_time(database: Database) -> None:
    queue_batch(database, 2)
    park(database, 0, 1)
    with database.transaction() as work:
        work.tasks.count_sends(ids(0))
        with ThreadPoolExecutor(1) as threads:
            assert threads.submit(wake, database, 0, 1).result(120) == [2]
    assert next_parked(database) == ids(0)


def test_more_ended_tasks_than_a_page_hide_no_parked_task(database: Database) -> None:
    queue_batch(database, 60)
    park(database, *range(60))
    with database.transaction() as work:
        work.tasks.claim(ids(*range(58)), "a host that knows no limits", LEASE_SECONDS)
    assert next_parked(database, 1) == ids(58)


def test_a_parked_task_is_lost_to_no_sweep(harness: Harness) -> None:
    database = harness.database
    batch = queue_batch(database, 4)
    start(database, 0, 1)
    record(database, retrying(ids(0)[0], 0))
    harness.pass_time(LEASE_SECONDS + 600)
    park(database, 0, 1)
    assert batch.task_count == 4
    with database.transaction() as work:
        assert work.sweeps.overdue_retries(300, 10) == []
        assert work.sweeps.expired_leases(300, 10) == []
    with database.transaction() as work:
        work.slots.lock(TYPE)
        work.slots.start(TYPE, ids(0, 1), "another")
    with database.transaction() as work:
        assert [task.task_id for task in work.sweeps.overdue_retries(300, 10)] == ids(0)
        assert [task.task_id for task in work.sweeps.expired_leases(300, 10)] == ids(1)


def test_the_messages_of_parked_tasks_of_a_silent_stage_are_not_sent_again(harness: Harness) -> None:
    database = harness.database
    start_job(database)
    queue_batch(database)
    run_dispatch(database, 3, 1)
    park(database, 0, 1)
    harness.pass_time(400)
    with database.transaction() as work:
        work.sweeps.silent_stages(300, 10)
    harness.pass_time(1)
    with database.transaction() as work:
        found = work.sweeps.silent_batches(KEY, 300, 10)
    assert [task.task_id for task in found.tasks] == ids(2)


def test_the_type_of_a_task_is_locked_by_one_transaction_at_a_time(harness: Harness) -> None:
    database = harness.database
    with ThreadPoolExecutor(1) as threads:
        with database.transaction() as work:
            work.slots.lock(OTHER)
            work.slots.lock(TYPE)
            waiting = threads.submit(use, database)
            await_waiting(harness, waiting)
        assert waiting.result(120).running == 0
