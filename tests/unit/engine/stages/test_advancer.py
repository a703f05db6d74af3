"""What a stage passes to the next one, and how a job ends."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from controllers.base import StageSpec
from controllers.context import JobContext, StageContext, TaskContext
from core.definitions import TaskDefinition
from core.errors import JobFailure, PermanentTaskError
from core.messages import JobAction, JobMessage
from core.models import StageKey, StageOpening
from core.statuses import JobStatus, StageStatus, TaskStatus
from core.task_runs import TaskResult
from engine.jobs.end_hooks import EndHooks
from engine.jobs.waiting_jobs import WaitingJobs
from engine.process.job_secrets import JobSecrets
from engine.stages.job_endings import JobEndings
from tests.support.drive import stand
from tests.support.sample_jobs import TASK_TYPE, SampleParameters, counted, sample_job

TWO = (StageSpec("first"), StageSpec("second"))


def fails_first(count: int) -> Any:
    """A handler that fails the first `count` tasks of a stage."""

    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> int:
        if context.task_index < count:
            raise PermanentTaskError("no")
        return context.task_index

    return handler


def results_in_order(stage: StageContext, results: Iterator[TaskResult]) -> list[Any]:
    return [(each.task_index, each.status, each.result) for each in results]


def test_results_are_aggregated_in_index_order() -> None:
    with stand(sample_job(counted(1_205), lambda context, parameters: context.task_index, aggregate=_indexes)) as it:
        job_id = it.submit("sample")
        it.pump()
        assert it.job(job_id).result == [list(range(1_205))]


def _indexes(stage: StageContext, results: Iterator[TaskResult]) -> list[int]:
    return [each.result for each in results]


def test_a_stage_gets_the_result_and_the_task_results_of_the_stage_before() -> None:
    def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        if stage.number == 1:
            assert (stage.previous_result, list(stage.previous_results())) == (None, [])
            yield from counted(3)(job, stage)
            return
        handed_on = [stage.previous_result, [each.result["n"] for each in stage.previous_results()]]
        yield TaskDefinition(TASK_TYPE, {"handed_on": handed_on, "name": stage.name}, 0)

    with stand(sample_job(tasks, stages=TWO)) as it:
        job_id = it.submit("sample")
        it.pump()
        assert it.tasks(job_id)[-1].parameters == {"handed_on": [3, [0, 1, 2]], "name": "second"}
        assert it.stage(job_id, 1).result == 3
        assert it.job(job_id).result == [3, 1]


def test_a_job_completes_with_errors_when_its_stages_tolerate_the_failures() -> None:
    stages = (StageSpec("first", max_failed_fraction=0.5),)
    with stand(sample_job(counted(4), fails_first(2), stages=stages, aggregate=results_in_order)) as it:
        job_id = it.submit("sample")
        it.pump()
        job = it.job(job_id)
        assert job.status == JobStatus.COMPLETED_WITH_ERRORS
        assert job.error == {
            "type": "TasksFailedError",
            "message": (
                "2 of 4 tasks of stage 1 (first) failed, no more than it tolerates. Its most frequent error, "
                f"in 2 of 2 failed tasks: PermanentTaskError: no (first in {it.tasks(job_id)[0].task_id}). "
                f"All of them: lockstep tasks {job_id} --failed, or GET /api/jobs/{job_id}/tasks?status=failed"
            ),
            "stage": 1,
        }
        assert job.result == [[[0, "failed", None], [1, "failed", None], [2, "completed", 2], [3, "completed", 3]]]
        stage = it.stage(job_id)
        assert (stage.status, stage.completed_tasks, stage.failed_tasks) == (StageStatus.FINISHED, 2, 2)


def test_a_job_fails_when_more_tasks_fail_than_its_stage_tolerates() -> None:
    stages = (StageSpec("first", max_failed_fraction=0.5), StageSpec("second"))
    with stand(sample_job(counted(4, 1), fails_first(3), stages=stages)) as it:
        job_id = it.submit("sample")
        it.pump()
        job = it.job(job_id)
        assert (job.status, job.stage, job.result) == (JobStatus.FAILED, 1, None)
        assert job.error == {
            "type": "StageFailedError",
            "message": (
                "3 of 4 tasks of stage 1 (first) failed; it tolerates a fraction of 0.5. Its most frequent error, "
                f"in 3 of 3 failed tasks: PermanentTaskError: no (first in {it.tasks(job_id)[0].task_id}). "
                f"All of them: lockstep tasks {job_id} --failed, or GET /api/jobs/{job_id}/tasks?status=failed"
            ),
            "stage": 1,
        }
        assert it.stage(job_id).status == StageStatus.FAILED
        assert it.stage_or_none(job_id, 2) is None


def test_a_failed_job_quotes_the_most_frequent_error_of_its_tasks() -> None:
    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> None:
        raise PermanentTaskError("the row is odd" if context.task_index < 3 else "the source has changed" + "!" * 1_000)

    with stand(sample_job(counted(10), handler)) as it:
        job_id = it.submit("sample")
        it.pump()
        error = it.job(job_id).error
        assert error is not None
        assert "in 7 of 10 failed tasks: PermanentTaskError: the source has changed!!!" in error["message"]
        assert it.tasks(job_id)[3].task_id in error["message"]
        assert len(error["message"]) < 1_000


@pytest.mark.parametrize(
    "text",
    [
        "row {0} of 1,000 is odd",
        "no file 'part {0}.csv'",
        'the answer "{0} b" is odd',
        "GET https://store.example/{0}?sig=abc answers 404",
        "task {0:032x}-s01-t0000001 is odd",
        "/data/{0}.csv is empty",
    ],
)
def test_errors_that_differ_in_numbers_ids_quotes_and_urls_count_as_one(text: str) -> None:
    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> None:
        same = context.task_index < 3
        raise PermanentTaskError("the row is odd" if same else text.format(context.task_index))

    with stand(sample_job(counted(10), handler)) as it:
        job_id = it.submit("sample")
        it.pump()
        error = it.job(job_id).error
        assert error is not None
        example = text.format(3).replace("?sig=abc", "")
        assert f"in 7 of 10 failed tasks: PermanentTaskError: {example} (first in" in error["message"]
        assert it.tasks(job_id)[3].task_id in error["message"]


def test_a_job_that_completes_with_errors_quotes_the_stage_with_the_most_failures() -> None:
    stages = (StageSpec("first", 1.0), StageSpec("second", 1.0), StageSpec("third", 1.0))

    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> None:
        if context.stage < 3:
            raise ValueError(f"bad stage {context.stage}")

    with stand(sample_job(counted(2, 5, 1), handler, stages=stages)) as it:
        job_id = it.submit("sample")
        it.pump_through_time()
        error = it.job(job_id).error
        assert error is not None
        assert error["stage"] == 2
        assert error["message"].startswith("5 of 5 tasks of stage 2 (second) failed")
        assert "ValueError: bad stage 2" in error["message"]
        assert "2 tasks of other stages failed too" in error["message"]


def test_the_cause_that_a_job_quotes_is_gone_when_the_job_is_retried() -> None:
    stages = (StageSpec("first", 1.0),)

    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> None:
        if fails:
            raise PermanentTaskError("no")

    fails = True
    with stand(sample_job(counted(2), handler, stages=stages)) as it:
        job_id = it.submit("sample")
        it.pump()
        assert it.job(job_id).error is not None
        fails = False
        it.app.reopener.retry(job_id)
        it.pump()
        assert (it.job(job_id).status, it.job(job_id).error) == (JobStatus.COMPLETED, None)


def test_a_failed_job_reads_no_more_than_a_thousand_of_its_failed_tasks() -> None:
    with stand(sample_job(counted(1_200), fails_first(1_200), stages=(StageSpec("only", 0.99),))) as it:
        job_id = it.submit("sample")
        it.pump()
        error = it.job(job_id).error
        assert error is not None
        assert "in 1,000 of the first 1,000 failed tasks: PermanentTaskError: no" in error["message"]


def test_no_failure_is_tolerated_unless_declared() -> None:
    with stand(sample_job(counted(1_000), fails_first(1))) as it:
        job_id = it.submit("sample")
        it.pump()
        assert it.job(job_id).status == JobStatus.FAILED
        assert it.job(job_id).error == {
            "type": "StageFailedError",
            "message": (
                "1 of 1,000 tasks of stage 1 (only) failed; it tolerates a fraction of 0. Its most frequent error, "
                f"in 1 of 1 failed tasks: PermanentTaskError: no (first in {it.tasks(job_id)[0].task_id}). "
                f"All of them: lockstep tasks {job_id} --failed, or GET /api/jobs/{job_id}/tasks?status=failed"
            ),
            "stage": 1,
        }


@pytest.mark.parametrize(
    ("result", "complaint"),
    [
        ("x" * 1_048_576, "the result of stage 1 has 1,048,578 bytes; at most 1,048,576 are accepted"),
        (object(), "the result of stage 1 cannot be written as JSON"),
        ("\x00", "the result of stage 1 contains a NUL character"),
    ],
    ids=["too large", "no JSON", "NUL"],
)
def test_a_stage_result_that_cannot_be_stored_fails_the_job_clearly(result: Any, complaint: str) -> None:
    with stand(sample_job(counted(1), aggregate=lambda stage, results: result)) as it:
        job_id = it.submit("sample")
        it.pump()
        job = it.job(job_id)
        assert job.status == JobStatus.FAILED
        assert job.error is not None
        assert job.error["type"] == "AggregateError"
        assert complaint in job.error["message"]


def test_the_jobs_own_result_has_a_limit_too() -> None:
    half = "x" * 600_000
    with stand(sample_job(counted(1, 1), stages=TWO, aggregate=lambda stage, results: half)) as it:
        job_id = it.submit("sample")
        it.pump()
        error = it.job(job_id).error
        assert error is not None
        assert "the job's result has 1,200,007 bytes" in error["message"]


def test_an_aggregation_may_fail_its_job() -> None:
    def aggregate(stage: StageContext, results: Iterator[TaskResult]) -> None:
        raise JobFailure("the sums differ")

    with stand(sample_job(counted(1), aggregate=aggregate)) as it:
        job_id = it.submit("sample")
        it.pump()
        assert it.job(job_id).error == {"type": "JobFailure", "message": "the sums differ", "stage": 1}


class Overtaken:
    """During this aggregation another process handles the same message, and the client retries the job."""

    def __init__(self, elsewhere: Callable[[StageContext], None]) -> None:
        self.mended = False
        self._elsewhere = elsewhere
        self._calls = 0

    def handler(self, context: TaskContext, parameters: Mapping[str, Any]) -> int:
        if context.task_index == 7 and not self.mended:
            raise PermanentTaskError("broken")
        return context.task_index

    def aggregate(self, stage: StageContext, results: Iterator[TaskResult]) -> int:
        completed = sum(each.status == TaskStatus.COMPLETED for each in results)
        self._calls += 1
        if self._calls == 1:
            self._elsewhere(stage)
            self.mended = True
        return completed


def test_a_late_handler_does_not_end_a_job_that_was_ended_and_retried_meanwhile() -> None:
    def elsewhere(_: StageContext) -> None:
        it.app.stages.handle(JobMessage(job_id, 1, JobAction.ADVANCE))
        assert it.job(job_id).status == JobStatus.COMPLETED_WITH_ERRORS
        it.app.reopener.retry(job_id)

    job = Overtaken(elsewhere)
    stages = (StageSpec("only", max_failed_fraction=0.5),)
    with stand(sample_job(counted(250), job.handler, stages=stages, aggregate=job.aggregate)) as it:
        job_id = it.submit("sample")
        it.pump()
        ended = it.job(job_id)
        assert (ended.status, ended.result) == (JobStatus.COMPLETED, [250])
        assert (it.stage(job_id).completed_tasks, it.stage(job_id).failed_tasks) == (250, 0)


def test_a_late_handler_does_not_go_on_to_the_next_stage_of_a_job_that_was_retried_meanwhile() -> None:
    def elsewhere(_: StageContext) -> None:
        secrets, hooks = JobSecrets(it.app.database, it.app.registry), EndHooks(it.app.queue, it.app.registry)
        waiting = WaitingJobs(it.app.database, it.app.queue, hooks)
        JobEndings(it.app.database, it.app.queue, secrets, hooks, waiting).fail(
            StageOpening(StageKey(job_id, 1), 0), JobFailure("its aggregation failed elsewhere")
        )
        it.app.reopener.retry(job_id)

    job = Overtaken(elsewhere)
    stages = (StageSpec("one", max_failed_fraction=0.5), StageSpec("two"))
    with stand(sample_job(counted(250, 1), job.handler, stages=stages, aggregate=job.aggregate)) as it:
        job_id = it.submit("sample")
        it.pump()
        ended = it.job(job_id)
        assert (ended.status, ended.result) == (JobStatus.COMPLETED, [250, 1])
