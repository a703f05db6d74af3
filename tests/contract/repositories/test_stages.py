from dataclasses import replace

import pytest

from core.errors import ConstraintViolationError
from core.models import StageCounts, StageKey
from core.statuses import BatchStatus, StageStatus
from core.task_runs import BatchDelta
from repositories.ports import Database
from tests.contract.repositories.building import (
    JOB,
    KEY,
    OTHER_JOB,
    batch_of,
    claim,
    create_batch,
    end_batch,
    failed,
    ids,
    record,
    retrying,
    start_stage,
)


def test_a_new_stage_is_dispatching_and_knows_no_totals(database: Database) -> None:
    start_stage(database, max_failed_fraction=0.25)
    with database.transaction() as work:
        stage = work.stages.get(KEY)
    assert stage is not None
    assert (stage.name, stage.status, stage.max_failed_fraction) == ("stage 1", StageStatus.DISPATCHING, 0.25)
    assert (stage.total_tasks, stage.total_batches, stage.result, stage.finished_at) == (None, None, None, None)
    assert (stage.finished_batches, stage.completed_tasks, stage.failed_tasks, stage.cancelled_tasks) == (0, 0, 0, 0)


def test_creating_a_stage_twice_keeps_the_first(database: Database) -> None:
    start_stage(database)
    with database.transaction() as work:
        assert not work.stages.create(KEY, "again", 1.0)
        stage = work.stages.get(KEY)
    assert stage is not None
    assert stage.name == "stage 1"


def test_a_job_has_its_own_stages_in_order(database: Database) -> None:
    for stage in (2, 1):
        start_stage(database, stage)
    start_stage(database, job_id=OTHER_JOB)
    with database.transaction() as work:
        assert [stage.key for stage in work.stages.of_job(JOB)] == [KEY, StageKey(JOB, 2)]
        assert work.stages.get(StageKey(JOB, 3)) is None


@pytest.mark.parametrize(
    ("job_id", "stage", "name", "fraction", "constraint"),
    [
        (JOB, 0, "x", 0.0, "stages_stage_check"),
        (JOB, 100, "x", 0.0, "stages_stage_check"),
        (JOB, 2, "", 0.0, "stages_name_check"),
        (JOB, 2, "x", 1.5, "stages_max_failed_fraction_check"),
        (OTHER_JOB, 1, "x", 0.0, "stages_job_id_fkey"),
    ],
)
def test_a_stage_without_sense_is_refused(
    database: Database, job_id: str, stage: int, name: str, fraction: float, constraint: str
) -> None:
    start_stage(database)
    with pytest.raises(ConstraintViolationError) as caught, database.transaction() as work:
        work.stages.create(StageKey(job_id, stage), name, fraction)
    assert caught.value.constraint == constraint


def test_counts_sum_batches_and_live_tasks(database: Database) -> None:
    start_stage(database)
    for index, status in enumerate([BatchStatus.QUEUED, BatchStatus.QUEUED, BatchStatus.PENDING_QUEUE]):
        create_batch(database, batch_of(10, index), status)
    claim(database, ids(0, 1, 2, 3))
    record(database, failed(ids(0)[0]), retrying(ids(1)[0]))
    with database.transaction() as work:
        work.batches.apply_outcomes([BatchDelta(f"{JOB}-s1-b0", 0, 1)])
    end_batch(database, f"{JOB}-s1-b1", completed=8, failed=2)
    with database.transaction() as work:
        counts = work.stages.counts(KEY)
        nothing = work.stages.counts(StageKey(JOB, 2))
    assert counts == StageCounts(3, 2, 30, 10, processing=2, retrying=1, completed=8, failed=3, cancelled=0)
    assert (counts.ended, counts.queued) == (11, 6)
    assert nothing == StageCounts(0, 0, 0, 0, 0, 0, 0, 0, 0)


def test_the_tasks_of_some_batches_stand_for_those_of_many(database: Database) -> None:
    """In each begun batch one task has ended, one runs, one waits for a retry; four run in the one before them."""
    start_stage(database)
    for index in range(5):
        create_batch(database, batch_of(10, index), BatchStatus.QUEUED if index < 4 else BatchStatus.PENDING_QUEUE)
    claim(database, ids(0, 1, 2, 3))
    for begun in (10, 20, 30):
        claim(database, ids(begun, begun + 1, begun + 2))
        record(database, failed(ids(begun)[0]), retrying(ids(begun + 1)[0]))
    with database.transaction() as work:
        work.batches.apply_outcomes([BatchDelta(f"{JOB}-s1-b{index}", 0, 1) for index in (1, 2, 3)])
    with database.transaction() as work:
        exact, estimates = work.stages.counts(KEY, most_tasks=50), work.stages.counts(KEY, most_tasks=49)
    assert exact == StageCounts(5, 4, 50, 10, processing=7, retrying=3, completed=0, failed=3, cancelled=0)
    assert estimates == replace(exact, are_estimates=True)
