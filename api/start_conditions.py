"""Reads when a submitted job may start: `?start_at=2026-12-01T03:00:00Z&after={job_id},{job_id}`."""

import re
from datetime import UTC, datetime

import azure.functions as func

from api.requests import JOB_ID
from core.errors import FieldError, InvalidInputError
from core.job_waits import MAX_AFTER, StartConditions

_JOB_ID = re.compile(JOB_ID)
_YEARS = range(1970, 9000)  # in every zone, PostgreSQL and Python know the times of these years


def start_conditions(req: func.HttpRequest) -> StartConditions:
    """Reads the conditions from the query.

    Raises:
        InvalidInputError: one of them is not valid; the error names it.
    """
    start_at, after = req.params.get("start_at"), req.params.get("after")
    return StartConditions(None if start_at is None else _time(start_at), () if after is None else _job_ids(after))


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as exc:
        raise _error("start_at", "must be a time as in 2026-12-01T03:00:00Z; a + is written as %2B in a URL") from exc
    if time.tzinfo is None:
        raise _error("start_at", "must be a time with its zone, as in 2026-12-01T03:00:00Z")
    if time.year not in _YEARS:
        raise _error("start_at", f"must be in a year from {_YEARS.start} to {_YEARS.stop - 1}")
    return time.astimezone(UTC)


def _job_ids(text: str) -> tuple[str, ...]:
    ids = text.split(",")
    if len(ids) > MAX_AFTER:
        raise _error("after", f"must be at most {MAX_AFTER} job ids")
    if not all(_JOB_ID.fullmatch(each) for each in ids):
        raise _error("after", "must be job ids, separated by commas")
    return tuple(dict.fromkeys(ids))


def _error(field: str, message: str) -> InvalidInputError:
    return InvalidInputError(f"{field} {message}", [FieldError(field, message)])
