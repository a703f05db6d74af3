"""Sums up the errors of a stage's failed tasks in one sentence: the most frequent cause, how often, and one task."""

from collections import Counter
from collections.abc import Sequence

from core.error_groups import group_of
from core.models import Stage, TaskError

READ_FAILED_TASKS = 1_000
"""A stage may have millions of failed tasks; the first ones tell the cause, in some milliseconds."""

_QUOTED_CHARACTERS = 500
"""Of a task's error message; a job's message is cut to 2,000."""


def failure(stage: Stage, errors: Sequence[TaskError]) -> str:
    """Says why a stage failed: more of its tasks failed than it tolerates.

    Args:
        stage: the stage.
        errors: those of its first failed tasks, up to `READ_FAILED_TASKS`.
    """
    return f"{_count(stage)} failed; it tolerates a fraction of {stage.max_failed_fraction:g}{_cause(stage, errors)}"


def warning(stage: Stage, errors: Sequence[TaskError], failed_elsewhere: int) -> str:
    """Says which tasks of a job failed that completed nevertheless.

    Args:
        stage: the stage with the most failed tasks.
        errors: those of its first failed tasks, up to `READ_FAILED_TASKS`.
        failed_elsewhere: the number of failed tasks in the other stages.
    """
    others = f"; {failed_elsewhere:,} tasks of other stages failed too" if failed_elsewhere else ""
    return f"{_count(stage)} failed, no more than it tolerates{others}{_cause(stage, errors)}"


def _count(stage: Stage) -> str:
    of_them = "" if stage.total_tasks is None else f" of {stage.total_tasks:,}"
    return f"{stage.failed_tasks:,}{of_them} tasks of stage {stage.number} ({stage.name})"


def _cause(stage: Stage, errors: Sequence[TaskError]) -> str:
    if not errors:
        return ""
    kinds = [group_of(error.type, error.message) for error in errors]
    # A Counter gives equals in the order in which it met them.
    (most_frequent, tasks), *_ = Counter(kinds).most_common(1)
    first = errors[kinds.index(most_frequent)]
    read = f"{'the first ' if len(errors) == READ_FAILED_TASKS else ''}{len(errors):,}"
    return (
        f". Its most frequent error, in {tasks:,} of {read} failed tasks: "
        f"{first.type}: {first.message[:_QUOTED_CHARACTERS]} (first in {first.task_id}). "
        f"All of them: lockstep tasks {stage.job_id} --failed, or GET /api/jobs/{stage.job_id}/tasks?status=failed"
    )
