"""Tasks and their errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.statuses import TaskStatus

MOST_ATTEMPT_ERRORS = 5
"""Of a task's row: enough to see whether its attempts fail for one reason, and at most 10 KB."""


@dataclass(frozen=True)
class AttemptError:
    """The error of one attempt of a task: the exception's class name and text. A retry of the job counts anew."""

    attempt: int
    at: datetime
    type: str
    message: str


@dataclass(frozen=True)
class Task:
    """A row of `tasks`. `failures` counts the attempts in which the handler raised, `sends` the messages sent.

    `worker` names the instance that runs the task or ran it last. `errors` are those of the last failed attempts, the
    newest first. `progress` (0 to 1) and `progress_note` are what its handler said last, at most every few seconds. A
    page that was not asked for `parameters` or `result` has None for them.
    """

    task_id: str
    parent_job_id: str
    task_type: str
    stage: int
    task_index: int
    batch_id: str
    status: TaskStatus
    parameters: Mapping[str, Any] | None
    result: Any
    error: Mapping[str, Any] | None
    attempt: int
    failures: int
    sends: int
    lease_expires_at: datetime | None
    not_before: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    worker: str | None
    errors: Sequence[AttemptError]
    progress: float | None
    progress_note: str | None


MOST_PROGRESS_NOTES = 10
"""A status tells what so many running tasks say."""

MOST_NOTED_BATCHES = 50
"""And looks for them in so many batches that have not ended: at most 5,000 tasks, which PostgreSQL reads in some ms."""


@dataclass(frozen=True)
class ProgressNote:
    """What the handler of a running task said last: how far it is, from 0 to 1, and perhaps a text."""

    task_id: str
    stage: int
    progress: float
    progress_note: str | None
    progress_at: datetime


@dataclass(frozen=True)
class TaskError:
    """The error of a failed task: the exception's class name and text."""

    task_id: str
    type: str
    message: str
