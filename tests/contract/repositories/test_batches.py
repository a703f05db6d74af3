import pytest

from core.errors import ConstraintViolationError
from core.lanes import Lane
from core.models import Resend
from core.statuses import BatchStatus, TaskStatus
from core.task_runs import BatchDelta
from repositories.ports import Database
from tests.contract.repositories.building import (
    JOB,
    KEY,
    OTHER_JOB,
    batch_of,
    claim,
    completed,
    create_batch,
    ids,
    queue_batch,
    record,
    start_stage,
    status_of,
)

BATCH = f"{JOB}-s1-b0"


def pend_batch(database: Database, count: int = 3) -> None:
    """A dispatching stage 1 with one pending batch."""
    start_stage(database)
    create_batch(database, batch_of(count), BatchStatus.PENDING_QUEUE)


def apply(database: Database, *deltas: BatchDelta) -> list[str]:
    with database.transaction() as work:
        return sorted(work.batches.apply_outcomes(deltas))


def test_a_batch_tells_its_row(database: Database) -> None:
    pend_batch(database)
    with database.transaction() as work:
        batch = work.batches.get(BATCH)
        assert work.batches.get(f"{JOB}-s1-b1") is None
    assert batch is not None
    assert (batch.job_id, batch.stage, batch.batch_index, batch.lane) == (JOB, 1, 0, Lane.FAST)
    assert (batch.task_count, batch.open_tasks, batch.failed_tasks) == (3, 3, 0)
    assert (batch.status, batch.send_attempts, batch.last_error) == (BatchStatus.PENDING_QUEUE, 1, None)
    assert (batch.digest, batch.queued_at, batch.finished_at) == (batch_of(3).digest, None, None)


def test_pages_follow_the_index(database: Database) -> None:
    for stage in (1, 2):
        start_stage(database, stage)
    for index in range(11):
        create_batch(database, batch_of(1, index))
    create_batch(database, batch_of(1, 0, stage=2))
    with database.transaction() as work:
        pages = [work.batches.page(KEY, after, 4) for after in (-1, 3, 7, 10)]
    assert [[batch.batch_index for batch in page] for page in pages] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10], []]


def test_pages_of_a_job_cross_its_stages(database: Database) -> None:
    for stage in (1, 2):
        start_stage(database, stage)
        for index in range(3):
            create_batch(database, batch_of(1, index, stage=stage))
    start_stage(database, job_id=OTHER_JOB)
    create_batch(database, batch_of(1, job_id=OTHER_JOB))
    with database.transaction() as work:
        pages = [work.batches.page_of_job(JOB, after, 4) for after in ((0, -1), (2, 0), (2, 2))]
    assert [[(batch.stage, batch.batch_index) for batch in page] for page in pages] == [
        [(1, 0), (1, 1), (1, 2), (2, 0)],
        [(2, 1), (2, 2)],
        [],
    ]
    assert [page.has_more for page in pages] == [True, False, False]


