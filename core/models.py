"""What the repositories return: frozen snapshots of rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.lanes import Lane
from core.statuses import BatchStatus, JobStatus, StageStatus, TaskStatus


@dataclass(frozen=True)
class Job:
    """A row of `jobs`. `stage` is 0 until the first stage starts; `pruned_at` is set when its deletion begins."""

    job_id: str
    job_type: str
    parameters: Mapping[str, Any]
    status: JobStatus
    stage: int
    total_stages: int
    result: Any
    error: Mapping[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    pruned_at: datetime | None


@dataclass(frozen=True)
class Stage:
    """A row of `stages`. The totals are None until dispatch has ended.

    The task counts by outcome grow when a batch finishes, so they run up to one batch behind the tasks. `openings`
    counts how often the stage was opened again after its end.
    """

    job_id: str
    stage: int
    name: str
    status: StageStatus
    total_tasks: int | None
    total_batches: int | None
    finished_batches: int
    completed_tasks: int
    failed_tasks: int
    cancelled_tasks: int
    max_failed_fraction: float
    openings: int
    result: Any
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class StageCounts:
    """A stage's tasks counted from its batches, and from the few tasks that are live right now."""

    batches: int
    batches_queued: int  # queued or further
    tasks: int
    pending_queue: int
    processing: int
    retrying: int
    completed: int
    failed: int
    cancelled: int

    @property
    def ended(self) -> int:
        """Tasks that are done with, whatever came out."""
        return self.completed + self.failed + self.cancelled

    @property
    def queued(self) -> int:
        """Tasks whose message waits in the queue."""
        return max(0, self.tasks - self.pending_queue - self.processing - self.retrying - self.ended)


@dataclass(frozen=True)
class Batch:
    """A row of `batches`."""

    batch_id: str
    job_id: str
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
    digest: str
    created_at: datetime
    queued_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class Task:
    """A row of `tasks`; `failures` are the attempts that ended in the handler's own error, `sends` its messages."""

    task_id: str
    parent_job_id: str
    task_type: str
    stage: int
    task_index: int
    batch_id: str
    status: TaskStatus
    parameters: Mapping[str, Any]
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


@dataclass(frozen=True)
class ClaimedTask:
    """A task that this worker now holds the lease of.

    `attempt` counts this run, `failures` the runs before it that ended in the handler's own error.
    """

    task_id: str
    job_id: str
    stage: int
    task_index: int
    batch_id: str
    task_type: str
    parameters: Mapping[str, Any]
    attempt: int
    failures: int

    @property
    def interruptions(self) -> int:
        """The runs before this one that never came to an end: their worker died or lost its lease."""
        return self.attempt - 1 - self.failures


@dataclass(frozen=True)
class UnclaimedTask:
    """Why a task could not be claimed.

    Attributes:
        task_id: the task.
        status: its status.
        due_at: when to come back: the end of another worker's lease, or the end of the wait before a
            retry; None for a task that has ended.
    """

    task_id: str
    status: TaskStatus
    due_at: datetime | None


@dataclass(frozen=True)
class TaskOutcome:
    """What came of one attempt.

    Attributes:
        task_id: the task.
        status: completed, failed or retrying.
        result: JSON text of the handler's result; None unless completed.
        error: JSON text {type, message, traceback}; None when completed.
        retry_delay_seconds: the wait before the next attempt; 0 unless retrying.
    """

    task_id: str
    status: TaskStatus
    result: str | None = None
    error: str | None = None
    retry_delay_seconds: float = 0.0


@dataclass(frozen=True)
class RecordedTask:
    """An outcome that was written, because the lease still held.

    Attributes:
        task_id: the task.
        batch_id: its batch.
        status: what was written.
        send: the number of its next send; meaningful when retrying.
        not_before: when its next attempt is due, by the database's clock; None unless retrying.
    """

    task_id: str
    batch_id: str
    status: TaskStatus
    send: int
    not_before: datetime | None


@dataclass(frozen=True)
class TaskResult:
    """How a task of a finished stage ended, as an aggregation sees it."""

    task_index: int
    task_type: str
    status: TaskStatus
    result: Any
    error: Mapping[str, Any] | None


@dataclass(frozen=True)
class BatchDelta:
    """How many tasks of a batch ended in one transaction, by outcome."""

    batch_id: str
    completed: int = 0
    failed: int = 0
    cancelled: int = 0


@dataclass(frozen=True)
class LiveBatches:
    """How many batches of a stage have not ended, and how many of their tasks."""

    batches: int
    open_tasks: int


@dataclass(frozen=True)
class PrunedBatches:
    """How many batches and tasks of a job were deleted."""

    batches: int
    tasks: int


@dataclass(frozen=True)
class PendingBatch:
    """A batch whose rows are written, and whose messages may not be sent."""

    batch_id: str
    lane: Lane
    batch_index: int


@dataclass(frozen=True)
class Resend:
    """A batch that is sent again.

    Attributes:
        send_attempt: its number among the batch's sends, 1 for the first.
        sends: the send number of each task that is still pending, by task id.
    """

    send_attempt: int
    sends: Mapping[str, int]


@dataclass(frozen=True)
class StageKey:
    """Names a stage."""

    job_id: str
    stage: int


@dataclass(frozen=True)
class DeadLetterCount:
    """How often the broker gave up on a message of a task, this time included, and the number of its next send."""

    dead_letters: int
    send: int


@dataclass(frozen=True)
class LostTask:
    """A task whose message seems to be gone; `send` is the number of its next send."""

    task_id: str
    batch_id: str
    lane: Lane
    send: int


@dataclass(frozen=True)
class SilentBatches:
    """How many batches of a silent stage were found, and those of their tasks that wait."""

    batches: int
    tasks: list[LostTask]
