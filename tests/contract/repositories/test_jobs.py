from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import ConstraintViolationError
from core.models import StageKey
from core.statuses import JobStatus
from repositories.ports import Database
from tests.contract.repositories.building import ERROR, JOB, OTHER_JOB, create_job, start_job
from tests.contract.repositories.harness import Harness
from tests.support.waiting import wait_until


def test_a_new_job_waits_for_its_message(database: Database) -> None:
    create_job(database)
    with database.transaction() as work:
        job = work.jobs.get(JOB)
    assert job is not None
    assert (job.job_type, job.parameters, job.status, job.stage, job.total_stages) == (
        "hello_world",
        {"n": 3},
        JobStatus.PENDING_QUEUE,
        0,
        3,
    )
    assert (job.result, job.error, job.started_at, job.finished_at) == (None, None, None, None)
    assert job.created_at.tzinfo is not None


def test_a_job_that_nobody_created_is_none(database: Database) -> None:
    with database.transaction() as work:
        assert work.jobs.get(OTHER_JOB) is None


def test_a_locked_job_changes_when_the_transaction_has_ended(harness: Harness) -> None:
    database = harness.database
    create_job(database)

    def queue() -> bool:
        with database.transaction() as work:
            return work.jobs.mark_queued(JOB)

    with ThreadPoolExecutor(1) as other, database.transaction() as work:
        assert (work.jobs.lock(JOB), work.jobs.lock(OTHER_JOB)) == (True, False)
        second = other.submit(queue)
        wait_until(lambda: harness.waiting() == 1)
        job = work.jobs.get(JOB)
        assert job is not None
        assert job.status == JobStatus.PENDING_QUEUE
        work.jobs.finish(JOB, JobStatus.CANCELLED, None, None)
    assert second.result() is False


def test_creating_a_job_twice_keeps_the_first(database: Database) -> None:
    create_job(database)
    with database.transaction() as work:
        assert not work.jobs.create(JOB, "other", '{"n":4}', 1)
        job = work.jobs.get(JOB)
    assert job is not None
    assert job.job_type == "hello_world"


@pytest.mark.parametrize(
    ("stored", "asked", "same"),
    [
        ('{"a":1,"b":2}', '{"b":2,"a":1}', True),
        ('{"a":1}', '{"a":1.0}', True),
        ('{"a":100}', '{"a":1e2}', True),
        ('{"a":0.1}', '{"a":0.10}', True),
        ('{"a":1}', '{"a":2}', False),
        ('{"a":1}', '{"a":true}', False),
        ('{"a":[1,2]}', '{"a":[2,1]}', False),
        ('{"a":1}', '{"a":1,"b":null}', False),
        ('{"a":12345678901234567890}', '{"a":12345678901234567891}', False),
    ],
)
def test_submissions_are_the_same_when_jsonb_says_so(database: Database, stored: str, asked: str, same: bool) -> None:  # noqa: FBT001 - a parameter of the test
    with database.transaction() as work:
        work.jobs.create(JOB, "hello_world", stored, 1)
        assert work.jobs.same_submission(JOB, "hello_world", asked) is same


def test_submissions_of_another_type_or_of_no_job_are_not_the_same(database: Database) -> None:
    create_job(database)
    with database.transaction() as work:
        assert not work.jobs.same_submission(JOB, "other", '{"n":3}')
        assert work.jobs.same_submission(OTHER_JOB, "hello_world", '{"n":3}') is None


def test_a_job_is_queued_once(database: Database) -> None:
    create_job(database)
    with database.transaction() as work:
        assert work.jobs.mark_queued(JOB)
        assert not work.jobs.mark_queued(JOB)


def test_only_a_queued_job_starts_and_does_so_at_stage_1(database: Database) -> None:
    create_job(database)
    with database.transaction() as work:
        assert not work.jobs.start(JOB)
        work.jobs.mark_queued(JOB)
        assert work.jobs.start(JOB)
        assert not work.jobs.start(JOB)
        job = work.jobs.get(JOB)
    assert job is not None
    assert (job.status, job.stage) == (JobStatus.PROCESSING, 1)
    assert job.started_at is not None


def test_a_stage_is_left_once(database: Database) -> None:
    start_job(database)
    with database.transaction() as work:
        assert work.jobs.advance(StageKey(JOB, 1))
        assert not work.jobs.advance(StageKey(JOB, 1))
        assert not work.jobs.advance(StageKey(JOB, 3))
        assert work.jobs.advance(StageKey(JOB, 2))


def test_a_job_that_is_not_processing_does_not_advance(database: Database) -> None:
    create_job(database)
    with database.transaction() as work:
        assert not work.jobs.advance(StageKey(JOB, 0))
        assert not work.jobs.advance(StageKey(OTHER_JOB, 1))


def test_a_job_never_advances_past_its_last_stage(database: Database) -> None:
    start_job(database)
    with database.transaction() as work:
        work.jobs.advance(StageKey(JOB, 1))
        work.jobs.advance(StageKey(JOB, 2))
    with pytest.raises(ConstraintViolationError) as caught, database.transaction() as work:
        work.jobs.advance(StageKey(JOB, 3))
    assert caught.value.constraint == "jobs_stage_in_range"


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_ERRORS, JobStatus.CANCELLED])
def test_a_processing_job_ends_once(database: Database, status: JobStatus) -> None:
    start_job(database)
    with database.transaction() as work:
        assert work.jobs.finish(JOB, status, '{"greetings":3}', None)
        assert not work.jobs.finish(JOB, JobStatus.FAILED, None, ERROR)
        job = work.jobs.get(JOB)
    assert job is not None
    assert (job.status, job.result, job.error) == (status, {"greetings": 3}, None)
    assert job.finished_at is not None


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED])
@pytest.mark.parametrize("queued", [False, True])
def test_a_job_may_fail_or_be_cancelled_before_it_starts(database: Database, status: JobStatus, queued: bool) -> None:  # noqa: FBT001 - a parameter of the test
    create_job(database)
    with database.transaction() as work:
        if queued:
            work.jobs.mark_queued(JOB)
        assert work.jobs.finish(JOB, status, None, ERROR)


def test_a_job_never_completes_before_it_starts(database: Database) -> None:
    create_job(database)
    with database.transaction() as work:
        assert not work.jobs.finish(JOB, JobStatus.COMPLETED, None, None)
        work.jobs.mark_queued(JOB)
        assert not work.jobs.finish(JOB, JobStatus.COMPLETED_WITH_ERRORS, None, None)


def test_a_failed_job_says_why(database: Database) -> None:
    start_job(database)
    with pytest.raises(ConstraintViolationError) as caught, database.transaction() as work:
        work.jobs.finish(JOB, JobStatus.FAILED, None, None)
    assert caught.value.constraint == "jobs_failed_has_error"


@pytest.mark.parametrize(
    ("job_id", "job_type", "parameters", "total_stages", "constraint"),
    [
        ("not hex", "hello_world", "{}", 1, "jobs_job_id_check"),
        (JOB, "", "{}", 1, "jobs_job_type_check"),
        (JOB, "hello_world", "[]", 1, "jobs_parameters_check"),
        (JOB, "hello_world", "{}", 0, "jobs_total_stages_check"),
        (JOB, "hello_world", "{}", 100, "jobs_total_stages_check"),
    ],
)
def test_a_job_without_sense_is_refused(
    database: Database, job_id: str, job_type: str, parameters: str, total_stages: int, constraint: str
) -> None:
    with pytest.raises(ConstraintViolationError) as caught, database.transaction() as work:
        work.jobs.create(job_id, job_type, parameters, total_stages)
    assert caught.value.constraint == constraint
