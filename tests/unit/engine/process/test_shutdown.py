"""A process that shuts down: no task starts, running tasks have a grace period, the others are released."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from controllers.context import JobContext, JsonValue, StageContext, TaskContext
from core.definitions import TaskDefinition
from core.errors import DatabaseUnavailableError, ShutdownError
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.messages import JobAction, JobMessage
from core.statuses import JobStatus, StageStatus, TaskStatus
from engine.process.outage_waiter import OutageWaiter
from engine.process.shutdown import Shutdown
from tests.fakes.clock import FakeClock
from tests.support.drive import Stand, job_messages, received, second_process, stand, task_messages
from tests.support.isolated_jobs import IsolatedJob
from tests.support.sample_jobs import SampleParameters, counted, sample_job
from tests.support.waiting import wait_until


@contextmanager
def draining(shutdown: Shutdown, grace_seconds: float) -> Iterator[None]:
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(shutdown.drain, grace_seconds, 120)
        wait_until(lambda: shutdown.requested)
        yield
        assert done.result(240), "something was still at work"


def run(it: Stand) -> None:
    """An invocation, as `bootstrap.wait_out_outages` makes it."""
    with it.shutdown.at_work():
        it.app.worker.run(TASKS_QUEUE, received(it.queue.receive(TASKS_QUEUE)))


def test_tasks_that_end_within_the_grace_are_recorded_and_those_not_started_are_released() -> None:
    with stand(worker_threads=1, lease_seconds=600) as shell:
        begun, may_end = threading.Event(), threading.Event()

        def work(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
            begun.set()
            assert may_end.wait(120)
            return "in time"

        with second_process(shell, sample_job(counted(3), work)) as it, ThreadPoolExecutor(1) as thread:
            job_id = it.submit("sample")
            it.deliver_job_messages()
            invocation = thread.submit(run, it)
            assert begun.wait(120)
            with draining(it.shutdown, grace_seconds=600):
                wait_until(lambda: it.queue.size(TASKS_QUEUE) == 2)  # released while the first still runs
                may_end.set()
                invocation.result(120)
            assert [(task.status, task.attempt) for task in it.tasks(job_id)] == [
                (TaskStatus.COMPLETED, 1),
                (TaskStatus.RETRYING, 0),
                (TaskStatus.RETRYING, 0),
            ]
            assert [message.send for message in task_messages(it.queue.receive(TASKS_QUEUE))] == [2, 2]


@pytest.mark.parametrize("error", [None, ValueError("half done")])
def test_a_task_whose_handler_ends_early_because_of_the_shutdown_runs_again(error: Exception | None) -> None:
    with stand() as shell:
        begun = threading.Event()

        def work(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
            begun.set()
            wait_until(context.is_cancelled)
            if error:
                raise error
            return "half done"

        with second_process(shell, sample_job(counted(1), work)) as it, ThreadPoolExecutor(1) as thread:
            job_id = it.submit("sample")
            it.deliver_job_messages()
            invocation = thread.submit(run, it)
            assert begun.wait(120)
            with draining(it.shutdown, grace_seconds=600):
                invocation.result(120)
            (task,) = it.tasks(job_id)
            assert (task.status, task.attempt, task.failures) == (TaskStatus.RETRYING, 0, 0)
            assert it.queue.size(TASKS_QUEUE) == 1


@pytest.mark.parametrize(("action", "grace_seconds"), [("wait", 600), ("hang", 0)])
def test_an_isolated_task_that_is_told_of_the_shutdown_or_ended_by_it_runs_again(
    action: str, grace_seconds: float, tmp_path: Path
) -> None:
    file = tmp_path / "process"
    with stand(IsolatedJob) as it, ThreadPoolExecutor(1) as thread:
        job_id = it.submit("isolated", tasks=[{"of": "isolated.free", "do": action, "process_file": str(file)}])
        it.deliver_job_messages()
        invocation = thread.submit(run, it)
        wait_until(file.exists)
        with draining(it.shutdown, grace_seconds):
            invocation.result(120)
        (task,) = it.tasks(job_id)
        assert (task.status, task.attempt, task.failures) == (TaskStatus.RETRYING, 0, 0)
        assert it.queue.size(TASKS_QUEUE) == 1


def test_a_task_that_outlasts_the_grace_is_released_and_its_outcome_does_not_count() -> None:
    with stand() as shell:
        begun, may_end = threading.Event(), threading.Event()

        def work(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
            begun.set()
            assert may_end.wait(120)
            return "too late"

        with second_process(shell, sample_job(counted(1), work)) as it, ThreadPoolExecutor(1) as thread:
            job_id = it.submit("sample")
            it.deliver_job_messages()
            invocation = thread.submit(run, it)
            assert begun.wait(120)
            with draining(it.shutdown, grace_seconds=0):
                invocation.result(120)
            may_end.set()
            (task,) = it.tasks(job_id)
            assert (task.status, task.attempt, task.failures) == (TaskStatus.RETRYING, 0, 0)
            with second_process(it, sample_job(counted(1))) as heir:
                heir.pump()
                assert [(task.result, task.attempt) for task in heir.tasks(job_id)] == [({"n": 0}, 1)]
                assert heir.job(job_id).status == JobStatus.COMPLETED


def test_tasks_that_are_claimed_during_the_shutdown_are_released_before_they_start() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.shutdown.drain(grace_seconds=60, release_seconds=0)
        it.app.worker.run(TASKS_QUEUE, received(it.queue.receive(TASKS_QUEUE)))
        assert [(task.status, task.attempt) for task in it.tasks(job_id)] == [(TaskStatus.RETRYING, 0)] * 3
        assert it.queue.size(TASKS_QUEUE) == 3


def test_messages_that_arrive_during_the_shutdown_are_refused_once_the_process_has_drained() -> None:
    with stand(sample_job(counted(3))) as it, ThreadPoolExecutor(2) as threads:
        it.submit("sample")
        it.deliver_job_messages()
        with it.shutdown.at_work():
            drained = threads.submit(it.shutdown.drain, 600, 120)
            wait_until(lambda: it.shutdown.requested)
            late = threads.submit(run, it)
            assert not drained.done()
            assert not late.done()
        assert drained.result(120)
        assert isinstance(late.exception(120), ShutdownError)
        assert it.queue.size(TASKS_QUEUE) == 3


def test_a_shutdown_ends_a_dispatch_between_two_batches_and_another_process_goes_on_with_it() -> None:
    ending: list[Shutdown] = []

    def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        for definition in counted(1_000)(job, stage):
            if definition.index == 250 and ending:
                ending.pop().drain(grace_seconds=0, release_seconds=0)
            yield definition

    with stand(sample_job(tasks)) as it:
        ending.append(it.shutdown)
        job_id = it.submit("sample")
        it.deliver_job_messages()
        assert it.stage(job_id).status == StageStatus.DISPATCHING
        assert len(it.tasks(job_id)) < 1_000
        (message,) = it.queue.receive(JOBS_QUEUE)
        assert job_messages([message]) == [JobMessage(job_id, 1, JobAction.DISPATCH)]
        with second_process(it, sample_job(tasks)) as heir:
            heir.app.stages.handle(JobMessage.decode(message.body))
            heir.pump()
            assert {(task.status, task.attempt) for task in heir.tasks(job_id)} == {(TaskStatus.COMPLETED, 1)}
            assert heir.job(job_id).status == JobStatus.COMPLETED


def test_a_process_that_shuts_down_does_not_wait_for_the_end_of_an_outage() -> None:
    shutdown = Shutdown()
    outages = OutageWaiter(shutdown.wait)
    tries: list[int] = []

    def fail() -> None:
        tries.append(1)
        raise DatabaseUnavailableError("away")

    def wait_for_the_database() -> None:
        with shutdown.at_work():
            outages.run(fail, outages.deadline(600))

    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(wait_for_the_database)
        wait_until(lambda: bool(tries))
        with draining(shutdown, grace_seconds=600):
            assert isinstance(waiting.exception(120), DatabaseUnavailableError)


def waiter_during_shutdown(clock: FakeClock) -> OutageWaiter:
    """The waiter of a process that shuts down and whose grace is not over."""

    def wait_through_shutdown(seconds: float) -> bool:
        clock.advance(seconds)
        return False

    return OutageWaiter(lambda _: True, lambda: clock.now().timestamp(), wait_through_shutdown)


def test_outcomes_wait_for_the_database_while_the_process_shuts_down() -> None:
    with stand() as shell:

        def work(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
            shell.database.go_away(3)
            return "done"

        outages = waiter_during_shutdown(shell.clock)
        with second_process(shell, sample_job(counted(1), work), outages=outages) as it:
            job_id = it.submit("sample")
            it.deliver_job_messages()
            it.deliver_task_messages()
            assert [(task.status, task.result) for task in it.tasks(job_id)] == [(TaskStatus.COMPLETED, "done")]


def test_a_release_waits_for_the_broker_while_the_process_shuts_down() -> None:
    with (
        stand() as shell,
        second_process(shell, sample_job(counted(3)), outages=waiter_during_shutdown(shell.clock)) as it,
    ):
        job_id = it.submit("sample")
        it.deliver_job_messages()
        messages = received(it.queue.receive(TASKS_QUEUE))
        it.shutdown.drain(grace_seconds=0, release_seconds=0)
        it.queue.go_away(3)
        it.app.worker.run(TASKS_QUEUE, messages)
        assert [(task.status, task.attempt) for task in it.tasks(job_id)] == [(TaskStatus.RETRYING, 0)] * 3
        assert it.queue.size(TASKS_QUEUE) == 3


def test_a_wait_through_shutdown_is_like_any_other_while_there_is_no_shutdown() -> None:
    assert not Shutdown().wait_through_shutdown(0.001)


def test_a_wait_through_shutdown_lasts_until_the_grace_is_over() -> None:
    shutdown = Shutdown()
    with shutdown.at_work():
        shutdown.drain(grace_seconds=0, release_seconds=0.01)
    assert shutdown.wait_through_shutdown(600)
    shutdown = Shutdown()
    with ThreadPoolExecutor(1) as thread:
        with shutdown.at_work():
            drained = thread.submit(shutdown.drain, 600, 0)
            wait_until(lambda: shutdown.requested)
            assert not shutdown.wait_through_shutdown(0.001)
        assert drained.result(120)


def test_draining_says_whether_an_invocation_still_runs_in_the_end() -> None:
    shutdown = Shutdown()
    with shutdown.at_work():
        assert not shutdown.drain(grace_seconds=0, release_seconds=0)
    assert shutdown.drain(grace_seconds=0, release_seconds=0)
