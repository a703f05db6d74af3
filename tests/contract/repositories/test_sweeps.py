import pytest

from core.ids import batch_id
from core.lanes import Lane
from core.models import LostTask, OverdueBatch, SilentBatches, StageKey, StageOpening
from core.statuses import BatchStatus, JobStatus, TaskStatus
from repositories.ports import Database
from tests.contract.repositories.building import (
    JOB,
    KEY,
    LEASE_SECONDS,
    OTHER_JOB,
    batch_of,
    claim,
    completed,
    create_batch,
    create_job,
    end_batch,
    ids,
    record,
    retrying,
    run_dispatch,
    start_job,
    start_stage,
    status_of,
)
from tests.contract.repositories.harness import Harness

AGE = 600.0
SENT_TWICE = 2


@pytest.fixture
def stage(database: Database) -> StageKey:
    """The dispatching stage 1 of a processing job, with one queued batch of 3."""
    start_job(database)
    start_stage(database)
    create_batch(database, batch_of(3))
    return StageKey(JOB, 1)


def lost(*indexes: int, send: int = SENT_TWICE) -> list[LostTask]:
    return [LostTask(task_id, batch_id(JOB, 1, 0), Lane.FAST, send) for task_id in ids(*indexes)]


def by_id(tasks: list[LostTask]) -> list[LostTask]:
    return sorted(tasks, key=lambda task: task.task_id)


@pytest.mark.parametrize("status", [JobStatus.PENDING_QUEUE, JobStatus.QUEUED])
def test_a_job_that_did_not_start_is_found_when_it_is_old_and_then_rests(
    harness: Harness, database: Database, status: JobStatus
) -> None:
    create_job(database)
    create_job(database, OTHER_JOB)
    with database.transaction() as work:
        if status == JobStatus.QUEUED:
            work.jobs.mark_queued(JOB)
        else:
            work.jobs.mark_queued(OTHER_JOB)
        assert work.sweeps.unstarted_jobs(status, AGE, 10) == []
    harness.pass_time(AGE)
    with database.transaction() as work:
        assert work.sweeps.unstarted_jobs(status, AGE, 10) == [JOB]
    with database.transaction() as work:
        assert work.sweeps.unstarted_jobs(status, AGE, 10) == []
    harness.pass_time(AGE)
    with database.transaction() as work:
        assert work.sweeps.unstarted_jobs(status, AGE, 10) == [JOB]


def test_a_job_that_has_started_is_not_found(harness: Harness, database: Database) -> None:
    start_job(database)
    harness.pass_time(AGE)
    with database.transaction() as work:
        assert work.sweeps.unstarted_jobs(JobStatus.QUEUED, AGE, 10) == []


def test_a_pending_batch_is_found_unless_a_dispatcher_is_at_work(
    harness: Harness, database: Database, stage: StageKey
) -> None:
    create_batch(database, batch_of(3, batch_index=1), BatchStatus.PENDING_QUEUE)
    with database.transaction() as work:
        assert work.sweeps.pending_batches(AGE, 10) == []
    harness.pass_time(AGE)
    with database.transaction() as work:
        assert work.sweeps.pending_batches(AGE, 10) == [OverdueBatch(batch_id(JOB, 1, 1), Lane.FAST)]
        assert work.stages.acquire_dispatch_lease(stage, "dispatcher", AGE)
    with database.transaction() as work:
        assert work.sweeps.pending_batches(AGE, 10) == []
    harness.pass_time(AGE)
    with database.transaction() as work:
        assert work.sweeps.pending_batches(AGE, 10) == [OverdueBatch(batch_id(JOB, 1, 1), Lane.FAST)]


def test_pending_batches_of_a_job_that_has_ended_are_left_alone(
    harness: Harness, database: Database, stage: StageKey
) -> None:
    create_batch(database, batch_of(3, batch_index=1), BatchStatus.PENDING_QUEUE)
    with database.transaction() as work:
        assert work.jobs.finish(stage.job_id, JobStatus.FAILED, None, "{}")
    harness.pass_time(AGE)
    with database.transaction() as work:
        assert work.sweeps.pending_batches(AGE, 10) == []


