"""A job type whose tasks take as long as a test says."""

import threading

from pydantic import Field

from controllers.authoring import (
    JobContext,
    JobController,
    JobParameters,
    JsonValue,
    Lane,
    StageContext,
    StageSpec,
    TaskContext,
    TaskParameters,
    Tasks,
    task_type,
)


class SlowParameters(JobParameters):
    n: int
    seconds: float = Field(description="how long each task takes")
    asks: bool = Field(default=False, description="whether its tasks end early when they are no longer wanted")
    long: bool = False


@task_type("slow.short")
def work(context: TaskContext, parameters: TaskParameters) -> JsonValue:
    ended = threading.Event()
    for _ in range(int(parameters["seconds"] * 20)):
        ended.wait(0.05)
        if parameters["asks"] and context.is_cancelled():
            return "half done"
    return "done"


long_work = task_type("slow.long", lane=Lane.LONG)(work.handler)


class Slow(JobController[SlowParameters]):
    job_type = "slow"
    stages = (StageSpec("work"),)
    task_types = (work, long_work)

    def create_stage_tasks(self, job: JobContext[SlowParameters], stage: StageContext) -> Tasks:
        working = long_work if job.parameters.long else work
        parameters = {"seconds": job.parameters.seconds, "asks": job.parameters.asks}
        for index in range(job.parameters.n):
            yield working.task(index, parameters)
