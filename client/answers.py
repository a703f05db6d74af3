"""What the app answers, as JSON. A test compares these types with the OpenAPI document."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

JobStatus = Literal[
    "waiting",
    "pending_queue",
    "queued",
    "processing",
    "completed",
    "completed_with_errors",
    "failed",
    "cancelled",
]
TaskStatus = Literal["pending_queue", "queued", "processing", "retrying", "completed", "failed", "cancelled"]
StageStatus = Literal["dispatching", "running", "finished", "failed", "cancelled"]
BatchStatus = Literal["pending_queue", "queued", "finished", "cancelled"]
Lane = Literal["fast", "long"]
MessagePer = Literal["task", "batch"]
JobEventKind = Literal[
    "submitted",
    "waiting",
    "released",
    "stage_started",
    "stage_dispatched",
    "stage_finished",
    "stage_failed",
    "stage_cancelled",
    "tasks_ended",
    "completed",
    "completed_with_errors",
    "failed",
    "cancelled",
    "retried",
    "resumed",
    "repaired",
    "dead_letter",
    "end_hook_ran",
    "end_hook_failed",
]
Time = str
"""A time as ISO 8601, with its zone."""

JOB_ENDS: frozenset[JobStatus] = frozenset({"completed", "completed_with_errors", "failed", "cancelled"})
"""The statuses of jobs that have ended."""


class Submission(TypedDict):
    """An accepted job; `created` is false when the job existed already."""

    job_id: str
    status: JobStatus
    created: bool
    status_url: str


class Change(TypedDict):
    """A job that was cancelled, retried or resumed, with its new status."""

    job_id: str
    status: JobStatus
    status_url: str


class TaskCounts(TypedDict):
    """The tasks of a stage by status; `created` is the number of all tasks.

    If `estimated`, those that are queued, processing or retrying are estimates.
    """

    created: int
    pending_queue: int
    queued: int
    processing: int
    retrying: int
    completed: int
    failed: int
    cancelled: int
    estimated: bool


class Stage(TypedDict):
    """A stage that has begun; its totals are null until every batch is queued, rate and ETA while they are unknown."""

    stage: int
    name: str
    status: StageStatus
    total_tasks: int | None
    total_batches: int | None
    batches: int
    batches_queued: int
    waits_for_room: bool
    tasks: TaskCounts
    tasks_per_second: float | None
    eta_seconds: float | None
    result: NotRequired[Any]
    created_at: Time
    finished_at: Time | None


class WaitsFor(TypedDict):
    """What a waiting job waits for: its time, jobs that have not completed yet, its exclusive key."""

    start_at: Time | None
    after: Sequence[str]
    exclusive_key: str | None
    key_holder: str | None


class ProgressNote(TypedDict):
    """What the handler of a running task said last, and when: `progress` from 0 to 1, and perhaps a text."""

    task_id: str
    stage: int
    progress: float
    progress_note: str | None
    progress_at: Time


class Job(TypedDict):
    """A job; rate and ETA are those of its current stage, progress is between 0 and 1."""

    job_id: str
    job_type: str
    status: JobStatus
    waits_for: WaitsFor | None
    urgent: bool
    parameters: Mapping[str, Any]
    stage: int
    stage_name: str | None
    total_stages: int
    progress: float
    tasks_per_second: float | None
    eta_seconds: float | None
    stages: Sequence[Stage]
    progress_notes: NotRequired[Sequence[ProgressNote]]
    result: Any
    error: Mapping[str, Any] | None
    warning: Mapping[str, Any] | None
    created_at: Time
    started_at: Time | None
    finished_at: Time | None


class ListedJob(TypedDict):
    """A job in a list, without its payload."""

    job_id: str
    job_type: str
    status: JobStatus
    urgent: bool
    stage: int
    stage_name: str | None
    total_stages: int
    progress: float
    failed_tasks: int
    created_at: Time
    started_at: Time | None
    finished_at: Time | None


class Batch(TypedDict):
    """An aligned batch: up to 100 tasks whose rows and messages are written and sent together."""

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
    created_at: Time
    queued_at: Time | None
    finished_at: Time | None
    message_per: MessagePer


class AttemptError(TypedDict):
    """The error of one attempt of a task."""

    attempt: int
    at: Time
    type: str
    message: str


class Task(TypedDict):
    """A task; it has `parameters` and `result` only if they are included."""

    task_id: str
    parent_job_id: str
    task_type: str
    stage: int
    task_index: int
    batch_id: str
    status: TaskStatus
    parameters: NotRequired[Mapping[str, Any]]
    result: NotRequired[Any]
    error: Mapping[str, Any] | None
    attempt: int
    failures: int
    sends: int
    lease_expires_at: Time | None
    not_before: Time | None
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    worker: str | None
    errors: Sequence[AttemptError]
    progress: float | None
    progress_note: str | None


class TaskDetails(Task):
    """A task with its parameters, its result and its last checkpoint."""

    checkpoint: Any


class TaskResult(TypedDict):
    """A line of the results of a stage."""

    task_id: str
    task_index: int
    task_type: str
    status: TaskStatus
    result: Any
    error: Mapping[str, Any] | None


class FailureGroup(TypedDict):
    """The failed tasks whose errors have one cause; `error` names it in other requests."""

    error: str
    type: str
    message: str
    tasks: int
    example_task_id: str
    tasks_url: str


class Failures(TypedDict):
    """The failed tasks of the next batches with any, by cause; the counts of a group add up over the pages."""

    failed_tasks: int
    read_tasks: int
    groups: Sequence[FailureGroup]
    next: str | None


class JobEvent(TypedDict):
    """A step of a job, a repair by the sweeper, or a dead letter of the job."""

    event_id: int
    kind: JobEventKind
    stage: int
    opening: int
    subject: str | None
    details: Mapping[str, Any]
    times: int
    at: Time
    last_at: Time
