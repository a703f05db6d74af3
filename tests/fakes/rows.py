"""The rows of the fake's tables, and the CHECK constraints of the migration in Python.

Columns of type jsonb hold JSON text, decoded on each read, so that no reader can change a row.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.lanes import Lane
from core.models import StageKey
from core.statuses import BatchStatus, JobStatus, StageStatus, TaskStatus

JOB_ENDED = (JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_ERRORS, JobStatus.FAILED, JobStatus.CANCELLED)
STAGE_ENDED = (StageStatus.FINISHED, StageStatus.FAILED, StageStatus.CANCELLED)
BATCH_ENDED = (BatchStatus.FINISHED, BatchStatus.CANCELLED)
TASK_ENDED = (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED)


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

    @property
    def key(self) -> StageKey:
        return StageKey(self.job_id, self.number)

    @property
    def ended_tasks(self) -> int:
        return self.completed_tasks + self.failed_tasks + self.cancelled_tasks


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

    @property
    def stage_key(self) -> StageKey:
        return StageKey(self.parent_job_id, self.stage)


JOB_CHECKS: Mapping[str, Callable[[JobRow], bool]] = {
    "jobs_job_id_check": lambda row: re.fullmatch(r"[0-9a-f]{32}", row.job_id) is not None,
    "jobs_job_type_check": lambda row: row.job_type != "",
    "jobs_parameters_check": lambda row: isinstance(from_json(row.parameters), dict),
    "jobs_total_stages_check": lambda row: 1 <= row.total_stages <= 99,
    "jobs_stage_in_range": lambda row: 0 <= row.stage <= row.total_stages,
    "jobs_started_has_stage": lambda row: (row.stage > 0) == (row.started_at is not None),
    "jobs_ended_has_finished_at": lambda row: (row.status in JOB_ENDED) == (row.finished_at is not None),
    "jobs_pruned_has_ended": lambda row: row.pruned_at is None or row.finished_at is not None,
    "jobs_failed_has_error": lambda row: row.status != JobStatus.FAILED or row.error is not None,
}

STAGE_CHECKS: Mapping[str, Callable[[StageRow], bool]] = {
    "stages_stage_check": lambda row: 1 <= row.number <= 99,
    "stages_name_check": lambda row: row.name != "",
    "stages_total_tasks_check": lambda row: row.total_tasks is None or row.total_tasks >= 0,
    "stages_total_batches_check": lambda row: row.total_batches is None or row.total_batches >= 0,
    "stages_max_failed_fraction_check": lambda row: 0 <= row.max_failed_fraction <= 1,
    "stages_totals_known_together": lambda row: (row.total_tasks is None) == (row.total_batches is None),
    "stages_running_has_totals": lambda row: (
        row.status not in (StageStatus.RUNNING, StageStatus.FINISHED) or row.total_tasks is not None
    ),
    "stages_batches_within_total": lambda row: row.total_batches is None or row.finished_batches <= row.total_batches,
    "stages_tasks_within_total": lambda row: row.total_tasks is None or row.ended_tasks <= row.total_tasks,
    "stages_finished_is_complete": lambda row: (
        row.status != StageStatus.FINISHED
        or (row.finished_batches == row.total_batches and row.ended_tasks == row.total_tasks)
    ),
    "stages_ended_has_finished_at": lambda row: (row.status in STAGE_ENDED) == (row.finished_at is not None),
    "stages_lease_is_whole": lambda row: (row.dispatch_lease_id is None) == (row.dispatch_lease_expires_at is None),
}

BATCH_CHECKS: Mapping[str, Callable[[BatchRow], bool]] = {
    "batches_batch_index_check": lambda row: row.batch_index >= 0,
    "batches_task_count_check": lambda row: 1 <= row.task_count <= 100,
    "batches_open_within_count": lambda row: 0 <= row.open_tasks <= row.task_count,
    "batches_outcomes_within_count": lambda row: (
        min(row.failed_tasks, row.cancelled_tasks) >= 0
        and row.failed_tasks + row.cancelled_tasks + row.open_tasks <= row.task_count
    ),
    "batches_finished_has_none_open": lambda row: row.status != BatchStatus.FINISHED or row.open_tasks == 0,
    "batches_queued_has_queued_at": lambda row: (
        row.status not in (BatchStatus.QUEUED, BatchStatus.FINISHED) or row.queued_at is not None
    ),
    "batches_ended_has_finished_at": lambda row: (row.status in BATCH_ENDED) == (row.finished_at is not None),
}

TASK_CHECKS: Mapping[str, Callable[[TaskRow], bool]] = {
    "tasks_task_type_check": lambda row: row.task_type != "",
    "tasks_task_index_check": lambda row: row.task_index >= 0,
    "tasks_leased_while_processing": lambda row: (
        (row.status == TaskStatus.PROCESSING) == (row.lease_id is not None)
        and (row.lease_id is None) == (row.lease_expires_at is None)
    ),
    "tasks_failures_within_attempts": lambda row: 0 <= row.failures <= row.attempt,
    "tasks_started_has_attempt": lambda row: (row.attempt > 0) == (row.started_at is not None),
    "tasks_retrying_has_not_before": lambda row: (row.status == TaskStatus.RETRYING) == (row.not_before is not None),
    "tasks_ended_has_finished_at": lambda row: (row.status in TASK_ENDED) == (row.finished_at is not None),
    "tasks_failed_has_error": lambda row: row.status != TaskStatus.FAILED or row.error is not None,
}


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
