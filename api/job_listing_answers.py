"""The answers about lists of jobs."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from core import job_listing
from core.statuses import JobStatus


@dataclass(frozen=True)
class ListedJob:
    """A job in a list, without its payload.

    `progress` (0 to 1) and `failed_tasks` count the batches that have ended, so they may lag behind those of the job.
    """

    job_id: str
    job_type: str
    status: JobStatus
    urgent: bool
    stage: int
    stage_name: str | None
    total_stages: int
    progress: float
    failed_tasks: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class ListedJobs:
    """A page of jobs, the newest first; `next` is the `after` of the next page, null on the last one."""

    jobs: Sequence[ListedJob]
    next: str | None


def listed_job(row: job_listing.ListedJob) -> ListedJob:
    """Returns the answer for a job of a list."""
    values = {field.name: getattr(row, field.name) for field in fields(ListedJob)}
    return ListedJob(**{**values, "progress": round(row.progress, 4)})
