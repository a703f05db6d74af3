"""The values that repositories take and return: frozen snapshots of rows, counts and outcomes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.checkpoints import START, Checkpoint
from core.lanes import Lane, MessagePer
from core.statuses import BatchStatus, JobStatus, StageStatus, TaskStatus


@dataclass(frozen=True)
class Job:
    """A row of `jobs`. `stage` is 0 until the first stage starts; `pruned_at` is set when pruning begins.

    The short tasks of an `urgent` job overtake those of other jobs.
    """

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
    urgent: bool = False


@dataclass(frozen=True, order=True)
class StageKey:
    """Names a stage. Keys sort as (job_id, number): rows of several stages are locked in this order."""

    job_id: str
    number: int


@dataclass(frozen=True, order=True)
class StageOpening:
    """One opening of a stage: 0 until it is first reopened. Job messages name it, so that none outlasts it."""

    key: StageKey
    opening: int


@dataclass(frozen=True)
class Stage:
    """A row of `stages`. The totals are None until the dispatch has ended.

    The counts of tasks by outcome grow only when a batch ends, so they may be behind. `openings` counts how often the
    stage was reopened, `idle_slices` how many slices of its dispatch in a row were over before they queued anything. A
    slice begins at the checkpoint. `room_after` is set while the dispatch waits for room: it goes on when so many
    batches have ended.
    """

    job_id: str
    number: int
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
    checkpoint: Checkpoint = START
    idle_slices: int = 0
    room_after: int | None = None

    @property
    def key(self) -> StageKey:
        """The key that names this stage."""
        return StageKey(self.job_id, self.number)

    @property
    def opening(self) -> StageOpening:
        """The current opening of this stage."""
        return StageOpening(self.key, self.openings)

    @property
    def waits_for_room(self) -> bool:
        """Whether its dispatch has as many unfinished tasks out as it may have, and goes on when some have ended."""
        is_dispatching = self.status == StageStatus.DISPATCHING
        return is_dispatching and self.room_after is not None and self.finished_batches < self.room_after


@dataclass(frozen=True, order=True)
class StageProgress:
    """A stage of which batches have just ended.

    Attributes:
        opening: the stage.
        has_room: whether its dispatch waited for that, and must go on.
        may_end: whether it may be complete, or have more failed tasks than it tolerates.
    """

    opening: StageOpening
    has_room: bool = False
    may_end: bool = True


@dataclass(frozen=True)
class StageCounts:
    """A stage's tasks by status, counted from its batches and from the few tasks that are processing or retrying."""

    batches: int
    batches_queued: int  # queued, or already ended
    tasks: int
    pending_queue: int
    processing: int
    retrying: int
    completed: int
    failed: int
    cancelled: int

    @property
    def ended(self) -> int:
        """Tasks in a final status."""
        return self.completed + self.failed + self.cancelled

    @property
    def queued(self) -> int:
        """Tasks whose message is in the queue."""
        return max(0, self.tasks - self.pending_queue - self.processing - self.retrying - self.ended)


@dataclass(frozen=True)
class Batch:
    """A row of `batches`; one message carries an `enveloped` one."""

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
    enveloped: bool = False

    @property
    def message_per(self) -> MessagePer:
        """What each of its messages carries."""
        return MessagePer.BATCH if self.enveloped else MessagePer.TASK


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


@dataclass(frozen=True)
class TaskError:
    """The error of a failed task: the exception's class name and text."""

    task_id: str
    type: str
    message: str


@dataclass(frozen=True)
class LiveBatches:
    """How many batches of a stage, and how many of their tasks, have not ended."""

    batches: int
    open_tasks: int


@dataclass(frozen=True)
class PrunedBatches:
    """How many batches and tasks of a job were deleted."""

    batches: int
    tasks: int


@dataclass(frozen=True)
class PendingBatch:
    """A batch whose rows are written and whose messages may be missing."""

    batch_id: str
    lane: Lane
    batch_index: int


@dataclass(frozen=True)
class Resend:
    """A batch that is sent again.

    Attributes:
        send_attempt: the number of this send of the batch; the first is 1.
        sends: the send number of each task that is still pending_queue, by task id.
        enveloped: whether one message carries the batch.
    """

    send_attempt: int
    sends: Mapping[str, int]
    enveloped: bool = False

    @property
    def message_count(self) -> int:
        """How many messages this send has."""
        return min(1, len(self.sends)) if self.enveloped else len(self.sends)


@dataclass(frozen=True)
class OverdueBatch:
    """A batch that has been pending for long, whether its job is urgent, and whether one message carries it."""

    batch_id: str
    lane: Lane
    urgent: bool = False
    enveloped: bool = False

    @property
    def queue(self) -> str:
        """The Service Bus queue for its messages."""
        return self.lane.queue(urgent=self.urgent, enveloped=self.enveloped)


@dataclass(frozen=True)
class LostTask:
    """A task whose message seems to be lost; `send` is the number of its next send.

    `urgent` tells whether its job is.
    """

    task_id: str
    batch_id: str
    lane: Lane
    send: int
    urgent: bool = False

    @property
    def queue(self) -> str:
        """The Service Bus queue for its next message."""
        return self.lane.queue(urgent=self.urgent)


@dataclass(frozen=True)
class SilentBatches:
    """The number of batches that were found in a silent stage, and their waiting tasks."""

    batches: int
    tasks: list[LostTask]
