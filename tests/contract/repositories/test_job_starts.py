"""A job is started once, in one statement that creates its first stage and takes the stage's dispatch lease."""

import pytest

from core.errors import ConstraintViolationError
from core.job_events import JobEventKind
from core.models import Stage
from core.statuses import BatchStatus, JobStatus, StageStatus
from repositories.ports import Database
from tests.contract.repositories.building import JOB, KEY, LEASE_SECONDS, batch_of, create_job, start_job, start_stage
from tests.contract.repositories.harness import Harness


def start(database: Database, lease_id: str = "a") -> Stage | None:
    with database.transaction() as work:
        return work.stages.start_job(KEY, "greetings", 0.25, lease_id, LEASE_SECONDS)


@pytest.mark.parametrize("is_queued", [False, True])
def test_a_job_that_has_not_begun_is_started_once(database: Database, is_queued: bool) -> None:  # noqa: FBT001 - a parameter of the test
    create_job(database)
    if is_queued:
        with database.transaction() as work:
            work.jobs.mark_queued(JOB)
    stage = start(database)
    assert stage is not None
    assert (stage.key, stage.name, stage.status) == (KEY, "greetings", StageStatus.DISPATCHING)
    assert (stage.openings, stage.checkpoint.tasks, stage.total_tasks, stage.max_failed_fraction) == (0, 0, None, 0.25)
    assert start(database, "b") is None
    with database.transaction() as work:
        job, found = work.jobs.get(JOB), work.stages.get(KEY)
        events = work.events.page(JOB, 0, 10)
    assert found == stage
    assert job is not None
    assert (job.status, job.stage, job.started_at) == (JobStatus.PROCESSING, 1, stage.created_at)
    assert [event.kind for event in events] == [JobEventKind.SUBMITTED, JobEventKind.STAGE_STARTED]
    assert events[-1].details == {"name": "greetings"}


@pytest.mark.parametrize("status", [JobStatus.WAITING, JobStatus.CANCELLED, JobStatus.FAILED])
def test_a_job_in_another_status_is_not_started(database: Database, status: JobStatus) -> None:
    with database.transaction() as work:
        first = status if status == JobStatus.WAITING else JobStatus.PENDING_QUEUE
        work.jobs.create(JOB, "hello_world", "{}", 3, first)
        if status != JobStatus.WAITING:
            work.jobs.finish(JOB, status, None, None if status == JobStatus.CANCELLED else '{"type":"x"}')
    assert start(database) is None
    with database.transaction() as work:
        job = work.jobs.get(JOB)
        assert work.stages.get(KEY) is None
    assert job is not None
    assert (job.status, job.stage) == (status, 0)


def test_it_starts_with_the_dispatch_lease(harness: Harness) -> None:
    create_job(harness.database)
    start(harness.database)
    with harness.database.transaction() as work:
        assert not work.stages.acquire_dispatch_lease(KEY, "b", LEASE_SECONDS)
        assert work.tasks.batch_create_tasks(batch_of(2), BatchStatus.PENDING_QUEUE, "a")
        assert work.stages.renew_dispatch_lease(KEY, "a", LEASE_SECONDS)
    harness.pass_time(LEASE_SECONDS + 1)
    with harness.database.transaction() as work:
        assert work.stages.acquire_dispatch_lease(KEY, "b", LEASE_SECONDS)


def test_a_stage_that_cannot_be_created_leaves_the_job_as_it_was(database: Database) -> None:
    create_job(database)
    with pytest.raises(ConstraintViolationError), database.transaction() as work:
        work.stages.start_job(KEY, "", 0.0, "a", LEASE_SECONDS)
    with database.transaction() as work:
        job = work.jobs.get(JOB)
    assert job is not None
    assert job.status == JobStatus.PENDING_QUEUE


def test_a_stage_is_read_with_its_job(database: Database) -> None:
    with database.transaction() as work:
        assert work.stages.with_job(KEY) is None
    start_job(database)
    with database.transaction() as work:
        assert work.stages.with_job(KEY) == (work.jobs.get(JOB), None)
    start_stage(database)
    with database.transaction() as work:
        assert work.stages.with_job(KEY) == (work.jobs.get(JOB), work.stages.get(KEY))
