"""The four state machines: one enum and one table of allowed transitions each.

`docs/state_machines.md` draws them; a test holds these tables against that page and against the
enums in PostgreSQL.
"""

from collections.abc import Mapping
from enum import StrEnum


class JobStatus(StrEnum):
    """Where a job stands."""

    PENDING_QUEUE = "pending_queue"  # the row is durable, its message may not be sent yet
    QUEUED = "queued"  # the message that starts stage 1 is in sb-jobs
    PROCESSING = "processing"  # a stage is being dispatched or run
    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors"  # some tasks failed, within what the stages tolerate
    FAILED = "failed"
    CANCELLED = "cancelled"


class StageStatus(StrEnum):
    """Where a stage stands."""

    DISPATCHING = "dispatching"  # its batches are being written and sent; totals are not known yet
    RUNNING = "running"  # every batch is queued, totals are final
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


class BatchStatus(StrEnum):
    """Where an aligned batch stands."""

    PENDING_QUEUE = "pending_queue"  # rows are written, messages may not be sent: the outbox
    QUEUED = "queued"  # rows and messages both exist
    FINISHED = "finished"
    CANCELLED = "cancelled"  # none of its tasks was run


class TaskStatus(StrEnum):
    """Where a task stands."""

    PENDING_QUEUE = "pending_queue"
    QUEUED = "queued"
    PROCESSING = "processing"  # leased to a worker
    RETRYING = "retrying"  # waits for its scheduled message
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


JOB_TRANSITIONS: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.PENDING_QUEUE: frozenset({JobStatus.QUEUED, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.QUEUED: frozenset({JobStatus.PROCESSING, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.PROCESSING: frozenset(
        {JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_ERRORS, JobStatus.FAILED, JobStatus.CANCELLED}
    ),
    JobStatus.COMPLETED: frozenset(),
    # What has ended goes on only when somebody asks for it: retry or resume. A job that had not begun starts anew.
    JobStatus.COMPLETED_WITH_ERRORS: frozenset({JobStatus.PROCESSING}),
    JobStatus.FAILED: frozenset({JobStatus.PENDING_QUEUE, JobStatus.PROCESSING}),
    JobStatus.CANCELLED: frozenset({JobStatus.PENDING_QUEUE, JobStatus.PROCESSING}),
}

STAGE_TRANSITIONS: Mapping[StageStatus, frozenset[StageStatus]] = {
    StageStatus.DISPATCHING: frozenset({StageStatus.RUNNING, StageStatus.FAILED, StageStatus.CANCELLED}),
    StageStatus.RUNNING: frozenset({StageStatus.FINISHED, StageStatus.FAILED, StageStatus.CANCELLED}),
    StageStatus.FINISHED: frozenset({StageStatus.DISPATCHING}),
    StageStatus.FAILED: frozenset({StageStatus.DISPATCHING}),
    StageStatus.CANCELLED: frozenset({StageStatus.DISPATCHING}),
}

BATCH_TRANSITIONS: Mapping[BatchStatus, frozenset[BatchStatus]] = {
    BatchStatus.PENDING_QUEUE: frozenset({BatchStatus.QUEUED, BatchStatus.CANCELLED}),
    BatchStatus.QUEUED: frozenset({BatchStatus.FINISHED, BatchStatus.CANCELLED}),
    BatchStatus.FINISHED: frozenset({BatchStatus.PENDING_QUEUE}),
    BatchStatus.CANCELLED: frozenset({BatchStatus.PENDING_QUEUE}),
}

TASK_TRANSITIONS: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.PENDING_QUEUE: frozenset({TaskStatus.QUEUED, TaskStatus.PROCESSING, TaskStatus.CANCELLED}),
    TaskStatus.QUEUED: frozenset({TaskStatus.PROCESSING, TaskStatus.CANCELLED}),
    # processing -> processing is a takeover: the lease had expired.
    TaskStatus.PROCESSING: frozenset(
        {TaskStatus.PROCESSING, TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.RETRYING}
    ),
    TaskStatus.RETRYING: frozenset({TaskStatus.PROCESSING, TaskStatus.CANCELLED}),
    TaskStatus.COMPLETED: frozenset(),
    TaskStatus.FAILED: frozenset({TaskStatus.PENDING_QUEUE}),
    TaskStatus.CANCELLED: frozenset({TaskStatus.PENDING_QUEUE}),
}

JOB_ENDS = frozenset({JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_ERRORS, JobStatus.FAILED, JobStatus.CANCELLED})
STAGE_ENDS = frozenset({StageStatus.FINISHED, StageStatus.FAILED, StageStatus.CANCELLED})
BATCH_ENDS = frozenset({BatchStatus.FINISHED, BatchStatus.CANCELLED})
TASK_ENDS = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED})

STAGE_STOPS = frozenset({StageStatus.FAILED, StageStatus.CANCELLED})
"""Ends of a stage that may leave tasks behind that have not ended."""
