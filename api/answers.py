"""What the API answers; the OpenAPI document takes its schemas from here, so that the two cannot part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.lanes import Lane
from core.models import Task
from core.statuses import BatchStatus, JobStatus, StageStatus


@dataclass(frozen=True)
class Submission:
    """An accepted job; `created` is false when the same job was there already."""

    job_id: str
    status: JobStatus
    created: bool
    status_url: str


@dataclass(frozen=True)
class Change:
    """A job that was cancelled, or opened again; `status` is the one that it has now."""

    job_id: str
    status: JobStatus
    status_url: str


@dataclass(frozen=True)
class TaskCounts:
    """The tasks of a stage by status; `created` is all of them."""

    created: int
    pending_queue: int
    queued: int
    processing: int
    retrying: int
    completed: int
    failed: int
    cancelled: int


@dataclass(frozen=True)
class Stage:
    """A stage that has begun; its totals are null until all its batches are queued."""

    stage: int
    name: str
    status: StageStatus
    total_tasks: int | None
    total_batches: int | None
    batches: int
    batches_queued: int
    tasks: TaskCounts
    tasks_per_second: float
    result: Any
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class Job:
    """A job; rate and ETA are those of the stage that runs now, progress runs from 0 to 1."""

    job_id: str
    job_type: str
    status: JobStatus
    parameters: Mapping[str, Any]
    stage: int
    stage_name: str | None
    total_stages: int
    progress: float
    tasks_per_second: float
    eta_seconds: float | None
    stages: Sequence[Stage]
    result: Any
    error: Mapping[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class Batch:
    """An aligned batch: up to 100 task rows and their messages."""

    batch_id: str
    stage: int
    batch_index: int
    lane: Lane
    task_count: int
    open_tasks: int
    failed_tasks: int
    cancelled_tasks: int
    status: BatchStatus
    send_attempts: int
    last_error: str | None
    created_at: datetime
    queued_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class Batches:
    """A page of batches; `next` is the `after` of the next page, null at the end."""

    batches: Sequence[Batch]
    next: str | None


@dataclass(frozen=True)
class Tasks:
    """A page of tasks; `next` is the `after` of the next page, null at the end."""

    tasks: Sequence[Task]
    next: str | None


@dataclass(frozen=True)
class DeadLetter:
    """A message that could not be used; `body` is null where it is no text, and `body_base64` where it is."""

    dead_letter_id: int
    received_at: datetime
    queue: str
    reason: str
    description: str
    message_id: str | None
    delivery_count: int | None
    body: str | None
    body_base64: str | None


@dataclass(frozen=True)
class DeadLetters:
    """A page of dead letters; `next` is the `before` of the next page, null at the end."""

    dead_letters: Sequence[DeadLetter]
    next: int | None


@dataclass(frozen=True)
class Health:
    """Whether each part can be used: `ok`, or what is wrong."""

    healthy: bool
    checks: Mapping[str, str]
