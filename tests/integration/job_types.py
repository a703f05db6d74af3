"""Job types whose handlers a test holds in its hand."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from controllers.base import DispatchProtocol, JobController, StageSpec, TaskType
from controllers.context import Handler, JobContext, JobParameters, JsonValue, StageContext
from core.definitions import TaskDefinition


class CountParameters(JobParameters):
    n: int


def counting_job(
    handler: Handler, protocol: DispatchProtocol = DispatchProtocol.TWO_PHASE, first_index_value: int = 0
) -> type[JobController[CountParameters]]:
    """A job type of one stage: n tasks for one handler."""

    class Counting(JobController[CountParameters]):
        job_type = "counting"
        Parameters = CountParameters
        stages = (StageSpec("count"),)
        task_types: ClassVar[Mapping[str, TaskType]] = {"counting.one": TaskType(handler)}
        dispatch_protocol = protocol

        def create_stage_tasks(self, job: JobContext[CountParameters], stage: StageContext) -> Iterator[TaskDefinition]:
            for index in range(job.parameters.n):
                yield TaskDefinition("counting.one", {"index": index + first_index_value}, index)

        def aggregate_job_results(self, job: JobContext[CountParameters], stage_results: list[JsonValue]) -> JsonValue:
            return "done"

    return Counting


def returning(value: Callable[[int], Any]) -> Handler:
    """A handler that returns a value made of its task's index."""
    return lambda context, parameters: value(parameters["index"])
