"""The story of a job: a row for each of its steps, repairs and dead letters, never one for a task."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class JobEventKind(StrEnum):
    """What an event tells; the comments name its details."""

    SUBMITTED = "submitted"  # job_type
    WAITING = "waiting"  # start_at, after: how many jobs, exclusive: whether it needs a key
    RELEASED = "released"  # the job waits no more
    STAGE_STARTED = "stage_started"  # name
    STAGE_DISPATCHED = "stage_dispatched"  # tasks, batches
    STAGE_FINISHED = "stage_finished"  # completed, failed, cancelled: tasks
    STAGE_FAILED = "stage_failed"  # the same so far; open_batches: if there are any, tasks_ended follows
    STAGE_CANCELLED = "stage_cancelled"  # the same
    TASKS_ENDED = "tasks_ended"  # the last task of a stopped stage has ended: completed, failed, cancelled
    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors"  # error: what `warning` of the job said
    FAILED = "failed"  # error: type, message, stage
    CANCELLED = "cancelled"
    RETRIED = "retried"
    RESUMED = "resumed"
    REPAIRED = "repaired"  # subject: a `Repair`; messages
    DEAD_LETTER = "dead_letter"  # subject: the reason; queue; dead_letter_ids, the first ones
    END_HOOK_RAN = "end_hook_ran"  # `job_ended` of the job's type; tries
    END_HOOK_FAILED = "end_hook_failed"  # error: the last one; given_up: whether it is tried no more


class Repair(StrEnum):
    """What the sweeper found of a job or a stage."""

    FIRST_MESSAGE = "first_message"  # the job was not started
    PENDING_BATCHES = "pending_batches"  # rows without messages
    OVERDUE_RETRIES = "overdue_retries"
    EXPIRED_LEASES = "expired_leases"  # the tasks of dead workers
    INTERRUPTED_DISPATCH = "interrupted_dispatch"
    UNADVANCED_STAGE = "unadvanced_stage"
    SILENT_TASKS = "silent_tasks"
    STOPPED_STAGE = "stopped_stage"  # its tasks have not ended
    PARKED_TASKS = "parked_tasks"  # slots of their type were free


MAX_SUBJECT_LENGTH = 128
"""In characters: a reason for a dead letter may be longer than an index allows, because any sender may write it."""

MAX_LETTER_IDS = 20
"""How many ids of dead letters one event holds."""


@dataclass(frozen=True)
class JobEvent:
    """A row of `job_events`.

    Repairs and dead letters of one opening with the same subject share a row, so that a job's story stays short.

    Attributes:
        event_id: grows with time.
        job_id: the job.
        kind: what the event tells.
        stage: the number of the stage that the job stood at; 0 before its first stage.
        opening: how often that stage had been reopened.
        subject: what was repaired, or the reason for the dead letter; None for other kinds.
        details: depends on the kind.
        times: how many events share the row.
        at: the time of the first.
        last_at: the time of the last.
    """

    event_id: int
    job_id: str
    kind: JobEventKind
    stage: int
    opening: int
    subject: str | None
    details: Mapping[str, Any]
    times: int
    at: datetime
    last_at: datetime