@pytest.mark.usefixtures("stage")
def test_a_retry_that_is_overdue_gets_another_send_and_is_due_anew(harness: Harness, database: Database) -> None:
    claim(database, ids(0, 1))
    record(database, retrying(ids(0)[0], 10.0), completed(ids(1)[0]))
    harness.pass_time(10.0)
    with database.transaction() as work:
        assert work.sweeps.overdue_retries(AGE, 10) == []
    harness.pass_time(AGE)
    with database.transaction() as work:
        assert work.sweeps.overdue_retries(AGE, 10) == lost(0, send=3)
    with database.transaction() as work:
        assert work.sweeps.overdue_retries(AGE, 10) == []
    assert claim(database, ids(0), "next") == ids(0)


@pytest.mark.usefixtures("stage")
def test_a_lease_that_expired_long_ago_ends_and_its_holder_is_fenced_off(harness: Harness, database: Database) -> None:
    claim(database, ids(0, 1), "zombie")
    harness.pass_time(LEASE_SECONDS)
    with database.transaction() as work:
        assert work.sweeps.expired_leases(AGE, 10) == []
    harness.pass_time(AGE)
    with database.transaction() as work:
        assert by_id(work.sweeps.expired_leases(AGE, 10)) == lost(0, 1)
    assert status_of(database, ids(0)[0]) == TaskStatus.RETRYING
    assert record(database, completed(ids(0)[0]), lease_id="zombie") == []
    assert claim(database, ids(0), "next") == ids(0)


def test_a_limit_bounds_what_is_found(harness: Harness, database: Database, stage: StageKey) -> None:
    claim(database, ids(0, 1, 2))
    harness.pass_time(LEASE_SECONDS + AGE)
    with database.transaction() as work:
        assert len(work.sweeps.expired_leases(AGE, 2)) == 2
        assert len(work.sweeps.expired_leases(AGE, 2)) == 1
        assert work.sweeps.silent_stages(AGE, 0) == []
    assert stage.number == 1


def test_an_interrupted_dispatch_is_found(harness: Harness, database: Database, stage: StageKey) -> None:
    with database.transaction() as work:
        assert work.sweeps.interrupted_dispatches(AGE, 10) == []
    harness.pass_time(AGE)
    with database.transaction() as work:
        assert work.stages.acquire_dispatch_lease(KEY, "dispatcher", 30.0)
    with database.transaction() as work:
        assert work.sweeps.interrupted_dispatches(AGE, 10) == []
    harness.pass_time(30.0 + AGE)
    with database.transaction() as work:
        assert work.sweeps.interrupted_dispatches(AGE, 10) == [StageOpening(stage, 0)]
    with database.transaction() as work:
        assert work.sweeps.interrupted_dispatches(AGE, 10) == []


def test_a_stage_that_ended_and_did_not_advance_is_found(harness: Harness, database: Database, stage: StageKey) -> None:
    run_dispatch(database, 3, 1)
    end_batch(database, batch_id(JOB, 1, 0), completed=3)
    with database.transaction() as work:
        assert work.stages.finish_if_complete(KEY)
    with database.transaction() as work:
        assert work.sweeps.unadvanced_stages(AGE, 10) == []
    harness.pass_time(AGE)
    with database.transaction() as work:
        assert work.sweeps.unadvanced_stages(AGE, 10) == [StageOpening(stage, 0)]
    with database.transaction() as work:
        assert work.sweeps.unadvanced_stages(AGE, 10) == []
        assert work.jobs.advance(StageKey(JOB, 1))
    harness.pass_time(AGE)
    with database.transaction() as work:
        assert work.sweeps.unadvanced_stages(AGE, 10) == []


def test_a_running_stage_is_silent_when_nothing_happens_in_it(
    harness: Harness, database: Database, stage: StageKey
) -> None:
    run_dispatch(database, 3, 1)
    with database.transaction() as work:
        assert work.sweeps.silent_stages(AGE, 10) == []
    harness.pass_time(AGE)
    with database.transaction() as work:
        assert work.sweeps.silent_stages(AGE, 10) == [stage]
        found = work.sweeps.silent_batches(stage, AGE, 10)
        assert (found.batches, by_id(found.tasks)) == (1, lost(0, 1, 2))
    with database.transaction() as work:
        assert work.sweeps.silent_stages(AGE, 10) == [stage]  # until no silent batch is found
        assert work.sweeps.silent_batches(stage, AGE, 10) == SilentBatches(0, [])
    with database.transaction() as work:
        assert work.sweeps.silent_stages(AGE, 10) == []


