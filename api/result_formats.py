"""Results of tasks as lines: NDJSON, or CSV if the client accepts only that."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import azure.functions as func

from core.ids import task_id
from core.redaction import Redaction
from core.task_runs import TaskResult

NDJSON = "application/x-ndjson"
CSV = "text/csv"

_COLUMNS = ("task_id", "task_index", "task_type", "status", "result", "error")
_REDACTION = Redaction()

Row = Mapping[str, Any]


@dataclass(frozen=True)
class ResultFormat:
    """A media type, and what writes rows in it; the flag tells whether they are the first ones."""

    media_type: str
    write: Callable[[Sequence[Row], bool], str]


def format_for(req: func.HttpRequest) -> ResultFormat:
    """Chooses CSV if the header Accept names it and not NDJSON; else NDJSON."""
    accepted = str(req.headers.get("Accept", "")).lower()
    return _CSV if CSV in accepted and NDJSON not in accepted else _NDJSON


def rows(job_id: str, stage: int, results: Iterable[TaskResult]) -> list[Row]:
    """Returns results as rows, without the secrets of URLs."""
    return [
        {
            "task_id": task_id(job_id, stage, each.task_index),
            "task_index": each.task_index,
            "task_type": each.task_type,
            "status": each.status,
            "result": _REDACTION.json(each.result),
            "error": _REDACTION.json(each.error),
        }
        for each in results
    ]


def _ndjson(lines: Sequence[Row], is_first: bool) -> str:  # noqa: FBT001, ARG001 - the same for all formats
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def _csv(lines: Sequence[Row], is_first: bool) -> str:  # noqa: FBT001 - as above
    text = io.StringIO()
    writer = csv.writer(text)
    if is_first:
        writer.writerow(_COLUMNS)
    for line in lines:
        payload = ["" if line[name] is None else json.dumps(line[name]) for name in ("result", "error")]
        writer.writerow([*(line[name] for name in _COLUMNS[:4]), *payload])
    return text.getvalue()


_NDJSON = ResultFormat(NDJSON, _ndjson)
_CSV = ResultFormat(CSV, _csv)
