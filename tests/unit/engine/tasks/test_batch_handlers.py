"""Batch handlers: one call for the tasks of an invocation, one outcome for each."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import SecretStr

from controllers.base import StageSpec
from controllers.context import JsonValue
from controllers.task_items import BatchHandler, ItemOutcomes, TaskItem, TaskItems
from controllers.task_type import TaskType, batch_handler
from core.errors import DatabaseUnavailableError, PermanentTaskError
from core.lanes import TASKS_QUEUE
from core.models import Task
from core.statuses import JobStatus, TaskStatus
from tests.fakes.jobs import FakeJobRepository
from tests.support.drive import Stand, second_process, stand
from tests.support.sample_jobs import POLICY, TASK_TYPE, SampleParameters, counted, sample_job
from tests.support.waiting import wait_until
from tests.unit.engine.conftest import RunClock

Form = Callable[[Callable[[TaskItem], JsonValue]], BatchHandler]

COMPLETED, FAILED, RETRYING = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.RETRYING
SHORT_SECONDS = 0.5
"""A lease is renewed after a third of this, by the real clock; it expires by the fake one alone."""


def declared(handler: BatchHandler) -> TaskType:
    return batch_handler(TASK_TYPE, max_attempts=POLICY.max_attempts, backoff=POLICY.backoff)(handler)


def indexes(items: TaskItems) -> list[int]:
    return [item.context.task_index for item in items]


def delivered(it: Stand) -> list[Task]:
    """Submits a job and delivers its tasks once; returns them."""
    job_id = it.submit("sample")
    it.deliver_job_messages()
    it.deliver_task_messages()
    return it.tasks(job_id)


def interrupt(it: Stand, job_id: str, times: int, indexes: list[int]) -> None:
    """Has workers claim tasks and die."""
    tasks = [it.tasks(job_id)[index].task_id for index in indexes]
    for _ in range(times):
        with it.database.transaction() as work:
            assert len(work.tasks.claim(tasks, "a worker that dies", 50)) == len(indexes)
        it.clock.advance(50)


def outcomes(handler: BatchHandler, size: int, **settings: Any) -> list[tuple[TaskStatus, JsonValue]]:
    """Runs the tasks of a job once; returns their statuses, with their results or the types of their errors."""
    with stand(sample_job(counted(size), declared=declared(handler)), **settings) as it:
        return [(task.status, task.error["type"] if task.error else task.result) for task in delivered(it)]


def returning(make: Callable[[TaskItem], JsonValue]) -> BatchHandler:
    return lambda items: [make(item) for item in items]


def yielding(make: Callable[[TaskItem], JsonValue]) -> BatchHandler:
    def handler(items: TaskItems) -> ItemOutcomes:
        for item in items:
            yield make(item)

    return handler


both_forms = pytest.mark.parametrize("form", [returning, yielding])


@both_forms
def test_one_call_runs_all_tasks_of_an_invocation(form: Form) -> None:
    calls: list[list[int]] = []

    def handler(items: TaskItems) -> ItemOutcomes:
        calls.append(indexes(items))
        return form(lambda item: {"n": item.parameters["n"], "attempt": item.context.attempt})(items)

    with stand(sample_job(counted(150), declared=declared(handler)), dispatch_parallel=1) as it:
        job_id = it.submit("sample")
        it.pump()
        assert calls == [list(range(100)), list(range(100, 150))]
        assert [task.result for task in it.tasks(job_id)] == [{"n": index, "attempt": 1} for index in range(150)]
        assert it.job(job_id).status == JobStatus.COMPLETED


@both_forms
def test_an_exception_instance_fails_or_retries_its_task_alone(form: Form) -> None:
    given = {1: ValueError("later"), 2: PermanentTaskError("never")}
    assert outcomes(form(lambda item: given.get(item.context.task_index, "fine")), 4) == [
        (COMPLETED, "fine"),
        (RETRYING, "ValueError"),
        (FAILED, "PermanentTaskError"),
        (COMPLETED, "fine"),
    ]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), KeyboardInterrupt()], ids=repr)
def test_an_exception_retries_the_tasks_without_an_outcome(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    def handler(items: TaskItems) -> ItemOutcomes:
        yield from ("done", "done")
        if items[0].context.attempt == 1:
            raise error
        yield "unreachable in the first attempt"

    assert outcomes(handler, 5) == [(COMPLETED, "done")] * 2 + [(RETRYING, type(error).__name__)] * 3
    assert sum("Traceback" in line for line in caplog.messages) == 1
    assert sum("is tried again" in line for line in caplog.messages) == 3


def test_the_retries_of_a_list_come_in_a_list_and_end_by_the_policy() -> None:
    sizes: list[int] = []

    def handler(items: TaskItems) -> ItemOutcomes:
        sizes.append(len(items))
        raise ValueError("no")

    with stand(sample_job(counted(6), declared=declared(handler))) as it:
        job_id = it.submit("sample")
        it.pump_through_time()
        assert {(task.status, task.attempt, task.failures) for task in it.tasks(job_id)} == {(FAILED, 3, 3)}
        assert (sizes[0], sum(sizes)) == (6, 18)
        assert it.job(job_id).status == JobStatus.FAILED


def short_generator(items: TaskItems) -> ItemOutcomes:
    yield from range(len(items) - 1)


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (lambda items: ["x"] * 2, "gave 2 outcomes for 3 items"),
        (short_generator, "gave 2 outcomes for 3 items"),
        (lambda items: [], "gave 0 outcomes for 3 items"),
        (lambda items: ["x"] * 4, "gave more than 3 outcomes for 3 items"),
        (lambda items: None, "returned a value of type NoneType; it must return a list"),
        (lambda items: "abc", "returned a value of type str"),
        (lambda items: dict.fromkeys("abc"), "returned a value of type dict"),
        (lambda items: {1, 2, 3}, "returned a value of type set"),
    ],
    ids=["too_few", "too_few_yielded", "none", "too_many", "None", "a_text", "a_dict", "a_set"],
)
def test_if_the_number_of_outcomes_is_wrong_none_of_them_counts(handler: Any, message: str) -> None:
    with stand(sample_job(counted(3), declared=declared(handler))) as it:
        for task in delivered(it):
            assert (task.status, task.result) == (RETRYING, None)
            assert task.error is not None
            assert task.error["type"] == "BatchHandlerError"
            assert message in task.error["message"]


def test_a_result_that_cannot_be_stored_fails_its_own_task_alone() -> None:
    given = ["fine", "x" * 99, object()]
    assert outcomes(lambda items: given, 3, max_result_bytes=100) == [
        (COMPLETED, "fine"),
        (FAILED, "TaskResultError"),
        (FAILED, "TaskResultError"),
    ]


def test_a_result_counts_as_it_was_when_it_was_given() -> None:
    def handler(items: TaskItems) -> ItemOutcomes:
        reused = {}
        for item in items:
            reused["n"] = item.parameters["n"]
            yield reused

    assert outcomes(handler, 3) == [(COMPLETED, {"n": index}) for index in range(3)]


def test_an_exception_after_the_last_outcome_changes_none(caplog: pytest.LogCaptureFixture) -> None:
    def handler(items: TaskItems) -> ItemOutcomes:
        yield from ["done"] * len(items)
        raise ValueError("too late")

    assert outcomes(handler, 2) == [(COMPLETED, "done")] * 2
    assert "raised ValueError after its last outcome" in caplog.text


def test_tasks_of_two_jobs_are_never_in_one_list() -> None:
    calls: list[set[str]] = []

    def handler(items: TaskItems) -> ItemOutcomes:
        calls.append({item.context.job_id for item in items})
        if items[0].context.job_parameters.label == "bad":
            raise PermanentTaskError("no")
        return ["done"] * len(items)

    with stand(sample_job(counted(3), declared=declared(handler))) as it:
        good, bad = (it.submit("sample", label=label) for label in ("good", "bad"))
        it.deliver_job_messages()
        it.deliver_task_messages()
        assert sorted(map(sorted, calls)) == sorted([[good], [bad]])
        assert {task.status for task in it.tasks(good)} == {COMPLETED}
        assert {task.status for task in it.tasks(bad)} == {FAILED}


def test_the_job_is_read_once_for_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[object] = []
    get = FakeJobRepository.get

    def counting(*args: Any) -> Any:
        jobs.append(args)
        return get(*args)

    monkeypatch.setattr(FakeJobRepository, "get", counting)

    def handler(items: TaskItems) -> ItemOutcomes:
        jobs.clear()
        labels = [item.context.job_parameters.label for item in items]
        return [(label, len(jobs)) for label in labels]

    assert outcomes(handler, 3) == [(COMPLETED, ["a", 1])] * 3


def test_secrets_are_kept_out_of_the_errors_of_a_list(caplog: pytest.LogCaptureFixture) -> None:
    class Secretive(SampleParameters):
        token: SecretStr

    def handler(items: TaskItems) -> ItemOutcomes:
        token = items[0].context.job_parameters.token.get_secret_value()
        yield ValueError(f"{token} is refused")
        raise ValueError(f"{token} is refused")

    caplog.set_level("DEBUG")
    job = sample_job(counted(3), declared=declared(handler))
    job.Parameters = Secretive
    with stand(job) as it:
        job_id = it.submit("sample", token="pssst, a secret")
        it.deliver_job_messages()
        it.deliver_task_messages()
        assert [task.error and task.error["message"] for task in it.tasks(job_id)] == ["*** is refused"] * 3
    assert "is refused" in caplog.text
    assert "pssst" not in caplog.text


def test_a_suspect_is_a_list_of_one_and_one_that_was_interrupted_too_often_is_in_none() -> None:
    calls: list[list[int]] = []

    def handler(items: TaskItems) -> ItemOutcomes:
        calls.append(indexes(items))
        return ["done"] * len(items)

    with stand(sample_job(counted(5), declared=declared(handler))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        interrupt(it, job_id, 1, [1, 3])
        interrupt(it, job_id, 6, [4])
        it.deliver_task_messages()
        assert sorted(calls) == [[0, 2], [1], [3]]
        assert [task.status for task in it.tasks(job_id)] == [COMPLETED] * 4 + [FAILED]


def test_a_list_that_did_not_start_in_time_is_released(run_clock: RunClock) -> None:
    with stand(lease_seconds=SHORT_SECONDS, worker_threads=1) as shell:
        calls: list[str] = []

        def handler(items: TaskItems) -> ItemOutcomes:
            if not calls:
                run_clock.seconds += SHORT_SECONDS
                wait_until(lambda: shell.queue.size(TASKS_QUEUE) == 3)  # the tasks of the other list are released
            calls.append(items[0].context.job_id)
            return ["done"] * len(items)

        with second_process(shell, sample_job(counted(3), declared=declared(handler))) as it:
            jobs = [it.submit("sample", label=label) for label in "ab"]
            it.deliver_job_messages()
            it.deliver_task_messages()
            attempts = sorted([(task.status, task.attempt) for task in it.tasks(job_id)] for job_id in jobs)
            assert attempts == [[(COMPLETED, 1)] * 3, [(RETRYING, 0)] * 3]
            it.pump()
            assert {it.job(job_id).status for job_id in jobs} == {JobStatus.COMPLETED}


@both_forms
def test_a_list_that_learns_of_a_shutdown_keeps_only_the_outcomes_that_it_gave_before(form: Form) -> None:
    with stand() as shell:
        begun = threading.Event()

        def yield_until_told(items: TaskItems) -> ItemOutcomes:
            yield from ("done", "done")
            begun.set()
            wait_until(items[2].context.is_cancelled)

        def return_when_told(items: TaskItems) -> ItemOutcomes:
            begun.set()
            wait_until(items[0].context.is_cancelled)
            return ["half done"] * len(items)

        handler, kept = (yield_until_told, 2) if form is yielding else (return_when_told, 0)
        job = sample_job(counted(5), declared=declared(handler))
        with second_process(shell, job) as it, ThreadPoolExecutor(1) as thread:
            job_id = it.submit("sample")
            it.deliver_job_messages()
            invocation = thread.submit(it.deliver_task_messages)
            assert begun.wait(120)
            it.shutdown.drain(grace_seconds=600, release_seconds=120)  # returns at once: nothing is marked as at work
            invocation.result(120)
            found = [(task.status, task.attempt, task.failures) for task in it.tasks(job_id)]
            assert found == [(COMPLETED, 1, 0)] * kept + [(RETRYING, 0, 0)] * (5 - kept)
            assert it.queue.size(TASKS_QUEUE) == 5 - kept


def ends_early(items: TaskItems) -> ItemOutcomes:
    yield "done"


def raises(items: TaskItems) -> ItemOutcomes:
    yield "done"
    raise ValueError("stopped")


def gives_errors(items: TaskItems) -> ItemOutcomes:
    yield "done"
    yield from (ValueError("stopped") for _ in items[1:])


@pytest.mark.usefixtures("late_starts")
@pytest.mark.parametrize("end", [ends_early, raises, gives_errors])
def test_a_list_that_ends_early_because_its_job_is_cancelled_has_not_failed(end: BatchHandler) -> None:
    with stand(lease_seconds=SHORT_SECONDS) as shell:
        cancelled: list[JobStatus] = []

        def handler(items: TaskItems) -> ItemOutcomes:
            if not cancelled:
                cancelled.append(shell.app.canceller.cancel(items[0].context.job_id))
                wait_until(items[0].context.is_cancelled)
                yield from end(items)
            else:
                yield from ["later"] * len(items)

        with second_process(shell, sample_job(counted(3), declared=declared(handler))) as it:
            job_id = it.submit("sample")
            it.pump()
            found = [(task.status, task.failures, task.error) for task in it.tasks(job_id)]
            assert found == [(COMPLETED, 0, None)] + [(TaskStatus.CANCELLED, 0, None)] * 2
            it.app.reopener.resume(job_id)
            it.pump()
            assert [task.result for task in it.tasks(job_id)] == ["done", "later", "later"]


def swallow(items: TaskItems) -> ItemOutcomes:
    try:
        yield len(list(items[1].context.previous_results()))
    except DatabaseUnavailableError as exc:
        yield exc
    yield "after it"


def do_not_swallow(items: TaskItems) -> ItemOutcomes:
    yield len(list(items[1].context.previous_results()))


@pytest.mark.parametrize("read", [swallow, do_not_swallow])
def test_when_a_read_gives_up_only_the_outcomes_before_it_count(read: BatchHandler) -> None:
    with stand() as shell:
        outages: list[int] = []

        def handler(items: TaskItems) -> ItemOutcomes:
            yield "done"
            if items[0].context.stage == 2 and not outages:
                outages.append(1)
                shell.database.go_away(60)  # longer than a lease
                yield from read(items)
            else:
                yield from ["later"] * (len(items) - 1)

        stages = (StageSpec("one"), StageSpec("two"))
        job = sample_job(counted(3, 3), stages=stages, declared=declared(handler))
        with second_process(shell, job) as it:
            job_id = it.submit("sample")
            it.deliver_job_messages()
            it.deliver_task_messages()
            while len(it.tasks(job_id)) == 3:
                it.deliver_job_messages()
            it.deliver_task_messages()
            found = [(task.status, task.attempt, task.failures) for task in it.tasks(job_id)[3:]]
            assert found == [(COMPLETED, 1, 0), (RETRYING, 0, 0), (RETRYING, 0, 0)]
            it.pump()
            assert it.job(job_id).status == JobStatus.COMPLETED
