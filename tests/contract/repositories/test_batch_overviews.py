from datetime import datetime, timedelta

import pytest

from core.batch_overviews import BatchState, EndedSpan, EndedTasks
from core.recent_ends import FEWEST_TASKS, SAMPLED_BATCHES, EndTimes, RecentEnds
from core.statuses import BatchStatus
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
    end_batch,
    ids,
    record,
    start_stage,
)
from tests.contract.repositories.harness import Harness


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


def end_tasks(database: Database, *indexes: int, of_batch: int, tasks: int = 3) -> None:
    """Completes tasks of a batch, as a worker does."""
    task_ids = ids(*(of_batch * tasks + index for index in indexes))
    assert claim(database, task_ids) == task_ids
    record(database, *map(completed, task_ids))
    with database.transaction() as work:
        ended = work.batches.apply_outcomes([BatchDelta(f"{JOB}-s1-b{of_batch}", len(task_ids), 0)])
        work.stages.add_finished_batches(ended)


def recent_ends(database: Database, seconds: float) -> tuple[RecentEnds, EndTimes, datetime]:
    """The recent ends of a stage that was opened so many seconds ago, and the present."""
    with database.transaction() as work:
        now = work.now()
        times = EndTimes.until(now, now - timedelta(seconds=seconds))
        return work.batch_overviews.recent_ends(KEY, times), times, now


def test_a_stage_of_which_no_task_has_ended_has_no_recent_ends(database: Database) -> None:
    start_stage(database)
    create_batch(database, batch_of(3))
    found, times, now = recent_ends(database, 100)
    assert found == RecentEnds(times.since, 0, None)
    assert found.tasks_per_second(now, is_working=True) is None


def test_the_ends_of_tasks_are_counted_in_ended_and_in_begun_batches(harness: Harness) -> None:
    database = harness.database
    start_stage(database)
    start_stage(database, job_id=OTHER_JOB)
    create_batch(database, batch_of(3, 0, job_id=OTHER_JOB))
    for index in range(3):
        create_batch(database, batch_of(3, index))
    end_tasks(database, 0, 1, of_batch=0)
    harness.pass_time(200)
    end_tasks(database, 2, of_batch=0)
    end_tasks(database, 1, of_batch=1)
    end_batch(database, f"{OTHER_JOB}-s1-b0", 3)

    found, times, now = recent_ends(database, 300)
    assert found == RecentEnds(times.since, 4, last_end(database))
    assert found.tasks_per_second(now, is_working=False) == pytest.approx(4 / 300)

    reopened, times, _ = recent_ends(database, 100)  # what ended before an opening is no part of it
    assert (reopened.since, reopened.tasks) == (times.since, 2)

    harness.pass_time(301)
    paused, _, now = recent_ends(database, 1_000)
    assert paused.tasks == 4
    assert paused.tasks_per_second(now, is_working=False) is None
    assert paused.tasks_per_second(now, is_working=True) == pytest.approx(4 / 1_000)


def last_end(database: Database) -> datetime | None:
    with database.transaction() as work:
        task = work.tasks.get(ids(4)[0])
        return None if task is None else task.finished_at


def test_the_last_twenty_ends_count_if_there_were_fewer_in_the_last_minute(harness: Harness) -> None:
    database = harness.database
    start_stage(database)
    create_batch(database, batch_of(100, 0))
    end_tasks(database, *range(50), of_batch=0, tasks=100)
    harness.pass_time(500)
    end_tasks(database, *range(50, 69), of_batch=0, tasks=100)
    harness.pass_time(500)
    end_tasks(database, 69, of_batch=0, tasks=100)
    found, _, now = recent_ends(database, 2_000)
    assert found.tasks == 20  # and the fifty that ended at one time before them do not
    assert (now - found.since).total_seconds() == pytest.approx(1_000, abs=60)

    harness.pass_time(100)
    for index in range(30):
        harness.pass_time(0.01)
        end_tasks(database, 70 + index, of_batch=0, tasks=100)
    lately, times, _ = recent_ends(database, 2_000)
    assert (lately.since, lately.tasks) == (times.lately, 30)


def test_many_batches_are_counted_and_those_that_ended_last_tell_how_many_tasks_they_ran(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.recent_ends._LATELY", timedelta(minutes=10))  # the test may take more than a minute
    database = harness.database
    start_stage(database)
    for index in range(SAMPLED_BATCHES + 10):
        create_batch(database, batch_of(2, index))
        end_tasks(database, 0, of_batch=index, tasks=2)
    harness.pass_time(1_000)  # a retry, in which the other task of each batch runs
    for index in range(SAMPLED_BATCHES + 10):
        end_tasks(database, 1, of_batch=index, tasks=2)
    found, times, now = recent_ends(database, 400)
    assert (found.since, found.tasks) == (times.lately, SAMPLED_BATCHES + 10)
    assert found.tasks_per_second(now, is_working=True) == pytest.approx((SAMPLED_BATCHES + 10) / 400)


def test_of_many_batches_that_ended_a_while_ago_the_last_are_read(harness: Harness) -> None:
    database = harness.database
    start_stage(database)
    for index in range(SAMPLED_BATCHES + 10):
        create_batch(database, batch_of(2, index))
        end_tasks(database, 0, 1, of_batch=index, tasks=2)
        harness.pass_time(1)
    harness.pass_time(100)
    found, times, _ = recent_ends(database, 1_000)
    assert times.since < found.since < times.lately
    assert found.tasks == FEWEST_TASKS
