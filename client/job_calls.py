"""The requests about jobs, one function for each operation of the OpenAPI document."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import httpx

from client.answers import Batch, Change, Failures, Job, JobEvent, ListedJob, Submission, Task, TaskDetails
from client.calls import Call, given, json_of, path_part, query, retry_after
from client.errors import InvalidArgumentError
from client.filters import JobFilter
from client.pages import Page, ResultsPage, page_of, results_of, since_of

CSV = "text/csv"
NDJSON = "application/x-ndjson"


class Polled:
    """The answer to a poll: the job, None if nothing has changed; its tag; the seconds until the next poll."""

    def __init__(self, response: httpx.Response) -> None:
        unchanged = response.status_code == httpx.codes.NOT_MODIFIED
        self.job = None if unchanged else cast("Job", json_of(response))
        self.tag = response.headers.get("ETag")
        self.retry_after_seconds = retry_after(response)


def submit(
    job_type: str,
    parameters: Mapping[str, Any],
    *,
    idempotency_key: str | None = None,
    start_at: datetime | None = None,
    after: Sequence[str] = (),
    urgent: bool = False,
) -> Call[Submission]:
    """Submits a job; to repeat it makes no second one.

    Raises:
        InvalidArgumentError: the idempotency key is empty, or has characters that no header may have.
    """
    if idempotency_key is not None and not _fits_a_header(idempotency_key):
        raise InvalidArgumentError("the idempotency key must be printable ASCII characters, at least one")
    return Call(
        "POST",
        f"/jobs/{path_part(job_type)}",
        json_of,
        query(start_at=start_at and start_at.isoformat(), after=after or None, urgent=urgent or None),
        {"Idempotency-Key": idempotency_key} if idempotency_key else {},
        dict(parameters),
    )


def get_job(
    job_id: str, *, stage_results: bool = False, progress_notes: bool = False, after: int | None = None
) -> Call[Job]:
    """Shows a job."""
    include = _included(stage_results=stage_results, progress_notes=progress_notes)
    return Call("GET", _job(job_id), json_of, query(include=include, after=after))


def poll_job(job_id: str, tag: str | None, *, progress_notes: bool = False) -> Call[Polled]:
    """Shows a job if it has changed since an answer with this tag."""
    headers = {"If-None-Match": tag} if tag else {}
    parameters = query(poll="202", include=_included(progress_notes=progress_notes))
    return Call("GET", _job(job_id), Polled, parameters, headers, good=frozenset({200, 202, 304}))


def list_jobs(
    where: JobFilter, *, text: str | None = None, limit: int | None = None, after: str | None = None
) -> Call[Page[ListedJob]]:
    """Lists jobs, the newest first."""
    return Call("GET", "/jobs", page_of("jobs"), query(**where.query(), text=text, limit=limit, after=after))


def list_batches(job_id: str, *, limit: int | None = None, after: str | None = None) -> Call[Page[Batch]]:
    """Lists a job's batches."""
    return Call("GET", f"{_job(job_id)}/batches", page_of("batches"), query(limit=limit, after=after))


def list_tasks(  # noqa: PLR0913 - the parameters of the route
    job_id: str,
    *,
    status: str | None = None,
    error: str | None = None,
    batch: str | None = None,
    include: Sequence[str] = (),
    limit: int | None = None,
    after: str | None = None,
) -> Call[Page[Task]]:
    """Lists a job's tasks."""
    parameters = query(status=status, error=error, batch=batch, include=include or None, limit=limit, after=after)
    return Call("GET", f"{_job(job_id)}/tasks", page_of("tasks"), parameters)


def get_task(job_id: str, task_id: str) -> Call[TaskDetails]:
    """Shows a task with its payload."""
    return Call("GET", f"{_job(job_id)}/tasks/{path_part(task_id)}", json_of)


def list_failures(job_id: str, *, after: str | None = None) -> Call[Failures]:
    """Groups the failed tasks of the next batches."""
    return Call("GET", f"{_job(job_id)}/failures", json_of, query(after=after))


def list_results(
    job_id: str, *, stage: int | None = None, after: int | None = None, limit: int | None = None, csv: bool = False
) -> Call[ResultsPage]:
    """Returns results of a stage as lines."""
    parameters, accept = query(stage=stage, after=after, limit=limit), CSV if csv else NDJSON
    return Call("GET", f"{_job(job_id)}/results", results_of, parameters, {"Accept": accept})


def list_job_events(
    job_id: str, *, since: int | None = None, after: int | None = None, limit: int | None = None
) -> Call[tuple[Page[JobEvent], int]]:
    """Lists what happened to a job, with the `since` of the next request."""
    return Call("GET", f"{_job(job_id)}/events", since_of, query(since=since, after=after, limit=limit))


def cancel_job(job_id: str) -> Call[Change]:
    """Cancels a job."""
    return Call("POST", f"{_job(job_id)}/cancel", json_of, is_repeatable=False)


def retry_job(
    job_id: str, *, batch_id: str | None = None, task_ids: Sequence[str] | None = None, error: str | None = None
) -> Call[Change]:
    """Runs failed tasks again: all of them, or those of a batch, an error group, or with these ids."""
    part = given(batch_id=batch_id, task_ids=None if task_ids is None else list(task_ids), error=error)
    return Call("POST", f"{_job(job_id)}/retry", json_of, body=part or None, is_repeatable=False)


def resume_job(job_id: str) -> Call[Change]:
    """Continues a cancelled job."""
    return Call("POST", f"{_job(job_id)}/resume", json_of, is_repeatable=False)


def _included(**parts: bool) -> list[str] | None:
    return [name for name, is_included in parts.items() if is_included] or None


def _job(job_id: str) -> str:
    return f"/jobs/{path_part(job_id)}"


def _fits_a_header(text: str) -> bool:
    return bool(text.strip()) and text.isascii() and text.isprintable()
