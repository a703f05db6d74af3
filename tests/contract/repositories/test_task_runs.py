"""What the runs of a task keep in its row: checkpoint, progress, worker, the errors of its attempts."""

import json

import pytest

from core.errors import RefusedValueError
from core.models import MOST_ATTEMPT_ERRORS, StageKey, Task
from core.statuses import StageStatus, TaskStatus
from core.task_runs import BatchDelta, ClaimedTask, Continuation, TaskOutcome
from repositories.ports import Database
from repositories.postgres import PostgresDatabase
from tests.contract.repositories.building import (
    JOB,
    KEY,
    LEASE_SECONDS,
    batch_of,
    claim,
    completed,
    create_batch,
    failed,
    ids,
    queue_batch,
    record,
    retrying,
    run_dispatch,
    start_job,
    start_stage,
)
from tests.contract.repositories.harness import Harness

FIRST = ids(0)[0]


def later(task_id: str, checkpoint: str = "1", idle: int = 0) -> TaskOutcome:
    return TaskOutcome(task_id, TaskStatus.RETRYING, continuation=Continuation(checkpoint, idle))


def claimed(database: Database, lease_id: str = "mine", worker: str | None = None) -> ClaimedTask:
    """Claims the first task."""
    with database.transaction() as work:
        (task,) = work.tasks.claim([FIRST], lease_id, LEASE_SECONDS, worker)
    return task


def get(database: Database, task_id: str = FIRST) -> Task:
    with database.transaction() as work:
        task = work.tasks.get(task_id)
    assert task is not None
    return task


def write_checkpoint(database: Database, checkpoint: str, lease_id: str = "mine") -> bool:
    with database.transaction() as work:
        return work.tasks.write_checkpoint(FIRST, lease_id, checkpoint)


def write_progress(database: Database, fraction: float, note: str | None = None, lease_id: str = "mine") -> bool:
    with database.transaction() as work:
        return work.tasks.write_progress(FIRST, lease_id, fraction, note)


def test_the_next_run_finds_the_checkpoint_of_the_one_before(harness: Harness) -> None:
    database = harness.database
    queue_batch(database)
    assert claimed(database).checkpoint is None
    assert write_checkpoint(database, '{"row":3}')
    assert write_checkpoint(database, '{"row":7}')
    harness.pass_time(LEASE_SECONDS + 1)
    assert claimed(database, "next").checkpoint == {"row": 7}
    with database.transaction() as work:
        assert work.tasks.release([FIRST], "next") == 1
    assert claimed(database, "third").checkpoint == {"row": 7}
    record(database, retrying(FIRST, 0.0), lease_id="third")
    assert claimed(database, "fourth").checkpoint == {"row": 7}


def test_only_the_holder_of_the_lease_writes_a_checkpoint(harness: Harness) -> None:
    database = harness.database
    queue_batch(database)
    assert not write_checkpoint(database, "1")
    claimed(database, "zombie")
    assert write_checkpoint(database, "1", "zombie")
    harness.pass_time(LEASE_SECONDS + 1)
    assert write_checkpoint(database, "2", "zombie")  # nobody took the task over
    assert claimed(database, "mine").checkpoint == 2
    assert not write_checkpoint(database, "3", "zombie")
    assert write_checkpoint(database, "4", "mine")
    record(database, retrying(FIRST, 0.0))
    assert not write_checkpoint(database, "5", "mine")
    assert claimed(database, "next").checkpoint == 4


def test_only_the_holder_of_the_lease_writes_progress(harness: Harness) -> None:
    database = harness.database
    queue_batch(database)
    assert (get(database).progress, get(database).progress_note) == (None, None)
    claimed(database, "zombie")
    assert write_progress(database, 1 / 3, "row 7", "zombie")
    harness.pass_time(LEASE_SECONDS + 1)
    claimed(database, "mine")
    assert not write_progress(database, 0.9, "row 9", "zombie")
    assert (get(database).progress, get(database).progress_note) == (1 / 3, "row 7")
    assert write_progress(database, 0.5, None)
    assert (get(database).progress, get(database).progress_note) == (0.5, None)


