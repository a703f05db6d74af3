"""One request to cancel, retry or delete many jobs, which is carried out in slices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.job_listing import JobFilter, JobPlace
from core.models import Job
from core.statuses import JOB_ENDS, JobStatus

MOST_REASONS = 100
"""A bulk action tells why a job failed for so many jobs: at most some 50 KB."""

MAX_REASON_LENGTH = 500


class BulkKind(StrEnum):
    """What is done with each job."""

    CANCEL = "cancel"
    RETRY = "retry"
    DELETE = "delete"


APPLIES_TO: Mapping[BulkKind, frozenset[JobStatus]] = {
    BulkKind.CANCEL: frozenset(JobStatus) - JOB_ENDS,
    BulkKind.RETRY: frozenset({JobStatus.FAILED, JobStatus.COMPLETED_WITH_ERRORS}),
    BulkKind.DELETE: JOB_ENDS,
}
"""The statuses of the jobs with which it can be done."""


@dataclass(frozen=True)
class JobRefusal:
    """Why it could not be done with a job."""

    job_id: str
    reason: str


@dataclass(frozen=True)
class BulkAction:
    """A row of `bulk_actions`.

    Attributes:
        where: the jobs; none of them was created after the action.
        matched: how many jobs there were when the action began.
        done: with how many it was done.
        failed: with how many it could not be done; jobs that had left the filter at their turn are in neither.
        failures: the first of these.
        after: the place of the last job that was handled; None for none.
    """

    action_id: str
    kind: BulkKind
    where: JobFilter
    matched: int
    done: int
    failed: int
    failures: Sequence[JobRefusal]
    after: JobPlace | None
    created_at: datetime
    finished_at: datetime | None

    def covers(self, job: Job) -> bool:
        """Tells whether a job, as it is now, is one of those that were asked for.

        A job that has ended since is not retried: it may be one that this action has retried, and that failed again.
        """
        is_new = self.kind == BulkKind.RETRY and job.finished_at is not None and job.finished_at > self.created_at
        return self.where.includes(job) and not is_new
