import json

import pytest

from core.errors import ConstraintViolationError
from core.models import StageKey, StageOpening, StageProgress
from core.statuses import JobStatus, StageStatus
from core.task_runs import BatchDelta
from repositories.ports import Database
from tests.contract.repositories.building import (
    ERROR,
    JOB,
    KEY,
    OTHER_JOB,
    batch_of,
    create_batch,
    end_batch,
    run_dispatch,
    start_job,
    start_stage,
)


def stage_of(database: Database, batches: int, size: int = 10, *, max_failed_fraction: float = 0.0) -> list[str]:
    """A running stage 1 of a processing job; returns its batch ids."""
    start_job(database)
    start_stage(database, max_failed_fraction=max_failed_fraction)
    made = [batch_of(size, index) for index in range(batches)]
    for batch in made:
        create_batch(database, batch)
    run_dispatch(database, batches * size, batches)
    return [batch.batch_id for batch in made]


def finish(database: Database) -> StageStatus | None:
    """Tries to end stage 1; returns its status when that ended it."""
    with database.transaction() as work:
        ended = work.stages.finish_if_complete(KEY)
        stage = work.stages.get(KEY)
    assert stage is not None
    return stage.status if ended else None


def test_finished_batches_are_added_to_each_of_their_stages(database: Database) -> None:
    for job_id in (JOB, OTHER_JOB):
        start_stage(database, job_id=job_id)
        for index in range(2):
            create_batch(database, batch_of(10, index, job_id=job_id))
    batch_ids = [f"{JOB}-s1-b0", f"{JOB}-s1-b1", f"{OTHER_JOB}-s1-b1"]
    with database.transaction() as work:
        deltas = [BatchDelta(batch_id, 7, 3) for batch_id in batch_ids]
        assert sorted(work.batches.apply_outcomes(deltas)) == batch_ids
        assert work.stages.add_finished_batches(batch_ids) == [
            StageProgress(StageOpening(KEY, 0)),
            StageProgress(StageOpening(StageKey(OTHER_JOB, 1), 0)),
        ]
        stages = [work.stages.get(StageKey(job_id, 1)) for job_id in (JOB, OTHER_JOB)]
    counts = [(s.finished_batches, s.completed_tasks, s.failed_tasks) for s in stages if s is not None]
    assert counts == [(2, 14, 6), (1, 7, 3)]


def test_a_stage_may_end_when_a_task_has_failed_or_its_last_batch_has_ended(database: Database) -> None:
    first, second, third, last = stage_of(database, 4)

    def may_end(batch_id: str, failed: int) -> bool:
        with database.transaction() as work:
            work.batches.apply_outcomes([BatchDelta(batch_id, 10 - failed, failed)])
            (progress,) = work.stages.add_finished_batches([batch_id])
            return progress.may_end

    assert [may_end(first, 0), may_end(second, 0)] == [False, False]
    assert may_end(third, 1)
    assert may_end(last, 0)


def test_a_stage_may_end_with_its_last_batch_though_no_task_has_failed(database: Database) -> None:
    batch_ids = stage_of(database, 2)
    with database.transaction() as work:
        work.batches.apply_outcomes([BatchDelta(batch_id, 10, 0) for batch_id in batch_ids])
        assert [stage.may_end for stage in work.stages.add_finished_batches(batch_ids)] == [True]


def test_the_results_of_stages_are_read_apart_from_them_up_to_a_limit_of_bytes(database: Database) -> None:
    start_job(database)
    for number, size in enumerate((10, 90, 300, 90, None), start=1):
        key = StageKey(JOB, number)
        start_stage(database, number)
        if size is not None:
            run_dispatch(database, 0, 0, number)
            with database.transaction() as work:
                assert work.stages.finish_if_complete(key)
                work.stages.record_result(key, json.dumps("x" * (size - 2)))
    with database.transaction() as work:
        pages = [work.stages.results_of_job(JOB, after, 100) for after in range(6)]
        everything = work.stages.results_of_job(JOB)
        assert [stage.result for stage in work.stages.of_job(JOB)] == [None] * 5
    assert [list(page) for page in pages] == [[1, 2], [2], [3], [4, 5], [5], []]
    assert pages[0] == {1: "x" * 8, 2: "x" * 88}
    assert [len(everything[number] or "") for number in everything] == [8, 88, 298, 88, 0]


def test_no_batches_belong_to_no_stage(database: Database) -> None:
    with database.transaction() as work:
        assert work.stages.add_finished_batches([]) == []


def test_a_batch_is_never_counted_past_the_total(database: Database) -> None:
    (batch_id,) = stage_of(database, 1)
    end_batch(database, batch_id, 10)
    with pytest.raises(ConstraintViolationError) as caught, database.transaction() as work:
        work.stages.add_finished_batches([batch_id])
    assert caught.value.constraint == "stages_batches_within_total"


