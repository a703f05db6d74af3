"""The job of the fault tests: two stages of short tasks, the second built from the results of the first."""

import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from controllers import authoring as lockstep

_LOOK_SECONDS = 0.05


class SumParameters(lockstep.JobParameters):
    n: int = Field(description="tasks of each stage")
    work_ms: float = Field(default=5, description="how long a task takes, in milliseconds")
    latch: str = Field(default="", description="a file: the held tasks wait until it is gone")
    held_stage: int = Field(default=2, description="the stage with held tasks")
    held_from: int = Field(default=-1, description="the index of its first held task; negative counts from the end")


@lockstep.task_type("sum.work")
def work(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    time.sleep(parameters["work_ms"] / 1000)
    while parameters["latch"] and Path(parameters["latch"]).exists() and not context.is_cancelled():
        time.sleep(_LOOK_SECONDS)
    return parameters["value"] + 1


class SumJob(lockstep.JobController[SumParameters]):
    job_type = "sum"
    stages = (lockstep.StageSpec("first"), lockstep.StageSpec("second"))
    task_types = (work,)

    def create_stage_tasks(
        self, job: lockstep.JobContext[SumParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        values: Iterator[int] = iter(range(job.parameters.n))
        if stage.number == 2:
            values = (result.result for result in stage.previous_results())
        wanted = job.parameters
        held_from = wanted.held_from % wanted.n if stage.number == wanted.held_stage else wanted.n
        for index, value in enumerate(values):
            latch = wanted.latch if index >= held_from else ""
            yield work.task(index, {"value": value, "work_ms": wanted.work_ms, "latch": latch})

    def aggregate_stage_results(
        self, job: lockstep.JobContext[SumParameters], stage: lockstep.StageContext, results: lockstep.TaskResults
    ) -> lockstep.JsonValue:
        return sum(result.result for result in results)

    def aggregate_job_results(
        self, job: lockstep.JobContext[SumParameters], stage_results: list[lockstep.JsonValue]
    ) -> lockstep.JsonValue:
        return stage_results


def expected_result(n: int) -> list[int]:
    """The result of a `SumJob` when nothing is lost and nothing counted twice."""
    return [sum(range(1, n + 1)), sum(range(2, n + 2))]
