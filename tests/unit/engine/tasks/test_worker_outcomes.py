"""The outcomes of a task: its handler's result, its failure, its retries."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from controllers.context import Handler, JsonValue, TaskContext
from core.errors import PermanentTaskError
from core.lanes import TASKS_QUEUE
from core.models import Task
from core.retry import TaskPolicy
from core.statuses import JobStatus, TaskStatus
from tests.support.drive import Stand, second_process, stand, task_messages
from tests.support.sample_jobs import counted, echo, sample_job


def raises(error: BaseException) -> Handler:
    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> Any:
        raise error

    return handler


def gives(result: Any) -> Handler:
    return lambda context, parameters: result


def fails_until(attempt: int) -> Handler:
    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> int:
        if context.attempt < attempt:
            raise ValueError(f"attempt {context.attempt}")
        return context.attempt

    return handler


def run_one(it: Stand) -> Task:
    """Submits a job of one task and delivers the task's first message."""
    job_id = it.submit("sample")
    it.deliver_job_messages()
    it.deliver_task_messages()
    (task,) = it.tasks(job_id)
    return task


def test_a_completed_task_keeps_its_result() -> None:
    with stand(sample_job(counted(1), gives({"x": [1, None]}))) as it:
        task = run_one(it)
        assert (task.status, task.result, task.error, task.attempt) == (TaskStatus.COMPLETED, {"x": [1, None]}, None, 1)


def test_a_handler_is_told_which_run_of_which_task_it_is() -> None:
    def describe(context: TaskContext, parameters: Mapping[str, Any]) -> Any:
        return [context.job_id, context.task_id, context.batch_id, context.stage, context.task_index, context.attempt]

    with stand(sample_job(counted(1), describe)) as it:
        task = run_one(it)
        assert task.result == [task.parent_job_id, task.task_id, task.batch_id, 1, 0, 1]


def test_a_failed_attempt_waits_for_its_scheduled_message(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with stand(sample_job(counted(1), fails_until(2))) as it:
        task = run_one(it)
        assert (task.status, task.attempt, task.result) == (TaskStatus.RETRYING, 1, None)
        assert task.error == {"type": "ValueError", "message": "attempt 1"}
        (traceback,) = [line for line in caplog.messages if task.task_id in line]
        assert "in handler" in traceback
        (scheduled,) = it.queue.scheduled(TASKS_QUEUE)
        assert scheduled.enqueue_at == task.not_before
        assert task_messages([scheduled])[0].send == 2
        assert task.not_before is not None
        assert 0 <= (task.not_before - it.clock.now()).total_seconds() <= 10


def test_a_retry_that_succeeds_leaves_no_trace_of_the_failure() -> None:
    with stand(sample_job(counted(1), fails_until(3))) as it:
        job_id = it.submit("sample")
        it.pump_through_time()
        (task,) = it.tasks(job_id)
        assert (task.status, task.attempt, task.result, task.error) == (TaskStatus.COMPLETED, 3, 3, None)
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_task_fails_when_its_attempts_are_spent() -> None:
    with stand(sample_job(counted(1), fails_until(4))) as it:
        job_id = it.submit("sample")
        it.pump_through_time()
        (task,) = it.tasks(job_id)
        assert (task.status, task.attempt) == (TaskStatus.FAILED, 3)
        assert task.error is not None
        assert task.error["message"] == "attempt 3"


def test_a_permanent_error_fails_at_once() -> None:
    with stand(sample_job(counted(1), raises(PermanentTaskError("no such file")))) as it:
        task = run_one(it)
        assert (task.status, task.attempt) == (TaskStatus.FAILED, 1)
        assert it.queue.size(TASKS_QUEUE) == 0


@pytest.mark.parametrize("result", [object(), float("nan"), "\x00", "\ud800", {1, 2}], ids=lambda each: repr(each)[:9])
def test_a_result_that_is_no_json_fails_the_task_at_once(result: Any) -> None:
    with stand(sample_job(counted(1), gives(result))) as it:
        task = run_one(it)
        assert (task.status, task.attempt) == (TaskStatus.FAILED, 1)
        assert task.error is not None
        assert task.error["type"] == "TaskResultError"


def test_a_result_over_the_limit_fails_the_task_with_both_sizes() -> None:
    with stand(sample_job(counted(1), gives("x" * 99)), max_result_bytes=100) as it:
        task = run_one(it)
        assert task.error is not None
        assert task.error["message"] == "the result has 101 bytes; at most 100 are accepted"


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_a_handler_that_wants_to_end_the_process_fails_its_own_task_alone(error: BaseException) -> None:
    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> int:
        if context.task_index == 1:
            raise error
        return context.task_index

    with stand(sample_job(counted(3), handler, policy=TaskPolicy(max_attempts=1))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.deliver_task_messages()
        tasks = it.tasks(job_id)
        assert [task.status for task in tasks] == [TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.COMPLETED]
        assert tasks[1].error is not None
        assert tasks[1].error["type"] == type(error).__name__


@pytest.mark.parametrize("message", ["a\x00b", "\ud800", "x" * 100_000], ids=["NUL", "surrogate", "long"])
def test_whatever_an_exception_says_can_be_stored(message: str) -> None:
    with stand(sample_job(counted(1), raises(PermanentTaskError(message)))) as it:
        task = run_one(it)
        assert task.status == TaskStatus.FAILED
        assert task.error is not None
        assert 0 < len(task.error["message"]) <= 2_000


def test_a_host_that_does_not_know_a_task_type_leaves_the_task_to_one_that_does() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        with second_process(it) as older:
            older.deliver_task_messages()
        assert it.tasks(job_id)[0].status == TaskStatus.RETRYING
        it.pump_through_time()
        assert it.tasks(job_id)[0].status == TaskStatus.COMPLETED


def test_a_task_type_that_no_host_knows_fails_clearly() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        with second_process(it) as older:
            for _ in range(100):
                older.deliver_task_messages()
                it.clock.advance(60)
        (task,) = it.tasks(job_id)
        assert (task.status, task.attempt) == (TaskStatus.FAILED, 8)
        assert task.error is not None
        assert task.error["type"] == "UnknownTaskTypeError"
        assert task.error["message"] == "no handler is registered for task type 'sample.work'"


def test_an_exception_without_a_text_fails_its_own_task_alone() -> None:
    class Mute(Exception):  # noqa: N818 - a handler may raise any class
        def __str__(self) -> str:
            raise TypeError

    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        if context.task_index == 0:
            raise Mute
        return "fine"

    with stand(sample_job(counted(2), handler, policy=TaskPolicy(max_attempts=1))) as it:
        job_id = it.submit("sample")
        it.pump()
        failed, completed = it.tasks(job_id)
        assert (failed.status, completed.status) == (TaskStatus.FAILED, TaskStatus.COMPLETED)
        assert failed.error is not None
        assert failed.error["type"] == "Mute"


def test_neither_parameters_nor_results_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with stand(sample_job(counted(2), echo)) as it:
        it.submit("sample", label="pssst")
        it.pump()
    assert caplog.records
    assert "pssst" not in caplog.text
