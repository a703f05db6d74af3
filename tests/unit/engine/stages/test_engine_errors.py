"""Errors of the engine's own calls are not held against a job; errors of a controller's code are."""

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from controllers.base import StageSpec
from controllers.context import JobContext, StageContext
from core.definitions import TaskDefinition
from core.errors import DatabaseError, JobFailure, QueueNotFoundError, RefusedValueError, SliceEnded
from core.lanes import JOBS_QUEUE
from core.messages import JobAction, JobMessage
from core.statuses import JobStatus
from core.task_runs import TaskResult
from engine.stages.controller_call import ControllerCall
from engine.stages.stage_engine import MAX_FAILURES
from tests.fakes.stages import FakeStageRepository
from tests.fakes.tasks import FakeTaskRepository
from tests.support.drive import Stand, job_messages, stand
from tests.support.sample_jobs import SampleParameters, Tasks, counted, sample_job

TWO = (StageSpec("first"), StageSpec("second"))
ENGINES_OWN = [DatabaseError("permission denied"), KeyError("a bug of the engine")]

engines_own = pytest.mark.parametrize("error", ENGINES_OWN, ids=["refused statement", "bug"])


def fail(monkeypatch: pytest.MonkeyPatch, repository: type, method: str, error: Exception) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(repository, method, refuse)


def handle_the_last_try(it: Stand, job_id: str, action: JobAction, stage: int = 1) -> None:
    """Handles a message whose next counted failure would fail the job."""
    it.queue.receive(JOBS_QUEUE)
    it.app.stages.handle(JobMessage(job_id, stage, action, failures=MAX_FAILURES))


def assert_raised(it: Stand, job_id: str, error: Exception, action: JobAction, stage: int = 1) -> None:
    with pytest.raises(type(error)) as caught:
        handle_the_last_try(it, job_id, action, stage)
    assert caught.value is error
    assert it.job(job_id).status == JobStatus.PROCESSING


def at_stage_two(it: Stand) -> str:
    """A job whose first stage has run, and whose second stage is to be dispatched."""
    job_id = it.submit("sample")
    it.deliver_job_messages()
    it.deliver_task_messages()
    it.deliver_job_messages()
    assert it.job(job_id).stage == 2
    return job_id


def of_previous_results(read: Callable[[StageContext], object]) -> Tasks:
    """One task in the first stage; the second reads the first one's results."""

    def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        if stage.number == 2:
            read(stage)
        yield from counted(1, 1)(job, stage)

    return tasks


def swallowing(stage: StageContext) -> None:
    try:
        list(stage.previous_results())
    except Exception:  # noqa: BLE001 - as a careless author writes it
        return


def raising_another(stage: StageContext) -> None:
    try:
        list(stage.previous_results())
    except Exception as exc:
        raise JobFailure("the results cannot be read") from exc


