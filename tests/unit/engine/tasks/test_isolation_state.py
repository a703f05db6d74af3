"""Isolated tasks keep checkpoints and progress through their worker, in real child processes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from controllers.run_state import PROGRESS_SECONDS
from core.errors import DatabaseUnavailableError, RefusedValueError
from core.models import Task
from core.statuses import JobStatus, TaskStatus
from tests.fakes.tasks import FakeTaskRepository
from tests.support.drive import Stand, stand
from tests.support.isolated_jobs import IsolatedJob

SURELY_LOST_SECONDS = 1_000


def only_task(it: Stand, job_id: str) -> Task:
    (task,) = it.tasks(job_id)
    return task


def submit(it: Stand, do: str, **parameters: Any) -> str:
    return it.submit("isolated", tasks=[{"of": "isolated.free", "do": do, **parameters}])


def run_to_the_end(do: str, **parameters: Any) -> Task:
    with stand(IsolatedJob) as it:
        job_id = submit(it, do, **parameters)
        it.pump_through_time()
        assert it.job(job_id).status in {JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_ERRORS}
        return only_task(it, job_id)


@contextmanager
def writes_that(act: Any, name: str = "write_checkpoint") -> Iterator[list[tuple[Any, ...]]]:
    """Calls a function before each write of the kind; yields what was written."""
    written: list[tuple[Any, ...]] = []
    original = getattr(FakeTaskRepository, name)

    def write(self: FakeTaskRepository, task_id: str, lease_id: str, *kept: Any) -> bool:
        act(task_id)
        written.append(kept)
        return bool(original(self, task_id, lease_id, *kept))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeTaskRepository, name, write)
        yield written


def test_a_retry_in_a_child_process_goes_on_from_the_last_checkpoint() -> None:
    task = run_to_the_end("count and crash")
    assert (task.status, task.result, task.attempt, task.failures) == (TaskStatus.COMPLETED, [3, 6], 2, 1)
    assert [each.type for each in task.errors] == ["TaskCrashedError"]


def test_an_isolated_task_goes_on_in_another_run_without_spending_an_attempt() -> None:
    task = run_to_the_end("go on", last=4)
    assert (task.status, task.result, task.attempt, task.failures) == (TaskStatus.COMPLETED, [1, 1, 1, 1, 1], 1, 0)


def test_an_isolated_task_that_goes_on_without_changing_its_checkpoint_fails() -> None:
    task = run_to_the_end("go on for ever")
    assert (task.status, task.attempt) == (TaskStatus.FAILED, 1)
    assert task.error is not None
    assert task.error["type"] == "IdleContinuationsError"


@pytest.mark.parametrize("do", ["checkpoint", "go on with"])
def test_a_state_that_is_too_large_is_not_sent_and_fails_the_task_at_once(do: str) -> None:
    with writes_that(lambda _: None) as written:
        task = run_to_the_end(do, size=100_000)
    assert (task.status, task.attempt, written) == (TaskStatus.FAILED, 1, [])
    assert task.error is not None
    assert task.error["type"] == "CheckpointError"
    assert "has 100,002 bytes; at most 65,536 are accepted" in task.error["message"]


def test_a_child_process_learns_that_postgresql_refuses_its_checkpoint() -> None:
    def refuse(_: str) -> None:
        raise RefusedValueError("value overflows numeric format\nDETAIL: the whole row")

    with writes_that(refuse):
        task = run_to_the_end("checkpoint", size=1)
        caught = run_to_the_end("catch", write="checkpoint")
    expected = "PostgreSQL refuses the checkpoint: value overflows numeric format"
    assert task.error == {"type": "CheckpointError", "message": expected}
    assert (caught.status, caught.result) == (TaskStatus.COMPLETED, ["CheckpointError", expected])


@pytest.mark.parametrize("write", ["checkpoint", "progress"])
def test_an_isolated_run_that_has_lost_its_lease_ends_at_its_next_write(
    write: str, caplog: pytest.LogCaptureFixture
) -> None:
    with stand(IsolatedJob) as it:

        def lose(task_id: str) -> None:
            it.clock.advance(SURELY_LOST_SECONDS)
            with it.database.transaction() as work:
                assert work.tasks.claim([task_id], "another worker", 50)

        job_id = submit(it, "catch", write=write)
        it.deliver_job_messages()
        with writes_that(lose, f"write_{write}"):
            it.deliver_task_messages()
        task = only_task(it, job_id)
        assert (task.status, task.attempt, task.failures, task.result) == (TaskStatus.PROCESSING, 2, 0, None)
    assert f"task {task.task_id}: caught TaskLeaseLostError" in caplog.text


def test_an_outage_that_outlasts_a_lease_spends_no_attempt_of_an_isolated_task() -> None:
    outages = [DatabaseUnavailableError("no connection")] * 3

    with stand(IsolatedJob, lease_seconds=1) as it:

        def fail(_: str) -> None:
            if outages:
                it.clock.advance(1)
                raise outages.pop()

        job_id = submit(it, "catch", write="checkpoint")
        it.deliver_job_messages()
        with writes_that(fail):
            it.deliver_task_messages()
            task = only_task(it, job_id)
            assert (task.status, task.attempt, task.failures) == (TaskStatus.RETRYING, 0, 0)
            outages.clear()
            it.pump_through_time()
        task = only_task(it, job_id)
        assert (task.status, task.attempt, task.result, task.errors) == (TaskStatus.COMPLETED, 1, ["none", ""], [])


def test_the_progress_of_a_child_process_is_written_at_most_every_few_seconds() -> None:
    with stand(IsolatedJob) as it, writes_that(lambda _: None, "write_progress") as written:
        job_id = submit(it, "progress", steps=1_000)
        it.deliver_job_messages()
        began = time.monotonic()
        it.deliver_task_messages()
        assert written[0] == (0.0, "step 0")
        assert len(written) <= 1 + (time.monotonic() - began) / PROGRESS_SECONDS  # one, unless the child is held up
        assert only_task(it, job_id).progress_note == written[-1][1]


def test_threads_of_a_handler_write_checkpoints_side_by_side() -> None:
    with writes_that(lambda _: None) as written:
        task = run_to_the_end("checkpoints of threads", threads=4, each=25)
    assert task.result == 100
    assert len(written) == 100


def test_a_thread_that_outlives_its_run_keeps_nothing_for_the_next_one() -> None:
    with stand(IsolatedJob) as it, writes_that(lambda _: None) as written:
        submit(it, "leave a thread")
        it.pump()
        next_one = submit(it, "ask the thread")
        it.pump()
        assert only_task(it, next_one).result == ["TaskLeaseLostError", True]
        assert written == []
