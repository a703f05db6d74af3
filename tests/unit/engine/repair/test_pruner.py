"""Jobs that ended long ago are deleted."""

import logging
from itertools import count
from typing import Any

import pytest

from core.lanes import TASKS_QUEUE
from core.statuses import JobStatus
from engine.process.limits import Limits
from engine.repair.pruner import Pruner, PruneReport
from tests.fakes.jobs import FakeJobRepository
from tests.support.drive import Stand, received, stand
from tests.support.sample_jobs import counted, sample_job

DAY_SECONDS = 24 * 60 * 60
N = 2_350


def completed(it: Stand, label: str = "a") -> str:
    job_id = it.submit("sample", label=label)
    it.pump()
    assert it.job(job_id).status == JobStatus.COMPLETED
    return job_id


def exists(it: Stand, job_id: str) -> bool:
    with it.database.transaction() as work:
        return work.jobs.get(job_id) is not None


def test_an_old_job_goes_with_all_its_rows_and_a_younger_one_stays(caplog: pytest.LogCaptureFixture) -> None:
    with stand(sample_job(counted(N))) as it:
        old = completed(it)
        it.clock.advance(29 * DAY_SECONDS)
        young = completed(it, "b")
        assert it.app.pruner.prune() == PruneReport()
        it.clock.advance(2 * DAY_SECONDS)
        with caplog.at_level(logging.INFO, "engine.repair.pruner"):
            assert it.app.pruner.prune() == PruneReport(jobs=1, batches=24, tasks=N)
        assert "1 jobs that ended more than 30 days ago are deleted: 24 batches, 2350 tasks" in caplog.text
        assert not exists(it, old)
        assert (it.tasks(old), it.batches(old), it.stage_or_none(old)) == ([], [], None)
        assert it.job(young).status == JobStatus.COMPLETED
        assert len(it.batches(young)) == 24


def test_zero_days_keep_everything() -> None:
    with stand(sample_job(counted(3)), retention_days=0) as it:
        job_id = completed(it)
        it.clock.advance(100_000 * DAY_SECONDS)
        assert it.app.pruner.prune() == PruneReport()
        assert exists(it, job_id)


def test_more_jobs_than_fit_one_transaction_are_all_deleted() -> None:
    with stand(sample_job(counted(1))) as it:
        for number in range(205):
            completed(it, str(number))
        it.clock.advance(31 * DAY_SECONDS)
        assert it.app.pruner.prune() == PruneReport(jobs=205, batches=205, tasks=205)


def test_a_run_ends_in_time_and_the_next_one_goes_on() -> None:
    with stand(sample_job(counted(N))) as it:
        job_id = completed(it)
        it.clock.advance(31 * DAY_SECONDS)
        seconds = iter(range(0, 10_000, 100))
        report = Pruner(it.database, Limits(), clock=lambda: next(seconds)).prune()
        assert report == PruneReport(jobs=0, batches=10, tasks=1_000)
        assert exists(it, job_id)
        assert it.app.pruner.prune() == PruneReport(jobs=1, batches=14, tasks=N - 1_000)


def test_a_job_whose_task_still_runs_is_kept_until_that_has_ended() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        with it.database.transaction() as work:
            assert work.tasks.claim([f"{job_id}-s01-t0000000"], "somebody", 100 * DAY_SECONDS)
        it.app.canceller.cancel(job_id)
        it.pump()
        it.clock.advance(50 * DAY_SECONDS)
        assert it.app.pruner.prune() == PruneReport()
        it.clock.advance(100 * DAY_SECONDS)
        it.app.worker.run(TASKS_QUEUE, received(it.queue.receive(TASKS_QUEUE)))
        it.app.sweeper.sweep()
        it.pump()
        assert it.app.pruner.prune().jobs == 1


def test_the_same_parameters_are_a_new_job_after_the_deletion() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = completed(it)
        it.clock.advance(31 * DAY_SECONDS)
        it.app.pruner.prune()
        again = it.app.submitter.submit("sample", {"label": "a"})
        assert (again.job_id, again.created) == (job_id, True)
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_job_that_is_deleted_while_it_is_submitted_is_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    create = FakeJobRepository.create
    calls = count()

    def find_it_at_first(jobs: FakeJobRepository, *job: Any, **named: Any) -> bool:
        return next(calls) > 0 and create(jobs, *job, **named)

    with stand(sample_job(counted(1))) as it:
        monkeypatch.setattr(FakeJobRepository, "create", find_it_at_first)
        submission = it.app.submitter.submit("sample", {})
        assert submission.created
        it.pump()
        assert it.job(submission.job_id).status == JobStatus.COMPLETED
