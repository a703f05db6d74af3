from collections.abc import Set as AbstractSet
from typing import Any

from core.models import Job
from core.statuses import JobStatus
from repositories import queries
from repositories.ports.rows import Row, Rows

_QUERIES = queries.load("jobs")


class PostgresJobRepository:
    """The table `jobs`; see `JobRepository` in `repositories/ports/`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def create(self, job_id: str, job_type: str, parameters: str, total_stages: int) -> bool:
        """Inserts a pending job; False when the id exists already."""
        values = {"job_id": job_id, "job_type": job_type, "parameters": parameters, "total_stages": total_stages}
        return self._changed("create", values)

    def get(self, job_id: str) -> Job | None:
        """The job, or None."""
        row = self._rows.first(_QUERIES["get"], {"job_id": job_id})
        return None if row is None else _job(row)

    def same_submission(self, job_id: str, job_type: str, parameters: str) -> bool | None:
        """Whether the job has this type and these parameters; None when there is no such job."""
        values = {"job_id": job_id, "job_type": job_type, "parameters": parameters}
        row = self._rows.first(_QUERIES["same_submission"], values)
        return None if row is None else bool(row["same"])

    def mark_queued(self, job_id: str) -> bool:
        """Moves pending_queue -> queued."""
        return self._changed("mark_queued", {"job_id": job_id})

    def start(self, job_id: str) -> bool:
        """Moves queued -> processing, at stage 1."""
        return self._changed("start", {"job_id": job_id})

    def advance(self, job_id: str, from_stage: int) -> bool:
        """Moves a processing job from one stage to the next."""
        return self._changed("advance", {"job_id": job_id, "from_stage": from_stage})

    def finish(self, job_id: str, status: JobStatus, result: str | None, error: str | None) -> bool:
        """Ends a job that has not ended."""
        return self._changed("finish", {"job_id": job_id, "status": status, "result": result, "error": error})

    def reopen(self, job_id: str, expected: AbstractSet[JobStatus]) -> bool:
        """Moves a job that has ended back to processing, or to pending_queue when it had not begun."""
        return self._changed("reopen", {"job_id": job_id, "expected": sorted(expected)})

    def _changed(self, query: str, values: dict[str, Any]) -> bool:
        return self._rows.execute(_QUERIES[query], values) == 1


def _job(row: Row) -> Job:
    return Job(**{**row, "status": JobStatus(row["status"])})
