"""A timeout of a task on a thread: the handler is told, and the task has failed whether or not the thread returns."""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from controllers.context import JsonValue, TaskContext
from core.lanes import TASKS_QUEUE
from core.retry import Backoff, TaskPolicy
from core.statuses import JobStatus, TaskStatus
from engine.tasks.handler_runner import HandlerRunner
from engine.tasks.handler_threads import MAX_REPLACEMENTS, HandlerThreads
from tests.support.drive import Stand, received, stand
from tests.support.sample_jobs import counted, sample_job
from tests.support.waiting import wait_until
from tests.unit.engine.conftest import RunClock

TIMED = TaskPolicy(max_attempts=2, backoff=Backoff(base_seconds=10), timeout_seconds=0.2)


@contextmanager
def opened_at_last(gate: threading.Event) -> Iterator[None]:
    """Opens a gate at the end of a block, so that the threads behind it return."""
    try:
        yield
    finally:
        gate.set()


def run_once(it: Stand) -> str:
    job_id = it.submit("sample")
    it.deliver_job_messages()
    it.app.worker.run(TASKS_QUEUE, received(it.queue.receive(TASKS_QUEUE)))
    return job_id


def test_a_task_past_its_timeout_has_failed_and_the_invocation_goes_on_without_its_thread(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The threads of the other tasks may be held up for longer than the timeout.
    monkeypatch.setattr(HandlerRunner, "timeout_seconds", lambda _, task: 0.2 if task.task_index == 1 else None)
    gate, returned = threading.Event(), threading.Event()

    def run(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        if parameters["n"] == 1:
            gate.wait()
            returned.set()
        return "done"

    with stand(sample_job(counted(3), run, policy=TIMED), worker_threads=2) as it, opened_at_last(gate):
        job_id = run_once(it)
        assert not gate.is_set(), "the invocation has not waited for the thread"
        late = it.tasks(job_id)[1]
        assert [task.status for task in it.tasks(job_id)] == [
            TaskStatus.COMPLETED,
            TaskStatus.RETRYING,
            TaskStatus.COMPLETED,
        ]
        assert late.failures == 1
        assert late.error == {
            "type": "TaskTimeoutError",
            "message": "the task took longer than its timeout of 0.2 s",
        }
        assert "1 threads still run tasks whose timeouts are over" in caplog.text
        gate.set()
        returned.wait()
        assert it.tasks(job_id)[1] == late, "the late result does not count"


def test_its_last_failure_by_timeout_fails_it() -> None:
    gate = threading.Event()

    def run(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        return gate.wait()

    policy = TaskPolicy(max_attempts=1, timeout_seconds=0.2)
    with stand(sample_job(counted(1), run, policy=policy)) as it, opened_at_last(gate):
        job_id = run_once(it)
        it.pump()
        assert it.tasks(job_id)[0].status == TaskStatus.FAILED
        assert it.job(job_id).status == JobStatus.FAILED


def test_a_handler_that_gives_up_at_its_timeout_has_not_completed() -> None:
    def run(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        wait_until(context.is_cancelled)
        return "half of it"

    with stand(sample_job(counted(1), run, policy=TIMED)) as it:
        (row,) = it.tasks(run_once(it))
        assert (row.status, row.failures) == (TaskStatus.RETRYING, 1)
        assert row.error is not None
        assert row.error["type"] == "TaskTimeoutError"


def test_a_timeout_begins_when_the_task_starts(run_clock: RunClock) -> None:
    def run(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        run_clock.seconds += 40
        return context.is_cancelled()

    policy = TaskPolicy(timeout_seconds=60)
    with stand(sample_job(counted(3), run, policy=policy), worker_threads=1, lease_seconds=600) as it:
        assert [task.result for task in it.tasks(run_once(it))] == [False] * 3


def test_threads_are_replaced_when_all_run_tasks_whose_timeouts_are_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    threads, gate = HandlerThreads(2), threading.Event()
    with opened_at_last(gate):
        for _ in range(MAX_REPLACEMENTS):
            for future in [threads.submit(gate.wait) for _ in range(2)]:
                threads.leave(future)
            assert threads.submit(lambda: "free").result() == "free"
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
        for future in [threads.submit(gate.wait) for _ in range(2)]:
            threads.leave(future)
        assert "no more threads are added" in caplog.text
        waiting = threads.submit(lambda: "free")
    assert waiting.result() == "free"
    threads.close()
