"""What a handler reads of its job: the results of the stage before, and the parameters."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from controllers.base import StageSpec
from controllers.context import Handler, JobParameters, JsonValue, TaskContext
from core.errors import PermanentTaskError, RefusedValueError
from core.models import Task
from core.statuses import JobStatus, TaskStatus
from tests.fakes.jobs import FakeJobRepository
from tests.fakes.tasks import FakeTaskRepository
from tests.support.drive import Stand, second_process, stand
from tests.support.sample_jobs import SampleParameters, counted, echo, sample_job

Read = Callable[[TaskContext], JsonValue]

_TWO_STAGES = (StageSpec("many", max_failed_fraction=1.0), StageSpec("gather"))


def gathering(gather: Handler, first: Handler = echo) -> Handler:
    """Runs one handler in the first stage and the other one in the second."""
    return lambda context, parameters: (first if context.stage == 1 else gather)(context, parameters)


def run(gather: Handler, first: Handler = echo, size: int = 3) -> Task:
    """Runs a job; returns the task of its second stage."""
    with stand(sample_job(counted(size, 1), gathering(gather, first), stages=_TWO_STAGES)) as it:
        job_id = it.submit("sample", label="x")
        it.pump_through_time()
        return it.tasks(job_id)[-1]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a job and a page of results were read."""
    counts: Counter[str] = Counter()

    def count(repository: type, name: str) -> None:
        original = getattr(repository, name)

        def counting(*args: Any) -> Any:
            counts[name] += 1
            return original(*args)

        monkeypatch.setattr(repository, name, counting)

    count(FakeJobRepository, "get")
    count(FakeTaskRepository, "results_page")
    return counts


def test_a_task_reads_the_results_of_the_stage_before_in_index_order_page_by_page(reads: Counter[str]) -> None:
    pages: list[int] = []

    def gather(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        reads.clear()
        indexes = []
        for result in context.previous_results():
            pages.append(reads["results_page"])
            indexes.append((result.task_index, result.result["n"], result.status))
        return indexes == [(index, index, TaskStatus.COMPLETED) for index in range(450)]

    assert run(gather, size=450).result is True
    assert Counter(pages) == {1: 200, 2: 200, 3: 50}


def test_it_reads_from_an_index_on() -> None:
    def gather(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        return [result.task_index for result in context.previous_results(7)]

    assert run(gather, size=10).result == [7, 8, 9]


def test_it_gets_what_an_aggregation_gets_failed_tasks_included() -> None:
    def first(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        if parameters["n"] == 1:
            raise PermanentTaskError("no")
        return parameters["n"]

    def gather(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        return [[each.status, each.result, each.error and each.error["type"]] for each in context.previous_results()]

    assert run(gather, first).result == [
        ["completed", 0, None],
        ["failed", None, "PermanentTaskError"],
        ["completed", 2, None],
    ]


def test_a_task_of_the_first_stage_that_asks_for_previous_results_fails_clearly() -> None:
    def ask(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        context.previous_results()
        return None

    with stand(sample_job(counted(1), ask)) as it:
        job_id = it.submit("sample")
        it.pump()
        (task,) = it.tasks(job_id)
        assert (task.status, task.attempt) == (TaskStatus.FAILED, 1)
        assert task.error is not None
        assert task.error["type"] == "NoPreviousStageError"
        assert "stage 1" in task.error["message"]


def test_the_parameters_of_the_job_are_its_model_and_are_read_once(reads: Counter[str]) -> None:
    seen: list[JobParameters] = []

    def gather(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        reads.clear()
        seen.extend(context.job_parameters for _ in range(3))
        return reads["get"]

    assert run(gather).result == 1
    assert seen == [SampleParameters(label="x")] * 3


def test_a_task_that_reads_nothing_costs_no_query(reads: Counter[str]) -> None:
    with stand(sample_job(counted(100))) as it:
        it.submit("sample")
        it.deliver_job_messages()
        reads.clear()
        it.deliver_task_messages()
        assert not reads


def test_parameters_that_do_not_fit_the_model_any_more_fail_the_attempt() -> None:
    class Stricter(SampleParameters):
        needed: int

    def ask(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        return context.job_parameters.needed

    changed = sample_job(counted(1), ask)
    changed.Parameters = Stricter
    with stand(sample_job(counted(1))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        with second_process(it, changed) as other:
            other.deliver_task_messages()
        (task,) = it.tasks(job_id)
        assert (task.status, task.failures) == (TaskStatus.RETRYING, 1)
        assert task.error is not None
        assert task.error["type"] == "ValidationError"


def read_results(context: TaskContext) -> JsonValue:
    return len(list(context.previous_results()))


def read_parameters(context: TaskContext) -> JsonValue:
    return len(context.job_parameters.label) + 2


def swallow_errors(context: TaskContext) -> JsonValue:
    """Takes what it could not read for nothing."""
    try:
        return read_results(context)
    except Exception:  # noqa: BLE001 - as an author's code may
        return 0


@contextmanager
def in_an_outage(seconds: float, read: Read) -> Iterator[tuple[Stand, str]]:
    """Delivers a task that reads when PostgreSQL has become unavailable for some seconds."""
    with stand() as shell:

        def gather(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
            if not outages:
                outages.append(seconds)
                shell.database.go_away(seconds)
            return read(context)

        outages: list[float] = []
        job = sample_job(counted(3, 1), gathering(gather), stages=_TWO_STAGES)
        with second_process(shell, job) as it:
            job_id = it.submit("sample")
            it.deliver_job_messages()
            it.deliver_task_messages()
            while len(it.tasks(job_id)) == 3:
                it.deliver_job_messages()
            yield it, job_id


@pytest.mark.parametrize("read", [read_results, read_parameters, swallow_errors])
def test_a_read_waits_for_the_end_of_an_outage(read: Read) -> None:
    with in_an_outage(40, read) as (it, job_id):
        it.deliver_task_messages()
        task = it.tasks(job_id)[-1]
        assert (task.status, task.result, task.attempt) == (TaskStatus.COMPLETED, 3, 1)


@pytest.mark.parametrize("read", [read_results, read_parameters, swallow_errors])
def test_a_task_that_cannot_read_in_an_outage_is_released_and_has_not_failed(read: Read) -> None:
    with in_an_outage(60, read) as (it, job_id):
        it.deliver_task_messages()
        task = it.tasks(job_id)[-1]
        assert (task.status, task.attempt, task.failures, task.error) == (TaskStatus.RETRYING, 0, 0, None)
        it.pump()
        task = it.tasks(job_id)[-1]
        assert (task.status, task.result, task.attempt) == (TaskStatus.COMPLETED, 3, 1)
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_value_that_cannot_be_read_is_the_tasks_own_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RefusedValueError("it cannot be read")

    def gather(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        with monkeypatch.context() as patch:
            patch.setattr(FakeTaskRepository, "results_page", refuse)
            return read_results(context)

    task = run(gather)
    assert (task.status, task.failures) == (TaskStatus.FAILED, 3)
    assert task.error == {"type": "RefusedValueError", "message": "it cannot be read"}
