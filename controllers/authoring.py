"""All that a job type is written with: the one module that it imports Lockstep from.

| names | for |
|---|---|
| `JobController`, `JobParameters`, `StageSpec`, `DispatchProtocol` | a job type's class, its parameters, its stages |
| `task_type`, `TaskType`, `Lane`, `Backoff` | its task types: handler, retries, lane |
| `JobContext`, `StageContext`, `TaskContext`, `Services` | what its code is told |
| `Tasks`, `TaskDefinition`, `TaskParameters` | what becomes of a stage |
| `TaskResult`, `TaskResults`, `TaskStatus`, `JsonValue` | what comes of its tasks |
| `JobFailure`, `PermanentTaskError`, `LockstepError`, `UnencodableValueError` | errors to raise, or to catch |
| `json_text` | JSON as PostgreSQL's `jsonb` takes it |
"""

from controllers.base import DispatchProtocol, JobController, StageSpec, TaskResults, Tasks
from controllers.context import (
    JobContext,
    JobParameters,
    JsonValue,
    StageContext,
    TaskContext,
    TaskParameters,
)
from controllers.services import Services
from controllers.task_type import TaskType, task_type
from core import json_text
from core.definitions import TaskDefinition
from core.errors import JobFailure, LockstepError, PermanentTaskError, UnencodableValueError
from core.lanes import Lane
from core.models import TaskResult
from core.retry import Backoff
from core.statuses import TaskStatus

__all__ = [
    "Backoff",
    "DispatchProtocol",
    "JobContext",
    "JobController",
    "JobFailure",
    "JobParameters",
    "JsonValue",
    "Lane",
    "LockstepError",
    "PermanentTaskError",
    "Services",
    "StageContext",
    "StageSpec",
    "TaskContext",
    "TaskDefinition",
    "TaskParameters",
    "TaskResult",
    "TaskResults",
    "TaskStatus",
    "TaskType",
    "Tasks",
    "UnencodableValueError",
    "json_text",
    "task_type",
]
