"""Adding a job type is one new file and one registry line; this is the file."""

from typing import Any

from pydantic import Field

from controllers import authoring as lockstep
from controllers.registry import CONTROLLERS
from core.statuses import BatchStatus, JobStatus, StageStatus
from tests.support.drive import stand


class SquaresParameters(lockstep.JobParameters):
    upto: int = Field(ge=1, le=1_000)


@lockstep.task_type("squares.square")
def square(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    return parameters["number"] ** 2


@lockstep.task_type("squares.check")
def check(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    return {"total": parameters["total"], "key": context.idempotency_key}


class Squares(lockstep.JobController[SquaresParameters]):
    job_type = "squares"
    stages = (lockstep.StageSpec("square"), lockstep.StageSpec("check"))
    task_types = (square, check)

    def create_stage_tasks(
        self, job: lockstep.JobContext[SquaresParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        if stage.number == 1:
            for index in range(job.parameters.upto):
                yield square.task(index, {"number": index + 1})
        else:
            yield check.task(0, {"total": stage.previous_result})

    def aggregate_stage_results(
        self, job: lockstep.JobContext[SquaresParameters], stage: lockstep.StageContext, results: lockstep.TaskResults
    ) -> lockstep.JsonValue:
        return sum(each.result for each in results) if stage.number == 1 else next(results).result


REGISTERED: tuple[type[lockstep.JobController[Any]], ...] = (*CONTROLLERS, Squares)


def test_a_new_job_type_runs_from_its_submission_to_its_result() -> None:
    with stand(*REGISTERED) as it:
        job_id = it.submit("squares", upto=250)
        it.pump()

        job = it.job(job_id)
        total = sum(number**2 for number in range(1, 251))
        assert job.status == JobStatus.COMPLETED
        assert job.result == [total, {"total": total, "key": f"{job_id}-s02-t0000000"}]
        assert job.error is None
        assert (job.stage, job.total_stages) == (2, 2)


def test_its_rows_tell_exactly_what_ran() -> None:
    with stand(*REGISTERED) as it:
        job_id = it.submit("squares", upto=250)
        it.pump()

        batches = it.batches(job_id)
        assert [batch.task_count for batch in batches] == [100, 100, 50, 1]
        assert {batch.status for batch in batches} == {BatchStatus.FINISHED}
        tasks = it.tasks(job_id)
        assert [task.result for task in tasks[:3]] == [1, 4, 9]
        assert {(task.status, task.attempt) for task in tasks} == {(lockstep.TaskStatus.COMPLETED, 1)}
        stages = [it.stage(job_id, number) for number in (1, 2)]
        assert [(each.status, each.total_tasks, each.completed_tasks) for each in stages] == [
            (StageStatus.FINISHED, 250, 250),
            (StageStatus.FINISHED, 1, 1),
        ]


def test_its_tasks_are_queued_one_by_one_when_the_job_asks_for_it() -> None:
    with stand(*REGISTERED) as it:
        job_id = it.submit("squares", upto=5, use_service_bus=False)
        it.pump()

        assert it.job(job_id).status == JobStatus.COMPLETED
        assert [batch.task_count for batch in it.batches(job_id)] == [1] * 6
