"""Job types whose handlers a test chooses."""

from collections.abc import Callable
from typing import Any

from controllers import authoring as lockstep


class CountParameters(lockstep.JobParameters):
    n: int


def counting_job(
    handler: lockstep.Handler,
    protocol: lockstep.DispatchProtocol = lockstep.DispatchProtocol.TWO_PHASE,
    first_index_value: int = 0,
    message_per: lockstep.MessagePer | None = None,
) -> type[lockstep.JobController[CountParameters]]:
    """A job type of one stage: n tasks for one handler."""

    counting = lockstep.task_type("counting.one")(handler)

    class Counting(lockstep.JobController[CountParameters]):
        job_type = "counting"
        stages = (lockstep.StageSpec("count", message_per=message_per),)
        task_types = (counting,)
        dispatch_protocol = protocol

        def create_stage_tasks(
            self, job: lockstep.JobContext[CountParameters], stage: lockstep.StageContext
        ) -> lockstep.Tasks:
            for index in range(job.parameters.n):
                yield counting.task(index, {"index": index + first_index_value})

        def aggregate_job_results(
            self, job: lockstep.JobContext[CountParameters], stage_results: list[lockstep.JsonValue]
        ) -> lockstep.JsonValue:
            return "done"

    return Counting


def returning(value: Callable[[int], Any]) -> lockstep.Handler:
    """A handler that returns a value made of its task's index."""
    return lambda context, parameters: value(parameters["index"])
