"""The bodies of the API's answers. The OpenAPI document takes its schemas from them, so the two always agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NotRequired

from typing_extensions import TypedDict

from core.job_events import JobEventKind
from core.lanes import Lane, MessagePer
from core.models import AttemptError
from core.statuses import BatchStatus, DeadLetterState, JobStatus, StageStatus, TaskStatus


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
    """The tasks of a stage by status; `created` is the number of all tasks."""

    created: int
    pending_queue: int
    queued: int
    processing: int
    retrying: int
    completed: int
    failed: int
    cancelled: int


class Stage(TypedDict):
    """A stage that has begun; its totals are null until every batch is queued.

    `waits_for_room` says that as many tasks are queued and unfinished as the app allows; more follow as they end.
    It has `result` only if `stage_results` are included.
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
    tasks_per_second: float
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
class Job:
    """A job; rate and ETA are those of its current stage, progress is between 0 and 1.

    `waits_for` is set while a job waits to start. The short tasks of an `urgent` job overtake those of other jobs.
    `error` says why a job failed, or why it was cancelled before it started. `warning` is set when a job completed with
    errors: it sums up its failed tasks.
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
    tasks_per_second: float
    eta_seconds: float | None
    stages: Sequence[Stage]
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


class DeadLetter(TypedDict):
    """A message that the broker gave up on, or that cannot be used.

    It has its body only if that is included. A body that is not UTF-8 text is in `body_base64`, and `body` is null;
    otherwise `body_base64` is null. `state` says what was done about it, `handled_at` when it was resent or discarded;
    `resends` counts the requests that began to send its message again.
    """

    dead_letter_id: int
    received_at: datetime
    queue: str
    reason: str
    description: str
    message_id: str | None
    delivery_count: int | None
    state: DeadLetterState
    resends: int
    handled_at: datetime | None
    body: NotRequired[str | None]
    body_base64: NotRequired[str | None]


@dataclass(frozen=True)
class DeadLetters:
    """A page of dead letters; `next` is the `before` of the next page, null on the last one.

    A page has fewer than `limit` dead letters if they would be larger than 1 MiB.
    """

    dead_letters: Sequence[DeadLetter]
    next: int | None


@dataclass(frozen=True)
class Queue:
    """A queue of the app, with its messages, or null, and then `reason` says why. All is a few seconds old at most.

    `active` are those that can be received or are locked. `dead_lettered` are in the queue's dead-letter queue, which
    the app empties: what it cannot use becomes a dead letter of `/dead-letters`. `oldest_waiting_seconds` says how long
    the oldest waiting task of this queue has waited, by the rows; null if none waits, and for `sb-jobs`. It may
    tell too much while thousands of older tasks of a stage run or wait for a retry.
    """

    queue: str
    active: int | None
    scheduled: int | None
    dead_lettered: int | None
    reason: str | None
    oldest_waiting_seconds: float | None


@dataclass(frozen=True)
class Queues:
    """The queues of the app."""

    queues: Sequence[Queue]


@dataclass(frozen=True)
class Schedule:
    """A schedule of the app, with its last and its next tick.

    `last_job_id` is the job of the last tick. `last_error` says why the job of a later tick could not be submitted yet;
    it is tried every minute until the next tick.
    """

    name: str
    job_type: str
    cron: str
    timezone: str
    last_tick: datetime | None
    last_job_id: str | None
    last_error: str | None
    next_tick: datetime | None


@dataclass(frozen=True)
class Schedules:
    """The schedules of the app, in the order of registration."""

    schedules: Sequence[Schedule]


@dataclass(frozen=True)
class Health:
    """The state of each part, a few seconds old at most: `ok`, its error, or `no answer`.

    `outages` names the errors that the process waits out.
    """

    healthy: bool
    checks: Mapping[str, str]
