"""Waiting jobs: what they wait for, whose turn it is, and who holds an exclusive key."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from core.job_waits import AwaitedJob, JobEnd, StartConditions
from core.models import StageKey
from core.statuses import JobStatus, StageStatus
from core.task_runs import BatchDelta
from repositories.ports import Database, UnitOfWork
from tests.contract.repositories.building import ERROR, batch_of, create_batch, end_batch
from tests.contract.repositories.harness import Harness
from tests.support.waiting import LONG_SECONDS, wait_until

A, B, C, D = (letter * 32 for letter in "abcd")
WAIT_SECONDS = LONG_SECONDS


def change(database: Database, action: Callable[[UnitOfWork], Any]) -> Any:
    with database.transaction() as work:
        return action(work)


def wait(
    database: Database, job_id: str, *after: str, key: str | None = None, start_in: float | None = None
) -> list[str]:
    """Creates a job that waits; returns the jobs before it that do not exist."""
    with database.transaction() as work:
        assert work.jobs.create(job_id, "hello_world", "{}", 3, JobStatus.WAITING)
        start_at = None if start_in is None else work.now() + timedelta(seconds=start_in)
        return work.waits.add(job_id, StartConditions(start_at, after), key)


def hold(database: Database, job_id: str, key: str = "table") -> None:
    """Creates a job that processes its first stage and holds a key."""
    assert wait(database, job_id, key=key) == []
    with database.transaction() as work:
        assert work.waits.take_key(job_id, in_turn=True)
        work.waits.release(job_id, is_told=False)
        assert work.jobs.mark_queued(job_id)
        assert work.jobs.start(job_id)
        assert work.stages.create(StageKey(job_id, 1), "only", 0.0)


def end(database: Database, job_id: str, status: JobStatus = JobStatus.CANCELLED) -> JobEnd | None:
    with database.transaction() as work:
        if status in {JobStatus.FAILED, JobStatus.CANCELLED}:
            work.stages.stop(StageKey(job_id, 1), StageStatus(status))
        return work.jobs.finish(job_id, status, None, ERROR if status == JobStatus.FAILED else None)


def takes(database: Database, job_id: str, *, in_turn: bool = True) -> bool:
    return bool(change(database, lambda work: work.waits.take_key(job_id, in_turn=in_turn)))


def after(database: Database, job_id: str) -> list[str]:
    found: list[str] = change(database, lambda work: work.waits.candidates_after(job_id, 10))
    return found


def candidates(database: Database) -> list[str]:
    return [job_id for _, job_id in change(database, lambda work: work.waits.candidates(0, 10))]


def kinds(database: Database, job_id: str) -> list[tuple[str, Any]]:
    with database.transaction() as work:
        return [(event.kind.value, event.details) for event in work.events.page(job_id, 0, 10)]


# --- keys -------------------------------------------------------------------------------------


def test_a_key_has_one_holder(database: Database) -> None:
    hold(database, A)
    wait(database, B, key="table")
    wait(database, C, key="other")
    assert not takes(database, B)
    assert takes(database, A)
    assert takes(database, C)
    assert change(database, lambda work: work.waits.rival(B)) == A
    assert change(database, lambda work: work.waits.rival(C)) is None


def test_a_job_without_a_key_needs_none(database: Database) -> None:
    wait(database, A)
    assert takes(database, A)
    assert takes(database, B)
    assert change(database, lambda work: work.waits.rival(A)) is None


def test_of_two_jobs_that_take_a_key_at_once_the_second_waits_for_the_first(harness: Harness) -> None:
    database = harness.database
    wait(database, A, key="table")
    wait(database, B, key="table")
    with ThreadPoolExecutor(1) as thread, database.transaction() as work:
        assert work.waits.take_key(B, in_turn=False)
        second = thread.submit(takes, database, A)
        wait_until(lambda: harness.waiting() == 1)
        assert not second.done()
    assert not second.result(WAIT_SECONDS)


def test_a_key_is_free_for_the_next_when_its_release_is_committed(harness: Harness) -> None:
    database = harness.database
    hold(database, A)
    wait(database, B, key="table")
    end(database, A)
    with ThreadPoolExecutor(1) as thread, database.transaction() as work:
        assert work.waits.release_key(A)
        second = thread.submit(takes, database, B)
        wait_until(lambda: harness.waiting() == 1)
    assert second.result(WAIT_SECONDS)


def test_a_job_leaves_the_key_to_one_that_waits_longer_and_for_nothing_else(harness: Harness) -> None:
    database = harness.database
    wait(database, A, key="table", start_in=600)
    wait(database, B, key="table")
    wait(database, C, key="table")
    assert not takes(database, C)
    assert change(database, lambda work: work.waits.rival(C)) == B
    assert takes(database, B)
    change(database, lambda work: work.waits.release(B))
    assert after(database, B) == []


def test_the_key_of_a_job_is_released_when_it_has_ended_and_not_before(database: Database) -> None:
    hold(database, A)
    assert not change(database, lambda work: work.waits.release_key(A))
    assert end(database, A) == JobEnd(holds_key=True, is_awaited=False)
    assert change(database, lambda work: work.waits.release_key(A))
    assert not change(database, lambda work: work.waits.release_key(A))


def test_the_last_batch_of_a_stopped_stage_releases_the_key(database: Database) -> None:
    hold(database, A)
    batches = [batch_of(2, index, job_id=A) for index in range(2)]
    for batch in batches:
        create_batch(database, batch)
    wait(database, B, key="table")
    end(database, A)
    assert not change(database, lambda work: work.waits.release_key(A))
    assert change(database, lambda work: work.waits.release_kept_keys(10)) == 0
    assert after(database, A) == []
    end_batch(database, batches[0].batch_id, completed=2)
    assert not takes(database, B)
    end_batch(database, batches[1].batch_id, completed=2)
    assert after(database, A) == [B]
    assert takes(database, B)


def test_the_last_batch_of_a_stage_releases_no_key_of_a_job_that_has_not_ended(database: Database) -> None:
    hold(database, A)
    batch = batch_of(2, job_id=A)
    create_batch(database, batch)
    change(database, lambda work: work.stages.stop(StageKey(A, 1), StageStatus.FAILED))
    wait(database, B, key="table")
    end_batch(database, batch.batch_id, completed=0, failed=2)
    assert not takes(database, B)


def test_the_end_of_a_job_and_of_its_last_batch_at_once_release_its_key(harness: Harness) -> None:
    """The stage has failed, and its job fails while the last batch ends: neither sees the change of the other."""
    database = harness.database
    hold(database, A)
    batch = batch_of(2, job_id=A)
    create_batch(database, batch)
    change(database, lambda work: work.stages.stop(StageKey(A, 1), StageStatus.FAILED))
    wait(database, B, key="table")

    def fail() -> bool:
        with database.transaction() as work:
            assert work.jobs.finish(A, JobStatus.FAILED, None, ERROR)
            return work.waits.release_key(A)

    with ThreadPoolExecutor(1) as thread, database.transaction() as work:
        assert work.batches.apply_outcomes([BatchDelta(batch.batch_id, 0, 2)]) == [batch.batch_id]
        work.stages.add_finished_batches([batch.batch_id])
        failing = thread.submit(fail)
        wait_until(lambda: harness.waiting() == 1)
    assert failing.result(WAIT_SECONDS)
    assert takes(database, B)


def test_a_key_that_was_kept_beyond_the_end_of_its_job_is_found(database: Database) -> None:
    hold(database, A)
    hold(database, B, "other")
    end(database, A)
    assert change(database, lambda work: work.waits.release_kept_keys(10)) == 1
    assert change(database, lambda work: work.waits.release_kept_keys(10)) == 0
    assert not takes(database, A, in_turn=False) or change(database, lambda work: work.waits.release_kept_keys(10)) == 1


# --- jobs before a job ------------------------------------------------------------------------


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_ERRORS])
def test_a_job_that_has_completed_is_waited_for_no_more(database: Database, status: JobStatus) -> None:
    hold(database, A)
    wait(database, B, A)
    assert change(database, lambda work: work.waits.get(B)).open_after == [AwaitedJob(A, JobStatus.PROCESSING)]
    assert candidates(database) == []
    assert end(database, A, status) == JobEnd(holds_key=True, is_awaited=True)
    assert after(database, A) == candidates(database) == [B]
    assert change(database, lambda work: work.waits.lock(B)).open_after == []
    assert after(database, A) == []
    wait(database, C, A)
    assert change(database, lambda work: work.waits.get(C)).open_after == []


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED])
def test_a_job_that_has_not_completed_stays_open(database: Database, status: JobStatus) -> None:
    hold(database, A)
    wait(database, B, A)
    end(database, A, status)
    assert after(database, A) == candidates(database) == [B]
    (open_after,) = change(database, lambda work: work.waits.lock(B)).open_after
    assert (open_after, open_after.cannot_complete) == (AwaitedJob(A, status), True)
    assert after(database, A) == [B]


def test_a_job_before_it_must_exist_and_be_another(database: Database) -> None:
    hold(database, A)
    assert wait(database, B, A, B, C) == [B, C]
    assert change(database, lambda work: work.waits.get(B)).open_after == []


def test_the_end_of_a_job_waits_for_a_submission_that_starts_after_it(harness: Harness) -> None:
    database = harness.database
    hold(database, A)
    with ThreadPoolExecutor(1) as thread, database.transaction() as work:
        assert work.jobs.create(B, "hello_world", "{}", 3, JobStatus.WAITING)
        assert work.waits.add(B, StartConditions(None, (A,)), None) == []
        ending = thread.submit(end, database, A, JobStatus.COMPLETED)
        wait_until(lambda: harness.waiting() == 1)
    assert ending.result(WAIT_SECONDS) == JobEnd(holds_key=True, is_awaited=True)


def test_a_job_that_was_deleted_before_it_was_seen_to_complete_cannot_complete(database: Database) -> None:
    assert AwaitedJob(A, None).cannot_complete


def test_a_job_whose_end_a_waiting_job_has_not_seen_is_not_pruned(harness: Harness) -> None:
    database = harness.database
    hold(database, A)
    wait(database, B, A)
    end(database, A, JobStatus.COMPLETED)
    change(database, lambda work: work.waits.release_key(A))
    harness.pass_time(31 * 86_400)
    assert change(database, lambda work: work.pruning.begin(30, 10)) == []
    change(database, lambda work: work.waits.lock(B))
    assert change(database, lambda work: work.pruning.begin(30, 10)) == [A]
    assert change(database, lambda work: work.pruning.delete_job(A))
    assert change(database, lambda work: work.waits.get(B)).open_after == []


# --- time, release, events --------------------------------------------------------------------


def test_a_job_is_due_at_its_time(harness: Harness) -> None:
    database = harness.database
    wait(database, A, start_in=600)
    assert (change(database, lambda work: work.waits.get(A)).is_due, candidates(database)) == (False, [])
    harness.pass_time(601)
    assert (change(database, lambda work: work.waits.get(A)).is_due, candidates(database)) == (True, [A])


def test_a_job_is_released_once(database: Database) -> None:
    wait(database, A, start_in=600)
    change(database, lambda work: work.waits.tell(A))
    change(database, lambda work: work.waits.release(A))
    assert change(database, lambda work: work.jobs.get(A)).status == JobStatus.PENDING_QUEUE
    assert change(database, lambda work: work.waits.lock(A)) is None
    assert change(database, lambda work: work.waits.get(A)) is None
    told = kinds(database, A)
    assert [kind for kind, _ in told] == ["submitted", "waiting", "released"]
    assert told[1][1].keys() == {"start_at", "exclusive"}


def test_the_event_of_a_wait_says_what_for(database: Database) -> None:
    hold(database, A)
    wait(database, B, A, key="table")
    change(database, lambda work: work.waits.tell(B))
    assert kinds(database, B)[1] == ("waiting", {"exclusive": True, "after": 1})
    assert change(database, lambda work: work.waits.get(B)).key_holder == A


def test_a_waiting_job_can_be_cancelled_and_waits_again_but_for_no_time(database: Database) -> None:
    wait(database, A, start_in=600)
    assert not change(database, lambda work: work.jobs.finish(A, JobStatus.FAILED, None, ERROR))
    assert change(database, lambda work: work.jobs.finish(A, JobStatus.CANCELLED, None, None))
    assert candidates(database) == []
    assert change(database, lambda work: work.jobs.reopen(A, {JobStatus.CANCELLED}))
    assert change(database, lambda work: work.jobs.get(A)).status == JobStatus.WAITING
    change(database, lambda work: work.waits.wait_again(A))
    assert candidates(database) == [A]


def test_candidates_come_in_their_turn_page_by_page(database: Database) -> None:
    for job_id in (C, A, B):
        wait(database, job_id)
    pages = []
    turn = 0
    while found := change(database, lambda work, turn=turn: work.waits.candidates(turn, 2)):  # type: ignore[misc]
        pages.append([job_id for _, job_id in found])
        turn, _ = found[-1]
    assert pages == [[C, A], [B]]


def test_jobs_without_conditions_have_no_rows(database: Database) -> None:
    with database.transaction() as work:
        assert work.jobs.create(A, "hello_world", "{}", 3)
        assert work.waits.get(A) is None
        assert work.jobs.finish(A, JobStatus.CANCELLED, None, None) == JobEnd(holds_key=False, is_awaited=False)
        assert work.jobs.reopen(A, {JobStatus.CANCELLED})
        job = work.jobs.get(A)
    assert job is not None
    assert job.status == JobStatus.PENDING_QUEUE