def test_a_stage_ends_with_its_last_batch_and_once(database: Database) -> None:
    first, second = stage_of(database, 2)
    assert finish(database) is None
    end_batch(database, first, 10)
    assert finish(database) is None
    end_batch(database, second, 10)
    assert finish(database) is StageStatus.FINISHED
    assert finish(database) is None


def test_a_stage_without_tasks_ends_at_once(database: Database) -> None:
    stage_of(database, 0)
    assert finish(database) is StageStatus.FINISHED


def test_a_stage_that_is_still_dispatching_does_not_end(database: Database) -> None:
    start_stage(database)
    create_batch(database, batch_of(10))
    end_batch(database, f"{JOB}-s1-b0", 10)
    assert finish(database) is None
    run_dispatch(database, 10, 1)
    assert finish(database) is StageStatus.FINISHED


@pytest.mark.parametrize(
    ("tolerated", "tasks", "failed_tasks", "expected"),
    [
        (0.0, 10, 0, StageStatus.FINISHED),
        (0.0, 10, 1, StageStatus.FAILED),
        (0.2, 10, 2, StageStatus.FINISHED),
        (0.2, 10, 3, StageStatus.FAILED),
        (1.0, 10, 10, StageStatus.FINISHED),
        (0.29, 100, 29, StageStatus.FINISHED),  # although 0.29 * 100 < 29 in floating point
        (0.29, 100, 30, StageStatus.FAILED),
    ],
)
def test_a_stage_fails_past_its_threshold(
    database: Database, tolerated: float, tasks: int, failed_tasks: int, expected: StageStatus
) -> None:
    (batch_id,) = stage_of(database, 1, tasks, max_failed_fraction=tolerated)
    end_batch(database, batch_id, tasks - failed_tasks, failed_tasks)
    assert finish(database) is expected


def test_totals_that_do_not_add_up_never_finish(database: Database) -> None:
    start_stage(database)
    create_batch(database, batch_of(10))
    run_dispatch(database, 11, 1)
    end_batch(database, f"{JOB}-s1-b0", 10)
    with pytest.raises(ConstraintViolationError) as caught:
        finish(database)
    assert caught.value.constraint == "stages_finished_is_complete"


@pytest.mark.parametrize("status", [StageStatus.FAILED, StageStatus.CANCELLED])
def test_a_stage_is_stopped_while_it_dispatches_or_runs_and_once(database: Database, status: StageStatus) -> None:
    for stage in (1, 2):
        start_stage(database, stage)
    run_dispatch(database, 0, 0, stage=2)
    with database.transaction() as work:
        assert work.stages.acquire_dispatch_lease(KEY, "a", 60)
        for stage in (1, 2):
            assert work.stages.stop(StageKey(JOB, stage), status)
            assert not work.stages.stop(StageKey(JOB, stage), status)
        assert not work.stages.stop(StageKey(JOB, 3), status)
        assert work.stages.dispatch_lease_expires_at(KEY) is None
        assert {stage.status for stage in work.stages.of_job(JOB)} == {status}


def test_only_a_finished_stage_keeps_a_result(database: Database) -> None:
    stage_of(database, 0)
    results = []
    for _ in range(2):
        with database.transaction() as work:
            work.stages.record_result(KEY, '{"sum":[1,2]}')
            stage = work.stages.get(KEY)
            results.append(stage.result if stage else None)
        finish(database)
    assert results == [None, {"sum": [1, 2]}]


def test_an_ended_stage_is_reported_until_its_job_moves_on(database: Database) -> None:
    stage_of(database, 0)
    start_stage(database, job_id=OTHER_JOB)
    asked = [KEY, StageKey(JOB, 2), StageKey(OTHER_JOB, 1)]
    reports = []
    with database.transaction() as work:
        reports.append(work.stages.ended_but_not_advanced(asked))
        work.stages.finish_if_complete(KEY)
        reports.append(work.stages.ended_but_not_advanced(asked))
        work.jobs.advance(StageKey(JOB, 1))
        reports.append(work.stages.ended_but_not_advanced(asked))
    assert reports == [[], [StageOpening(KEY, 0)], []]


def test_the_failed_stage_of_a_failed_job_is_not_reported(database: Database) -> None:
    stage_of(database, 1)
    with database.transaction() as work:
        work.stages.stop(KEY, StageStatus.FAILED)
        assert work.stages.ended_but_not_advanced([KEY]) == [StageOpening(KEY, 0)]
        work.jobs.finish(JOB, JobStatus.FAILED, None, ERROR)
        assert work.stages.ended_but_not_advanced([KEY]) == []
        assert work.stages.ended_but_not_advanced([]) == []
