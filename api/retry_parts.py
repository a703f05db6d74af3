"""Reads which of a job's failed tasks a client wants to retry, and describes it."""

import re
from typing import Any

import azure.functions as func

from api.described import TASK_ID, Json
from api.requests import json_object
from core.errors import InvalidInputError, field_error
from core.retry_parts import MAX_TASKS, RetryPart

_BATCH_ID = "^[0-9a-f]{32}-s[1-9][0-9]?-b[0-9]{1,7}$"
_ERROR = "^[0-9a-f]{16}$"
_IS_BATCH_ID, _IS_TASK_ID, _IS_ERROR = (re.compile(each.replace("$", r"\Z")) for each in (_BATCH_ID, TASK_ID, _ERROR))

RETRY_BODY: Json = {
    "required": False,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "title": "RetryPart",
                "description": "Which failed tasks run again; without a member, all of them.",
                "maxProperties": 1,
                "additionalProperties": False,
                "properties": {
                    "batch_id": {"type": "string", "pattern": _BATCH_ID, "description": "those of this batch"},
                    "task_ids": {
                        "type": "array",
                        "items": {"type": "string", "pattern": TASK_ID},
                        "minItems": 1,
                        "maxItems": MAX_TASKS,
                        "description": "these tasks, all of which have failed",
                    },
                    "error": {
                        "type": "string",
                        "pattern": _ERROR,
                        "description": "those whose errors are of the group with this id",
                    },
                },
            }
        }
    },
}


def retry_part(req: func.HttpRequest, max_bytes: int) -> RetryPart | None:
    """Reads the part from the body; None if all failed tasks run again.

    Raises:
        PayloadTooLargeError: the body has more than `max_bytes`.
        InvalidInputError: the body does not name one part.
    """
    body = json_object(req, max_bytes)
    if unknown := sorted(body.keys() - _READERS.keys()):
        raise field_error(unknown[0], "is not known; a part is one of " + ", ".join(_READERS))
    if len(body) > 1:
        raise InvalidInputError(f"only one of {', '.join(sorted(body))} can be given")
    for field, value in body.items():
        return _READERS[field](value)
    return None


def _batch(value: Any) -> RetryPart:
    if not isinstance(value, str) or not _IS_BATCH_ID.match(value):
        raise field_error("batch_id", "must be the id of a batch")
    return RetryPart(batch_ids=frozenset({value}))


def _tasks(value: Any) -> RetryPart:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_TASKS:
        raise field_error("task_ids", f"must be a list of 1 to {MAX_TASKS:,} task ids")
    if not all(isinstance(each, str) and _IS_TASK_ID.match(each) for each in value):
        raise field_error("task_ids", "must be ids of tasks")
    return RetryPart(task_ids=frozenset(value))


def _group(value: Any) -> RetryPart:
    if not isinstance(value, str) or not _IS_ERROR.match(value):
        raise field_error("error", "must be the id of an error group: 16 hex digits")
    return RetryPart(error_group=value)


_READERS = {"batch_id": _batch, "task_ids": _tasks, "error": _group}
