"""Stages whose results take longer to aggregate than a function may run."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from controllers.base import StageSpec, TaskResults
from controllers.context import JobContext, JsonValue, StageContext
from core.lanes import JOBS_QUEUE
from core.messages import JobAction, JobMessage
from core.models import StageKey
from core.statuses import JobStatus
from tests.support.drive import Stand, job_messages, stand
from tests.support.sample_jobs import SampleParameters, counted, echo, sample_job

TASKS = 1_250
PAGES = 7
SECONDS_EACH = 0.5

Folded = Callable[[JsonValue, list[Any]], JsonValue]


class Clock:
    """The process's clock; time passes only while results are aggregated."""

    def __init__(self) -> None:
        self.now = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("engine.stages.stage_results.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def adding(state: JsonValue, numbers: list[Any]) -> JsonValue:
    before = state or {"calls": 0, "numbers": []}
    return {"calls": before["calls"] + 1, "numbers": [*before["numbers"], *numbers]}


def folding_job(fold: Folded = adding, tasks: int = TASKS, stages: tuple[StageSpec, ...] = (StageSpec("only"),)) -> Any:
    """A job type that folds the parameters of its tasks; the last stage has one task."""

    class Folding(sample_job(counted(tasks, 1), echo, stages=stages)):  # type: ignore[misc] # a class made by a function
        def fold_stage_results(
            self, job: JobContext[SampleParameters], stage: StageContext, state: JsonValue, results: TaskResults
        ) -> JsonValue:
            return fold(state, [each.result["n"] for each in results])

    return Folding


def run_tasks(it: Stand, job_id: str) -> JobMessage:
    """Runs the tasks of the first stage; returns its ADVANCE message."""
    while it.deliver_job_messages():
        pass
    it.deliver_task_messages()
    [message] = job_messages(it.queue.receive(JOBS_QUEUE))
    assert message == JobMessage(job_id, 1, JobAction.ADVANCE)
    return message


def test_results_are_folded_page_by_page() -> None:
    with stand(folding_job()) as it:
        job_id = it.submit("sample")
        it.pump()
        assert it.job(job_id).result == [{"calls": PAGES, "numbers": list(range(TASKS))}]


@pytest.mark.parametrize(("tasks", "calls"), [(0, 1), (200, 1), (201, 2)])
def test_a_stage_is_folded_at_least_once_and_never_with_an_empty_page_more(tasks: int, calls: int) -> None:
    with stand(folding_job(tasks=tasks)) as it:
        job_id = it.submit("sample")
        it.pump()
        assert it.job(job_id).result == [{"calls": calls, "numbers": list(range(tasks))}]


def test_a_long_fold_goes_on_in_other_invocations(clock: Clock) -> None:
    def slowly(state: JsonValue, numbers: list[Any]) -> JsonValue:
        clock.now += SECONDS_EACH * len(numbers)
        return adding(state, numbers)

    with stand(folding_job(slowly, stages=(StageSpec("one"), StageSpec("two")))) as it:
        job_id = it.submit("sample")
        it.app.stages.handle(run_tasks(it, job_id))
        with it.database.transaction() as work:
            fold = work.stages.fold(StageKey(job_id, 1))
        assert (fold.tasks, fold.state["calls"]) == (400, 2)
        slices = 1
        while it.job(job_id).stage == 1:
            slices += it.deliver_job_messages()
        assert slices == 4
        assert it.stage(job_id).result == {"calls": PAGES, "numbers": list(range(TASKS))}
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_every_slice_of_a_fold_makes_progress_however_short_it_is() -> None:
    with stand(folding_job(), dispatch_slice_seconds=1e-9) as it:
        job_id = it.submit("sample")
        it.app.stages.handle(run_tasks(it, job_id))
        with it.database.transaction() as work:
            assert work.stages.fold(StageKey(job_id, 1)).tasks == 200
        it.pump()
        assert it.job(job_id).result == [{"calls": PAGES, "numbers": list(range(TASKS))}]


def test_a_shutdown_ends_a_slice_of_a_fold(clock: Clock) -> None:
    def shut_down(state: JsonValue, numbers: list[Any]) -> JsonValue:
        it.shutdown.drain(0, 0)
        return adding(state, numbers)

    with stand(folding_job(shut_down)) as it:
        job_id = it.submit("sample")
        it.app.stages.handle(run_tasks(it, job_id))
        with it.database.transaction() as work:
            assert work.stages.fold(StageKey(job_id, 1)).tasks == 200
        assert job_messages(it.queue.receive(JOBS_QUEUE)) == [JobMessage(job_id, 1, JobAction.ADVANCE)]


def test_of_two_hosts_that_fold_the_same_stage_only_one_goes_on(clock: Clock) -> None:
    """The message is delivered twice: while the first host folds, the second one does, and ends its slice earlier."""
    inside = [False]

    def overtaken(state: JsonValue, numbers: list[Any]) -> JsonValue:
        clock.now += 200
        if not inside[0]:
            inside[0] = True
            it.app.stages.handle(JobMessage(job_id, 1, JobAction.ADVANCE))
        return adding(state, numbers)

    with stand(folding_job(overtaken)) as it:
        job_id = it.submit("sample")
        it.app.stages.handle(run_tasks(it, job_id))
        assert job_messages(it.queue.receive(JOBS_QUEUE)) == [JobMessage(job_id, 1, JobAction.ADVANCE)]
        it.app.stages.handle(JobMessage(job_id, 1, JobAction.ADVANCE))
        it.pump()
        assert it.job(job_id).result == [{"calls": PAGES, "numbers": list(range(TASKS))}]


def test_a_fold_of_an_earlier_opening_is_dropped(clock: Clock) -> None:
    """The stage is reopened amid its aggregation, as after a failure of the job elsewhere."""

    def reopened(state: JsonValue, numbers: list[Any]) -> JsonValue:
        clock.now += 200
        with it.database.transaction() as work:
            work.stages.reopen(StageKey(job_id, 1), failed_too=True)
        return adding(state, numbers)

    with stand(folding_job(reopened)) as it:
        job_id = it.submit("sample")
        it.app.stages.handle(run_tasks(it, job_id))
        with it.database.transaction() as work:
            assert work.stages.fold(StageKey(job_id, 1)).tasks == 0
        assert it.queue.receive(JOBS_QUEUE) == []


def test_the_state_of_a_fold_is_always_read_back_from_json() -> None:
    states: list[Any] = []

    def fold(state: JsonValue, numbers: list[Any]) -> JsonValue:
        states.append(state)
        return {len(numbers): (1, 2)}

    with stand(folding_job(fold, tasks=300)) as it:
        it.submit("sample")
        it.pump()
        assert states == [None, {"200": [1, 2]}]


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        ("x" * 1_048_576, "the state of stage 1 has 1,048,578 bytes; at most 1,048,576 are accepted"),
        (object(), "the state of stage 1 cannot be written as JSON"),
    ],
    ids=["too large", "no JSON"],
)
def test_a_state_that_cannot_be_stored_fails_the_job_clearly(state: Any, complaint: str) -> None:
    with stand(folding_job(lambda _state, _numbers: state, tasks=1)) as it:
        job_id = it.submit("sample")
        it.pump()
        error = it.job(job_id).error
        assert error is not None
        assert error["type"] == "AggregateError"
        assert complaint in error["message"]


