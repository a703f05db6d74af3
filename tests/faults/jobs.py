"""The job of the fault tests: two stages of short tasks, the second built from the results of the first."""

import time
from collections.abc import Iterator

from pydantic import Field

from controllers.authoring import (
    JobContext,
    JobController,
    JobParameters,
    JsonValue,
    StageContext,
    StageSpec,
    TaskContext,
    TaskParameters,
    TaskResults,
    Tasks,
    task_type,
)


class SumParameters(JobParameters):
    n: int = Field(description="tasks of each stage")
    work_ms: float = Field(default=5, description="how long a task takes, in milliseconds")


@task_type("sum.work")
def work(context: TaskContext, parameters: TaskParameters) -> JsonValue:
    time.sleep(parameters["work_ms"] / 1000)
    return parameters["value"] + 1


class SumJob(JobController[SumParameters]):
    job_type = "sum"
    stages = (StageSpec("first"), StageSpec("second"))
    task_types = (work,)

    def create_stage_tasks(self, job: JobContext[SumParameters], stage: StageContext) -> Tasks:
        values: Iterator[int] = iter(range(job.parameters.n))
        if stage.number == 2:
            values = (result.result for result in stage.previous_results())
        for index, value in enumerate(values):
            yield work.task(index, {"value": value, "work_ms": job.parameters.work_ms})

    def aggregate_stage_results(
        self, job: JobContext[SumParameters], stage: StageContext, results: TaskResults
    ) -> JsonValue:
        return sum(result.result for result in results)

    def aggregate_job_results(self, job: JobContext[SumParameters], stage_results: list[JsonValue]) -> JsonValue:
        return stage_results


def expected_result(n: int) -> list[int]:
    """The result of a `SumJob` when nothing is lost and nothing counted twice."""
    return [sum(range(1, n + 1)), sum(range(2, n + 2))]
