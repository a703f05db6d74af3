"""Interrupted runs: they spend no attempt, but too many of them fail the task."""

from collections.abc import Mapping
from typing import Any

import pytest

from controllers.context import JsonValue, TaskContext
from core.lanes import TASKS_QUEUE
from core.messages import OutgoingMessage
from core.statuses import JobStatus, TaskStatus
from engine.tasks import worker
from tests.support.drive import Stand, received, stand
from tests.support.sample_jobs import counted, sample_job

LEASE_SECONDS = 50


class ProcessDied(BaseException):
    """Ends an invocation as a crash would."""


def dispatched(it: Stand) -> tuple[str, list[OutgoingMessage]]:
    job_id = it.submit("sample")
    it.deliver_job_messages()
    return job_id, it.queue.receive(TASKS_QUEUE)


def interrupt(it: Stand, job_id: str, times: int, *indexes: int) -> None:
    """Has workers claim tasks and die."""
    for _ in range(times):
        with it.database.transaction() as work:
            tasks = [it.tasks(job_id)[index].task_id for index in indexes]
            assert len(work.tasks.claim(tasks, "a worker that dies", LEASE_SECONDS)) == len(indexes)
        it.clock.advance(LEASE_SECONDS)


def raises(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    raise ValueError("no")


def test_an_interruption_spends_no_attempt() -> None:
    with stand(sample_job(counted(1), raises)) as it:
        job_id, messages = dispatched(it)
        interrupt(it, job_id, 2, 0)
        it.app.worker.run(TASKS_QUEUE, received(messages))
        it.pump_through_time()
        [task] = it.tasks(job_id)
        assert (task.status, task.failures, task.attempt) == (TaskStatus.FAILED, 3, 5)


def test_a_task_that_was_interrupted_too_often_fails_without_being_run() -> None:
    runs: list[str] = []

    def run(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        runs.append(context.task_id)
        return None

    with stand(sample_job(counted(1), run)) as it:
        job_id, messages = dispatched(it)
        interrupt(it, job_id, 6, 0)
        it.app.worker.run(TASKS_QUEUE, received(messages))
        it.pump()
        [task] = it.tasks(job_id)
        assert (task.status, runs) == (TaskStatus.FAILED, [])
        assert task.error is not None
        assert task.error["type"] == "TaskInterruptedError"
        assert task.error["message"].startswith("6 runs of this task were interrupted")
        assert it.job(job_id).status == JobStatus.FAILED


def test_a_task_that_kills_its_worker_fails_alone() -> None:
    """Five tasks in a batch, of which one ends the process whenever it runs."""
    running: list[set[str]] = [set()]

    def run(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        running[-1].add(context.task_id)
        return parameters["n"]

    with stand(sample_job(counted(5), run)) as it:
        job_id, messages = dispatched(it)
        poison = it.tasks(job_id)[2].task_id
        record = it.app.worker._settler._recorder.record

        def die(queue_name: str, lease_id: str, outcomes: Any) -> set[str]:
            if any(outcome.task_id == poison and outcome.status == TaskStatus.COMPLETED for outcome in outcomes):
                raise ProcessDied
            return record(queue_name, lease_id, outcomes)

        it.app.worker._settler._recorder.record = die  # type: ignore[method-assign] # dies before it records
        for _ in range(6):
            with pytest.raises(ProcessDied):
                it.app.worker.run(TASKS_QUEUE, received(messages))
            it.clock.advance(LEASE_SECONDS)
            running.append(set())
        it.app.worker.run(TASKS_QUEUE, received(messages))
        statuses = [task.status for task in it.tasks(job_id)]
        assert statuses == [TaskStatus.COMPLETED if n != 2 else TaskStatus.FAILED for n in range(5)]
        assert [len(each) for each in running[:2]] == [5, 3]
        assert running[-1].isdisjoint({poison})


def test_tasks_that_were_never_interrupted_run_together_and_first() -> None:
    order: list[int] = []

    def run(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        order.append(parameters["n"])
        return None

    with stand(sample_job(counted(4), run), worker_threads=1) as it:
        job_id, messages = dispatched(it)
        interrupt(it, job_id, 1, 0, 2)
        it.app.worker.run(TASKS_QUEUE, received(messages))
        assert sorted(order[:2]) == [1, 3]
        assert sorted(order[2:]) == [0, 2]
        assert {task.status for task in it.tasks(job_id)} == {TaskStatus.COMPLETED}
        assert [task.attempt for task in it.tasks(job_id)] == [2, 1, 2, 1]


def test_the_least_interrupted_come_first() -> None:
    order: list[int] = []

    def run(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        order.append(parameters["n"])
        return None

    with stand(sample_job(counted(3), run)) as it:
        job_id, messages = dispatched(it)
        interrupt(it, job_id, 3, 0)
        interrupt(it, job_id, 1, 2)
        interrupt(it, job_id, 2, 1)
        it.app.worker.run(TASKS_QUEUE, received(messages))
        assert order == [2, 1, 0]


def test_a_suspect_whose_turn_does_not_come_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_TURN_SECONDS", 0.01)
    with stand(sample_job(counted(2))) as it:
        job_id, messages = dispatched(it)
        interrupt(it, job_id, 1, 0)
        with it.app.worker._alone:  # another invocation of this process runs a suspect
            it.app.worker.run(TASKS_QUEUE, received(messages))
        suspect, other = it.tasks(job_id)
        assert (suspect.status, suspect.attempt) == (TaskStatus.RETRYING, 1)
        assert other.status == TaskStatus.COMPLETED
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