def test_a_task_that_goes_on_later_has_spent_nothing(database: Database) -> None:
    queue_batch(database)
    claimed(database)
    first_started = get(database).started_at
    assert record(database, later(FIRST, '{"row":3}')) == [FIRST]
    waiting = get(database)
    assert (waiting.status, waiting.attempt, waiting.failures, waiting.sends) == (TaskStatus.RETRYING, 0, 0, 2)
    assert (waiting.error, waiting.errors, waiting.finished_at, waiting.lease_expires_at) == (None, [], None, None)
    assert waiting.started_at == first_started
    again = claimed(database, "next")
    assert (again.attempt, again.failures, again.interruptions, again.checkpoint) == (1, 0, 0, {"row": 3})
    assert get(database).started_at == first_started


def test_a_task_that_goes_on_later_is_recorded_with_its_next_send_and_due_at_once(database: Database) -> None:
    queue_batch(database)
    claimed(database)
    with database.transaction() as work:
        (recorded,) = work.tasks.record("mine", [later(FIRST)])
        now = work.now()
    assert (recorded.task_id, recorded.batch_id, recorded.status) == (FIRST, f"{JOB}-s1-b0", TaskStatus.RETRYING)
    assert recorded.send == 2
    assert recorded.not_before is not None
    assert recorded.not_before <= now


def test_outcomes_of_all_kinds_are_recorded_together(database: Database) -> None:
    queue_batch(database, 4)
    claim(database, ids(0, 1, 2, 3))
    outcomes = [later(ids(2)[0]), completed(ids(0)[0]), failed(ids(1)[0]), retrying(ids(3)[0])]
    assert record(database, *outcomes) == ids(0, 1, 2, 3)
    assert [get(database, task_id).status for task_id in ids(0, 1, 2, 3)] == [
        *(TaskStatus.COMPLETED, TaskStatus.FAILED),
        *(TaskStatus.RETRYING, TaskStatus.RETRYING),
    ]


def test_a_released_task_that_has_a_checkpoint_has_started(database: Database) -> None:
    queue_batch(database)
    claim(database, ids(0, 1))
    started_at = get(database).started_at
    assert write_checkpoint(database, "1")
    with database.transaction() as work:
        assert work.tasks.release(ids(0, 1), "mine") == 2
    assert (get(database).attempt, get(database).started_at) == (0, started_at)
    assert get(database, ids(1)[0]).started_at is None


def test_a_zombie_does_not_go_on_later(harness: Harness) -> None:
    database = harness.database
    queue_batch(database)
    claimed(database, "zombie")
    harness.pass_time(LEASE_SECONDS + 1)
    claimed(database, "mine")
    assert record(database, later(FIRST, "9"), lease_id="zombie") == []
    assert (get(database).status, get(database).attempt) == (TaskStatus.PROCESSING, 2)
    assert record(database, retrying(FIRST, 0.0)) == [FIRST]
    assert claimed(database, "next").checkpoint is None


def test_continuations_that_change_nothing_are_counted_until_a_checkpoint_changes(database: Database) -> None:
    queue_batch(database)
    assert claimed(database).idle_continuations == 0
    record(database, later(FIRST, '{"row":1.0}', idle=3))
    assert claimed(database).idle_continuations == 3
    assert write_checkpoint(database, '{ "row": 1.0 }')
    record(database, retrying(FIRST, 0.0))
    assert claimed(database).idle_continuations == 3
    assert write_checkpoint(database, '{"row":2}')
    record(database, retrying(FIRST, 0.0))
    assert claimed(database).idle_continuations == 0
    record(database, later(FIRST, '{"row":2}', idle=1))
    assert claimed(database).idle_continuations == 1


def test_a_completed_task_needs_no_checkpoint_and_has_all_its_progress(database: Database) -> None:
    queue_batch(database)
    claim(database, ids(0, 1))
    assert write_checkpoint(database, "1")
    assert write_progress(database, 0.9)
    record(database, completed(FIRST), completed(ids(1)[0]))
    assert (get(database).progress, get(database, ids(1)[0]).progress) == (1.0, None)


