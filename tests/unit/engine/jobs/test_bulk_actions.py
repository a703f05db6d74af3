"""Many jobs are cancelled, retried and deleted with one request, in slices."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import count
from typing import Any, NoReturn

import pytest

from controllers.base import StageSpec
from controllers.context import TaskContext
from core.bulk_actions import APPLIES_TO, BulkKind, JobRefusal
from core.errors import ActionNotFoundError, DatabaseUnavailableError, InvalidInputError, PermanentTaskError
from core.job_listing import JobFilter
from core.statuses import JobStatus
from engine.jobs.bulk_actions import BulkActions
from engine.jobs.waiting_jobs import WaitingJobs
from engine.process.limits import Limits
from repositories.ports import Database
from tests.fakes.bulk_actions import FakeBulkActionRepository
from tests.fakes.pruning import FakePruneRepository
from tests.support.defaults import set_defaults
from tests.support.drive import Stand, stand
from tests.support.sample_jobs import counted, sample_job

SAMPLE = JobFilter(job_type="sample")
STAGES = (StageSpec("only", max_failed_fraction=1.0),)


@pytest.fixture(autouse=True)
def _no_slice_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices take no time, unless a test gives them a clock."""
    set_defaults(monkeypatch, BulkActions.__init__, clock=lambda: 0.0)


class Broken:
    def __init__(self) -> None:
        self.is_broken = True

    def __call__(self, context: TaskContext, parameters: Mapping[str, Any]) -> None:
        if self.is_broken:
            raise PermanentTaskError("no")


def submitted(it: Stand, jobs: int) -> list[str]:
    job_ids = [it.submit("sample", label=f"job {number}") for number in range(jobs)]
    it.clock.advance(1)
    return job_ids


def of(it: Stand, clock: Callable[[], float], database: Database | None = None) -> BulkActions:
    return BulkActions(database or it.database, it.app.canceller, it.app.reopener, Limits(), clock)


def statuses(it: Stand, job_ids: list[str]) -> list[JobStatus]:
    return [it.job(job_id).status for job_id in job_ids]


def test_the_request_itself_cancels_a_few_jobs() -> None:
    with stand(sample_job(counted(3))) as it:
        job_ids = submitted(it, 3)
        assert it.app.bulk_actions.count(BulkKind.CANCEL, SAMPLE) == 3
        action = it.app.bulk_actions.begin(BulkKind.CANCEL, SAMPLE)
        assert (action.matched, action.done, action.failed) == (3, 3, 0)
        assert action.finished_at is not None
        assert statuses(it, job_ids) == [JobStatus.CANCELLED] * 3
        assert it.app.bulk_actions.count(BulkKind.CANCEL, SAMPLE) == 0


def test_a_sweep_goes_on_where_the_slice_before_ended() -> None:
    ticks = count()
    with stand(sample_job(counted(3))) as it:
        job_ids = submitted(it, 5)
        bulk = of(it, lambda: float(next(ticks)))  # one job a tick
        action = bulk.begin(BulkKind.CANCEL, SAMPLE)
        assert (action.matched, action.done, action.finished_at) == (5, 1, None)
        bulk.sweep()
        action = bulk.get(action.action_id)
        assert (action.done, action.failed) == (5, 0)
        assert action.finished_at is not None
        assert statuses(it, job_ids) == [JobStatus.CANCELLED] * 5


def test_failed_jobs_are_retried_and_other_jobs_are_not() -> None:
    handler = Broken()
    with stand(sample_job(counted(2), handler, stages=STAGES)) as it:
        failed = submitted(it, 2)
        it.pump()
        handler.is_broken = False
        good = it.submit("sample", label="job 9")
        it.pump()
        action = it.app.bulk_actions.begin(BulkKind.RETRY, SAMPLE)
        assert (action.matched, action.done) == (2, 2)
        it.pump()
        assert statuses(it, [*failed, good]) == [JobStatus.COMPLETED] * 3


def test_what_cannot_be_done_is_told_with_its_reason() -> None:
    with stand(sample_job(counted(2))) as it:
        (job_id,) = submitted(it, 1)
        it.pump()
        action = it.app.bulk_actions.begin(BulkKind.DELETE, SAMPLE)
        assert (action.done, action.failed) == (0, 1)
        assert [each.job_id for each in action.failures] == [job_id]
        assert "ended less than 300 s ago" in action.failures[0].reason
        assert it.job(job_id).pruned_at is None


