"""A job type whose parts a test can choose."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from controllers.base import DispatchProtocol, JobController, StageSpec
from controllers.context import Handler, JobContext, JobParameters, JsonValue, StageContext, TaskContext
from controllers.task_type import TaskType
from core.definitions import TaskDefinition
from core.retry import Backoff, TaskPolicy
from core.statuses import TaskStatus
from core.task_runs import TaskResult

TASK_TYPE = "sample.work"
POLICY = TaskPolicy(max_attempts=3, backoff=Backoff(base_seconds=10, cap_seconds=100))


class SampleParameters(JobParameters):
    label: str = "a"


Tasks = Callable[[JobContext[SampleParameters], StageContext], Iterable[TaskDefinition]]
Aggregate = Callable[[StageContext, Iterator[TaskResult]], JsonValue]


def counted(*sizes: int) -> Tasks:
    """Tasks for each stage; `sizes` are their numbers, from stage 1 on."""

    def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        for index in range(sizes[stage.number - 1]):
            yield TaskDefinition(TASK_TYPE, {"n": index}, index)

    return tasks


def echo(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    return dict(parameters)


def count_completed(stage: StageContext, results: Iterator[TaskResult]) -> JsonValue:
    return sum(result.status == TaskStatus.COMPLETED for result in results)


def sample_job(
    tasks: Tasks,
    handler: Handler = echo,
    *,
    stages: tuple[StageSpec, ...] = (StageSpec("only"),),
    policy: TaskPolicy = POLICY,
    protocol: DispatchProtocol = DispatchProtocol.TWO_PHASE,
    aggregate: Aggregate = count_completed,
    declared: TaskType | None = None,
) -> type[JobController[Any]]:
    """A job type named "sample"; `declared` replaces the task type of the handler and the policy."""
    declared_stages = stages

    class Sample(JobController[SampleParameters]):
        job_type = "sample"
        stages = declared_stages
        task_types = (declared or TaskType(TASK_TYPE, handler, policy),)
        dispatch_protocol = protocol

        def create_stage_tasks(
            self, job: JobContext[SampleParameters], stage: StageContext
        ) -> Iterable[TaskDefinition]:
            return tasks(job, stage)

        def aggregate_stage_results(
            self, job: JobContext[SampleParameters], stage: StageContext, results: Iterator[TaskResult]
        ) -> JsonValue:
            return aggregate(stage, results)

    return Sample
