"""A job type whose tasks take as long as a test says."""

import threading
from pathlib import Path

from pydantic import Field

from controllers import authoring as lockstep


class SlowParameters(lockstep.JobParameters):
    n: int
    seconds: float = Field(description="how long each task takes")
    asks: bool = Field(default=False, description="whether its tasks end early when they are no longer wanted")
    long: bool = False
    until: str = Field(default="", description="a file for which its tasks wait too")


@lockstep.task_type("slow.short")
def work(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    ended = threading.Event()
    for _ in range(int(parameters["seconds"] * 20)):
        ended.wait(0.05)
        if parameters["asks"] and context.is_cancelled():
            return "half done"
    while parameters["until"] and not Path(parameters["until"]).exists():
        ended.wait(0.05)
    return "done"


long_work = lockstep.task_type("slow.long", lane=lockstep.Lane.LONG)(work.handler)


class Slow(lockstep.JobController[SlowParameters]):
    job_type = "slow"
    stages = (lockstep.StageSpec("work"),)
    task_types = (work, long_work)

    def create_stage_tasks(
        self, job: lockstep.JobContext[SlowParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        working = long_work if job.parameters.long else work
        parameters = {
            "seconds": job.parameters.seconds,
            "asks": job.parameters.asks,
            "until": job.parameters.until,
        }
        for index in range(job.parameters.n):
            yield working.task(index, parameters)


first_work = lockstep.task_type("two_lanes.short")(work.handler)
second_work = lockstep.task_type("two_lanes.long", lane=lockstep.Lane.LONG)(work.handler)


class TwoLanes(lockstep.JobController[SlowParameters]):
    """A stage of short tasks, then one of long tasks."""

    job_type = "two_lanes"
    stages = (lockstep.StageSpec("short"), lockstep.StageSpec("long"))
    task_types = (first_work, second_work)

    def create_stage_tasks(
        self, job: lockstep.JobContext[SlowParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        working = first_work if stage.number == 1 else second_work
        for index in range(job.parameters.n):
            yield working.task(index, {"seconds": job.parameters.seconds, "asks": False, "until": ""})
