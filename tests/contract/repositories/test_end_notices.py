"""An end of a job is owed one notice, which stays until it is known to be sent."""

import pytest

from core.end_notices import EndNotice
from core.statuses import JobStatus
from repositories.ports import Database
from tests.contract.repositories.building import (
    JOB,
    OTHER_JOB,
    batch_of,
    claim,
    completed,
    create_batch,
    create_job,
    end_batch,
    failed,
    ids,
    record,
    start_job,
    start_stage,
)
from tests.contract.repositories.harness import Harness

AGE = 600.0


def end(database: Database, job_id: str = JOB) -> None:
    with database.transaction() as work:
        assert work.jobs.finish(job_id, JobStatus.CANCELLED, None, None)
        work.notices.owe(job_id)


def owed(database: Database, job_id: str = JOB) -> list[EndNotice]:
    with database.transaction() as work:
        return work.notices.of_job(job_id)


def overdue(database: Database, limit: int = 10) -> list[str]:
    with database.transaction() as work:
        return [notice.job_id for notice in work.notices.overdue(AGE, limit)]


def test_a_notice_tells_the_end_and_the_tasks_so_far(harness: Harness) -> None:
    database = harness.database
    start_job(database)
    start_stage(database)
    create_batch(database, batch_of(2))
    claim(database, ids(0, 1))
    record(database, completed(ids(0)[0]), failed(ids(1)[0]))
    end_batch(database, f"{JOB}-s1-b0", completed=1, failed=1)
    end(database)
    (notice,) = owed(database)
    with database.transaction() as work:
        job = work.jobs.get(JOB)
    assert job is not None
    assert job.finished_at == notice.ended_at
    assert (notice.job_id, notice.job_type, notice.status) == (JOB, "hello_world", JobStatus.CANCELLED)
    assert (notice.stage, notice.opening, notice.completed, notice.failed, notice.cancelled) == (1, 0, 1, 1, 0)


@pytest.mark.parametrize("times", [1, 2])
def test_an_end_is_owed_one_notice(harness: Harness, times: int) -> None:
    create_job(harness.database)
    end(harness.database)
    with harness.database.transaction() as work:
        for _ in range(times):
            work.notices.owe(JOB)
    (notice,) = owed(harness.database)
    assert (notice.stage, notice.opening, notice.completed) == (0, 0, 0)


def test_a_job_that_has_not_ended_is_owed_none(harness: Harness) -> None:
    create_job(harness.database)
    with harness.database.transaction() as work:
        work.notices.owe(JOB)
        work.notices.owe(OTHER_JOB)
    assert owed(harness.database) == []


def test_a_notice_stays_until_it_is_sent_and_only_that_one_goes(harness: Harness) -> None:
    database = harness.database
    for job_id in (JOB, OTHER_JOB):
        create_job(database, job_id)
        end(database, job_id)
    (notice,) = owed(database)
    with database.transaction() as work:
        work.notices.sent([notice.notice_id])
    assert owed(database) == []
    assert len(owed(database, OTHER_JOB)) == 1


def test_a_notice_is_overdue_once_an_age(harness: Harness) -> None:
    database = harness.database
    create_job(database)
    end(database)
    assert overdue(database) == []
    harness.pass_time(AGE + 1)
    assert overdue(database) == [JOB]
    assert overdue(database) == []
    harness.pass_time(AGE + 1)
    create_job(database, OTHER_JOB)
    end(database, OTHER_JOB)
    assert overdue(database) == [JOB]
    harness.pass_time(AGE + 1)
    assert sorted(overdue(database, limit=1) + overdue(database, limit=1)) == sorted([JOB, OTHER_JOB])
