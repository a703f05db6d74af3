"""Job types whose handlers a test chooses."""

from collections.abc import Callable
from typing import Any

from controllers.authoring import (
    DispatchProtocol,
    JobContext,
    JobController,
    JobParameters,
    JsonValue,
    StageContext,
    StageSpec,
    Tasks,
    task_type,
)
from controllers.context import Handler


class CountParameters(JobParameters):
    n: int


def counting_job(
    handler: Handler, protocol: DispatchProtocol = DispatchProtocol.TWO_PHASE, first_index_value: int = 0
) -> type[JobController[CountParameters]]:
    """A job type of one stage: n tasks for one handler."""

    counting = task_type("counting.one")(handler)

    class Counting(JobController[CountParameters]):
        job_type = "counting"
        stages = (StageSpec("count"),)
        task_types = (counting,)
        dispatch_protocol = protocol

        def create_stage_tasks(self, job: JobContext[CountParameters], stage: StageContext) -> Tasks:
            for index in range(job.parameters.n):
                yield counting.task(index, {"index": index + first_index_value})

        def aggregate_job_results(self, job: JobContext[CountParameters], stage_results: list[JsonValue]) -> JsonValue:
            return "done"

    return Counting


def returning(value: Callable[[int], Any]) -> Handler:
    """A handler that returns a value made of its task's index."""
    return lambda context, parameters: value(parameters["index"])
