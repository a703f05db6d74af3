"""The smallest job that shows everything: a stage of greetings, then a stage of replies that use them."""

from pydantic import Field

from controllers import authoring as lockstep


class HelloWorldParameters(lockstep.JobParameters):
    """How many greetings, and whom to greet."""

    n: int = Field(ge=1, le=1_000_000, description="greetings, and as many replies")
    name: str = Field(default="world", min_length=1, max_length=100)


@lockstep.task_type("hello_world.greet")
def greet(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Greets."""
    return {"greeting": f"Hello {parameters['name']}, from task {context.task_index}!"}


@lockstep.task_type("hello_world.reply")
def reply(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Replies to a greeting."""
    return {"reply": f"{parameters['greeting']} Hello back, from task {context.task_index}!"}


class HelloWorld(lockstep.JobController[HelloWorldParameters]):
    """Greets n times, then replies to every greeting."""

    job_type = "hello_world"
    stages = (lockstep.StageSpec("greetings"), lockstep.StageSpec("replies"))
    task_types = (greet, reply)

    def create_stage_tasks(
        self, job: lockstep.JobContext[HelloWorldParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        """Yields n greetings, then a reply for each."""
        if stage.number == 1:
            for index in range(stage.first_index, job.parameters.n):
                yield greet.task(index, {"name": job.parameters.name}, cursor=index)
        else:
            for index, greeted in enumerate(stage.previous_results(stage.first_index), stage.first_index):
                yield reply.task(index, {"greeting": greeted.result["greeting"]}, cursor=index)

    def aggregate_stage_results(
        self,
        job: lockstep.JobContext[HelloWorldParameters],
        stage: lockstep.StageContext,
        results: lockstep.TaskResults,
    ) -> lockstep.JsonValue:
        """Counts the stage's completed tasks and keeps the last result as a sample."""
        completed, last = 0, None
        for result in results:
            if result.status == lockstep.TaskStatus.COMPLETED:
                completed, last = completed + 1, result.result
        return {"completed": completed, "last": last}

    def aggregate_job_results(
        self, job: lockstep.JobContext[HelloWorldParameters], stage_results: list[lockstep.JsonValue]
    ) -> lockstep.JsonValue:
        """Returns both counts and the last reply."""
        greetings, replies = stage_results
        return {"greetings": greetings["completed"], "replies": replies["completed"], "last": replies["last"]}
