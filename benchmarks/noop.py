"""The job type that benchmarks run: its tasks do nothing, so only the machinery around them is measured."""

from pydantic import Field

from controllers import authoring as lockstep

JOB_TYPE = "noop"


class NoopParameters(lockstep.JobParameters):
    """How many tasks, and how their handler is called."""

    n: int = Field(ge=1, le=10_000_000)
    lists: bool = Field(default=False, description="a batch handler runs them, up to 100 in a call")


@lockstep.task_type("noop.run")
def run(_context: lockstep.TaskContext, _parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Does nothing."""
    return None


@lockstep.batch_handler("noop.run_list")
def run_list(items: lockstep.TaskItems) -> lockstep.ItemOutcomes:
    """Does nothing, many times in a call."""
    return [None] * len(items)


class Noop(lockstep.JobController[NoopParameters]):
    """One stage of tasks that do nothing."""

    job_type = JOB_TYPE
    stages = (lockstep.StageSpec("run"),)
    task_types = (run, run_list)

    def create_stage_tasks(
        self, job: lockstep.JobContext[NoopParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        """Yields n tasks without parameters."""
        task_type = run_list if job.parameters.lists else run
        for index in range(stage.first_index, job.parameters.n):
            yield task_type.task(index, {}, cursor=index)


class EnvelopedNoop(Noop):
    """The same with a message for each batch; registered in place of `Noop`."""

    stages = (lockstep.StageSpec("run", message_per=lockstep.MessagePer.BATCH),)
