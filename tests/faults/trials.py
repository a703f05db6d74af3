"""A job whose first stage has tasks that misbehave by their indexes, and whose second has tasks that do not."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from controllers import authoring as lockstep

TOLERATED = 0.02
_WORK_SECONDS = 0.005
_LOOK_SECONDS = 0.05
Kind = Literal["works", "waits", "recovers", "raises", "refuses", "kills"]


class TrialParameters(lockstep.JobParameters):
    n: int = Field(description="tasks of each stage")
    kinds: Mapping[int, Kind] = Field(default={}, description="by index, what a task of the first stage does")
    latch: str = Field(default="", description="a file: the tasks that wait do so until it is gone")


def work(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Returns its process and that process's time; takes so long that no worker gets all tasks."""
    time.sleep(_WORK_SECONDS)
    return {"pid": os.getpid(), "clock": time.time()}


def wait(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    while Path(context.job_parameters.latch).exists() and not context.is_cancelled():
        time.sleep(_LOOK_SECONDS)
    return work(context, parameters)


def recover(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    if context.attempt == 1:
        raise ConnectionError("only the first time")
    return work(context, parameters)


def always_raise(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    raise ValueError("poison")


def refuse(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    raise lockstep.PermanentTaskError("poison")


def kill(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    os._exit(1)


_BACKOFF = lockstep.Backoff(base_seconds=0.5, cap_seconds=1)
_HANDLERS = {
    "works": work,
    "waits": wait,
    "recovers": recover,
    "raises": always_raise,
    "refuses": refuse,
    "kills": kill,
}
_TASK_TYPES = {
    kind: lockstep.task_type(f"trial.{kind}", max_attempts=3, backoff=_BACKOFF)(handler)
    for kind, handler in _HANDLERS.items()
}


class Trial(lockstep.JobController[TrialParameters]):
    job_type = "trial"
    stages = (lockstep.StageSpec("misbehaving", max_failed_fraction=TOLERATED), lockstep.StageSpec("working"))
    task_types = tuple(_TASK_TYPES.values())

    def create_stage_tasks(
        self, job: lockstep.JobContext[TrialParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        kinds = job.parameters.kinds if stage.number == 1 else {}
        for index in range(job.parameters.n):
            yield _TASK_TYPES[kinds.get(index, "works")].task(index, {})

    def aggregate_stage_results(
        self, job: lockstep.JobContext[TrialParameters], stage: lockstep.StageContext, results: lockstep.TaskResults
    ) -> lockstep.JsonValue:
        return sum(result.status == lockstep.TaskStatus.COMPLETED for result in results)
