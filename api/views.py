"""Jobs, batches and tasks as the API shows them."""

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import azure.functions as func

from core.models import Batch, Task
from engine.status import JobView, StageView
from repositories.ports import KeptLetter


def json_response(
    body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """A JSON response; times are written in ISO 8601."""
    text = json.dumps(body, default=_iso)
    return func.HttpResponse(text, status_code=status, mimetype="application/json", headers=dict(headers or {}))


def job(view: JobView) -> dict[str, Any]:
    """A job with its stages; rate and ETA are those of the stage that runs now."""
    row = view.job
    current = next((each for each in view.stages if each.stage.stage == row.stage), None)
    return {
        "job_id": row.job_id,
        "job_type": row.job_type,
        "status": row.status,
        "parameters": row.parameters,
        "stage": row.stage,
        "stage_name": current.stage.name if current else None,
        "total_stages": row.total_stages,
        "progress": round(view.progress, 4),
        "tasks_per_second": round(current.tasks_per_second, 1) if current else 0.0,
        "eta_seconds": _rounded(current.eta_seconds) if current else None,
        "stages": [_stage(each) for each in view.stages],
        "result": row.result,
        "error": row.error,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
    }


def batch(row: Batch) -> dict[str, Any]:
    """A batch: its id, exact task count, status and times."""
    return {name: value for name, value in vars(row).items() if name not in ("digest", "job_id")}


def task(row: Task) -> dict[str, Any]:
    """A task, parameters and result included."""
    return dict(vars(row))


def dead_letter(kept: KeptLetter) -> dict[str, Any]:
    """A dead letter; its body as text, or in base64 where it is none."""
    letter = kept.letter
    try:
        body = {"body": letter.body.decode()}
    except UnicodeDecodeError:
        body = {"body_base64": base64.b64encode(letter.body).decode()}
    return {
        "dead_letter_id": kept.dead_letter_id,
        "received_at": kept.received_at,
        "queue": letter.queue,
        "reason": letter.reason,
        "description": letter.description,
        "message_id": letter.message_id,
        "delivery_count": letter.delivery_count,
        **body,
    }


def _stage(view: StageView) -> dict[str, Any]:
    stage, counts = view.stage, view.counts
    return {
        "stage": stage.stage,
        "name": stage.name,
        "status": stage.status,
        "total_tasks": stage.total_tasks,
        "total_batches": stage.total_batches,
        "batches": counts.batches,
        "batches_queued": counts.batches_queued,
        "tasks": {
            "created": counts.tasks,
            "pending_queue": counts.pending_queue,
            "queued": counts.queued,
            "processing": counts.processing,
            "retrying": counts.retrying,
            "completed": counts.completed,
            "failed": counts.failed,
            "cancelled": counts.cancelled,
        },
        "tasks_per_second": round(view.tasks_per_second, 1),
        "result": stage.result,
        "created_at": stage.created_at,
        "finished_at": stage.finished_at,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _iso(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
