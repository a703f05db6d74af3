"""What the API tells of job types: how to submit a job, and how its tasks will run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import cleandoc
from typing import Any

from controllers.base import DispatchProtocol, JobController, StageSpec
from controllers.registry import Registry
from controllers.task_type import TaskType
from core.lanes import Lane, MessagePer
from core.retry import Backoff
from core.task_limits import Rate


@dataclass(frozen=True)
class StageOfType:
    """A stage of a job type; the job fails if more than `max_failed_fraction` of its tasks fail."""

    stage: int
    name: str
    max_failed_fraction: float
    dispatch_protocol: DispatchProtocol
    message_per: MessagePer


@dataclass(frozen=True)
class TaskTypeOfType:
    """A task type with its policy and its limits; null for no limit.

    `max_running` and `rate` hold on all instances together. The handler gets many tasks at once if `takes_lists`.
    """

    name: str
    lane: Lane
    max_attempts: int
    backoff: Backoff
    timeout_seconds: float | None
    isolated: bool
    max_memory_mib: int | None
    max_running: int | None
    rate: Rate | None
    takes_lists: bool


@dataclass(frozen=True)
class JobType:
    """A job type; `parameters` is the JSON Schema of the body that submits a job."""

    name: str
    description: str | None
    parameters: Mapping[str, Any]
    stages: Sequence[StageOfType]
    task_types: Sequence[TaskTypeOfType]


@dataclass(frozen=True)
class JobTypes:
    """The job types of the app, by name."""

    job_types: Sequence[JobType]


def job_types(registry: Registry, message_per: MessagePer) -> JobTypes:
    """Returns the answer for all job types; `message_per` is that of stages that do not say it."""
    return JobTypes([_job_type(registry.controller(name), message_per) for name in registry.job_types])


def _job_type(controller: JobController[Any], message_per: MessagePer) -> JobType:
    # The class's own docstring: inspect.getdoc would return that of the base class for a class without one.
    description = type(controller).__doc__
    return JobType(
        controller.job_type,
        cleandoc(description) if description else None,
        controller.Parameters.model_json_schema(),
        [_stage(number, spec, controller, message_per) for number, spec in enumerate(controller.stages, start=1)],
        [_task_type(each) for each in controller.task_types],
    )


def _stage(number: int, spec: StageSpec, controller: JobController[Any], default: MessagePer) -> StageOfType:
    protocol = DispatchProtocol(spec.dispatch_protocol or controller.dispatch_protocol)
    message_per = MessagePer(spec.message_per or default)
    return StageOfType(number, spec.name, spec.max_failed_fraction, protocol, message_per)


def _task_type(task_type: TaskType) -> TaskTypeOfType:
    policy = task_type.policy
    return TaskTypeOfType(
        name=task_type.name,
        lane=policy.lane,
        max_attempts=policy.max_attempts,
        backoff=policy.backoff,
        timeout_seconds=policy.timeout_seconds,
        isolated=policy.isolated,
        max_memory_mib=policy.max_memory_mib,
        max_running=policy.limit.max_running,
        rate=policy.limit.rate,
        takes_lists=task_type.batch_handler is not None,
    )