@engines_own
def test_a_batch_that_cannot_be_written_is_not_held_against_the_job(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        with monkeypatch.context() as broken:
            fail(broken, FakeTaskRepository, "batch_create_tasks", error)
            with pytest.raises(type(error)):
                it.deliver_job_messages()
            assert_raised(it, job_id, error, JobAction.DISPATCH)
        it.app.stages.handle(JobMessage(job_id, 1, JobAction.DISPATCH))
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED


@engines_own
@pytest.mark.parametrize("read", [lambda stage: list(stage.previous_results()), swallowing, raising_another])
def test_results_that_cannot_be_read_are_not_held_against_the_controller_that_reads_them(
    monkeypatch: pytest.MonkeyPatch, error: Exception, read: Callable[[StageContext], object]
) -> None:
    with stand(sample_job(of_previous_results(read), stages=TWO)) as it:
        job_id = at_stage_two(it)
        fail(monkeypatch, FakeTaskRepository, "results_page", error)
        assert_raised(it, job_id, error, JobAction.DISPATCH, stage=2)


@engines_own
def test_results_that_cannot_be_aggregated_are_not_held_against_the_job(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    with stand(sample_job(counted(1))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.deliver_task_messages()
        fail(monkeypatch, FakeTaskRepository, "results_page", error)
        assert_raised(it, job_id, error, JobAction.ADVANCE)


@engines_own
def test_a_job_that_cannot_be_started_has_not_failed(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    with stand(sample_job(counted(1))) as it:
        job_id = it.submit("sample")
        fail(monkeypatch, FakeStageRepository, "create", error)
        with pytest.raises(type(error)):
            handle_the_last_try(it, job_id, JobAction.DISPATCH)
        assert it.job(job_id).status == JobStatus.QUEUED


def test_a_missing_queue_is_not_held_against_the_job() -> None:
    with stand(sample_job(counted(0, 0), stages=TWO)) as it:
        job_id = it.submit("sample")
        it.queue.failures.append(QueueNotFoundError("there is no sb-jobs"))
        with pytest.raises(QueueNotFoundError):
            handle_the_last_try(it, job_id, JobAction.DISPATCH)
        assert it.job(job_id).status == JobStatus.PROCESSING


def own_statement(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
    def refused(work: Any) -> None:
        raise DatabaseError("relation my_table does not exist")

    job.services.transact(refused)
    yield from ()


def ends_the_process(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
    raise SystemExit(1)
    yield


@pytest.mark.parametrize(
    ("tasks", "type_"), [(own_statement, "DatabaseError"), (ends_the_process, "SystemExit")], ids=["SQL", "exit"]
)
def test_what_a_controllers_own_code_raises_counts(tasks: Tasks, type_: str) -> None:
    with stand(sample_job(tasks)) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        assert job_messages(it.queue.scheduled(JOBS_QUEUE)) == [JobMessage(job_id, 1, JobAction.DISPATCH, failures=1)]
        handle_the_last_try(it, job_id, JobAction.DISPATCH)
        job = it.job(job_id)
        assert job.status == JobStatus.FAILED
        assert job.error is not None
        assert job.error["type"] == type_


def results_once(stage: StageContext, results: Iterator[TaskResult]) -> object:
    list(results)
    raise ZeroDivisionError("own")


def test_what_an_aggregation_raises_counts() -> None:
    with stand(sample_job(counted(1), aggregate=results_once)) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.deliver_task_messages()
        handle_the_last_try(it, job_id, JobAction.ADVANCE)
        error = it.job(job_id).error
        assert error is not None
        assert (error["type"], error["message"]) == ("ZeroDivisionError", "own")


def test_a_job_without_the_stage_that_follows_counts_as_a_failure_of_its_type() -> None:
    with stand(sample_job(counted(1, 1), stages=TWO)) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.deliver_task_messages()
        it.app.registry.controller("sample").stages = TWO[:1]  # type: ignore[misc] # as a later version has it
        handle_the_last_try(it, job_id, JobAction.ADVANCE)
        error = it.job(job_id).error
        assert error is not None
        assert error["message"] == "job type 'sample' has no stage 2"


def test_tasks_that_postgresql_cannot_store_fail_the_job_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(sample_job(counted(1))) as it:
        job_id = it.submit("sample")
        fail(monkeypatch, FakeTaskRepository, "batch_create_tasks", RefusedValueError("numeric out of range\nDETAIL"))
        it.deliver_job_messages()
        error = it.job(job_id).error
        assert error is not None
        assert error["type"] == "StageDefinitionError"
        assert "numeric out of range" in error["message"]


def test_an_error_of_the_engine_keeps_nothing_of_its_call() -> None:
    """Its traceback holds the frame that holds the call: a circle, which would keep an iterator of results open."""

    class Kept:
        pass

    def call_once() -> weakref.ref[Kept]:
        kept, call = Kept(), ControllerCall()
        with suppress(SliceEnded), call.controllers(), call.engines():
            raise SliceEnded
        return weakref.ref(kept)

    gc.disable()
    try:
        assert call_once()() is None
    finally:
        gc.enable()
