"""The threads that work for an invocation tell the Functions host so, which drops their log lines otherwise."""

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

import bootstrap
from controllers.context import JobContext, StageContext, TaskContext
from core.definitions import TaskDefinition
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.messages import OutgoingMessage
from local.functions_host.context import InvocationContext
from repositories.breaker import Breaker
from repositories.broker_calls import BrokerCalls
from repositories.ports import SendResult
from tests.support.deliveries import deliveries
from tests.support.drive import Stand, stand
from tests.support.sample_jobs import TASK_TYPE, SampleParameters, sample_job
from triggers import jobs, tasks
from triggers.messages import logged_under

run_job_message: Callable[..., None] = jobs.run_job_message._function.get_user_function()
run_tasks: Callable[..., None] = tasks.run_tasks._function.get_user_function()

LOCAL = InvocationContext._local


def context() -> InvocationContext:
    return InvocationContext(str(uuid.uuid4()), "function", "")


def logs_under() -> str | None:
    """The invocation under which this thread logs."""
    return getattr(LOCAL, "invocation_id", None)


@pytest.fixture
def seen() -> list[tuple[str, str | None]]:
    """The names of threads, and the invocations under which they log."""
    return []


@pytest.fixture
def it(monkeypatch: pytest.MonkeyPatch, seen: list[tuple[str, str | None]]) -> Iterator[Stand]:
    def create(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        yield from (TaskDefinition(TASK_TYPE, {}, index) for index in range(3))

    def handler(task: TaskContext, parameters: Mapping[str, Any]) -> None:
        seen.append((threading.current_thread().name, logs_under()))

    with stand(sample_job(create, handler=handler)) as it:
        for module in (jobs, tasks, bootstrap):
            monkeypatch.setattr(module, "app", lambda: it.app)
        yield it


def test_handlers_and_sends_log_under_the_invocation_that_they_work_for(
    it: Stand, seen: list[tuple[str, str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    send = it.queue.batch_send_messages

    def watched(queue: str, messages: list[OutgoingMessage]) -> SendResult:
        seen.append((threading.current_thread().name, logs_under()))
        return send(queue, messages)

    it.submit("sample")
    monkeypatch.setattr(it.queue, "batch_send_messages", watched)
    (message,) = deliveries(it.queue.receive(JOBS_QUEUE))
    dispatch, first, second = context(), context(), context()
    run_job_message(message, dispatch)
    assert {(name.partition("_")[0], invocation) for name, invocation in seen} == {("dispatch", dispatch.invocation_id)}

    one, *others = deliveries(it.queue.receive(TASKS_QUEUE))
    for messages, each in (([one], first), (others, second)):
        seen.clear()
        run_tasks(messages, each)
        handlers = {invocation for name, invocation in seen if name.startswith("handler")}
        assert handlers == {each.invocation_id}


def test_a_call_to_the_broker_logs_under_the_invocation_that_makes_it() -> None:
    calls = BrokerCalls(Breaker())

    class Unused:
        def cut(self) -> None: ...

        def close(self) -> None: ...

    each = context()
    with logged_under(each):
        assert calls.run(logs_under, Unused(), 120) == each.invocation_id
    calls.close()
