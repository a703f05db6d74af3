"""Leases that are held for long: their holder renews them, or learns that they are lost."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from controllers.context import JobContext, StageContext, TaskContext
from core.definitions import TaskDefinition
from core.errors import DatabaseError, DatabaseUnavailableError, LockTimeoutError, RefusedValueError
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.models import StageKey
from core.statuses import StageStatus, TaskStatus
from tests.fakes.tasks import FakeTaskRepository
from tests.support.drive import Stand, second_process, stand
from tests.support.sample_jobs import SampleParameters, Tasks, counted, sample_job
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("late_starts")

SHORT_SECONDS = 0.5
"""A lease is renewed after a third of this, by the real clock; it expires by the fake one alone."""


def test_the_lease_of_a_running_task_is_renewed() -> None:
    with stand(lease_seconds=SHORT_SECONDS) as shell:

        def handler(context: TaskContext, parameters: Mapping[str, Any]) -> bool:
            before = shell.tasks(context.job_id)[0].lease_expires_at
            shell.clock.advance(SHORT_SECONDS / 2)
            wait_until(lambda: shell.tasks(context.job_id)[0].lease_expires_at != before)
            return context.is_cancelled()

        with second_process(shell, sample_job(counted(1), handler)) as it:
            job_id = it.submit("sample")
            it.pump()
            (task,) = it.tasks(job_id)
            assert (task.status, task.result, task.attempt) == (TaskStatus.COMPLETED, False, 1)


def test_a_handler_whose_lease_is_lost_is_told_and_its_outcome_does_not_count() -> None:
    with stand(lease_seconds=SHORT_SECONDS) as shell:

        def taken_over(task_id: str) -> bool:
            shell.clock.advance(SHORT_SECONDS * 2)
            with shell.database.transaction() as work:
                return bool(work.tasks.claim([task_id], "another worker", 50))

        def handler(context: TaskContext, parameters: Mapping[str, Any]) -> str:
            wait_until(lambda: taken_over(context.task_id))  # a renewal may come between
            wait_until(context.is_cancelled)
            return "zombie"

        with second_process(shell, sample_job(counted(1), handler)) as it:
            job_id = it.submit("sample")
            it.deliver_job_messages()
            it.deliver_task_messages()
            (task,) = it.tasks(job_id)
            assert (task.status, task.result, task.attempt) == (TaskStatus.PROCESSING, None, 2)
            assert it.queue.size(JOBS_QUEUE) == 0


def taken_over_at(index: int, it: list[Stand], count: int) -> Tasks:
    """As `counted`, but another dispatcher takes the stage over at an index."""

    def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        for definition in counted(count)(job, stage):
            if definition.index == index:
                it[0].clock.advance(1_000)
                with it[0].database.transaction() as work:
                    assert work.stages.acquire_dispatch_lease(StageKey(job.job_id, stage.number), "another", 50)
            yield definition

    return tasks


def test_a_dispatcher_renews_its_lease_as_it_goes() -> None:
    with stand(sample_job(counted(300)), lease_seconds=1e-9) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        assert it.stage(job_id).status == StageStatus.RUNNING


def test_a_dispatcher_that_was_taken_over_stops_and_leaves_the_rest_to_the_other() -> None:
    there: list[Stand] = []
    with stand(sample_job(taken_over_at(150, there, 1_000)), lease_seconds=1e-9) as it:
        there.append(it)
        job_id = it.submit("sample")
        it.deliver_job_messages()
        assert it.stage(job_id).status == StageStatus.DISPATCHING
        assert len(it.tasks(job_id)) <= 100
        assert it.queue.size(JOBS_QUEUE) == 0


def test_a_dispatcher_that_was_taken_over_at_the_very_end_does_not_close_the_stage() -> None:
    there: list[Stand] = []
    with stand(sample_job(taken_over_at(9, there, 10))) as it:
        there.append(it)
        job_id = it.submit("sample")
        it.deliver_job_messages()
        assert it.stage(job_id).status == StageStatus.DISPATCHING
        it.pump()
        assert it.stage(job_id).status == StageStatus.DISPATCHING
        assert (it.queue.size(JOBS_QUEUE), it.queue.size(TASKS_QUEUE)) == (0, 0)


def test_a_task_that_has_ended_keeps_its_lease_while_its_neighbours_run() -> None:
    with stand(lease_seconds=SHORT_SECONDS) as shell:

        def handler(context: TaskContext, parameters: Mapping[str, Any]) -> int:
            if context.task_index == 1:
                for _ in range(3):
                    before = shell.tasks(context.job_id)[0].lease_expires_at
                    shell.clock.advance(SHORT_SECONDS / 2)
                    wait_until(lambda: shell.tasks(context.job_id)[0].lease_expires_at != before)  # noqa: B023 - called in this turn of the loop
            return context.attempt

        with second_process(shell, sample_job(counted(2), handler)) as it:
            job_id = it.submit("sample")
            it.pump()
            assert [(task.status, task.result) for task in it.tasks(job_id)] == [(TaskStatus.COMPLETED, 1)] * 2


def test_a_run_whose_renewal_fails_is_given_up_as_a_whole() -> None:
    started: list[int] = []
    told = threading.Event()
    with stand(lease_seconds=SHORT_SECONDS, worker_threads=1) as shell:

        def handler(context: TaskContext, parameters: Mapping[str, Any]) -> None:
            started.append(context.task_index)
            wait_until(context.is_cancelled)
            told.set()

        with second_process(shell, sample_job(counted(5), handler)) as it:
            it.submit("sample")
            it.deliver_job_messages()
            with renewals(RefusedValueError("no"), lambda: bool(started)), pytest.raises(RefusedValueError):
                it.deliver_task_messages()
            assert told.wait(120)
    assert started == [0]


@pytest.mark.parametrize(
    "error",
    [
        DatabaseUnavailableError("unavailable"),
        DatabaseError("permission denied"),
        LockTimeoutError("a migration holds the table"),
    ],
)
def test_a_renewal_that_the_database_does_not_take_does_not_end_the_run(error: DatabaseError) -> None:
    with stand(lease_seconds=SHORT_SECONDS) as shell:

        def handler(context: TaskContext, parameters: Mapping[str, Any]) -> bool:
            with renewals(error) as tried:
                wait_until(lambda: len(tried) >= 2)
            before = shell.tasks(context.job_id)[0].lease_expires_at
            shell.clock.advance(SHORT_SECONDS / 2)
            wait_until(lambda: shell.tasks(context.job_id)[0].lease_expires_at != before)
            return context.is_cancelled()

        with second_process(shell, sample_job(counted(1), handler)) as it:
            job_id = it.submit("sample")
            it.pump()
            (task,) = it.tasks(job_id)
            assert (task.status, task.result, task.attempt) == (TaskStatus.COMPLETED, False, 1)


@contextmanager
def renewals(error: DatabaseError, when: Callable[[], bool] = lambda: True) -> Iterator[list[DatabaseError]]:
    """Makes renewals of task leases fail, the first one once a condition holds; yields the errors that were raised."""
    failed: list[DatabaseError] = []

    def fail(*_: object) -> set[str]:
        wait_until(when)
        failed.append(error)
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeTaskRepository, "renew_leases", fail)
        yield failed
