"""Reads when a submitted job may start: `?start_at=2026-12-01T03:00:00Z&after={job_id},{job_id}`."""

import re

import azure.functions as func

from api.requests import JOB_ID
from api.times import read_time
from core.errors import field_error
from core.job_waits import MAX_AFTER, StartConditions

_JOB_ID = re.compile(JOB_ID)


def start_conditions(req: func.HttpRequest) -> StartConditions:
    """Reads the conditions from the query.

    Raises:
        InvalidInputError: one of them is not valid; the error names it.
    """
    start_at, after = req.params.get("start_at"), req.params.get("after")
    return StartConditions(
        None if start_at is None else read_time("start_at", start_at), () if after is None else _job_ids(after)
    )


def _job_ids(text: str) -> tuple[str, ...]:
    ids = text.split(",")
    if len(ids) > MAX_AFTER:
        raise field_error("after", f"must be at most {MAX_AFTER} job ids")
    if not all(_JOB_ID.fullmatch(each) for each in ids):
        raise field_error("after", "must be job ids, separated by commas")
    return tuple(dict.fromkeys(ids))
