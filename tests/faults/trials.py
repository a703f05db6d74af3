"""A job of tasks that misbehave as their indexes tell them to, and a second stage of tasks that do not."""

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from controllers.base import JobController, StageSpec, TaskType
from controllers.context import JobContext, JobParameters, JsonValue, StageContext, TaskContext
from core.definitions import TaskDefinition
from core.errors import PermanentTaskError
from core.models import TaskResult
from core.retry import Backoff, TaskPolicy
from core.statuses import TaskStatus

TOLERATED = 0.02
_WORK_SECONDS = 0.005
Kind = Literal["works", "recovers", "raises", "refuses", "kills"]


class TrialParameters(JobParameters):
    n: int = Field(description="tasks of each stage")
    kinds: Mapping[int, Kind] = Field(default={}, description="by index, what a task of the first stage does")


def work(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    """Tells who ran it, and what time it is there; takes so long that no worker gets all tasks."""
    time.sleep(_WORK_SECONDS)
    return {"pid": os.getpid(), "clock": time.time()}


def recover(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    if context.attempt == 1:
        raise ConnectionError("only the first time")
    return work(context, parameters)


def always_raise(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    raise ValueError("poison")


def refuse(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    raise PermanentTaskError("poison")


def kill(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    os._exit(1)


_POLICY = TaskPolicy(max_attempts=3, backoff=Backoff(base_seconds=0.5, cap_seconds=1))
_HANDLERS = {
    "works": work,
    "recovers": recover,
    "raises": always_raise,
    "refuses": refuse,
    "kills": kill,
}


class Trial(JobController[TrialParameters]):
    job_type = "trial"
    Parameters = TrialParameters
    stages = (StageSpec("misbehaving", max_failed_fraction=TOLERATED), StageSpec("working"))
    task_types: ClassVar[Mapping[str, TaskType]] = {
        f"trial.{kind}": TaskType(handler, _POLICY) for kind, handler in _HANDLERS.items()
    }

    def create_stage_tasks(self, job: JobContext[TrialParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        kinds = job.parameters.kinds if stage.number == 1 else {}
        for index in range(job.parameters.n):
            yield TaskDefinition(f"trial.{kinds.get(index, 'works')}", {}, index)

    def aggregate_stage_results(
        self, job: JobContext[TrialParameters], stage: StageContext, results: Iterator[TaskResult]
    ) -> JsonValue:
        return sum(result.status == TaskStatus.COMPLETED for result in results)
