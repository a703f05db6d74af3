"""The job whose tasks are handled in the same invocations as those of the job under fault."""

from controllers import authoring as lockstep

TASKS = 2


class NeighbourParameters(lockstep.JobParameters):
    pass


def work(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    return parameters["index"]


_SHORT = lockstep.task_type("neighbour.short")(work)


class Neighbour(lockstep.JobController[NeighbourParameters]):
    job_type = "neighbour"
    stages = (lockstep.StageSpec("few"),)
    task_types = (_SHORT,)

    def create_stage_tasks(
        self, job: lockstep.JobContext[NeighbourParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        for index in range(TASKS):
            yield _SHORT.task(index, {"index": index})

    def aggregate_stage_results(
        self, job: lockstep.JobContext[NeighbourParameters], stage: lockstep.StageContext, results: lockstep.TaskResults
    ) -> lockstep.JsonValue:
        return sum(result.status == lockstep.TaskStatus.COMPLETED for result in results)