def test_an_aggregation_in_one_piece_that_takes_too_long_fails_its_job_with_advice(clock: Clock) -> None:
    def slowly(stage: StageContext, results: TaskResults) -> int:
        total = 0
        for result in results:
            clock.now += SECONDS_EACH
            total += result.result["n"]
        return total

    with stand(sample_job(counted(TASKS), aggregate=slowly)) as it:
        job_id = it.submit("sample")
        it.pump()
        error = it.job(job_id).error
        assert error is not None
        assert error["type"] == "StageTooSlowError"
        assert error["message"] == (
            "stage 1 (only) cannot be aggregated: aggregate_stage_results has read 480 results in 240 s, "
            "twice DISPATCH_SLICE_SECONDS. Raise this setting, but keep twice its value below functionTimeout, "
            'or let the job type override fold_stage_results (docs/architecture.md, "Long stages")'
        )


def test_reading_the_results_of_the_stage_before_takes_time_of_an_aggregation(clock: Clock) -> None:
    def slowly(stage: StageContext, results: TaskResults) -> int:
        for _ in stage.previous_results():
            clock.now += 1
        return len(list(results))

    with stand(sample_job(counted(300, 1), stages=(StageSpec("one"), StageSpec("two")), aggregate=slowly)) as it:
        job_id = it.submit("sample")
        it.pump()
        error = it.job(job_id).error
        assert error is not None
        assert "stage 2 (two) cannot be aggregated: aggregate_stage_results has read 240 results" in error["message"]


def test_a_job_whose_aggregation_was_too_slow_can_be_retried(clock: Clock) -> None:
    seconds = [1.0]

    def slowly(stage: StageContext, results: TaskResults) -> int:
        count = 0
        for _ in results:
            clock.now += seconds[0]
            count += 1
        return count

    with stand(sample_job(counted(300), aggregate=slowly)) as it:
        job_id = it.submit("sample")
        it.pump()
        assert it.job(job_id).status == JobStatus.FAILED
        seconds[0] = 0.1
        it.app.reopener.retry(job_id)
        it.pump()
        assert it.job(job_id).result == [300]
