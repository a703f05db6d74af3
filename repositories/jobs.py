from collections.abc import Set as AbstractSet
from typing import Any

from typing_extensions import override

from core.job_waits import JobEnd
from core.models import Job, StageKey
from core.statuses import JobStatus
from repositories import queries
from repositories.ports import JobRepository
from repositories.ports.rows import Row, Rows
from repositories.stage_keys import columns

_QUERIES = queries.load("jobs")


class PostgresJobRepository(JobRepository):
    """Runs the queries of `sql/jobs.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
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
        values = {"job_id": job_id, "job_type": job_type, "parameters": parameters, "total_stages": total_stages}
        return self._changed("create", {**values, "status": status, "urgent": urgent})

    @override
    def get(self, job_id: str) -> Job | None:
        row = self._rows.first(_QUERIES["get"], {"job_id": job_id})
        return None if row is None else job_of(row)

    @override
    def lock(self, job_id: str) -> bool:
        return self._rows.first(_QUERIES["lock"], {"job_id": job_id}) is not None

    @override
    def same_submission(self, job_id: str, job_type: str, parameters: str) -> bool | None:
        values = {"job_id": job_id, "job_type": job_type, "parameters": parameters}
        row = self._rows.first(_QUERIES["same_submission"], values)
        return None if row is None else bool(row["same"])

    @override
    def mark_queued(self, job_id: str) -> bool:
        return self._changed("mark_queued", {"job_id": job_id})

    @override
    def start(self, job_id: str) -> bool:
        return self._changed("start", {"job_id": job_id})

    @override
    def advance(self, key: StageKey) -> bool:
        return self._changed("advance", columns(key))

    @override
    def finish(self, job_id: str, status: JobStatus, result: str | None, error: str | None) -> JobEnd | None:
        values = {"job_id": job_id, "status": status, "result": result, "error": error}
        row = self._rows.first(_QUERIES["finish"], values)
        return None if row is None else JobEnd(**row)

    @override
    def reopen(self, job_id: str, expected: AbstractSet[JobStatus]) -> bool:
        return self._changed("reopen", {"job_id": job_id, "expected": sorted(expected)})

    def _changed(self, query: str, values: dict[str, Any]) -> bool:
        return self._rows.execute(_QUERIES[query], values) == 1


def job_of(row: Row) -> Job:
    """Returns the job of a row that has all its columns, and no other."""
    return Job(**{**row, "status": JobStatus(row["status"])})
