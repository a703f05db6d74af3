"""The port of the table jobs."""

from collections.abc import Set as AbstractSet
from typing import Protocol

from core.job_waits import JobEnd
from core.models import Job, StageKey
from core.statuses import JobStatus


class JobRepository(Protocol):
    """The table `jobs`."""

    def create(
        self,
        job_id: str,
        job_type: str,
        parameters: str,
        total_stages: int,
        status: JobStatus = JobStatus.PENDING_QUEUE,
        *,
        urgent: bool = False,
    ) -> bool:
        """Inserts a job, pending_queue or waiting; `parameters` is JSON text. False when the id exists already."""
        ...

    def get(self, job_id: str) -> Job | None:
        """Returns the job, or None."""
        ...

    def lock(self, job_id: str) -> bool:
        """Locks the row of a job until the transaction ends; False when there is no such job."""
        ...

    def same_submission(self, job_id: str, job_type: str, parameters: str) -> bool | None:
        """Tells whether the job has this type and these parameters (compared as jsonb); None when there is no such job.

        The job cannot be deleted before the transaction ends.
        """
        ...

    def mark_queued(self, job_id: str) -> bool:
        """Moves pending_queue -> queued; False when the job is in another status."""
        ...

    def start(self, job_id: str) -> bool:
        """Moves queued -> processing, at stage 1; False when the job is in another status."""
        ...

    def advance(self, key: StageKey) -> bool:
        """Moves a processing job from this stage to the next; False when it is at another stage."""
        ...

    def finish(self, job_id: str, status: JobStatus, result: str | None, error: str | None) -> JobEnd | None:
        """Ends a job; `result` and `error` are JSON text. None when it had ended already, or waits and is to fail."""
        ...

    def reopen(self, job_id: str, expected: AbstractSet[JobStatus]) -> bool:
        """Moves a job in an expected status -> processing; False when it is in another status, or marked for deletion.

        A job that had not begun is moved -> pending_queue or, if it had something to wait for, -> waiting.
        """
        ...
