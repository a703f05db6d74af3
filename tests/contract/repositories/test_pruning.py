import pytest

from controllers.ingest_csv.ingested_rows import IngestedRows
from core.models import PrunedBatches
from core.statuses import BatchStatus, JobStatus
from repositories.ports import Database, DeadLetter
from tests.contract.repositories.building import (
    JOB,
    OTHER_JOB,
    batch_of,
    create_batch,
    create_job,
    end_batch,
    ids,
    start_job,
    start_stage,
)
from tests.contract.repositories.harness import Harness

DAY_SECONDS = 24 * 60 * 60
DAYS = 30
MANY = 100


def ended_job(database: Database, job_id: str = JOB, status: JobStatus = JobStatus.COMPLETED, batches: int = 2) -> None:
    """An ended job of one stage with batches of three tasks."""
    start_job(database, job_id)
    start_stage(database, job_id=job_id)
    for index in range(batches):
        batch = batch_of(3, index, job_id=job_id)
        create_batch(database, batch)
        end_batch(database, batch.batch_id, completed=3)
    with database.transaction() as work:
        assert work.jobs.finish(job_id, status, None, '{"type": "E"}' if status == JobStatus.FAILED else None)


def begin(database: Database, limit: int = MANY) -> list[str]:
    with database.transaction() as work:
        return work.pruning.begin(DAYS, limit)


def delete_batches(database: Database, limit: int = MANY, job_id: str = JOB) -> PrunedBatches:
    with database.transaction() as work:
        return work.pruning.delete_batches(job_id, limit)


def delete_job(database: Database, job_id: str = JOB) -> bool:
    with database.transaction() as work:
        return work.pruning.delete_job(job_id)


@pytest.mark.parametrize(
    "status", [JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_ERRORS, JobStatus.FAILED, JobStatus.CANCELLED]
)
def test_an_ended_job_is_marked_when_it_is_old_enough(harness: Harness, status: JobStatus) -> None:
    ended_job(harness.database, status=status)
    harness.pass_time(DAYS * DAY_SECONDS - 100)
    assert begin(harness.database) == []
    harness.pass_time(200)
    assert begin(harness.database) == [JOB]
    with harness.database.transaction() as work:
        job = work.jobs.get(JOB)
        assert job is not None
        assert job.pruned_at is not None
        assert job.pruned_at <= work.now()


def test_a_job_that_has_not_ended_is_never_marked(harness: Harness) -> None:
    start_job(harness.database)
    create_job(harness.database, OTHER_JOB)
    harness.pass_time(10 * DAYS * DAY_SECONDS)
    assert begin(harness.database) == []


@pytest.mark.parametrize("status", [BatchStatus.PENDING_QUEUE, BatchStatus.QUEUED])
def test_a_job_with_a_live_batch_is_not_marked(harness: Harness, status: BatchStatus) -> None:
    start_job(harness.database)
    start_stage(harness.database)
    batch = batch_of(3)
    create_batch(harness.database, batch, status)
    with harness.database.transaction() as work:
        assert work.jobs.finish(JOB, JobStatus.CANCELLED, None, None)
    harness.pass_time(2 * DAYS * DAY_SECONDS)
    assert begin(harness.database) == []
    end_batch(harness.database, batch.batch_id, completed=3)
    assert begin(harness.database) == [JOB]


def test_the_oldest_jobs_are_marked_first_and_found_again_until_they_are_gone(harness: Harness) -> None:
    ended_job(harness.database, OTHER_JOB)
    harness.pass_time(DAY_SECONDS)
    ended_job(harness.database, JOB)
    harness.pass_time(2 * DAYS * DAY_SECONDS)
    assert begin(harness.database, limit=1) == [OTHER_JOB]
    assert begin(harness.database, limit=1) == [OTHER_JOB]
    assert begin(harness.database) == [OTHER_JOB, JOB]


def test_a_marked_job_is_not_reopened(harness: Harness) -> None:
    ended_job(harness.database, status=JobStatus.CANCELLED)
    harness.pass_time(2 * DAYS * DAY_SECONDS)
    assert begin(harness.database) == [JOB]
    with harness.database.transaction() as work:
        assert not work.jobs.reopen(JOB, {JobStatus.CANCELLED})


def test_a_job_goes_batch_by_batch_with_its_tasks_and_then_itself(harness: Harness) -> None:
    ended_job(harness.database, batches=5)
    ended_job(harness.database, OTHER_JOB)
    harness.pass_time(2 * DAYS * DAY_SECONDS)
    begin(harness.database)
    assert delete_batches(harness.database, limit=2) == PrunedBatches(2, 6)
    with harness.database.transaction() as work:
        assert [batch.batch_index for batch in work.batches.page_of_job(JOB, (0, 0), MANY)] == [2, 3, 4]
        assert [task.task_id for task in work.tasks.page(JOB, None, "", MANY)] == ids(*range(6, 15))
    assert not delete_job(harness.database)
    assert delete_batches(harness.database) == PrunedBatches(3, 9)
    assert delete_batches(harness.database) == PrunedBatches(0, 0)
    assert delete_job(harness.database)
    assert not delete_job(harness.database)
    with harness.database.transaction() as work:
        assert work.jobs.get(JOB) is None
        assert work.stages.of_job(JOB) == []
        assert len(work.tasks.page(OTHER_JOB, None, "", MANY)) == 6


def test_nothing_of_a_job_that_is_not_marked_is_deleted(harness: Harness) -> None:
    ended_job(harness.database)
    ended_job(harness.database, OTHER_JOB, batches=0)
    assert delete_batches(harness.database) == PrunedBatches(0, 0)
    assert not delete_job(harness.database)
    assert not delete_job(harness.database, OTHER_JOB)
    with harness.database.transaction() as work:
        assert len(work.stages.of_job(OTHER_JOB)) == 1


def test_what_a_job_loaded_and_its_dead_letters_stay(harness: Harness) -> None:
    ended_job(harness.database)
    with harness.database.transaction() as work:
        work.repository(IngestedRows).replace_chunk(JOB, 0, [(0, '"a"')])
        work.dead_letters.add(DeadLetter("sb-tasks", "orphan", "why", ids(0)[0].encode(), "m", 1))
    harness.pass_time(2 * DAYS * DAY_SECONDS)
    begin(harness.database)
    delete_batches(harness.database)
    assert delete_job(harness.database)
    with harness.database.transaction() as work:
        assert work.repository(IngestedRows).count(JOB) == 1
        assert len(work.dead_letters.newest(MANY)) == 1


def test_a_deleted_job_can_be_created_anew(harness: Harness) -> None:
    ended_job(harness.database)
    harness.pass_time(2 * DAYS * DAY_SECONDS)
    begin(harness.database)
    delete_batches(harness.database)
    assert delete_job(harness.database)
    create_job(harness.database)
    with harness.database.transaction() as work:
        job = work.jobs.get(JOB)
        assert job is not None
        assert (job.status, job.pruned_at) == (JobStatus.PENDING_QUEUE, None)
