"""Reads which jobs are listed: `?type=&status=failed,cancelled&created_from=&created_before=&text=&after={next}`."""

import re
from datetime import UTC, datetime, timedelta

import azure.functions as func

from api.requests import JOB_ID
from api.times import read_time
from core.error_records import clean
from core.errors import field_error
from core.job_listing import JobFilter, JobPlace
from core.statuses import JobStatus

MAX_TEXT_LENGTH = 200

JOB_CURSOR = f"([0-9]{{1,17}})-({JOB_ID})"
"""The microsecond in which a job was created, up to the year 5138, and its id."""

_CURSOR = re.compile(JOB_CURSOR)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def job_filter(req: func.HttpRequest) -> JobFilter:
    """Reads which jobs are listed; by default all.

    Raises:
        InvalidInputError: one of the parameters is not valid; the error names it.
    """
    created_from, created_before = req.params.get("created_from"), req.params.get("created_before")
    return JobFilter(
        _text(req, "type") or None,
        _statuses(req.params.get("status")),
        read_time("created_from", created_from) if created_from else None,
        read_time("created_before", created_before) if created_before else None,
    )


def searched_text(req: func.HttpRequest) -> str:
    """Reads the text that is looked for in the parameters of jobs; "" for none.

    Raises:
        InvalidInputError: it is too long.
    """
    return _text(req, "text")


def after_job(req: func.HttpRequest) -> JobPlace | None:
    """Reads the place in the list after which the page starts; None for the first page.

    Raises:
        InvalidInputError: the text is not the `next` of a page.
    """
    text = req.params.get("after")
    if not text:
        return None
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise field_error("after", "must be the `next` of the previous page")
    return JobPlace(_EPOCH + timedelta(microseconds=int(match[1])), match[2])


def cursor_of(place: JobPlace) -> str:
    """Returns the `next` of a page that ends with this job."""
    return f"{(place.created_at - _EPOCH) // timedelta(microseconds=1)}-{place.job_id}"


def _statuses(text: str | None) -> frozenset[JobStatus] | None:
    if not text:
        return None
    try:
        return frozenset(map(JobStatus, text.split(",")))
    except ValueError as exc:
        raise field_error("status", f"must be some of {', '.join(JobStatus)}, separated by commas") from exc


def _text(req: func.HttpRequest, name: str) -> str:
    text = str(req.params.get(name, ""))
    if len(text) > MAX_TEXT_LENGTH:
        raise field_error(name, f"must have at most {MAX_TEXT_LENGTH} characters")
    return clean(text)
