from dataclasses import replace

import pytest

from core.definitions import AlignedBatch, TaskDefinition
from core.errors import ConstraintViolationError, DispatchLeaseLostError
from core.lanes import Lane
from core.statuses import BatchStatus, StageStatus, TaskStatus
from repositories.ports import Database
from tests.contract.repositories.building import (
    JOB,
    KEY,
    OTHER_JOB,
    batch_of,
    claim,
    create_batch,
    ids,
    start_stage,
    status_of,
    write_batch,
)


@pytest.mark.parametrize("status", [BatchStatus.PENDING_QUEUE, BatchStatus.QUEUED])
def test_a_batch_and_its_tasks_are_written_with_one_status(database: Database, status: BatchStatus) -> None:
    start_stage(database)
    create_batch(database, batch_of(100), status)
    with database.transaction() as work:
        batch = work.batches.get(f"{JOB}-s1-b0")
        tasks = work.tasks.page(JOB, None, "", 1000)
    assert batch is not None
    assert (batch.status, batch.queued_at is not None) == (status, status is BatchStatus.QUEUED)
    assert [task.task_id for task in tasks] == ids(*range(100))
    assert {task.status for task in tasks} == {TaskStatus(status)}


def test_a_new_task_tells_its_row(database: Database) -> None:
    start_stage(database)
    parameters = {
        "lines": "a\n\r\nb\u2028\n",
        "text": "tab\t \"quote\" 'single' \\ {brace} %s é 漢 🌍",
        "none": None,
        "list": [1, 2.5, True],
    }
    create_batch(database, AlignedBatch(JOB, 1, 0, Lane.LONG, (TaskDefinition("greet", parameters, 0),)))
    with database.transaction() as work:
        task = work.tasks.get(ids(0)[0])
        batch = work.batches.get(f"{JOB}-s1-b0")
        assert work.tasks.get(ids(1)[0]) is None
    assert batch is not None
    assert batch.lane is Lane.LONG
    assert task is not None
    assert (task.parent_job_id, task.task_type, task.stage, task.task_index) == (JOB, "greet", 1, 0)
    assert (task.batch_id, task.parameters, task.attempt) == (f"{JOB}-s1-b0", parameters, 0)
    assert (task.result, task.error, task.lease_expires_at, task.not_before) == (None, None, None, None)
    assert (task.started_at, task.finished_at) == (None, None)


def test_writing_a_batch_again_changes_nothing(database: Database) -> None:
    start_stage(database)
    create_batch(database, batch_of(3))
    claim(database, ids(0))
    with database.transaction() as work:
        assert not write_batch(work, batch_of(3), BatchStatus.PENDING_QUEUE)
    assert [status_of(database, task_id) for task_id in ids(0, 1, 2)] == [
        TaskStatus.PROCESSING,
        TaskStatus.QUEUED,
        TaskStatus.QUEUED,
    ]


def test_a_batch_with_one_task_too_many_writes_none(database: Database) -> None:
    start_stage(database)
    create_batch(database, batch_of(3))
    overlapping = replace(batch_of(3, 1), definitions=batch_of(5).definitions)
    with pytest.raises(ConstraintViolationError) as caught:
        create_batch(database, overlapping)
    assert caught.value.constraint == "tasks_pkey"
    with database.transaction() as work:
        assert work.batches.get(overlapping.batch_id) is None
        assert len(work.tasks.page(JOB, None, "", 10)) == 3


def test_more_than_a_hundred_tasks_are_no_batch(database: Database) -> None:
    start_stage(database)
    with pytest.raises(ConstraintViolationError) as caught:
        create_batch(database, batch_of(101))
    assert caught.value.constraint == "batches_task_count_check"


def test_a_batch_belongs_to_a_stage(database: Database) -> None:
    start_stage(database)
    with pytest.raises(DispatchLeaseLostError, match=f"stage 1 of job {OTHER_JOB}"):
        create_batch(database, batch_of(1, job_id=OTHER_JOB))


@pytest.mark.parametrize("status", [StageStatus.FAILED, StageStatus.CANCELLED])
def test_a_stopped_stage_takes_no_batch(database: Database, status: StageStatus) -> None:
    start_stage(database)
    create_batch(database, batch_of(3))
    with database.transaction() as work:
        assert work.stages.stop(KEY, status)
    for index in (0, 1):
        with pytest.raises(DispatchLeaseLostError, match=f"stage 1 of job {JOB} is not dispatched here any more"):
            create_batch(database, batch_of(3, index))
    with database.transaction() as work:
        assert work.batches.get(f"{JOB}-s1-b1") is None


def test_a_task_without_a_type_is_refused(database: Database) -> None:
    start_stage(database)
    with pytest.raises(ConstraintViolationError) as caught:
        create_batch(database, AlignedBatch(JOB, 1, 0, Lane.FAST, (TaskDefinition("", {}, 0),)))
    assert caught.value.constraint == "tasks_task_type_check"


def test_a_status_update_moves_only_what_is_in_the_expected_status(database: Database) -> None:
    start_stage(database)
    create_batch(database, batch_of(3), BatchStatus.PENDING_QUEUE)
    create_batch(database, batch_of(3, 1), BatchStatus.PENDING_QUEUE)
    claim(database, ids(0))
    with database.transaction() as work:
        moved = [
            work.tasks.batch_update_status(f"{JOB}-s1-b0", TaskStatus.PENDING_QUEUE, TaskStatus.QUEUED, 1)
            for _ in range(2)
        ]
    assert moved == [2, 0]
    assert [status_of(database, task_id) for task_id in ids(0, 1, 3)] == [
        TaskStatus.PROCESSING,
        TaskStatus.QUEUED,
        TaskStatus.PENDING_QUEUE,
    ]
