"""A job type whose tasks take as long as a test says."""

import threading
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from controllers.base import JobController, StageSpec, TaskType
from controllers.context import JobContext, JobParameters, JsonValue, StageContext, TaskContext
from core.definitions import TaskDefinition
from core.lanes import Lane
from core.retry import TaskPolicy


class SlowParameters(JobParameters):
    n: int
    seconds: float = Field(description="how long each task takes")
    asks: bool = Field(default=False, description="whether its tasks end early when they are no longer wanted")
    long: bool = False


def work(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    ended = threading.Event()
    for _ in range(int(parameters["seconds"] * 20)):
        ended.wait(0.05)
        if parameters["asks"] and context.is_cancelled():
            return "half done"
    return "done"


class Slow(JobController[SlowParameters]):
    job_type = "slow"
    Parameters = SlowParameters
    stages = (StageSpec("work"),)
    task_types: ClassVar[Mapping[str, TaskType]] = {
        "slow.short": TaskType(work),
        "slow.long": TaskType(work, TaskPolicy(lane=Lane.LONG)),
    }

    def create_stage_tasks(self, job: JobContext[SlowParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        task_type = "slow.long" if job.parameters.long else "slow.short"
        parameters = {"seconds": job.parameters.seconds, "asks": job.parameters.asks}
        for index in range(job.parameters.n):
            yield TaskDefinition(task_type, parameters, index)
