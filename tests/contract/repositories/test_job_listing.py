"""The list of jobs: order, filters, places, and the text in their parameters."""

import json
from datetime import timedelta
from typing import Any

import pytest

from core.job_listing import JobFilter, JobPlace, SearchedJobs
from core.models import StageKey
from core.statuses import JobStatus
from core.task_runs import BatchDelta
from repositories.ports import Database
from tests.contract.repositories.building import ERROR, JOB, batch_of, create_batch, start_job, start_stage
from tests.contract.repositories.harness import Harness

ANY = JobFilter()
OLDEST, MIDDLE, NEWEST = (f"{number:032x}" for number in (9, 5, 7))


def create(harness: Harness, job_id: str, job_type: str = "hello_world", **parameters: Any) -> None:
    harness.pass_time(60)
    with harness.database.transaction() as work:
        assert work.jobs.create(job_id, job_type, json.dumps(parameters), 2)


@pytest.fixture
def jobs(harness: Harness) -> Harness:
    """Three jobs, created a minute apart; the newest has failed."""
    create(harness, OLDEST, name="One")
    create(harness, MIDDLE, "ingest_csv", source="a.csv")
    create(harness, NEWEST, name="two", more={"a": ["ÄÖ one", 3]})
    with harness.database.transaction() as work:
        assert work.jobs.finish(NEWEST, JobStatus.FAILED, None, ERROR)
    return harness


def listed(database: Database, where: JobFilter = ANY, after: JobPlace | None = None, limit: int = 10) -> list[str]:
    with database.transaction() as work:
        return list(work.job_listing.newest(where, after, limit))


def searched(database: Database, text: str, after: JobPlace | None = None, **limits: int) -> SearchedJobs:
    with database.transaction() as work:
        return work.job_listing.searched(ANY, after, text, **limits)


def test_the_newest_job_is_the_first(jobs: Harness) -> None:
    assert listed(jobs.database) == [NEWEST, MIDDLE, OLDEST]


def test_jobs_of_one_moment_are_in_the_order_of_their_ids(database: Database) -> None:
    with database.transaction() as work:
        for job_id in (MIDDLE, OLDEST, NEWEST):
            assert work.jobs.create(job_id, "hello_world", "{}", 1)
    assert listed(database) == [OLDEST, NEWEST, MIDDLE]


def test_pages_meet_without_gap_or_overlap(jobs: Harness) -> None:
    with jobs.database.transaction() as work:
        first = work.job_listing.newest(ANY, None, 2)
        (*_, last) = work.job_listing.of_ids(first)
        second = work.job_listing.newest(ANY, last.place, 2)
    assert (first, first.has_more, second, second.has_more) == ([NEWEST, MIDDLE], True, [OLDEST], False)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (JobFilter(job_type="ingest_csv"), [MIDDLE]),
        (JobFilter(job_type="unknown"), []),
        (JobFilter(statuses=frozenset({JobStatus.FAILED, JobStatus.CANCELLED})), [NEWEST]),
        (JobFilter("hello_world", frozenset({JobStatus.PENDING_QUEUE})), [OLDEST]),
    ],
    ids=["a type", "a type that no job has", "two statuses", "a type and a status"],
)
def test_the_list_is_filtered(jobs: Harness, where: JobFilter, expected: list[str]) -> None:
    assert listed(jobs.database, where) == expected


def test_the_list_is_filtered_by_the_time_of_creation(jobs: Harness) -> None:
    with jobs.database.transaction() as work:
        (middle,) = work.job_listing.of_ids([MIDDLE])
    at = middle.created_at
    assert listed(jobs.database, JobFilter(created_from=at)) == [NEWEST, MIDDLE]
    assert listed(jobs.database, JobFilter(created_before=at)) == [OLDEST]
    within = JobFilter(created_from=at - timedelta(seconds=1), created_before=at + timedelta(seconds=1))
    assert listed(jobs.database, within) == [MIDDLE]


def test_a_job_is_listed_with_the_counts_of_its_ended_batches(database: Database) -> None:
    start_job(database)
    start_stage(database)
    for index in range(2):
        create_batch(database, batch_of(10, index))
    with database.transaction() as work:
        assert work.stages.acquire_dispatch_lease(StageKey(JOB, 1), "dispatcher", 60)
        assert work.stages.finish_dispatch(StageKey(JOB, 1), "dispatcher", 20, 2)
        assert work.batches.apply_outcomes([BatchDelta(f"{JOB}-s1-b0", 7, 3)])
        work.stages.add_finished_batches([f"{JOB}-s1-b0"])
    with database.transaction() as work:
        (job,) = work.job_listing.of_ids([JOB])
        row = work.jobs.get(JOB)
    assert row is not None
    assert (job.stage, job.stage_name, job.total_stages) == (1, "stage 1", 3)
    assert (job.stage_tasks, job.ended_tasks, job.failed_tasks) == (20, 10, 3)
    assert job.progress == pytest.approx(1 / 6)
    assert (job.created_at, job.started_at, job.finished_at) == (row.created_at, row.started_at, None)


def test_a_job_without_a_stage_is_listed(jobs: Harness) -> None:
    with jobs.database.transaction() as work:
        newest, middle = work.job_listing.of_ids([MIDDLE, NEWEST, "0" * 32])
    assert (middle.stage_name, middle.stage_tasks, middle.ended_tasks, middle.failed_tasks) == (None, None, 0, 0)
    assert (newest.status, newest.progress, middle.progress) == (JobStatus.FAILED, 1.0, 0.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one", [NEWEST, OLDEST]),
        ("ONE", [NEWEST, OLDEST]),
        ("a.csv", [MIDDLE]),
        ('"name": "two"', [NEWEST]),
        ("ÄÖ", [NEWEST]),
        ("%", []),
        ("_", []),
    ],
)
def test_a_text_is_found_in_the_parameters(jobs: Harness, text: str, expected: list[str]) -> None:
    found = searched(jobs.database, text)
    assert [each.job_id for each in found.matches] == expected
    assert found.last is not None
    assert (found.last.job_id, found.has_more) == (OLDEST, False)


def test_a_search_looks_at_so_many_jobs_whatever_it_finds(jobs: Harness) -> None:
    for text in ("two", "nowhere"):
        found = searched(jobs.database, text, limit=2)
        assert found.last is not None
        assert (found.last.job_id, found.has_more) == (MIDDLE, True)
        rest = searched(jobs.database, text, found.last, limit=2)
        assert rest.last is not None
        assert (rest.last.job_id, rest.has_more, rest.matches) == (OLDEST, False, [])


def test_a_search_reads_at_least_one_job_and_not_more_bytes_than_the_limit(jobs: Harness) -> None:
    found = searched(jobs.database, "two", max_bytes=1)
    assert found.last is not None
    assert (found.last.job_id, found.has_more) == (NEWEST, True)
    assert found.matches[0].parameters == {"name": "two", "more": {"a": ["ÄÖ one", 3]}}


@pytest.mark.parametrize("text", ["xxx", "nowhere"])
def test_a_search_counts_the_bytes_of_the_text_however_well_it_is_compressed(harness: Harness, text: str) -> None:
    for job_id in (OLDEST, MIDDLE, NEWEST):
        create(harness, job_id, name="x" * 100_000)
    found = searched(harness.database, text, max_bytes=250_000)
    assert found.last is not None
    assert (found.last.job_id, found.has_more) == (MIDDLE, True)


def test_a_search_beyond_the_last_job_finds_none(jobs: Harness) -> None:
    last = searched(jobs.database, "two").last
    assert searched(jobs.database, "two", last) == SearchedJobs([], None, has_more=False)
