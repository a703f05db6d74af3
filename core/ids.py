"""Derives the ids of jobs, batches and tasks: the same job, stage and index always give the same id.

So a replayed dispatch finds the rows of the first dispatch, and a repeated submission the row of the first one.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from core.errors import MessageFormatError

_TASK_ID = re.compile(r"(?P<job>[0-9a-f]{32})-s(?P<stage>(?!00)[0-9]{2})-t(?P<index>[0-9]{7})", re.ASCII)
_BATCH_ID = re.compile(r"(?P<job>[0-9a-f]{32})-s(?P<stage>[1-9][0-9]?)-b[0-9]{1,7}", re.ASCII)

MAX_STAGES = 99
MAX_STAGE_TASKS = 10_000_000
"""Both limits follow from the fixed width of the numbers in a task id. With it, ids sort like their numbers."""


def job_id_for_parameters(job_type: str, canonical_parameters: str) -> str:
    """Returns the id (32 hex digits) of the job with this type and these parameters in canonical JSON."""
    return _digest_32("parameters", job_type, canonical_parameters)


def job_id_for_key(job_type: str, idempotency_key: str, caller: str = "") -> str:
    """Returns the id (32 hex digits) of the job of this type that a caller names by an idempotency key.

    Args:
        job_type: the job type.
        idempotency_key: the key.
        caller: the caller, as the platform names it; empty if it names none.
    """
    return _digest_32("key", job_type, caller, idempotency_key)


def job_id_for_tick(schedule: str, tick: datetime) -> str:
    """Returns the id (32 hex digits) of the job of a schedule's tick. No client can submit a job with this id."""
    return _digest_32("schedule", schedule, tick.astimezone(UTC).isoformat())


def batch_id(job_id: str, stage: int, batch_index: int) -> str:
    """Returns the id of a stage's batch; stages count from 1, batches from 0."""
    return f"{job_id}-s{stage}-b{batch_index}"


def task_id(job_id: str, stage: int, task_index: int) -> str:
    """Returns the id of a stage's task; stages count from 1, tasks from 0."""
    return f"{job_id}-s{stage:02d}-t{task_index:07d}"


@dataclass(frozen=True)
class TaskAddress:
    """The parts of a task id: the job, the stage (from 1) and the index in the stage (from 0)."""

    job_id: str
    stage: int
    task_index: int


def parse_task_id(value: str) -> TaskAddress:
    """Splits a task id into its parts.

    Raises:
        MessageFormatError: the text is not a task id.
    """
    match = _TASK_ID.fullmatch(value)
    if match is None:
        raise MessageFormatError(f"{value[:100]!r} is not a task id; one looks like <32 hex digits>-s01-t0000042")
    return TaskAddress(match["job"], int(match["stage"]), int(match["index"]))


def job_of_task(task_id: str) -> str:
    """Returns the job id in the id of a task of ours."""
    return task_id[:32]


def stages_of_tasks(task_ids: Iterable[str]) -> list[tuple[str, int]]:
    """Returns the job ids and stages in the ids of tasks of ours, in order."""
    return sorted((prefix[:32], int(prefix[34:])) for prefix in {task_id[:36] for task_id in task_ids})


def is_batch_of_stage(value: str, task: TaskAddress) -> bool:
    """Tells whether a text is the id of a batch of the task's stage."""
    match = _BATCH_ID.fullmatch(value)
    return match is not None and (match["job"], int(match["stage"])) == (task.job_id, task.stage)


def is_batch_id(value: str) -> bool:
    """Tells whether a text is the id of a batch."""
    return _BATCH_ID.fullmatch(value) is not None


def stage_of_batch(value: str) -> tuple[str, int]:
    """Returns the job id and the stage of a batch id."""
    match = _BATCH_ID.fullmatch(value)
    assert match is not None, f"{value} is not a batch id"
    return match["job"], int(match["stage"])


def _digest_32(*parts: str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(b"%d:" % len(data))  # lengths keep ("ab", "c") and ("a", "bc") apart
        digest.update(data)
    return digest.hexdigest()[:32]
