"""The pruner beside other transactions, on the real database."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Barrier

import psycopg2
import pytest
from psycopg2.extensions import connection

from controllers.hello_world import HelloWorld
from controllers.registry import Registry
from controllers.services import Services
from core.errors import JobNotFoundError, JobStateError
from core.statuses import JobStatus
from engine.jobs.end_hooks import EndHooks
from engine.jobs.reopener import Reopener
from engine.jobs.submission_check import SubmissionCheck
from engine.jobs.submitter import Submitter
from engine.jobs.waiting_jobs import WaitingJobs
from engine.process.limits import Limits
from engine.repair.pruner import Pruner, PruneReport
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase
from repositories.transaction_limits import limits_of_kinds
from tests.contract.repositories.building import (
    JOB,
    OTHER_JOB,
    batch_of,
    create_batch,
    end_batch,
    ids,
    start_job,
    start_stage,
)
from tests.fakes.queue import FakeQueue

BATCHES = 25


@pytest.fixture
def conn(database_url: str) -> Iterator[connection]:
    with closing(psycopg2.connect(database_url)) as opened:
        yield opened


@pytest.fixture
def pruner(database_url: str) -> Iterator[Pruner]:
    """A pruner that fails as soon as it waits for a row."""
    limits = limits_of_kinds(lock_seconds=2.0)
    with closing(PostgresDatabase(ConnectionPool(database_url, size=2), limits)) as impatient:
        yield Pruner(impatient, Limits())


def old_job(database: PostgresDatabase, conn: connection, job_id: str, status: JobStatus = JobStatus.COMPLETED) -> None:
    """A job of one stage of batches with three tasks, which ended 31 days ago."""
    start_job(database, job_id)
    start_stage(database, job_id=job_id)
    for index in range(BATCHES):
        batch = batch_of(3, index, job_id=job_id)
        create_batch(database, batch)
        end_batch(database, batch.batch_id, completed=3)
    with database.transaction() as work:
        assert work.jobs.finish(job_id, status, None, None)
    with conn, conn.cursor() as cursor:
        cursor.execute("UPDATE jobs SET finished_at = now() - interval '31 days' WHERE job_id = %s", (job_id,))
        cursor.execute("UPDATE tasks SET status = 'completed', finished_at = now() WHERE parent_job_id = %s", (job_id,))


def live_job(database: PostgresDatabase, job_id: str) -> None:
    start_job(database, job_id)
    start_stage(database, job_id=job_id)
    create_batch(database, batch_of(3, job_id=job_id))


def count(conn: connection, table: str) -> int:
    with conn, conn.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        (rows,) = cursor.fetchone() or (0,)
        return int(rows)


@contextmanager
def held(database_url: str, statement: str, *values: str) -> Iterator[connection]:
    """The open transaction of another session, for the length of a block."""
    with closing(psycopg2.connect(database_url)) as other:
        with other.cursor() as cursor:
            cursor.execute(statement, values)
        yield other
        other.rollback()


def _live_rows(job_id: str) -> str:
    """Locks all rows of a job, as strongly as a row can be."""
    return f"""
        SELECT 1 FROM tasks WHERE parent_job_id = '{job_id}' FOR UPDATE;
        SELECT 1 FROM batches WHERE job_id = '{job_id}' FOR UPDATE;
        SELECT 1 FROM stages WHERE job_id = '{job_id}' FOR UPDATE;
        SELECT 1 FROM jobs WHERE job_id = '{job_id}' FOR UPDATE
    """


def test_the_pruner_does_not_wait_for_live_rows_that_others_hold(
    postgres_database: PostgresDatabase, conn: connection, pruner: Pruner, database_url: str
) -> None:
    old_job(postgres_database, conn, JOB)
    live_job(postgres_database, OTHER_JOB)
    with held(database_url, _live_rows(OTHER_JOB)):
        assert pruner.prune() == PruneReport(1, BATCHES, 3 * BATCHES)


def test_nobody_waits_for_the_pruner_on_a_live_job(
    postgres_database: PostgresDatabase, conn: connection, database_url: str
) -> None:
    """Every step of a deletion is open at once while a live job runs; NOWAIT raises if the job would wait."""
    old_job(postgres_database, conn, JOB)
    live_job(postgres_database, OTHER_JOB)
    with postgres_database.transaction() as work:
        assert work.pruning.begin(30, 100) == [JOB]
        assert work.pruning.delete_batches(JOB, 100).batches == BATCHES
        assert work.pruning.delete_job(JOB)
        with held(database_url, _live_rows(OTHER_JOB).replace("FOR UPDATE", "FOR UPDATE NOWAIT")):
            pass
        with postgres_database.transaction() as beside:
            assert len(beside.tasks.claim(ids(0, 1, 2, job_id=OTHER_JOB), "mine", 60)) == 3
            assert not beside.jobs.create(OTHER_JOB, "hello_world", "{}", 3)


@pytest.mark.parametrize(
    ("statement", "left"),
    [
        ("SELECT 1 FROM tasks WHERE task_id = %s FOR NO KEY UPDATE", PruneReport(0, BATCHES - 1, 3 * BATCHES - 1)),
        (
            "SELECT 1 FROM batches WHERE batch_id = left(%s, 32) || '-s1-b0' FOR NO KEY UPDATE",
            PruneReport(0, BATCHES - 1, 75),
        ),
        ("SELECT 1 FROM stages WHERE job_id = left(%s, 32) FOR NO KEY UPDATE", PruneReport(0, BATCHES, 3 * BATCHES)),
        ("SELECT 1 FROM jobs WHERE job_id = left(%s, 32) FOR NO KEY UPDATE", PruneReport()),
    ],
    ids=["task", "batch", "stage", "job"],
)
def test_a_row_that_somebody_holds_is_left_for_the_next_run(
    postgres_database: PostgresDatabase,
    conn: connection,
    pruner: Pruner,
    database_url: str,
    statement: str,
    left: PruneReport,
) -> None:
    old_job(postgres_database, conn, JOB)
    with held(database_url, statement, ids(0)[0]):
        assert pruner.prune() == left
        assert count(conn, "jobs") == 1
    assert pruner.prune().jobs == 1
    assert [count(conn, table) for table in ("tasks", "batches", "stages", "jobs")] == [0, 0, 0, 0]


def test_several_hosts_share_the_work(postgres_database: PostgresDatabase, conn: connection) -> None:
    for number in range(6):
        old_job(postgres_database, conn, f"{number:032x}")
    pruners = [Pruner(postgres_database, Limits()) for _ in range(3)]
    with ThreadPoolExecutor(len(pruners)) as threads:
        reports = list(threads.map(lambda each: each.prune(), pruners))
    last = Pruner(postgres_database, Limits()).prune()
    assert sum(report.jobs for report in [*reports, last]) == 6
    assert sum(report.tasks for report in [*reports, last]) == 6 * 3 * BATCHES
    assert count(conn, "tasks") == count(conn, "jobs") == 0


def waiting_jobs(database: PostgresDatabase) -> WaitingJobs:
    return WaitingJobs(database, FakeQueue(), EndHooks(FakeQueue(), Registry([])))


def test_when_a_job_is_resumed_and_deleted_at_once_one_of_them_wins(
    postgres_database: PostgresDatabase, conn: connection
) -> None:
    job_ids = [f"{number:032x}" for number in range(12)]
    for job_id in job_ids:
        old_job(postgres_database, conn, job_id, JobStatus.CANCELLED)
    start = Barrier(2)
    reopener = Reopener(postgres_database, FakeQueue(), Registry([]), waiting_jobs(postgres_database))

    def resume() -> set[str]:
        start.wait()
        resumed = set()
        for job_id in job_ids[::-1]:
            try:
                reopener.resume(job_id)
            except (JobStateError, JobNotFoundError):
                continue
            resumed.add(job_id)
        return resumed

    def prune() -> PruneReport:
        start.wait()
        return Pruner(postgres_database, Limits()).prune()

    with ThreadPoolExecutor(2) as threads:
        resuming, pruning = threads.submit(resume), threads.submit(prune)
        resumed, report = resuming.result(), pruning.result()
    report_after = Pruner(postgres_database, Limits()).prune()
    assert report.jobs + report_after.jobs == len(job_ids) - len(resumed)
    assert count(conn, "jobs") == len(resumed)
    assert count(conn, "tasks") == len(resumed) * 3 * BATCHES
    with postgres_database.transaction() as work:
        for job_id in resumed:
            job = work.jobs.get(job_id)
            assert job is not None
            assert (job.status, job.pruned_at) == (JobStatus.PROCESSING, None)


def test_a_submission_during_the_last_step_of_a_deletion_is_a_new_job(
    postgres_database: PostgresDatabase, conn: connection
) -> None:
    check = SubmissionCheck(Services(Path(), frozenset(), postgres_database))
    submitter = Submitter(
        postgres_database, FakeQueue(), Registry([HelloWorld]), check, waiting_jobs(postgres_database)
    )
    job_id = submitter.submit("hello_world", {"n": 3}).job_id
    with conn, conn.cursor() as cursor:
        cursor.execute("UPDATE jobs SET status = 'cancelled', finished_at = now() - interval '31 days'")
    with ThreadPoolExecutor(1) as threads:
        with postgres_database.transaction() as work:
            assert work.pruning.begin(30, 10) == [job_id]
            assert work.pruning.delete_job(job_id)
            submitting = threads.submit(submitter.submit, "hello_world", {"n": 3})
            _wait_for_a_lock(conn)
        again = submitting.result(120)
    assert (again.job_id, again.status, again.created) == (job_id, JobStatus.QUEUED, True)


def test_a_job_that_a_submission_has_found_is_there_until_that_is_answered(
    postgres_database: PostgresDatabase, conn: connection
) -> None:
    old_job(postgres_database, conn, JOB)
    with postgres_database.transaction() as work:
        assert work.pruning.begin(30, 10) == [JOB]
        assert work.pruning.delete_batches(JOB, BATCHES).batches == BATCHES
    with postgres_database.transaction() as submitting:
        assert submitting.jobs.same_submission(JOB, "hello_world", "{}") is not None
        with postgres_database.transaction() as work:
            assert not work.pruning.delete_job(JOB)
        assert submitting.jobs.get(JOB) is not None
    with postgres_database.transaction() as work:
        assert work.pruning.delete_job(JOB)


def _wait_for_a_lock(conn: connection) -> None:
    """Returns when a session waits for a lock of another one."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with conn, conn.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone() != (0,):
                return
        time.sleep(0.05)
    raise AssertionError("nobody waits")
