"""The rows of the fake's tables.

Columns of type jsonb hold JSON text, decoded on each read, so that no reader can change a row.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.lanes import Lane
from core.models import StageKey, StageOpening
from core.retry_parts import RetryPart
from core.statuses import BatchStatus, JobStatus, StageStatus, TaskStatus


@dataclass(frozen=True)
class JobRow:
    job_id: str
    job_type: str
    parameters: str
    total_stages: int
    created_at: datetime
    status: JobStatus = JobStatus.PENDING_QUEUE
    stage: int = 0
    result: str | None = None
    error: str | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    pruned_at: datetime | None = None
    urgent: bool = False


@dataclass(frozen=True)
class JobWaitRow:
    job_id: str
    turn: int
    start_at: datetime | None
    exclusive_key: str | None
    released_at: datetime | None = None


@dataclass(frozen=True)
class DependencyRow:
    job_id: str
    after_job_id: str
    completed_at: datetime | None


@dataclass(frozen=True)
class StageRow:
    job_id: str
    number: int
    name: str
    max_failed_fraction: float
    created_at: datetime
    status: StageStatus = StageStatus.DISPATCHING
    total_tasks: int | None = None
    total_batches: int | None = None
    finished_batches: int = 0
    completed_tasks: int = 0
    failed_tasks: int = 0
    cancelled_tasks: int = 0
    dispatch_lease_id: str | None = None
    dispatch_lease_expires_at: datetime | None = None
    attended_at: datetime | None = None
    silent_since: datetime | None = None
    openings: int = 0
    reopens_failed: bool = False
    result: str | None = None
    finished_at: datetime | None = None
    checkpoint_tasks: int = 0
    checkpoint_batches: int = 0
    checkpoint_cursor: str | None = None
    idle_slices: int = 0
    room_after: int | None = None
    folded_tasks: int = 0
    folded_state: str | None = None
    kept_failed_tasks: int | None = None

    @property
    def key(self) -> StageKey:
        return StageKey(self.job_id, self.number)

    @property
    def opening(self) -> StageOpening:
        return StageOpening(self.key, self.openings)

    @property
    def ended_tasks(self) -> int:
        return self.completed_tasks + self.failed_tasks + self.cancelled_tasks


@dataclass(frozen=True)
class RetryPartRow:
    key: StageKey
    opening: int
    part: RetryPart
    after_batch_id: str = ""


@dataclass(frozen=True)
class BatchRow:
    batch_id: str
    job_id: str
    stage: int
    batch_index: int
    lane: Lane
    task_count: int
    open_tasks: int
    status: BatchStatus
    digest: str
    created_at: datetime
    queued_at: datetime | None
    failed_tasks: int = 0
    cancelled_tasks: int = 0
    send_attempts: int = 1
    last_error: str | None = None
    opening: int = 0
    finished_at: datetime | None = None
    enveloped: bool = False

    @property
    def stage_key(self) -> StageKey:
        return StageKey(self.job_id, self.stage)


@dataclass(frozen=True)
class TaskRow:
    task_id: str
    parent_job_id: str
    task_type: str
    stage: int
    task_index: int
    batch_id: str
    status: TaskStatus
    parameters: str
    created_at: datetime
    result: str | None = None
    error: str | None = None
    attempt: int = 0
    failures: int = 0
    dead_letters: int = 0
    sends: int = 1
    lease_id: str | None = None
    lease_expires_at: datetime | None = None
    not_before: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    worker: str | None = None
    errors: str | None = None
    checkpoint: str | None = None
    idle_continuations: int = 0
    progress: float | None = None
    progress_note: str | None = None
    progress_at: datetime | None = None

    @property
    def stage_key(self) -> StageKey:
        return StageKey(self.parent_job_id, self.stage)


@dataclass(frozen=True)
class StartRow:
    task_type: str
    task_id: str
    lease_id: str
    started_at: datetime
    holds_slot: bool = True

    @property
    def key(self) -> tuple[str, datetime, str, str]:
        return self.task_type, self.started_at, self.task_id, self.lease_id


@dataclass(frozen=True)
class WaitRow:
    task_id: str
    task_type: str
    waits_for: str
    since: datetime
    woken_at: datetime | None = None

    @property
    def place(self) -> tuple[datetime, str]:
        return self.since, self.task_id


def from_json(text: str | None) -> Any:
    """A jsonb column as psycopg2 gives it."""
    return None if text is None else json.loads(text)


def same_json(left: str, right: str) -> bool:
    """Whether jsonb calls two texts equal: key order and the spelling of numbers do not matter."""
    return bool(_comparable(left) == _comparable(right))


def _comparable(text: str) -> Any:
    return _tagged(json.loads(text, parse_float=Decimal))


def _tagged(value: Any) -> Any:
    match value:
        case bool():
            return ("boolean", value)  # Python calls True and 1 equal, jsonb does not
        case dict():
            return {key: _tagged(item) for key, item in value.items()}
        case list():
            return [_tagged(item) for item in value]
        case _:
            return value