def test_a_batch_that_was_sent_again_is_given_twice_as_long(
    harness: Harness, database: Database, stage: StageKey
) -> None:
    run_dispatch(database, 3, 1)
    for outages in (AGE, 2 * AGE, 4 * AGE):
        harness.pass_time(outages - 100)
        with database.transaction() as work:
            assert work.sweeps.silent_stages(AGE, 10) == []
        harness.pass_time(100)
        with database.transaction() as work:
            assert work.sweeps.silent_stages(AGE, 10) == [stage]
            assert work.sweeps.silent_batches(stage, AGE, 10).batches == 1
        with database.transaction() as work:
            assert work.sweeps.silent_batches(stage, AGE, 10).batches == 0


def test_a_stage_with_a_task_at_work_is_not_silent(harness: Harness, database: Database, stage: StageKey) -> None:
    run_dispatch(database, 3, 1)
    claim(database, ids(0))
    harness.pass_time(AGE)
    with database.transaction() as work:
        assert work.sweeps.silent_stages(AGE, 10) == []
    assert stage.number == 1


def test_the_resend_of_a_silent_stage_goes_on_although_a_task_is_claimed_meanwhile(
    harness: Harness, database: Database, stage: StageKey
) -> None:
    create_batch(database, batch_of(3, batch_index=1))
    run_dispatch(database, 6, 2)
    harness.pass_time(AGE)
    with database.transaction() as work:
        assert work.sweeps.silent_stages(AGE, 10) == [stage]
        assert len(work.sweeps.silent_batches(stage, AGE, 1).tasks) == 3
    claim(database, ids(0))
    with database.transaction() as work:
        assert work.sweeps.silent_stages(AGE, 10) == [stage]
        assert len(work.sweeps.silent_batches(stage, AGE, 10).tasks) == 3
    with database.transaction() as work:
        assert work.sweeps.silent_batches(stage, AGE, 10).batches == 0
    harness.pass_time(AGE)
    with database.transaction() as work:
        assert work.sweeps.silent_stages(AGE, 10) == []


def test_ended_tasks_are_not_sent_again(harness: Harness, database: Database, stage: StageKey) -> None:
    run_dispatch(database, 3, 1)
    claim(database, ids(1))
    record(database, completed(ids(1)[0]))
    harness.pass_time(AGE)
    with database.transaction() as work:
        assert work.sweeps.silent_stages(AGE, 10) == [stage]
        assert by_id(work.sweeps.silent_batches(stage, AGE, 10).tasks) == lost(0, 2)


@pytest.mark.parametrize("urgent", [False, True])
def test_what_is_found_says_whether_its_job_is_urgent(harness: Harness, database: Database, *, urgent: bool) -> None:
    with database.transaction() as work:
        assert work.jobs.create(JOB, "hello_world", "{}", 3, urgent=urgent)
        assert work.jobs.mark_queued(JOB)
        assert work.jobs.start(JOB)
    start_stage(database)
    create_batch(database, batch_of(3))
    create_batch(database, batch_of(3, batch_index=1), BatchStatus.PENDING_QUEUE)
    claim(database, ids(0, 1))
    record(database, retrying(ids(0)[0], 0.0))
    harness.pass_time(AGE + LEASE_SECONDS)
    with database.transaction() as work:
        found = work.jobs.get(JOB)
        assert found is not None
        assert found.urgent == urgent
        assert [batch.urgent for batch in work.sweeps.pending_batches(AGE, 10)] == [urgent]
        assert [task.urgent for task in work.sweeps.overdue_retries(AGE, 10)] == [urgent]
        assert [task.urgent for task in work.sweeps.expired_leases(AGE, 10)] == [urgent]


def test_the_tasks_of_a_silent_stage_say_whether_their_job_is_urgent(harness: Harness, database: Database) -> None:
    with database.transaction() as work:
        assert work.jobs.create(JOB, "hello_world", "{}", 3, urgent=True)
        assert work.jobs.mark_queued(JOB)
        assert work.jobs.start(JOB)
    start_stage(database)
    create_batch(database, batch_of(3))
    run_dispatch(database, 3, 1)
    harness.pass_time(AGE)
    with database.transaction() as work:
        assert work.sweeps.silent_stages(AGE, 10) == [KEY]
    with database.transaction() as work:
        assert {task.urgent for task in work.sweeps.silent_batches(KEY, AGE, 10).tasks} == {True}
