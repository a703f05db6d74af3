"""Checks the part of a job that a client wants to retry, before anything is reopened."""

from core.errors import FieldError, InvalidInputError, JobStateError
from core.ids import stage_of_batch
from core.models import Job, Stage, StageKey
from core.retry_parts import MAX_TASKS, RetryPart
from core.statuses import TaskStatus
from repositories.ports import UnitOfWork

_NAMED_AT_MOST = 10
_BATCHES_READ = 10
"""A request reads the errors of so many batches with failures. If there are more, it accepts any error group."""

_USED = "what is chosen is of an earlier stage, whose results the later ones have used"


def checked(work: UnitOfWork, job: Job, stage: Stage | None, part: RetryPart) -> RetryPart:
    """Returns the part with the batches that hold its tasks.

    Args:
        work: the transaction that reopens the stage.
        job: the job, as it had ended.
        stage: the stage at which it ended; None if it had not begun.
        part: what the client chose.

    Raises:
        InvalidInputError: the job has no such batch, task or error, or it did not fail.
        JobStateError: the batch or a task is of an earlier stage.
    """
    if stage is None:
        raise InvalidInputError("the job had not begun: none of its tasks has failed")
    if part.task_ids is not None:
        return RetryPart(_batches_of(work, job, part.task_ids), part.task_ids)
    for batch_id in part.batch_ids or ():
        _check_batch(work, job, batch_id)
    if part.error_group is not None:
        _check_group(work, stage, part)
    return part


def _batches_of(work: UnitOfWork, job: Job, task_ids: frozenset[str]) -> frozenset[str]:
    if not 1 <= len(task_ids) <= MAX_TASKS:
        raise _refusal("task_ids", [f"must name 1 task or more, and at most {MAX_TASKS:,}"])
    places = work.parts.places(sorted(task_ids))
    complaints, is_used = [], False
    for task_id in sorted(task_ids):
        batch_id, status = places.get(task_id, ("", None))
        if status is None or not task_id.startswith(job.job_id):
            complaints.append(f"{task_id} is no task of this job")
        elif status != TaskStatus.FAILED:
            complaints.append(f"{task_id} is {status}: only failed tasks can be retried")
        else:
            is_used |= StageKey(*stage_of_batch(batch_id)).number < job.stage
    if complaints:
        raise _refusal("task_ids", complaints)
    if is_used:
        raise JobStateError(job.job_id, job.status, _USED)
    return frozenset(batch_id for batch_id, _ in places.values())


def _check_batch(work: UnitOfWork, job: Job, batch_id: str) -> None:
    batch = work.batches.get(batch_id)
    if batch is None or batch.job_id != job.job_id:
        raise _refusal("batch_id", [f"{batch_id} is no batch of this job"])
    if not batch.failed_tasks:
        raise _refusal("batch_id", [f"{batch_id} has no failed task"])
    if batch.stage < job.stage:
        raise JobStateError(job.job_id, job.status, _USED)


def _check_group(work: UnitOfWork, stage: Stage, part: RetryPart) -> None:
    read = work.parts.failed_tasks(stage.key, _BATCHES_READ)
    if len(read) >= stage.failed_tasks and not any(map(part.includes, read)):
        raise _refusal("error", [f"no failed task has an error of this group: {part.error_group}"])


def _refusal(field: str, complaints: list[str]) -> InvalidInputError:
    shown = complaints[:_NAMED_AT_MOST]
    if len(complaints) > len(shown):
        shown.append(f"{len(complaints) - len(shown):,} more are no failed tasks of this job")
    return InvalidInputError(f"{field}: {'; '.join(shown)}", [FieldError(field, each) for each in shown])
