"""Rows as they may be shown: without the secrets of their job and without tracebacks, which earlier versions stored.

URLs are left to the API, which redacts each of its answers.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.job_events import JobEvent
from core.job_waits import JobWait
from core.models import Job, ProgressNote, Task
from core.redaction import MASK, Redaction
from core.task_runs import TaskResult


def shown_job(job: Job, parameters: Mapping[str, Any], redaction: Redaction | None) -> Job:
    """Returns a job as it may be shown, with the given parameters; without a redaction, its secrets are unknown."""
    result = shown_value(job.result, redaction)
    return replace(job, parameters=parameters, result=result, error=_error(job, redaction))


def shown_task(task: Task, redaction: Redaction | None) -> Task:
    """Returns a task as it may be shown; if the secrets of its job are unknown, none of its parameters."""
    parameters = task.parameters
    if parameters is not None:
        parameters = dict.fromkeys(parameters, MASK) if redaction is None else shown_value(parameters, redaction)
    errors = [replace(each, message=shown_value(each.message, redaction)) for each in task.errors]
    return replace(
        task,
        parameters=parameters,
        result=shown_value(task.result, redaction),
        error=_error(task, redaction),
        errors=errors,
        progress_note=shown_value(task.progress_note, redaction),
    )


def shown_note(note: ProgressNote, redaction: Redaction | None) -> ProgressNote:
    """Returns what a running task said as it may be shown."""
    return replace(note, progress_note=shown_value(note.progress_note, redaction))


def shown_result(result: TaskResult, redaction: Redaction | None) -> TaskResult:
    """Returns how a task ended as it may be shown."""
    return result._replace(result=shown_value(result.result, redaction), error=_error(result, redaction))


def shown_event(event: JobEvent, redaction: Redaction | None) -> JobEvent:
    """Returns an event as it may be shown."""
    return replace(event, details=shown_value(event.details, redaction))


def shown_wait(wait: JobWait, redaction: Redaction | None) -> JobWait:
    """Returns what a job waits for as it may be shown; its key is made of the job's parameters."""
    key = wait.exclusive_key
    return replace(wait, exclusive_key=MASK if key is not None and redaction is None else shown_value(key, redaction))


def _error(row: Job | Task | TaskResult, redaction: Redaction | None) -> Mapping[str, Any] | None:
    if row.error is None:
        return None
    return {name: shown_value(value, redaction) for name, value in row.error.items() if name != "traceback"}


def shown_value(value: Any, redaction: Redaction | None) -> Any:
    """Returns a JSON value as it may be shown."""
    return redaction.json(value) if redaction is not None and redaction.secrets else value
