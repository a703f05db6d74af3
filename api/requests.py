"""Reads and validates the body, the route and the query of a request."""

import json
import re
from collections.abc import Sequence
from typing import Any

import azure.functions as func

from core.errors import (
    InvalidInputError,
    JobNotFoundError,
    PayloadTooLargeError,
    field_error,
)
from core.ids import MAX_STAGES
from core.pages import TaskPayload
from core.statuses import TaskStatus

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000

JOB_ID = "[0-9a-f]{32}"
ERROR_GROUP = "[0-9a-f]{16}"
"""Both are regular expressions with the same meaning in Python and in JSON schema."""

STAGE_RESULTS = "stage_results"
PROGRESS_NOTES = "progress_notes"
JOB_PARTS = (STAGE_RESULTS, PROGRESS_NOTES)
"""What `GET /api/jobs/{job_id}` may include."""

_MAX_EXACT = 2**53  # up to here, a float can represent every integer

_JOB_ID = re.compile(JOB_ID)
_ERROR_GROUP = re.compile(ERROR_GROUP)


def json_object(req: func.HttpRequest, max_bytes: int) -> dict[str, Any]:
    """Reads the body as a JSON object; an empty body counts as an empty object.

    Raises:
        PayloadTooLargeError: the body has more than `max_bytes`.
        InvalidInputError: the body is not a JSON object.
    """
    body = req.get_body()
    if len(body) > max_bytes:
        raise PayloadTooLargeError("the request body", len(body), max_bytes)
    try:
        value = json.loads(body or b"{}", parse_float=_number)
    except (ValueError, RecursionError) as exc:
        raise InvalidInputError(f"the body is not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise InvalidInputError(f"the body must be a JSON object, not {_json_type(value)}")
    return value


def caller(req: func.HttpRequest) -> str:
    """Reads the id of the caller, which App Service authentication sets; "" without it.

    A function key names no caller: the host passes on which key it was to no worker in Python, and the key itself is a
    secret that is replaced from time to time.
    """
    return str(req.headers.get("X-MS-CLIENT-PRINCIPAL-ID", ""))


def job_id(req: func.HttpRequest) -> str:
    """Reads the job id from the route.

    Raises:
        JobNotFoundError: the route contains no job id.
    """
    value = str(req.route_params.get("job_id", ""))
    if not _JOB_ID.fullmatch(value):
        raise JobNotFoundError(value)
    return value


def urgent(req: func.HttpRequest) -> bool:
    """Reads from the query whether the job is urgent; it is not unless asked for.

    Raises:
        InvalidInputError: the text is neither `true` nor `false`.
    """
    return flag(req, "urgent")


def flag(req: func.HttpRequest, name: str) -> bool:
    """Reads a flag from the query; false unless it is given.

    Raises:
        InvalidInputError: the text is neither `true` nor `false`.
    """
    text = req.params.get(name, "false")
    if text not in {"true", "false"}:
        raise field_error(name, "must be true or false")
    return bool(text == "true")


def polls_by_202(req: func.HttpRequest) -> bool:
    """Reads whether a job that has not ended is answered with 202 instead of 200: `poll=202`.

    Logic Apps and Data Factory ask again at `Location` as long as they get 202.

    Raises:
        InvalidInputError: another status is asked for.
    """
    text = req.params.get("poll")
    if text and text != "202":
        raise field_error("poll", "must be 202, or left out")
    return bool(text)


def limit(req: func.HttpRequest) -> int:
    """Reads the page size from the query, 1 to `MAX_LIMIT`.

    Raises:
        InvalidInputError: the page size is out of range or not a whole number.
    """
    text = req.params.get("limit", str(DEFAULT_LIMIT))
    if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_LIMIT)) and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    raise field_error("limit", f"must be a whole number from 1 to {MAX_LIMIT}")


def task_status(req: func.HttpRequest) -> TaskStatus | None:
    """Reads the task status from the query; None means any.

    Raises:
        InvalidInputError: there is no such status.
    """
    text = req.params.get("status")
    if not text:
        return None
    try:
        return TaskStatus(text)
    except ValueError as exc:
        raise field_error("status", f"must be one of {', '.join(TaskStatus)}") from exc


def stage(req: func.HttpRequest) -> int | None:
    """Reads the number of a stage; None if none is named.

    Raises:
        InvalidInputError: the text is not the number of a stage.
    """
    text = req.params.get("stage")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_STAGES)) and int(text) > 0):
        raise field_error("stage", f"must be the number of a stage, from 1 to {MAX_STAGES}")
    return int(text)


def error_group(req: func.HttpRequest) -> str | None:
    """Reads the group of errors of which failed tasks are listed; None for all tasks.

    Raises:
        InvalidInputError: the text is not the `error` of a group.
    """
    text = req.params.get("error")
    if not text:
        return None
    if not _ERROR_GROUP.fullmatch(text):
        raise field_error("error", "must be the `error` of a group of failures")
    return str(text)


def task_payload(req: func.HttpRequest) -> frozenset[TaskPayload]:
    """Reads which payload the tasks of the page have; none by default.

    Raises:
        InvalidInputError: there is no such payload.
    """
    return frozenset(map(TaskPayload, included(req, list(TaskPayload))))


def stage_results_after(req: func.HttpRequest) -> int | None:
    """Reads the number of the stage after which the results of stages begin; None if none are asked for.

    Raises:
        InvalidInputError: something else is to be included, or the text is not the number of a stage.
    """
    text = req.params.get("after") or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_STAGES))):
        raise field_error("after", f"must be the number of a stage, up to {MAX_STAGES}")
    return int(text) if STAGE_RESULTS in included(req, JOB_PARTS) else None


def included(req: func.HttpRequest, known: Sequence[str]) -> set[str]:
    """Reads what the answer has besides; nothing by default.

    Raises:
        InvalidInputError: something that is not known is to be included.
    """
    text = req.params.get("include")
    names = set(text.split(",")) if text else set()
    if names <= set(known):
        return names
    raise field_error("include", f"must name some of {', '.join(known)}, separated by commas")


def _number(text: str) -> float | int:
    """Reads a number with a point or an exponent; 1.0 becomes an integer, as in JSON schema."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) <= _MAX_EXACT else value


def _json_type(value: object) -> str:
    names = {list: "an array", str: "a string", int: "a number", float: "a number", bool: "a boolean"}
    return names.get(type(value), "null")