def test_a_page_of_batches_with_large_errors_ends_at_the_limit_of_bytes(database: Database) -> None:
    start_stage(database)
    for index, size in enumerate((90, 90, 300, 90)):
        create_batch(database, batch_of(1, index), BatchStatus.PENDING_QUEUE)
        with database.transaction() as work:
            work.batches.record_send_error(f"{JOB}-s1-b{index}", "\u00e9" * (size // 2))
    with database.transaction() as work:
        pages = [work.batches.page_of_job(JOB, (1, after), 3, max_bytes=200) for after in (-1, 0, 1, 2)]
    assert [([batch.batch_index for batch in page], page.has_more) for page in pages] == [
        ([0, 1], True),
        ([1], True),
        ([2], True),
        ([3], False),
    ]


def test_a_batch_and_its_pending_tasks_are_queued_once(database: Database) -> None:
    pend_batch(database)
    with database.transaction() as work:
        work.batches.record_send_error(BATCH, "busy")
        assert work.batches.mark_queued(BATCH, 1)
        assert not work.batches.mark_queued(BATCH, 1)
        batch = work.batches.get(BATCH)
    assert batch is not None
    assert (batch.status, batch.last_error) == (BatchStatus.QUEUED, None)
    assert batch.queued_at is not None
    assert {status_of(database, task_id) for task_id in ids(0, 1, 2)} == {TaskStatus.QUEUED}


def test_queueing_leaves_a_task_that_a_worker_took(database: Database) -> None:
    pend_batch(database)
    claim(database, ids(1))
    with database.transaction() as work:
        assert work.batches.mark_queued(BATCH, 1)
    assert [status_of(database, task_id) for task_id in ids(0, 1, 2)] == [
        TaskStatus.QUEUED,
        TaskStatus.PROCESSING,
        TaskStatus.QUEUED,
    ]


def test_a_resend_is_counted_and_names_the_pending_tasks(database: Database) -> None:
    pend_batch(database)
    claim(database, ids(1))
    with database.transaction() as work:
        first = work.batches.begin_resend(BATCH)
        second = work.batches.begin_resend(BATCH)
        batch = work.batches.get(BATCH)
    assert first == Resend(2, dict.fromkeys(ids(0, 2), 2))
    assert second == Resend(3, dict.fromkeys(ids(0, 2), 3))
    assert batch is not None
    assert batch.send_attempts == 3


def test_only_the_last_send_of_a_batch_marks_it(database: Database) -> None:
    pend_batch(database)
    with database.transaction() as work:
        work.batches.begin_resend(BATCH)
        assert not work.batches.mark_queued(BATCH, 1)
    assert {status_of(database, task_id) for task_id in ids(0, 1, 2)} == {TaskStatus.PENDING_QUEUE}
    with database.transaction() as work:
        assert work.batches.mark_queued(BATCH, 2)
    assert {status_of(database, task_id) for task_id in ids(0, 1, 2)} == {TaskStatus.QUEUED}


def test_a_queued_batch_is_not_sent_again(database: Database) -> None:
    queue_batch(database)
    with database.transaction() as work:
        assert work.batches.begin_resend(BATCH) is None
        work.batches.record_send_error(BATCH, "busy")
        batch = work.batches.get(BATCH)
    assert batch is not None
    assert (batch.send_attempts, batch.last_error) == (1, None)


def test_a_send_error_is_kept_up_to_2000_characters(database: Database) -> None:
    pend_batch(database)
    with database.transaction() as work:
        work.batches.record_send_error(BATCH, "é" * 3000)
        batch = work.batches.get(BATCH)
    assert batch is not None
    assert batch.last_error == "é" * 2000


def test_a_batch_finishes_when_its_last_task_ends(database: Database) -> None:
    queue_batch(database)
    assert apply(database, BatchDelta(BATCH, 1, 1)) == []
    with database.transaction() as work:
        batch = work.batches.get(BATCH)
    assert batch is not None
    assert (batch.status, batch.open_tasks, batch.failed_tasks) == (BatchStatus.QUEUED, 1, 1)
    assert apply(database, BatchDelta(BATCH, 1, 0)) == [BATCH]
    with database.transaction() as work:
        batch = work.batches.get(BATCH)
    assert batch is not None
    assert (batch.status, batch.open_tasks, batch.failed_tasks) == (BatchStatus.FINISHED, 0, 1)
    assert batch.finished_at is not None


def test_a_finished_batch_does_not_finish_again(database: Database) -> None:
    queue_batch(database)
    assert apply(database, BatchDelta(BATCH, 3, 0)) == [BATCH]
    assert apply(database, BatchDelta(BATCH, 0, 0)) == []


def test_an_outcome_shows_that_a_pending_batch_was_sent(database: Database) -> None:
    pend_batch(database)
    assert apply(database, BatchDelta(BATCH, 1, 0)) == []
    with database.transaction() as work:
        batch = work.batches.get(BATCH)
    assert batch is not None
    assert batch.status is BatchStatus.QUEUED
    assert batch.queued_at is not None
    assert apply(database, BatchDelta(BATCH, 2, 0)) == [BATCH]


def test_queueing_after_the_first_outcome_still_reaches_the_other_tasks(database: Database) -> None:
    pend_batch(database)
    claim(database, ids(0))
    record(database, completed(ids(0)[0]))
    apply(database, BatchDelta(BATCH, 1, 0))
    with database.transaction() as work:
        assert not work.batches.mark_queued(BATCH, 1)
    assert [status_of(database, task_id) for task_id in ids(0, 1, 2)] == [
        TaskStatus.COMPLETED,
        TaskStatus.QUEUED,
        TaskStatus.QUEUED,
    ]


def test_outcomes_of_several_batches_are_told_apart(database: Database) -> None:
    start_stage(database)
    for index in range(3):
        create_batch(database, batch_of(2, index))
    deltas = [BatchDelta(f"{JOB}-s1-b{index}", done, 0) for index, done in ((2, 2), (0, 2), (1, 1))]
    assert apply(database, *deltas) == [f"{JOB}-s1-b0", f"{JOB}-s1-b2"]
    assert apply(database) == []


def test_a_batch_never_ends_more_tasks_than_it_has(database: Database) -> None:
    queue_batch(database)
    with pytest.raises(ConstraintViolationError) as caught:
        apply(database, BatchDelta(BATCH, 4, 0))
    assert caught.value.constraint == "batches_open_within_count"