def test_jobs_that_ended_a_while_ago_are_deleted_with_their_tasks() -> None:
    with stand(sample_job(counted(1_050))) as it:
        job_ids = submitted(it, 2)
        it.pump()
        it.clock.advance(1_000)
        action = it.app.bulk_actions.begin(BulkKind.DELETE, SAMPLE)
        assert (action.matched, action.done, action.failures) == (2, 2, [])
        with it.database.transaction() as work:
            assert [work.jobs.get(job_id) for job_id in job_ids] == [None, None]
        with it.database.tables() as tables:
            assert (tables.tasks.rows(), tables.batches.rows(), tables.stages.rows()) == ([], [], [])


def test_the_deletion_of_a_large_job_goes_on_in_another_slice() -> None:
    ticks = count()
    with stand(sample_job(counted(5_000))) as it:
        (job_id,) = submitted(it, 1)
        it.pump()
        it.clock.advance(1_000)
        bulk = of(it, lambda: float(next(ticks)))
        action = bulk.begin(BulkKind.DELETE, SAMPLE)
        assert (action.done, it.job(job_id).pruned_at is not None, len(it.batches(job_id))) == (0, True, 40)
        bulk.sweep()
        action = bulk.get(action.action_id)
        assert (action.done, action.failures) == (1, [])


def test_jobs_that_are_submitted_later_are_left_alone() -> None:
    ticks = count()
    with stand(sample_job(counted(3))) as it:
        submitted(it, 3)
        bulk = of(it, lambda: float(next(ticks)))
        action = bulk.begin(BulkKind.CANCEL, SAMPLE)
        it.clock.advance(1)
        later = it.submit("sample", label="job 7")
        bulk.sweep()
        assert bulk.get(action.action_id).done == 3
        assert it.job(later).status != JobStatus.CANCELLED


def test_a_slice_of_a_host_that_died_is_repeated_when_its_lease_has_expired() -> None:
    with stand(sample_job(counted(3))) as it:
        job_ids = submitted(it, 2)
        with it.database.transaction() as work:
            narrowed = JobFilter("sample", APPLIES_TO[BulkKind.CANCEL])
            work.bulk_actions.create("a" * 32, BulkKind.CANCEL, narrowed)
            assert work.bulk_actions.take("gone", 60) is not None
        it.app.canceller.cancel(job_ids[0])  # and dies before it has told so
        it.app.bulk_actions.sweep()
        assert it.app.bulk_actions.get("a" * 32).done == 0
        it.clock.advance(61)
        it.app.bulk_actions.sweep()
        action = it.app.bulk_actions.get("a" * 32)
        assert (action.done, action.finished_at is not None) == (1, True)
        assert statuses(it, job_ids) == [JobStatus.CANCELLED] * 2


def at_the_first_job(change: Callable[[], object]) -> Callable[[], float]:
    """A clock that changes something when an action has read a page of jobs, and handles the first of them."""
    calls = count()

    def clock() -> float:
        if next(calls) == 1:
            change()
        return 0.0

    return clock


@pytest.mark.parametrize("kind", BulkKind)
def test_a_job_that_no_longer_fits_the_filter_at_its_turn_is_left_alone(kind: BulkKind) -> None:
    handler = Broken()
    with stand(sample_job(counted(2), handler)) as it:
        job_ids = submitted(it, 2)
        if kind != BulkKind.CANCEL:
            it.pump()
            it.clock.advance(1_000)

        def change() -> None:
            if kind == BulkKind.CANCEL:
                it.deliver_job_messages()
                return
            handler.is_broken = False
            for job_id in job_ids:
                it.app.reopener.retry(job_id)
            it.pump()
            it.clock.advance(1_000)

        status = JobStatus.QUEUED if kind == BulkKind.CANCEL else JobStatus.FAILED
        action = of(it, at_the_first_job(change)).begin(kind, JobFilter(statuses=frozenset({status})))
        assert (action.matched, action.done, action.failed) == (2, 0, 0)
        assert action.finished_at is not None
        now = JobStatus.PROCESSING if kind == BulkKind.CANCEL else JobStatus.COMPLETED
        assert statuses(it, job_ids) == [now] * 2


