"""Bulk actions: the jobs that they are about, their progress, and their leases."""

from dataclasses import replace
from datetime import timedelta

import pytest

from core.bulk_actions import APPLIES_TO, MOST_REASONS, BulkKind, JobRefusal
from core.job_listing import JobFilter, JobPlace
from core.job_waits import StartConditions
from core.models import Job
from core.statuses import JobStatus
from repositories.ports import Database
from tests.contract.repositories.building import (
    JOB,
    OTHER_JOB,
    batch_of,
    create_batch,
    create_job,
    start_job,
    start_stage,
)
from tests.contract.repositories.harness import Harness

ACTION, LEASE = "a" * 32, 60.0
LIVE = JobFilter(statuses=APPLIES_TO[BulkKind.CANCEL])
ENDED_AGO = 100.0


def create(database: Database, where: JobFilter = LIVE, action_id: str = ACTION) -> None:
    with database.transaction() as work:
        work.bulk_actions.create(action_id, BulkKind.CANCEL, where)


def job_of(database: Database, job_id: str = JOB) -> Job:
    with database.transaction() as work:
        job = work.jobs.get(job_id)
    assert job is not None
    return job


def two_jobs(harness: Harness) -> None:
    create_job(harness.database)
    harness.pass_time(1)
    create_job(harness.database, OTHER_JOB)
    harness.pass_time(1)


def test_an_action_counts_the_jobs_of_its_filter(harness: Harness) -> None:
    database = harness.database
    two_jobs(harness)
    first = job_of(database)
    with database.transaction() as work:
        count = work.bulk_actions.count
        assert count(LIVE) == count(replace(LIVE, job_type="hello_world")) == 2
        assert count(replace(LIVE, job_type="another")) == count(JobFilter(statuses=APPLIES_TO[BulkKind.DELETE])) == 0
        assert count(replace(LIVE, created_before=first.created_at)) == 0
        assert count(replace(LIVE, created_from=first.created_at)) == 2
        assert count(replace(LIVE, created_before=first.created_at + timedelta(days=9))) == 2
    create(database)
    with database.transaction() as work:
        action = work.bulk_actions.get(ACTION)
        assert work.bulk_actions.get("b" * 32) is None
    assert action is not None
    assert (action.kind, action.matched, action.done, action.failed, action.failures) == (BulkKind.CANCEL, 2, 0, 0, [])
    assert (action.where.statuses, action.after, action.finished_at) == (LIVE.statuses, None, None)
    assert action.where.created_before == action.created_at


def test_actions_are_listed_the_newest_first_without_their_failures(harness: Harness) -> None:
    database = harness.database
    two_jobs(harness)
    action_ids = [letter * 32 for letter in "cab"]
    for action_id in action_ids:
        create(database, action_id=action_id)
        harness.pass_time(1)
    with database.transaction() as work:
        work.bulk_actions.take("mine", LEASE, action_ids[2])
        place = JobPlace(job_of(database).created_at, JOB)
        assert work.bulk_actions.record(action_ids[2], "mine", place, "no", LEASE)
    with database.transaction() as work:
        newest = work.bulk_actions.newest
        first, rest = newest(None, 2), newest(action_ids[1], 2)
        assert newest(action_ids[0], 2) == newest("d" * 32, 2) == []
        whole = work.bulk_actions.get(action_ids[2])
    assert [[each.action_id for each in page] for page in (first, rest)] == [action_ids[:0:-1], action_ids[:1]]
    assert (first.has_more, rest.has_more) == (True, False)
    assert whole is not None
    assert first[0] == replace(whole, failures=[])
    assert (first[0].failed, first[0].where, len(whole.failures)) == (1, whole.where, 1)


def test_actions_of_one_moment_are_listed_once(database: Database) -> None:
    with database.transaction() as work:
        for letter in "cab":
            work.bulk_actions.create(letter * 32, BulkKind.CANCEL, LIVE)
    with database.transaction() as work:
        first = work.bulk_actions.newest(None, 2)
        assert [each.action_id[0] for each in (*first, *work.bulk_actions.newest(first[-1].action_id, 2))] == [*"cba"]


