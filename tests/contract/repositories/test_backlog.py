"""How long the oldest waiting task of each lane has waited."""

from dataclasses import replace

import pytest

from core.backlog import BacklogNumbers
from core.lanes import Lane
from core.statuses import BatchStatus, StageStatus
from repositories.ports import DeadLetter, OldestWaiting
from repositories.ports.backlog import MOST_TRIED_BATCHES
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
    retrying,
    start_job,
    start_stage,
)
from tests.contract.repositories.harness import Harness


def oldest(harness: Harness, most_tried: int = MOST_TRIED_BATCHES) -> list[OldestWaiting]:
    """The oldest of each lane, with whole hundreds of seconds: the test may take some of them."""
    with harness.database.transaction() as work:
        found = work.backlog.oldest(most_tried)
    return sorted((replace(each, seconds=each.seconds // 100 * 100) for each in found), key=lambda each: each.seconds)


@pytest.fixture
def stage(harness: Harness) -> Harness:
    start_job(harness.database)
    start_stage(harness.database)
    return harness


def test_without_tasks_nothing_waits(stage: Harness) -> None:
    assert oldest(stage) == []


@pytest.mark.parametrize("status", [BatchStatus.QUEUED, BatchStatus.PENDING_QUEUE])
def test_the_oldest_batch_with_a_waiting_task_tells(stage: Harness, status: BatchStatus) -> None:
    for index in range(2):
        create_batch(stage.database, batch_of(1, index), status)
        stage.pass_time(600)
    assert oldest(stage) == [OldestWaiting(Lane.FAST, urgent=False, enveloped=False, seconds=1200)]
    assert claim(stage.database, ids(0)) == ids(0)
    assert oldest(stage) == [OldestWaiting(Lane.FAST, urgent=False, enveloped=False, seconds=600)]
    assert record(stage.database, completed(ids(0)[0])) == ids(0)
    end_batch(stage.database, f"{JOB}-s1-b0", completed=1)
    assert oldest(stage) == [OldestWaiting(Lane.FAST, urgent=False, enveloped=False, seconds=600)]


def test_a_retry_waits_once_it_is_due(stage: Harness) -> None:
    create_batch(stage.database, batch_of(1))
    claim(stage.database, ids(0))
    record(stage.database, retrying(ids(0)[0], delay_seconds=300))
    assert oldest(stage) == []
    stage.pass_time(400)
    assert oldest(stage) == [OldestWaiting(Lane.FAST, urgent=False, enveloped=False, seconds=400)]


def test_of_a_stage_with_many_batches_without_a_waiting_task_the_next_one_tells(stage: Harness) -> None:
    """It may have none either; but a task that waits has waited no longer."""
    for index in range(3):
        create_batch(stage.database, batch_of(1, index))
        claim(stage.database, ids(index))
        record(stage.database, retrying(ids(index)[0], delay_seconds=36_000))
        stage.pass_time(600)
    assert oldest(stage) == oldest(stage, most_tried=3) == []
    assert oldest(stage, most_tried=2) == [OldestWaiting(Lane.FAST, urgent=False, enveloped=False, seconds=600)]
    create_batch(stage.database, replace(batch_of(1, 3), lane=Lane.LONG))
    stage.pass_time(600)
    assert oldest(stage, most_tried=1) == [
        OldestWaiting(Lane.LONG, urgent=False, enveloped=False, seconds=600),
        OldestWaiting(Lane.FAST, urgent=False, enveloped=False, seconds=1800),
    ]


def test_each_lane_has_an_oldest_task_of_its_own(stage: Harness) -> None:
    create_batch(stage.database, replace(batch_of(1), lane=Lane.LONG))
    stage.pass_time(200)
    create_batch(stage.database, replace(batch_of(1, 1), enveloped=True))
    stage.pass_time(200)
    with stage.database.transaction() as work:
        work.jobs.create(OTHER_JOB, "hello_world", "{}", 3, urgent=True)
    start_stage(stage.database, job_id=OTHER_JOB)
    create_batch(stage.database, batch_of(1, job_id=OTHER_JOB))
    stage.pass_time(200)
    assert oldest(stage) == [
        OldestWaiting(Lane.FAST, urgent=True, enveloped=False, seconds=200),
        OldestWaiting(Lane.FAST, urgent=False, enveloped=True, seconds=400),
        OldestWaiting(Lane.LONG, urgent=False, enveloped=False, seconds=600),
    ]


def test_the_tasks_of_a_stopped_stage_wait_for_no_worker(stage: Harness) -> None:
    create_batch(stage.database, batch_of(1))
    with stage.database.transaction() as work:
        assert work.stages.stop(KEY, StageStatus.CANCELLED)
    assert oldest(stage) == []


def numbers(harness: Harness) -> BacklogNumbers:
    """With whole hundreds of seconds."""
    with harness.database.transaction() as work:
        found = work.backlog.numbers()
    return replace(found, oldest_pending_seconds=found.oldest_pending_seconds // 100 * 100)


def test_the_numbers_of_nothing_are_zero(harness: Harness) -> None:
    assert numbers(harness) == BacklogNumbers(0, 0, 0.0, 0)


def test_the_batches_of_the_outbox_and_those_of_workers_are_counted(stage: Harness) -> None:
    create_batch(stage.database, batch_of(1))
    stage.pass_time(200)
    for index in (1, 2):
        create_batch(stage.database, batch_of(1, index), BatchStatus.PENDING_QUEUE)
        stage.pass_time(200)
    assert numbers(stage) == BacklogNumbers(2, 1, 400.0, 0)
    claim(stage.database, ids(0))
    record(stage.database, completed(ids(0)[0]))
    end_batch(stage.database, f"{JOB}-s1-b0", completed=1)
    assert numbers(stage) == BacklogNumbers(2, 0, 400.0, 0)


def test_the_dead_letters_that_nobody_has_handled_are_counted(harness: Harness) -> None:
    with harness.database.transaction() as work:
        for number in range(3):
            work.dead_letters.add(DeadLetter("sb-tasks", "orphan", "", b"%d" % number, str(number), 1))
        kept = list(work.dead_letters.newest(3))
        assert work.dead_letters.discard(kept[0].dead_letter_id)
        assert work.dead_letters.begin_resend(kept[1].dead_letter_id, 0)
    assert numbers(harness).dead_letters == 2
