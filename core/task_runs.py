"""Runs of tasks: what a worker claims, what it records, and what comes of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from core.models import StageProgress
from core.statuses import TaskStatus


class ClaimedTask(NamedTuple):
    """A task that this worker has leased; a tuple in the order of the columns of `claim`, because it is made often.

    `attempt` is the number of this run; `failures` counts the earlier runs in which the handler raised. `checkpoint` is
    None if there is none; `idle_continuations` counts the runs in a row that went on later without changing it.
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
    checkpoint: Any = None
    idle_continuations: int = 0

    @property
    def interruptions(self) -> int:
        """The number of earlier runs that were cut off, because their worker died or lost its lease."""
        return self.attempt - 1 - self.failures


@dataclass(frozen=True)
class UnclaimedTask:
    """Why a task could not be claimed.

    Attributes:
        task_id: the task.
        status: its status.
        due_at: when to try again: the end of another worker's lease, or the time of the next attempt; None when
            the task has ended or its stage was stopped.
    """

    task_id: str
    status: TaskStatus
    due_at: datetime | None


@dataclass(frozen=True)
class Continuation:
    """From where a task goes on in another run.

    Attributes:
        checkpoint: its checkpoint as JSON text.
        idle: how many runs in a row, with this one, have gone on later without changing the checkpoint.
    """

    checkpoint: str
    idle: int


class TaskOutcome(NamedTuple):
    """The outcome of one run.

    Attributes:
        task_id: the task.
        status: completed, failed or retrying.
        result: the handler's result as JSON text; None unless completed.
        error: {type, message} as JSON text, redacted; None when completed or continued.
        retry_delay_seconds: the wait before the next attempt; 0 unless retrying.
        continuation: set when the attempt goes on in another run; then the status is retrying.
    """

    task_id: str
    status: TaskStatus
    result: str | None = None
    error: str | None = None
    retry_delay_seconds: float = 0.0
    continuation: Continuation | None = None


class RecordedTask(NamedTuple):
    """A task whose outcome was written, because the worker still held the lease.

    Attributes:
        task_id: the task.
        batch_id: its batch.
        status: the status that was written.
        send: the number of its next send; meaningful when retrying.
        not_before: when its next attempt is due, by the database's clock; None unless retrying.
    """

    task_id: str
    batch_id: str
    status: TaskStatus
    send: int = 1
    not_before: datetime | None = None


class TaskResult(NamedTuple):
    """How a task of a finished stage ended; aggregations read it."""

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


def deltas_of(recorded: Sequence[RecordedTask]) -> list[BatchDelta]:
    """Counts the ended tasks of each batch, in batch id order: every invocation locks batches in this order."""
    ended = Counter([(task.batch_id, task.status) for task in recorded])
    batch_ids = sorted({batch_id for batch_id, status in ended if status != TaskStatus.RETRYING})
    return [BatchDelta(each, ended[each, TaskStatus.COMPLETED], ended[each, TaskStatus.FAILED]) for each in batch_ids]


class RecordedOutcomes(NamedTuple):
    """What the outcomes of one run have changed.

    Attributes:
        tasks: the tasks whose outcomes were written.
        stages: the stages of which batches have ended with them.
    """

    tasks: list[RecordedTask]
    stages: list[StageProgress]