def test_one_host_at_a_time_carries_an_action_out(harness: Harness) -> None:
    database = harness.database
    create(database)
    with database.transaction() as work:
        action = work.bulk_actions.take("mine", LEASE)
        assert action is not None
        assert action.action_id == ACTION
    with database.transaction() as work:
        assert work.bulk_actions.take("other", LEASE) is None
        assert not work.bulk_actions.renew(ACTION, "other", LEASE)
        assert work.bulk_actions.renew(ACTION, "mine", LEASE)
    harness.pass_time(LEASE)
    with database.transaction() as work:
        assert work.bulk_actions.take("other", LEASE, "b" * 32) is None
        assert work.bulk_actions.take("other", LEASE, ACTION) is not None
    place = JobPlace(action.created_at, JOB)
    with database.transaction() as work:
        assert not work.bulk_actions.record(ACTION, "mine", place, None, LEASE)
        assert not work.bulk_actions.finish(ACTION, "mine")
        work.bulk_actions.release(ACTION, "mine")
        assert work.bulk_actions.take("third", LEASE) is None
        work.bulk_actions.release(ACTION, "other")
        assert work.bulk_actions.take("third", LEASE) is not None


def test_the_row_tells_how_far_an_action_has_come(database: Database) -> None:
    create_job(database)
    place = JobPlace(job_of(database).created_at, JOB)
    create(database)
    with database.transaction() as work:
        work.bulk_actions.take("mine", LEASE)
        assert work.bulk_actions.record(ACTION, "mine", place, None, LEASE)
        for number in range(MOST_REASONS + 1):
            assert work.bulk_actions.record(ACTION, "mine", place, f"reason {number}", LEASE)
    with database.transaction() as work:
        action = work.bulk_actions.get(ACTION)
        assert action is not None
        assert (action.done, action.failed, action.after) == (1, MOST_REASONS + 1, place)
        assert action.failures == [JobRefusal(JOB, f"reason {number}") for number in range(MOST_REASONS)]
        assert work.bulk_actions.finish(ACTION, "mine")
        assert not work.bulk_actions.record(ACTION, "mine", place, None, LEASE)
    with database.transaction() as work:
        finished = work.bulk_actions.get(ACTION)
        assert finished is not None
        assert finished.finished_at is not None
        assert work.bulk_actions.take("other", LEASE) is None


def test_the_oldest_action_comes_first(harness: Harness) -> None:
    create(harness.database, action_id="b" * 32)
    harness.pass_time(1)
    create(harness.database, action_id=ACTION)
    with harness.database.transaction() as work:
        found = [work.bulk_actions.take(f"lease {number}", LEASE) for number in range(3)]
    assert [action and action.action_id for action in found] == ["b" * 32, ACTION, None]


def marked(database: Database) -> bool:
    with database.transaction() as work:
        return work.bulk_actions.mark_for_deletion(JOB, ENDED_AGO)


def end(database: Database, status: JobStatus = JobStatus.CANCELLED) -> None:
    with database.transaction() as work:
        assert work.jobs.finish(JOB, status, None, None)


def test_a_job_that_ended_a_while_ago_is_marked_and_no_other(harness: Harness) -> None:
    database = harness.database
    assert not marked(database)
    create_job(database)
    harness.pass_time(ENDED_AGO)
    assert not marked(database)
    end(database)
    assert not marked(database)
    harness.pass_time(ENDED_AGO)
    assert marked(database)
    at = job_of(database).pruned_at
    assert at is not None
    harness.pass_time(1)
    assert marked(database)
    with database.transaction() as work:
        assert not work.jobs.reopen(JOB, {JobStatus.CANCELLED})


def test_a_job_with_tasks_that_have_not_ended_is_not_marked(harness: Harness) -> None:
    start_job(harness.database)
    start_stage(harness.database)
    create_batch(harness.database, batch_of(1))
    end(harness.database)
    harness.pass_time(ENDED_AGO)
    assert not marked(harness.database)


@pytest.mark.parametrize("is_due", [True, False])
def test_a_job_whose_hook_has_not_run_is_not_marked(harness: Harness, is_due: bool) -> None:  # noqa: FBT001 - a parameter of the test
    database = harness.database
    create_job(database)
    end(database)
    with database.transaction() as work:
        work.hooks.owe(JOB)
    harness.pass_time(ENDED_AGO)
    assert not marked(database)
    with database.transaction() as work:
        attempt = work.hooks.begin(JOB, 10)
        assert attempt is not None
        if is_due:
            work.hooks.succeed(attempt)
    assert marked(database) == is_due


def test_a_job_that_a_waiting_job_has_not_seen_end_is_not_marked(harness: Harness) -> None:
    database = harness.database
    create_job(database)
    with database.transaction() as work:
        assert work.jobs.create(OTHER_JOB, "hello_world", "{}", 1, status=JobStatus.WAITING)
        work.waits.add(OTHER_JOB, StartConditions(None, (JOB,)), None)
    end(database)
    harness.pass_time(ENDED_AGO)
    assert not marked(database)
