"""Reads and answers which tasks one batch has."""

import re
from collections.abc import Set as AbstractSet

import azure.functions as func

from api import answers, requests, views
from api.batch_operations import BATCH_ID
from bootstrap import app
from core.errors import FieldError, InvalidInputError
from core.models import Task
from core.pages import TaskPayload
from core.statuses import TaskStatus

_BATCH_ID = re.compile(BATCH_ID)


def tasks_of_batch(
    req: func.HttpRequest, status: TaskStatus | None, after: str, limit: int, include: AbstractSet[TaskPayload]
) -> answers.Tasks:
    """Returns a page of the tasks of the batch that the query names; of one status, it may have fewer than `limit`.

    Raises:
        InvalidInputError: the query names no batch.
    """
    page = app().batch_reader.tasks(requests.job_id(req), _batch_id(req), after, limit, include)
    shown = [views.task(each, include) for each in page if status in {None, each.status}]
    return answers.Tasks(shown, page[-1].task_id if page.has_more else None)


def is_of_batch(req: func.HttpRequest, task: Task) -> bool:
    """Tells whether a task is of the batch that the query names, or it names none."""
    return not req.params.get("batch") or task.batch_id == _batch_id(req)


def _batch_id(req: func.HttpRequest) -> str:
    text = str(req.params.get("batch", ""))
    if not _BATCH_ID.fullmatch(text):
        raise InvalidInputError("batch must be the id of a batch", [FieldError("batch", "must be the id of a batch")])
    return text
