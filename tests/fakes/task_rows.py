"""How the rows of tasks and their batches are created and changed, and what the repository returns of them."""

import json
from collections.abc import Container, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from core.definitions import AlignedBatch
from core.models import MOST_ATTEMPT_ERRORS, AttemptError, Task
from core.pages import TaskPayload
from core.statuses import BatchStatus, TaskStatus
from core.task_runs import ClaimedTask, Continuation, TaskOutcome, TaskResult
from tests.fakes.rows import BatchRow, TaskRow, from_json


def batch_row(batch: AlignedBatch, status: BatchStatus, opening: int, now: datetime) -> BatchRow:
    return BatchRow(
        batch_id=batch.batch_id,
        job_id=batch.job_id,
        stage=batch.stage,
        batch_index=batch.batch_index,
        lane=batch.lane,
        task_count=batch.task_count,
        open_tasks=batch.task_count,
        status=status,
        digest=batch.digest,
        created_at=now,
        queued_at=now if status == BatchStatus.QUEUED else None,
        opening=opening,
        enveloped=batch.enveloped,
    )


def task_rows(batch: AlignedBatch, status: BatchStatus, now: datetime) -> Iterator[TaskRow]:
    for task in batch.rows:
        values = (task.task_id, batch.job_id, task.task_type, batch.stage, task.task_index, batch.batch_id)
        yield TaskRow(*values, TaskStatus(status), task.parameters, now)


def claimed_row(row: TaskRow, lease_id: str, expires_at: datetime, now: datetime) -> TaskRow:
    return replace(
        row,
        status=TaskStatus.PROCESSING,
        attempt=row.attempt + 1,
        not_before=None,
        lease_id=lease_id,
        lease_expires_at=expires_at,
        started_at=row.started_at or now,
    )


def recorded_row(row: TaskRow, outcome: TaskOutcome, now: datetime) -> TaskRow:
    if outcome.continuation is not None:
        return _continued_row(row, outcome.continuation, now)
    retrying = outcome.status == TaskStatus.RETRYING
    completed = outcome.status == TaskStatus.COMPLETED
    return replace(
        row,
        status=outcome.status,
        result=outcome.result,
        error=outcome.error,
        lease_id=None,
        lease_expires_at=None,
        failures=row.failures + (not completed),
        sends=row.sends + retrying,
        not_before=now + timedelta(seconds=outcome.retry_delay_seconds) if retrying else None,
        finished_at=None if retrying else now,
        checkpoint=None if completed else row.checkpoint,
        progress=1.0 if completed and row.progress is not None else row.progress,
        errors=_errors(row, outcome, now),
    )


def _errors(row: TaskRow, outcome: TaskOutcome, now: datetime) -> str | None:
    if outcome.error is None:
        return row.errors
    error = json.loads(outcome.error)
    newest = {"attempt": row.attempt, "at": now.timestamp(), "type": error["type"], "message": error["message"]}
    return json.dumps([newest, *json.loads(row.errors or "[]")][:MOST_ATTEMPT_ERRORS])


def _continued_row(row: TaskRow, continuation: Continuation, now: datetime) -> TaskRow:
    return replace(
        row,
        status=TaskStatus.RETRYING,
        not_before=now,
        lease_id=None,
        lease_expires_at=None,
        attempt=row.attempt - 1,
        sends=row.sends + 1,
        checkpoint=continuation.checkpoint,
        idle_continuations=continuation.idle,
    )


def released_row(row: TaskRow, now: datetime) -> TaskRow:
    return replace(
        row,
        status=TaskStatus.RETRYING,
        not_before=now,
        lease_id=None,
        lease_expires_at=None,
        attempt=row.attempt - 1,
        started_at=row.started_at if row.attempt > 1 or row.checkpoint is not None else None,
    )


def claimed_task(row: TaskRow) -> ClaimedTask:
    return ClaimedTask(
        task_id=row.task_id,
        job_id=row.parent_job_id,
        stage=row.stage,
        task_index=row.task_index,
        batch_id=row.batch_id,
        task_type=row.task_type,
        parameters=from_json(row.parameters),
        attempt=row.attempt,
        failures=row.failures,
        checkpoint=from_json(row.checkpoint),
        idle_continuations=row.idle_continuations,
    )


def as_task(row: TaskRow, payload: Container[str] = frozenset(TaskPayload)) -> Task:
    """The task, with this payload."""
    absent: dict[str, Any] = {name: None for name in TaskPayload if name not in payload}
    columns = {**vars(row), **absent}
    for name in ("lease_id", "dead_letters", "checkpoint", "idle_continuations", "progress_at"):
        del columns[name]
    decoded = {name: from_json(columns[name]) for name in ("parameters", "result", "error")}
    errors = [
        AttemptError(**{**each, "at": datetime.fromtimestamp(each["at"], UTC)}) for each in from_json(row.errors) or ()
    ]
    return Task(**{**columns, **decoded, "errors": errors})


def as_result(row: TaskRow) -> TaskResult:
    return TaskResult(row.task_index, row.task_type, row.status, from_json(row.result), from_json(row.error))