@pytest.mark.parametrize("kind", BulkKind)
def test_a_job_that_is_deleted_before_its_turn_is_not_counted(kind: BulkKind) -> None:
    with stand(sample_job(counted(2), Broken())) as it:
        (job_id,) = submitted(it, 1)
        if kind != BulkKind.CANCEL:
            it.pump()
            it.clock.advance(1_000)

        def delete() -> None:
            if kind == BulkKind.CANCEL:
                it.pump()
                it.clock.advance(1_000)
            assert it.app.bulk_actions.begin(BulkKind.DELETE, SAMPLE).done == 1

        action = of(it, at_the_first_job(delete)).begin(kind, SAMPLE)
        assert (action.matched, action.done, action.failed) == (1, 0, 0)
        with it.database.transaction() as work:
            assert work.jobs.get(job_id) is None


def test_a_job_that_fails_again_is_not_retried_twice_by_one_action() -> None:
    with stand(sample_job(counted(1), Broken())) as it:
        (job_id,) = submitted(it, 1)
        it.pump()
        it.clock.advance(1)
        with it.database.transaction() as work:
            narrowed = JobFilter("sample", APPLIES_TO[BulkKind.RETRY])
            work.bulk_actions.create("a" * 32, BulkKind.RETRY, narrowed)
            assert work.bulk_actions.take("gone", 60) is not None
        it.clock.advance(1)
        it.app.reopener.retry(job_id)  # and dies before it has told so
        it.pump()
        assert (it.job(job_id).status, it.stage(job_id).openings) == (JobStatus.FAILED, 1)
        it.clock.advance(61)
        it.app.bulk_actions.sweep()
        action = it.app.bulk_actions.get("a" * 32)
        assert (action.matched, action.done, action.failed, action.finished_at is not None) == (1, 0, 0, True)
        assert (it.job(job_id).status, it.stage(job_id).openings) == (JobStatus.FAILED, 1)


def test_an_action_that_is_stored_is_told_although_its_progress_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(sample_job(counted(3))) as it:
        job_ids = submitted(it, 2)
        with monkeypatch.context() as patch:
            patch.setattr(it.app.bulk_actions, "get", _unavailable)
            action = it.app.bulk_actions.begin(BulkKind.CANCEL, SAMPLE)
        assert (action.matched, action.done, action.finished_at) == (2, 0, None)
        assert it.app.bulk_actions.get(action.action_id).done == 2
        assert statuses(it, job_ids) == [JobStatus.CANCELLED] * 2


@pytest.mark.parametrize("is_held", [False, True], ids=["released", "held"])
def test_rows_that_another_transaction_holds_are_tried_again_in_the_next_slice(
    monkeypatch: pytest.MonkeyPatch, *, is_held: bool
) -> None:
    with stand(sample_job(counted(3))) as it:
        (job_id,) = submitted(it, 1)
        it.pump()
        it.clock.advance(1_000)
        with monkeypatch.context() as patch:
            patch.setattr(FakePruneRepository, "delete_job", lambda *_: False)
            action = it.app.bulk_actions.begin(BulkKind.DELETE, SAMPLE)
            it.app.bulk_actions.sweep()  # too early: the other transaction has had no time
            action = it.app.bulk_actions.get(action.action_id)
            assert (action.done, action.failed, action.finished_at) == (0, 0, None)
            assert it.job(job_id).pruned_at is not None
            it.clock.advance(61)
            if is_held:
                it.app.bulk_actions.sweep()
        it.app.bulk_actions.sweep()
        action = it.app.bulk_actions.get(action.action_id)
        assert (action.done, action.failed) == ((0, 1) if is_held else (1, 0))
        assert action.finished_at is not None
        assert [each.reason for each in action.failures] == (
            ["another transaction holds some of its rows; delete it again"] if is_held else []
        )


def test_an_outage_ends_a_slice_and_fails_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(sample_job(counted(3))) as it:
        submitted(it, 2)
        with monkeypatch.context() as patch:
            patch.setattr(it.app.canceller, "cancel", _unavailable)
            action = it.app.bulk_actions.begin(BulkKind.CANCEL, SAMPLE)
        assert (action.done, action.failed, action.finished_at) == (0, 0, None)
        it.app.bulk_actions.sweep()
        assert it.app.bulk_actions.get(action.action_id).done == 2


