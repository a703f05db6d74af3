"""A run starts no more tasks when half of the lease is over, and releases those that it has not started."""

from collections.abc import Mapping
from typing import Any

import pytest

from controllers.context import JsonValue, TaskContext
from core.lanes import TASKS_QUEUE
from core.statuses import JobStatus, TaskStatus
from tests.support.drive import Stand, received, second_process, stand, task_messages
from tests.support.sample_jobs import counted, sample_job
from tests.support.waiting import wait_until
from tests.unit.engine.conftest import RunClock

SHORT_SECONDS = 1.0
"""A lease. Its first half is over when a handler has moved the run's clock; it expires by that of the rows alone."""


def statuses(it: Stand, job_id: str) -> list[TaskStatus]:
    return [task.status for task in it.tasks(job_id)]


def test_tasks_that_did_not_start_in_time_are_released_while_the_others_run(run_clock: RunClock) -> None:
    with stand(lease_seconds=SHORT_SECONDS, worker_threads=1) as shell:
        seen: list[tuple[list[int], list[int]]] = []

        def run(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
            if context.task_index == 0 and context.attempt == 1:
                run_clock.seconds += SHORT_SECONDS
                wait_until(lambda: shell.queue.size(TASKS_QUEUE) == 4)
                rows = shell.tasks(context.job_id)
                seen.append(([row.attempt for row in rows], [row.failures for row in rows]))
            return context.attempt

        with second_process(shell, sample_job(counted(5), run)) as it:
            job_id = it.submit("sample")
            it.deliver_job_messages()
            it.app.worker.run(TASKS_QUEUE, received(it.queue.receive(TASKS_QUEUE)))
            assert seen == [([1, 0, 0, 0, 0], [0] * 5)]
            assert statuses(it, job_id) == [TaskStatus.COMPLETED] + [TaskStatus.RETRYING] * 4
            assert [message.send for message in task_messages(it.queue.receive(TASKS_QUEUE))] == [2] * 4


def test_released_tasks_run_later_as_if_they_had_never_been_claimed(run_clock: RunClock) -> None:
    with stand(lease_seconds=SHORT_SECONDS, worker_threads=1) as shell:

        def run(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
            if context.task_index == 0:
                run_clock.seconds += SHORT_SECONDS
                wait_until(lambda: shell.queue.size(TASKS_QUEUE) == 2)
            return context.attempt

        with second_process(shell, sample_job(counted(3), run)) as it:
            job_id = it.submit("sample")
            it.pump()
            assert [task.result for task in it.tasks(job_id)] == [1, 1, 1]
            assert it.job(job_id).status == JobStatus.COMPLETED


def test_an_outage_of_the_broker_delays_a_release_and_loses_nothing(run_clock: RunClock) -> None:
    with stand(lease_seconds=SHORT_SECONDS, worker_threads=1) as shell:

        def run(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
            if context.task_index == 0:
                run_clock.seconds += SHORT_SECONDS
                shell.queue.go_away(SHORT_SECONDS / 2)
                wait_until(lambda: statuses(shell, context.job_id)[1:] == [TaskStatus.RETRYING] * 2)
            return context.attempt

        with second_process(shell, sample_job(counted(3), run)) as it:
            job_id = it.submit("sample")
            it.deliver_job_messages()
            it.app.worker.run(TASKS_QUEUE, received(it.queue.receive(TASKS_QUEUE)))
            assert statuses(it, job_id) == [TaskStatus.COMPLETED] + [TaskStatus.RETRYING] * 2
            it.pump()
            assert [task.result for task in it.tasks(job_id)] == [1, 1, 1]


def test_a_suspect_gets_its_turn_though_the_others_took_all_the_time(run_clock: RunClock) -> None:
    with stand(lease_seconds=SHORT_SECONDS) as shell:

        def run(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
            run_clock.seconds += SHORT_SECONDS
            return None

        with second_process(shell, sample_job(counted(3), run)) as it:
            job_id = it.submit("sample")
            it.deliver_job_messages()
            with it.database.transaction() as work:
                suspects = [task.task_id for task in it.tasks(job_id)[1:]]
                assert len(work.tasks.claim(suspects, "a worker that dies", 1)) == 2
            it.clock.advance(1)
            it.app.worker.run(TASKS_QUEUE, received(it.queue.receive(TASKS_QUEUE)))
            assert sorted(statuses(it, job_id)) == [TaskStatus.COMPLETED, TaskStatus.COMPLETED, TaskStatus.RETRYING]


@pytest.mark.parametrize("n", [1, 100])
def test_a_run_that_ends_in_time_releases_nothing(n: int) -> None:
    with stand(sample_job(counted(n))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.app.worker.run(TASKS_QUEUE, received(it.queue.receive(TASKS_QUEUE)))
        assert statuses(it, job_id) == [TaskStatus.COMPLETED] * n
        assert it.queue.size(TASKS_QUEUE) == 0
