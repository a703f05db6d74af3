"""The rules of every single write of a row."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.statuses import (
    BATCH_ENDS,
    BATCH_TRANSITIONS,
    JOB_ENDS,
    JOB_TRANSITIONS,
    STAGE_ENDS,
    STAGE_TRANSITIONS,
    TASK_ENDS,
    TASK_TRANSITIONS,
    TaskStatus,
)
from tests.fakes.rows import BatchRow, JobRow, StageRow, TaskRow, from_json

_FROM_OUTSIDE = ("TaskInterruptedError", "DeadLetteredError")
"""Errors of tasks that their handler did not raise."""


def of_task(old: TaskRow | None, new: TaskRow, now: datetime) -> Iterator[str]:
    """What is wrong with a write of a task: who may claim it and when, and what may be recorded."""
    if old is None:
        if new.attempt or new.status not in {TaskStatus.PENDING_QUEUE, TaskStatus.QUEUED}:
            yield "created with a past"
        return
    yield from _transition(TASK_TRANSITIONS, old.status, new.status)
    if old.status in TASK_ENDS and new.status == old.status:
        if replace(old, sends=new.sends, dead_letters=new.dead_letters) != new:
            yield "changed after its end"
    elif new.status == TaskStatus.PROCESSING and new.lease_id != old.lease_id:
        yield from _claim(old, new, now)
    elif new.attempt != old.attempt:
        yield from _uncounted(old, new)
    if new.status in {TaskStatus.COMPLETED, TaskStatus.FAILED} and old.status not in TASK_ENDS:
        yield from _outcome(old, new)


def of_batch(old: BatchRow | None, new: BatchRow, now: datetime) -> Iterator[str]:
    """What is wrong with a write of a batch."""
    if old is None:
        if new.open_tasks != new.task_count:
            yield "created with a past"
        return
    yield from _transition(BATCH_TRANSITIONS, old.status, new.status)
    if old.status in BATCH_ENDS and new.status == old.status and old != new:
        yield "changed after its end"
    if new.open_tasks > old.open_tasks and new.status == old.status:
        yield "opens tasks that had ended"


def of_stage(old: StageRow | None, new: StageRow, now: datetime) -> Iterator[str]:
    """What is wrong with a write of a stage."""
    if old is None:
        return
    yield from _transition(STAGE_TRANSITIONS, old.status, new.status)
    if old.status == new.status and old.status in STAGE_ENDS and new.finished_at != old.finished_at:
        yield "ended twice"


def of_job(old: JobRow | None, new: JobRow, now: datetime) -> Iterator[str]:
    """What is wrong with a write of a job: every one changes something, and its stage counts up one by one."""
    if old is None:
        if new.stage:
            yield "created with a past"
        return
    yield from _transition(JOB_TRANSITIONS, old.status, new.status)
    if old == new:
        yield "written without a change"
    if old.status in JOB_ENDS and new.status == old.status:
        yield "changed after its end"
    if new.stage not in {old.stage, old.stage + 1}:
        yield f"goes from stage {old.stage} to {new.stage}"


def _transition(table: Mapping[Any, frozenset[Any]], old: Any, new: Any) -> Iterator[str]:
    if new != old and new not in table[old]:
        yield f"goes from {old} to {new}"


def _claim(old: TaskRow, new: TaskRow, now: datetime) -> Iterator[str]:
    if new.attempt != old.attempt + 1:
        yield f"claimed without counting the attempt: {old.attempt} to {new.attempt}"
    if old.lease_expires_at is not None and old.lease_expires_at > now:
        yield "claimed while it was leased"
    if old.not_before is not None and old.not_before > now:
        yield "claimed before its time"


def _uncounted(old: TaskRow, new: TaskRow) -> Iterator[str]:
    released = (old.status, new.status) == (TaskStatus.PROCESSING, TaskStatus.RETRYING)
    reopened = old.status in TASK_ENDS and new.status == TaskStatus.PENDING_QUEUE
    if not (released and new.attempt == old.attempt - 1) and not (reopened and new.attempt == 0):
        yield f"attempt changes from {old.attempt} to {new.attempt} without a claim"


def _outcome(old: TaskRow, new: TaskRow) -> Iterator[str]:
    """The handler names its attempt in its result and in its errors."""
    if new.status == TaskStatus.COMPLETED:
        said = from_json(new.result)["attempt"]
    else:
        error = from_json(new.error)
        if error["type"] in _FROM_OUTSIDE:
            return
        said = int(error["message"].removeprefix("attempt "))
    if said != new.attempt:
        yield f"the outcome of attempt {said} was recorded in attempt {new.attempt}"
