"""Reads where a page of a list begins, and which rows it is about, from the query of a request."""

import re

import azure.functions as func

from core.errors import MessageFormatError, field_error
from core.ids import MAX_STAGE_TASKS, parse_task_id

BATCH_CURSOR = "([0-9]{1,2})-([0-9]{1,9})"
"""A regular expression with the same meaning in Python and in JSON schema."""

MAX_ROW_ID = 10**18 - 1  # the most digits that always fit a bigint

_BATCH_CURSOR = re.compile(BATCH_CURSOR)


def after_index(req: func.HttpRequest) -> int:
    """Reads the index of the task after which the page starts; -1 for the first page.

    Raises:
        InvalidInputError: the text is not the index of a task.
    """
    text = req.params.get("after")
    if not text:
        return -1
    if not (
        text.isascii() and text.isdigit() and len(text) <= len(str(MAX_STAGE_TASKS)) and int(text) < MAX_STAGE_TASKS
    ):
        raise field_error("after", "must be the index of a task: the `Next-After` of the previous page")
    return int(text)


def after_task(req: func.HttpRequest) -> str:
    """Reads the task id after which the page starts; "" for the first page.

    Raises:
        InvalidInputError: the text is not a task id.
    """
    text = str(req.params.get("after", ""))
    if text:
        try:
            parse_task_id(text)
        except MessageFormatError as exc:
            raise field_error("after", str(exc)) from exc
    return text


def after_event(req: func.HttpRequest) -> int:
    """Reads the event id after which the page starts; 0 for the first page.

    Raises:
        InvalidInputError: the text is not an event id.
    """
    return row_id(req, "after") or 0


def events_since(req: func.HttpRequest) -> int:
    """Reads since when the events were written or changed; 0 for any time.

    Raises:
        InvalidInputError: the text is not a `since` of an answer.
    """
    return row_id(req, "since", "must be a number: the `since` of an earlier answer") or 0


def after_batch(req: func.HttpRequest) -> tuple[int, int]:
    """Reads the `{stage}-{batch_index}` after which the page starts, as a pair; (0, 0) for the first page.

    Raises:
        InvalidInputError: the text has another form.
    """
    text = req.params.get("after")
    if not text:
        return (0, 0)
    match = _BATCH_CURSOR.fullmatch(text)
    if match is None:
        raise field_error("after", "must be {stage}-{batch_index}: the `next` of the previous page")
    return int(match[1]), int(match[2])


def row_id(
    req: func.HttpRequest, name: str, complaint: str = "must be a number: the `next` of the previous page"
) -> int | None:
    """Reads the number of a row; None if there is none.

    Raises:
        InvalidInputError: the text is not the number of a row; it is told with this complaint.
    """
    text = req.params.get(name)
    if not text:
        return None
    if is_row_id(text):
        return int(text)
    raise field_error(name, complaint)


def is_row_id(text: str) -> bool:
    """Whether a text is a number that a row may have."""
    return text.isascii() and text.isdigit() and len(text) <= len(str(MAX_ROW_ID))
