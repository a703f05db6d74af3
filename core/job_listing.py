"""The list of jobs: what it is filtered by, and what it tells of each job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.models import Job
from core.statuses import JOB_ENDS, JobStatus

MAX_SEARCHED_JOBS = 1_000
"""The jobs in whose parameters one page looks for a text: some milliseconds of PostgreSQL's time."""

MAX_SEARCHED_BYTES = 2 * 1024 * 1024
"""The most bytes of their parameters as text, which may all have to be masked: some tenths of a second."""


@dataclass(frozen=True)
class JobFilter:
    """Which jobs are listed; None for any.

    Attributes:
        job_type: the job type.
        statuses: one of these.
        created_from: created at this time (aware) or later.
        created_before: created before this time (aware).
    """

    job_type: str | None = None
    statuses: frozenset[JobStatus] | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None

    def includes(self, job: Job) -> bool:
        """Tells whether a job, as it is now, is listed."""
        return (
            self.job_type in {None, job.job_type}
            and (self.statuses is None or job.status in self.statuses)
            and (self.created_from is None or job.created_at >= self.created_from)
            and (self.created_before is None or job.created_at < self.created_before)
        )


@dataclass(frozen=True)
class JobPlace:
    """The place of a job in the list, which is ordered by creation, the newest first, and then by id."""

    created_at: datetime
    job_id: str


@dataclass(frozen=True)
class ListedJob:
    """A job without its payload.

    Attributes:
        stage_name: of its current stage; None before the first.
        stage_tasks: the number of tasks of its current stage; None until it is known.
        ended_tasks: those of the current stage whose batches have ended.
        failed_tasks: those of all its stages, in batches that have ended.
    """

    job_id: str
    job_type: str
    status: JobStatus
    urgent: bool
    stage: int
    stage_name: str | None
    total_stages: int
    stage_tasks: int | None
    ended_tasks: int
    failed_tasks: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def place(self) -> JobPlace:
        """Its place in the list."""
        return JobPlace(self.created_at, self.job_id)

    @property
    def progress(self) -> float:
        """From 0 to 1, by the batches that have ended; every stage has the same weight."""
        if self.status in JOB_ENDS:
            return 1.0
        of_stage = self.ended_tasks / self.stage_tasks if self.stage_tasks else 0.0
        return (max(self.stage - 1, 0) + of_stage) / self.total_stages


@dataclass(frozen=True)
class SearchedJob:
    """A job whose stored parameters have a text that was looked for."""

    job_id: str
    job_type: str
    created_at: datetime
    parameters: Mapping[str, Any]

    @property
    def place(self) -> JobPlace:
        """Its place in the list."""
        return JobPlace(self.created_at, self.job_id)


@dataclass(frozen=True)
class SearchedJobs:
    """The part of the list in which a text was looked for.

    Attributes:
        matches: the jobs that have the text.
        last: the place of the last job that was looked at; None if there was none.
        has_more: whether jobs follow.
    """

    matches: Sequence[SearchedJob]
    last: JobPlace | None
    has_more: bool
