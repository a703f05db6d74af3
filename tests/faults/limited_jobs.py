"""A job whose task type has a limit; some of its tasks fail once."""

import time

from controllers import authoring as lockstep

MAX_RUNNING = 5
_WORK_SECONDS = 0.02


class LimitedParameters(lockstep.JobParameters):
    n: int


@lockstep.task_type("limited.work", backoff=lockstep.Backoff(base_seconds=0.2), max_running=MAX_RUNNING)
def work(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    time.sleep(_WORK_SECONDS)
    if parameters["value"] % 10 == 0 and context.attempt == 1:
        raise OSError("it works the next time")
    return parameters["value"]


class LimitedJob(lockstep.JobController[LimitedParameters]):
    job_type = "limited"
    stages = (lockstep.StageSpec("all"),)
    task_types = (work,)

    def create_stage_tasks(
        self, job: lockstep.JobContext[LimitedParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        for index in range(job.parameters.n):
            yield work.task(index, {"value": index})

    def aggregate_stage_results(
        self, job: lockstep.JobContext[LimitedParameters], stage: lockstep.StageContext, results: lockstep.TaskResults
    ) -> lockstep.JsonValue:
        return sum(result.result for result in results)
