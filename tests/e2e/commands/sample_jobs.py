"""A job type whose tasks fail, or wait, as a test says."""

import threading

from pydantic import Field

from controllers import authoring as lockstep

MENDED = "mended"
"""The file in DATA_DIR with which no task fails any more."""

_LONGEST_WAIT_SECONDS = 7_200
"""Longer than all tests of the folder take on a busy machine; at their end the task is released."""


class SampleParameters(lockstep.JobParameters):
    n: int = Field(ge=1, le=1_000, description="how many places there are")
    area: str = Field(default="", max_length=40)
    fails: float = Field(default=0, ge=0, le=1, description="which part of the tasks fails")
    waits_for: str = Field(default="", pattern="[a-z]*", description="a file in DATA_DIR for which its tasks wait")


@lockstep.task_type("sample.place", max_attempts=1)
def visit(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    if parameters["fails"] and not (context.services.data_dir / MENDED).exists():
        missing = "coordinates" if parameters["place"] % 2 else "a name"
        raise lockstep.PermanentTaskError(f"place {parameters['place']} has no {missing}")
    return {"trees": parameters["place"] % 17}


@lockstep.task_type("sample.wait", lane=lockstep.Lane.LONG)
def wait(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    ended = threading.Event()
    for _ in range(_LONGEST_WAIT_SECONDS * 10):
        if context.is_cancelled() or (context.services.data_dir / parameters["file"]).exists():
            break
        ended.wait(0.1)
    return "waited"


class Sample(lockstep.JobController[SampleParameters]):
    """Visits places."""

    job_type = "sample"
    stages = (lockstep.StageSpec("places", max_failed_fraction=0.5),)
    task_types = (visit, wait)

    def create_stage_tasks(
        self, job: lockstep.JobContext[SampleParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        given = job.parameters
        for index in range(given.n):
            if given.waits_for:
                yield wait.task(index, {"file": given.waits_for})
            else:
                yield visit.task(index, {"place": index, "fails": index < given.n * given.fails})


visit_of_many = lockstep.task_type("many.place")(visit.handler)


class Many(lockstep.JobController[SampleParameters]):
    """The jobs of bulk actions, apart from the others."""

    job_type = "many"
    stages = (lockstep.StageSpec("places"),)
    task_types = (visit_of_many,)

    def create_stage_tasks(
        self, job: lockstep.JobContext[SampleParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        for index in range(job.parameters.n):
            yield visit_of_many.task(index, {"place": index, "fails": index < job.parameters.n * job.parameters.fails})
