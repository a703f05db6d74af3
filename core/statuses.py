"""The five state machines: one enum and one table of allowed transitions each.

`docs/state_machines.md` draws them; a test compares these tables with that page and with the enums in
PostgreSQL.
"""

from collections.abc import Mapping
from enum import StrEnum


class JobStatus(StrEnum):
    """The status of a job."""

    WAITING = "waiting"  # for its time, for other jobs, or for its exclusive key
    PENDING_QUEUE = "pending_queue"  # the row is durable, its message may not have been sent
    QUEUED = "queued"  # the message that starts stage 1 is in sb-jobs
    PROCESSING = "processing"  # one of its stages is dispatched or runs
    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors"  # some tasks failed, no more than the stages tolerate
    FAILED = "failed"
    CANCELLED = "cancelled"


class StageStatus(StrEnum):
    """The status of a stage."""

    DISPATCHING = "dispatching"  # its batches are written and sent; the totals are not known yet
    RUNNING = "running"  # every batch is queued; the totals are final
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


class BatchStatus(StrEnum):
    """The status of an aligned batch."""

    PENDING_QUEUE = "pending_queue"  # the outbox: rows are written, messages may not have been sent
    QUEUED = "queued"  # rows are written and messages sent
    FINISHED = "finished"
    CANCELLED = "cancelled"  # none of its tasks ran


class TaskStatus(StrEnum):
    """The status of a task."""

    PENDING_QUEUE = "pending_queue"
    QUEUED = "queued"
    PROCESSING = "processing"  # leased to a worker
    RETRYING = "retrying"  # waits for its next attempt
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class DeadLetterState(StrEnum):
    """What people have done about a kept dead letter."""

    KEPT = "kept"  # nobody has handled it
    RESENDING = "resending"  # a request sends its message again; it may have died before or after the send
    RESENT = "resent"  # the broker has taken its message again
    DISCARDED = "discarded"  # its message is not needed


JOB_TRANSITIONS: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.WAITING: frozenset({JobStatus.PENDING_QUEUE, JobStatus.CANCELLED}),
    JobStatus.PENDING_QUEUE: frozenset({JobStatus.QUEUED, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.QUEUED: frozenset({JobStatus.PROCESSING, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.PROCESSING: frozenset(
        {JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_ERRORS, JobStatus.FAILED, JobStatus.CANCELLED}
    ),
    JobStatus.COMPLETED: frozenset(),
    # Only a client moves an ended job, by retry or resume. A job that had not begun starts anew, or waits again.
    JobStatus.COMPLETED_WITH_ERRORS: frozenset({JobStatus.PROCESSING}),
    JobStatus.FAILED: frozenset({JobStatus.WAITING, JobStatus.PENDING_QUEUE, JobStatus.PROCESSING}),
    JobStatus.CANCELLED: frozenset({JobStatus.WAITING, JobStatus.PENDING_QUEUE, JobStatus.PROCESSING}),
}

STAGE_TRANSITIONS: Mapping[StageStatus, frozenset[StageStatus]] = {
    StageStatus.DISPATCHING: frozenset({StageStatus.RUNNING, StageStatus.FAILED, StageStatus.CANCELLED}),
    StageStatus.RUNNING: frozenset({StageStatus.FINISHED, StageStatus.FAILED, StageStatus.CANCELLED}),
    StageStatus.FINISHED: frozenset({StageStatus.DISPATCHING}),
    StageStatus.FAILED: frozenset({StageStatus.DISPATCHING}),
    StageStatus.CANCELLED: frozenset({StageStatus.DISPATCHING}),
}

BATCH_TRANSITIONS: Mapping[BatchStatus, frozenset[BatchStatus]] = {
    # pending_queue -> finished: its tasks have ended before its dispatcher has marked it.
    BatchStatus.PENDING_QUEUE: frozenset({BatchStatus.QUEUED, BatchStatus.FINISHED, BatchStatus.CANCELLED}),
    BatchStatus.QUEUED: frozenset({BatchStatus.FINISHED, BatchStatus.CANCELLED}),
    BatchStatus.FINISHED: frozenset({BatchStatus.PENDING_QUEUE}),
    BatchStatus.CANCELLED: frozenset({BatchStatus.PENDING_QUEUE}),
}

TASK_TRANSITIONS: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.PENDING_QUEUE: frozenset({TaskStatus.QUEUED, TaskStatus.PROCESSING, TaskStatus.CANCELLED}),
    TaskStatus.QUEUED: frozenset({TaskStatus.PROCESSING, TaskStatus.CANCELLED}),
    # processing -> processing: another worker takes over an expired lease.
    TaskStatus.PROCESSING: frozenset(
        {TaskStatus.PROCESSING, TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.RETRYING}
    ),
    TaskStatus.RETRYING: frozenset({TaskStatus.PROCESSING, TaskStatus.CANCELLED}),
    TaskStatus.COMPLETED: frozenset(),
    TaskStatus.FAILED: frozenset({TaskStatus.PENDING_QUEUE}),
    TaskStatus.CANCELLED: frozenset({TaskStatus.PENDING_QUEUE}),
}

DEAD_LETTER_TRANSITIONS: Mapping[DeadLetterState, frozenset[DeadLetterState]] = {
    DeadLetterState.KEPT: frozenset({DeadLetterState.RESENDING, DeadLetterState.DISCARDED}),
    # resending -> resending: a request repeats a resend that has not ended.
    DeadLetterState.RESENDING: frozenset(
        {DeadLetterState.RESENDING, DeadLetterState.RESENT, DeadLetterState.DISCARDED}
    ),
    DeadLetterState.RESENT: frozenset(),
    DeadLetterState.DISCARDED: frozenset(),
}

JOB_ENDS = frozenset({JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_ERRORS, JobStatus.FAILED, JobStatus.CANCELLED})
STAGE_ENDS = frozenset({StageStatus.FINISHED, StageStatus.FAILED, StageStatus.CANCELLED})
BATCH_ENDS = frozenset({BatchStatus.FINISHED, BatchStatus.CANCELLED})
TASK_ENDS = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED})
DEAD_LETTER_ENDS = frozenset({DeadLetterState.RESENT, DeadLetterState.DISCARDED})

STAGE_STOPS = frozenset({StageStatus.FAILED, StageStatus.CANCELLED})
"""The statuses of a stopped stage: it hands out no more tasks, and some of its tasks may not have ended."""
