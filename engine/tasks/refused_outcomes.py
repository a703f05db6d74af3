"""Outcomes that PostgreSQL refuses, or that must wait for a lock: they keep no other outcome from being recorded."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from core import json_text
from core.error_records import describe
from core.errors import OutcomeRefusedError, RefusedValueError
from core.ids import job_of_task
from core.messages import JobMessage
from core.statuses import TaskStatus
from core.task_runs import RecordedTask, TaskOutcome

logger = logging.getLogger(__name__)

Written = tuple[list[RecordedTask], list[JobMessage]]
"""The tasks whose outcomes were recorded, and the messages of the stages that ended with them, or got room."""

_Write = Callable[[Sequence[TaskOutcome]], Written]


def write_jobs_apart(
    write: _Write, write_now: Callable[[Sequence[TaskOutcome]], Written | None], outcomes: Sequence[TaskOutcome]
) -> Iterator[Written]:
    """Writes outcomes in one transaction, or job by job; yields what is written, last the jobs that had to wait.

    If PostgreSQL refuses a value, the outcomes of its job are written task by task. The task of a refused outcome fails
    with the reason. If that is refused too, as when a CHECK of its stage's row is violated, the task stays under its
    lease.

    Args:
        write: writes some outcomes in a transaction of its own; waits for locks.
        write_now: the same, but returns None and writes nothing if one of them is refused, or must wait for a lock.
        outcomes: the outcomes of tasks with different ids.

    Raises:
        LockstepError: any error but a refused value; parts that were written before stay.
    """
    jobs = _by_job(outcomes)
    if len(jobs) == 1:
        yield _write_one_job(write, outcomes)
        return
    together = write_now(outcomes)
    if together is not None:
        yield together
        return
    logger.warning("%d outcomes of %d jobs cannot be recorded together", len(outcomes), len(jobs))
    at_once = [(job, write_now(job)) for job in jobs]
    free = [written for _, written in at_once if written is not None]
    if free:
        yield [task for tasks, _ in free for task in tasks], [each for _, messages in free for each in messages]
    for job, written in at_once:
        if written is None:
            yield _write_one_job(write, job)


def _write_one_job(write: _Write, outcomes: Sequence[TaskOutcome]) -> Written:
    try:
        return write(outcomes)
    except RefusedValueError as exc:
        if len(outcomes) == 1:
            return _fail(write, outcomes[0], exc)
        logger.warning("%d outcomes cannot be recorded together: %s", len(outcomes), _reason(exc))
    written = [_write_one_job(write, [outcome]) for outcome in sorted(outcomes, key=lambda each: each.task_id)]
    return [task for tasks, _ in written for task in tasks], [each for _, messages in written for each in messages]


def _by_job(outcomes: Sequence[TaskOutcome]) -> list[list[TaskOutcome]]:
    if len({job_of_task(outcome.task_id) for outcome in outcomes}) == 1:
        return [list(outcomes)]
    in_order = sorted(outcomes, key=lambda outcome: outcome.task_id)
    return [list(each) for _, each in groupby(in_order, lambda outcome: job_of_task(outcome.task_id))]


def _fail(write: _Write, outcome: TaskOutcome, refusal: RefusedValueError) -> Written:
    logger.error("the outcome of task %s is refused, so the task fails: %s", outcome.task_id, _reason(refusal))
    error = describe(OutcomeRefusedError(_explanation(outcome, refusal)))
    try:
        return write([TaskOutcome(outcome.task_id, TaskStatus.FAILED, error=json_text.encode(error))])
    except RefusedValueError as exc:
        logger.error(  # noqa: TRY400 - the traceback holds the row, which may hold secrets
            "task %s cannot be recorded as failed either; it stays under its lease: %s", outcome.task_id, _reason(exc)
        )
        return [], []


def _explanation(outcome: TaskOutcome, refusal: RefusedValueError) -> str:
    text = f"PostgreSQL refuses to record this task as {outcome.status}: {_reason(refusal)}"
    if outcome.status != TaskStatus.RETRYING or outcome.error is None:
        return text  # the error itself may be the refused value
    error = json.loads(outcome.error)
    return f"{text}; the attempt failed with {error['type']}: {error['message']}"


def _reason(refusal: RefusedValueError) -> str:
    """Returns the first line of PostgreSQL's text: the next lines show the row."""
    return str(refusal).partition("\n")[0]
