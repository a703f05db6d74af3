"""Turns jobs, batches and dead letters into the answers of the API."""

import base64
import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, cast

import azure.functions as func

from api import answers
from api.dead_letter_answers import DeadLetter
from core.job_events import JobEvent
from core.job_waits import JobWait
from core.models import Batch, Task
from core.pages import TaskPayload
from core.redaction import Redaction, redacted
from core.statuses import JobStatus
from engine.jobs.status_reader import JobView, StageView
from repositories.ports import KeptDeadLetter

_REDACTION = Redaction()


def json_response(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    """Returns a JSON response without the secrets of URLs; dataclasses become objects, times become ISO 8601."""
    return func.HttpResponse(
        json_text(body), status_code=status, mimetype="application/json", headers=dict(headers or {})
    )


def json_text(body: object) -> str:
    """Returns the JSON of `json_response`."""
    return json.dumps(_shown(body), default=_iso_8601)


def job(view: JobView) -> answers.Job:
    """Returns the answer for a job with its stages; rate and ETA are those of the current stage."""
    row = view.job
    current = next((each for each in view.stages if each.stage.number == row.stage), None)
    answer = answers.Job(
        job_id=row.job_id,
        job_type=row.job_type,
        status=row.status,
        waits_for=_waits_for(view.waits_for),
        urgent=row.urgent,
        parameters=row.parameters,
        stage=row.stage,
        stage_name=current.stage.name if current else None,
        total_stages=row.total_stages,
        progress=round(view.progress, 4),
        tasks_per_second=_rounded(current.rate.tasks_per_second) if current else None,
        eta_seconds=_rounded(current.rate.eta_seconds) if current else None,
        stages=[_stage(each, view.stage_results) for each in view.stages],
        result=row.result,
        error=None if row.status == JobStatus.COMPLETED_WITH_ERRORS else row.error,
        warning=row.error if row.status == JobStatus.COMPLETED_WITH_ERRORS else None,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
    if view.notes is not None:
        answer["progress_notes"] = [answers.ProgressNote(**vars(note)) for note in view.notes]
    return answer


def batch(row: Batch) -> answers.Batch:
    """Returns the answer for a batch."""
    return answers.Batch(**{field.name: getattr(row, field.name) for field in fields(answers.Batch)})


def task(row: Task, include: AbstractSet[TaskPayload]) -> answers.Task:
    """Returns the answer for a task; it has the included payload only."""
    absent = set(TaskPayload) - include
    shown = {name: getattr(row, name) for name in answers.Task.__annotations__ if name not in absent}
    return cast("answers.Task", shown)


def event(row: JobEvent) -> answers.JobEvent:
    """Returns the answer for an event."""
    return answers.JobEvent(**{field.name: getattr(row, field.name) for field in fields(answers.JobEvent)})


def dead_letter(kept: KeptDeadLetter, *, with_body: bool) -> DeadLetter:
    """Returns the answer for a dead letter; `with_body` with its body as text, or in base64 if it is not UTF-8.

    A body may come from anywhere, so it is redacted like any other text.
    """
    letter = kept.letter
    answer = DeadLetter(
        dead_letter_id=kept.dead_letter_id,
        received_at=kept.received_at,
        queue=letter.queue,
        reason=letter.reason,
        description=letter.description,
        message_id=letter.message_id,
        delivery_count=letter.delivery_count,
        state=kept.state,
        resends=kept.resends,
        handled_at=kept.handled_at,
    )
    if with_body:
        answer["body"], answer["body_base64"] = _body(letter.body)
    return answer


def _body(body: bytes) -> tuple[str | None, str | None]:
    try:
        return body.decode(), None
    except UnicodeDecodeError:
        # Latin-1 reads any byte, and ASCII, which URLs consist of, as itself.
        return None, base64.b64encode(redacted(body.decode("latin-1")).encode("latin-1")).decode()


def _stage(view: StageView, results: Mapping[int, Any]) -> answers.Stage:
    stage, counts = view.stage, view.counts
    answer = answers.Stage(
        stage=stage.number,
        name=stage.name,
        status=stage.status,
        total_tasks=stage.total_tasks,
        total_batches=stage.total_batches,
        batches=counts.batches,
        batches_queued=counts.batches_queued,
        waits_for_room=stage.waits_for_room,
        tasks=answers.TaskCounts(
            created=counts.tasks,
            pending_queue=counts.pending_queue,
            queued=counts.queued,
            processing=counts.processing,
            retrying=counts.retrying,
            completed=counts.completed,
            failed=counts.failed,
            cancelled=counts.cancelled,
            estimated=counts.are_estimates,
        ),
        tasks_per_second=_rounded(view.rate.tasks_per_second),
        eta_seconds=_rounded(view.rate.eta_seconds),
        created_at=stage.created_at,
        finished_at=stage.finished_at,
    )
    if stage.number in results:
        answer["result"] = results[stage.number]
    return answer


def _waits_for(wait: JobWait | None) -> answers.WaitsFor | None:
    if wait is None:
        return None
    after = [each.job_id for each in wait.open_after]
    return answers.WaitsFor(wait.start_at, after, wait.exclusive_key, wait.key_holder)


def _rounded(value: float | None) -> float | None:
    """Returns three digits: of long tasks, a few end in an hour."""
    return None if value is None else float(f"{value:.3g}")


def _shown(value: object) -> object:
    if is_dataclass(value):
        return {name: _shown(each) for name, each in vars(value).items()}
    if isinstance(value, Mapping):
        return {_REDACTION.text(name): _shown(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(each) for each in value]
    return _REDACTION.json(value)


def _iso_8601(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
