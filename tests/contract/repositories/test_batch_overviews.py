from datetime import timedelta

from core.batch_overviews import BatchState, EndedSpan, EndedTasks
from core.statuses import BatchStatus
from core.task_runs import BatchDelta
from repositories.ports import Database
from tests.contract.repositories.building import (
    JOB,
    KEY,
    OTHER_JOB,
    batch_of,
    create_batch,
    end_batch,
    start_stage,
)


def test_each_batch_of_a_stage_is_a_letter(database: Database) -> None:
    start_stage(database)
    start_stage(database, 2)
    create_batch(database, batch_of(3, 0, stage=2))
    for index in range(7):
        create_batch(database, batch_of(3, index), BatchStatus.PENDING_QUEUE if index == 0 else BatchStatus.QUEUED)
    with database.transaction() as work:
        work.batches.apply_outcomes([BatchDelta(f"{JOB}-s1-b2", 1, 0), BatchDelta(f"{JOB}-s1-b3", 1, 1)])
    end_batch(database, f"{JOB}-s1-b4", 3)
    end_batch(database, f"{JOB}-s1-b5", 2, 1)
    with database.transaction() as work:
        work.batches.apply_outcomes([BatchDelta(f"{JOB}-s1-b6", 0, 0, 3)])
    with database.transaction() as work:
        assert [BatchState(letter) for letter in work.batch_overviews.states(KEY)] == list(BatchState)


def test_a_stage_without_batches_has_no_letters(database: Database) -> None:
    start_stage(database)
    with database.transaction() as work:
        assert work.batch_overviews.states(KEY) == ""


def test_ended_tasks_are_counted_over_time(database: Database) -> None:
    start_stage(database)
    start_stage(database, job_id=OTHER_JOB)
    create_batch(database, batch_of(3, 0, job_id=OTHER_JOB))
    for index in range(4):
        create_batch(database, batch_of(3, index))
    with database.transaction() as work:
        assert work.batch_overviews.ended_span(JOB) is None
    end_batch(database, f"{JOB}-s1-b0", 3)
    end_batch(database, f"{JOB}-s1-b1", 1, 2)
    end_batch(database, f"{OTHER_JOB}-s1-b0", 3)
    with database.transaction() as work:
        work.batches.apply_outcomes([BatchDelta(f"{JOB}-s1-b2", 1, 0, 2)])
    with database.transaction() as work:
        span = work.batch_overviews.ended_span(JOB)
        assert span is not None
        assert span.first <= span.last
        assert work.batch_overviews.ended_tasks(JOB, span, 3600) == [EndedTasks(0, 5, 2, 2)]
        early = EndedSpan(span.first - timedelta(seconds=25), span.last)
        assert [each.bucket for each in work.batch_overviews.ended_tasks(JOB, early, 3600)] == [0]
        buckets = [each.bucket for each in work.batch_overviews.ended_tasks(JOB, early, 10)]
        assert buckets[0] == 2
