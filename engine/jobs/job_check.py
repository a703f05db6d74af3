"""Looks at a job again before a request changes it: a request about many jobs has read it in a list some time ago."""

from collections.abc import Callable
from typing import TypeAlias

from core.errors import JobNotFoundError, JobNotMeantError
from core.models import Job
from repositories.ports import UnitOfWork

IsMeant: TypeAlias = Callable[[Job], bool]
Also: TypeAlias = Callable[[UnitOfWork], None]
"""What else the transaction does that changes a job; what it raises undoes the change."""


def any_job(_: Job) -> bool:
    """Of a request that names its job."""
    return True


def nothing_else(_: UnitOfWork) -> None:
    """Of a request that names its job."""


def locked_job(work: UnitOfWork, job_id: str, is_meant: IsMeant) -> Job:
    """Returns a job as it is, with its row locked until the transaction ends.

    Raises:
        JobNotFoundError: there is no such job.
        JobNotMeantError: it is not meant.
    """
    job = work.jobs.get(job_id) if work.jobs.lock(job_id) else None
    if job is None:
        raise JobNotFoundError(job_id)
    if not is_meant(job):
        raise JobNotMeantError(f"job {job_id} is {job.status}, and no longer one of those that were asked for")
    return job
