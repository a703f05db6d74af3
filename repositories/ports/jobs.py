"""The table jobs."""

from collections.abc import Set as AbstractSet
from typing import Protocol

from core.models import Job
from core.statuses import JobStatus


class JobRepository(Protocol):
    """The table `jobs`."""

    def create(self, job_id: str, job_type: str, parameters: str, total_stages: int) -> bool:
        """Inserts a pending job; `parameters` is JSON text. False when the id exists already."""
        ...

    def get(self, job_id: str) -> Job | None:
        """The job, or None."""
        ...

    def same_submission(self, job_id: str, job_type: str, parameters: str) -> bool | None:
        """Whether the job has this type and, as jsonb compares them, these parameters; None when there is no such job.

        Until the transaction ends, the job is not deleted.
        """
        ...

    def mark_queued(self, job_id: str) -> bool:
        """Moves pending_queue -> queued; False when it was further already."""
        ...

    def start(self, job_id: str) -> bool:
        """Moves queued -> processing, at stage 1; False when it was further already."""
        ...

    def advance(self, job_id: str, from_stage: int) -> bool:
        """Moves a processing job from one stage to the next; False when it is not at that stage."""
        ...

    def finish(self, job_id: str, status: JobStatus, result: str | None, error: str | None) -> bool:
        """Ends a job that has not ended; `result` and `error` are JSON text. False when it had ended."""
        ...

    def reopen(self, job_id: str, expected: AbstractSet[JobStatus]) -> bool:
        """Moves a job in one of these ends -> processing, or -> pending_queue at stage 0; False when in none."""
        ...