def test_a_checkpoint_that_postgresql_cannot_hold_is_refused(postgres_database: PostgresDatabase) -> None:
    queue_batch(postgres_database)
    claimed(postgres_database)
    with pytest.raises(RefusedValueError):
        write_checkpoint(postgres_database, "1" + "0" * 200_000)


def test_a_reopened_task_goes_on_from_its_checkpoint(database: Database) -> None:
    start_job(database)
    start_stage(database, max_failed_fraction=1.0)
    create_batch(database, batch_of(1))
    run_dispatch(database, 1, 1)
    claimed(database, worker="a host")
    record(database, later(FIRST, "[4]", idle=2))
    claimed(database)
    assert write_progress(database, 0.5)
    record(database, failed(FIRST))
    with database.transaction() as work:
        work.stages.add_finished_batches(work.batches.apply_outcomes([BatchDelta(f"{JOB}-s1-b0", failed=1)]))
        work.stages.finish_if_complete(KEY)
    with database.transaction() as work:
        assert work.stages.reopen(StageKey(JOB, 1), failed_too=True)
        assert work.stops.reopen_batches(KEY, 10) == 1
    reopened = get(database)
    assert (reopened.status, reopened.attempt, reopened.started_at) == (TaskStatus.PENDING_QUEUE, 0, None)
    assert (reopened.worker, reopened.progress, len(reopened.errors)) == ("a host", 0.5, 1)
    again = claimed(database, "next")
    assert (again.checkpoint, again.idle_continuations) == ([4], 0)


def test_a_task_of_a_stopped_stage_may_still_write(database: Database) -> None:
    start_job(database)
    start_stage(database)
    create_batch(database, batch_of(1))
    claimed(database)
    with database.transaction() as work:
        assert work.stages.stop(KEY, StageStatus.CANCELLED)
    assert write_checkpoint(database, "1")
    assert record(database, later(FIRST)) == [FIRST]


def test_the_worker_that_runs_or_last_ran_a_task_is_named(database: Database) -> None:
    queue_batch(database)
    assert get(database).worker is None
    claimed(database, worker="host 7")
    record(database, retrying(FIRST, 0.0))
    assert get(database).worker == "host 7"
    claimed(database, worker="host 8")
    record(database, retrying(FIRST, 0.0))
    claimed(database)  # to fail it, without a run
    assert get(database).worker == "host 8"


def test_the_errors_of_the_last_attempts_are_kept_the_newest_first(database: Database) -> None:
    queue_batch(database)
    for attempt in range(1, MOST_ATTEMPT_ERRORS + 3):
        claimed(database)
        error = json.dumps({"type": "ValueError", "message": f"attempt {attempt}"})
        record(database, TaskOutcome(FIRST, TaskStatus.RETRYING, error=error))
    errors = get(database).errors
    assert [(each.attempt, each.type, each.message) for each in errors] == [
        (attempt, "ValueError", f"attempt {attempt}") for attempt in range(MOST_ATTEMPT_ERRORS + 2, 2, -1)
    ]
    assert [each.at for each in errors] == sorted((each.at for each in errors), reverse=True)
    claimed(database)
    record(database, completed(FIRST))
    with database.transaction() as work:
        task = work.tasks.page(JOB, None, "", 10)[0]
    assert (task.error, task.errors) == (None, errors)


def test_the_time_of_an_error_is_that_of_its_transaction(database: Database) -> None:
    queue_batch(database)
    claimed(database)
    record(database, failed(FIRST))
    task = get(database)
    (error,) = task.errors
    assert task.finished_at is not None
    assert abs((error.at - task.finished_at).total_seconds()) < 0.000_01
    assert error.at.utcoffset() == task.finished_at.utcoffset()


def test_the_errors_of_attempts_count_as_bytes_of_a_page(database: Database) -> None:
    queue_batch(database, 2)
    for task_id in ids(0, 1):
        claim(database, [task_id])
        record(database, failed(task_id, json.dumps({"type": "ValueError", "message": "x" * 1_000})))
    with database.transaction() as work:
        assert len(work.tasks.page(JOB, None, "", 10, max_bytes=2 * 2_000)) == 1
        assert len(work.tasks.page(JOB, None, "", 10, max_bytes=2 * 2_500)) == 2