def test_a_bug_fails_one_job_and_not_the_action(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(sample_job(counted(3))) as it:
        job_ids, cancel = submitted(it, 3), it.app.canceller.cancel

        def fail_once(job_id: str, *how: Any) -> JobStatus:
            if job_id == job_ids[1]:
                raise RuntimeError("a bug")
            return cancel(job_id, *how)

        monkeypatch.setattr(it.app.canceller, "cancel", fail_once)
        action = it.app.bulk_actions.begin(BulkKind.CANCEL, SAMPLE)
        assert (action.done, action.failed, action.finished_at is not None) == (2, 1, True)
        assert action.failures == [JobRefusal(job_ids[1], "an error of the app; its logs have the details")]


@pytest.mark.parametrize("kind", BulkKind)
def test_a_job_is_changed_and_counted_in_one_transaction(kind: BulkKind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the host could die between the two, and nobody would count the job: it no longer fits the filter."""
    with stand(sample_job(counted(2), Broken())) as it:
        submitted(it, 2)
        if kind != BulkKind.CANCEL:
            it.pump()
            it.clock.advance(1_000)
        with monkeypatch.context() as patch:
            patch.setattr(FakeBulkActionRepository, "record", _unavailable)
            action = it.app.bulk_actions.begin(kind, SAMPLE)
        assert (action.matched, action.done, action.failed, action.finished_at) == (2, 0, 0, None)
        it.app.bulk_actions.sweep()
        action = it.app.bulk_actions.get(action.action_id)
        assert (action.done, action.failed, action.finished_at is not None) == (2, 0, True)


@pytest.mark.parametrize("kind", BulkKind)
def test_a_host_that_has_lost_its_lease_changes_no_job(kind: BulkKind) -> None:
    with stand(sample_job(counted(2), Broken())) as it:
        job_ids = submitted(it, 2)
        if kind != BulkKind.CANCEL:
            it.pump()
            it.clock.advance(1_000)
        before = statuses(it, job_ids)

        def take_over() -> None:
            it.clock.advance(61)
            with it.database.transaction() as work:
                assert work.bulk_actions.take("other", 60) is not None

        action = of(it, at_the_first_job(take_over)).begin(kind, SAMPLE)
        assert (action.done, action.failed, action.finished_at) == (0, 0, None)
        assert statuses(it, job_ids) == before


def test_a_job_that_was_changed_counts_although_what_follows_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(sample_job(counted(2))) as it:
        job_ids = submitted(it, 2)

        def fail(*_: object) -> NoReturn:
            raise RuntimeError("a bug")

        monkeypatch.setattr(WaitingJobs, "job_ended", fail)
        action = it.app.bulk_actions.begin(BulkKind.CANCEL, SAMPLE)
        assert (action.done, action.failed, action.finished_at is not None) == (2, 0, True)
        assert statuses(it, job_ids) == [JobStatus.CANCELLED] * 2


def _unavailable(*_: object) -> NoReturn:
    raise DatabaseUnavailableError("away")


@pytest.mark.parametrize(
    ("kind", "where", "why"),
    [
        (BulkKind.DELETE, JobFilter(), "name some jobs"),
        (BulkKind.CANCEL, JobFilter(statuses=frozenset({JobStatus.FAILED})), "not failed"),
        (BulkKind.DELETE, JobFilter(statuses=frozenset({JobStatus.PROCESSING})), "not processing"),
    ],
    ids=["none", "ended", "live"],
)
def test_a_filter_that_cannot_be_meant_is_refused(kind: BulkKind, where: JobFilter, why: str) -> None:
    with stand(sample_job(counted(1))) as it:
        for ask in (it.app.bulk_actions.count, it.app.bulk_actions.begin):
            with pytest.raises(InvalidInputError, match=why):
                ask(kind, where)


def test_jobs_are_chosen_by_the_time_of_their_creation() -> None:
    with stand(sample_job(counted(1))) as it:
        submitted(it, 2)
        it.clock.advance(10)
        it.submit("sample", label="job 5")
        before = JobFilter(created_before=it.clock.now() - timedelta(seconds=5))
        it.clock.advance(1)
        assert it.app.bulk_actions.count(BulkKind.CANCEL, before) == 2
        assert it.app.bulk_actions.begin(BulkKind.CANCEL, before).done == 2


def test_an_action_that_does_not_exist_is_not_found() -> None:
    with stand(sample_job(counted(1))) as it, pytest.raises(ActionNotFoundError):
        it.app.bulk_actions.get("f" * 32)
