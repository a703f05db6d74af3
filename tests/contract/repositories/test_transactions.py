from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

import pytest

from core.errors import ConstraintViolationError, DatabaseError, TransactionConflictError
from core.models import StageKey
from core.statuses import BatchStatus, JobStatus, TaskStatus
from core.task_runs import BatchDelta, TaskOutcome
from repositories.ports import Database, UnitOfWork
from tests.contract.repositories.building import (
    JOB,
    KEY,
    LEASE_SECONDS,
    OTHER_JOB,
    batch_of,
    claim,
    create_batch,
    create_job,
    ids,
    queue_batch,
    start_job,
    start_stage,
    write_batch,
)
from tests.contract.repositories.harness import Harness, await_waiting


class OwnError(Exception):
    pass


def statuses(work: UnitOfWork) -> list[JobStatus | None]:
    jobs = [work.jobs.get(job_id) for job_id in (JOB, OTHER_JOB)]
    return [job.status if job else None for job in jobs]


def test_an_exception_leaves_nothing_behind(database: Database) -> None:
    with suppress(OwnError), database.transaction() as work:
        work.jobs.create(JOB, "hello_world", "{}", 1)
        work.stages.create(KEY, "one", 0.0)
        write_batch(work, batch_of(3), BatchStatus.QUEUED)
        raise OwnError
    with database.transaction() as work:
        assert work.jobs.get(JOB) is None
        assert work.stages.get(KEY) is None
        assert work.tasks.page(JOB, None, "", 10) == []


def test_an_exception_brings_the_old_row_back(database: Database) -> None:
    create_job(database)
    with suppress(OwnError), database.transaction() as work:
        work.jobs.mark_queued(JOB)
        raise OwnError
    with database.transaction() as work:
        job = work.jobs.get(JOB)
    assert job is not None
    assert job.status is JobStatus.PENDING_QUEUE


def test_a_refused_statement_takes_the_whole_transaction_with_it(database: Database) -> None:
    with suppress(ConstraintViolationError), database.transaction() as work:
        work.jobs.create(JOB, "hello_world", "{}", 1)
        work.stages.create(StageKey(JOB, 0), "zero", 0.0)
        raise AssertionError("stage 0 was accepted")
    with database.transaction() as work:
        assert work.jobs.get(JOB) is None


def test_a_refused_statement_is_an_error_where_it_stands_and_spoils_what_follows(database: Database) -> None:
    with database.transaction() as work:
        work.jobs.create(JOB, "hello_world", "{}", 1)
        with pytest.raises(ConstraintViolationError):
            work.stages.create(StageKey(JOB, 0), "zero", 0.0)
        with pytest.raises(DatabaseError, match="aborted"):
            work.jobs.get(JOB)
    with database.transaction() as work:
        assert work.jobs.get(JOB) is None


def test_of_two_in_a_deadlock_one_goes_on(database: Database) -> None:
    for job_id in (JOB, OTHER_JOB):
        create_job(database, job_id)
    both_hold_one = Barrier(2)

    def take(order: tuple[str, str]) -> bool:
        try:
            with database.transaction() as work:
                work.jobs.mark_queued(order[0])
                both_hold_one.wait()
                return work.jobs.mark_queued(order[1])
        except TransactionConflictError:
            return False

    with ThreadPoolExecutor(2) as workers:
        assert sorted(workers.map(take, [(JOB, OTHER_JOB), (OTHER_JOB, JOB)])) == [False, True]
    with database.transaction() as work:
        assert statuses(work) == [JobStatus.QUEUED, JobStatus.QUEUED]


def test_a_transaction_sees_its_own_changes_and_others_only_after_the_commit(database: Database) -> None:
    create_job(database)
    with database.transaction() as reader:
        with database.transaction() as writer:
            writer.jobs.mark_queued(JOB)
            writer.jobs.create(OTHER_JOB, "hello_world", "{}", 1)
            assert statuses(writer) == [JobStatus.QUEUED, JobStatus.PENDING_QUEUE]
            assert statuses(reader) == [JobStatus.PENDING_QUEUE, None]
        assert statuses(reader) == [JobStatus.QUEUED, JobStatus.PENDING_QUEUE]


