"""Jobs of which a client retries a part: the chosen failed tasks run again, and the others stay failed."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from controllers.base import StageSpec
from controllers.context import JsonValue, StageContext, TaskContext
from core.error_groups import group_of
from core.errors import InvalidInputError, JobFailure, JobStateError, PermanentTaskError
from core.ids import batch_id, task_id
from core.retry_parts import MAX_TASKS, RetryPart
from core.statuses import JobStatus, StageStatus, TaskStatus
from core.task_runs import TaskResult
from tests.support.drive import Stand, stand
from tests.support.sample_jobs import counted, sample_job
from tests.unit.engine.jobs.test_canceller import assert_settled, statuses

TOLERANT = (StageSpec("only", max_failed_fraction=1.0),)
SOURCE, FORMAT = "the source 17 cannot be read", "row 4 is not valid"


class Broken:
    """A handler that fails with a cause by index until the test repairs some of them."""

    def __init__(self, causes: Mapping[int, str]) -> None:
        self.causes = dict(causes)
        self.runs: list[int] = []

    def __call__(self, context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        self.runs.append(context.task_index)
        if context.task_index in self.causes:
            raise PermanentTaskError(self.causes[context.task_index])
        return None

    def mend(self, *indexes: int) -> None:
        for index in indexes or list(self.causes):
            del self.causes[index]
        self.runs.clear()


def of_tasks(job_id: str, *indexes: int, stage: int = 1) -> RetryPart:
    return RetryPart(task_ids=frozenset(task_id(job_id, stage, index) for index in indexes))


def of_batch(job_id: str, index: int, stage: int = 1) -> RetryPart:
    return RetryPart(batch_ids=frozenset({batch_id(job_id, stage, index)}))


def of_error(message: str) -> RetryPart:
    return RetryPart(error_group=group_of("PermanentTaskError", message).id)


def ended(it: Stand) -> str:
    job_id = it.submit("sample")
    it.pump()
    return job_id


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (lambda job_id: of_batch(job_id, 1), [130, 131]),
        (lambda job_id: of_tasks(job_id, 7, 131), [7, 131]),
        (lambda job_id: of_error("the source 4711 cannot be read"), [7, 130]),
    ],
    ids=["batch", "tasks", "error"],
)
def test_exactly_the_chosen_tasks_run_again(part: Callable[[str], RetryPart], expected: list[int]) -> None:
    handler = Broken({7: SOURCE, 8: FORMAT, 130: SOURCE, 131: FORMAT})
    with stand(sample_job(counted(250), handler, stages=TOLERANT)) as it:
        job_id = ended(it)
        handler.mend()
        assert it.app.reopener.retry(job_id, part(job_id)) == JobStatus.PROCESSING
        it.pump()
        assert sorted(handler.runs) == expected
        assert it.job(job_id).status == JobStatus.COMPLETED_WITH_ERRORS
        assert statuses(it, job_id) == {TaskStatus.COMPLETED: 248, TaskStatus.FAILED: 2}
        assert_settled(it, job_id)
        it.app.reopener.retry(job_id)
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert_settled(it, job_id)


def test_a_job_whose_stage_tolerates_no_failure_fails_again_once_the_chosen_tasks_have_run() -> None:
    handler = Broken({3: SOURCE, 4: FORMAT})
    with stand(sample_job(counted(5), handler)) as it:
        job_id = ended(it)
        assert it.job(job_id).status == JobStatus.FAILED
        handler.mend()
        it.app.reopener.retry(job_id, of_tasks(job_id, 3))
        it.pump()
        assert (it.job(job_id).status, handler.runs) == (JobStatus.FAILED, [3])
        assert statuses(it, job_id) == {TaskStatus.COMPLETED: 4, TaskStatus.FAILED: 1}
        assert_settled(it, job_id)
        it.app.reopener.retry(job_id, of_tasks(job_id, 4))
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_tasks_that_were_cancelled_when_their_stage_failed_run_with_the_chosen_ones() -> None:
    handler = Broken({3: SOURCE, 4: FORMAT})
    stages = (StageSpec("one"), StageSpec("two"))
    with stand(sample_job(counted(1_000, 2), handler, stages=stages), dispatch_parallel=1) as it:
        job_id = ended(it)
        assert it.stage(job_id).cancelled_tasks == 900
        handler.mend()
        it.app.reopener.retry(job_id, of_error(SOURCE))
        it.pump()
        assert sorted(handler.runs) == [3, *range(100, 1_000)]
        assert (it.job(job_id).status, it.job(job_id).stage) == (JobStatus.FAILED, 1)
        handler.runs.clear()
        it.app.reopener.retry(job_id, of_error(FORMAT))
        it.pump()
        assert sorted(handler.runs) == [0, 1, 4]
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_new_failure_stops_a_stage_that_tolerates_none_while_the_kept_ones_do_not() -> None:
    handler = Broken({3: SOURCE, 4: FORMAT, 250: SOURCE})
    with stand(sample_job(counted(1_000), handler), dispatch_parallel=1) as it:
        job_id = ended(it)
        handler.mend(3, 4)
        it.app.reopener.retry(job_id, of_tasks(job_id, 4))
        it.pump()
        assert sorted(handler.runs) == [4, *range(100, 399)]
        assert it.stage(job_id).status == StageStatus.FAILED
        assert it.stage(job_id).cancelled_tasks == 601
        assert statuses(it, job_id)[TaskStatus.FAILED] == 2
        assert_settled(it, job_id)


def test_a_part_of_a_large_stage_is_reopened_in_slices() -> None:
    handler = Broken({index: SOURCE if index % 700 else FORMAT for index in range(2_100)})
    with stand(sample_job(counted(2_100), handler, stages=TOLERANT), dispatch_slice_seconds=1e-9) as it:
        job_id = ended(it)
        handler.mend()
        it.app.reopener.retry(job_id, of_error(FORMAT))
        it.pump()
        assert sorted(handler.runs) == [0, 700, 1_400]
        assert statuses(it, job_id) == {TaskStatus.COMPLETED: 3, TaskStatus.FAILED: 2_097}
        assert_settled(it, job_id)


def test_a_retry_in_whole_forgets_the_part_of_an_earlier_one() -> None:
    handler = Broken({1: SOURCE, 2: SOURCE, 3: FORMAT})
    with stand(sample_job(counted(5), handler, stages=TOLERANT)) as it:
        job_id = ended(it)
        it.app.reopener.retry(job_id, of_tasks(job_id, 1))
        it.pump()
        handler.mend()
        it.app.reopener.retry(job_id)
        it.pump()
        assert sorted(handler.runs) == [1, 2, 3]
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_job_that_is_cancelled_while_a_part_of_it_runs_again_is_resumed_with_that_part() -> None:
    handler = Broken({1: SOURCE, 2: SOURCE})
    with stand(sample_job(counted(5), handler, stages=TOLERANT)) as it:
        job_id = ended(it)
        handler.mend()
        it.app.reopener.retry(job_id, of_tasks(job_id, 2))
        it.deliver_job_messages()
        it.app.canceller.cancel(job_id)
        it.pump()
        it.app.reopener.resume(job_id)
        it.pump()
        assert handler.runs == [2]
        assert Counter(statuses(it, job_id)) == {TaskStatus.COMPLETED: 4, TaskStatus.FAILED: 1}
        assert_settled(it, job_id)


def test_kept_failures_do_not_end_a_resumed_part_before_its_tasks_have_run() -> None:
    handler = Broken({3: SOURCE, 130: FORMAT, 131: FORMAT, 132: FORMAT, 133: FORMAT})
    controller = sample_job(counted(150), handler, stages=(StageSpec("only", max_failed_fraction=0.02),))
    # One batch after the other: if the second were sent first, the job would fail before tasks of the first have run.
    with stand(controller, dispatch_parallel=1) as it:
        job_id = ended(it)
        handler.mend()
        it.app.reopener.retry(job_id, of_tasks(job_id, 3))
        it.deliver_job_messages()
        it.app.canceller.cancel(job_id)
        it.pump()
        assert handler.runs == []
        it.app.reopener.resume(job_id)
        it.pump()
        assert handler.runs == [3]
        assert (it.job(job_id).status, it.stage(job_id).failed_tasks) == (JobStatus.FAILED, 4)
        assert_settled(it, job_id)


@pytest.mark.parametrize(
    ("part", "field", "why"),
    [
        (lambda job_id: of_batch(job_id, 7), "batch_id", "is no batch of this job"),
        (lambda job_id: of_batch("f" * 32, 0), "batch_id", "is no batch of this job"),
        (lambda job_id: of_batch(job_id, 1), "batch_id", "has no failed task"),
        (lambda job_id: of_tasks(job_id, 1, 2), "task_ids", "is completed: only failed tasks can be retried"),
        (lambda job_id: of_tasks(job_id, 1, 999), "task_ids", "is no task of this job"),
        (lambda job_id: of_tasks("f" * 32, 1), "task_ids", "is no task of this job"),
        (lambda job_id: of_tasks(job_id, *range(MAX_TASKS + 1)), "task_ids", "at most 1,000"),
        (lambda job_id: of_error("unheard of"), "error", "no failed task has an error of this group"),
    ],
)
def test_a_part_that_does_not_exist_is_refused_with_the_reason(
    part: Callable[[str], RetryPart], field: str, why: str
) -> None:
    with stand(sample_job(counted(150), Broken({1: SOURCE}), stages=TOLERANT)) as it:
        job_id = ended(it)
        before = it.job(job_id)
        with pytest.raises(InvalidInputError, match=why) as refusal:
            it.app.reopener.retry(job_id, part(job_id))
        assert {error.field for error in refusal.value.errors} == {field}
        assert it.job(job_id) == before


@pytest.mark.parametrize(
    "part", [lambda job_id: of_batch(job_id, 0), lambda job_id: of_tasks(job_id, 0)], ids=["batch", "tasks"]
)
def test_failures_that_later_stages_have_used_cannot_be_retried(part: Callable[[str], RetryPart]) -> None:
    stages = (StageSpec("one", max_failed_fraction=0.5), StageSpec("two", max_failed_fraction=1))
    with stand(sample_job(counted(2, 2), Broken({0: SOURCE}), stages=stages)) as it:
        job_id = ended(it)
        assert it.job(job_id).status == JobStatus.COMPLETED_WITH_ERRORS
        with pytest.raises(JobStateError, match="earlier stage, whose results the later ones have used"):
            it.app.reopener.retry(job_id, part(job_id))


@pytest.mark.parametrize(
    "part",
    [lambda job_id: of_batch(job_id, 0), lambda job_id: of_tasks(job_id, 0), lambda _: of_error(SOURCE)],
    ids=["batch", "tasks", "error"],
)
def test_a_job_that_failed_in_its_aggregation_has_no_part(part: Callable[[str], RetryPart]) -> None:
    def refuses(stage: StageContext, results: Iterator[TaskResult]) -> JsonValue:
        raise JobFailure("no")

    with stand(sample_job(counted(3), aggregate=refuses)) as it:
        job_id = ended(it)
        before = it.job(job_id)
        assert (before.status, it.stage(job_id).status) == (JobStatus.FAILED, StageStatus.FINISHED)
        with pytest.raises(InvalidInputError):
            it.app.reopener.retry(job_id, part(job_id))
        assert it.job(job_id) == before


def test_a_job_that_failed_before_it_had_tasks_has_no_part() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        with it.database.transaction() as work:
            assert work.jobs.finish(job_id, JobStatus.FAILED, None, '{"type": "JobFailure", "message": "no"}')
        with pytest.raises(InvalidInputError, match="none of its tasks has failed"):
            it.app.reopener.retry(job_id, of_tasks(job_id, 0))
