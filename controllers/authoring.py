"""Everything that job types import from Lockstep, in one module.

| names | for |
|---|---|
| `JobController`, `JobParameters`, `StageSpec`, `DispatchProtocol` | a job type's class, its parameters, its stages |
| `task_type`, `TaskType`, `Lane`, `Backoff` | its task types: handler, retries, lane |
| `JobContext`, `StageContext`, `TaskContext`, `Services` | the contexts that its code gets |
| `Tasks`, `TaskDefinition`, `TaskParameters` | the tasks that a stage yields |
| `TaskResult`, `TaskResults`, `TaskStatus`, `JsonValue` | the results of its tasks |
| `JobFailure`, `PermanentTaskError`, `LockstepError`, `UnencodableValueError` | errors to raise, or to catch |
| `Rows`, `Row`, `queries`, `copy_line` | tables of its own: a repository's transaction, named SQL, COPY |
| `json_text` | JSON that PostgreSQL's `jsonb` accepts |
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
from repositories import queries
from repositories.copy_format import copy_line
from repositories.ports import Row, Rows

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
    "Row",
    "Rows",
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
    "copy_line",
    "json_text",
    "queries",
    "task_type",
]