def test_workers_at_once_share_the_tasks_without_overlap(database: Database) -> None:
    queue_batch(database, 100)
    start = Barrier(4)

    def claim_all(lease_id: str) -> list[str]:
        start.wait()
        with database.transaction() as work:
            return [task.task_id for task in work.tasks.claim(ids(*range(100)), lease_id, LEASE_SECONDS)]

    with ThreadPoolExecutor(4) as workers:
        claimed = [task_id for part in workers.map(claim_all, "abcd") for task_id in part]
    assert sorted(claimed) == ids(*range(100))


def test_outcomes_at_once_are_all_counted(database: Database) -> None:
    start_stage(database)
    for index in range(2):
        create_batch(database, batch_of(8, index))
    batch_ids = [f"{JOB}-s1-b{index}" for index in range(2)]
    start = Barrier(8)

    def end_two(turn: int) -> list[str]:
        start.wait()
        deltas = [BatchDelta(batch_id, 1, 0) for batch_id in batch_ids]
        with database.transaction() as work:
            finished = work.batches.apply_outcomes(deltas if turn % 2 else deltas[::-1])
            work.stages.add_finished_batches(finished)
            return finished

    with ThreadPoolExecutor(8) as workers:
        finished = [batch_id for part in workers.map(end_two, range(8)) for batch_id in part]
    assert sorted(finished) == batch_ids
    with database.transaction() as work:
        stage = work.stages.get(KEY)
    assert stage is not None
    assert (stage.finished_batches, stage.completed_tasks) == (2, 16)


def test_outcomes_wait_for_an_earlier_batch_before_they_hold_a_later_one(harness: Harness) -> None:
    start_stage(harness.database)
    for index in (1, 0):  # so that their order on the page is not that of their ids
        create_batch(harness.database, batch_of(2, index))
    first, second = (BatchDelta(f"{JOB}-s1-b{index}", 1, 0) for index in range(2))

    def end_both() -> list[str]:
        with harness.database.transaction() as work:
            return work.batches.apply_outcomes([second, first])

    with ThreadPoolExecutor(1) as other:
        with harness.database.transaction() as work:
            work.batches.apply_outcomes([first])
            waits = other.submit(end_both)
            await_waiting(harness, waits)
            work.batches.apply_outcomes([second])
        assert sorted(waits.result()) == [first.batch_id, second.batch_id]


def test_outcomes_wait_for_an_earlier_task_before_they_hold_a_later_one(harness: Harness) -> None:
    start_stage(harness.database)
    for index in (1, 0):  # so that their order on the page is not that of their ids
        create_batch(harness.database, batch_of(2, index))
    first, *rest = ids(0, 1, 2, 3)
    assert len(claim(harness.database, [first, *rest])) == 4

    def record_all() -> int:
        with harness.database.transaction() as work:
            return len(work.tasks.record("mine", [TaskOutcome(each, TaskStatus.COMPLETED) for each in (*rest, first)]))

    with ThreadPoolExecutor(1) as other:
        with harness.database.transaction() as work:
            work.tasks.count_sends([first])
            waits = other.submit(record_all)
            await_waiting(harness, waits)
            assert work.tasks.count_sends(rest).keys() == set(rest)
        assert waits.result() == 4


def test_a_stage_is_left_once_however_many_try(database: Database) -> None:
    start_job(database)
    start = Barrier(6)

    def advance(_: int) -> bool:
        start.wait()
        with database.transaction() as work:
            return work.jobs.advance(StageKey(JOB, 1))

    with ThreadPoolExecutor(6) as workers:
        assert sorted(workers.map(advance, range(6))) == [False] * 5 + [True]


def test_the_clock_is_aware_and_does_not_go_back(database: Database) -> None:
    with database.transaction() as work:
        first, second = work.now(), work.now()
    assert first.tzinfo is not None
    assert first <= second
