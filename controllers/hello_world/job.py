"""Two stages: greetings, then replies that use them. The smallest job that shows everything."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from controllers.base import JobController, StageSpec, TaskType
from controllers.context import JobContext, JobParameters, JsonValue, StageContext, TaskContext
from core.definitions import TaskDefinition
from core.models import TaskResult
from core.statuses import TaskStatus


class HelloWorldParameters(JobParameters):
    """How many greetings, and whom to greet."""

    n: int = Field(ge=1, le=1_000_000, description="greetings, and as many replies")
    name: str = Field(default="world", min_length=1, max_length=100)


def greet(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    """Greets."""
    return {"greeting": f"Hello {parameters['name']}, from task {context.task_index}!"}


def reply(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    """Replies to a greeting."""
    return {"reply": f"{parameters['greeting']} Hello back, from task {context.task_index}!"}


class HelloWorld(JobController[HelloWorldParameters]):
    """Greets n times, then replies to every greeting."""

    job_type = "hello_world"
    Parameters = HelloWorldParameters
    stages = (StageSpec("greetings"), StageSpec("replies"))
    task_types: ClassVar[Mapping[str, TaskType]] = {
        "hello_world.greet": TaskType(greet),
        "hello_world.reply": TaskType(reply),
    }

    def create_stage_tasks(
        self, job: JobContext[HelloWorldParameters], stage: StageContext
    ) -> Iterator[TaskDefinition]:
        """Yields n greetings, then a reply for each."""
        if stage.number == 1:
            for index in range(job.parameters.n):
                yield TaskDefinition("hello_world.greet", {"name": job.parameters.name}, index)
        else:
            for index, greeted in enumerate(stage.previous_results()):
                yield TaskDefinition("hello_world.reply", {"greeting": greeted.result["greeting"]}, index)

    def aggregate_stage_results(
        self, job: JobContext[HelloWorldParameters], stage: StageContext, results: Iterator[TaskResult]
    ) -> JsonValue:
        """Counts the stage's completed tasks and keeps the last result as a sample."""
        completed, last = 0, None
        for result in results:
            if result.status == TaskStatus.COMPLETED:
                completed, last = completed + 1, result.result
        return {"completed": completed, "last": last}

    def aggregate_job_results(self, job: JobContext[HelloWorldParameters], stage_results: list[JsonValue]) -> JsonValue:
        """Names both counts."""
        greetings, replies = stage_results
        return {"greetings": greetings["completed"], "replies": replies["completed"], "last": replies["last"]}
