"""The bodies of the answers about jobs, batches and tasks.

The OpenAPI document takes its schemas from these and the other bodies of answers, so the two always agree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NotRequired

from typing_extensions import TypedDict

from core.job_events import JobEventKind
from core.lanes import Lane, MessagePer
from core.models import AttemptError
from core.statuses import BatchStatus, JobStatus, StageStatus, TaskStatus


@dataclass(frozen=True)
class Submission:
    """An accepted job; `created` is false when the job existed already."""

    job_id: str
    status: JobStatus
    created: bool
    status_url: str


@dataclass(frozen=True)
class Change:
    """A job that was cancelled, retried or resumed, with its new status."""

    job_id: str
    status: JobStatus
    status_url: str


@dataclass(frozen=True)
class TaskCounts:
    """The tasks of a stage by status; `created` is the number of all tasks.

    `estimated` says that the unfinished batches of the stage have more than 10,000 tasks: then `queued`, `processing`
    and `retrying` are estimates, from some of these batches. All other numbers are exact, and so is their sum.
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
    """A stage that has begun; its totals are null until every batch is queued.

    `waits_for_room` says that as many tasks are queued and unfinished as the app allows; more follow as they end.
    `tasks_per_second` is how fast tasks have ended lately, since the stage was last reopened, at most in the last hour;
    of a stage that has ended, the average. `eta_seconds` is what the other tasks need at this rate. Both are null while
    they are unknown. It has `result` only if `stage_results` are included.
    """

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
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class WaitsFor:
    """What a waiting job waits for: its time, the jobs of `after` that have not completed yet, and its exclusive key.

    `key_holder` is the job that has the key now; null if the key is free.
    """

    start_at: datetime | None
    after: Sequence[str]
    exclusive_key: str | None
    key_holder: str | None


@dataclass(frozen=True)
class ProgressNote:
    """What the handler of a running task said last, and when: `progress` from 0 to 1, and perhaps a text."""

    task_id: str
    stage: int
    progress: float
    progress_note: str | None
    progress_at: datetime


class Job(TypedDict):
    """A job; rate and ETA are those of its current stage, progress is between 0 and 1.

    `waits_for` is set while a job waits to start. The short tasks of an `urgent` job overtake those of other jobs.
    `error` says why a job failed, or why it was cancelled before it started. `warning` is set when a job completed with
    errors: it sums up its failed tasks. It has `progress_notes` only if they are included: the newest ten of running
    tasks in its first fifty unfinished batches, those of long tasks first.
    """

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
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class Batch:
    """An aligned batch: up to 100 tasks whose rows and messages are written and sent together.

    `message_per` is `batch` if one message carries all its tasks.
    """

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
    message_per: MessagePer


@dataclass(frozen=True)
class Batches:
    """A page of batches; `next` is the `after` of the next page, null on the last one."""

    batches: Sequence[Batch]
    next: str | None


class Task(TypedDict):
    """A task; it has `parameters` and `result` only if they are included.

    `failures` counts the attempts in which the handler raised, `sends` the messages sent. `worker` names the instance
    that runs the task or ran it last. `errors` are those of the last failed attempts, the newest first. `progress` (0
    to 1) and `progress_note` are what its handler said last, at most every few seconds.
    """

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
    lease_expires_at: datetime | None
    not_before: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    worker: str | None
    errors: Sequence[AttemptError]
    progress: float | None
    progress_note: str | None


class TaskDetails(Task):
    """A task with its parameters, its result and its last checkpoint.

    The checkpoint is null if its handler has set none, and after the task has completed.
    """

    checkpoint: Any


@dataclass(frozen=True)
class Tasks:
    """A page of tasks; `next` is the `after` of the next page, null on the last one.

    A page has fewer than `limit` tasks if their errors and what is included would be larger than 1 MiB.
    """

    tasks: Sequence[Task]
    next: str | None


@dataclass(frozen=True)
class JobEvent:
    """A step of a job, a repair by the sweeper, or a dead letter of the job.

    `stage` is the stage that the job stood at, 0 before the first; `opening` counts how often it had been reopened.
    Repairs and dead letters with the same `subject` share an event: `times` counts them, `last_at` is the last one's
    time. The members of `details` depend on the kind.
    """

    event_id: int
    kind: JobEventKind
    stage: int
    opening: int
    subject: str | None
    details: Mapping[str, Any]
    times: int
    at: datetime
    last_at: datetime


@dataclass(frozen=True)
class JobEvents:
    """A page of events, the oldest first; `next` is the `after` of the next page, null on the last one.

    A later request with this `since` gets what is written or changed after this answer, and perhaps events that are
    known: their `event_id` tells. If it takes several pages, the `since` of the first one is for the request after it.
    """

    events: Sequence[JobEvent]
    next: int | None
    since: int
