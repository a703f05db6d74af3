"""The hook of a job is owed once for each end, tried by one host at a time, and forgotten when it has run."""

from collections.abc import Callable
from typing import Any

import pytest

from core.end_hooks import HookTry
from core.job_events import JobEventKind
from core.models import StageKey, StageOpening
from core.statuses import JobStatus, StageStatus
from repositories.ports import Database, UnitOfWork
from tests.contract.repositories.building import (
    JOB,
    KEY,
    OTHER_JOB,
    batch_of,
    create_batch,
    create_job,
    end_batch,
    start_job,
    start_stage,
)
from tests.contract.repositories.harness import Harness

SECONDS = 1_000.0
ERROR = '{"type": "ValueError", "message": "no"}'


def change(database: Database, action: Callable[[UnitOfWork], Any]) -> Any:
    with database.transaction() as work:
        return action(work)


def begin(database: Database) -> HookTry | None:
    with database.transaction() as work:
        return work.hooks.begin(JOB, SECONDS)


def begun(database: Database) -> HookTry:
    attempt = begin(database)
    assert attempt is not None
    return attempt


def end(database: Database, job_id: str = JOB) -> None:
    """Ends a job, whose hook is then owed."""
    with database.transaction() as work:
        assert work.jobs.finish(job_id, JobStatus.CANCELLED, None, None)
        work.hooks.owe(job_id)


def told(database: Database) -> list[tuple[str, int, int, int, Any]]:
    with database.transaction() as work:
        events = work.events.page(JOB, 0, 100)
    kinds = {JobEventKind.END_HOOK_RAN, JobEventKind.END_HOOK_FAILED}
    return [
        (event.kind.value, event.stage, event.opening, event.times, event.details)
        for event in events
        if event.kind in kinds
    ]


@pytest.fixture
def ended(harness: Harness) -> Database:
    """A job that ended in stage 1."""
    start_job(harness.database)
    start_stage(harness.database)
    end(harness.database)
    return harness.database


def test_a_hook_is_begun_once_until_its_time_is_over(harness: Harness, ended: Database) -> None:
    assert begun(ended).tries == 1
    assert begin(ended) is None
    harness.pass_time(SECONDS + 1)
    assert begun(ended).tries == 2


def test_a_hook_that_has_run_is_told_and_owed_no_more(harness: Harness, ended: Database) -> None:
    attempt = begun(ended)
    assert change(ended, lambda work: work.hooks.succeed(attempt))
    assert not change(ended, lambda work: work.hooks.succeed(attempt))
    harness.pass_time(SECONDS + 1)
    assert begin(ended) is None
    assert told(ended) == [("end_hook_ran", 1, 0, 1, {"tries": 1})]


def test_a_hook_that_fails_is_due_after_its_delay(harness: Harness, ended: Database) -> None:
    due_at = change(ended, lambda work: work.hooks.fail(begun_in(work), ERROR, 300))
    assert due_at is not None
    assert begin(ended) is None
    harness.pass_time(301)
    second = begun(ended)
    assert change(ended, lambda work: work.hooks.give_up(second, ERROR))
    harness.pass_time(10 * SECONDS)
    assert begin(ended) is None
    error = {"type": "ValueError", "message": "no"}
    assert told(ended) == [("end_hook_failed", 1, 0, 2, {"error": error, "given_up": True})]


def begun_in(work: UnitOfWork) -> HookTry:
    attempt = work.hooks.begin(JOB, SECONDS)
    assert attempt is not None
    return attempt


def test_a_host_whose_time_was_over_ends_nothing(harness: Harness, ended: Database) -> None:
    late = begun(ended)
    harness.pass_time(SECONDS + 1)
    begun(ended)
    assert not change(ended, lambda work: work.hooks.succeed(late))
    assert change(ended, lambda work: work.hooks.fail(late, ERROR, 1)) is None
    assert not change(ended, lambda work: work.hooks.give_up(late, ERROR))
    assert told(ended) == []


def test_a_job_that_goes_on_has_no_hook_until_its_next_end(harness: Harness, ended: Database) -> None:
    late = begun(ended)
    with ended.transaction() as work:
        work.stages.stop(KEY, StageStatus.CANCELLED)
        assert work.jobs.reopen(JOB, {JobStatus.CANCELLED})
        assert work.stages.reopen(KEY, failed_too=False)
    harness.pass_time(SECONDS + 1)
    assert begin(ended) is None
    assert change(ended, lambda work: work.hooks.overdue(0, 10)) == []
    end(ended)
    assert begun(ended).tries == 1
    assert not change(ended, lambda work: work.hooks.succeed(late))


def test_a_hook_waits_for_the_last_task_of_its_stage(database: Database) -> None:
    start_job(database)
    start_stage(database)
    batch = batch_of(2)
    create_batch(database, batch)
    with database.transaction() as work:
        work.stages.stop(KEY, StageStatus.CANCELLED)
    end(database)
    assert begin(database) is None
    end_batch(database, batch.batch_id, completed=2)
    assert begun(database).tries == 1


def test_a_hook_that_is_not_owed_is_not_begun(database: Database) -> None:
    start_job(database)
    change(database, lambda work: work.hooks.owe(JOB))
    change(database, lambda work: work.hooks.owe(OTHER_JOB))
    assert begin(database) is None


def test_an_overdue_hook_is_found_and_its_time_restarts(harness: Harness, ended: Database) -> None:
    create_job(ended, OTHER_JOB)
    end(ended, OTHER_JOB)
    found = [StageOpening(KEY, 0), StageOpening(StageKey(OTHER_JOB, 1), 0)]
    assert change(ended, lambda work: work.hooks.overdue(600, 10)) == []
    harness.pass_time(601)
    assert sorted(change(ended, lambda work: work.hooks.overdue(600, 10))) == found
    assert change(ended, lambda work: work.hooks.overdue(600, 10)) == []
    assert begun(ended).tries == 1
    harness.pass_time(601)
    assert change(ended, lambda work: work.hooks.overdue(600, 10)) == found[1:]
