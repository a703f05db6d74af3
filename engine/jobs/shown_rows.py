"""Rows as they may be shown: without the secrets of their job and without tracebacks, which earlier versions stored."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.models import Job, Stage, Task
from core.redaction import MASK, Redaction

_NOTHING_SECRET = Redaction()


def shown_job(job: Job, parameters: Mapping[str, Any], redaction: Redaction | None) -> Job:
    """Returns a job as it may be shown, with the given parameters; without a redaction, its secrets are not known."""
    redact = redaction or _NOTHING_SECRET
    return replace(job, parameters=redact.json(parameters), result=redact.json(job.result), error=_error(job, redact))


def shown_stage(stage: Stage, redaction: Redaction | None) -> Stage:
    """Returns a stage as it may be shown."""
    return replace(stage, result=(redaction or _NOTHING_SECRET).json(stage.result))


def shown_task(task: Task, redaction: Redaction | None) -> Task:
    """Returns a task as it may be shown; if the secrets of its job are not known, none of its parameters."""
    redact = redaction or _NOTHING_SECRET
    parameters = dict.fromkeys(task.parameters, MASK) if redaction is None else redact.json(task.parameters)
    return replace(task, parameters=parameters, result=redact.json(task.result), error=_error(task, redact))


def _error(row: Job | Task, redact: Redaction) -> Mapping[str, Any] | None:
    if row.error is None:
        return None
    return {name: redact.json(value) for name, value in row.error.items() if name != "traceback"}
